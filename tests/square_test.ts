/** Square: its rule in f64 against a plain account of it, and what it draws. */
import assert from "node:assert/strict";
import type { ImageSet } from "../data/mod.ts";
import { attacks, type NormName, norms } from "../src/attack/mod.ts";
import { type Asked, prepareBy, sidesOf } from "../src/attack/square.ts";
import { silent } from "../src/base/reporter.ts";
import { attackSet } from "../src/evaluate/attack_set.ts";
import { ResidentSet } from "../src/evaluate/resident_set.ts";
import { ofLogits, single } from "../src/methods/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { wave } from "./check_grads.ts";
import { exactly } from "./exact_l1.ts";
import { withDevice } from "./support.ts";

/** The share of the pixels as the authors' code has it, query by query. */
function shareAt(of10000: number): number {
  if (of10000 <= 10) return 0.8;
  if (of10000 <= 50) return 0.8 / 2;
  if (of10000 <= 200) return 0.8 / 4;
  if (of10000 <= 500) return 0.8 / 8;
  if (of10000 <= 1000) return 0.8 / 16;
  if (of10000 <= 2000) return 0.8 / 32;
  if (of10000 <= 4000) return 0.8 / 64;
  if (of10000 <= 6000) return 0.8 / 128;
  if (of10000 <= 8000) return 0.8 / 256;
  return 0.8 / 512;
}

Deno.test("squares shrink after the published queries, or after the same parts of any number", () => {
  for (const steps of [10_000, 2000, 1000]) {
    const of = (query: number): number => Math.floor(query * 10_000 / steps);
    assert.deepEqual(
      sidesOf(steps, 28, 28),
      Array.from(
        { length: steps },
        (_, query) => Math.max(1, Math.round(28 * Math.sqrt(shareAt(of(query))))),
      ),
    );
  }
  const changes = (sides: number[]): number[] =>
    sides.flatMap((side, i) => i > 0 && side !== sides[i - 1] ? [i] : []);
  assert.deepEqual(changes(sidesOf(10_000, 32, 32)), [
    ...[11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001],
  ]);
  assert.deepEqual(changes(sidesOf(2000, 32, 32)), [3, 11, 41, 101, 201, 401, 801, 1201, 1601]);
  assert.deepEqual(sidesOf(12, 2, 9, { least: 3, odd: true }), Array(12).fill(2));
  const odd = sidesOf(1000, 32, 32, { least: 3, odd: true, scaled: false });
  assert.deepEqual([...new Set(odd)], [29, 21, 15, 11, 7]);
});

const [height, width] = [11, 12];
const shape = [3, 2, height, width];
const [pixels, image, steps, classes] = [132, 264, 60, 4];
const numbers = (n: number, seed: number): Float32Array => new nn.Random(seed).uniform(n);
const [inner, outer] = [
  numbers(image * 8, 1).map((v) => v - 0.5),
  numbers(8 * classes, 2).map((v) => 6 * v - 3),
];

/** Cross-entropy `[B]` against class 0. */
function lossOf(x: nn.Tensor): nn.Tensor {
  const flat = nn.reshape(x, [-1, image]);
  const hidden = nn.tanh(nn.matmul(flat, nn.constant(inner, [image, 8])));
  const logits = nn.matmul(hidden, nn.constant(outer, [8, classes]));
  return nn.crossEntropy(logits, nn.constant(0, [x.shape[0] ?? 1]));
}

/** The same of one image, in plain loops. */
function plainLoss(x: readonly number[]): number {
  const hidden = Array.from(
    { length: 8 },
    (_, j) => Math.tanh(x.reduce((sum, v, i) => sum + v * (inner[i * 8 + j] ?? 0), 0)),
  );
  const logits = Array.from(
    { length: classes },
    (_, c) => hidden.reduce((sum, v, j) => sum + v * (outer[j * classes + c] ?? 0), 0),
  );
  const top = Math.max(...logits);
  return Math.log(logits.reduce((sum, z) => sum + Math.exp(z - top), 0)) + top - (logits[0] ?? 0);
}

/** How many numbers an image's start and a step of it take in each norm. */
const taken = {
  linf: { start: 24, step: 4 },
  l2: { start: 75, step: 7 },
  l1: { start: 75, step: 7 },
} as const;

/** What is drawn, by the number of the step: the same for the attack and for the account of it. */
function drawsOf(norm: NormName): Record<"start" | "step", Float32Array> {
  return {
    start: numbers(3 * taken[norm].start, 5),
    step: numbers((steps + 1) * 3 * taken[norm].step, 6),
  };
}

