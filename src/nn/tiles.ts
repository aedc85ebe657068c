/**
 * How the tiled kernels cut their work: what a thread makes, and how many threads that takes.
 *
 * The tiles suit software and hardware alike: 8 x 8 results in registers for 16 values loaded, no
 * workgroup memory, valid at WebGPU's default limits.
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

/** A convolution kernel's cut: channels a thread makes, and invocations. */
export interface ConvTile {
  readonly CHANNELS: number;
  readonly threads: number;
}

/** Results on a side of the tile of `matmul` and `random_features`. */
const side = 8;

/** Pixels of a row that a thread of `conv2d` and `conv2d_input` makes. */
const strip = 8;

/** Columns of the kernel that a thread of `conv2d_weight` makes. */
const run = 5;

/** Threads that keep any device busy. */
const enough = 2048;

/** Invocations of `matmul`. */
export function matmulThreads({ batch, m, n }: { batch: number; m: number; n: number }): number {
  return batch * Math.ceil(m / side) * Math.ceil(n / side);
}

/** Invocations of `random_features`. */
export function randomFeaturesThreads({ n, d }: { n: number; d: number }): number {
  return Math.ceil(n / side) * Math.ceil(d / side);
}

/** The cut of `conv2d`. */
export function conv2dTile(s: ConvShape): ConvTile {
  const CHANNELS = channels(s.CO);
  const threads = s.B * Math.ceil(s.CO / CHANNELS) * s.OH * Math.ceil(s.OW / strip);
  return { CHANNELS, threads };
}

/** The cut of `conv2d_input`. */
export function conv2dInputTile(s: ConvShape): ConvTile {
  const CHANNELS = channels(s.CI);
  return { CHANNELS, threads: s.B * Math.ceil(s.CI / CHANNELS) * s.H * Math.ceil(s.W / strip) };
}

/**
 * The cut of `conv2d_weight`: the batch is summed in `SPLIT` parts, enough of them for the device to
 * have work.
 */
export function conv2dWeightTile(
  s: ConvShape,
  split?: number,
): ConvTile & { readonly SPLIT: number } {
  const CHANNELS = channels(s.CO);
  const each = Math.ceil(s.CO / CHANNELS) * s.CI * s.KH * Math.ceil(s.KW / run);
  const SPLIT = split ?? Math.min(s.B, Math.max(1, Math.ceil(enough / each)));
  return { CHANNELS, SPLIT, threads: SPLIT * each };
}

/** The block of channels that wastes least: 8, or the next power of two where there are fewer. */
function channels(count: number): number {
  return count > 4 ? 8 : count > 2 ? 4 : count;
}
