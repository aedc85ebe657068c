/** What each op computes, by plain loops and by hand; then every op and its gradient on the device. */
import assert from "node:assert/strict";
import * as nn from "../src/nn/mod.ts";
import { wave } from "./check_grads.ts";
import { allCases } from "./import_cases.ts";
import { fc } from "./property.ts";
import { withDevice } from "./support.ts";

/** Values of one node without inputs. */
function values(y: nn.Tensor): number[] {
  return [...nn.evaluate([y])[0] ?? []];
}

/** Asserts a node's shape and its values to 1e-6. */
function gives(y: nn.Tensor, shape: nn.Shape, expected: readonly number[]): void {
  assert.deepEqual(y.shape, shape);
  const actual = values(y);
  assert.equal(actual.length, expected.length);
  expected.forEach((e, i) => {
    const deviation = Math.abs((actual[i] ?? NaN) - e);
    assert.ok(deviation <= 1e-6 * Math.max(1, Math.abs(e)), `${actual}, not ${expected}`);
  });
}

const binaries: readonly [
  (a: nn.Tensor, b: nn.Tensor) => nn.Tensor,
  (a: number, b: number) => number,
][] = [
  [nn.add, (a, b) => a + b],
  [nn.sub, (a, b) => a - b],
  [nn.mul, (a, b) => a * b],
  [nn.div, (a, b) => a / b],
  [nn.maximum, Math.max],
  [nn.minimum, Math.min],
  [nn.greater, (a, b) => Number(a > b)],
  [nn.equal, (a, b) => Number(a === b)],
];

/** A shape of rank up to 4, and two operands of it with axes of size 1 or missing in front. */
const broadcasts = fc.array(
  fc.tuple(fc.integer({ min: 1, max: 4 }), fc.boolean(), fc.boolean()),
  { maxLength: 4 },
).chain((axes) =>
  fc.tuple(fc.nat(axes.length), fc.nat(axes.length)).map(([dropA, dropB]) => ({
    a: axes.map(([n, one]) => one ? 1 : n).slice(dropA),
    b: axes.map(([n, , one]) => one ? 1 : n).slice(dropB),
  }))
);

Deno.test("binary ops broadcast as NumPy does, over all patterns up to rank 4", () => {
  fc.assert(
    fc.property(broadcasts, ({ a, b }) => {
      const data = [a, b].map((s, i) =>
        Float32Array.from(wave(nn.size(s), i), (x) => Math.round(3 * x))
      );
      const [x, y] = [a, b].map((shape, i) => nn.constant(data[i] ?? [], shape));
      const rank = Math.max(a.length, b.length);
      const sizeOf = (s: number[], axis: number): number => s[axis - rank + s.length] ?? 1;
      const shape = Array.from({ length: rank }, (_, i) => Math.max(sizeOf(a, i), sizeOf(b, i)));
      const element = (s: number[], from: ArrayLike<number> = [], flat: number): number => {
        let [index, step, rest] = [0, 1, flat];
        for (let axis = rank - 1; axis >= 0; axis--) {
          const [n, own] = [shape[axis] ?? 1, sizeOf(s, axis)];
          if (own > 1) index += (rest % n) * step;
          step *= own;
          rest = Math.floor(rest / n);
        }
        return from[index] ?? NaN;
      };
      for (const [op, by] of binaries) {
        const z = op(x ?? nn.constant(0), y ?? nn.constant(0));
        assert.deepEqual(z.shape, shape);
        values(z).forEach((value, i) => {
          const expected = by(element(a, data[0], i), element(b, data[1], i));
          assert.ok(Object.is(value, expected) || value === expected, `${z.name} [${a}] [${b}]`);
        });
      }
    }),
    { numRuns: 300 },
  );
});

const grid = nn.constant([1, 2, 3, 4, 5, 6], [2, 3]);
const cube = nn.constant(Float32Array.from({ length: 24 }, (_, i) => i), [2, 3, 4]);

