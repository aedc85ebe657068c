/** Detectors and calibration: by hand, by properties, and beside scikit-learn's figures. */
import assert from "node:assert/strict";
import process from "node:process";
import { z } from "zod";
import { calibration } from "../src/measure/calibration.ts";
import {
  bootstrap,
  drawnTimes,
  estimate,
  separation,
  shareBelow,
  thresholdKeeping,
} from "../src/measure/detection.ts";
import type { Predictions } from "../src/measure/metrics.ts";
import { estimatePairs, type Pair } from "../src/measure/paired.ts";
import { philox } from "../src/nn/graph/philox.ts";
import { xoshiro } from "../src/measure/xoshiro.ts";
import { fc } from "./property.ts";

function close(actual: number | undefined, expected: number, tolerance = 1e-12): void {
  const difference = Math.abs((actual ?? NaN) - expected);
  assert.ok(difference <= tolerance, `${actual} is not ${expected}`);
}

const numbers = z.array(z.number());
const goldenSchema = z.object({
  separation: z.array(z.object({
    name: z.string(),
    inDomain: numbers,
    outDomain: numbers,
    auroc: z.number(),
    auprIn: z.number(),
    auprOut: z.number(),
    fprAt95Tpr: z.number(),
    threshold: z.number(),
  })),
  calibration: z.array(z.object({
    name: z.string(),
    bins: z.int(),
    confidence: numbers,
    correct: numbers,
    counts: numbers,
    accuracies: numbers,
    confidences: numbers,
    ece: z.number(),
  })),
});
const golden = goldenSchema.parse(
  JSON.parse(await Deno.readTextFile(new URL("golden/detection.json", import.meta.url))),
);

for (const { name, inDomain, outDomain, threshold, ...figures } of golden.separation) {
  Deno.test(`\`separation()\` gives scikit-learn's figures: ${name}`, () => {
    const ours = separation(inDomain, outDomain);
    for (const key of ["auroc", "auprIn", "auprOut", "fprAt95Tpr"] as const) {
      close(ours[key], figures[key]);
    }
    assert.equal(thresholdKeeping(inDomain), threshold);
    close(1 - shareBelow(outDomain, threshold), figures.fprAt95Tpr);
  });
}

/** Two classes, the first of the given probability; right ones are labelled with the surer class. */
function answers(
  confidence: readonly number[],
  correct: readonly number[],
): [Predictions, number[]] {
  const rows = confidence.flatMap((p) => [p, ...Array.from({ length: 9 }, () => (1 - p) / 9)]);
  const logProbabilities = Float32Array.from(rows, Math.log);
  return [{ logProbabilities, classes: 10 }, correct.map((right) => right ? 0 : 1)];
}

for (const { name, bins, confidence, correct, ...wanted } of golden.calibration) {
  Deno.test(`\`calibration()\` gives scikit-learn's diagram: ${name}`, () => {
    const ours = calibration(...answers(confidence, correct), bins);
    assert.deepEqual(ours.bins.map((bin) => bin.count), wanted.counts);
    const filled = ours.bins.filter((bin) => bin.count > 0);
    filled.forEach((bin, i) => {
      close(bin.accuracy, wanted.accuracies[i] ?? NaN);
      close(bin.confidence, wanted.confidences[i] ?? NaN, 1e-6);
    });
    close(ours.ece, wanted.ece, 1e-6);
  });
}

Deno.test("`separation()` gives hand values", () => {
  // Pairs in order 3 > 2, 3 > 1, 2 = 2, 2 > 1: 3.5 of 4.
  const ours = separation([3, 2], [2, 1]);
  close(ours.auroc, 3.5 / 4);
  // From the top: recall 1/2 at precision 1, then 1 at 2/3.
  close(ours.auprIn, 1 / 2 + 1 / 2 * 2 / 3);
  // From the bottom the same.
  close(ours.auprOut, 1 / 2 + 1 / 2 * 2 / 3);
  // All of the positives are kept at 2, where one negative of two passes.
  close(ours.fprAt95Tpr, 1 / 2);
  const perfect = separation([5, 4], [1, 0, -Infinity]);
  assert.deepEqual(perfect, { auroc: 1, auprIn: 1, auprOut: 1, fprAt95Tpr: 0 });
});

Deno.test("the threshold keeps 95 % and no more than it must", () => {
  const scores = Array.from({ length: 100 }, (_, i) => (i * 37) % 100);
  assert.equal(thresholdKeeping(scores), 5);
  close(shareBelow(scores, 5), 0.05);
  assert.equal(thresholdKeeping([1, 1, 1, 2]), 1);
  assert.equal(thresholdKeeping([1, 2, 3, 4], 0.5), 3);
  assert.ok(Number.isNaN(thresholdKeeping([])));
});