const signOf = (u = NaN): number => u < 0.5 ? -1 : 1;
const clipped = (v: number, low: number, high: number): number => Math.min(high, Math.max(low, v));

/** Pixel (channel, row, column) of an image. */
const at = (c: number, i: number, j: number): number => c * pixels + i * width + j;

/** Calls for every pixel of a window. */
function eachIn(
  row: number,
  column: number,
  side: number,
  what: (i: number, j: number) => void,
): void {
  for (let i = 0; i < side; i++) for (let j = 0; j < side; j++) what(row + i, column + j);
}

type Walk = {
  readonly start: (u: ArrayLike<number>) => number[];
  readonly next: (best: readonly number[], side: number, u: ArrayLike<number>) => number[];
};

/** Algorithm 2 of the paper on one image. */
function plainLinf(clean: readonly number[], epsilon: number): Walk {
  const project = (x: readonly number[]): number[] =>
    x.map((v, i) => {
      const c = clean[i] ?? NaN;
      return clipped(clipped(v, c - epsilon, c + epsilon), 0, 1);
    });
  return {
    start: (u) =>
      project(
        clean.map((v, k) => v + epsilon * signOf(u[Math.floor(k / pixels) * width + k % width])),
      ),
    next(best, side, u): number[] {
      const next = [...best];
      const row = Math.floor((u[0] ?? NaN) * (height + 1 - side));
      const column = Math.floor((u[1] ?? NaN) * (width + 1 - side));
      for (const c of [0, 1]) {
        eachIn(row, column, side, (i, j) => {
          next[at(c, i, j)] = (next[at(c, i, j)] ?? NaN) + 2 * epsilon * signOf(u[2 + c]);
        });
      }
      return project(next);
    },
  };
}

/**
 * `eta`, pixel by pixel, in f64: all rectangles around a half's middle from the one that first reaches the pixel to
 * the last, each one of 1 / k ** (2 power); both halves as long, of length 1 together.
 */
function plainBump(side: number, power: 1 | 2): number[] {
  const upper = Math.floor(side / 2);
  const half = (rows: number): number[] => {
    const [row, column] = [Math.floor(rows / 2), Math.floor(side / 2)];
    const all = Array.from({ length: rows * side }, (_, at) => {
      const away = Math.max(Math.abs(Math.floor(at / side) - row), Math.abs(at % side - column));
      const more = Math.max(row, column) - away;
      return Array.from({ length: more + 1 }, (_, k) => (away + k + 1) ** -(4 / power))
        .reduce((a, b) => a + b);
    });
    return all.map((v) => v / lengthIn(power, all));
  };
  const bump = [...half(upper), ...half(side - upper).map((v) => -v)];
  return bump.map((v) => v / lengthIn(power, bump));
}

const lengthIn = (power: 1 | 2, v: readonly number[]): number =>
  v.reduce((sum, d) => sum + Math.abs(d) ** power, 0) ** (1 / power);

/** Algorithm 3 of the paper on one image, and its change to L1. */
function plainWindows(power: 1 | 2, clean: readonly number[], epsilon: number): Walk {
  const size = (v: readonly number[]): number => lengthIn(power, v);
  const settled = (change: readonly number[]): number[] => {
    const moved = (factor: number): number[] =>
      clean.map((v, k) => v + factor * (change[k] ?? NaN));
    if (power === 1) return exactly({ center: clean, x: moved(1), radius: epsilon });
    return moved(epsilon / size(change)).map((v) => clipped(v, 0, 1));
  };
  const turnedBump = (side: number, lies: boolean): number[] => {
    const bump = plainBump(side, power);
    return bump.map((v, k) => lies ? bump[k % side * side + Math.floor(k / side)] ?? NaN : v);
  };
  return {
    start(u): number[] {
      const change = Array<number>(image).fill(0);
      for (let tile = 0; tile < 25; tile++) {
        const bump = turnedBump(2, (u[tile] ?? NaN) < 0.5);
        for (const c of [0, 1]) {
          let k = 0;
          eachIn(2 * Math.floor(tile / 5), 1 + tile % 5 * 2, 2, (i, j) => {
            change[at(c, i, j)] = signOf(u[25 + 25 * c + tile]) * (bump[k++] ?? NaN);
          });
        }
      }
      return settled(change);
    },
    next(best, side, u): number[] {
      const change = best.map((v, k) => v - (clean[k] ?? NaN));
      const place = (k: number, n: number): number => Math.floor((u[k] ?? NaN) * (n + 1 - side));
      const [row, column] = [place(0, height), place(1, width)];
      const [row2, column2] = [place(2, height), place(3, width)];
      const bump = turnedBump(side, (u[4] ?? NaN) < 0.5);
      const unused = Math.max(0, epsilon ** power - size(change) ** power) / 2;
      const made = [...change];
      for (const c of [0, 1]) {
        const own: number[] = [];
        const touched = new Set<number>();
        eachIn(row, column, side, (i, j) => {
          own.push(change[at(c, i, j)] ?? NaN);
          touched.add(at(c, i, j));
        });
        eachIn(row2, column2, side, (i, j) => touched.add(at(c, i, j)));
        const given = (unused + size([...touched].map((k) => change[k] ?? NaN)) ** power) **
          (1 / power);
        const turned = own.map((v, k) =>
          signOf(u[5 + c]) * (bump[k] ?? NaN) + v / (size(own) + 1e-12)
        );
        touched.forEach((k) => made[k] = 0);
        let k = 0;
        eachIn(row, column, side, (i, j) => {
          const share = (turned[k++] ?? NaN) / (size(turned) + 1e-12);
          made[at(c, i, j)] = share * given * (power === 1 ? 2 : 1);
        });
      }
      return settled(made);
    },
  };
}