Deno.test("reductions give what their names say", () => {
  gives(nn.sum(grid), [], [21]);
  gives(nn.sum(grid, [0]), [3], [5, 7, 9]);
  gives(nn.sum(grid, [-1], true), [2, 1], [6, 15]);
  gives(nn.sum(cube, [0, 2]), [3], [60, 92, 124]);
  gives(nn.mean(grid), [], [3.5]);
  gives(nn.mean(cube, [1, 2]), [2], [5.5, 17.5]);
  gives(nn.sumTo(cube, [3, 1]), [3, 1], [60, 92, 124]);
  const tied = nn.constant([1, 7, 7, 9, 2, 9], [2, 3]);
  gives(nn.max(tied), [2], [7, 9]);
  gives(nn.max(tied, 0, true), [1, 3], [9, 7, 9]);
  gives(nn.argmax(tied), [2], [1, 0]);
  gives(nn.argmax(tied, 0), [3], [1, 0, 1]);
  gives(nn.oneHot(nn.constant([2, 0]), 3), [2, 3], [0, 0, 1, 1, 0, 0]);
  const long = Float32Array.from({ length: 1000 }, (_, i) => i);
  gives(nn.sum(nn.constant(long)), [], [499500]);
  gives(nn.sum(nn.constant(long, [2, 250, 2]), [1]), [2, 2], [62250, 62500, 187250, 187500]);
});

Deno.test("movements put elements where their names say", () => {
  gives(nn.reshape(grid, [3, -1]), [3, 2], [1, 2, 3, 4, 5, 6]);
  gives(nn.transpose(grid), [3, 2], [1, 4, 2, 5, 3, 6]);
  gives(
    nn.permute(nn.slice(cube, [0, 0, 0], [2, 2, 2]), [2, 0, 1]),
    [2, 2, 2],
    [0, 4, 12, 16, 1, 5, 13, 17],
  );
  gives(nn.broadcastTo(nn.constant([1, 2], [2, 1]), [2, 2, 2]), [2, 2, 2], [
    1,
    1,
    2,
    2,
    1,
    1,
    2,
    2,
  ]);
  gives(nn.slice(grid, [0, 1], [2, 2]), [2, 2], [2, 3, 5, 6]);
  gives(nn.flip(grid, [-1]), [2, 3], [3, 2, 1, 6, 5, 4]);
  gives(nn.flip(grid, [0, 1]), [2, 3], [6, 5, 4, 3, 2, 1]);
  gives(nn.pad(nn.constant([1, 2], [1, 2]), [1, 0], [2, 3]), [2, 3], [0, 0, 0, 1, 2, 0]);
  const packed = nn.pack([nn.constant([1, 2]), nn.constant([3])], [0, 64], 128);
  assert.deepEqual(values(packed).flatMap((x, i) => x === 0 ? [] : [[i, x]]), [
    [0, 1],
    [1, 2],
    [64, 3],
  ]);
  gives(nn.view(packed, 64, [2]), [2], [3, 0]);
  gives(nn.gatherRows(grid, nn.constant([1, 0, 1])), [3, 3], [4, 5, 6, 1, 2, 3, 4, 5, 6]);
  const bytes = nn.constant(Uint32Array.of(0x33ff0000, 0x00000066));
  gives(nn.gatherImages(bytes, nn.constant([1, 0]), [3]), [2, 3], [0.2, 0.4, 0, 0, 0, 1]);
});

Deno.test("products, convolutions and pools give small results known by hand", () => {
  const square = nn.constant([1, 2, 3, 4], [2, 2]);
  gives(nn.matmul(square, grid), [2, 3], [9, 12, 15, 19, 26, 33]);
  gives(nn.matmul(grid, grid, { transposeB: true }), [2, 2], [14, 32, 32, 77]);
  gives(nn.matmul(square, square, { transposeA: true, transposeB: true }), [2, 2], [7, 15, 10, 22]);
  const bias = nn.constant([-8, 1]);
  gives(nn.matmul(square, square, { bias, activation: "relu" }), [2, 2], [0, 11, 7, 23]);
  const image = nn.constant([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 1, 3, 3]);
  const weight = nn.constant([1, 10, 100, 1000], [1, 1, 2, 2]);
  gives(nn.conv2d(image, weight), [1, 1, 2, 2], [5421, 6532, 8754, 9865]);
  const strided = { stride: 2, padding: 1 } as const;
  gives(nn.conv2d(image, weight, strided), [1, 1, 2, 2], [1000, 3200, 7040, 9865]);
  gives(nn.conv2dInput(square4(square), weight, [3, 3]), [1, 1, 3, 3], [
    ...[1, 12, 20],
    ...[103, 1234, 2040],
    ...[300, 3400, 4000],
  ]);
  gives(nn.conv2dWeight(image, square4(square), [2, 2]), [1, 1, 2, 2], [37, 47, 67, 77]);
  gives(nn.maxPool2d(image, 2, 1), [1, 1, 2, 2], [5, 6, 8, 9]);
  gives(nn.maxPool2d(image, 2), [1, 1, 1, 1], [5]);
  gives(nn.avgPool2d(nn.slice(image, [0, 0, 0, 0], [1, 1, 2, 2]), 2), [1, 1, 1, 1], [3]);
});

