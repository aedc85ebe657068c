/** `<A x, y> = <x, A' y>` for every linear op, over random shapes, in f64. */
import { fc } from "./property.ts";
import * as nn from "../src/nn/mod.ts";
import { wave } from "./check_grads.ts";

/** Whether the gradient of a linear map is its adjoint, and (to be linear) the adjoint's is the map. */
function adjointHolds(map: (x: nn.Tensor) => nn.Tensor, shape: nn.Shape): boolean {
  const x = nn.input(shape);
  const y = map(x);
  const weights = nn.constant(Float32Array.from(wave(nn.size(y.shape), 3)), y.shape);
  const [back = x] = nn.grad(nn.mul(y, weights), [x]);
  const at = wave(nn.size(shape), 1);
  const [forward = [], adjoint = []] = nn.evaluate([nn.mul(y, weights), back], new Map([[x, at]]));
  const left = [...forward].reduce((a, b) => a + b, 0);
  const right = [...adjoint].reduce((a, g, i) => a + g * (at[i] ?? 0), 0);
  return Math.abs(left - right) <= 1e-9 * Math.max(1, Math.abs(left));
}

const small = fc.integer({ min: 1, max: 5 });
const pair = (options: { min: number; max: number }): fc.Arbitrary<[number, number]> =>
  fc.tuple(fc.integer(options), fc.integer(options));

/** Sizes and a geometry that anything may be said of: groups, and numbers for each axis and side. */
const general = fc.record({
  b: fc.integer({ min: 1, max: 2 }),
  groups: fc.integer({ min: 1, max: 3 }),
  ci: fc.integer({ min: 1, max: 3 }),
  co: fc.integer({ min: 1, max: 4 }),
  image: pair({ min: 1, max: 9 }),
  kernel: pair({ min: 1, max: 4 }),
  stride: pair({ min: 1, max: 3 }),
  dilation: pair({ min: 1, max: 3 }),
  sides: fc.tuple(pair({ min: 0, max: 3 }), pair({ min: 0, max: 3 })),
}).filter(({ image, kernel, dilation, sides: [before, after] }) =>
  [0, 1].every((i) =>
    (image[i] ?? 0) + (before[i] ?? 0) + (after[i] ?? 0) >
      ((kernel[i] ?? 0) - 1) * (dilation[i] ?? 0)
  )
).map(({ b, groups, ci, co, image, kernel, stride, dilation, sides }) => ({
  image: [b, groups * ci, ...image] as const,
  weight: [groups * co, ci, ...kernel] as const,
  size: image,
  kernel,
  geometry: {
    ...{ stride, dilation, groups },
    padding: [...sides[0], ...sides[1]] as [number, number, number, number],
  },
}));

const convolution = fc.record({
  b: fc.integer({ min: 1, max: 3 }),
  ci: fc.integer({ min: 1, max: 3 }),
  co: fc.integer({ min: 1, max: 9 }),
  h: fc.integer({ min: 1, max: 9 }),
  w: fc.integer({ min: 1, max: 9 }),
  kh: fc.integer({ min: 1, max: 4 }),
  kw: fc.integer({ min: 1, max: 4 }),
  stride: fc.integer({ min: 1, max: 3 }),
  padding: fc.integer({ min: 0, max: 2 }),
}).filter((s) => s.h + 2 * s.padding >= s.kh && s.w + 2 * s.padding >= s.kw);

Deno.test("the gradients of `conv2d()` are its adjoints, over shapes, strides and paddings", () => {
  fc.assert(fc.property(convolution, ({ b, ci, co, h, w, kh, kw, ...geometry }) => {
    const weight = nn.constant(Float32Array.from(wave(co * ci * kh * kw, 2)), [co, ci, kh, kw]);
    const image = nn.constant(Float32Array.from(wave(b * ci * h * w, 5)), [b, ci, h, w]);
    return adjointHolds((x) => nn.conv2d(x, weight, geometry), image.shape) &&
      adjointHolds((k) => nn.conv2d(image, k, geometry), weight.shape);
  }));
});

