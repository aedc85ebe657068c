/** Uses of what networks from elsewhere are made of beside the ops of `check_grads.ts`, and both tables in one. */
import * as nn from "../src/nn/mod.ts";
import { type Fn, type OpCase, opCases, positive, v } from "./check_grads.ts";

/** Whole numbers as exponents, some negative, one 0. */
const whole = nn.constant([2, -1, 3, 0, 1]);

const product: Fn = (a, b) => nn.matmul(a, b);

const maxPools: readonly nn.MaxPoolOptions[] = [
  { window: [2, 3], stride: [1, 2], padding: 1 },
  { window: 3, stride: 2, padding: [0, 1, 1, 0], ceil: true },
  { window: 2, stride: 1, dilation: [2, 3] },
  { window: [2, 3] },
];

const averages: readonly nn.AvgPoolOptions[] = [
  { window: [2, 3], stride: [1, 2], padding: 1 },
  { window: 3, stride: 2, padding: [0, 1, 1, 0], ceil: true, countIncludePad: false },
];

/** By the name of the op. */
const importCases: Readonly<Record<string, readonly OpCase[]>> = {
  erf: [{ f: nn.erf, at: [v(5)] }],
  ceil: [{ f: (x) => nn.mul(nn.ceil(nn.scale(x, 3)), nn.exp(x)), at: [v(5)] }],
  pow: [
    ...[1, 2, 3, 5, -1, -2].map((n): OpCase => ({
      f: (x) => nn.mul(nn.pow(x, n), nn.exp(x)),
      at: [v(5)],
    })),
    { f: (x) => nn.pow(x, 67), at: [[[3], [1.01, -0.98, 0.97]]] },
    ...[0.5, -1.5, 2.25].map((p): OpCase => ({ f: (x) => nn.pow(x, p), at: [positive(5)] })),
    { f: (x) => nn.mul(nn.pow(x, whole), nn.exp(x)), at: [v(5)] },
    { f: (x) => nn.mul(nn.pow(x, nn.constant([3])), nn.exp(x)), at: [v(5)] },
    { f: nn.pow, at: [positive(3, 4), v(4)] },
    { f: nn.pow, at: [positive(4), v(3, 1)] },
  ],
  where: [{
    f: (a, b) => nn.where(nn.constant([1, 0, 1], [3, 1]), nn.square(a), nn.exp(b)),
    at: [v(4), v(2, 1, 1)],
  }],
  min: [{ f: (x) => nn.square(nn.min(x, 1)), at: [v(2, 4, 3)] }],
  concat: [
    { f: (a, b) => nn.square(nn.concat([a, b, a], 1)), at: [v(2, 3, 2), v(2, 1, 2)] },
    { f: (a, b) => nn.square(nn.concat([a, nn.exp(b)], -1)), at: [v(2, 3), v(2, 4)] },
    {
      f: (a, b) => nn.square(nn.concat([a, ...Array<nn.Tensor>(11).fill(b), a], 0)),
      at: [v(2, 3), v(1, 3)],
    },
  ],
  slice: [
    { f: (x) => nn.square(nn.slice(x, [1, 5], [2, 3], [2, -2])), at: [v(4, 6)] },
    { f: (x) => nn.mul(x, nn.exp(nn.slice(x, [2, 0], [3, 4], [-1, 1]))), at: [v(3, 4)] },
  ],
  pad: [
    { f: (x) => nn.square(nn.pad(x, [1, 6], [6, 7], [2, -3])), at: [v(3, 2)] },
    // What lies outside is left out.
    { f: (x) => nn.square(nn.pad(x, [-1, 1], [2, 4])), at: [v(4, 5)] },
    {
      f: (x) => nn.square(nn.pad(x, [1, 0, 2, 1, 0, 1], [3, 2, 4, 2, 2, 3])),
      at: [v(2, 1, 2, 1, 2, 2)],
    },
  ],
  permute: [
    // The pixels of a shuffle: five axes whatever is joined.
    { f: (x) => nn.square(nn.permute(x, [0, 3, 1, 4, 2])), at: [v(2, 2, 3, 2, 2)] },
    { f: (x) => nn.square(nn.permute(x, [0, 1, 3, 2, 4, 5])), at: [v(1, 2, 2, 2, 2, 3)] },
  ],
  broadcastTo: [{
    f: (x) => nn.square(nn.broadcastTo(x, [2, 2, 2, 2, 2, 2])),
    at: [v(2, 1, 2, 1, 2)],
  }],
  mul: [{ f: nn.mul, at: [v(2, 1, 2, 1, 3), v(1, 2, 1, 2, 1)] }],
  sum: [{ f: (x) => nn.square(nn.sum(x, [0, 2, 4])), at: [v(2, 2, 3, 2, 2)] }],
  max: [{ f: (x) => nn.square(nn.max(x, 2)), at: [v(2, 2, 3, 1, 2)] }],
  take: [
    { f: (x) => nn.square(nn.take(x, [2, 0, 2, -1, 2], 1)), at: [v(2, 4, 3)] },
    { f: (x) => nn.square(nn.take(x, [1], -1)), at: [v(3, 2)] },
  ],
  logSoftmax: [
    { f: (x) => nn.logSoftmax(x, { axis: 0 }), at: [v(4, 3)] },
    { f: (x) => nn.logSoftmax(x, { axis: -2 }), at: [v(2, 3, 5)] },
  ],
  softmax: [{ f: (x) => nn.softmax(x, { axis: 1 }), at: [v(2, 4, 2, 2)] }],
  layerNorm: [
    { f: (x, a, b) => nn.layerNorm(x, 1, a, b), at: [v(3, 5), v(5), v(5)] },
    { f: (x, a) => nn.layerNorm(x, 2, a, undefined, 0.1), at: [v(2, 3, 4), v(3, 4)] },
    { f: (x) => nn.layerNorm(x, 3), at: [v(2, 3, 4)] },
  ],
  matmul: [
    { f: product, at: [v(2, 2, 3, 4), v(2, 2, 4, 2)] },
    { f: product, at: [v(2, 1, 3, 4), v(3, 4, 2)] },
    { f: product, at: [v(1, 3, 4), v(5, 4, 2)] },
    { f: product, at: [v(2, 2, 3, 4), v(4, 2)] },
    { f: product, at: [v(4), v(2, 4, 3)] },
    { f: product, at: [v(2, 2, 3, 4), v(4)] },
    { f: (a, b) => nn.square(nn.matmul(a, b)), at: [v(4), v(4)] },
    {
      f: (a, b, bias) => {
        const options = { transposeA: true, transposeB: true, bias, activation: "relu" } as const;
        return nn.square(nn.matmul(a, b, options));
      },
      at: [v(2, 3, 4, 3), v(3, 2, 4), v(2)],
    },
    {
      f: (a, b) => nn.square(nn.matmul(a, b, { transposeB: true })),
      at: [v(2, 2, 3, 4), v(1, 2, 4)],
    },
  ],
  maxPool2d: maxPools.map((options) => ({
    f: (x) => nn.square(nn.maxPool2d(x, options)),
    at: [v(2, 2, 6, 7)],
  })),
  avgPool2d: averages.map((options) => ({
    f: (x) => nn.square(nn.avgPool2d(x, options)),
    at: [v(2, 2, 6, 7)],
  })),
};

const names = [...new Set([...Object.keys(opCases), ...Object.keys(importCases)])];

/** Every differentiable op of src/nn by its name, with all of its uses. */
export const allCases: Readonly<Record<string, readonly OpCase[]>> = Object.fromEntries(
  names.map((name) => [name, [...opCases[name] ?? [], ...importCases[name] ?? []]]),
);
