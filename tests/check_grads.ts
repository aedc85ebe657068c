/**
 * Checks derivatives in f64, without a GPU: the gradient of any graph against central differences, and
 * by recursion the gradient of its gradient (after HIPS/autograd's check_grads).
 */
import assert from "node:assert/strict";
import * as nn from "../src/nn/mod.ts";

/** A function of tensors under test. */
export type Fn = (...xs: nn.Tensor[]) => nn.Tensor;

/** A deterministic stand-in for a random direction. */
export function wave(n: number, phase: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * phase));
}

/**
 * Checks the vector-Jacobian products of `f` at the given values, to `order` 1 or 2.
 *
 * @param values of each argument, with its shape: neither at a kink of `f` nor where it is flat
 */
export function checkGrads(
  f: Fn,
  values: readonly (readonly [nn.Shape, ArrayLike<number>])[],
  order = 2,
): void {
  const xs = values.map(([shape]) => nn.input(shape));
  const at = values.map(([, value]) => Float64Array.from(value));
  check(f, xs, at, order, "f");
}

function check(
  f: Fn,
  xs: readonly nn.Tensor[],
  at: Float64Array[],
  order: number,
  what: string,
): void {
  const y = f(...xs);
  const weights = nn.constant(Float32Array.from(wave(nn.size(y.shape), 0.5)), y.shape);
  const scalar = nn.sum(nn.mul(y, weights));
  const gradients = nn.grad(scalar, xs);
  const directions = xs.map((x, i) => wave(nn.size(x.shape), i + 1));
  const direction = (i: number, j: number): number => directions[i]?.[j] ?? 0;
  const moved = (i: number, shift: number): Float64Array =>
    Float64Array.from(at[i] ?? [], (value, j) => value + shift * direction(i, j));
  const leaves = (shift: number): Map<nn.Tensor, Float64Array> =>
    new Map(xs.map((x, i) => [x, moved(i, shift)]));

  const h = 1e-5;
  const value = (shift: number): number => nn.evaluate([scalar], leaves(shift))[0]?.[0] ?? NaN;
  const numeric = (value(h) - value(-h)) / (2 * h);
  const analytic = nn.evaluate(gradients, leaves(0)).reduce(
    (total, g, i) => total + g.reduce((s, v, j) => s + v * direction(i, j), 0),
    0,
  );
  assert.ok(Math.abs(numeric) > 1e-4, `${what} is flat there, so nothing is checked`);
  assert.ok(
    Math.abs(numeric - analytic) <= 1e-6 * Math.abs(numeric) + 1e-8,
    `the gradient of ${what} along a direction is ${analytic}, by differences ${numeric}`,
  );
  if (order > 1) {
    const slope: Fn = (...args) => {
      const inner = f(...args);
      const gs = nn.grad(nn.sum(nn.mul(inner, weights)), args);
      return gs.map((g, i) =>
        nn.sum(nn.mul(g, nn.constant(Float32Array.from(wave(nn.size(g.shape), i + 7)), g.shape)))
      )
        .reduce((a, b) => nn.add(a, b));
    };
    check(slope, xs, at, order - 1, `the gradient of ${what}`);
  }
}

/** Values of each argument, with its shape. */
type Values = readonly (readonly [nn.Shape, ArrayLike<number>])[];

/** A use of an op, smooth where it stands and not flat: every gradient is worth a comparison. */
export interface OpCase {
  readonly f: Fn;
  readonly at: Values;
}

/** Values without ties or zeros. */
export function v(...shape: number[]): readonly [nn.Shape, Float64Array] {
  return [shape, wave(nn.size(shape), shape.length + nn.size(shape) / 100)];
}

/** Values above 0.5. */
export function positive(...shape: number[]): readonly [nn.Shape, Float64Array] {
  return [shape, wave(nn.size(shape), 2).map((x) => 1 + x / 2.1)];
}

/** Lower triangular factors `[g, n, n]` with a strong diagonal. */
function lower(g: number, n: number): readonly [nn.Shape, Float64Array] {
  const data = wave(g * n * n, 3).map((x, i) => {
    const [row, column] = [Math.floor(i / n) % n, i % n];
    return column > row ? 0 : column === row ? 2 + x / 3 : x / 2;
  });
  return [[g, n, n], data];
}

/** Positive definite matrices; the upper part differs, to show that it is not read. */
function definite(g: number, n: number): readonly [nn.Shape, Float64Array] {
  const data = wave(g * n * n, 4).map((x, i) => {
    const [row, column] = [Math.floor(i / n) % n, i % n];
    return column === row ? n + x : x / 3;
  });
  return [[g, n, n], data];
}

