/**
 * Convolutions of every geometry: groups, dilation, a stride and a padding for each axis; and how the kernels
 * that compute them cut their work.
 *
 * @module
 */
import { enough, longestLoop, simd, type TileProfile, tileProfiles } from "./tiles.ts";

/** Sizes of `conv2d_general`: as of `ConvShape`, channels being those of a group, with numbers for each axis. */
export interface GeneralShape {
  readonly B: number;
  readonly GROUPS: number;
  readonly CI: number;
  readonly H: number;
  readonly W: number;
  readonly CO: number;
  readonly KH: number;
  readonly KW: number;
  readonly OH: number;
  readonly OW: number;
  readonly STRIDE_H: number;
  readonly STRIDE_W: number;
  readonly DILATION_H: number;
  readonly DILATION_W: number;
  /** Rows of zeros above the image; negative ones are left out of it. */
  readonly TOP: number;
  /** Columns of zeros left of the image, likewise. */
  readonly LEFT: number;
}

/** A correlation of an image whose pixels lie apart: the adjoint of a stride. */
export interface SpreadShape extends GeneralShape {
  /** Rows from one of the image to the next, zeros between them. */
  readonly SPREAD_H: number;
  /** Columns likewise. */
  readonly SPREAD_W: number;
}

/** What a thread of `conv2d_general` makes, and by how many taps at once. */
export interface GeneralChoice {
  readonly CHANNELS: number;
  readonly ROWS: number;
  readonly PIXELS: number;
  readonly TAPS_H: number;
  readonly TAPS_W: number;
}

/** How `conv2d_general` is cut. */
export interface GeneralTile extends GeneralChoice {
  /** Channels and blocks of taps, one after the other. */
  readonly TURNS: number;
  /** Rows and columns that a tile sees at once. */
  readonly TALL: number;
  readonly SPAN: number;
  readonly threads: number;
}

/** Channels that a thread makes at most. */
const mostChannels = 4;

/** Taps of a row, and pixels, that a thread of `conv2d_general_weight` takes at once at most. */
const [mostTaps, mostPixels] = [8, 8];

/** Statements from which on a kernel compiles longer than it gains: lavapipe takes 0.2 s for so many. */
const longest = 800;

/** Statements of either kernel that do not stand for several. */
const frame = 40;

/** The convolution that has the gradient by the image of another one: its image is that one's gradient. */
export function mirrored(s: GeneralShape): SpreadShape {
  const { STRIDE_H, STRIDE_W, DILATION_H, DILATION_W } = s;
  return {
    ...s,
    CI: s.CO,
    CO: s.CI,
    H: s.OH,
    W: s.OW,
    OH: s.H,
    OW: s.W,
    STRIDE_H: 1,
    STRIDE_W: 1,
    TOP: (s.KH - 1) * DILATION_H - s.TOP,
    LEFT: (s.KW - 1) * DILATION_W - s.LEFT,
    SPREAD_H: STRIDE_H,
    SPREAD_W: STRIDE_W,
  };
}

/** Products of a convolution, twice: what each of its three contractions is. */
export function generalFlop({ B, GROUPS, CI, CO, OH, OW, KH, KW }: GeneralShape): number {
  return 2 * B * GROUPS * CO * OH * OW * CI * KH * KW;
}

/**
 * The cut of `conv2d_general` that loads and multiplies least, by how many threads stand idle too, among those
 * whose code is as short as a profile allows.
 */
export function generalTile(s: SpreadShape, profile: TileProfile): GeneralTile {
  let best: GeneralTile & { readonly cost: number } | undefined;
  for (const cut of cuts(s, profile.products)) {
    if (best && statements(cut) > Math.min(longest, profile.statements)) continue;
    const cost = costOf(s, cut, profile);
    if (!best || cost < best.cost) best = { ...cut, cost };
  }
  if (!best) throw new Error("Unreachable: no cut of a convolution");
  const { cost: _, ...tile } = best;
  return tile;
}

/** Every cut by which a thread makes so many results at most, those of few taps at once first. */
function* cuts(s: SpreadShape, most: number): Generator<GeneralTile> {
  const [tall, wide] = [pieces(s.OH), pieces(s.OW)];
  for (const TAPS_H of divisors(s.KH, s.KH)) {
    for (const TAPS_W of divisors(s.KW, s.KW)) {
      for (const CHANNELS of divisors(s.CO, mostChannels)) {
        for (const ROWS of tall) {
          for (const PIXELS of wide.filter((n) => n * ROWS * CHANNELS <= most)) {
            yield generalCut(s, { CHANNELS, ROWS, PIXELS, TAPS_H, TAPS_W });
          }
        }
      }
    }
  }
}

/** The cut of `conv2d_general` by a choice: CHANNELS divides CO, and taps divide the kernel's sides. */
export function generalCut(s: SpreadShape, choice: GeneralChoice): GeneralTile {
  const { CHANNELS, ROWS, PIXELS, TAPS_H, TAPS_W } = choice;
  const tiles = Math.ceil(s.OH / ROWS) * Math.ceil(s.OW / PIXELS);
  return {
    ...choice,
    TURNS: s.CI * (s.KH / TAPS_H) * (s.KW / TAPS_W),
    TALL: (ROWS - 1) * s.STRIDE_H + (TAPS_H - 1) * s.DILATION_H + 1,
    SPAN: (PIXELS - 1) * s.STRIDE_W + (TAPS_W - 1) * s.DILATION_W + 1,
    threads: s.B * s.GROUPS * (s.CO / CHANNELS) * tiles,
  };
}

