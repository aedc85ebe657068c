/** Every differentiable op of src/nn, its gradient and the gradient of that, in f64. */
import assert from "node:assert/strict";
import * as nn from "../src/nn/mod.ts";
import { checkGrads, type Fn, wave } from "./check_grads.ts";

type Values = readonly (readonly [nn.Shape, ArrayLike<number>])[];

interface Case {
  readonly f: Fn;
  readonly at: Values;
  /** 2 unless the op is flat enough for 1 to say it all. */
  readonly order?: number;
}

/** Values without ties or zeros. */
function v(...shape: number[]): readonly [nn.Shape, Float64Array] {
  return [shape, wave(nn.size(shape), shape.length + nn.size(shape) / 100)];
}

/** Values above 0.5. */
function positive(...shape: number[]): readonly [nn.Shape, Float64Array] {
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

const cases: Readonly<Record<string, Case | readonly Case[]>> = {
  neg: { f: (x) => nn.neg(nn.square(x)), at: [v(5)] },
  abs: { f: (x) => nn.abs(nn.square(x)), at: [v(5)] },
  relu: { f: (x) => nn.relu(nn.mul(x, nn.square(x))), at: [v(7)] },
  exp: { f: nn.exp, at: [v(5)] },
  log: { f: nn.log, at: [positive(5)] },
  log1p: { f: nn.log1p, at: [positive(5)] },
  sqrt: { f: nn.sqrt, at: [positive(5)] },
  reciprocal: { f: nn.reciprocal, at: [positive(5)] },
  square: { f: nn.square, at: [v(5)] },
  cos: { f: nn.cos, at: [v(5)] },
  sin: { f: nn.sin, at: [v(5)] },
  tanh: { f: nn.tanh, at: [v(5)] },
  sigmoid: { f: nn.sigmoid, at: [v(5)] },
  softplus: { f: nn.softplus, at: [v(5)] },
  scale: { f: (x) => nn.square(nn.scale(x, -3)), at: [v(5)] },
  shift: { f: (x) => nn.square(nn.shift(x, 2)), at: [v(5)] },
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
    { f: (a) => nn.mul(2, nn.mul(nn.square(a), 3)), at: [v(3)] },
  ],
  div: [
    { f: nn.div, at: [v(2, 3), positive(3)] },
    { f: nn.div, at: [v(2, 3), positive(2, 1)] },
    { f: (a) => nn.div(1, a), at: [positive(3)] },
  ],
  maximum: { f: (a, b) => nn.square(nn.maximum(a, b)), at: [v(3, 4), v(4)] },
  minimum: { f: (a, b) => nn.square(nn.minimum(a, b)), at: [v(3, 4), v(4)] },
  where: {
    f: (a, b) => nn.where(nn.constant([1, 0, 0, 1]), nn.square(a), nn.exp(b)),
    at: [v(4), v(4)],
  },
  clip: { f: (x) => nn.square(nn.clip(x, -0.4, 0.6)), at: [v(8)] },
  sum: [
    { f: (x) => nn.square(nn.sum(x)), at: [v(2, 3)] },
    { f: (x) => nn.square(nn.sum(x, [0, 2])), at: [v(2, 3, 4)] },
    { f: (x) => nn.square(nn.sum(x, [1], true)), at: [v(2, 3, 4)] },
    { f: (x) => nn.square(nn.sum(x)), at: [v(333)] },
    { f: (x) => nn.square(nn.sum(x, [1])), at: [v(3, 137, 2)] },
  ],
  mean: { f: (x) => nn.square(nn.mean(x, [-1])), at: [v(2, 5)] },
  sumTo: { f: (x) => nn.square(nn.sumTo(x, [3, 1])), at: [v(2, 3, 4)] },
  sumParts: {
    f: (x) => nn.square(nn.sumParts(x, (g) => [nn.broadcastTo(g, [4, 3])], [x])),
    at: [v(4, 3)],
  },
  max: [
    { f: (x) => nn.square(nn.max(x)), at: [v(3, 5)] },
    { f: (x) => nn.square(nn.max(x, 0)), at: [v(4, 3)] },
  ],
  reshape: { f: (x) => nn.square(nn.reshape(x, [3, -1])), at: [v(2, 6)] },
  view: { f: (x) => nn.square(nn.view(x, 64, [3])), at: [v(70)] },
  permute: { f: (x) => nn.square(nn.permute(x, [2, 0, 3, 1])), at: [v(2, 3, 4, 2)] },
  transpose: { f: (x) => nn.square(nn.transpose(x)), at: [v(2, 3, 4)] },
  broadcastTo: { f: (x) => nn.square(nn.broadcastTo(x, [2, 3, 4])), at: [v(3, 1)] },
  slice: { f: (x) => nn.square(nn.slice(x, [1, 2], [2, 3])), at: [v(4, 6)] },
  flip: { f: (x) => nn.mul(nn.flip(x, [0, -1]), nn.exp(x)), at: [v(2, 3, 4)] },
  pad: { f: (x) => nn.square(nn.pad(x, [1, 2], [4, 6])), at: [v(2, 3)] },
  pack: {
    f: (a, b) => nn.square(nn.pack([a, nn.square(b)], [0, 64], 128)),
    at: [v(5), v(2, 3)],
  },
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
  ],
  conv2d: [
    { f: (x, w) => nn.conv2d(x, w), at: [v(2, 2, 5, 4), v(3, 2, 3, 2)] },
    { f: (x, w) => nn.conv2d(x, w, geometry), at: [v(2, 2, 6, 5), v(3, 2, 3, 3)] },
    {
      f: (x, w, bias) => nn.square(nn.conv2d(x, w, { bias, activation: "relu", padding: 1 })),
      at: [v(2, 2, 4, 4), v(3, 2, 3, 3), v(3)],
    },
  ],
  conv2dInput: [
    { f: (g, w) => nn.conv2dInput(g, w, [5, 4]), at: [v(2, 3, 3, 3), v(3, 2, 3, 2)] },
    { f: (g, w) => nn.conv2dInput(g, w, [6, 5], geometry), at: [v(2, 3, 3, 3), v(3, 2, 3, 3)] },
  ],
  conv2dWeight: [
    { f: (x, g) => nn.conv2dWeight(x, g, [3, 2]), at: [v(2, 2, 5, 4), v(2, 3, 3, 3)] },
    { f: (x, g) => nn.conv2dWeight(x, g, [3, 3], geometry), at: [v(5, 2, 6, 5), v(5, 3, 3, 3)] },
  ],
  maxPool2d: [
    { f: (x) => nn.square(nn.maxPool2d(x, 2)), at: [v(2, 3, 4, 4)] },
    { f: (x) => nn.square(nn.maxPool2d(x, 3, 2)), at: [v(1, 2, 7, 5)] },
  ],
  avgPool2d: { f: (x) => nn.square(nn.avgPool2d(x, 2)), at: [v(2, 3, 4, 6)] },
  gatherRows: { f: (x) => nn.square(nn.gatherRows(x, index)), at: [v(3, 2)] },
  cholesky: { f: (a) => nn.cholesky(a), at: [definite(2, 4)] },
  triangularSolve: [
    { f: (l, b) => nn.triangularSolve(l, b), at: [lower(2, 3), v(2, 3, 2)] },
    { f: (l, b) => nn.triangularSolve(l, b, true), at: [lower(2, 3), v(3, 2)] },
    { f: (l, b) => nn.triangularSolve(nn.reshape(l, [3, 3]), b), at: [lower(1, 3), v(2, 3, 2)] },
  ],
  diagonal: { f: (l) => nn.square(nn.diagonal(l)), at: [v(2, 3, 3)] },
  rbf: [
    { f: nn.rbf, at: [v(3, 2), v(4, 2), positive(1)] },
    { f: nn.rbf, at: [v(3, 2), v(4, 2), positive(5)] },
    { f: nn.rbf, at: [v(5, 3, 2), v(5, 1, 2), positive(1)] },
    { f: nn.rbf, at: [v(3, 2), v(5, 4, 2), positive(5)] },
  ],
  squaredDistance: { f: nn.squaredDistance, at: [v(2, 3, 2), v(4, 2)] },
  randomFeatures: {
    f: (x, w, b) => nn.randomFeatures(x, w, b, 0.5),
    at: [v(3, 4), v(4, 5), v(5)],
  },
  logSoftmax: { f: nn.logSoftmax, at: [v(3, 4)] },
  softmax: { f: nn.softmax, at: [v(3, 4)] },
  crossEntropy: { f: (x) => nn.crossEntropy(x, label), at: [v(3, 4)] },
  binaryCrossEntropy: {
    f: (x) => nn.binaryCrossEntropy(nn.sigmoid(x), target),
    at: [v(2, 3)],
  },
  rowNorm: { f: nn.rowNorm, at: [v(3, 2, 2)] },
  normalizeRows: { f: (x) => nn.normalizeRows(x), at: [v(3, 5)] },
  unit: { f: (x) => nn.unit(x), at: [v(2, 3)] },
};