/** The walk of one image. A start in L1 is of length 50 before it is cut to the radius. */
const walks: Record<NormName, (clean: readonly number[], epsilon: number) => Walk> = {
  linf: plainLinf,
  l2: (clean, epsilon) => plainWindows(2, clean, epsilon),
  l1: (clean, epsilon) => plainWindows(1, clean, epsilon),
};

for (const [norm, epsilon] of [["linf", 0.25], ["l2", 1.5], ["l1", 8], ["l1", 80]] as const) {
  Deno.test(`\`square\` in ${norm} to ${epsilon} is the published rule in f64, query by query`, () => {
    const clean = Float64Array.from(numbers(3 * image, 3));
    const drawn = drawsOf(norm);
    const source = ({ of, counter, count }: Asked): nn.Tensor => {
      assert.equal(count, taken[norm][of]);
      if (of === "start") return nn.constant(drawn.start, [3, count]);
      const table = nn.constant(drawn.step, [steps + 1, 3 * count]);
      return nn.reshape(nn.gatherRows(table, counter), [3, count]);
    };
    const settings = attacks.square.settings(epsilon, { norm, steps });
    const state = prepareBy({ loss: lossOf, shape }, settings, { source });
    assert.equal(state.repeats, steps + 1);
    const x0 = nn.input(shape);
    const values = new Map<nn.Parameter, Float64Array>();
    const move = (updates: nn.Updates, leaves: ReadonlyMap<nn.Tensor, Float64Array>): void => {
      const next = nn.evaluate([...updates.values()], leaves);
      [...updates.keys()].forEach((p, i) => values.set(p, next[i] ?? new Float64Array()));
    };
    move(state.start(x0, new nn.Random(0)), new Map([[x0, clean]]));
    const { updates, gradient } = state.step();
    assert.equal(gradient, undefined);
    const sides = sidesOf(steps, height, width, norm === "linf" ? {} : { least: 3, odd: true });
    assert.ok(new Set(sides).size > 1, "sides differ");
    const all = [0, 1, 2].map((b) => {
      const own = Array.from(clean.subarray(b * image, (b + 1) * image));
      const walk = walks[norm](own, epsilon);
      const { start } = taken[norm];
      const x = walk.start(drawn.start.subarray(b * start, (b + 1) * start));
      return { walk, best: x, tried: x, lowest: Infinity, kept: 0 };
    });
    for (let step = 0; step <= steps; step++) {
      move(updates, new Map([...values].map(([p, value]) => [p.tensor, value])));
      all.forEach((own, b) => {
        const loss = plainLoss(own.tried);
        if (loss < own.lowest) {
          Object.assign(own, { best: own.tried, lowest: loss, kept: own.kept + 1 });
        }
        const best = values.get(state.result)?.subarray(b * image, (b + 1) * image) ?? [];
        own.best.forEach((v, k) =>
          assert.ok(Math.abs(v - (best[k] ?? NaN)) < 1e-6, `step ${step}, image ${b}, pixel ${k}`)
        );
        if (step === steps) return;
        const n = taken[norm].step;
        const u = drawn.step.subarray((step * 3 + b) * n, (step * 3 + b + 1) * n);
        own.tried = own.walk.next(own.best, sides[step] ?? NaN, u);
      });
    }
    for (const { kept } of all) assert.ok(kept > 4 && kept < steps, `${kept} squares were kept`);
  });
}