Deno.test("a score that is no number ranks below all: it is rejected", () => {
  close(separation([1, NaN], [0, 0]).auroc, 1 / 2);
  close(separation([1, 1], [0, NaN]).auroc, 1);
  close(separation([NaN], [NaN]).auroc, 1 / 2);
  assert.equal(shareBelow([NaN, -1e300, 3], -2e300), 1 / 3);
  assert.equal(thresholdKeeping([NaN, NaN, 1]), -Infinity);
});

Deno.test("an empty set gives no number", () => {
  assert.ok(Number.isNaN(separation([], [1]).auroc));
  assert.ok(Number.isNaN(separation([1], []).fprAt95Tpr));
});

const score = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ noNaN: true }));
const scores = fc.array(score, { minLength: 1, maxLength: 30 });

Deno.test("AUROC is the share of pairs in order, ties half", () => {
  fc.assert(fc.property(scores, scores, (a, b) => {
    let pairs = 0;
    for (const x of a) for (const y of b) pairs += x > y ? 1 : x === y ? 1 / 2 : 0;
    close(separation(a, b).auroc, pairs / (a.length * b.length));
  }));
});

Deno.test("figures lie in 0 to 1, stay under increasing maps, and turn round with the classes", () => {
  fc.assert(fc.property(scores, scores, (a, b) => {
    const ours = separation(a, b);
    for (const value of Object.values(ours)) {
      assert.ok(value >= 0 && value <= 1 + 1e-12, `${value}`);
    }
    const ranks = [...new Set([...a, ...b].map((x) => x + 0))].sort((x, y) => x - y);
    const map = (x: number): number => ranks.indexOf(x + 0) ** 3;
    const mapped = separation(a.map(map), b.map(map));
    for (const key of ["auroc", "auprIn", "auprOut", "fprAt95Tpr"] as const) {
      close(mapped[key], ours[key]);
    }
    const turned = separation(b.map((x) => -x), a.map((x) => -x));
    close(turned.auroc, ours.auroc);
    close(turned.auprIn, ours.auprOut);
    close(turned.auprOut, ours.auprIn);
  }));
});

const quick = { ...bootstrap, resamples: 400, seed: 1 };

Deno.test("intervals are the same for the same seed, hold the value, and narrow as sets grow", () => {
  const set = (count: number, shift: number): number[] =>
    Array.from({ length: count }, (_, i) => shift + Math.sin(7 * i) + Math.cos(i * i));
  const widths = [30, 3000].map((n) => {
    const [a, b] = [set(n, 1), set(n, 0)];
    const ours = estimate(a, b, quick);
    assert.deepEqual(estimate(a, b, quick), ours);
    assert.notDeepEqual(estimate(a, b, { ...quick, seed: 2 }), ours);
    for (const { value, low, high } of Object.values(ours)) {
      assert.ok(low <= value && value <= high, `${low} ${value} ${high}`);
    }
    assert.equal(ours.auroc.value, separation(a, b).auroc);
    return ours.auroc.high - ours.auroc.low;
  });
  const [wide = NaN, narrow = NaN] = widths;
  assert.ok(narrow < wide / 5, `${widths}`);
});

Deno.test("intervals are those of sets drawn again one by one, whatever was told apart before", () => {
  const [p, n, resamples, seed] = [30, 20, 40, 5];
  const scores = (shift: number): [number[], number[]] => [
    Array.from({ length: p }, (_, i) => Math.round(3 * Math.sin(7 * i) + shift)),
    Array.from({ length: n }, (_, i) => Math.round(3 * Math.cos(i * i))),
  ];
  const options = { resamples, confidence: 0.9, seed };
  const fewer: [number[], number[]] = [scores(1)[0].slice(3), scores(1)[1]];
  for (const [a, b] of [scores(1), scores(2), fewer, scores(1)]) {
    const word = xoshiro(philox([seed, 0], [0, 0, 0, 0]));
    const again = (of: readonly number[]): number[] =>
      of.map(() => of[Math.floor(word() * of.length / 2 ** 32)] ?? NaN);
    const drawn = Array.from({ length: resamples }, () => separation(again(a), again(b)));
    const found = estimate(a, b, options);
    for (const name of ["auroc", "auprIn", "auprOut", "fprAt95Tpr"] as const) {
      const sorted = drawn.map((of) => of[name]).toSorted((x, y) => x - y);
      // 5 % and 95 % of 39 gaps lie 0.95 and 0.05 of one from the second and the last but two.
      const at = (i: number, share: number): number =>
        (1 - share) * (sorted[i] ?? NaN) + share * (sorted[i + 1] ?? NaN);
      close(found[name].low, at(1, 0.95));
      close(found[name].high, at(37, 0.05));
    }
  }
});

