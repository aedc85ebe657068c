/** The f64 reference against hand values, published vectors and the laws that it must keep. */
import assert from "node:assert/strict";
import { kernel } from "../src/nn/graph/kernel.ts";
import { reference } from "../src/nn/check/reference.ts";
import { philox4x32 } from "../src/nn/check/state.ts";
import { integers, uniform } from "../src/nn/check/case.ts";

const values = (...numbers: number[]): Float64Array => Float64Array.from(numbers);
const random = (seed: number, n: number): Float64Array => new Float64Array(uniform(seed, n));

function inner(a: Float64Array, b: Float64Array): number {
  assert.equal(a.length, b.length);
  return a.reduce((sum, x, i) => sum + x * (b[i] ?? NaN), 0);
}

function close(a: number, b: number, tolerance = 1e-12): void {
  assert(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)), `${a} is not ${b}`);
}

Deno.test("`philox4x32()` gives the published vectors of Random123", () => {
  const all = 0xffffffff;
  assert.deepEqual(philox4x32([0, 0, 0, 0], [0, 0]), [
    0x6627e8d5,
    0xe169c58d,
    0xbc57ac4c,
    0x9b00dbd8,
  ]);
  assert.deepEqual(philox4x32([all, all, all, all], [all, all]), [
    0x408f276d,
    0x41c83b0e,
    0xa20bc7c6,
    0x6d5451fd,
  ]);
  assert.deepEqual(
    philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]),
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  );
});

Deno.test("`reference()` multiplies matrices in every layout", () => {
  const [a, at] = [values(1, 2, 3, 4, 5, 6), values(1, 4, 2, 5, 3, 6)];
  const [b, bt] = [values(1, 0, 2, -1, 0, 3), values(1, 2, 0, 0, -1, 3)];
  const bias = values(10, -20);
  const sizes = { M: 2, K: 3, N: 2, HAS_BIAS: 1 };
  const expected = values(1 + 4 + 10, -2 + 9 - 20, 4 + 10 + 10, -5 + 18 - 20);
  assert.deepEqual(reference("matmul", [a, b, bias], sizes, 4), expected);
  assert.deepEqual(reference("matmul", [at, b, bias], { ...sizes, TRANSPOSE_A: 1 }, 4), expected);
  assert.deepEqual(reference("matmul", [a, bt, bias], { ...sizes, TRANSPOSE_B: 1 }, 4), expected);
  const relu = reference("matmul", [a, b, bias], { ...sizes, ACTIVATION: "relu" }, 4);
  assert.deepEqual(relu, expected.map((x) => Math.max(x, 0)));
});

Deno.test("`reference()` correlates by hand values, padding and stride included", () => {
  const sizes = { B: 1, CI: 1, H: 3, W: 3, CO: 1, KH: 2, KW: 2 };
  const [x, w] = [values(1, 2, 3, 4, 5, 6, 7, 8, 9), values(1, 10, 100, 1000)];
  const filters = packed(w, 1);
  const plain = reference("conv2d", [x, x, filters, values()], { ...sizes, OH: 2, OW: 2 }, 4);
  assert.deepEqual(plain, values(5421, 6532, 8754, 9865));
  const options = { OH: 2, OW: 2, STRIDE: 2, PAD: 1, HAS_BIAS: 1 };
  const wide = reference("conv2d", [x, x, filters, values(-1)], { ...sizes, ...options }, 4);
  assert.deepEqual(wide, values(999, 3199, 7039, 9864));
});

/** Filters [CO, ...] as `conv2d` reads them: [..., CO], filled up to a multiple of four. */
function packed(w: Float64Array, channels: number): Float64Array {
  const taps = w.length / channels;
  const columns = 4 * Math.ceil(channels / 4);
  const result = new Float64Array(taps * columns);
  w.forEach((value, i) => result[(i % taps) * columns + Math.floor(i / taps)] = value);
  return result;
}

Deno.test("`reference()` has convolutions that are each other's adjoint", () => {
  for (const [STRIDE, PAD] of [[1, 0], [1, 2], [2, 1], [3, 1]] as const) {
    const [B, CI, H, W, CO, KH, KW] = [5, 2, 7, 8, 3, 3, 2];
    const OH = Math.floor((H + 2 * PAD - KH) / STRIDE) + 1;
    const OW = Math.floor((W + 2 * PAD - KW) / STRIDE) + 1;
    const sizes = { B, CI, H, W, CO, KH, KW, OH, OW, STRIDE, PAD };
    const x = random(1, B * CI * H * W);
    const w = random(2, CO * CI * KH * KW);
    const g = random(3, B * CO * OH * OW);
    const form = inner(reference("conv2d", [x, x, packed(w, CO), w], sizes, g.length), g);
    for (const SPLIT of [1, 2, 4]) {
      const images = Array.from(
        { length: B },
        (_, b) => g.subarray(b * CO * OH * OW, (b + 1) * CO * OH * OW),
      );
      const rows = Float64Array.from(images.flatMap((image) => [...packed(image, CO)]));
      const parts = reference("conv2d_weight", [x, rows], { ...sizes, SPLIT }, SPLIT * w.length);
      const repeated = Float64Array.from(parts, (_, i) => w[i % w.length] ?? NaN);
      close(inner(parts, repeated), form);
      const planar = reference(
        "conv2d_weight",
        [x, values(), g],
        { ...sizes, SPLIT, PLANAR: 1 },
        parts.length,
      );
      assert.deepEqual(planar, parts);
    }
  }
});

