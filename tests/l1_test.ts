/** L1: its projection against an exact one, its steps, and the attacks in it. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Attack, attacks, norms } from "../src/attack/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { exactly, lengthOf, minus, signs, sizesOf, type Sought } from "./exact_l1.ts";
import { withDevice } from "./support.ts";

const { l1 } = norms;

/** Numbers of f32, among them many of the box's borders. */
const pixel = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.constantFrom(0, 1, 0.5),
).map(Math.fround);
const distance = fc.oneof(
  fc.double({ min: -2, max: 2, noNaN: true }),
  fc.constantFrom(0, 1, -1, 0.25, -0.25),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }),
);

/** Balls around images of `pixels` pixels: of radius 0, and of more than is needed, among them. */
const sought = (pixels: number): fc.Arbitrary<Sought> => {
  const many = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
    fc.array(of, { minLength: pixels, maxLength: pixels });
  const radius = fc.oneof(
    fc.double({ min: 0, max: pixels, noNaN: true }),
    fc.constantFrom(0, 0.5, 1e-3, 2 * pixels),
  ).map(Math.fround);
  return fc.tuple(many(pixel), many(distance), radius).map(([center, change, radius]) => ({
    center,
    x: center.map((v, i) => Math.fround(v + (change[i] ?? NaN))),
    radius,
  }));
};

/** Projects each in f64, one a row. */
function projected(all: readonly Sought[]): number[][] {
  const pixels = all[0]?.x.length ?? 0;
  const tensor = (values: readonly number[][]): [nn.Tensor, number[]] => [
    nn.input([all.length, pixels]),
    values.flat(),
  ];
  const [x, xs] = tensor(all.map(({ x }) => [...x]));
  const [center, centers] = tensor(all.map(({ center }) => [...center]));
  const radius = nn.input([all.length]);
  const [found = []] = nn.evaluate(
    [nn.projectL1(x, center, radius)],
    new Map([[x, xs], [center, centers], [radius, all.map(({ radius }) => radius)]]),
  );
  return all.map((_, row) => [...found.slice(row * pixels, (row + 1) * pixels)]);
}

Deno.test("l1: a projection is the exact one of ball and box, also at borders, of ties and from far", () => {
  fc.assert(
    fc.property(sought(9), (one) => {
      const [found = []] = projected([one]);
      exactly(one).forEach((v, i) => {
        const rounding = 1e-12 * Math.max(1, ...one.x.map(Math.abs));
        assert.ok(Math.abs(v - (found[i] ?? NaN)) <= rounding, `pixel ${i}: ${found[i]}, ${v}`);
      });
    }),
    { numRuns: 500 },
  );
});

Deno.test("l1: nothing in ball and box is nearer, by the conditions of the optimum", () => {
  fc.assert(
    fc.property(sought(7), (one) => {
      const [found = []] = projected([one]);
      const { size, room } = sizesOf(one);
      const moved = minus(found, one.center);
      const hair = 1e-12 * Math.max(1, ...size);
      found.forEach((v) => assert.ok(v >= 0 && v <= 1, `${v}`));
      assert.ok(lengthOf(moved) <= one.radius + hair);
      // One amount shortens all that are neither gone nor held by the box; it is 0 where the ball is not reached.
      const side = signs(minus(one.x, one.center));
      const kept = moved.map((d, i) => d * (side[i] ?? NaN));
      const short = (i: number): number => (size[i] ?? NaN) - (kept[i] ?? NaN);
      const least = Math.max(
        0,
        ...kept.flatMap((u, i) => u < (room[i] ?? NaN) - hair ? short(i) : []),
      );
      kept.forEach((u, i) => {
        assert.ok(u >= 0);
        const reached = lengthOf(moved) >= one.radius - hair;
        if (u > hair) assert.ok(short(i) >= (reached ? least : 0) - hair, `pixel ${i}`);
        if (!reached) assert.ok(Math.abs(u - Math.min(size[i] ?? NaN, room[i] ?? NaN)) <= hair);
      });
    }),
    { numRuns: 500 },
  );
});

Deno.test("l1: a device projects to f32 rounding, never leaves [0, 1], and leaves what is inside", () =>
  withDevice(async (device) => {
    const [rows, pixels] = [300, 40];
    const all = fc.sample(sought(pixels), { numRuns: rows, seed: 1 });
    const x = nn.input([rows, pixels]);
    const center = nn.input([rows, pixels]);
    const radius = nn.input([rows]);
    const y = nn.projectL1(x, center, radius);
    using program = await nn.compile(device, { inputs: [x, center, radius], outputs: [y] });
    program.run([
      Float32Array.from(all.flatMap(({ x }) => x)),
      Float32Array.from(all.flatMap(({ center }) => center)),
      Float32Array.from(all.map(({ radius }) => radius)),
    ]);
    const found = await program.read(y);
    const inside = all.map((one, row) => {
      const own = [...found.subarray(row * pixels, (row + 1) * pixels)];
      const moved = minus(own, one.center);
      assert.ok(lengthOf(moved) <= one.radius + 1e-7 * pixels, `row ${row}: ${lengthOf(moved)}`);
      own.forEach((v) => assert.ok(v >= 0 && v <= 1, `row ${row}: ${v}`));
      const rounding = 2e-6 + 1e-7 * Math.max(...one.x.map(Math.abs));
      exactly(one).forEach((v, i) =>
        assert.ok(
          Math.abs(v - (own[i] ?? NaN)) <= rounding,
          `row ${row}, pixel ${i}: ${own[i]}, ${v}`,
        )
      );
      if (one.radius === 0) assert.deepEqual(own, one.center);
      const clipped = one.x.map((v) => Math.min(1, Math.max(0, v)));
      const stays = lengthOf(minus(clipped, one.center)) < one.radius - 1e-5;
      if (stays) assert.deepEqual(own, clipped, `row ${row}`);
      return stays;
    });
    assert.ok(inside.some(Boolean) && !inside.every(Boolean));
  }));

