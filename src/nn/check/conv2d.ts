/**
 * Twins in f64 and cases of `conv2d` and of its adjoint in w: contractions of the trilinear form
 * T(x, w, g) = sum of x[b,ci,h,w] w[co,ci,kh,kw] g[b,co,oh,ow] over h = oh STRIDE + kh - PAD.
 *
 * @module
 */
import { pool2dMax } from "./pool2d.ts";
import { activation, at, choice, input, number, type ReferenceKernel } from "./support.ts";
import {
  conv2dTile,
  conv2dWeightSplit,
  conv2dWeightTile,
  type ConvShape,
  type TileProfile,
  tileProfiles,
} from "../graph/tiles.ts";
import { clipped, type KernelCase, product, sumTolerance, uniform } from "./case.ts";

/** B images, CI and CO channels, H x W pixels in, OH x OW out, KH x KW weights. */
type Sizes = Readonly<
  Record<"b" | "ci" | "h" | "w" | "co" | "kh" | "kw" | "oh" | "ow" | "stride" | "pad", number>
>;

/** Sees one product of the form: flat indices into x, w and g. */
type Visit = (x: number, w: number, g: number) => void;

/**
 * x[B,CI,H,W] twice, w[CI,KH,KW,CO rounded up to 4], bias[CO], residual[B,CO,OH,OW] -> y[B,CO,OH,OW] =
 * act(cross-correlation + bias + residual).
 */
export const conv2d: ReferenceKernel = (inputs, o, length) => {
  const s = sizes(o);
  const [x, packed] = [input(inputs, 0), input(inputs, 2)];
  if (number(o, "FOLD", 1) === 4) return foldedRows(x, packed, s, length);
  const columns = 4 * Math.ceil(s.co / 4);
  const taps = s.ci * s.kh * s.kw;
  const w = Float64Array.from(
    { length: s.co * taps },
    (_, i) => at(packed, (i % taps) * columns + Math.floor(i / taps)),
  );
  const bias = number(o, "HAS_BIAS", 0) ? input(inputs, 3) : undefined;
  const residual = number(o, "HAS_RESIDUAL", 0) ? input(inputs, 4) : undefined;
  const act = activation(choice(o, "ACTIVATION", "none"));
  const pooled = number(o, "POOL", 1) === 2;
  const y = new Float64Array(pooled ? s.b * s.co * s.oh * s.ow : length);
  for (let b = 0; b < s.b; b++) {
    eachProduct(s, b, (xi, wi, gi) => {
      y[gi] = at(y, gi) + at(x, xi) * at(w, wi);
    });
  }
  const plane = s.oh * s.ow;
  const all = y.map((value, i) => {
    const channel = Math.floor(i / plane) % s.co;
    return act(value + (bias ? at(bias, channel) : 0) + (residual ? at(residual, i) : 0));
  });
  return pooled ? largest(all, s, number(o, "HALF"), length) : all;
};

/** Pools y[B,CO,OH,OW] by 2, as `pool2d_max`. */
export function largest(
  y: Float64Array,
  s: Pick<Sizes, "b" | "co" | "oh" | "ow">,
  half: number,
  length: number,
): Float64Array {
  const [oh, ow] = [s.oh / 2, s.ow / 2];
  const window = { N: s.b * s.co * oh * ow, HALF: half, H: s.oh, W: s.ow, OH: oh, OW: ow };
  return pool2dMax([y], { ...window, SIZE: 2, STRIDE: 2 }, length);
}

/** As `conv2d` of one output channel, whose row 4 i + r is made by column r of w, from row 4 i on. */
function foldedRows(
  x: Float64Array,
  w: Float64Array,
  s: Sizes,
  length: number,
): Float64Array {
  return Float64Array.from({ length }, (_, i) => {
    const [column, row] = [i % s.ow, Math.floor(i / s.ow) % s.oh];
    const b = Math.floor(i / (s.ow * s.oh));
    let sum = 0;
    for (let ci = 0; ci < s.ci; ci++) {
      for (let kh = 0; kh < s.kh; kh++) {
        const h = row - row % 4 + kh - s.pad;
        for (let kw = 0; kw < s.kw; kw++) {
          const v = column + kw - s.pad;
          if (h < 0 || h >= s.h || v < 0 || v >= s.w) continue;
          const weight = at(w, ((ci * s.kh + kh) * s.kw + kw) * 4 + row % 4);
          sum += at(x, ((b * s.ci + ci) * s.h + h) * s.w + v) * weight;
        }
      }
    }
    return sum;
  });
}

/** x[B,CI,H,W], g[B,OH,OW,CO rounded up to 4] or planes[B,CO,OH,OW] or their windows -> w[SPLIT,CO,CI,KH,KW], the adjoint of `conv2d` in w, in shares of images. */
export const conv2dWeight: ReferenceKernel = (inputs, o, length) => {
  const s = sizes(o);
  const [x, packed] = [input(inputs, 0), input(inputs, 1)];
  const [columns, plane] = [4 * Math.ceil(s.co / 4), s.oh * s.ow];
  const pool = number(o, "POOL", 0);
  const g = number(o, "PLANAR", 0)
    ? pool ? fromWindows(input(inputs, 2), input(inputs, 3), s, pool) : input(inputs, 2)
    : Float64Array.from({ length: s.b * s.co * plane }, (_, i) => {
      const [b, co, pixel] = [
        Math.floor(i / (s.co * plane)),
        Math.floor(i / plane) % s.co,
        i % plane,
      ];
      return at(packed, (b * plane + pixel) * columns + co);
    });
  const share = Math.ceil(s.b / number(o, "SPLIT", 1));
  const w = new Float64Array(length);
  for (let b = 0; b < s.b; b++) {
    const offset = Math.floor(b / share) * s.co * s.ci * s.kh * s.kw;
    eachProduct(s, b, (xi, wi, gi) => {
      w[offset + wi] = at(w, offset + wi) + at(x, xi) * at(g, gi);
    });
  }
  return w;
};