Deno.test("`reference()` pools at the first maximum, and gather and scatter are adjoint", () => {
  const sizes = { H: 5, W: 6, OH: 2, OW: 2, SIZE: 3, STRIDE: 2 };
  const x = new Float64Array(integers(4, 60, 3));
  const both = reference("pool2d_max", [x], { N: 8, HALF: 8, ...sizes }, 16);
  const [maxima, index] = [both.subarray(0, 8), both.subarray(8)];
  const pooled = reference("pool2d_gather", [x, index], { N: 8, PLANE: 30, OUT: 4 }, 8);
  assert.deepEqual(maxima, pooled);
  const g = random(5, 8);
  const spread = reference("pool2d_scatter", [g, index], { N: 10, ...sizes }, 60);
  close(inner(pooled, g), inner(x, spread));
  const tie = reference("pool2d_max", [values(1, 2, 2, 2)], {
    ...sizes,
    ...{ N: 1, HALF: 1, H: 2, W: 2, OH: 1, OW: 1, SIZE: 2 },
  }, 2);
  assert.deepEqual(tie, values(2, 1));
});

Deno.test("`reference()` factors and solves: l l^T = a, l x = b and l^T x = b", () => {
  const n = 4;
  const root = random(6, n * n);
  const square = { M: n, K: n, N: n, TRANSPOSE_B: 1 };
  const a = reference("matmul", [root, root], square, n * n)
    .map((x, i) => i % (n + 1) === 0 ? x + 1 : x);
  const l = reference("cholesky", [a], { G: 1, N: n }, n * n);
  reference("matmul", [l, l], square, n * n).forEach((x, i) => close(x, a[i] ?? NaN));
  const b = random(7, n * 3);
  for (const TRANSPOSE of [0, 1]) {
    const solve = { G: 1, N: n, M: 3, L_STRIDE: 0, B_STRIDE: 0, TRANSPOSE };
    const x = reference("triangular_solve", [l, b], solve, n * 3);
    const back = { M: n, K: n, N: 3, TRANSPOSE_A: TRANSPOSE };
    reference("matmul", [l, x], back, n * 3).forEach((y, i) => close(y, b[i] ?? NaN));
  }
  const broken = reference("cholesky", [values(4, 0, 2, 1)], { G: 1, N: 2 }, 4);
  assert.deepEqual(broken, values(2, 0, 1, NaN));
});

Deno.test("`reference()` pads, crops, strides and splits by hand values", () => {
  const axes = { E1: 1, E2: 1, D0: 1, D1: 1, D2: 1, D3: 3, O0: 0, O1: 0, O2: 0 };
  const x = values(1, 2, 3);
  const padded = reference("pad", [x], { N: 5, E3: 5, O3: 1, ...axes }, 5);
  assert.deepEqual(padded, values(0, 1, 2, 3, 0));
  assert.deepEqual(reference("pad", [x], { N: 1, E3: 1, O3: -2, ...axes }, 1), values(3));
  const flip = { N: 3, D1: 1, D2: 1, D3: 3, OFFSET: 2, S0: 0, S1: 0, S2: 0, S3: -1 };
  assert.deepEqual(reference("strided", [x], flip, 3), values(3, 2, 1));
  const parts = reference(
    "reduce",
    [values(1, 2, 3, 4, 5)],
    { OP: "sum", N: 4, R: 5, SPLIT: 4 },
    4,
  );
  assert.deepEqual(parts, values(3, 7, 5, 0));
});

Deno.test("`reference()` takes defaults and numbered operations from a kernel", () => {
  const wgsl = `override OP: u32 = 1u; override P: f32 = 4.0;
    const OP_shift = 0u; const OP_scale = 1u;
    @group(0) @binding(0) var<storage, read> x: array<f32>;
    @group(0) @binding(1) var<storage, read_write> y: array<f32>;
    @compute @workgroup_size(64) fn main() {}`;
  const parsed = kernel("unary", wgsl);
  assert.deepEqual(reference("unary.wgsl", [values(3)], {}, 1, parsed), values(12));
  assert.deepEqual(reference("unary", [values(3)], { OP: 0 }, 1, parsed), values(7));
  assert.deepEqual(reference("unary", [values(3)], { OP: "shift", P: 1 }, 1), values(4));
});

Deno.test("`reference()` refuses unknown kernels, missing overrides and wrong shapes", () => {
  assert.throws(() => reference("nothing", [], {}, 1), /"nothing": it has no reference/);
  assert.throws(() => reference("unary", [values(1)], {}, 1), /override "OP" is missing/);
  assert.throws(() => reference("unary", [values(1)], { OP: "abs" }, 2), /read element 1/);
  assert.throws(() => reference("where", [values(1)], {}, 1), /input 1 is missing/);
});