/** Exports that make no differentiable node: constants, indices, noise, optimisers, machinery. */
const others = new Set(
  [
    "argmax compile constant defaultInit drainAll evaluate equal flatGradient floor gatherImages grad greater input",
    "nest noise nonFinite oneHot openDevice orthogonal pull push release sgd show sign size step",
    "stepDecay stopGradient topologicalOrder",
  ].join(" ").split(" "),
);

for (const [name, listed] of Object.entries(cases)) {
  Deno.test(`\`${name}()\` has right gradients of order 1 and 2`, () => {
    for (
      const { f, at, order = 2 } of Array.isArray(listed) ? listed as Case[] : [listed as Case]
    ) {
      checkGrads(f, at, order);
    }
  });
}

Deno.test("every differentiable export of src/nn is in the table", () => {
  const functions = Object.entries(nn)
    .filter(([name, value]) => typeof value === "function" && /^[a-z]/.test(name))
    .map(([name]) => name);
  for (const name of functions) {
    assert.ok(name in cases || others.has(name), `"${name}" is neither tested nor excepted`);
  }
});

Deno.test("`grad()` gives zeros for what y does not depend on, and nothing through stopGradient", () => {
  const [x, y] = [nn.input([3]), nn.input([2])];
  const values = new Map([[x, [1, 2, 3]], [y, [4, 5]]]);
  const [dx, dy] = nn.grad(nn.mul(nn.stopGradient(x), x), [x, y]);
  assert.ok(dx && dy);
  const [gx, gy] = nn.evaluate([dx, dy], values);
  assert.deepEqual([...gx ?? []], [1, 2, 3]);
  assert.deepEqual([...gy ?? []], [0, 0]);
});