/** Gradients of windows at the pixels they belong to: [B,CO,OH/pool,OW/pool] -> [B,CO,OH,OW]. */
function fromWindows(
  values: Float64Array,
  places: Float64Array,
  s: Sizes,
  pool: number,
): Float64Array {
  const windows = Math.floor(s.oh / pool) * Math.floor(s.ow / pool);
  const planes = new Float64Array(s.b * s.co * s.oh * s.ow);
  for (let i = 0; i < s.b * s.co * windows; i++) {
    planes[Math.floor(i / windows) * s.oh * s.ow + at(places, i)] = at(values, i);
  }
  return planes;
}

/** Visits every product of image `b` whose pixel is not in the padding. */
function eachProduct(s: Sizes, b: number, visit: Visit): void {
  for (let co = 0; co < s.co; co++) {
    for (let oh = 0; oh < s.oh; oh++) {
      for (let ow = 0; ow < s.ow; ow++) {
        const gi = ((b * s.co + co) * s.oh + oh) * s.ow + ow;
        for (let ci = 0; ci < s.ci; ci++) {
          for (let kh = 0; kh < s.kh; kh++) {
            const h = oh * s.stride + kh - s.pad;
            if (h < 0 || h >= s.h) continue;
            const xRow = ((b * s.ci + ci) * s.h + h) * s.w;
            const wRow = ((co * s.ci + ci) * s.kh + kh) * s.kw;
            for (let kw = 0; kw < s.kw; kw++) {
              const column = ow * s.stride + kw - s.pad;
              if (column >= 0 && column < s.w) visit(xRow + column, wRow + kw, gi);
            }
          }
        }
      }
    }
  }
}

function sizes(o: Readonly<Record<string, number | string>>): Sizes {
  return {
    b: number(o, "B"),
    ci: number(o, "CI"),
    h: number(o, "H"),
    w: number(o, "W"),
    co: number(o, "CO"),
    kh: number(o, "KH"),
    kw: number(o, "KW"),
    oh: number(o, "OH"),
    ow: number(o, "OW"),
    stride: number(o, "STRIDE", 1),
    pad: number(o, "PAD", 0),
  };
}

type Four = readonly [number, number, number, number];

const software: TileProfile = tileProfiles.software;

export function geometry(image: Four, weight: Four, stride = 1, pad = 0): ConvShape {
  const [B, CI, H, W] = image;
  const [CO, , KH, KW] = weight;
  const OH = Math.floor((H + 2 * pad - KH) / stride) + 1;
  const OW = Math.floor((W + 2 * pad - KW) / stride) + 1;
  return { B, CI, H, W, CO, KH, KW, OH, OW, STRIDE: stride, PAD: pad };
}

/** LeNet's and ResNet's layers in small, primes, strides that leave a remainder, wide padding. */
export const geometries: readonly ConvShape[] = [
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

/** A geometry in words. */
export function label(s: ConvShape): string {
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

function forward(
  s: ConvShape,
  bias: boolean,
  relu: boolean,
  tiles = software,
  residual = false,
): KernelCase {
  const { x, y } = lengths(s);
  const { threads, ...tile } = conv2dTile(s, tiles);
  return {
    kernel: "conv2d",
    label: `${label(s)}, ${tiles.name}` + epilogueLabel(bias, residual, relu),
    overrides: {
      ...overrides(s),
      ...tile,
      ...epilogueOverrides(bias, residual, relu),
    },
    threads,
    inputs: () => [
      uniform(81, x),
      uniform(81, x),
      uniform(82, s.CI * s.KH * s.KW * 4 * Math.ceil(s.CO / 4)),
      bias ? uniform(83, s.CO) : Float32Array.of(NaN),
      residual ? uniform(77, y) : Float32Array.of(NaN),
    ],
    outputLength: y,
    tolerance: sumTolerance(s.CI * s.KH * s.KW + 2),
    profile: tiles.name,
  };
}

/** What an epilogue does, in words. */
export function epilogueLabel(bias: boolean, residual: boolean, relu: boolean): string {
  return (bias ? ", bias" : "") + (residual ? ", residual" : "") + (relu ? ", relu" : "");
}

/** What an epilogue does, as overrides. */
export function epilogueOverrides(
  bias: boolean,
  residual: boolean,
  relu: boolean,
): Record<string, number | string> {
  return {
    ...(bias ? { HAS_BIAS: 1 } : {}),
    ...(residual ? { HAS_RESIDUAL: 1 } : {}),
    ...(relu ? { ACTIVATION: "relu" } : {}),
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
      Float32Array.of(NaN),
    ],
    outputLength: lengths(s).y,
    tolerance: sumTolerance(s.CI * s.KH * s.KW),
    profile: software.name,
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
  ...geometries.map((s, i) => forward(s, i % 2 === 0, i % 3 > 0, software, true)),
  folded({ B: 2, CI: 6, H: 28, W: 28, CO: 1, KH: 8, KW: 5, OH: 28, OW: 28, STRIDE: 1, PAD: 2 }),
  folded({ B: 3, CI: 2, H: 7, W: 9, CO: 1, KH: 6, KW: 3, OH: 7, OW: 9, STRIDE: 1, PAD: 1 }),
  ...geometries.slice(0, 3).map((s, i) => clipped(forward(s, true, false, software, i === 1), 3)),
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
    profile: tiles.name,
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