Deno.test("resamples are the same where they are too many to be kept", () => {
  const few = Array.from(drawnTimes(2, 70_000, 3, 5), (times) => Uint8Array.from(times));
  const many = drawnTimes(2, 70_000, 2000, 5);
  for (const times of few) {
    const own = many.next().value;
    assert.ok(own);
    assert.equal(own.buffer.byteLength, 70_002, "one resample at a time");
    assert.ok(own.every((of, i) => of === times[i]));
    assert.deepEqual([own.subarray(0, 2), own.subarray(2)].map(total), [2, 70_000]);
  }
  assert.deepEqual(Array.from(drawnTimes(2, 70_000, 3, 5)), few, "kept ones, too");
});

function total(times: Uint8Array): number {
  return times.reduce((sum, of) => sum + of, 0);
}

Deno.test("an AUROC's interval is as wide as Hanley and McNeil's for exponential scores", () => {
  const word = xoshiro(philox([3, 0], [0, 0, 0, 0]));
  const draw = (mean: number): number[] =>
    Array.from({ length: 400 }, () => -mean * Math.log((word() + 1) / 2 ** 32));
  const { auroc } = estimate(draw(2), draw(1), quick);
  const a = auroc.value;
  const [q1, q2] = [a / (2 - a), 2 * a ** 2 / (1 + a)];
  const error = Math.sqrt((a * (1 - a) + 399 * (q1 - a * a) + 399 * (q2 - a * a)) / 400 ** 2);
  const ratio = (auroc.high - auroc.low) / (2 * 1.96 * error);
  assert.ok(ratio > 0.8 && ratio < 1.2, `${ratio}`);
});

Deno.test("a bootstrap of thousands of scores takes about a second of one processor", () => {
  const set = (count: number, shift: number): Float64Array =>
    Float64Array.from({ length: count }, (_, i) => shift + Math.sin(i * i));
  // Of this thread alone: whatever runs beside it is not counted.
  const start = process.threadCpuUsage();
  estimate(set(2000, 1), set(5000, 0), { ...bootstrap, seed: 0 });
  const { user, system } = process.threadCpuUsage(start);
  const seconds = (user + system) / 1e6;
  assert.ok(seconds > 0 && seconds < 4, `${seconds} s`);
});

Deno.test("`estimatePairs()` gives to the bit what `estimate()` gives of every pair by itself", () => {
  const score = fc.oneof(fc.integer({ min: -2, max: 2 }), fc.double(), fc.constant(NaN));
  const set = (length: number): fc.Arbitrary<number[]> =>
    fc.array(score, { minLength: length, maxLength: length });
  const sizes = fc.tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 30 }));
  const sets = sizes.chain(([p, n]) => fc.tuple(set(p), set(p), set(n), set(n)));
  fc.assert(
    fc.property(sets, fc.integer({ min: 0, max: 9 }), ([a, b, c, d], seed) => {
      const options = { ...bootstrap, resamples: 50, seed };
      const pairs: Pair[] = [[a, c], [a, d], [b, d]];
      const wanted = pairs.map(([own, other]) => {
        const { auroc, fprAt95Tpr } = estimate(own, other, options);
        return { auroc, fprAt95Tpr };
      });
      assert.deepEqual(estimatePairs(pairs, options), wanted);
    }),
  );
});

Deno.test("`calibration()` gives hand values, with bins closed on the right", () => {
  const [predictions, labels] = answers([0.5, 0.75, 0.75, 1], [0, 1, 0, 1]);
  const { ece, bins } = calibration(predictions, labels, 4);
  assert.deepEqual(bins.map((bin) => bin.count), [0, 1, 2, 1]);
  assert.deepEqual([bins[2]?.from, bins[2]?.to, bins[2]?.accuracy], [0.5, 0.75, 0.5]);
  close(ece, (0.5 + 2 * 0.25 + 0) / 4, 1e-7);
  assert.ok(Number.isNaN(bins[0]?.accuracy));
});

Deno.test("rows that are no numbers are left out of a calibration", () => {
  const [{ logProbabilities }, labels] = answers([0.9, 0.9], [1, 1]);
  logProbabilities[3] = NaN;
  const { ece, bins } = calibration({ logProbabilities, classes: 10 }, labels);
  assert.equal(bins.reduce((n, bin) => n + bin.count, 0), 1);
  close(ece, 0.1, 1e-6);
});

Deno.test("`xoshiro()` gives the published words", () => {
  const word = xoshiro([1, 2, 3, 4]);
  const words = Array.from({ length: 6 }, word);
  assert.deepEqual(words, [11520, 0, 5927040, 70819200, 2031721883, 1637235492]);
});
