/**
 * The geometry of convolutions: how it is given, and what sizes follow from it.
 *
 * @module
 */
import type { GeneralShape } from "../graph/general.ts";
import { type Shape, show } from "../graph/tensor.ts";
import type { ConvShape } from "../graph/tiles.ts";

/** Geometry of a convolution. */
export interface ConvOptions {
  /** Pixels from one place of the kernel to the next, 1 or more, of both axes or of each; 1 when not given. */
  readonly stride?: number | readonly [height: number, width: number];
  /** Zeros before the first pixel and after the last, 0 or more, of all sides or of each; 0 when not given. */
  readonly padding?: number | readonly [top: number, left: number, bottom: number, right: number];
  /** Pixels from one tap of the kernel to the next, 1 or more, of both axes or of each; 1 when not given. */
  readonly dilation?: number | readonly [height: number, width: number];
  /**
   * Groups of channels, each with filters of its own that see no other: `w` is `[CO, CI / groups, KH, KW]`. They
   * divide both CI and CO; 1 when not given.
   */
  readonly groups?: number;
}

/** What a geometry makes of an image's sizes and a kernel's. */
export interface Convolution {
  /** `[OH, OW]` */
  readonly made: readonly [height: number, width: number];
  /** Its sizes where it has one stride, one padding, no groups and no dilation; else undefined. */
  readonly plain: ConvShape | undefined;
  /** Its sizes, whatever it has. */
  readonly general: GeneralShape;
}

/** A geometry with every number said. */
interface Geometry {
  readonly stride: readonly [height: number, width: number];
  readonly padding: readonly [top: number, left: number, bottom: number, right: number];
  readonly dilation: readonly [height: number, width: number];
  readonly groups: number;
}

/** `[top, left, bottom, right]` of a padding. */
function sidesOf({ padding = 0 }: ConvOptions): Geometry["padding"] {
  return typeof padding === "number" ? [padding, padding, padding, padding] : padding;
}

function pair(n: number | readonly [number, number] = 1): readonly [number, number] {
  return typeof n === "number" ? [n, n] : n;
}

/**
 * `[OH, OW]`, the pixels that a convolution makes of an image; below 1 where the kernel exceeds the padded image.
 *
 * @param image `[H, W]`
 * @param kernel `[KH, KW]`
 */
export function convolvedSize(
  [H = 1, W = 1]: Shape,
  [KH = 1, KW = 1]: Shape,
  options: ConvOptions,
): [height: number, width: number] {
  const [top, left, bottom, right] = sidesOf(options);
  const [stride, dilation] = [pair(options.stride), pair(options.dilation)];
  const along = (n: number, taps: number, axis: 0 | 1): number =>
    Math.floor((n - (taps - 1) * dilation[axis] - 1) / stride[axis]) + 1;
  return [along(H + top + bottom, KH, 0), along(W + left + right, KW, 1)];
}

/**
 * What a geometry makes of an image `[B, CI, H, W]` and filters `[CO, CI / groups, KH, KW]`.
 *
 * @throws Error naming both shapes when a number of the geometry is out of range, the channels do not fit or the
 *   kernel exceeds the padded image
 */
export function convolution(image: Shape, weight: Shape, options: ConvOptions): Convolution {
  const { groups = 1 } = options;
  const geometry = {
    stride: pair(options.stride),
    padding: sidesOf(options),
    dilation: pair(options.dilation),
    groups,
  };
  const what = `Cannot convolve ${show(image)} with ${show(weight)}` +
    (groups === 1 ? "" : ` in ${groups} groups`);
  const wrong = outOfRange(geometry);
  if (wrong) throw new Error(`${what}: ${wrong}`);
  const [B = 1, C = 1, H = 1, W = 1] = image;
  const [filters = 1, CI = 1, KH = 1, KW = 1] = weight;
  if (image.length !== 4 || weight.length !== 4 || C !== CI * groups) {
    throw new Error(`${what}: channels differ`);
  }
  if (filters % groups !== 0) throw new Error(`${what}: filters do not come in equal groups`);
  const made = convolvedSize([H, W], [KH, KW], options);
  const [OH, OW] = made;
  const { stride, padding: [top, left], dilation } = geometry;
  if (OH < 1 || OW < 1) {
    const dilated = dilation.every((n) => n === 1) ? "" : `, dilated by ${dilation.join(" x ")},`;
    throw new Error(`${what}: the kernel${dilated} is larger`);
  }
  const general = {
    ...{ B, GROUPS: groups, CI, H, W, CO: filters / groups, KH, KW, OH, OW },
    ...{ STRIDE_H: stride[0], STRIDE_W: stride[1], TOP: top, LEFT: left },
    // Of one tap there is no next.
    DILATION_H: KH === 1 ? 1 : dilation[0],
    DILATION_W: KW === 1 ? 1 : dilation[1],
  };
  const { DILATION_H, DILATION_W, STRIDE_H: STRIDE } = general;
  const usual = groups === 1 && STRIDE === stride[1] && DILATION_H === 1 && DILATION_W === 1;
  // A last row or column of zeros that no tap reaches is as good as none.
  const [height, width] = convolvedSize([H, W], [KH, KW], { stride, padding: top });
  const even = top === left && height === OH && width === OW;
  const plain = usual && even
    ? { B, CI, H, W, CO: filters, KH, KW, OH, OW, STRIDE, PAD: top }
    : undefined;
  return { made, plain, general };
}

/** What is wrong with a geometry, if anything is. */
function outOfRange({ stride, padding, dilation, groups }: Geometry): string | undefined {
  const numbers = { stride, padding, dilation, groups: [groups] };
  const found = Object.entries(numbers).find(([name, values]) =>
    !values.every((n) => Number.isInteger(n) && n >= (name === "padding" ? 0 : 1))
  );
  return found && `${found[0]} is ${found[1].join(", ")}`;
}
