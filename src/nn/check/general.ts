/**
 * Twins in f64 and cases of `conv2d_general` and of its adjoint in w: convolutions in groups, with a stride, a
 * padding and a dilation for each axis, and with zeros between the image's pixels.
 *
 * @module
 */
import { activation, at, choice, input, number, type ReferenceKernel } from "./support.ts";
import {
  type GeneralChoice,
  generalCut,
  type GeneralShape,
  generalTile,
  generalWeightTile,
  mirrored,
  type SpreadShape,
} from "../graph/general.ts";
import { type TileProfile, tileProfiles } from "../graph/tiles.ts";
import { clipped, type KernelCase, product, sumTolerance, uniform } from "./case.ts";
import { epilogueLabel, epilogueOverrides } from "./conv2d.ts";

/** What is said of one axis. */
interface Axis {
  /** Pixels in, pixels out, and taps. */
  readonly pixels: number;
  readonly results: number;
  readonly taps: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
  readonly spread: number;
}

/** The pixel that a result sees under a tap; undefined where that is a zero. */
function pixelUnder(result: number, tap: number, axis: Axis): number | undefined {
  const i = result * axis.stride + tap * axis.dilation - axis.before;
  const inside = i >= 0 && i % axis.spread === 0 && i / axis.spread < axis.pixels;
  return inside ? i / axis.spread : undefined;
}

/** Images, groups, and channels of a group in and out. */
interface Channels {
  readonly b: number;
  readonly groups: number;
  readonly ci: number;
  readonly co: number;
}

type Overrides = Parameters<ReferenceKernel>[1];

function channelsOf(o: Overrides): Channels {
  const [b, groups] = [number(o, "B"), number(o, "GROUPS", 1)];
  return { b, groups, ci: number(o, "CI"), co: number(o, "CO") };
}

function axesOf(o: Overrides): readonly [rows: Axis, columns: Axis] {
  const axis = (letter: "H" | "W", before: "TOP" | "LEFT"): Axis => ({
    pixels: number(o, letter),
    results: number(o, `O${letter}`),
    taps: number(o, `K${letter}`),
    stride: number(o, `STRIDE_${letter}`, 1),
    dilation: number(o, `DILATION_${letter}`, 1),
    before: number(o, before, 0),
    spread: number(o, `SPREAD_${letter}`, 1),
  });
  return [axis("H", "TOP"), axis("W", "LEFT")];
}

/** Visits every product of image b: flat indices into x, w and y, and the row of y. */
function eachProduct(
  b: number,
  { groups, ci, co }: Channels,
  [rows, columns]: readonly [Axis, Axis],
  visit: (x: number, w: number, y: number, row: number) => void,
): void {
  for (let k = 0; k < groups * co; k++) {
    for (let c = 0; c < ci; c++) {
      const plane = (b * groups + Math.floor(k / co)) * ci + c;
      for (let row = 0; row < rows.results; row++) {
        for (let column = 0; column < columns.results; column++) {
          for (let kh = 0; kh < rows.taps; kh++) {
            const h = pixelUnder(row, kh, rows);
            for (let kw = 0; h !== undefined && kw < columns.taps; kw++) {
              const v = pixelUnder(column, kw, columns);
              if (v === undefined) continue;
              visit(
                (plane * rows.pixels + h) * columns.pixels + v,
                ((k * ci + c) * rows.taps + kh) * columns.taps + kw,
                ((b * groups * co + k) * rows.results + row) * columns.results + column,
                row,
              );
            }
          }
        }
      }
    }
  }
}

/**
 * x[B,GROUPS CI,H,W], w[GROUPS CO,CI,KH,KW], bias[GROUPS CO], residual as y -> y[B,GROUPS CO,OH,OW] =
 * act(cross-correlation of each group + bias + residual), x's pixels SPREAD apart.
 */
export const conv2dGeneral: ReferenceKernel = (inputs, o, length) => {
  const [x, w] = [input(inputs, 0), input(inputs, 1)];
  const [channels, axes] = [channelsOf(o), axesOf(o)];
  const bias = number(o, "HAS_BIAS", 0) ? input(inputs, 2) : undefined;
  const residual = number(o, "HAS_RESIDUAL", 0) ? input(inputs, 3) : undefined;
  const act = activation(choice(o, "ACTIVATION", "none"));
  const y = new Float64Array(length);
  for (let b = 0; b < channels.b; b++) {
    eachProduct(b, channels, axes, (xi, wi, yi) => {
      y[yi] = at(y, yi) + at(x, xi) * at(w, wi);
    });
  }
  const plane = axes[0].results * axes[1].results;
  return y.map((value, i) => {
    const k = Math.floor(i / plane) % (channels.groups * channels.co);
    return act(value + (bias ? at(bias, k) : 0) + (residual ? at(residual, i) : 0));
  });
};

