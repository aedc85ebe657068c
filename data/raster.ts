/**
 * An image as its file holds it, and what becomes of it on the way to what a network takes.
 *
 * @module
 */
import { resized } from "./resize.ts";

/** An image as its file holds it. */
export interface Raster {
  /** Width in pixels. */
  readonly width: number;
  /** Height in pixels. */
  readonly height: number;
  /** Samples a pixel: grey, grey and alpha, RGB, or RGB and alpha. */
  readonly channels: 1 | 2 | 3 | 4;
  /** [H, W, channels], row-major, 0 (black, clear) to `top` (white, opaque). */
  readonly samples: Uint8Array | Uint16Array;
  /** What a sample is at most. */
  readonly top: 255 | 65_535;
  /** How it is to be turned: EXIF's number, 1 (as it is) to 8. */
  readonly orientation: number;
}

/** What may be done to an image before a network takes it, a bit each. */
export const preparations = [
  "misnamed",
  "turned",
  "overBlack",
  "rounded",
  "madeGrey",
  "madeColour",
  "resized",
] as const;

/** What was done to an image. */
export type Preparation = typeof preparations[number];

/** Width and height in pixels. */
export interface Size {
  /** Width in pixels. */
  readonly width: number;
  /** Height in pixels. */
  readonly height: number;
}

/** An image as a network takes it. */
export interface Fitted {
  /** [C, H, W], 0 to 255. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What was done to it. */
  readonly prepared: readonly Preparation[];
}

/** Planes of an image before they are rounded: `[C, H, W]`, 0 to 255. */
export interface Planes extends Size {
  /** Grey, or red before green before blue. */
  readonly channels: 1 | 3;
  readonly values: Float64Array;
}

/** The size of an image as it is looked at: that of its file, turned as it is to be. */
export function uprightSize(
  { width, height, orientation }: Pick<Raster, "width" | "height" | "orientation">,
): Size {
  return orientation > 4 ? { width: height, height: width } : { width, height };
}

/**
 * An image as a network takes it: turned upright, laid over black, colour made grey or grey made colour, then
 * resized; rounded once, at the end.
 *
 * @param shape `[C, H, W]` that the network takes, C 1 or 3
 */
export function fit(image: Raster, shape: readonly [number, number, number]): Fitted {
  const { bytes, prepared } = fitPlanes(planesOf(image), shape);
  const hasAlpha = image.channels === 2 || image.channels === 4;
  const done: readonly (readonly [Preparation, boolean])[] = [
    ["turned", image.orientation !== 1],
    ["overBlack", hasAlpha && isClear(image)],
    ["rounded", image.top > 255],
  ];
  return { bytes, prepared: [...done.flatMap(([name, is]) => is ? [name] : []), ...prepared] };
}

/**
 * The same of planes: grey of colour by ITU-R 601 luma, colour of grey by three of the same, resized, rounded.
 *
 * @param shape `[C, H, W]` that the network takes, C 1 or 3
 */
export function fitPlanes(planes: Planes, [channels, height, width]: readonly number[]): Fitted {
  const prepared: Preparation[] = [];
  let { values } = planes;
  if (planes.channels === 3 && channels === 1) {
    values = luma(values);
    prepared.push("madeGrey");
  }
  const size = { width: width ?? 0, height: height ?? 0 };
  if (planes.width !== size.width || planes.height !== size.height) {
    values = resized(values, planes, size);
    prepared.push("resized");
  }
  const once = Uint8Array.from(values, (value) => Math.floor(value + 0.5));
  if (planes.channels === 3 || channels === 1) return { bytes: once, prepared };
  const bytes = new Uint8Array(3 * once.length);
  for (let channel = 0; channel < 3; channel++) bytes.set(once, channel * once.length);
  return { bytes, prepared: [...prepared, "madeColour"] };
}

/** An image turned upright and laid over black. */
function planesOf(image: Raster): Planes {
  const { channels, samples, top } = image;
  const size = uprightSize(image);
  const colours = channels < 3 ? 1 : 3;
  const plane = size.width * size.height;
  const values = new Float64Array(colours * plane);
  const source = sourceOf(image);
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      const from = channels * source(x, y);
      const alpha = channels > colours ? (samples[from + colours] ?? 0) / top : 1;
      for (let colour = 0; colour < colours; colour++) {
        const value = (samples[from + colour] ?? 0) * alpha * 255 / top;
        values[colour * plane + y * size.width + x] = value;
      }
    }
  }
  return { ...size, channels: colours, values };
}

/** Where in the file a pixel of the upright image lies, by EXIF's orientations. */
function sourceOf(
  { width, height, orientation }: Raster,
): (x: number, y: number) => number {
  const at = (x: number, y: number): number => y * width + x;
  const [right, bottom] = [width - 1, height - 1];
  switch (orientation) {
    case 2:
      return (x, y) => at(right - x, y);
    case 3:
      return (x, y) => at(right - x, bottom - y);
    case 4:
      return (x, y) => at(x, bottom - y);
    case 5:
      return (x, y) => at(y, x);
    case 6:
      return (x, y) => at(y, bottom - x);
    case 7:
      return (x, y) => at(right - y, bottom - x);
    case 8:
      return (x, y) => at(right - y, x);
    default:
      return at;
  }
}

/** Whether any pixel of an image with alpha is not opaque. */
function isClear({ channels, samples, top }: Raster): boolean {
  for (let at = channels - 1; at < samples.length; at += channels) {
    if (samples[at] !== top) return true;
  }
  return false;
}

/** Three planes as one: ITU-R 601 luma with PIL's weights, in parts of 65,536. */
function luma(values: Float64Array): Float64Array {
  const plane = values.length / 3;
  return Float64Array.from({ length: plane }, (_, i) => {
    const [red, green, blue] = [values[i], values[plane + i], values[2 * plane + i]];
    return ((red ?? 0) * 19595 + (green ?? 0) * 38470 + (blue ?? 0) * 7471) / 65536;
  });
}
