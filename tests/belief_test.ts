/** What checkpoints of Mirage say of themselves: checked wherever one is read, and believed. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { loadEmbedded } from "../data/mod.ts";
import { loadCheckpoint, stateDigest } from "../src/checkpoint/checkpoint.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  readSafetensors,
  writeSafetensors,
} from "../src/checkpoint/safetensors.ts";
import { runConfig, type RunOptions } from "../src/config.ts";
import { UserError } from "../src/errors.ts";
import { methods } from "../src/methods/mod.ts";
import { Random } from "../src/nn/mod.ts";
import { procedureOf } from "../src/protocol.ts";
import { silent } from "../src/reporter.ts";
import { attack, evaluate, train } from "../src/run.ts";
import { report } from "../src/report/mod.ts";
import { readRun } from "../src/runs/folder.ts";
import { verify } from "../src/verify.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { inFolder } from "./support.ts";

/** Trains a model on 20 digits; the path of its best checkpoint. */
async function trained(savePath: string, options: Partial<RunOptions> = {}): Promise<string> {
  const { members: [member] } = await train(
    runConfig({ mode: "baseline", limit: 20, epochs: 1, savePath, ...options }),
  );
  return member?.best.path ?? assert.fail();
}

function baseline(): ReturnType<typeof methods.baseline.create> {
  return methods.baseline.create("LeNet", {
    random: new Random(1),
    procedure: procedureOf("paper"),
    epsilon: 0.1,
    lambdaReg: 0.1,
    nInducingPoints: 10,
    kernel: "RBF",
  });
}

Deno.test("no flipped bit of a checkpoint of ours loads", () =>
  inFolder(async (folder) => {
    const path = await trained(folder);
    const whole = await Deno.readFile(path);
    const header = 8 + Number(new DataView(whole.buffer).getBigUint64(0, true));
    const draws = new Random(7).uniform(1000);
    const damaged = join(folder, "damaged.safetensors");
    const model = baseline();
    for (const [i, draw] of draws.entries()) {
      // Every other bit in the header, which is short.
      const at = Math.floor(draw * 8 * (i % 2 === 0 ? header : whole.length));
      const bytes = Uint8Array.from(whole);
      bytes[at >> 3] = (bytes[at >> 3] ?? 0) ^ (1 << (at & 7));
      await Deno.writeFile(damaged, bytes);
      await assert.rejects(loadCheckpoint(model, damaged), UserError, `bit ${at}`);
    }
    await loadCheckpoint(model, path);
  }));

Deno.test("`eval` and `attack` refuse a rotten model, and it is copied nowhere", () =>
  inFolder(async (savePath) => {
    const path = await trained(savePath);
    const bytes = await Deno.readFile(path);
    bytes[bytes.length - 3] = (bytes[bytes.length - 3] ?? 0) ^ 4;
    await Deno.writeFile(path, bytes);
    const config = runConfig({ mode: "baseline", limit: 20, epochs: 1, savePath });
    for (const run of [attack, evaluate]) await assert.rejects(run(config), /SHA-256 differs/);
    for (const { name } of Deno.readDirSync(join(savePath, "runs"))) {
      assert.match(name, /^train-/);
    }
  }));

Deno.test("a damaged model in a training's folder is never kept or gone on with, and deleting it helps", () =>
  inFolder(async (savePath) => {
    // With next to no learning the first epoch stays the best, else the last one is.
    for (const lr of [0.01, 1e-9]) {
      const options = { mode: "baseline", limit: 20, epochs: 2, lr, savePath } as const;
      const best = await trained(savePath, options);
      const last = best.replace("best.safetensors", "last.safetensors");
      const whole = await Deno.readFile(best);
      const flipped = Uint8Array.from(whole);
      flipped[flipped.length - 3] = (flipped.at(-3) ?? 0) ^ 4;
      const hello = new TextEncoder().encode("hello");
      const damages = [whole.subarray(0, 1000), flipped, hello].map((bytes) => ({
        path: best,
        bytes,
      }));
      const uses = [train, evaluate].map((use) => () => use(runConfig(options)));
      const more = (): Promise<unknown> => train(runConfig({ ...options, epochs: 3 }));
      for (const { path, bytes } of [...damages, { path: last, bytes: new Uint8Array() }]) {
        await Deno.writeFile(path, bytes);
        for (const use of [...uses, more]) {
          await assert.rejects(
            use,
            /^UserError: Cannot read ".*(best|last).safetensors": .*; delete it and run the command again$/,
          );
        }
        await Deno.remove(path);
        await train(runConfig(options));
        assert.equal((await Deno.readFile(best)).toBase64(), whole.toBase64());
      }
    }
  }));