const index = nn.constant([2, 0, 2, 1]);
const label = nn.constant([1, 0, 3]);
const target = nn.constant([0, 1, 1, 0, 0, 1], [2, 3]);
const geometry = { stride: 2, padding: 1 };

/** Every differentiable op of src/nn by its name. */
export const opCases: Readonly<Record<string, readonly OpCase[]>> = {
  neg: [{ f: (x) => nn.neg(nn.square(x)), at: [v(5)] }],
  abs: [{ f: (x) => nn.mul(nn.abs(x), nn.exp(x)), at: [v(5)] }],
  relu: [{ f: (x) => nn.relu(nn.mul(x, nn.square(x))), at: [v(7)] }],
  exp: [{ f: nn.exp, at: [v(5)] }],
  log: [{ f: nn.log, at: [positive(5)] }],
  log1p: [{ f: nn.log1p, at: [positive(5)] }],
  sqrt: [{ f: nn.sqrt, at: [positive(5)] }],
  reciprocal: [{ f: nn.reciprocal, at: [positive(5)] }],
  square: [{ f: nn.square, at: [v(5)] }],
  cos: [{ f: nn.cos, at: [v(5)] }],
  sin: [{ f: nn.sin, at: [v(5)] }],
  tanh: [{ f: nn.tanh, at: [v(5)] }],
  sigmoid: [{ f: nn.sigmoid, at: [v(5)] }],
  softplus: [{ f: nn.softplus, at: [v(5)] }],
  scale: [{ f: (x) => nn.square(nn.scale(x, -3)), at: [v(5)] }],
  shift: [{ f: (x) => nn.square(nn.shift(x, 2)), at: [v(5)] }],
  add: [
    { f: (a, b) => nn.square(nn.add(a, b)), at: [v(2, 3), v(2, 3)] },
    { f: (a, b) => nn.square(nn.add(a, b)), at: [v(4, 2, 3), v(2, 3)] },
    { f: (a) => nn.square(nn.add(2, nn.add(a, 1))), at: [v(3)] },
  ],
  sub: [
    { f: (a, b) => nn.square(nn.sub(a, b)), at: [v(2, 3), v(2, 1)] },
    { f: (a) => nn.square(nn.sub(1, nn.sub(a, 3))), at: [v(3)] },
  ],
  mul: [
    { f: nn.mul, at: [v(2, 3, 4), v(3, 1)] },
    { f: nn.mul, at: [v(2, 1, 4), v(1, 3, 1)] },
    { f: nn.mul, at: [v(2, 3), v()] },
    { f: nn.mul, at: [v(3), v(2, 3)] },
    { f: nn.mul, at: [v(2, 3, 5), v(2, 1, 5)] },
    { f: nn.mul, at: [v(2, 1), v(1, 3)] },
    { f: nn.mul, at: [v(1, 2, 1, 3), v(4, 1, 2, 1)] },
    { f: (a) => nn.mul(2, nn.mul(nn.square(a), 3)), at: [v(3)] },
  ],
  div: [
    { f: nn.div, at: [v(2, 3), positive(3)] },
    { f: nn.div, at: [v(2, 3), positive(2, 1)] },
    { f: (a) => nn.div(1, a), at: [positive(3)] },
  ],
  maximum: [{ f: (a, b) => nn.square(nn.maximum(a, b)), at: [v(3, 4), v(4)] }],
  minimum: [{ f: (a, b) => nn.square(nn.minimum(a, b)), at: [v(3, 4), v(4)] }],
  where: [{
    f: (a, b) => nn.where(nn.constant([1, 0, 0, 1]), nn.square(a), nn.exp(b)),
    at: [v(4), v(4)],
  }],
  clip: [{ f: (x) => nn.square(nn.clip(x, -0.4, 0.6)), at: [v(8)] }],
  sum: [
    { f: (x) => nn.square(nn.sum(x)), at: [v(2, 3)] },
    { f: (x) => nn.square(nn.sum(x, [0, 2])), at: [v(2, 3, 4)] },
    { f: (x) => nn.square(nn.sum(x, [1], true)), at: [v(2, 3, 4)] },
    { f: (x) => nn.square(nn.sum(x)), at: [v(333)] },
    { f: (x) => nn.square(nn.sum(x, [1])), at: [v(3, 137, 2)] },
  ],
  mean: [
    { f: (x) => nn.square(nn.mean(x, [-1])), at: [v(2, 5)] },
    { f: (x) => nn.square(nn.scale(nn.mean(x), 100)), at: [v(2, 131)] },
  ],
  sumTo: [{ f: (x) => nn.square(nn.sumTo(x, [3, 1])), at: [v(2, 3, 4)] }],
  sumParts: [{
    f: (x) => nn.square(nn.sumParts(x, (g) => [nn.broadcastTo(g, [4, 3])], [x])),
    at: [v(4, 3)],
  }],
  max: [
    { f: (x) => nn.square(nn.max(x)), at: [v(3, 5)] },
    { f: (x) => nn.square(nn.max(x, 0)), at: [v(4, 3)] },
  ],
  reshape: [{ f: (x) => nn.square(nn.reshape(x, [3, -1])), at: [v(2, 6)] }],
  view: [{ f: (x) => nn.square(nn.view(x, 64, [3])), at: [v(70)] }],
  permute: [{ f: (x) => nn.square(nn.permute(x, [2, 0, 3, 1])), at: [v(2, 3, 4, 2)] }],
  transpose: [{ f: (x) => nn.square(nn.transpose(x)), at: [v(2, 3, 4)] }],
  broadcastTo: [{ f: (x) => nn.square(nn.broadcastTo(x, [2, 3, 4])), at: [v(3, 1)] }],
  slice: [{ f: (x) => nn.square(nn.slice(x, [1, 2], [2, 3])), at: [v(4, 6)] }],
  flip: [{ f: (x) => nn.mul(nn.flip(x, [0, -1]), nn.exp(x)), at: [v(2, 3, 4)] }],
  pad: [{ f: (x) => nn.square(nn.pad(x, [1, 2], [4, 6])), at: [v(2, 3)] }],
  pack: [{
    f: (a, b) => nn.square(nn.pack([a, nn.square(b)], [0, 64], 128)),
    at: [v(5), v(2, 3)],
  }],
  matmul: [
    { f: (a, b) => nn.matmul(a, b), at: [v(3, 4), v(4, 2)] },
    { f: (a, b) => nn.matmul(a, b, { transposeA: true }), at: [v(4, 3), v(4, 2)] },
    { f: (a, b) => nn.matmul(a, b, { transposeB: true }), at: [v(3, 4), v(2, 4)] },
    {
      f: (a, b) => nn.matmul(a, b, { transposeA: true, transposeB: true }),
      at: [v(4, 3), v(2, 4)],
    },
    { f: (a, b) => nn.matmul(a, b), at: [v(5, 3, 4), v(5, 4, 2)] },
    { f: (a, b) => nn.matmul(a, b), at: [v(3, 4), v(5, 4, 2)] },
    { f: (a, b) => nn.matmul(a, b, { transposeB: true }), at: [v(5, 3, 4), v(2, 4)] },
    {
      f: (a, b, bias) => nn.square(nn.matmul(a, b, { bias, activation: "relu" })),
      at: [v(3, 4), v(4, 2), v(2)],
    },
    ...[false, true].flatMap((transposeA) =>
      [false, true].flatMap((transposeB) => {
        const f: Fn = (a, b, bias) =>
          nn.square(nn.matmul(a, b, { transposeA, transposeB, bias, activation: "relu" }));
        const [a, b] = [transposeA ? [9, 3] : [3, 9], transposeB ? [10, 9] : [9, 10]];
        return [
          { f, at: [v(2, ...a), v(2, ...b), v(10)] },
          { f, at: [v(...a), v(2, ...b), v(10)] },
          { f, at: [v(2, ...a), v(...b), v(10)] },
        ];
      })
    ),
  ],
  conv2d: [
    { f: (x, w) => nn.conv2d(x, w), at: [v(2, 2, 5, 4), v(3, 2, 3, 2)] },
    { f: (x, w) => nn.conv2d(x, w, geometry), at: [v(2, 2, 6, 5), v(3, 2, 3, 3)] },
    {
      f: (x, w, bias) => nn.square(nn.conv2d(x, w, { ...geometry, bias, activation: "relu" })),
      at: [v(2, 2, 7, 6), v(9, 2, 3, 3), v(9)],
    },
    {
      f: (x, w, bias) => nn.square(nn.conv2d(x, w, { bias, activation: "relu", padding: 1 })),
      at: [v(2, 2, 4, 4), v(3, 2, 3, 3), v(3)],
    },
    {
      f: (x, w, bias, residual) =>
        nn.square(nn.conv2d(x, w, { ...geometry, bias, residual, activation: "relu" })),
      at: [v(2, 2, 6, 6), v(3, 2, 3, 3), v(3), v(2, 3, 3, 3)],
    },
    // Results on both sides of both bends.
    ...[{ padding: 1 }, { padding: 1, groups: 2 }].map((options): OpCase => ({
      f: (x, w, bias) =>
        nn.square(
          nn.conv2d(nn.scale(x, 5), w, {
            ...options,
            bias: nn.scale(bias, 5),
            activation: "relu6",
          }),
        ),
      at: [v(2, 2, 4, 4), v(4, "groups" in options ? 1 : 2, 3, 3), v(4)],
    })),
    // One pixel in two is seen, and a residual without a bias.
    {
      f: (x, w, residual) => nn.square(nn.conv2d(x, w, { stride: 2, residual })),
      at: [v(2, 2, 4, 4), v(3, 2, 1, 1), v(2, 3, 2, 2)],
    },
  ],
  conv2dInput: [
    { f: (g, w) => nn.conv2dInput(g, w, [5, 4]), at: [v(2, 3, 3, 3), v(3, 2, 3, 2)] },
    { f: (g, w) => nn.conv2dInput(g, w, [6, 5], geometry), at: [v(2, 3, 3, 3), v(3, 2, 3, 3)] },
  ],
  conv2dWeight: [
    { f: (x, g) => nn.conv2dWeight(x, g, [3, 2]), at: [v(2, 2, 5, 4), v(2, 3, 3, 3)] },
    { f: (x, g) => nn.conv2dWeight(x, g, [3, 3], geometry), at: [v(5, 2, 6, 5), v(5, 3, 3, 3)] },
    // More images than parts: 4 parts of 2 images, the last of none.
    { f: (x, g) => nn.conv2dWeight(x, g, [2, 1]), at: [v(5, 150, 2, 1), v(5, 1, 1, 1)] },
    // One pixel's filters: a product of each image, and one of all.
    { f: (x, g) => nn.conv2dWeight(x, g, [1, 1]), at: [v(2, 3, 8, 8), v(2, 2, 8, 8)] },
    { f: (x, g) => nn.conv2dWeight(x, g, [1, 1]), at: [v(3, 4, 2, 3), v(3, 2, 2, 3)] },
  ],
  maxPool2d: [
    { f: (x) => nn.square(nn.maxPool2d(x, 2)), at: [v(2, 3, 4, 4)] },
    { f: (x) => nn.square(nn.maxPool2d(x, 3, 2)), at: [v(1, 2, 7, 5)] },
    { f: (x) => nn.square(nn.maxPool2d(x, 3, 1)), at: [v(2, 1, 5, 6)] },
    { f: (x) => nn.square(nn.maxPool2d(x, 2, 3)), at: [v(1, 2, 6, 5)] },
  ],
  avgPool2d: [{ f: (x) => nn.square(nn.avgPool2d(x, 2)), at: [v(2, 3, 4, 6)] }],
  channelAffine: [
    { f: (x, a, d) => nn.square(nn.channelAffine(x, a, d)), at: [v(2, 3, 2, 2), v(3), v(3)] },
    {
      f: (x, a, d, z, k) =>
        nn.square(nn.channelAffine(x, a, d, { second: [z, k], activation: "relu" })),
      at: [v(2, 3, 2, 1), v(3), v(3), v(2, 3, 2, 1), v(3)],
    },
  ],
  channelProducts: [{
    f: (g, x) => {
      const { total, product } = nn.channelProducts(g, x);
      return nn.mul(nn.square(total), product);
    },
    at: [v(2, 3, 2, 2), v(2, 3, 2, 2)],
  }],
  channelMoments: [{
    f: (x) => {
      const { mean, variance } = nn.channelMoments(x);
      return nn.mul(nn.add(mean, 2), variance);
    },
    at: [v(3, 2, 2, 2)],
  }],
  batchNorm: [
    { f: (x, a, b) => nn.square(nn.batchNorm(x, a, b).y), at: [v(3, 2, 2, 2), v(2), v(2)] },
    // As many channels as are bound one after the other.
    { f: (x, a, b) => nn.square(nn.batchNorm(x, a, b).y), at: [v(2, 64, 2, 1), v(64), v(64)] },
    {
      f: (x, a, b) => nn.square(nn.batchNorm(x, a, b, { activation: "relu" }).y),
      at: [v(2, 3, 3, 1), v(3), v(3)],
    },
    {
      f: (x, a, b, residual) =>
        nn.square(nn.batchNorm(x, a, b, { residual, activation: "relu" }).y),
      at: [v(3, 2, 2, 2), v(2), v(2), positive(3, 2, 2, 2)],
    },
    {
      f: (x, a, b) => {
        const { y, mean, variance } = nn.batchNorm(x, a, b, { epsilon: 0.1 });
        return nn.mul(nn.exp(y), nn.reshape(nn.mul(mean, variance), [1, 2, 1, 1]));
      },
      at: [v(3, 2, 2, 2), v(2), v(2)],
    },
  ],
  normalizeChannels: [{
    f: (x, a, b, mean, variance, residual) => {
      const options = { mean, variance, residual, activation: "relu" } as const;
      return nn.square(nn.normalizeChannels(x, a, b, options));
    },
    at: [v(2, 3, 2, 2), v(3), v(3), v(3), positive(3), v(2, 3, 2, 2)],
  }, {
    // Of a convolution: its filters are scaled.
    f: (x, w, offset, b, variance, residual) => {
      const y = nn.conv2d(x, w, { ...geometry, bias: offset });
      const options = { mean: offset, variance, residual, activation: "relu" } as const;
      return nn.square(nn.normalizeChannels(y, b, b, options));
    },
    at: [v(2, 2, 4, 4), v(3, 2, 3, 3), v(3), positive(3), positive(3), v(2, 3, 2, 2)],
  }],
  gatherRows: [{ f: (x) => nn.square(nn.gatherRows(x, index)), at: [v(3, 2)] }],
  cholesky: [{ f: (a) => nn.cholesky(a), at: [definite(2, 4)] }],
  triangularSolve: [
    { f: (l, b) => nn.triangularSolve(l, b), at: [lower(2, 3), v(2, 3, 2)] },
    { f: (l, b) => nn.triangularSolve(l, b, true), at: [lower(2, 3), v(3, 2)] },
    { f: (l, b) => nn.triangularSolve(nn.reshape(l, [3, 3]), b), at: [lower(1, 3), v(2, 3, 2)] },
    {
      f: (l, b) => nn.triangularSolve(nn.reshape(l, [3, 3]), b, true),
      at: [lower(1, 3), v(2, 3, 2)],
    },
    { f: (l, b) => nn.triangularSolve(l, b), at: [lower(2, 3), v(3, 2)] },
  ],
  lowerTriangle: [{ f: (a) => nn.square(nn.lowerTriangle(a)), at: [v(2, 3, 3)] }],
  diagonal: [{ f: (l) => nn.square(nn.diagonal(l)), at: [v(2, 3, 3)] }],
  rbf: [
    { f: nn.rbf, at: [v(3, 2), v(4, 2), positive(1)] },
    { f: nn.rbf, at: [v(3, 2), v(4, 2), positive(5)] },
    { f: nn.rbf, at: [v(5, 3, 2), v(5, 1, 2), positive(1)] },
    { f: nn.rbf, at: [v(3, 2), v(5, 4, 2), positive(5)] },
    { f: nn.rbf, at: [v(5, 3, 2), v(1, 4, 2), positive(1)] },
    { f: nn.rbf, at: [v(1, 3, 2), v(5, 4, 2), positive(5)] },
  ],
  squaredDistance: [{ f: nn.squaredDistance, at: [v(2, 3, 2), v(4, 2)] }],
  randomFeatures: [{
    f: (x, w, b) => nn.randomFeatures(x, w, b, 0.5),
    at: [v(3, 4), v(4, 5), v(5)],
  }],
  logSoftmax: [v(3, 4), v(2, 3, 5)].map((at) => ({ f: (x) => nn.logSoftmax(x), at: [at] })),
  softmax: [{ f: (x) => nn.softmax(x), at: [v(3, 4)] }],
  crossEntropy: [{ f: (x) => nn.crossEntropy(x, label), at: [v(3, 4)] }],
  binaryCrossEntropy: [{
    f: (x) => nn.binaryCrossEntropy(nn.sigmoid(x), target),
    at: [v(2, 3)],
  }],
  logBinaryCrossEntropy: [{
    f: (x) => nn.logBinaryCrossEntropy(nn.neg(nn.softplus(x)), target),
    at: [v(2, 3)],
  }],
  negativeLogLikelihood: [{
    f: (x) => nn.negativeLogLikelihood(nn.logSoftmax(x), label),
    at: [v(3, 4)],
  }],
  logMeanExp: [{ f: (x) => nn.logMeanExp(nn.scale(x, 3)), at: [v(4, 2, 3)] }],
  withVjp: [{
    f: (x) => nn.withVjp(nn.square(x), [x], (g) => [nn.mul(g, nn.scale(x, 2))]),
    at: [v(5)],
  }],
  rowNorm: [{ f: nn.rowNorm, at: [v(3, 2, 2)] }],
  normalizeRows: [{ f: (x) => nn.normalizeRows(x), at: [v(3, 5)] }],
  unit: [{ f: (x) => nn.unit(x), at: [v(2, 3)] }],
};