Deno.test("`sqrt()` and `rowNorm()` have derivative 0 at 0, to second order", () => {
  const x = nn.input([2, 2]);
  const y = nn.rowNorm(x);
  const [dx = y] = nn.grad(y, [x]);
  const [ddx = y] = nn.grad(nn.square(dx), [x]);
  const [first, second] = nn.evaluate([dx, ddx], new Map([[x, [0, 0, 3, 4]]]));
  assert.deepEqual([...first ?? []].map((g) => +g.toFixed(12)), [0, 0, 0.6, 0.8]);
  assert.ok([...second ?? []].every(Number.isFinite), `${second}`);
});

Deno.test("`maxPool2d()` gives a tie to the first maximum, as PyTorch", () => {
  const x = nn.input([1, 1, 2, 2]);
  const [dx = x] = nn.grad(nn.maxPool2d(x, 2), [x]);
  const [g = []] = nn.evaluate([dx], new Map([[x, [7, 7, 7, 7]]]));
  assert.deepEqual([...g], [1, 0, 0, 0]);
});

Deno.test("`cholesky()` reads only the lower part and gives only it a gradient", () => {
  const a = nn.input([2, 2]);
  const l = nn.cholesky(a);
  const [da = l] = nn.grad(l, [a]);
  const [one, g] = nn.evaluate([l, da], new Map([[a, [4, 99, 2, 5]]]));
  assert.deepEqual([...one ?? []], [2, 0, 1, 2]);
  assert.equal(g?.[1], 0);
});

const random = new nn.Random(5);
const layers: Readonly<Record<string, { layer: nn.Layer; shape: number[] }>> = {
  Linear: { layer: new nn.Linear(random, 4, 3, { activation: "relu" }), shape: [2, 4] },
  Conv2d: { layer: new nn.Conv2d(random, 2, 3, 3, { stride: 2, padding: 1 }), shape: [2, 2, 5, 5] },
  LayerNorm: { layer: new nn.LayerNorm(4), shape: [3, 4] },
  SpectralLinear: { layer: new nn.SpectralLinear(random, 4, 3, { coeff: 0.1 }), shape: [2, 4] },
  SpectralConv2d: {
    layer: new nn.SpectralConv2d(random, 2, 3, 3, { coeff: 0.2, padding: 1, imageSize: [4, 4] }),
    shape: [2, 2, 4, 4],
  },
};