Deno.test("a model in a training's folder that says it is of another training is neither used nor gone on with", () =>
  inFolder(async (savePath) => {
    const options = { mode: "baseline", limit: 20, epochs: 2, savePath } as const;
    const best = await trained(savePath, { epochs: 2 });
    const last = (path: string): string => path.replace("best.", "last.");
    const foreign = join(savePath, "foreign.safetensors");
    const { tensors } = await readSafetensors(best);
    await writeSafetensors(foreign, { tensors, metadata: {} });
    const use = (): Promise<unknown> => attack(runConfig(options));
    const again = [undefined, 3].map((epochs) => () =>
      train(runConfig({ ...options, ...(epochs && { epochs }) }))
    );
    /** Puts a training's files, or the best alone, in the folder's place. */
    const refused = async (
      other: string,
      which: "both" | "best",
      says: RegExp,
      uses: readonly (() => Promise<unknown>)[] = [use],
    ): Promise<void> => {
      const kept = [best, last(best)].map((path) => [path, Deno.readFileSync(path)] as const);
      if (which === "both") await Deno.copyFile(last(other), last(best));
      await Deno.copyFile(other, best);
      for (const use of uses) {
        await assert.rejects(
          use,
          (error) =>
            error instanceof UserError && error.message.length < 300 && says.test(error.message) &&
            /; delete it and run the command again, or name it by --checkpoint$/.test(
              error.message,
            ),
        );
      }
      for (const [path, bytes] of kept) await Deno.writeFile(path, bytes);
    };
    const others = [
      [{ seed: 1 }, /last.safetensors": it says seed 1, asked for was seed 0;/],
      [{ lr: 0.1 }, /it says lr 0.1, asked for was lr 0.01;/],
      [{ limit: 30 }, /it says 30 training images, asked for was 20 training images;/],
      [{ trainBatchSize: 7 }, /it says batchSize 7, /],
      [{ selection: "validation" }, /it says selection validation, asked for was selection test;/],
      [{ mode: "duq" }, /it says family DUQ, asked for was family \S+;/],
    ] as const;
    for (const [changed, says] of others) {
      const all = "seed" in changed ? [use, ...again] : [use];
      await refused(await trained(savePath, { epochs: 2, ...changed }), "both", says, all);
    }
    await refused(await trained(savePath, { epochs: 2, seed: 1 }), "best", /best.*says seed 1,/);
    await refused(foreign, "best", /best.safetensors": Mirage did not write it;/);
    // Of the same training by what it says, but of another history.
    const archive = await readSafetensors(best);
    const history = archive.metadata["history"]?.replace(/"loss":/, '"loss":1');
    const metadata = { ...archive.metadata, history: history ?? "" };
    await writeSafetensors(foreign, { tensors, metadata });
    await refused(foreign, "best", /its epochs are not those of "last.safetensors" beside it/);
  }));

Deno.test("a file of others loads with any metadata, and one whose arrays were changed does not pass as ours", () =>
  inFolder(async (folder) => {
    const path = await trained(folder);
    const { tensors, metadata } = decodeSafetensors(await Deno.readFile(path), path);
    const foreign = join(folder, "foreign.safetensors");
    const model = baseline();
    await Deno.writeFile(
      foreign,
      encodeSafetensors({ tensors, metadata: { sha256: "no digest" } }),
    );
    const loaded = await loadCheckpoint(model, foreign);
    assert.deepEqual(loaded.metadata, { sha256: "no digest" });
    assert.equal(loaded.statement, undefined);
    const digest = stateDigest(model);
    await Deno.writeFile(foreign, encodeSafetensors({ tensors, metadata }));
    await assert.rejects(loadCheckpoint(model, foreign), /SHA-256 differs/);
    await loadCheckpoint(model, path);
    assert.equal(stateDigest(model), digest);
  }));

Deno.test("a transposed weight is refused by name and shapes, in both formats", () =>
  inFolder(async (folder) => {
    const path = await trained(folder);
    const { tensors } = decodeSafetensors(await Deno.readFile(path), path);
    const weight = [...tensors.values()].find((t) => t.shape.length === 2) ?? assert.fail();
    const [name = ""] = [...tensors].find(([, t]) => t === weight) ?? [];
    const turned = new Map(tensors).set(name, { ...weight, shape: weight.shape.toReversed() });
    const wrong = join(folder, "turned.safetensors");
    await Deno.writeFile(wrong, encodeSafetensors({ tensors: turned, metadata: {} }));
    await assert.rejects(
      loadCheckpoint(baseline(), wrong),
      new RegExp(`parameter "${name}" is \\[84, 400\\], the file has \\[400, 84\\]`),
    );
  }));

testWithShared(
  "a transposed weight in PyTorch's format is refused too",
  ["cases/transposed_linear.checkpoint"],
  async () => {
    await assert.rejects(
      loadCheckpoint(baseline(), sharedPath("cases/transposed_linear.checkpoint")),
      /parameter ".*" is \[\d+, \d+\], the file has \[\d+, \d+\]/,
    );
  },
);

Deno.test("hyper-parameters come from the checkpoint, or contradict it in an error", () =>
  inFolder(async (savePath) => {
    const due = { mode: "due", kernel: "Matern12", nInducingPoints: 5 } as const;
    const checkpoint = await trained(savePath, due);
    const use = { mode: "due", limit: 20, checkpoint, savePath } as const;
    const { hyperparameters, inDomain } = await evaluate(runConfig(use));
    assert.deepEqual(hyperparameters, { nInducingPoints: 5, kernel: "Matern12" });
    const own = await evaluate(runConfig({ ...due, limit: 20, epochs: 1, savePath }));
    assert.deepEqual(own.inDomain, inDomain);
    await assert.rejects(
      evaluate(runConfig({ ...use, kernel: "RBF" })),
      /trained with kernel Matern12, the option says RBF; leave the option out/,
    );
    await assert.rejects(
      evaluate(runConfig({ ...use, mode: "baseline" })),
      /it says that it is a model of DUE; use --mode due/,
    );
  }));

Deno.test("how a training was done comes from the checkpoint: DUQ's arithmetic", () =>
  inFolder(async (savePath) => {
    const checkpoint = await trained(savePath, { mode: "duq", kernelArithmetic: "log" });
    const { procedure } = await evaluate(
      runConfig({ mode: "duq", limit: 20, checkpoint, savePath }),
    );
    assert.equal(procedure["kernelArithmetic"], "log");
    await assert.rejects(
      evaluate(
        runConfig({ mode: "duq", limit: 20, checkpoint, savePath, kernelArithmetic: "direct" }),
      ),
      /trained with kernelArithmetic log, the option says direct/,
    );
  }));

Deno.test("the same training leaves the same bytes in another folder, and the same run of an attack", () =>
  inFolder(async (folder) => {
    const paths = ["one", "two"].map((name) => join(folder, name));
    const names: string[] = [];
    const pages: string[][] = [];
    for (const savePath of paths) {
      await trained(savePath, { epochs: 2 });
      await attack(runConfig({ mode: "baseline", limit: 20, epochs: 2, savePath }));
      const runs = [...Deno.readDirSync(join(savePath, "runs"))].map(({ name }) => name).sort();
      names.push(runs.join());
      pages.push(await Promise.all(runs.map((run) => report([join(savePath, "runs", run)]))));
      // A page holds no time at all: not even another day would show.
      assert.doesNotMatch(pages.flat().join(), /20\d\d-[01]\d-[0-3]\d/);
    }
    assert.deepEqual(pages[0]?.map((page) => page.length), pages[1]?.map((page) => page.length));
    assert.ok(pages[0]?.join() === pages[1]?.join());
    assert.equal(names[0], names[1]);
    for (const run of names[0]?.split(",") ?? []) {
      for (
        const file of ["checkpoints/0.safetensors", "metrics.json"].concat(
          run.startsWith("attack") ? ["predictions.safetensors", "examples.safetensors"] : [],
        )
      ) {
        const [a, b] = await Promise.all(
          paths.map((path) => Deno.readFile(join(path, "runs", run, file))),
        );
        assert.ok(a && b && a.toBase64() === b.toBase64(), `${run}/${file}`);
      }
    }
  }));

Deno.test("another model makes another run, although the options are the same", () =>
  inFolder(async (savePath) => {
    const config = runConfig({ mode: "baseline", limit: 20, epochs: 1, savePath });
    const best = await trained(savePath);
    await attack(config);
    // As a training on another GPU would: the same statement, a model of its own.
    const { tensors, metadata } = await readSafetensors(best);
    const changed = [...tensors].map(([name, { shape, data }]) =>
      [name, { shape, data: data.map((v) => 1.01 * v) }] as const
    );
    await writeSafetensors(best, { tensors: new Map(changed), metadata });
    await attack(config);
    const runs = [...Deno.readDirSync(join(savePath, "runs"))].filter(({ name }) =>
      name.startsWith("attack-")
    );
    assert.equal(runs.length, 2);
  }));

Deno.test("a best model that is missing beside the last one is made again, to the same bytes", () =>
  inFolder(async (savePath) => {
    for (const lr of [0.01, 1e-9]) {
      // With next to no learning the first epoch stays the best, and the training starts afresh.
      const options = { lr, epochs: 2 };
      const best = await trained(savePath, options);
      const bytes = await Deno.readFile(best);
      await Deno.remove(best);
      const config = runConfig({ mode: "baseline", limit: 20, savePath, ...options });
      if (lr < 0.01) {
        // Stopped in its first epoch, it leaves nothing that the new best would not belong to.
        const stopping = { ...silent, record: (): void => assert.fail("stopped") };
        await assert.rejects(train(config, stopping), /stopped/);
        const left = [...Deno.readDirSync(dirname(best))].map(({ name }) => name);
        assert.ok(!left.some((name) => name.endsWith(".safetensors")), `${left}`);
      }
      const { checkpoints } = await evaluate(config);
      assert.deepEqual(checkpoints, [best]);
      assert.equal((await Deno.readFile(best)).toBase64(), bytes.toBase64());
    }
  }));

Deno.test("a run is repeated and verified on its own data, or not at all", () =>
  inFolder(async (folder) => {
    const dataPath = join(folder, "Data");
    const raw = join(dataPath, "MNIST", "raw");
    await Deno.mkdir(raw, { recursive: true });
    const savePath = join(folder, "models");
    const config = runConfig({ mode: "baseline", limit: 20, epochs: 1, savePath });
    await attack(config);
    const [run] = [...Deno.readDirSync(join(savePath, "runs"))].filter(({ name }) =>
      name.startsWith("attack-")
    );
    const path = join(savePath, "runs", run?.name ?? "");
    assert.equal((await verify(path)).verified, true);
    // As if the run had been made on other images.
    const recorded = await readRun(path);
    const { sha256 } = await loadEmbedded("letters");
    const data = recorded.identity["data"] as Record<string, Record<string, unknown>>;
    const identity = {
      ...recorded.identity,
      data: { ...data, outDomain: { ...data["outDomain"], sha256 } },
    };
    await Deno.writeTextFile(join(path, "run.json"), JSON.stringify({ ...recorded, identity }));
    await assert.rejects(
      verify(path),
      /its data are not those in "embedded": it used 20 images of embedded letters, there are 20 images of embedded letters with other pixels or labels/,
    );
  }));
