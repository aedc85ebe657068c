import assert from "node:assert/strict";
import { fc } from "./property.ts";
import { atTemperature } from "../src/measure/calibration.ts";
import {
  accuracy,
  brier,
  entropy,
  infiniteConfidences,
  infiniteRows,
  nanRows,
  nll,
  type Predictions,
  rejectionRate,
} from "../src/measure/metrics.ts";

function predictions(...rows: readonly (readonly number[])[]): Predictions {
  const logProbabilities = Float32Array.from(rows.flat().map(Math.log));
  return { logProbabilities, classes: rows[0]?.length ?? 1 };
}

function close(actual: number, expected: number, tolerance = 1e-6): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);
}

const rows = fc.array(
  fc.array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 })
    .map((row) => row.map((p) => p / row.reduce((a, b) => a + b, 0))),
  { minLength: 1, maxLength: 20 },
);

Deno.test("`entropy()` is 0 for a sure row, log C for a uniform one, and their mean for both", () => {
  close(entropy(predictions([1, 0, 0, 0])), 0);
  close(entropy(predictions([0.25, 0.25, 0.25, 0.25])), Math.log(4));
  close(entropy(predictions([1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25])), Math.log(4) / 2);
  close(entropy(predictions([0.5, 0.5])), 0.6931471805599453);
});

Deno.test("`entropy()` lies between 0 and log C", () => {
  fc.assert(fc.property(rows, (r) => {
    const h = entropy(predictions(...r));
    return h >= -1e-6 && h <= Math.log(4) + 1e-6;
  }));
});

Deno.test("`rejectionRate()` counts rows whose largest probability is at most tau", () => {
  const p = predictions([0.5, 0.5], [0.9, 0.1], [0.95, 0.05], [0.2, 0.8]);
  assert.equal(rejectionRate(p, 0.4), 0);
  assert.equal(rejectionRate(p, 0.5), 0.25);
  assert.equal(rejectionRate(p, 0.85), 0.5);
  assert.equal(rejectionRate(p, 1), 1);
});

Deno.test("`rejectionRate()` never falls as tau rises", () => {
  fc.assert(fc.property(rows, (r) => {
    const p = predictions(...r);
    const rates = [0.1, 0.3, 0.5, 0.7, 0.9].map((tau) => rejectionRate(p, tau));
    return rates.every((rate, i) => i === 0 || rate >= (rates[i - 1] ?? 0));
  }));
});

Deno.test("`accuracy()`, `brier()` and `nll()` give hand values", () => {
  const p = predictions([0.7, 0.2, 0.1], [0.1, 0.3, 0.6]);
  assert.equal(accuracy(p, [0, 1]), 0.5);
  const first = (0.3 ** 2 + 0.2 ** 2 + 0.1 ** 2) / 3;
  const second = (0.1 ** 2 + 0.7 ** 2 + 0.6 ** 2) / 3;
  close(brier(p, [0, 1]), (first + second) / 2);
  close(nll(p, [0, 1]), -(Math.log(0.7) + Math.log(0.3)) / 2);
});

Deno.test("`brier()` and `nll()` are least where the truth gets all of the probability", () => {
  fc.assert(fc.property(rows, (r) => {
    const labels = r.map(() => 0);
    const truth = predictions(...r.map(() => [1, 0, 0, 0]));
    const p = predictions(...r);
    return brier(truth, labels) <= brier(p, labels) && nll(truth, labels) <= nll(p, labels);
  }));
});

Deno.test("means of batch means differ from means of samples by the last batch's weight", () => {
  const p = predictions([1, 0], [1, 0], [0.5, 0.5]);
  close(entropy(p), Math.LN2 / 3);
  close(entropy(p, { batchSize: 2 }), Math.LN2 / 2);
});

Deno.test("rows that make a mean infinite are counted, and those that hold a NaN are not among them", () => {
  const p = predictions([1, 0], [0, 1], [NaN, 0], [0, 0]);
  assert.equal(infiniteRows(p, [0, 0, 1, 1]), 2);
  assert.equal(infiniteRows(p, [0, 1, 1, 0]), 1);
  assert.equal(nll(p, [0, 0, 1, 1]), Infinity);
  assert.equal(infiniteConfidences(p), 1);
});

Deno.test("a NaN row counts as rejected, is counted, and spoils no other mean", () => {
  const p = predictions([1, 0], [NaN, NaN]);
  assert.equal(nanRows(p), 1);
  assert.equal(rejectionRate(p, 0.9), 0.5);
  close(entropy(p), 0);
  assert.equal(accuracy(p, [0, 0]), 0.5);
});

Deno.test("`atTemperature()` gives p^(1 / T) / sum p^(1 / T), and at 1 / T goes back, zeros too", () => {
  const given = [[0.7, 0.2, 0.1], [1 - 1e-6, 1e-6, 0], [0, 0.5, 0.5]];
  for (const by of [0.07, 0.4, 2.5]) {
    const scaled = atTemperature(predictions(...given), by);
    const wanted = given.flatMap((row) => {
      const powers = row.map((p) => p ** (1 / by));
      return powers.map((p) => p / powers.reduce((a, b) => a + b, 0));
    });
    wanted.forEach((p, i) => close(Math.exp(scaled.logProbabilities[i] ?? NaN), p));
    const back = atTemperature(scaled, 1 / by).logProbabilities;
    given.flat().forEach((p, i) => close(Math.exp(back[i] ?? NaN), p));
  }
  const none = atTemperature(predictions([0, 0], [0.5, 0.5]), 2);
  assert.equal(nanRows(none), 1, "a row without any probability is no number");
  close(nll(none, [0, 0]), Math.log(2));
});
