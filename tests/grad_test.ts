/** Every differentiable op of src/nn, its gradient and the gradient of that, in f64. */
import assert from "node:assert/strict";
import * as nn from "../src/nn/mod.ts";
import { checkGrads, type Fn, positive, v, wave } from "./check_grads.ts";
import { allCases } from "./import_cases.ts";
import { SpectralLeNet } from "../src/networks/lenet.ts";

/** Exports that make no differentiable node: constants, indices, noise, optimisers, machinery. */
const others = new Set(
  [
    "argmax compile constant convolutionsOf cropAndFlip defaultInit describeTimes dim drainAll evaluate equal flatGradient floor gatherImages grad greater input",
    "identity kthLargest nest noise nonFinite oneHot openDevice orthogonal projectL1 pull push release sgd show sign size step",
    "halving stepDecay stopGradient strided tileTablePath topologicalOrder tune useExactConvolutions useTuning",
  ].join(" ").split(" "),
);

for (const [name, cases] of Object.entries(allCases)) {
  Deno.test(`\`${name}()\` has right gradients of order 1 and 2`, () => {
    for (const { f, at } of cases) checkGrads(f, at, 2);
  });
}

Deno.test("every differentiable export of src/nn is in the table", () => {
  const functions = Object.entries(nn)
    .filter(([name, value]) => typeof value === "function" && /^[a-z]/.test(name))
    .map(([name]) => name);
  for (const name of functions) {
    assert.ok(name in allCases || others.has(name), `"${name}" is neither tested nor excepted`);
  }
  for (const name of [...Object.keys(allCases), ...others]) {
    assert.ok(functions.includes(name), `"${name}" is no function of src/nn`);
  }
});

