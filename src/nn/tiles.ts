/**
 * How the tiled kernels cut their work: what a thread makes, and how many threads that takes.
 *
 * Products make 8 x 8 results in registers for 16 values loaded, which suits software and hardware
 * alike; convolutions up to 64 vectors, which is lavapipe's size: there a load costs far more than a
 * register that is spilt. No workgroup memory, valid at WebGPU's default limits.
 *
 * @module
 */

/** Sizes of a convolution: B images, CI/CO channels, H x W in, OH x OW out, KH x KW kernel. */
export interface ConvShape {
  readonly B: number;
  readonly CI: number;
  readonly H: number;
  readonly W: number;
  readonly CO: number;
  readonly KH: number;
  readonly KW: number;
  readonly OH: number;
  readonly OW: number;
  readonly STRIDE: number;
  readonly PAD: number;
}

/** Results on a side of the tile of `matmul` and `random_features`. */
const side = 8;

/** Pixels, groups of four channels, and products of both that a thread of `conv2d` makes at most. */
const mostPixels = 32;
const mostGroups = 4;
const mostProducts = 64;

/** What a vector of filters, a pixel and a product of both cost a thread, in nanoseconds on lavapipe. */
const costs = { filters: 20, pixel: 21, product: 3 } as const;

/** Threads of a convolution's workgroup, and of what is computed at once within it. */
const workgroup = 32;
const simd = 8;

/** Rows and columns of the kernel that a thread of `conv2d_weight` makes at most, and vectors in all. */
const run = 5;
const mostSums = 50;

/** Reads of a gradient from which on it pays to lay its channels side by side first. */
const fewReads = 8;

/** Threads that keep a device busy without making too many parts of a sum. */
const enough = 512;

/** Turns of a thread's loops; lavapipe ends them after 65,535. */
const longestLoop = 32_768;

/** Invocations of `matmul`. */
export function matmulThreads({ batch, m, n }: { batch: number; m: number; n: number }): number {
  return batch * Math.ceil(m / side) * Math.ceil(n / side);
}

/** Invocations of `random_features`. */
export function randomFeaturesThreads({ n, d }: { n: number; d: number }): number {
  return Math.ceil(n / side) * Math.ceil(d / side);
}

/** How a convolution is cut: pixels and groups of four channels a thread makes, of how many images. */
export interface ConvTile {
  readonly GROUPS: number;
  readonly PIXELS: number;
  readonly IMAGES: number;
  readonly threads: number;
}

/**
 * The cut of `conv2d` that loads least: pixels of a row, or of the same row of several images where rows
 * are short, and groups of four channels; or four rows of one channel where it folds.
 */
export function conv2dTile(s: ConvShape, fold: 1 | 4 = 1): ConvTile {
  const quads = Math.ceil(s.CO / 4);
  let best: ConvTile & { readonly cost: number } | undefined;
  for (let blocks = 1; blocks <= quads; blocks++) {
    const GROUPS = Math.ceil(quads / blocks);
    if (GROUPS > mostGroups) continue;
    const most = Math.min(mostPixels, Math.floor(mostProducts / GROUPS));
    const shortest = Math.ceil(s.OW / most);
    for (let strips = shortest; strips <= 2 * shortest; strips++) {
      const strip = Math.ceil(s.OW / strips);
      const several = strips === 1 && fold === 1 ? Math.min(s.B, Math.floor(most / strip)) : 1;
      for (let IMAGES = 1; IMAGES <= several; IMAGES++) {
        const PIXELS = IMAGES * strip;
        const lanes = Math.ceil(s.B / IMAGES) * Math.ceil(s.OH / fold);
        const threads = Math.ceil(lanes / workgroup) * workgroup * blocks * strips;
        // A column further on, all but the strips' last pixels are there; with a stride none is.
        const next = s.STRIDE === 1 ? IMAGES : PIXELS;
        const pixels = (PIXELS + (s.KW - 1) * next) / s.KW;
        const each = GROUPS * costs.filters + pixels * costs.pixel +
          PIXELS * GROUPS * costs.product;
        const cost = each * Math.max(Math.ceil(lanes / simd) * simd * blocks * strips, enough);
        if (!best || cost < best.cost) best = { GROUPS, PIXELS, IMAGES, threads, cost };
      }
    }
  }
  if (!best) throw new Error("Unreachable: no cut of a convolution");
  const { GROUPS, PIXELS, IMAGES, threads } = best;
  return { GROUPS, PIXELS, IMAGES, threads };
}

/**
 * The cut of `conv2d_weight`: the batch is summed in `SPLIT` parts, enough of them for the device to
 * have work and for no thread's loops to grow too long.
 */
export function conv2dWeightTile(
  s: ConvShape,
  split?: number,
): {
  /** 1 where the gradients are read so seldom that it does not pay to lay their channels side by side. */
  readonly PLANAR: 0 | 1;
  readonly GROUPS: number;
  readonly ROWS: number;
  readonly COLUMNS: number;
  readonly SPLIT: number;
  readonly threads: number;
} {
  const [bands, runs] = [Math.ceil(s.KH / run), Math.ceil(s.KW / run)];
  const [ROWS, COLUMNS] = [Math.ceil(s.KH / bands), Math.ceil(s.KW / runs)];
  const quads = Math.ceil(s.CO / 4);
  const blocks = Math.ceil(quads / Math.min(mostGroups, Math.floor(mostSums / (ROWS * COLUMNS))));
  const each = blocks * s.CI * bands * runs;
  const least = Math.max(enough / each, s.B * s.OH * s.OW / longestLoop);
  const SPLIT = split ?? Math.min(s.B, Math.max(1, Math.ceil(least)));
  const PLANAR = s.CI * bands * runs <= fewReads ? 1 : 0;
  return { PLANAR, GROUPS: Math.ceil(quads / blocks), ROWS, COLUMNS, SPLIT, threads: SPLIT * each };
}
