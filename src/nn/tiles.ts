/**
 * Thread counts of the tiled kernels.
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

/** Invocations of `matmul`. */
export function matmulThreads({ batch, m, n }: { batch: number; m: number; n: number }): number {
  return batch * m * n;
}

/** Invocations of `random_features`. */
export function randomFeaturesThreads({ n, d }: { n: number; d: number }): number {
  return n * d;
}

/** Invocations of `conv2d`. */
export function conv2dThreads(s: ConvShape): number {
  return s.B * s.CO * s.OH * s.OW;
}

/** Invocations of `conv2d_input`. */
export function conv2dInputThreads(s: ConvShape): number {
  return s.B * s.CI * s.H * s.W;
}

/** Parts that `conv2d_weight` sums the batch in. */
export function conv2dWeightSplit(s: ConvShape): number {
  return Math.min(s.B, 32);
}

/** Invocations of `conv2d_weight`. */
export function conv2dWeightThreads(s: ConvShape, split: number): number {
  return split * s.CO * s.CI * s.KH * s.KW;
}
