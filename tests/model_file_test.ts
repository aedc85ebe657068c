/** Classifiers out of ONNX files by the command line, as a user attacks them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { attackResultSchema } from "../src/experiment/documents.ts";
import { batteryDocument } from "../src/experiment/battery_document.ts";
import { preprocessOf } from "../src/experiment/model_files.ts";
import { attackNameOf, runConfig } from "../src/experiment/config.ts";
import { importedModel } from "../src/methods/mod.ts";
import { checkLifted, importOnnx } from "../src/onnx/mod.ts";
import { add, reciprocal, reshape, scale, sum, type Tensor } from "../src/nn/mod.ts";
import { smallNetwork } from "./onnx_writer.ts";
import { type Outcome, task } from "./program.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { inFolder, onlyRun, withDevice } from "./support.ts";

const file = (name: string): string => sharedPath(`reference/onnx/${name}.onnx`);
const needed = ["reference/onnx/mlp.onnx", "reference/onnx/lenet_view.onnx", "data/MNIST"];
const quick = ["--in-domain", "mnist", "--limit", "10", "--data-path", sharedPath("data")];

const attack = (cwd: string, ...args: readonly string[]): Promise<Outcome> =>
  task("attack", [...args, ...quick], { cwd });

testWithShared(
  "a model file is attacked by the published pgd, verified and repeated",
  needed,
  () =>
    inFolder(async (cwd) => {
      const first = await attack(cwd, "--model-file", file("mlp"), "--json");
      assert.equal(first.code, 0, first.stderr);
      const made = attackResultSchema.parse(JSON.parse(first.stdout));
      const { mode, model, epsilonAttack, attack: by, trained, clean, adversarial } = made;
      assert.deepEqual([mode, model, epsilonAttack, trained], ["baseline", "mlp.onnx", 0.1, [
        null,
      ]]);
      assert.deepEqual(
        [by.name, by.steps, by.stepSize, by.objective],
        ["pgd", 10, 0.01, "published"],
      );
      assert.ok((adversarial.entropy ?? NaN) < (clean.entropy ?? NaN) - 0.1);
      const run = await onlyRun(join(cwd, "trained_models"), "attack");
      const verified = await task("verify", [run], { cwd });
      assert.equal(verified.code, 0, verified.stderr);
      assert.match(verified.stdout, /the same to the last bit/);
      const again = await task("attack", ["--config", `${run}/run.json`, "--json"], { cwd });
      assert.equal(again.code, 0, again.stderr);
      const { seconds: _, ...figures } = attackResultSchema.parse(JSON.parse(again.stdout));
      const { seconds: __, ...before } = made;
      assert.deepEqual(figures, before);
    }),
);

testWithShared(
  "several files are an ensemble, and a battery takes a file too",
  needed,
  () =>
    inFolder(async (cwd) => {
      const both = await attack(
        cwd,
        ...["mlp", "lenet_view"].flatMap((name) => ["--model-file", file(name)]),
        ...["--battery", "fast", "--on", "out", "--json"],
      );
      assert.equal(both.code, 0, both.stderr);
      assert.match(both.stderr, /ends in Softmax; the logits before it are used/);
      const { mode, model, battery, scores } = batteryDocument.parse(JSON.parse(both.stdout));
      assert.deepEqual([mode, model], ["deep_ensemble", "mlp.onnx + lenet_view.onnx"]);
      assert.ok(battery.members.some(({ objective }) => objective === "native"));
      assert.ok("mutualInformation" in scores);
    }),
);

testWithShared(
  "a run keeps a model file with what lies beside it, and is verified when both are gone",
  ["reference/onnx/modern.onnx", "reference/onnx/modern.onnx.data", "data/MNIST"],
  () =>
    inFolder(async (cwd) => {
      const parts = ["modern.onnx", "modern.onnx.data"];
      for (const part of parts) {
        const bytes = await Deno.readFile(sharedPath(`reference/onnx/${part}`));
        await Deno.writeFile(join(cwd, part), bytes);
      }
      const { code, stderr } = await task("eval", ["--model-file", "modern.onnx", ...quick], {
        cwd,
      });
      assert.equal(code, 0, stderr);
      const run = await onlyRun(join(cwd, "trained_models"), "eval");
      for (const part of parts) await Deno.remove(join(cwd, part));
      const verified = await task("verify", [run], { cwd });
      assert.equal(verified.code, 0, verified.stderr);
      const gone = await task("eval", ["--config", `${run}/run.json`], { cwd });
      assert.equal(gone.code, 1);
      assert.match(gone.stderr, /Cannot read ".*modern\.onnx": there is no such file/);
    }),
);

testWithShared(
  "what does not go with a model file is refused in a sentence",
  needed,
  () =>
    inFolder(async (cwd) => {
      const mlp = ["--model-file", file("mlp")];
      const refused: readonly (readonly [args: readonly string[], sentence: RegExp])[] = [
        [
          ["--model-file", file("cifar_resnet8")],
          /\[1, 28, 28\].*cifar_resnet8.*\[batch, 3, 32, 32\]/,
        ],
        [
          ["--model-file", file("two_class")],
          /"two_class.onnx" on MNIST: it tells 2 classes.*has 10/,
        ],
        [["--model-file", file("unsupported_lstm")], /no rule for LSTM \("\/l\/LSTM"\)/],
        [
          [...mlp, "--mode", "sngp"],
          /one file is a baseline or a laplace, not sngp; leave out --mode, or use laplace/,
        ],
        [[...mlp, "--model", "LeNet"], /--model here: the model file is the network/],
        [[...mlp, "--checkpoint", "a"], /leave out --checkpoint/],
        [[...mlp, "--epochs", "3"], /the model file is trained already/],
        [[...mlp, "--output", "foo"], /Cannot find the output "foo": "mlp.onnx" has "logits"/],
        [[...mlp, ...mlp], /they hold the same model/],
        [["--output", "logits"], /there is no model file; add --model-file/],
        [
          ["--model-file", "there_is_none.onnx"],
          /Cannot read "there_is_none.onnx": there is no such/,
        ],
      ];
      for (const [args, sentence] of refused) {
        const { code, stderr } = await attack(cwd, ...args);
        assert.equal(code, 1, stderr);
        assert.match(stderr.trim().split("\n").at(-1) ?? "", sentence);
      }
    }),
);

Deno.test("a model file needs a set, and settles what nobody chooses by it", () => {
  const of = { mode: "baseline", modelFile: "a/model.onnx" } as const;
  assert.throws(() => runConfig(of), /does not say which images.*--in-domain/);
  assert.throws(() => runConfig({ ...of, modelFile: "model.pt", inDomain: "mnist" }), /no .onnx/);
  const config = runConfig({
    ...of,
    inDomain: "cifar10",
  });
  const { model, outDomain, epsilonAttack, steps } = config;
  assert.deepEqual(
    [model, outDomain, epsilonAttack, attackNameOf(config), steps],
    ["model.onnx", "svhn", 0.016, "pgd", 10],
  );
});

Deno.test("preprocessing is numbers, one or one a channel", () => {
  assert.deepEqual(preprocessOf("mean=0.5:0.4:0.3,std=2"), { mean: [0.5, 0.4, 0.3], std: [2] });
  assert.deepEqual(preprocessOf("std=0.5"), { mean: [0], std: [0.5] });
  for (const text of ["", "mean=", "mean=a", "std=0", "mean=1,std=1,gamma=2", "0.5"]) {
    assert.throws(() => preprocessOf(text), /Cannot preprocess by/, text);
  }
});

Deno.test("the command line imports a file that a test wrote", () =>
  inFolder(async (cwd) => {
    await Deno.writeFile(join(cwd, "small.onnx"), smallNetwork());
    const { code, stderr } = await task(
      "attack",
      ["--model-file", "small.onnx", "--in-domain", "mnist", "--limit", "10"],
      { cwd },
    );
    // Whatever the small network is, it is read, and no fault of the program's.
    assert.notEqual(code, 70, stderr);
    assert.match(stderr, /small\.onnx|kept in/);
    const few = ["--preprocess", "mean=0.5:0.1,std=1"];
    const refused = await task(
      "attack",
      ["--model-file", "small.onnx", "--in-domain", "mnist", ...few],
      { cwd },
    );
    assert.match(
      refused.stderr,
      /images of 1 channel by 2 mean values: give one, or one a channel/,
    );
  }));

Deno.test("where no set says how many classes there are, the first member does", async () => {
  const network = await importOnnx(smallNetwork());
  const imageShape = network.imageShape?.map((n) => n ?? 28) ?? [1, 28, 28];
  const classes = network.classes(imageShape) + 1;
  assert.throws(
    () => importedModel(network, { imageShape, classes, set: undefined }),
    new RegExp(`in this ensemble: it tells .* the first model ${classes}; name another model by`),
  );
});

Deno.test("a network in which images change each other is no classifier of several", () =>
  withDevice(async (device) => {
    const rows = (x: Tensor): Tensor => reshape(x, [x.shape[0] ?? 1, -1]);
    const network = { name: "n.onnx", isLifted: true };
    await checkLifted(device, { ...network, logits: rows }, [1, 2, 2]);
    const mixed = (x: Tensor): Tensor =>
      rows(x).shape[0] === 1 ? rows(x) : add(rows(x), sum(rows(x)));
    // Also where the file leaves the number of images open: a statistic over the batch is none of an image's.
    for (const isLifted of [true, false]) {
      await assert.rejects(
        checkLifted(device, { ...network, isLifted, logits: mixed }, [1, 2, 2]),
        /one changes the logits of another/,
      );
    }
    // Numbers that are none are no sign of it: what they come from is told by the attack.
    const infinite = (x: Tensor): Tensor => reciprocal(scale(rows(x), 0));
    await checkLifted(device, { ...network, logits: infinite }, [1, 2, 2]);
  }));