/** Lengths that n is cut to by numbers of pieces, the shortest first. */
function pieces(n: number): number[] {
  return [...new Set(Array.from({ length: n }, (_, i) => Math.ceil(n / (n - i))))];
}

/** Numbers that divide n, up to `most`, the smallest first. */
function divisors(n: number, most: number): number[] {
  return Array.from({ length: Math.min(n, most) }, (_, i) => i + 1).filter((d) => n % d === 0);
}

/** What all threads of a cut cost. */
function costOf(s: SpreadShape, cut: GeneralTile, { costs }: TileProfile): number {
  const { CHANNELS, ROWS, PIXELS, TAPS_H, TAPS_W, TURNS, TALL, SPAN, threads } = cut;
  // Zeros between pixels cost nothing where they lie alike in every tile.
  const rows = ROWS * s.STRIDE_H % s.SPREAD_H === 0 ? s.SPREAD_H : 1;
  const columns = PIXELS * s.STRIDE_W % s.SPREAD_W === 0 ? s.SPREAD_W : 1;
  const tall = seenBy(ROWS, s.STRIDE_H, TAPS_H, s.DILATION_H) / rows;
  const wide = seenBy(PIXELS, s.STRIDE_W, TAPS_W, s.DILATION_W) / columns;
  // Nor does padding where a strip is the whole row.
  const seen = tall * (PIXELS < s.OW ? wide : Math.min(wide, s.W));
  const products = CHANNELS * ROWS * PIXELS * TAPS_H * TAPS_W / (rows * columns);
  const turn = (seen + CHANNELS * TAPS_H * TAPS_W) * costs.pixel +
    (products + 4 * (TALL + SPAN)) * costs.product / 4;
  return turn * TURNS * Math.max(Math.ceil(threads / simd) * simd, enough);
}

/** Different ones of `result stride + tap dilation`: what so many results of a row see by so many taps. */
function seenBy(results: number, stride: number, taps: number, dilation: number): number {
  const common = greatestDivisor(stride, dilation);
  const again = Math.max(0, results - dilation / common) * Math.max(0, taps - stride / common);
  return results * taps - again;
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** Statements of `conv2d_general` so cut, the functions that it calls counted at every call. */
function statements({ CHANNELS, ROWS, PIXELS, TAPS_H, TAPS_W, TALL, SPAN }: GeneralTile): number {
  const [results, taps] = [CHANNELS * ROWS * PIXELS, TAPS_H * TAPS_W];
  // A row or column has a place and is looked for, a result begins, is summed and stored.
  return frame + 4 * (TALL + SPAN) + TALL * SPAN + CHANNELS * taps + results * (taps + 7) +
    CHANNELS * (4 + ROWS) + ROWS + PIXELS;
}

/** How `conv2d_general_weight` is cut: shares of the rows, and what a thread makes of how many pixels at once. */
export interface GeneralWeightTile {
  readonly SPLIT: number;
  readonly FILTERS: number;
  readonly CHANNELS: number;
  readonly TAPS_W: number;
  readonly PIXELS: number;
  /** Pixels that these see. */
  readonly SPAN: number;
  readonly threads: number;
}

/** The cut of `conv2d_general_weight` that loads least, the same in every profile: the sums' bits depend on the shares. */
export function generalWeightTile(s: GeneralShape): GeneralWeightTile {
  const { statements: most } = tileProfiles.portable;
  let best: Omit<GeneralWeightTile, "SPLIT" | "threads"> & { readonly cost: number } | undefined;
  for (const TAPS_W of divisors(s.KW, mostTaps)) {
    for (const PIXELS of divisors(s.OW, mostPixels)) {
      const SPAN = (PIXELS - 1) * s.STRIDE_W + (TAPS_W - 1) * s.DILATION_W + 1;
      for (const FILTERS of divisors(s.CO, mostChannels)) {
        for (const CHANNELS of divisors(s.CI, mostChannels)) {
          const products = FILTERS * CHANNELS * TAPS_W * PIXELS;
          const seen = CHANNELS * seenBy(PIXELS, s.STRIDE_W, TAPS_W, s.DILATION_W);
          const cost = (seen + FILTERS * PIXELS) / products;
          const statements = frame + products + 2 * CHANNELS * SPAN + FILTERS * PIXELS +
            FILTERS * CHANNELS * (2 * TAPS_W + 1);
          if (best && (statements > most || cost >= best.cost)) continue;
          best = { FILTERS, CHANNELS, TAPS_W, PIXELS, SPAN, cost };
        }
      }
    }
  }
  if (!best) throw new Error("Unreachable: no cut of a convolution");
  const { cost: _, ...tile } = best;
  const each = (s.CO / tile.FILTERS) * (s.CI / tile.CHANNELS) * s.KH * (s.KW / tile.TAPS_W);
  const [blocks, rows] = [s.GROUPS * each, s.B * s.OH];
  const least = Math.max(enough / blocks, rows * (s.OW / tile.PIXELS) / longestLoop);
  const SPLIT = Math.min(rows, Math.ceil(least));
  return { ...tile, SPLIT, threads: SPLIT * blocks };
}
