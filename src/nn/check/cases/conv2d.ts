/**
 * Cases of `conv2d` and `conv2d_weight`, over the same geometries.
 *
 * @module
 */
import {
  conv2dTile,
  conv2dWeightSplit,
  conv2dWeightTile,
  type ConvShape,
  type TileProfile,
  tileProfiles,
} from "../../graph/tiles.ts";
import { type KernelCase, product, sumTolerance, uniform } from "./case.ts";

type Four = readonly [number, number, number, number];

const software: TileProfile = tileProfiles.software;

function geometry(image: Four, weight: Four, stride = 1, pad = 0): ConvShape {
  const [B, CI, H, W] = image;
  const [CO, , KH, KW] = weight;
  const OH = Math.floor((H + 2 * pad - KH) / stride) + 1;
  const OW = Math.floor((W + 2 * pad - KW) / stride) + 1;
  return { B, CI, H, W, CO, KH, KW, OH, OW, STRIDE: stride, PAD: pad };
}

/** LeNet's and ResNet's layers in small, primes, strides that leave a remainder, wide padding. */
const geometries: readonly ConvShape[] = [
  geometry([1, 1, 1, 1], [1, 1, 1, 1]),
  geometry([2, 1, 28, 28], [6, 1, 5, 5]),
  geometry([2, 1, 28, 28], [6, 1, 5, 5], 1, 2),
  geometry([3, 6, 12, 12], [16, 6, 5, 5]),
  geometry([2, 3, 7, 9], [5, 3, 3, 3], 1, 1),
  geometry([1, 4, 8, 8], [8, 4, 3, 3], 1, 1),
  geometry([2, 3, 8, 8], [7, 3, 3, 3], 2, 1),
  geometry([2, 5, 9, 7], [17, 5, 3, 3], 2, 1),
  geometry([3, 7, 6, 6], [9, 7, 1, 1], 2),
  geometry([5, 2, 6, 35], [3, 2, 2, 3]),
  geometry([2, 2, 11, 8], [4, 2, 3, 3], 3, 2),
  geometry([4, 3, 5, 5], [2, 3, 5, 5]),
  geometry([67, 1, 3, 3], [1, 1, 2, 2]),
  geometry([2, 32, 14, 14], [64, 32, 3, 3], 1, 1),
  geometry([9, 4, 4, 4], [7, 4, 3, 3], 1, 1),
  geometry([6, 2, 7, 5], [3, 2, 3, 3], 2, 1),
  geometry([21, 3, 2, 2], [5, 3, 3, 3], 1, 1),
  // Rows that are whole vectors: several strips, several images, one pixel of padding to three.
  geometry([2, 2, 5, 68], [9, 2, 3, 3], 1, 1),
  geometry([7, 3, 8, 8], [12, 3, 3, 3], 1, 1),
  geometry([3, 2, 3, 40], [20, 2, 3, 5], 1, 2),
  geometry([5, 2, 2, 12], [6, 2, 2, 5], 1, 3),
];

function label(s: ConvShape): string {
  return `[${s.B}, ${s.CI}, ${s.H}, ${s.W}] with [${s.CO}, ${s.CI}, ${s.KH}, ${s.KW}], ` +
    `stride ${s.STRIDE}, pad ${s.PAD}`;
}

/** Elements of the image, the weights and the output. */
function lengths(s: ConvShape): { readonly x: number; readonly w: number; readonly y: number } {
  return {
    x: product(s.B, s.CI, s.H, s.W),
    w: product(s.CO, s.CI, s.KH, s.KW),
    y: product(s.B, s.CO, s.OH, s.OW),
  };
}

/** Overrides, without stride and padding where they have their default. */
function overrides(s: ConvShape): Record<string, number> {
  const { STRIDE, PAD, ...sizes } = s;
  return { ...sizes, ...(STRIDE === 1 ? {} : { STRIDE }), ...(PAD === 0 ? {} : { PAD }) };
}

function forward(s: ConvShape, bias: boolean, relu: boolean, tiles = software): KernelCase {
  const { x, y } = lengths(s);
  const { threads, ...tile } = conv2dTile(s, tiles);
  return {
    kernel: "conv2d",
    label: `${label(s)}, ${tiles.name}` + (bias ? ", bias" : "") + (relu ? ", relu" : ""),
    overrides: {
      ...overrides(s),
      ...tile,
      ...(bias ? { HAS_BIAS: 1 } : {}),
      ...(relu ? { ACTIVATION: "relu" } : {}),
    },
    threads,
    inputs: () => [
      uniform(81, x),
      uniform(81, x),
      uniform(82, s.CI * s.KH * s.KW * 4 * Math.ceil(s.CO / 4)),
      bias ? uniform(83, s.CO) : Float32Array.of(NaN),
    ],
    outputLength: y,
    tolerance: sumTolerance(s.CI * s.KH * s.KW + 1),
  };
}

/** One channel made four rows at a time: full and cut-off blocks of rows, one strip and two. */
function folded(s: ConvShape): KernelCase {
  const { threads, ...tile } = conv2dTile(s, software, { fold: 4 });
  return {
    kernel: "conv2d",
    label: `${label(s)}, four rows at once`,
    overrides: { ...overrides(s), ...tile, FOLD: 4 },
    threads,
    inputs: () => [
      uniform(78, lengths(s).x),
      uniform(78, lengths(s).x),
      uniform(79, s.CI * s.KH * s.KW * 4),
      Float32Array.of(NaN),
    ],
    outputLength: lengths(s).y,
    tolerance: sumTolerance(s.CI * s.KH * s.KW),
  };
}