/** x[B,GROUPS CI,H,W], g[B,GROUPS CO,OH,OW] -> w[SPLIT,GROUPS CO,CI,KH,KW], in shares of the rows of all images. */
export const conv2dGeneralWeight: ReferenceKernel = (inputs, o, length) => {
  const [x, g] = [input(inputs, 0), input(inputs, 1)];
  const [channels, axes] = [channelsOf(o), axesOf(o)];
  const split = number(o, "SPLIT", 1);
  const share = Math.ceil(channels.b * axes[0].results / split);
  const w = new Float64Array(length);
  for (let b = 0; b < channels.b; b++) {
    eachProduct(b, channels, axes, (xi, wi, gi, row) => {
      const i = Math.floor((b * axes[0].results + row) / share) * (length / split) + wi;
      w[i] = at(w, i) + at(x, xi) * at(g, gi);
    });
  }
  return w;
};

type Two = readonly [height: number, width: number];
type Four = readonly [number, number, number, number];

/** What differs from a convolution of stride 1 without padding, dilation or groups. */
interface Special {
  readonly groups?: number;
  readonly stride?: Two;
  readonly dilation?: Two;
  readonly padding?: Four;
}

/** An image `[B, CI, H, W]` and filters `[CO, CI / groups, KH, KW]`, channels of all groups. */
function geometry([B, , H, W]: Four, [filters, CI, KH, KW]: Four, special: Special): GeneralShape {
  const { groups = 1, stride = [1, 1], dilation = [1, 1], padding = [0, 0, 0, 0] } = special;
  const [TOP, LEFT, bottom, right] = padding;
  const along = (n: number, taps: number, axis: 0 | 1): number =>
    Math.floor((n - (taps - 1) * dilation[axis] - 1) / stride[axis]) + 1;
  const [OH, OW] = [along(H + TOP + bottom, KH, 0), along(W + LEFT + right, KW, 1)];
  return {
    ...{ B, GROUPS: groups, CI, H, W, CO: filters / groups, KH, KW, OH, OW, TOP, LEFT },
    ...{ STRIDE_H: stride[0], STRIDE_W: stride[1] },
    ...{ DILATION_H: dilation[0], DILATION_W: dilation[1] },
  };
}

const square: Pick<Special, "padding"> = { padding: [1, 1, 1, 1] };
const depthwise7 = geometry([1, 3, 14, 9], [3, 1, 7, 7], { groups: 3, padding: [3, 3, 3, 3] });
const grouped = geometry([1, 12, 8, 8], [24, 4, 3, 3], { groups: 3, ...square });
const dilated = geometry([1, 2, 11, 7], [8, 2, 3, 2], { dilation: [3, 2], padding: [3, 0, 1, 1] });
const everything = geometry([5, 4, 11, 13], [8, 2, 3, 2], {
  groups: 2,
  stride: [2, 3],
  dilation: [2, 3],
  padding: [3, 0, 1, 2],
});

/** One and five images, primes, rows of one strip and of several, every special alone and all of them at once. */
const geometries: readonly GeneralShape[] = [
  geometry([1, 1, 1, 1], [2, 1, 1, 1], { stride: [1, 2] }),
  // Depthwise, as in MobileNet, EfficientNet and ConvNeXt.
  geometry([5, 6, 9, 7], [6, 1, 3, 3], { groups: 6, ...square }),
  geometry([2, 3, 35, 40], [3, 1, 3, 3], { groups: 3, ...square }),
  geometry([5, 3, 13, 16], [3, 1, 3, 3], { groups: 3, stride: [2, 2], padding: [0, 0, 1, 1] }),
  geometry([1, 4, 14, 14], [4, 1, 5, 5], { groups: 4, padding: [2, 2, 2, 2] }),
  geometry([1, 4, 12, 15], [4, 1, 5, 5], { groups: 4, stride: [2, 2], padding: [1, 2, 2, 2] }),
  depthwise7,
  // A multiplier of channels, and groups of several.
  geometry([5, 3, 6, 5], [6, 1, 3, 3], { groups: 3, ...square }),
  geometry([5, 4, 6, 7], [6, 2, 3, 2], { groups: 2 }),
  grouped,
  geometry([2, 6, 5, 4], [10, 3, 1, 1], { groups: 2 }),
  // Dilation, strides, paddings, rectangular kernels.
  geometry([5, 2, 9, 8], [3, 2, 3, 3], { dilation: [2, 2], padding: [2, 2, 2, 2] }),
  dilated,
  geometry([5, 3, 7, 10], [4, 3, 3, 3], { stride: [1, 2], ...square }),
  geometry([1, 3, 10, 7], [4, 3, 2, 3], { stride: [3, 1], padding: [0, 2, 1, 0] }),
  geometry([5, 4, 6, 9], [4, 2, 1, 3], { groups: 2, padding: [0, 1, 0, 1] }),
  geometry([1, 2, 17, 3], [2, 1, 11, 2], { groups: 2, stride: [2, 1], padding: [5, 0, 5, 1] }),
  everything,
];