function square4(x: nn.Tensor): nn.Tensor {
  return nn.reshape(x, [1, 1, 2, 2]);
}

Deno.test("factorisations, kernels and losses give small results known by hand", () => {
  const l = nn.constant([2, 0, 1, 3], [2, 2]);
  gives(nn.cholesky(nn.matmul(l, l, { transposeB: true })), [2, 2], [2, 0, 1, 3]);
  gives(nn.triangularSolve(l, nn.constant([4, 11], [2, 1])), [2, 1], [2, 3]);
  gives(nn.triangularSolve(l, nn.constant([4, 9], [2, 1]), true), [2, 1], [0.5, 3]);
  gives(nn.diagonal(l), [2], [2, 3]);
  const [x, z] = [nn.constant([0, 0, 3, 4], [2, 2]), nn.constant([3, 4], [1, 2])];
  gives(nn.squaredDistance(x, z), [1, 2, 1], [25, 0]);
  gives(nn.rbf(x, z, nn.constant([5])), [1, 2, 1], [Math.exp(-0.5), 1]);
  const features = nn.randomFeatures(x, nn.transpose(z), nn.constant([Math.PI]), 2);
  gives(features, [2, 1], [-2, 2 * Math.cos(25 + Math.PI)]);
  const logits = nn.constant([0, Math.log(3), 1000, 1000], [2, 2]);
  gives(nn.softmax(logits), [2, 2], [0.25, 0.75, 0.5, 0.5]);
  gives(nn.crossEntropy(logits, nn.constant([1, 0])), [2], [Math.log(4 / 3), Math.LN2]);
  const p = nn.constant([0.25, 0.25]);
  gives(nn.binaryCrossEntropy(p, nn.constant([1, 0])), [2], [Math.log(4), Math.log(4 / 3)]);
  gives(nn.rowNorm(x), [2], [0, 5]);
  gives(nn.unit(nn.constant([3, 4])), [2], [0.6, 0.8]);
  gives(nn.unit(nn.constant([0, 0])), [2], [0, 0]);
  gives(nn.normalizeRows(nn.constant([1, 3], [1, 2]), 3), [1, 2], [-0.5, 0.5]);
  gives(nn.softplus(nn.constant([-1000, 0, 1000])), [3], [0, Math.LN2, 1000]);
  gives(nn.nonFinite(nn.constant([NaN, -Infinity, 3e38])), [3], [1, 1, 0]);
});

Deno.test("`reshape()` refuses what does not come out even", () => {
  const message = /^Error: Cannot reshape \[12\] to \[5, -1\]: sizes differ$/;
  assert.throws(() => nn.reshape(nn.input([12]), [5, -1]), message);
});