for (const [name, { layer, shape }] of Object.entries(layers)) {
  Deno.test(`\`${name}\` has right gradients by its input and its trainable parameters`, () => {
    const trainable = [...layer.state.values()].filter((p) => p.trainable);
    const held = trainable.map((p) => [p.shape, Float64Array.from(p.data)] as const);
    // Arguments take the parameters' places in the pass; in eval mode u and v stay as they are.
    const f: Fn = (x, ...weights) => {
      const pass = new nn.Pass(false);
      trainable.forEach((p, i) => pass.set(p, weights[i] ?? x));
      return nn.square(layer.forward(x, pass));
    };
    checkGrads(f, [v(...shape), ...held], 2);
  });
}

Deno.test("a power iteration normalises to the operator norm and moves u, v, sigma only in train mode", () => {
  const options = { coeff: 1e-3, padding: 1, imageSize: [4, 4] } as const;
  const layer = new nn.SpectralConv2d(new nn.Random(1), 2, 3, 3, options);
  assert.equal(passOf(layer, [1, 2, 4, 4], false).updates.size, 0);
  const state = new Map(layer.state);
  for (let i = 0; i < 60; i++) {
    const { updates } = passOf(layer, [1, 2, 4, 4], true);
    assert.equal(updates.size, 3);
    const values = nn.evaluate([...updates.values()]);
    [...updates.keys()].forEach((p, j) => p.data.set(values[j] ?? []));
  }
  // The norm of the operator itself, as a matrix from 2 x 4 x 4 to 3 x 4 x 4.
  const x = nn.input([1, 2, 4, 4]);
  const weight = state.get("weight_orig");
  const sigma = state.get("weight_sigma")?.data[0] ?? NaN;
  assert.ok(weight);
  const y = nn.conv2d(x, weight.tensor, { padding: 1 });
  const columns = Array.from({ length: 32 }, (_, i) => {
    const e = Float64Array.from({ length: 32 }, (_, j) => i === j ? 1 : 0);
    return nn.evaluate([y], new Map([[x, e]]))[0] ?? new Float64Array();
  });
  const norm = spectralNorm(columns);
  assert.ok(Math.abs(sigma - norm) < 1e-3 * norm, `sigma ${sigma}, norm ${norm}`);
});

function passOf(layer: nn.Layer, shape: number[], train: boolean): nn.Pass {
  const pass = new nn.Pass(train);
  layer.forward(nn.input(shape), pass);
  return pass;
}

/** The largest singular value by a long power iteration on the matrix of these columns. */
function spectralNorm(columns: readonly Float64Array[]): number {
  let v = Float64Array.from(columns, (_, i) => Math.cos(i));
  let norm = 0;
  for (let i = 0; i < 500; i++) {
    const u = new Float64Array(columns[0]?.length ?? 0);
    columns.forEach((c, j) => c.forEach((x, k) => u[k] = (u[k] ?? 0) + x * (v[j] ?? 0)));
    v = Float64Array.from(columns, (c) => c.reduce((s, x, k) => s + x * (u[k] ?? 0), 0));
    norm = Math.sqrt(Math.hypot(...v));
    const length = Math.hypot(...v);
    v = v.map((x) => x / length);
  }
  return norm;
}

Deno.test("a gradient penalty through conv, ReLU, max-pool and linear has a right gradient", () => {
  const penalty: Fn = (x, w1, b1, w2) => {
    const h = nn.maxPool2d(nn.conv2d(x, w1, { bias: b1, activation: "relu" }), 2);
    const z = nn.matmul(nn.reshape(h, [2, -1]), w2);
    const k = nn.exp(nn.neg(nn.mean(nn.square(z), [1])));
    const [dx = x] = nn.grad(k, [x]);
    return nn.mean(nn.square(nn.sub(nn.rowNorm(dx), 1)));
  };
  checkGrads(penalty, [v(2, 1, 6, 6), v(2, 1, 3, 3), positive(2), v(8, 3)], 1);
});

Deno.test("`SpectralLeNet` has a right gradient by image and weights", () => {
  const net = new nn.SpectralLeNet(new nn.Random(2));
  const trainable = [...net.state.values()].filter((p) => p.trainable);
  const f: Fn = (x, ...weights) => {
    const pass = new nn.Pass(false);
    trainable.forEach((p, i) => pass.set(p, weights[i] ?? x));
    return net.forward(x, pass);
  };
  const image = [[1, 1, 28, 28], wave(784, 1).map((x) => 0.5 + x / 2)] as const;
  checkGrads(f, [image, ...trainable.map((p) => [p.shape, Float64Array.from(p.data)] as const)], 1);
});
