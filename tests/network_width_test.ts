/** ResNet-18 of any width: what it is built of, and that nothing takes one width for another. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readSafetensors, writeSafetensors } from "../src/checkpoint/safetensors.ts";
import { runConfig, type RunOptions } from "../src/experiment/config.ts";
import { evaluate } from "../src/experiment/evaluate.ts";
import { networksOf } from "../src/experiment/likeness.ts";
import { openSetup } from "../src/experiment/setup.ts";
import { shownIn } from "../src/experiment/stated.ts";
import { train } from "../src/experiment/train.ts";
import { trainingOptions } from "../src/experiment/used_models.ts";
import {
  type Method,
  methods,
  modelTitle,
  networkOf,
  settledHyperparameters,
} from "../src/methods/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";
import { Random } from "../src/nn/mod.ts";
import { task } from "./program.ts";
import { inFolder, onlyRun } from "./support.ts";

/** Numbers that a plain ResNet-18 of width w learns before its head, by hand. */
const ofFeatures = (w: number): number => 2724 * w ** 2 + 177 * w;

/** Numbers that each head learns, for 10 classes and the defaults of its method. */
const ofHead: Readonly<Record<string, (w: number) => number>> = {
  baseline: (w) => 10 * 8 * w + 10,
  duq: (w) => 10 * (8 * w) ** 2,
  // Inducing points, means and factors of ten processes, and their constants and scales.
  due: (w) => 10 * 8 * w + 10 * 10 + 10 * 10 * 10 + 3 * 10,
  // Layer norm and linear layer over D = 256, or as many as there are features.
  sngp: (w) => 12 * Math.max(256, 8 * w) + 10,
};

const models = { baseline: "ResNet-18", duq: "ResNet-18_DUQ", due: "ResNet-18_DUE" } as const;

for (const [mode, model] of Object.entries({ ...models, sngp: "ResNet-18_SNGP" })) {
  Deno.test(`${model} has the arrays of its width`, () => {
    const method: Method = methods[mode as keyof typeof models];
    const network = networkOf(model);
    for (const width of [1, 4, 16]) {
      const { state } = method.create(model, {
        ...settledHyperparameters({ width }, network, "train"),
        procedure: procedureOf("paper"),
        random: new Random(0),
      });
      const stages = ["conv1", ...[1, 2, 3, 4].map((stage) => `layer${stage}.1.conv2`)];
      const encoder = mode === "baseline" ? "" : "feature_extractor.";
      const channels = stages.map((name) =>
        [...state].find(([key]) => key.startsWith(`${encoder}${name}.`) && /weight/.test(key))?.[1]
          .shape.slice(0, 2)
      );
      const [first, ...others] = [1, 1, 2, 4, 8].map((times) => times * width);
      assert.deepEqual(channels, [[first, 3], ...others.map((n) => [n, n])]);
      const learned = [...state.values()].filter(({ trainable }) => trainable)
        .reduce((sum, { data }) => sum + data.length, 0);
      assert.equal(learned, ofFeatures(width) + (ofHead[mode]?.(width) ?? NaN));
      assert.deepEqual(shownIn(state, network, "a file"), { width });
    }
  });
}

Deno.test("the published width leaves no trace in names, and another one does", async () => {
  const ofRun = async (options: Partial<RunOptions>): Promise<[string, unknown]> => {
    const setup = await openSetup(
      runConfig({
        mode: "sngp",
        model: "ResNet-18_SNGP",
        inDomain: "mnist",
        limit: 20,
        ...options,
      }),
      "train",
    );
    return [await setup.trainingFolder(0), trainingOptions(setup)];
  };
  const published = await ofRun({});
  assert.deepEqual(await ofRun({ width: 64 }), published);
  assert.match(published[0], /ResNet-18_SNGP[/\\]seed_0[/\\]/);
  assert.ok(!("width" in Object(published[1])));
  const [folder, options] = await ofRun({ width: 16 });
  assert.match(folder, /ResNet-18_SNGP[/\\]width_16[/\\]seed_0[/\\]/);
  assert.notEqual(folder.slice(-8), published[0].slice(-8));
  assert.equal(Object(options).width, 16);
  assert.equal(modelTitle("ResNet-18_SNGP", { width: 16 }), "ResNet-18_SNGP, width 16");
  assert.equal(modelTitle("ResNet-18_SNGP", { width: 64 }), "ResNet-18_SNGP");
  const rows = [16, 16, 64].map((width) => ({ hyperparameters: { width, lambdaReg: 0.1 } }));
  assert.deepEqual(networksOf(rows), ["width 16"]);
});

