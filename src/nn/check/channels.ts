/**
 * Twins in f64 and cases of `channel_sums`, `channel_affine` and `crop`.
 *
 * @module
 */
import { activation, at, choice, input, number, type ReferenceKernel } from "./support.ts";
import { clipped, type KernelCase, product, sumTolerance, uniform } from "./case.ts";

/** x, z [B,C,P] -> y[B,2,C]: sums of x and of x z, or of deviations from x[0,c,0] and their squares. */
export const channelSums: ReferenceKernel = (inputs, o, length) => {
  const [x, z] = [input(inputs, 0), input(inputs, 1)];
  const [b, c, p] = [number(o, "B"), number(o, "C"), number(o, "P")];
  const moments = choice(o, "OP") === "moments";
  const y = new Float64Array(length);
  for (let image = 0; image < b; image++) {
    for (let channel = 0; channel < c; channel++) {
      let [first, second] = [0, 0];
      for (let pixel = 0; pixel < p; pixel++) {
        const i = (image * c + channel) * p + pixel;
        const u = at(x, i) - (moments ? at(x, channel * p) : 0);
        first += u;
        second += u * (moments ? u : at(z, i));
      }
      y[2 * image * c + channel] = first;
      y[(2 * image + 1) * c + channel] = second;
    }
  }
  return y;
};

/** x, z [B,C,P], a, k, d [C] -> y[B,C,P] = act(x a + z k + d). */
export const channelAffine: ReferenceKernel = (inputs, o, length) => {
  const [x, z, a, k, d] = [0, 1, 2, 3, 4].map((i) => input(inputs, i));
  const [c, p] = [number(o, "C"), number(o, "P")];
  const both = number(o, "HAS_Z", 0) === 1;
  const act = activation(choice(o, "ACTIVATION", "none"));
  if (!x || !z || !a || !k || !d) throw new Error("Unreachable: inputs were checked");
  return Float64Array.from({ length }, (_, i) => {
    const channel = Math.floor(i / p) % c;
    const other = both ? at(z, i) * at(k, channel) : 0;
    return act(at(x, i) * at(a, channel) + other + at(d, channel));
  });
};

/** x[B,C,H,W], u[B,3] -> y[B,C,H,W]: shifted by -PAD to PAD on zeros, mirrored where u[b,2] < 1/2. */
export const crop: ReferenceKernel = (inputs, o, length) => {
  const [x, u] = [input(inputs, 0), input(inputs, 1)];
  const [b, c, h, w] = [number(o, "B"), number(o, "C"), number(o, "H"), number(o, "W")];
  const pad = number(o, "PAD");
  const y = new Float64Array(length);
  for (let plane = 0; plane < b * c; plane++) {
    const image = Math.floor(plane / c);
    const shift = (k: number): number => Math.floor(at(u, 3 * image + k) * (2 * pad + 1)) - pad;
    const mirrored = at(u, 3 * image + 2) < 0.5;
    for (let i = 0; i < h; i++) {
      for (let j = 0; j < w; j++) {
        const row = i + shift(0);
        const column = (mirrored ? w - 1 - j : j) + shift(1);
        const inside = row >= 0 && row < h && column >= 0 && column < w;
        y[(plane * h + i) * w + j] = inside ? at(x, (plane * h + row) * w + column) : 0;
      }
    }
  }
  return y;
};

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
const affineCases: readonly KernelCase[] = sizes.flatMap(([b, c, p], i) =>
  [1, 2, 4, 8].filter((each) => each === 1 || p % (4 * each) === 0).flatMap((each) =>
    [0, 1].map((both): KernelCase => ({
      kernel: "channel_affine",
      label: `[${b}, ${c}, ${p}]${both ? " and another" : ""}${i % 2 ? ", relu" : ""}` +
        (each > 1 ? ` by ${each}` : ""),
      overrides: {
        N: product(b, c, p),
        C: c,
        P: p,
        ...(each > 1 ? { EACH: each } : {}),
        ...(both ? { HAS_Z: 1 } : {}),
        ...(i % 2 ? { ACTIVATION: "relu" } : {}),
      },
      threads: Math.ceil(product(b, c, p) / (4 * each)),
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
  )
);

/** The same, and with a ReLU6. */
export const channelAffineCases: readonly KernelCase[] = [
  ...affineCases,
  ...affineCases.slice(0, 3).map((plain) => clipped(plain, 4)),
];

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