const count = 50;
const set: ImageSet = {
  name: "waves",
  images: Uint8Array.from(wave(count * 32, 0.7), (value) => 128 + 127 * value),
  labels: new Uint16Array(count),
  count,
  shape: [2, 4, 4],
  sha256: "",
  source: "test",
};
const weights = nn.constant(Float32Array.from(wave(320, 2), (w) => 4 * w), [32, 10]);

Deno.test("`square` gives an image the same result in batches of 1, 7 and all, and by the seed alone", () =>
  withDevice(async (device) => {
    const cases = [["linf", 0.1], ["l2", 0.5], ["l1", 1], ["linf", 0.1, "uniform"]] as const;
    for (const [norm, epsilon, init] of cases) {
      const made = async (batchSize: number, seed: number, restarts = 0): Promise<Float32Array> => {
        const attacked = await attackSet({
          device,
          subject: single([ofLogits((x) => nn.matmul(nn.reshape(x, [-1, 32]), weights))]),
          set: new ResidentSet(set),
          seed,
          batchSize,
          reporter: silent,
          explain: { explain: false, time: false },
          settings: attacks.square.settings(epsilon, {
            norm,
            init,
            restarts,
            steps: 12,
          }),
          keep: count,
        });
        assert.equal(attacked.gradient, undefined);
        const { clean, adversarial } = attacked.losses;
        const falls = clean.filter((before, i) => (adversarial[i] ?? NaN) < before).length;
        assert.ok(falls > 0.9 * count, `${falls} losses fall`);
        return attacked.examples.adversarial;
      };
      const all = await made(count, 0);
      assert.deepEqual(await made(7, 0), all);
      assert.notDeepEqual(await made(count, 1), all);
      if (norm === "l2" || init) continue;
      assert.deepEqual(await made(1, 0), all);
      if (norm === "l1") continue;
      const restarted = await made(count, 0, 1);
      assert.notDeepEqual(restarted, all);
      assert.deepEqual(await made(7, 0, 1), restarted);
    }
  }));

Deno.test("another run of `square` draws other numbers, and no two of its steps the same", () => {
  const asked: Asked[] = [];
  const problem = { loss: lossOf, shape };
  const source = (of: Asked): nn.Tensor => {
    asked.push(of);
    return nn.constant(0.25, [3, of.count]);
  };
  const state = prepareBy(problem, attacks.square.settings(0.1, { steps: 9 }), { source });
  const run = nn.input([1]);
  const which = { index: nn.constant(Float32Array.of(7, 8, 9)), run };
  state.start(nn.constant(0.5, shape), new nn.Random(0), which);
  state.step();
  const [first, step] = asked;
  assert.ok(first && step);
  const counters = [0, 1, 2].flatMap((of) =>
    Array.from({ length: 10 }, (_, made) => {
      const leaves = new Map(state.parameters.map((p) => [p.tensor, [made]] as const));
      // Of the parameters of one number the run's comes first, then the count.
      const [stored] = state.parameters.filter((p) => p.shape.join() === "1" && p !== state.count);
      if (stored) leaves.set(stored.tensor, [of]);
      return nn.evaluate([step.counter], leaves)[0]?.[0];
    })
  );
  assert.deepEqual(counters, Array.from({ length: 30 }, (_, i) => i));
  assert.equal(first.counter, run);
  const settings = attacks.square.settings(0.1, { steps: 2 });
  const start = (which?: { index: nn.Tensor; run: nn.Tensor }): number[] => {
    const own = attacks.square.prepare(problem, settings);
    const updates = own.start(nn.constant(0.5, shape), new nn.Random(0), which);
    return [...nn.evaluate([updates.get(own.current) ?? run])[0] ?? []];
  };
  const [index, zero, one] = [
    nn.constant(Float32Array.of(0, 1, 2)),
    nn.constant(0, [1]),
    nn.constant(1, [1]),
  ];
  assert.deepEqual(start(), start({ index, run: zero }));
  assert.notDeepEqual(start(), start({ index, run: one }));
});

Deno.test("`square` says what it cannot do, and what to do instead", () => {
  assert.throws(
    () => attacks.square.settings(0.1, { steps: 10_000, restarts: 2000 }),
    /^UserError: Cannot attack by square in 10000 steps with 2000 restarts: .*; choose fewer/,
  );
  const { name, steps, stepSize, keepBest } = attacks.square.settings(0.1, { startNoise: 0.1 });
  assert.deepEqual([name, steps, stepSize, keepBest], ["square", 2000, 0.2, true]);
  for (const norm of Object.keys(norms) as NormName[]) {
    assert.equal(attacks.square.settings(1, { norm }).norm, norm);
  }
});
