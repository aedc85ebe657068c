/** What runs are called beside each other: what is as usual is left out, and what differs is never. */
import assert from "node:assert/strict";
import { seedsOf } from "../src/experiment/seeds.ts";
import { batteryVerdict } from "../src/report/battery_words.ts";
import type { RunContent } from "../src/report/content.ts";
import { labels } from "../src/report/names.ts";
import { headed, subjectTitle } from "../src/report/words.ts";
import { isUsual } from "../src/experiment/usual.ts";

/** As much of an attack as its name is made of. */
function attackOf(
  options: Readonly<Record<string, unknown>>,
  { mode = "sngp", mean = "batches", images = "embedded letters", digest = "0" } = {},
): RunContent {
  const model = mode === "sngp" ? "LeNet_SNGP" : "LeNet";
  const all = { mode, model, protocol: "paper", seed: 0, resize: false, epsilonAttack: 0.1 };
  const content = {
    command: "attack",
    name: `attack-${digest}`,
    figures: { mode, model, procedure: { mean, attack: "published" } },
    run: {
      digest: digest.repeat(12),
      identity: {
        options: { ...all, ...options },
        data: { outDomain: { name: images, count: 10, sha256: images } },
        epochs: [20],
      },
    },
  };
  return content as unknown as RunContent;
}

function namesOf(...contents: RunContent[]): string[] {
  return contents.map((content) => labels(contents)(content));
}

Deno.test("`labels()` says in words what differs and is not as usual, of paths the last part", () => {
  assert.deepEqual(
    namesOf(
      attackOf({ temperatureScaling: false, steps: 10 }),
      attackOf({ temperatureScaling: true, steps: 10 }, { mean: "samples" }),
      attackOf(
        { resize: true, outDomain: "/somewhere/of/mine/photos", steps: 3 },
        { images: "photos (own images)" },
      ),
      attackOf({ resize: true, epochs: 3, steps: 1 }, { mode: "baseline" }),
    ),
    [
      "SNGP",
      "SNGP, temperature scaling, mean over samples",
      "SNGP, resize, steps 3, out-domain photos",
      "Baseline, resize",
    ],
  );
  assert.deepEqual(
    namesOf(attackOf({ seed: 0, scores: "all" }), attackOf({ seed: 1, scores: "all" })),
    ["SNGP, seed 0", "SNGP, seed 1"],
  );
  assert.deepEqual(
    namesOf(attackOf({}), attackOf({}, { images: "notMNIST" })),
    ["SNGP, out-domain embedded letters", "SNGP, out-domain notMNIST"],
  );
  assert.deepEqual(
    namesOf(attackOf({}, { digest: "a" }), attackOf({}, { digest: "b" })),
    ["SNGP, aaaaaa", "SNGP, bbbbbb"],
  );
});

Deno.test("`isUsual()` knows what follows the protocol, the method and the network", () => {
  const run = { mode: "sngp", model: "LeNet_SNGP", protocol: "paper" };
  const corrected = { ...run, protocol: "corrected" };
  assert.ok(isUsual("mean", "batches", run) && !isUsual("mean", "batches", corrected));
  assert.ok(isUsual("steps", 10, run) && !isUsual("steps", 1, run));
  assert.ok(isUsual("steps", 1, { ...run, attack: "fgsm" }));
  assert.ok(isUsual("model", "LeNet_SNGP", run) && !isUsual("model", "ResNet18_SNGP", run));
  assert.ok(isUsual("augmentation", true, run) && !isUsual("augmentation", false, run));
  assert.ok(!isUsual("epochs", 2, run) && isUsual("epochs", undefined, run));
  assert.ok(!isUsual("toString", "x", { ...run, mode: "constructor" }));
});

Deno.test("an attack and a battery name what is put around a file, too", () => {
  const laplace = { mode: "laplace", model: "a.onnx" };
  assert.equal(subjectTitle(laplace), "Last-layer Laplace around a.onnx");
  assert.equal(subjectTitle({ ...laplace, mode: "baseline" }), "a.onnx");
  assert.equal(subjectTitle({ ...laplace, model: "LeNet" }), "Last-layer Laplace");
  assert.equal(
    headed({ ...laplace, model: "LeNet" }, "LeNet", ["b"]),
    "Last-layer Laplace (LeNet, b)",
  );
  assert.equal(seedsOf({ seed: 3, seeds: [null, null], model: "a.onnx" }), "seed 3");
  assert.equal(
    seedsOf({ seed: 3, seeds: [null], model: "LeNet" }),
    "seed 3; model of unknown seed",
  );
  const result = { battery: { on: "both", mode: "full" }, scores: {} } as const;
  assert.match(batteryVerdict({ ...laplace, ...result }), /^Last-layer Laplace around a.onnx has/);
});