Deno.test("l1: a device takes rows of 160,000 numbers, and says so of longer ones", () =>
  withDevice(async (device) => {
    const pixels = 160_000;
    const sizes = Float32Array.from({ length: pixels }, (_, i) => (i * 7919 % pixels) / pixels);
    const x = nn.input([1, pixels]);
    const third = nn.kthLargest(x, nn.constant(pixels / 4, [1]));
    const y = nn.projectL1(x, nn.constant(0, [1, pixels]), nn.constant(pixels / 8, [1]));
    using program = await nn.compile(device, { inputs: [x], outputs: [third, y] });
    program.run([sizes]);
    assert.equal((await program.read(third))[0], Math.fround(3 / 4));
    // A quarter of the whole is left of a triangle whose sides are half as long.
    const found = await program.read(y);
    found.forEach((v, i) =>
      assert.ok(Math.abs(v - Math.max(0, (sizes[i] ?? NaN) - 0.5)) < 1e-5, `${i}: ${v}`)
    );
    const long = nn.input([1, pixels + 1]);
    await assert.rejects(
      nn.compile(device, { inputs: [long], outputs: [nn.kthLargest(long, nn.constant(1, [1]))] }),
      /a device takes rows of at most 160000/,
    );
  }));

Deno.test("l1: rows whose sizes do not fit are refused", () => {
  const [x, one] = [nn.input([2, 3]), nn.input([1])];
  assert.throws(() => nn.kthLargest(x, one), /Cannot choose the \[1\]-th largest of each row of/);
  assert.throws(() => nn.projectL1(x, x, one), /Cannot project \[2, 3\] onto \[1\] balls/);
  assert.throws(() => nn.projectL1(x, one, nn.input([2])), /around \[1\]$/);
});

Deno.test("l1: a step is shared by the steepest hundredth of the pixels that are not at their border, or by more", () => {
  const [images, pixels] = [3, 450];
  const slope = new nn.Random(1).normal(images * pixels);
  const x = new nn.Random(2).uniform(images * pixels).map((v, i) =>
    i % 3 === 0 ? Math.round(v) : v
  );
  const [g, from] = [nn.constant(slope, [images, pixels]), nn.constant(x, [images, pixels])];
  const steps = [undefined, { from, length: 1 }, { from, length: 8.5 }];
  for (const [at, many] of [[steps[0], 5], [steps[1], 5], [steps[2], 9]] as const) {
    const [found = []] = nn.evaluate([l1.steepest(g, at)]);
    for (let image = 0; image < images; image++) {
      const own = Array.from({ length: pixels }, (_, i) => image * pixels + i);
      const free = own.filter((i) => {
        const [v = NaN, down = NaN] = [x[i], slope[i]];
        return !at || (down > 0 ? v > 0 : v < 1);
      });
      const steepest = free.sort((a, b) => Math.abs(slope[b] ?? 0) - Math.abs(slope[a] ?? 0));
      const chosen = new Set(steepest.slice(0, many));
      own.forEach((i) =>
        assert.equal(found[i], chosen.has(i) ? Math.sign(slope[i] ?? NaN) / many : 0, `${i}`)
      );
    }
  }
});

const shape = [2, 1, 3, 4];
const weights = new nn.Random(5).normal(12 * 3);

/** Cross-entropy `[B]` of a bent model against class 0. */
function lossOf(x: nn.Tensor): nn.Tensor {
  const logits = nn.matmul(
    nn.reshape(nn.sin(nn.scale(x, 4)), [-1, 12]),
    nn.constant(weights, [12, 3]),
  );
  return nn.crossEntropy(logits, nn.constant(0, [x.shape[0] ?? 1]));
}

for (const attack of Object.values<Attack>(attacks)) {
  Deno.test(`l1: \`${attack.name}\` stays in every ball and in the box, and where the radius is 0`, () => {
    const run = fc.record({
      images: fc.array(pixel, { minLength: 24, maxLength: 24 }),
      radius: fc.oneof(fc.double({ min: 0, max: 6, noNaN: true }), fc.constant(0)),
      steps: fc.integer({ min: 1, max: 12 }),
      init: fc.constantFrom(undefined, "uniform" as const),
    });
    fc.assert(
      fc.property(run, ({ images, radius, steps, init }) => {
        const settings = attack.settings(radius, { norm: "l1", steps, init });
        const state = attack.prepare({ loss: lossOf, shape }, settings);
        const x0 = nn.input(shape);
        const values = new Map<nn.Parameter, Float64Array>();
        const move = (updates: nn.Updates, leaves: nn.Leaves): void => {
          const next = nn.evaluate([...updates.values()], leaves);
          [...updates.keys()].forEach((p, i) => values.set(p, next[i] ?? new Float64Array()));
        };
        move(state.start(x0, new nn.Random(0)), new Map([[x0, images]]));
        const { updates } = state.step();
        for (let step = 0; step < state.repeats; step++) {
          move(updates, new Map([...values].map(([p, value]) => [p.tensor, value])));
        }
        const found = [...values.get(state.result) ?? []];
        assert.equal(found.length, 24);
        assert.ok(found.every((v) => v >= 0 && v <= 1));
        for (const first of [0, 12]) {
          const own = images.slice(first, first + 12);
          const moved = lengthOf(minus(found.slice(first, first + 12), own));
          assert.ok(moved <= radius + 1e-9, `${moved} is beyond ${radius}`);
        }
        if (radius === 0) assert.deepEqual(found, images);
      }),
      { numRuns: 25 },
    );
  });
}