Deno.test("the three contractions of a convolution are one number", () => {
  fc.assert(fc.property(convolution, ({ b, ci, co, h, w, kh, kw, ...geometry }) => {
    const x = nn.constant(Float32Array.from(wave(b * ci * h * w, 5)), [b, ci, h, w]);
    const k = nn.constant(Float32Array.from(wave(co * ci * kh * kw, 2)), [co, ci, kh, kw]);
    const y = nn.conv2d(x, k, geometry);
    const g = nn.constant(Float32Array.from(wave(nn.size(y.shape), 3)), y.shape);
    const [a, c, d] = nn.evaluate([
      nn.sum(nn.mul(y, g)),
      nn.sum(nn.mul(x, nn.conv2dInput(g, k, [h, w], geometry))),
      nn.sum(nn.mul(k, nn.conv2dWeight(x, g, [kh, kw], geometry))),
    ]).map((value) => value[0] ?? NaN);
    const scale = Math.max(1, Math.abs(a ?? NaN));
    return Math.abs((a ?? NaN) - (c ?? NaN)) < 1e-9 * scale &&
      Math.abs((a ?? NaN) - (d ?? NaN)) < 1e-9 * scale;
  }));
});

Deno.test("the contractions of a general convolution are one number, and its gradients its adjoints", () => {
  fc.assert(fc.property(general, ({ image, weight, size, kernel, geometry }) => {
    const fill = (shape: nn.Shape, phase: number): nn.Tensor =>
      nn.constant(Float32Array.from(wave(nn.size(shape), phase)), shape);
    const [x, k] = [fill(image, 5), fill(weight, 2)];
    const y = nn.conv2d(x, k, geometry);
    const g = fill(y.shape, 3);
    const [a = NaN, c = NaN, d = NaN] = nn.evaluate([
      nn.sum(nn.mul(y, g)),
      nn.sum(nn.mul(x, nn.conv2dInput(g, k, size, geometry))),
      nn.sum(nn.mul(k, nn.conv2dWeight(x, g, kernel, geometry))),
    ]).map((value) => value[0] ?? NaN);
    const scale = Math.max(1, Math.abs(a));
    return Math.abs(a - c) < 1e-9 * scale && Math.abs(a - d) < 1e-9 * scale &&
      adjointHolds((z) => nn.conv2d(z, k, geometry), image) &&
      adjointHolds((z) => nn.conv2d(x, z, geometry), weight);
  }));
});

Deno.test("the gradient of `matmul()` is its adjoint, transposed, batched and shared", () => {
  const any = fc.record({ m: small, k: small, n: small, ta: fc.boolean(), tb: fc.boolean() });
  fc.assert(fc.property(any, small, fc.boolean(), ({ m, k, n, ta, tb }, batch, shared) => {
    const options = { transposeA: ta, transposeB: tb };
    const a = [...(shared ? [] : [batch]), ...(ta ? [k, m] : [m, k])];
    const b = [batch, ...(tb ? [n, k] : [k, n])];
    const left = nn.constant(Float32Array.from(wave(nn.size(a), 2)), a);
    const right = nn.constant(Float32Array.from(wave(nn.size(b), 3)), b);
    return adjointHolds((x) => nn.matmul(x, right, options), a) &&
      adjointHolds((x) => nn.matmul(left, x, options), b);
  }));
});

Deno.test("sums, broadcasts, slices, pads, flips and permutations have their adjoints", () => {
  const shapes = fc.array(small, { minLength: 1, maxLength: 4 });
  fc.assert(fc.property(shapes, fc.nat(), (shape, seed) => {
    const axes = shape.map((_, i) => i);
    const some = axes.filter((i) => seed >> i & 1);
    const order = axes.toSorted((a, b) => (seed * (a + 1)) % 7 - (seed * (b + 1)) % 7);
    const start = shape.map((n, i) => (seed >> i) % n);
    const sizes = shape.map((n, i) => n - (start[i] ?? 0));
    const larger = shape.map((n, i) => n + (start[i] ?? 0));
    return adjointHolds((x) => nn.sum(x, some), shape) &&
      adjointHolds((x) => nn.broadcastTo(nn.sum(x, some, true), shape), shape) &&
      adjointHolds((x) => nn.permute(x, order), shape) &&
      adjointHolds((x) => nn.flip(x, some), shape) &&
      adjointHolds((x) => nn.slice(x, start, sizes), shape) &&
      adjointHolds((x) => nn.pad(x, start, larger), shape);
  }));
});

Deno.test("long sums in two dispatches have their adjoint", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 100, max: 700 }),
      small,
      small,
      (rows, outer, inner) => adjointHolds((x) => nn.sum(x, [1]), [outer, rows, inner]),
    ),
    { numRuns: 30 },
  );
});