Deno.test("every op and its gradient compute on the device what they compute in f64", () =>
  withDevice(async (device) => {
    const failures: string[] = [];
    for (const [name, cases] of Object.entries(allCases)) {
      // One program an op: its cases share nothing but the trip to the device.
      const inputs: nn.Tensor[] = [];
      const data: Float32Array[] = [];
      const outputs = cases.flatMap(({ f, at }) => {
        const xs = at.map(([shape]) => nn.input(shape));
        inputs.push(...xs);
        data.push(...at.map(([, value]) => Float32Array.from(value)));
        const y = f(...xs);
        const weights = nn.constant(Float32Array.from(wave(nn.size(y.shape), 0.5)), y.shape);
        return [y, ...nn.grad(nn.mul(y, weights), xs)];
      });
      using program = await nn.compile(device, { name, inputs, outputs });
      program.run(data);
      const exact = nn.evaluate(outputs, new Map(inputs.map((x, i) => [x, data[i] ?? []])));
      const actual = await Promise.all(outputs.map((t) => program.read(t)));
      exact.forEach((e, i) => {
        const scale = Math.max(1e-3, ...e.map(Math.abs));
        const deviation = e.reduce(
          (m, x, j) => Math.max(m, Math.abs(x - (actual[i]?.[j] ?? NaN)) / scale),
          0,
        );
        if (!(deviation < 1e-5)) failures.push(`${name}, output ${i}: off by ${deviation}`);
      });
    }
    assert.deepEqual(failures, []);
  }));

/** Uses of several workgroups, one per way to count threads. */
const wide: readonly (() => nn.Tensor)[] = [
  () => nn.sin(fill(1, 1021)),
  () => nn.mul(fill(2, 37, 29), fill(3, 29)),
  () => nn.where(nn.step(fill(4, 1021)), fill(5, 1021), fill(6, 1021)),
  () => nn.sum(fill(7, 300, 5), [1]),
  () => nn.sum(fill(8, 3, 700, 2), [1]),
  () => nn.max(fill(9, 300, 5)),
  () => nn.permute(fill(10, 7, 11, 5), [2, 0, 1]),
  () => nn.pad(fill(11, 9, 11), [3, 2], [17, 19]),
  () => nn.gatherRows(fill(12, 5, 40), nn.constant([4, 0, 3, 1, 2, 2, 0])),
  () =>
    nn.gatherImages(
      nn.constant(Uint32Array.from({ length: 150 }, (_, i) => i * 0x01030507)),
      nn.constant([1, 0, 2, 1]),
      [200],
    ),
  () => nn.matmul(fill(13, 70, 9, 5), fill(14, 5, 11)),
  () => nn.matmul(fill(13, 90, 5), fill(14, 5, 75)),
  () => nn.conv2d(fill(15, 5, 3, 11, 19), fill(16, 9, 3, 3, 3), { padding: 1 }),
  () => nn.conv2dInput(fill(17, 5, 9, 11, 19), fill(18, 9, 10, 3, 3), [11, 19], { padding: 1 }),
  () => nn.conv2dWeight(fill(19, 5, 3, 11, 19), fill(20, 5, 9, 11, 19), [3, 3], { padding: 1 }),
  () => nn.conv2d(fill(31, 5, 9, 31, 29), fill(32, 9, 1, 3, 3), { groups: 9, padding: 1 }),
  () => nn.conv2dInput(fill(33, 5, 9, 16, 10), fill(34, 9, 2, 3, 3), [31, 29], split),
  () => nn.conv2dWeight(fill(35, 5, 6, 31, 29), fill(36, 5, 9, 16, 10), [3, 3], split),
  () => nn.maxPool2d(fill(21, 5, 3, 12, 10), 2),
  () => nn.grad(nn.square(nn.maxPool2d(image, 3, 2)), [image])[0] ?? image,
  () => nn.randomFeatures(fill(22, 70, 5), fill(23, 5, 90), fill(24, 90), 0.5),
  () => nn.rbf(fill(25, 20, 3), fill(26, 11, 3), nn.constant([0.8])),
  () => nn.logSoftmax(fill(27, 150, 4)),
  () => nn.cholesky(covariance),
  () => nn.triangularSolve(nn.cholesky(covariance), fill(28, 3, 70, 50)),
];

function fill(phase: number, ...shape: number[]): nn.Tensor {
  return nn.constant(Float32Array.from(wave(nn.size(shape), phase)), shape);
}

const split = { groups: 3, stride: [2, 3], padding: 1 } as const;
const image = fill(29, 5, 3, 13, 11);
const covariance = nn.add(
  nn.scale(nn.matmul(fill(30, 3, 70, 70), fill(30, 3, 70, 70), { transposeB: true }), 0.1),
  nn.constant(Float32Array.from({ length: 4900 }, (_, i) => i % 71 === 0 ? 5 : 0), [70, 70]),
);