Deno.test("steps, comparisons and indices hand no gradient on", () => {
  const blocked: readonly Fn[] = [
    nn.step,
    nn.sign,
    nn.floor,
    nn.nonFinite,
    nn.stopGradient,
    (x) => nn.argmax(x),
    (x) => nn.greater(x, 0.1),
    (x) => nn.equal(x, x),
    (x) => nn.oneHot(nn.floor(x), 3),
    (x) => nn.noise("uniform", new nn.Random(1), nn.slice(x, [0], [1]), [4]),
  ];
  for (const f of blocked) {
    const x = nn.input([3]);
    const [dx = x] = nn.grad(f(x), [x]);
    const [g = []] = nn.evaluate([dx], new Map([[x, [1.5, 0, -2]]]));
    assert.deepEqual([...g], [0, 0, 0], String(f));
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

Deno.test("`maxPool2d()` sums what a pixel gets from overlapping windows, ties to the first", () => {
  const x = nn.input([1, 1, 2, 3]);
  const [dx = x] = nn.grad(nn.maxPool2d(x, 2, 1), [x]);
  const [shared = []] = nn.evaluate([dx], new Map([[x, [0, 9, 0, 0, 9, 0]]]));
  assert.deepEqual([...shared], [0, 2, 0, 0, 0, 0]);
  const [tied = []] = nn.evaluate([dx], new Map([[x, [7, 7, 7, 7, 7, 7]]]));
  assert.deepEqual([...tied], [1, 1, 0, 0, 0, 0]);
});

Deno.test("`maximum()`, `clip()`, `max()`, `relu()` and `abs()` keep their conventions at ties", () => {
  const slopes = (f: Fn, at: number[]): number[] => {
    const x = nn.input([at.length]);
    const [dx = x] = nn.grad(f(x), [x]);
    return [...nn.evaluate([dx], new Map([[x, at]]))[0] ?? []];
  };
  assert.deepEqual(slopes((x) => nn.maximum(x, 1), [0, 1, 2]), [0, 1, 1]);
  assert.deepEqual(slopes((x) => nn.maximum(1, x), [0, 1, 2]), [0, 0, 1]);
  assert.deepEqual(slopes((x) => nn.minimum(x, 1), [0, 1, 2]), [1, 1, 0]);
  assert.deepEqual(slopes((x) => nn.clip(x, 0, 1), [-1, 0, 0.5, 1, 2]), [0, 1, 1, 1, 0]);
  assert.deepEqual(slopes((x) => nn.max(x), [3, 5, 5, 1]), [0, 1, 0, 0]);
  assert.deepEqual(slopes(nn.relu, [-1, 0, 1]), [0, 0, 1]);
  assert.deepEqual(slopes(nn.abs, [-1, 0, 1]), [-1, 0, 1]);
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

for (const name of ["SpectralLinear", "SpectralConv2d"]) {
  for (const coeff of [0.1, 100]) {
    Deno.test(`\`${name}\` with coeff ${coeff} holds u and v fixed in the gradient of train mode`, () => {
      const layer = name === "SpectralLinear"
        ? new nn.SpectralLinear(random, 4, 3, { coeff })
        : new nn.SpectralConv2d(random, 2, 3, 3, { coeff, padding: 1, imageSize: [4, 4] });
      const shape = name === "SpectralLinear" ? [2, 4] : [2, 2, 4, 4];
      const { weight, u, v: right } = layer.spectral;
      const x = nn.input(shape);
      const train = new nn.Pass(true);
      const y = layer.forward(x, train);
      const [u1, v1, sigma] = [u, right, layer.spectral.sigma].map((p) => train.get(p));
      const at = new Map([[x, v(...shape)[1]]]);
      const slope = nn.grad(nn.square(y), [x, weight.tensor, layer.bias?.tensor ?? x]);
      const values = nn.evaluate([u1 ?? x, v1 ?? x, sigma ?? x, y, ...slope], at);

      // The same layer in eval mode at the new u and v, whose gradient is checked by differences.
      const frozen = (tensor: nn.Tensor, k: nn.Tensor): nn.Tensor => {
        const pass = new nn.Pass(false);
        pass.set(weight, k);
        [u, right].forEach((p, i) =>
          pass.set(p, nn.constant(Float32Array.from(values[i] ?? []), p.shape))
        );
        return layer.forward(tensor, pass);
      };
      const z = frozen(x, weight.tensor);
      const expected = nn.evaluate([
        z,
        ...nn.grad(nn.square(z), [x, weight.tensor, layer.bias?.tensor ?? x]),
      ], at);
      expected.forEach((exact, i) => close(values[i + 3], exact, 1e-6));
      const bound = Math.max(1, (values[2]?.[0] ?? NaN) / coeff);
      assert.equal(bound > 1, coeff < 1, "coeff chooses the branch");
      const soft = nn.scale(weight.tensor, 1 / bound);
      const bias = layer.bias?.tensor ?? x;
      const plain = layer instanceof nn.SpectralLinear
        ? nn.matmul(x, soft, { transposeB: true, bias })
        : nn.conv2d(x, soft, { padding: 1, bias });
      nn.evaluate([plain], at).forEach((exact) => close(values[3], exact, 1e-6));
      const held = [weight.shape, Float64Array.from(weight.data)] as const;
      checkGrads((a, k) => nn.square(frozen(a, k)), [v(...shape), held], 2);
    });
  }
}

function close(actual: Float64Array | undefined, exact: Float64Array, tolerance: number): void {
  const scale = Math.max(...exact.map(Math.abs));
  exact.forEach((value, i) =>
    assert.ok(Math.abs((actual?.[i] ?? NaN) - value) <= tolerance * scale, `${actual}, ${exact}`)
  );
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
    const k = nn.exp(nn.neg(nn.scale(nn.mean(nn.square(z), [1]), 0.02)));
    const [dx = x] = nn.grad(k, [x]);
    return nn.mean(nn.square(nn.sub(nn.rowNorm(dx), 1)));
  };
  checkGrads(penalty, [v(2, 1, 6, 6), v(2, 1, 3, 3), positive(2), v(8, 3)], 2);
});

Deno.test("what a convolution pools at once has right gradients, and those of a penalty on them", () => {
  const pooled: Fn = (x, w, b) =>
    nn.square(nn.relu(nn.maxPool2d(nn.conv2d(x, w, { bias: b, padding: 1 }), 2)));
  const [x, w] = [nn.input([1, 1, 4, 4]), nn.input([1, 1, 3, 3])];
  const y = nn.maxPool2d(nn.conv2d(x, w, { padding: 1 }), 2);
  assert.deepEqual(y.inputs.flatMap((t) => t.inputs).map((t) => t.name), ["conv2dMaxPool"]);
  const penalty: Fn = (x, w, b) => {
    const [dx = x] = nn.grad(pooled(x, w, b), [x]);
    return nn.mean(nn.square(nn.sub(nn.rowNorm(dx), 1)));
  };
  const at = [v(2, 1, 6, 4), v(3, 1, 3, 3), positive(3)] as const;
  checkGrads(pooled, at, 2);
  checkGrads(penalty, at, 1);
});

Deno.test("`SpectralLeNet` has a right gradient by image and weights", () => {
  const net = new SpectralLeNet(new nn.Random(2));
  const trainable = [...net.state.values()].filter((p) => p.trainable);
  const f: Fn = (x, ...weights) => {
    const pass = new nn.Pass(false);
    trainable.forEach((p, i) => pass.set(p, weights[i] ?? x));
    return net.forward(x, pass);
  };
  const image = [[2, 1, 28, 28], wave(1568, 1).map((x) => 0.5 + x / 2)] as const;
  checkGrads(f, [image, ...trainable.map((p) => [p.shape, Float64Array.from(p.data)] as const)], 1);
});