Deno.test("pooling's gather and scatter, and row gathers, have their adjoints", () => {
  fc.assert(
    fc.property(small, small, small, (b, c, n) => {
      const side = n + 2;
      const seen = nn.constant(Float32Array.from(wave(b * c * side ** 2, 9)), [b, c, side, side]);
      const index = nn.constant(Float32Array.from({ length: 6 }, (_, i) => (i * n) % b));
      // Max-pooling is linear where the maxima stay: add a large fixed image to pin them.
      const pinned = (x: nn.Tensor): nn.Tensor => {
        const top = nn.scale(seen, 1e4);
        return nn.sub(nn.maxPool2d(nn.add(x, top), 2, 1), nn.maxPool2d(top, 2, 1));
      };
      return adjointHolds(pinned, seen.shape) &&
        adjointHolds((x) => nn.gatherRows(x, index), [b, c]);
    }),
    { numRuns: 40 },
  );
});

Deno.test("triangular solves have their adjoint in the right-hand side", () => {
  fc.assert(fc.property(small, small, fc.boolean(), (n, m, transposed) => {
    const data = wave(n * n, 2).map((x, i) => i % (n + 1) === 0 ? 2 + x / 2 : x / 2);
    const l = nn.constant(Float32Array.from(data), [n, n]);
    return adjointHolds((b) => nn.triangularSolve(l, b, transposed), [n, m]);
  }));
});

Deno.test("`transpose()` and `flip()` twice, and `permute()` there and back, are the identity", () => {
  const orders = fc.shuffledSubarray([0, 1, 2], { minLength: 3, maxLength: 3 });
  fc.assert(fc.property(small, small, small, orders, (a, b, c, order) => {
    const x = nn.constant(Float32Array.from(wave(a * b * c, 1)), [a, b, c]);
    const back = order.map((_, i) => order.indexOf(i));
    const [exact, ...same] = nn.evaluate([
      x,
      nn.transpose(nn.transpose(x)),
      nn.flip(nn.flip(x, order.slice(1)), order.slice(1)),
      nn.permute(nn.permute(x, order), back),
    ]);
    return same.every((y) => String(y) === String(exact));
  }));
});

Deno.test("views, packs, averages and diagonals have their adjoints", () => {
  fc.assert(fc.property(small, small, fc.integer({ min: 1, max: 3 }), (a, b, window) => {
    const sides = [a * window, b * window];
    return adjointHolds((x) => nn.view(x, 64, [a, b]), [4, 25]) &&
      adjointHolds((x) => nn.pack([x, nn.scale(x, 2)], [64, 0], 128), [a, b]) &&
      adjointHolds((x) => nn.avgPool2d(x, window), [a, 2, ...sides]) &&
      adjointHolds(nn.diagonal, [a, b, b]) &&
      adjointHolds((x) => nn.mean(x, [0, 2]), [a, b, window]);
  }));
});

Deno.test("joins, takes, steps and general averages have their adjoints", () => {
  const shapes = fc.array(small, { minLength: 1, maxLength: 6 }).filter((s) => nn.size(s) <= 500);
  fc.assert(fc.property(shapes, fc.nat(), (shape, seed) => {
    const axis = seed % shape.length;
    const n = shape[axis] ?? 1;
    const index = Array.from({ length: 1 + seed % 7 }, (_, i) => (seed >> i) % n);
    const steps = shape.map((_, i) => seed >> i & 1 ? -2 : 1);
    const start = shape.map((size, i) => steps[i] === 1 ? 0 : size - 1);
    const sizes = shape.map((size, i) => steps[i] === 1 ? size : Math.ceil(size / 2));
    const apart = shape.map((size, i) => steps[i] === 1 ? size : 2 * size);
    const ends = apart.map((size, i) => steps[i] === 1 ? 0 : size - 1);
    return adjointHolds((x) => nn.concat([nn.scale(x, 2), x, x], axis), shape) &&
      adjointHolds((x) => nn.take(x, index, axis), shape) &&
      adjointHolds((x) => nn.slice(x, start, sizes, steps), shape) &&
      adjointHolds((x) => nn.pad(x, ends, apart, steps), shape) &&
      adjointHolds((x) => nn.pad(x, shape.map((_, i) => i % 3 - 1), shape), shape);
  }));
  const whole = fc.integer({ min: 1, max: 3 });
  fc.assert(fc.property(small, small, whole, whole, fc.boolean(), (h, w, extra, stride, ceil) => {
    const shape = [2, 1, h + 2, w + 2];
    const options = { window: [1 + extra, 2], stride, padding: [0, 1, 1, 0], ceil } as const;
    return [false, true].every((countIncludePad) =>
      adjointHolds((x) => nn.avgPool2d(x, { ...options, countIncludePad }), shape)
    );
  }));
});
