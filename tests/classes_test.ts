/** Every figure of a model follows the number of classes that its answer has: held against f64 by hand. */
import assert from "node:assert/strict";
import type { ImageSet } from "../data/mod.ts";
import { attacks } from "../src/attack/mod.ts";
import { runConfig } from "../src/experiment/config.ts";
import { ResidentSet } from "../src/evaluate/resident_set.ts";
import { calibrationOf, detectionOf } from "../src/measure/evidence.ts";
import { detectionSchema } from "../src/measure/schema.ts";
import { knows } from "../src/measure/guessing.ts";
import { type Method, methods, ofLogits, single, type Subject } from "../src/methods/mod.ts";
import {
  accuracy,
  brier,
  entropy,
  nll,
  rejectedRows,
  rejectionRate,
} from "../src/measure/metrics.ts";
import * as nn from "../src/nn/mod.ts";
import { attackSet } from "../src/evaluate/attack_set.ts";
import { knownLabels, knownTarget, predict } from "../src/evaluate/predict.ts";
import { iterationOf, procedureOf } from "../src/methods/protocol.ts";
import { attack } from "../src/experiment/attack.ts";
import { silent } from "../src/base/reporter.ts";
import { uncertainties } from "../src/experiment/uncertainty.ts";
import { hyperparametersOf } from "./hyperparameters.ts";
import { wave } from "./check_grads.ts";
import { inFolder, withDevice } from "./support.ts";

const count = 60;
const pixels = 16;

function setOf(phase: number): ImageSet {
  return {
    name: "waves",
    images: Uint8Array.from(wave(count * pixels, phase), (value) => 128 + 100 * value),
    labels: new Uint16Array(count),
    count,
    shape: [1, 4, 4],
    sha256: "",
    source: "test",
  };
}

/** A linear softmax model, as the graph has it. */
function subjectOf(weights: Float32Array, classes: number): Subject {
  const logits = (x: nn.Tensor): nn.Tensor =>
    nn.matmul(nn.reshape(x, [-1, pixels]), nn.constant(weights, [pixels, classes]));
  return single([ofLogits(logits)]);
}