Deno.test("every op fills results that take several workgroups", () =>
  withDevice(async (device) => {
    const outputs = wide.map((make) => make());
    using program = await nn.compile(device, { name: "wide", outputs });
    program.run();
    const exact = nn.evaluate(outputs);
    for (const [i, y] of outputs.entries()) {
      const actual = await program.read(y);
      const scale = Math.max(...(exact[i] ?? []).map(Math.abs));
      exact[i]?.forEach((e, j) =>
        assert.ok(
          Math.abs((actual[j] ?? NaN) - e) <= 2e-5 * scale,
          `${y.name} [${y.shape}] is ${actual[j]} at ${j}, not ${e}`,
        )
      );
    }
  }));

Deno.test("`binaryCrossEntropy()` stays finite on the device where p is 0 or 1, to its gradient", () =>
  withDevice(async (device) => {
    const p = nn.input([4]);
    const loss = nn.scale(nn.binaryCrossEntropy(p, nn.constant([0, 1, 0, 1])), 8);
    const [slope = loss] = nn.grad(loss, [p]);
    using program = await nn.compile(device, { inputs: [p], outputs: [loss, slope] });
    program.run([Float32Array.of(0, 0, 1, 1)]);
    const worst = 8 * 126 * Math.LN2;
    const expected = [0, worst, worst, 0];
    (await program.read(loss)).forEach((v, i) =>
      assert.ok(Math.abs(v - (expected[i] ?? NaN)) < 0.01, `loss ${v}`)
    );
    // PyTorch's (p - t) / max(p (1 - p), 1e-12).
    const slopes = [0, -8e12, 8e12, 0];
    (await program.read(slope)).forEach((g, i) =>
      assert.ok(Math.abs(g - (slopes[i] ?? NaN)) <= 1e7, `gradient ${g}`)
    );
  }));

Deno.test("powers of infinity, zero and one are those of IEEE 754, by a number and by a tensor", () =>
  withDevice(async (device) => {
    const bases = Float32Array.of(-Infinity, Infinity, 0, 1, -1, -2, NaN);
    // As NumPy 2.4 (C's pow) has them; its power by the number 1/2 alone is the square root, NaN of -infinity.
    const expected: readonly (readonly [exponent: number, powers: readonly number[]])[] = [
      [0.5, [Infinity, Infinity, 0, 1, NaN, NaN, NaN]],
      [-0.5, [0, 0, Infinity, 1, NaN, NaN, NaN]],
      [1.5, [Infinity, Infinity, 0, 1, NaN, NaN, NaN]],
      [3, [-Infinity, Infinity, 0, 1, -1, -8, NaN]],
      [-3, [0, 0, Infinity, 1, -1, -0.125, NaN]],
      [67, [-Infinity, Infinity, 0, 1, -1, -(2 ** 67), NaN]],
      [-67, [0, 0, Infinity, 1, -1, -(2 ** -67), NaN]],
      [66, [Infinity, Infinity, 0, 1, 1, 2 ** 66, NaN]],
      [Infinity, [Infinity, Infinity, 0, 1, 1, Infinity, NaN]],
      [-Infinity, [0, 0, Infinity, 1, 1, 0, NaN]],
    ];
    const x = nn.constant(bases);
    for (const [exponent, powers] of expected) {
      const tensor = nn.pow(x, nn.constant(exponent, [bases.length]));
      const forms = Number.isFinite(exponent) ? [nn.pow(x, exponent), tensor] : [tensor];
      for (const y of forms) {
        using program = await nn.compile(device, { outputs: [y] });
        program.run();
        for (const found of [values(y), [...await program.read(y)]]) {
          const right = found.every((v, i) => {
            const e = powers[i] ?? NaN;
            return Object.is(v, e) || v === e || Math.abs(v - e) <= 1e-4 * Math.abs(e);
          });
          assert.ok(right, `to the power of ${exponent}: ${found}, not ${powers}`);
        }
      }
    }
  }));