/** Maxima of 2 x 2 windows and where they are, with NaN in one pixel on request. */
function pooled(s: ConvShape, tiles = software, nan = false): KernelCase {
  const { threads, ...tile } = conv2dTile(s, tiles, { pool: 2 });
  const plain = forward(s, true, false, tiles);
  const half = product(s.B, s.CO, s.OH, s.OW) / 4;
  const spoilt = (values: Float32Array): Float32Array => nan ? values.fill(NaN, 5, 6) : values;
  return {
    ...plain,
    label: `${plain.label}, pooled${nan ? ", NaN in one pixel" : ""}`,
    overrides: { ...plain.overrides, ...tile, POOL: 2, HALF: half },
    threads,
    inputs: () =>
      plain.inputs().map((values, i) =>
        i < 2 ? spoilt(Float32Array.from(values)) : values
      ) as Float32Array[],
    outputLength: 2 * half,
  };
}

/** Every geometry, its epilogues in turn, and NaN through a ReLU. */
export const conv2dCases: readonly KernelCase[] = [
  ...geometries.map((s, i) => forward(s, i % 2 === 1, i % 3 === 1)),
  ...geometries.map((s) => forward(s, false, false, tileProfiles.portable)),
  folded({ B: 2, CI: 6, H: 28, W: 28, CO: 1, KH: 8, KW: 5, OH: 28, OW: 28, STRIDE: 1, PAD: 2 }),
  folded({ B: 3, CI: 2, H: 7, W: 9, CO: 1, KH: 6, KW: 3, OH: 7, OW: 9, STRIDE: 1, PAD: 1 }),
  pooled(geometry([3, 1, 28, 28], [6, 1, 5, 5], 1, 2)),
  pooled(geometry([2, 6, 14, 14], [16, 6, 5, 5])),
  pooled(geometry([2, 2, 8, 36], [9, 2, 3, 3], 1, 1), tileProfiles.portable),
  pooled(geometry([35, 2, 2, 2], [3, 2, 3, 3], 1, 1), software, true),
  folded({ B: 1, CI: 1, H: 1, W: 2, CO: 1, KH: 5, KW: 2, OH: 2, OW: 3, STRIDE: 1, PAD: 1 }),
  {
    ...forward(geometry([2, 2, 6, 6], [3, 2, 3, 3], 1, 1), false, true),
    label: "NaN in one pixel, relu",
    inputs: () => [
      uniform(84, 144).map((x, i) => i === 20 ? NaN : x),
      uniform(84, 144).map((x, i) => i === 20 ? NaN : x),
      uniform(85, 72),
      Float32Array.of(0),
    ],
  },
];

function weightCase(s: ConvShape, split: number, tiles = software, pool = 0): KernelCase {
  const { x, w, y } = lengths(s);
  const { threads, ...tile } = conv2dWeightTile(s, split, tiles);
  return {
    kernel: "conv2d_weight",
    label: `${label(s)} in ${split}, ${tiles.name}${pool ? `, pooled by ${pool}` : ""}`,
    overrides: {
      ...overrides(s),
      ...tile,
      ...(split === 1 ? {} : { SPLIT: split }),
      ...(pool === 0 ? {} : { POOL: pool }),
    },
    threads,
    inputs: () => [
      uniform(88, x),
      uniform(89, s.B * s.OH * s.OW * 4 * Math.ceil(s.CO / 4)),
      uniform(90, y),
      pool === 0 ? new Float32Array(1) : places(s, pool),
    ],
    outputLength: split * w,
    tolerance: sumTolerance(s.B * s.OH * s.OW),
  };
}

/** A pixel of every window, by a rule that reaches all corners. */
function places({ B, CO, OH, OW }: ConvShape, pool: number): Float32Array {
  const [rows, columns] = [Math.floor(OH / pool), Math.floor(OW / pool)];
  return Float32Array.from({ length: B * CO * rows * columns }, (_, i) => {
    const [row, column] = [Math.floor(i / columns) % rows, i % columns];
    return (row * pool + (i * 7) % pool) * OW + column * pool + (i * 5) % 3 % pool;
  });
}

/** Every geometry in one and in the host's choice of splits; splits that do not divide the images. */
export const conv2dWeightCases: readonly KernelCase[] = [
  ...geometries.map((s) => weightCase(s, 1)),
  ...geometries.map((s) => weightCase(s, 1, tileProfiles.portable)),
  ...geometries.map((s) => [s, conv2dWeightSplit(s)] as const)
    .filter(([, split]) => split > 1)
    .map(([s, split]) => weightCase(s, split)),
  weightCase(geometry([5, 2, 6, 7], [3, 2, 3, 3], 1, 1), 2),
  weightCase(geometry([5, 2, 6, 7], [3, 2, 3, 3], 2, 1), 4),
  weightCase(geometry([7, 6, 12, 12], [16, 6, 5, 5]), 3),
  weightCase(geometry([3, 1, 28, 28], [6, 1, 5, 5], 1, 2), 2, software, 2),
  weightCase(geometry([3, 1, 12, 12], [5, 1, 4, 4]), 1, tileProfiles.portable, 3),
];