/** The same model's probabilities in f64, row by row. */
function byHand(weights: Float32Array, classes: number, { images }: ImageSet): number[][] {
  return Array.from({ length: count }, (_, i) => {
    const logits = Array.from({ length: classes }, (_, c) => {
      let sum = 0;
      for (let k = 0; k < pixels; k++) {
        sum += (images[pixels * i + k] ?? NaN) / 255 * (weights[k * classes + c] ?? NaN);
      }
      return sum;
    });
    const most = Math.max(...logits);
    const total = logits.reduce((sum, z) => sum + Math.exp(z - most), 0);
    return logits.map((z) => Math.exp(z - most) / total);
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

function close(actual: number | null | undefined, wanted: number, what: string): void {
  assert.ok(Math.abs((actual ?? NaN) - wanted) < 2e-4, `${what}: ${actual} is not ${wanted}`);
}

for (const classes of [2, 3, 5, 26, 300]) {
  Deno.test(`a model of ${classes} classes has the figures that f64 gives by hand`, () =>
    withDevice(async (device) => {
      const weights = Float32Array.from(wave(pixels * classes, 2), (w) => 3 * w);
      const subject = subjectOf(weights, classes);
      const job = {
        device,
        subject,
        seed: 0,
        batchSize: 25,
        reporter: silent,
        explain: { explain: false, time: false },
      };
      const [own, other] = [setOf(0.7), setOf(1.9)];
      const answers = await predict({ ...job, set: new ResidentSet(own) });
      const settings = attacks.pgd.settings(0.1, { ...iterationOf(procedureOf("paper")) });
      const attacked = await attackSet({ ...job, set: new ResidentSet(other), settings });
      const { predictions } = answers;
      assert.equal(predictions.classes, classes);
      assert.equal(predictions.logProbabilities.length, count * classes);

      const [p, q] = [own, other].map((set) => byHand(weights, classes, set));
      assert.ok(p && q);
      const tops = p.map((row) => Math.max(...row));
      const tau = 0.9;
      assert.ok(tops.every((top) => Math.abs(top - tau) > 1e-4), "no image lies at the threshold");
      // Every third label is another class than the most probable one, which may be the last.
      const labels = p.map((row, i) =>
        (row.indexOf(tops[i] ?? NaN) + (i % 3 === 0 ? 1 : 0)) % classes
      );
      const entropyOf = (row: readonly number[]): number =>
        row.reduce((h, v) => v > 0 ? h - v * Math.log(v) : h, 0);
      const rejected = tops.filter((top) => top <= tau).length;
      close(entropy(predictions), mean(p.map(entropyOf)), "entropy");
      assert.ok(entropy(predictions) <= Math.log(classes));
      assert.equal(rejectedRows(predictions, tau), rejected);
      assert.equal(rejectionRate(predictions, tau), rejected / count);
      assert.equal(accuracy(predictions, labels), 2 / 3);
      const squares = p.map((row, i) =>
        mean(row.map((v, c) => (v - (c === labels[i] ? 1 : 0)) ** 2))
      );
      close(brier(predictions, labels), mean(squares), "Brier");
      close(
        nll(predictions, labels),
        mean(p.map((row, i) => -Math.log(row[labels[i] ?? 0] ?? NaN))),
        "NLL",
      );
      const { ece } = calibrationOf(predictions, labels);
      assert.ok(ece !== null && ece >= 0 && ece <= 1);

      const clean = uncertainties(attacked.clean, {});
      const adversarial = uncertainties(attacked.adversarial, {});
      close(clean.entropy, mean(q.map(entropyOf)), "entropy out-domain");
      assert.ok((adversarial.entropy ?? NaN) < (clean.entropy ?? NaN));
      assert.ok(adversarial.rejectedImages <= clean.rejectedImages);

      const { scores } = detectionSchema.parse(
        detectionOf(answers, { clean: attacked.clean }, 0),
      );
      const pairs = tops.flatMap((top) =>
        q.map((row) => {
          const gap = top - Math.max(...row);
          return gap > 0 ? 1 : gap < 0 ? 0 : 0.5;
        })
      );
      // One pair of the 3,600 may change its order in f32.
      const auroc = scores["maxProbability"]?.clean.auroc.value ?? NaN;
      assert.ok(Math.abs(auroc - mean(pairs)) <= 1 / 3600, `${auroc} ${mean(pairs)}`);

      await assert.rejects(
        attackSet({ ...job, set: new ResidentSet(other), settings, target: classes }),
        new RegExp(`Cannot steer to class ${classes}: the model has ${classes} classes, from 0 on`),
      );
    }));
}

Deno.test("a class that the model has not is refused before anything is trained, in every mode", () =>
  inFolder(async (savePath) => {
    const refused = /^UserError: Cannot steer to class 10: the model has 10 classes, from 0 on/;
    const procedure = procedureOf("paper");
    for (const method of Object.values<Method>(methods)) {
      for (const name of method.models) {
        const random = new nn.Random(0);
        const own = hyperparametersOf({ nInducingPoints: 5 });
        const model = method.create(name, { random, procedure, ...own });
        const subject = method.subject(method.ensemble ? [model, model] : [model], procedure, own);
        for (const target of [undefined, 0, 9]) knownTarget(subject, model.imageShape, target);
        assert.throws(() => knownTarget(subject, model.imageShape, 10), refused, name);
      }
    }
    const config = runConfig({ mode: "deep_ensemble", savePath, limit: 20, targeted: 10 });
    await assert.rejects(attack(config), refused);
    assert.deepEqual([...Deno.readDirSync(savePath)], []);
  }));

Deno.test("a label of a class that the model has not is an error, in a sentence", () => {
  knownLabels({ name: "letters", labels: [0, 4, 2] }, 5);
  assert.throws(
    () => knownLabels({ name: "letters", labels: [0, 4, 5, 9] }, 5),
    /^UserError: Cannot evaluate on letters: image 2 is of class 5, the model has 5 classes, from 0 on; use/,
  );
});

Deno.test("what guessing reaches depends on the number of classes", () => {
  const of = (right: number, classes: number): boolean => knows({ right, count: 100, classes });
  assert.deepEqual([2, 3, 5, 26, 300].map((classes) => of(60, classes)), [
    false,
    true,
    true,
    true,
    true,
  ]);
  assert.deepEqual([2, 3, 5, 26, 300].map((classes) => of(12, classes)), [
    false,
    false,
    false,
    true,
    true,
  ]);
});
