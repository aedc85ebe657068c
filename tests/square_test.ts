/** Square: its rule in f64 against a plain account of it, and what it draws. */
import assert from "node:assert/strict";
import type { ImageSet } from "../data/mod.ts";
import { attacks } from "../src/attack/mod.ts";
import { type Asked, prepareBy, sidesOf } from "../src/attack/square.ts";
import { bumpOf } from "../src/attack/square_moves.ts";
import { silent } from "../src/base/reporter.ts";
import { attackSet } from "../src/evaluate/attack_set.ts";
import { ResidentSet } from "../src/evaluate/resident_set.ts";
import { ofLogits, single } from "../src/methods/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { wave } from "./check_grads.ts";
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

const sizes = { batch: 3, channels: 2, height: 6, width: 5 };
const shape = [3, 2, 6, 5];
const [pixels, image, steps, classes] = [30, 60, 60, 4];
const numbers = (n: number, seed: number): Float32Array => new nn.Random(seed).uniform(n);
const [inner, outer] = [
  numbers(image * 8, 1).map((v) => 2 * v - 1),
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

/** How many numbers an image's start and a step of it take in the two norms. */
const taken = { linf: { start: 10, step: 4 }, l2: { start: 75, step: 7 } } as const;

/** What is drawn, by the number of the step: the same for the attack and for the account of it. */
function drawsOf(norm: "linf" | "l2"): Record<"start" | "step", Float32Array> {
  return {
    start: numbers(3 * taken[norm].start, 5),
    step: numbers((steps + 1) * 3 * taken[norm].step, 6),
  };
}

const signOf = (u = NaN): number => u < 0.5 ? -1 : 1;
const clipped = (v: number, low: number, high: number): number => Math.min(high, Math.max(low, v));

/** Pixel (channel, row, column) of an image. */
const at = (c: number, i: number, j: number): number => c * pixels + i * 5 + j;

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
      project(clean.map((v, k) => v + epsilon * signOf(u[Math.floor(k / pixels) * 5 + k % 5]))),
    next(best, side, u): number[] {
      const next = [...best];
      const row = Math.floor((u[0] ?? NaN) * (7 - side));
      const column = Math.floor((u[1] ?? NaN) * (6 - side));
      for (const c of [0, 1]) {
        eachIn(row, column, side, (i, j) => {
          next[at(c, i, j)] = (next[at(c, i, j)] ?? NaN) + 2 * epsilon * signOf(u[2 + c]);
        });
      }
      return project(next);
    },
  };
}

/** Algorithm 3 of the paper on one image. */
function plainL2(clean: readonly number[], epsilon: number): Walk {
  const size = (v: readonly number[]): number => Math.hypot(...v);
  const toBorder = (change: readonly number[]): number[] =>
    clean.map((v, k) => clipped(v + epsilon * (change[k] ?? NaN) / size(change), 0, 1));
  return {
    start(u): number[] {
      // A bump of one pixel is -1.
      const change = Array<number>(image).fill(0);
      for (const c of [0, 1]) {
        eachIn(0, 0, 5, (i, j) => change[at(c, i, j)] = -signOf(u[25 + c * 25 + i * 5 + j]));
      }
      return toBorder(change);
    },
    next(best, side, u): number[] {
      const change = best.map((v, k) => v - (clean[k] ?? NaN));
      const place = (k: number, n: number): number => Math.floor((u[k] ?? NaN) * (n + 1 - side));
      const [row, column, row2, column2] = [place(0, 6), place(1, 5), place(2, 6), place(3, 5)];
      const [bump, lies] = [bumpOf(side), (u[4] ?? NaN) < 0.5];
      const unused = Math.max(0, epsilon ** 2 - size(change) ** 2) / 2;
      const made = [...change];
      for (const c of [0, 1]) {
        const own: number[] = [];
        const touched = new Set<number>();
        eachIn(row, column, side, (i, j) => {
          own.push(change[at(c, i, j)] ?? NaN);
          touched.add(at(c, i, j));
        });
        eachIn(row2, column2, side, (i, j) => touched.add(at(c, i, j)));
        const available = Math.sqrt(
          unused + [...touched].reduce((s, k) => s + (change[k] ?? 0) ** 2, 0),
        );
        const turned = own.map((v, k) => {
          const [i, j] = [Math.floor(k / side), k % side];
          const height = bump[lies ? j * side + i : i * side + j] ?? NaN;
          return signOf(u[5 + c]) * height + v / (size(own) + 1e-12);
        });
        touched.forEach((k) => made[k] = 0);
        let k = 0;
        eachIn(row, column, side, (i, j) => {
          made[at(c, i, j)] = (turned[k++] ?? NaN) / (size(turned) + 1e-12) * available;
        });
      }
      return toBorder(made);
    },
  };
}

for (const norm of ["linf", "l2"] as const) {
  Deno.test(`\`square\` in ${norm} is the published rule in f64, query by query`, () => {
    const epsilon = norm === "linf" ? 0.25 : 0.75;
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
    const sides = norm === "linf"
      ? sidesOf(steps, sizes.height, sizes.width)
      : sidesOf(steps, sizes.height, sizes.width, { least: 3, odd: true });
    assert.ok(new Set(sides).size > 1, "sides differ");
    const walks = [0, 1, 2].map((b) => {
      const own = Array.from(clean.subarray(b * image, (b + 1) * image));
      const walk = (norm === "linf" ? plainLinf : plainL2)(own, epsilon);
      const { start } = taken[norm];
      const x = walk.start(drawn.start.subarray(b * start, (b + 1) * start));
      return { walk, best: x, tried: x, lowest: Infinity, kept: 0 };
    });
    for (let step = 0; step <= steps; step++) {
      move(updates, new Map([...values].map(([p, value]) => [p.tensor, value])));
      walks.forEach((own, b) => {
        const loss = plainLoss(own.tried);
        if (loss < own.lowest) {
          Object.assign(own, { best: own.tried, lowest: loss, kept: own.kept + 1 });
        }
        const best = values.get(state.result)?.subarray(b * image, (b + 1) * image) ?? [];
        own.best.forEach((v, k) =>
          assert.ok(Math.abs(v - (best[k] ?? NaN)) < 1e-9, `step ${step}, image ${b}, pixel ${k}`)
        );
        if (step === steps) return;
        const n = taken[norm].step;
        const u = drawn.step.subarray((step * 3 + b) * n, (step * 3 + b + 1) * n);
        own.tried = own.walk.next(own.best, sides[step] ?? NaN, u);
      });
    }
    for (const { kept } of walks) assert.ok(kept > 4 && kept < steps, `${kept} squares were kept`);
  });
}

const count = 200;
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

Deno.test("`square` gives an image the same result in batches of 1, 7 and 200, and by the seed alone", () =>
  withDevice(async (device) => {
    for (const [norm, init] of [["linf"], ["l2"], ["linf", "uniform"]] as const) {
      const made = async (batchSize: number, seed: number, restarts = 0): Promise<Float32Array> => {
        const attacked = await attackSet({
          device,
          subject: single([ofLogits((x) => nn.matmul(nn.reshape(x, [-1, 32]), weights))]),
          set: new ResidentSet(set),
          seed,
          batchSize,
          reporter: silent,
          explain: { explain: false, time: false },
          settings: attacks.square.settings(norm === "linf" ? 0.1 : 0.5, {
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
      const all = await made(200, 0);
      assert.deepEqual(await made(7, 0), all);
      assert.notDeepEqual(await made(200, 1), all);
      if (norm === "l2" || init) continue;
      assert.deepEqual(await made(1, 0), all);
      const restarted = await made(200, 0, 1);
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
});