/** Cuts that larger convolutions are given: several channels, a part of the taps, tiles that a spread does not divide. */
const forced: readonly (readonly [SpreadShape, GeneralChoice])[] = [
  [whole(grouped), { CHANNELS: 4, ROWS: 2, PIXELS: 3, TAPS_H: 3, TAPS_W: 3 }],
  [whole(depthwise7), { CHANNELS: 1, ROWS: 3, PIXELS: 9, TAPS_H: 1, TAPS_W: 7 }],
  [whole(dilated), { CHANNELS: 2, ROWS: 4, PIXELS: 3, TAPS_H: 3, TAPS_W: 1 }],
  [mirrored(everything), { CHANNELS: 2, ROWS: 3, PIXELS: 4, TAPS_H: 1, TAPS_W: 2 }],
  [mirrored(everything), { CHANNELS: 1, ROWS: 4, PIXELS: 13, TAPS_H: 3, TAPS_W: 1 }],
];

/** A convolution of pixels that are neighbours. */
function whole(s: GeneralShape): SpreadShape {
  return { ...s, SPREAD_H: 1, SPREAD_W: 1 };
}

/** A geometry in words. */
function label(s: GeneralShape): string {
  return `[${s.B}, ${s.GROUPS * s.CI}, ${s.H}, ${s.W}] with [${
    s.GROUPS * s.CO
  }, ${s.CI}, ${s.KH}, ${s.KW}], ` +
    `stride ${s.STRIDE_H} ${s.STRIDE_W}, dilation ${s.DILATION_H} ${s.DILATION_W}, pad ${s.TOP} ${s.LEFT}, ` +
    `groups ${s.GROUPS}`;
}

/** A correlation, as a profile cuts it or by a choice. */
function correlated(
  s: SpreadShape,
  what: string,
  tiles: TileProfile,
  { bias = false, residual = false, relu = false } = {},
  choice?: GeneralChoice,
): KernelCase {
  const { threads, ...tile } = choice ? generalCut(s, choice) : generalTile(s, tiles);
  const filters = s.GROUPS * s.CO;
  const results = product(s.B, filters, s.OH, s.OW);
  return {
    kernel: "conv2d_general",
    label: `${what}, ${tiles.name}` + epilogueLabel(bias, residual, relu),
    overrides: { ...s, ...tile, ...epilogueOverrides(bias, residual, relu) },
    threads,
    inputs: () => [
      uniform(31, product(s.B, s.GROUPS, s.CI, s.H, s.W)),
      uniform(32, product(filters, s.CI, s.KH, s.KW)),
      bias ? uniform(33, filters) : Float32Array.of(NaN),
      residual ? uniform(34, results) : Float32Array.of(NaN),
    ],
    outputLength: results,
    tolerance: sumTolerance(product(s.CI, s.KH, s.KW) + 2),
    profile: tiles.name,
  };
}

const { software, portable } = tileProfiles;

/** Every geometry and its transposed, each as one of two profiles cuts it, epilogues in turn; NaN through a ReLU. */
export const conv2dGeneralCases: readonly KernelCase[] = [
  ...geometries.flatMap((s, i) => {
    const epilogue = { bias: i % 2 === 0, residual: i % 4 > 1, relu: i % 3 === 0 };
    const [tiles, others] = i % 2 === 0 ? [software, portable] : [portable, software];
    return [
      correlated(whole(s), label(s), tiles, epilogue),
      correlated(mirrored(s), `transposed ${label(s)}`, others),
    ];
  }),
  ...forced.map(([s, choice], i) =>
    correlated(s, `cut ${i} of ${label(s)}`, software, { relu: i === 0 }, choice)
  ),
  ...geometries.slice(0, 3).map((s, i) =>
    clipped(correlated(whole(s), label(s), software, { bias: true, residual: i === 1 }), 2)
  ),
  nanInOnePixel(),
];

function nanInOnePixel(): KernelCase {
  const s = whole(geometry([1, 2, 6, 6], [2, 1, 3, 3], { groups: 2, ...square }));
  const plain = correlated(s, "NaN in one pixel", portable, { relu: true });
  return {
    ...plain,
    inputs: () =>
      plain.inputs().map((values, i) =>
        i === 0 ? Float32Array.from(values).fill(NaN, 20, 21) : values
      ),
  };
}

function weightCase(s: GeneralShape, split?: number): KernelCase {
  const { threads, SPLIT, ...tile } = generalWeightTile(s);
  const shares = split ?? SPLIT;
  return {
    kernel: "conv2d_general_weight",
    label: `${label(s)} in ${shares}${split === undefined ? "" : " of its own"}`,
    overrides: { ...s, ...tile, SPLIT: shares },
    threads: threads / SPLIT * shares,
    inputs: () => [
      uniform(35, product(s.B, s.GROUPS, s.CI, s.H, s.W)),
      uniform(36, product(s.B, s.GROUPS, s.CO, s.OH, s.OW)),
    ],
    outputLength: product(shares, s.GROUPS, s.CO, s.CI, s.KH, s.KW),
    tolerance: sumTolerance(s.B * s.OH * s.OW),
  };
}

/** Every geometry in the host's choice of shares; some in one, and in shares that do not divide the rows. */
export const conv2dGeneralWeightCases: readonly KernelCase[] = [
  ...geometries.map((s) => weightCase(s)),
  ...[grouped, dilated, everything].flatMap((s) => [weightCase(s, 1), weightCase(s, 3)]),
];
