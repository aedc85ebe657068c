/**
 * Cases of `channel_sums`, `channel_affine` and `crop`.
 *
 * @module
 */
import { type KernelCase, product, sumTolerance, uniform } from "./case.ts";

/** Images, channels and pixels of a plane: one, primes, planes that fill no vector, many planes. */
const sizes = [[1, 1, 1], [3, 5, 7], [2, 3, 16], [1, 7, 1024], [5, 64, 4], [2, 67, 9]] as const;

/** Values around 3, so that a variance without a shift would lose its digits. */
export const channelSumsCases: readonly KernelCase[] = sizes.flatMap(([b, c, p]) =>
  ["products", "moments"].map((op): KernelCase => ({
    kernel: "channel_sums",
    label: `${op} of [${b}, ${c}, ${p}]`,
    overrides: { OP: op, B: b, C: c, P: p },
    threads: b * c,
    inputs: () => [
      uniform(91, product(b, c, p), 2, 4),
      op === "moments" ? Float32Array.of(NaN, 0, 0, 0) : uniform(92, product(b, c, p)),
    ],
    outputLength: 2 * b * c,
    tolerance: sumTolerance(4 * p),
  }))
);

/** With and without a second tensor and a ReLU; NaN goes through it. */
export const channelAffineCases: readonly KernelCase[] = sizes.flatMap(([b, c, p], i) =>
  [0, 1].map((both): KernelCase => ({
    kernel: "channel_affine",
    label: `[${b}, ${c}, ${p}]${both ? " and another" : ""}${i % 2 ? ", relu" : ""}`,
    overrides: {
      N: product(b, c, p),
      C: c,
      P: p,
      ...(both ? { HAS_Z: 1 } : {}),
      ...(i % 2 ? { ACTIVATION: "relu" } : {}),
    },
    threads: Math.ceil(product(b, c, p) / 4),
    inputs: () => [
      uniform(93, product(b, c, p)).map((x, j) => j === 5 ? NaN : x),
      both ? uniform(94, product(b, c, p)) : Float32Array.of(NaN),
      uniform(95, c),
      both ? uniform(96, c) : Float32Array.of(NaN),
      uniform(97, c),
    ],
    outputLength: product(b, c, p),
    tolerance: sumTolerance(3),
  }))
);

/** All shifts and both directions; no padding; exact. */
export const cropCases: readonly KernelCase[] =
  ([[9, 3, 8, 8, 4], [2, 1, 5, 7, 1], [3, 2, 4, 4, 0], [1, 1, 1, 1, 2]] as const).map((
    [b, c, h, w, pad],
  ) => ({
    kernel: "crop",
    label: `[${b}, ${c}, ${h}, ${w}], padding ${pad}`,
    overrides: { B: b, C: c, H: h, W: w, PAD: pad },
    threads: product(b, c, h, w),
    inputs: () => [uniform(98, product(b, c, h, w)), uniform(99, 3 * b, 0, 1)],
    outputLength: product(b, c, h, w),
    tolerance: 0,
  }));
