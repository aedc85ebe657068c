/** Norms: their balls, their steepest directions, and attacks in them. */
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type Attack,
  type AttackName,
  attacks,
  type Norm,
  type NormName,
  norms,
} from "../src/attack/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { withDevice } from "./support.ts";

const shape = [2, 1, 2, 3];
const pixels = 6;

/** Lengths by hand. */
const lengths: Record<NormName, (row: readonly number[]) => number> = {
  linf: (row) => Math.max(...row.map(Math.abs)),
  l2: (row) => Math.hypot(...row),
  l1: (row) => row.reduce((sum, v) => sum + Math.abs(v), 0),
};

function rowsOf(values: ArrayLike<number>): number[][] {
  return [0, 1].map((row) =>
    Array.from({ length: pixels }, (_, i) => values[row * pixels + i] ?? NaN)
  );
}

function valueOf(t: nn.Tensor): ArrayLike<number> {
  return nn.evaluate([t])[0] ?? [];
}

const between = (min: number, max: number): fc.Arbitrary<number[]> =>
  fc.array(fc.double({ min, max, noNaN: true }), { minLength: 2 * pixels, maxLength: 2 * pixels });
const [numbers, shares] = [between(-2, 2), between(0, 1)];

for (const [name, norm] of Object.entries<Norm>(norms)) {
  const length = lengths[name as NormName];
  const tensor = (values: readonly number[]): nn.Tensor =>
    nn.constant(Float32Array.from(values), shape);

  Deno.test(`${name}: a projection is in the ball, is next to the image, and leaves what is in it`, () => {
    // In L1 what is next in the ball alone is so in [0, 1] too only of images that are there: see l1_test.ts.
    const images = name === "l1" ? shares : numbers;
    fc.assert(
      fc.property(images, images, fc.double({ min: 0, max: 3, noNaN: true }), (x, y, r) => {
        const [at, center] = [tensor(x), tensor(y)];
        const [found, from, to] = [norm.project(at, center, r), center, at].map((t) =>
          rowsOf(valueOf(t))
        );
        found?.forEach((row, i) => {
          const [c = [], p = []] = [from?.[i], to?.[i]];
          const moved = length(row.map((v, k) => v - (c[k] ?? NaN)));
          assert.ok(moved <= r + 1e-5, `${moved} is beyond ${r}`);
          const apart = length(p.map((v, k) => v - (c[k] ?? NaN)));
          // What is further away than the ball reaches is left at its border, and all else where it is.
          const left = length(row.map((v, k) => v - (p[k] ?? NaN)));
          assert.ok(Math.abs(left - Math.max(0, apart - r)) < 1e-5, `${left}, ${apart}, ${r}`);
        });
      }),
    );
  });

  Deno.test(`${name}: no direction of length 1 rises faster than the steepest, however small the slope`, () => {
    fc.assert(fc.property(numbers, numbers, fc.constantFrom(1, 1e-30, 1e30), (g, other, scale) => {
      const gradient = tensor(g.map((v) => v * scale));
      const [directions, slopes] = [norm.steepest(gradient), gradient].map((t) =>
        rowsOf(valueOf(t))
      );
      directions?.forEach((row, i) => {
        const slope = slopes?.[i] ?? [];
        if (slope.every((v) => v === 0)) return assert.ok(row.every((v) => v === 0));
        assert.ok(Math.abs(length(row) - 1) < 1e-5, `${row}`);
        const rival = other.slice(i * pixels, (i + 1) * pixels);
        const of = (d: readonly number[]): number =>
          d.reduce((s, v, k) => s + v * (slope[k] ?? NaN), 0);
        const most = length(rival);
        if (most > 0) assert.ok(of(row) >= of(rival.map((v) => v / most)) - 1e-5 * scale);
      });
    }));
  });

  Deno.test(`${name}: slopes that are no finite numbers have no part in the direction`, () => {
    const gradient = nn.constant(
      Float32Array.of(NaN, 1, -1, Infinity, 2, 0, NaN, NaN, NaN, NaN, NaN, NaN),
      shape,
    );
    const [first = [], second = []] = rowsOf(valueOf(norm.steepest(gradient)));
    assert.equal(first[0], 0);
    assert.ok(first.every(Number.isFinite) && (first[4] ?? 0) > 0);
    assert.ok((first[1] ?? NaN) >= 0 && (first[2] ?? NaN) <= 0);
    assert.deepEqual(second, Array(pixels).fill(0));
  });

  const knowing = Object.values<Attack>(attacks)
    .filter(({ gradientFree }) => !gradientFree)
    .map(({ name }) => name as AttackName);
  for (const attack of knowing) {
    Deno.test(`${name}: \`${attack}\` ends in the ball and the box, and reaches the border of a linear loss`, () =>
      withDevice(async (device) => {
        const images = Float32Array.from({ length: 2 * pixels }, (_, i) => 0.4 + 0.02 * i);
        const slope = nn.constant(Float32Array.of(3, -1, 0.5, -2, 1, 1, 1, 1, 1, 1, 1, -1), shape);
        const loss = (x: nn.Tensor): nn.Tensor => nn.sum(nn.mul(x, slope), [1, 2, 3]);
        const radius = 0.2;
        const settings = attacks[attack].settings(radius, { norm: name as NormName });
        const state = attacks[attack].prepare({ loss, shape }, settings);
        const x = nn.input(shape);
        using start = await nn.compile(device, {
          inputs: [x],
          updates: state.start(x, new nn.Random(0)),
        });
        using step = await nn.compile(device, { updates: state.step().updates });
        const distance = norm.lengthOf(nn.sub(state.result.tensor, state.clean.tensor));
        using judge = await nn.compile(device, { outputs: [state.result.tensor, distance] });
        start.run([images]);
        step.run([], state.repeats);
        judge.run();
        const found = rowsOf(await judge.read(state.result.tensor));
        const measured = await judge.read(distance);
        const directions = rowsOf(valueOf(norm.steepest(slope)));
        found.forEach((row, i) => {
          const clean = [...images.subarray(i * pixels, (i + 1) * pixels)];
          const moved = length(row.map((v, k) => v - (clean[k] ?? NaN)));
          assert.ok(Math.abs(moved - radius) < 1e-5, `${moved}`);
          assert.ok(Math.abs((measured[i] ?? NaN) - moved) < 1e-6);
          // In L1 it never comes down to the one pixel that is best here: steps go along several.
          if (name === "l1" && attack === "apgd") return;
          row.forEach((v, k) => {
            const optimum = (clean[k] ?? NaN) - radius * (directions[i]?.[k] ?? NaN);
            assert.ok(Math.abs(v - optimum) < 1e-5, `${attack}, pixel ${k}: ${v}, ${optimum}`);
          });
        });
        nn.release(device, state.parameters);
      }));
  }
}