Deno.test("a network without a width refuses one, and takes the published one for none", async () => {
  const config = runConfig({ mode: "sngp", width: 16 });
  await assert.rejects(
    openSetup(config, "train"),
    /^UserError: Cannot run "LeNet_SNGP" with width 16: LeNet has none; leave it out, or use ResNet-18$/,
  );
  await openSetup(runConfig({ mode: "sngp", width: 64 }), "train");
  for (const width of [0, 257, 1.5]) {
    assert.throws(() => runConfig({ mode: "sngp", width }), /Cannot run with width/);
  }
});

/** Digits are embedded, so that this needs no data. */
const onDigits = {
  model: "ResNet-18",
  inDomain: "mnist",
  outDomain: "notmnist",
  limit: 20,
  epochs: 1,
} as const;

Deno.test("a checkpoint is believed about its width, or shows it, and a contradiction is an error", () =>
  inFolder(async (savePath) => {
    const given = { ...onDigits, mode: "baseline", savePath } as const;
    const trained = await train(runConfig({ ...given, width: 2 }));
    assert.equal(trained.hyperparameters["width"], 2);
    const own = trained.members[0]?.best.path ?? "";
    const { tensors, metadata } = await readSafetensors(own);
    assert.equal(JSON.parse(metadata["hyperparameters"] ?? "")["width"], 2);
    // As data-parallel training elsewhere would have named the arrays, and without a word about them.
    const foreign = join(savePath, "foreign.safetensors");
    const named = Array.from(tensors, ([name, array]) => [`module.${name}`, array] as const);
    await writeSafetensors(foreign, { tensors: new Map(named), metadata: {} });
    for (const checkpoint of [own, foreign]) {
      const { hyperparameters } = await evaluate(runConfig({ ...given, checkpoint }));
      assert.equal(hyperparameters["width"], 2);
      for (const width of [4, 64]) {
        await assert.rejects(
          evaluate(runConfig({ ...given, checkpoint, width })),
          new RegExp(`it was trained with width 2, the option says ${width}; leave the option out`),
        );
      }
    }
    const wide = new Map([["conv1.weight", { shape: [300, 3, 3, 3] }]]);
    assert.throws(
      () => shownIn(wide, networkOf("ResNet-18"), "wide"),
      /Cannot use "wide": its width is 300, that of ResNet-18 is 1 to 256; name another/,
    );
  }));

Deno.test("a run by the task is of its width, and says it wherever the network is named", () =>
  inFolder(async (cwd) => {
    const args = ["--model", "ResNet-18", "--in-domain", "mnist", "--out-domain", "notmnist"];
    const typed = [...args, "--limit", "20", "--epochs", "1", "--mode", "baseline"];
    const made = await task("attack", [...typed, "--width", "4", "--out", "made.json"], { cwd });
    assert.equal(made.code, 0, made.stderr);
    assert.match(made.stdout, /\(ResNet-18, width 4, protocol paper, seed 0\)/);
    assert.match(made.stdout, /checkpoint: \S*ResNet-18[/\\]width_4[/\\]seed_0/);
    assert.match(made.stderr, /There is no ResNet-18, width 4 of seed 0/);
    const document = JSON.parse(await Deno.readTextFile(join(cwd, "made.json")));
    assert.deepEqual(document.hyperparameters, { width: 4 });
    const listed = await task("runs", ["--json"], { cwd });
    assert.equal(JSON.parse(listed.stdout).runs[0].hyperparameters.width, 4);
    const run = await onlyRun(join(cwd, "trained_models"), "attack");
    const page = await Deno.readTextFile(join(run, "report.html"));
    assert.match(page, /ResNet-18, width 4; protocol paper/);
    const verified = await task("verify", [run], { cwd });
    assert.match(verified.stdout, /^Verified: all/, verified.stdout + verified.stderr);
    const refused = await task("attack", ["--mode", "sngp", "--width", "4"], { cwd });
    assert.equal(refused.code, 1);
    assert.equal(
      refused.stderr.trim(),
      "Cannot use --width here: LeNet does not use it, ResNet-18 does; leave it out",
    );
    const help = await task("attack", ["--help-all"], { cwd });
    assert.match(help.stdout, /--width N\s+Channels of ResNet-18's first stage/);
  }));
