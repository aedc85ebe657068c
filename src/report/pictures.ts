/**
 * Images of a run as PNG that stands in the page itself.
 *
 * @module
 */
import { encode } from "fast-png";
import type { Picture } from "./content.ts";

/** How much larger than it is a perturbation is shown. */
export const magnified = 10;

/**
 * What an attack has changed, times ten, in three colours on white: red where it made a pixel brighter, blue
 * where darker; of a coloured image, by the mean over its channels.
 */
export function perturbation(clean: Picture, attacked: Picture): Picture {
  const [channels, height, width] = clean.shape;
  const plane = height * width;
  const values = new Float32Array(3 * plane);
  for (let at = 0; at < plane; at++) {
    let change = 0;
    for (let c = 0; c < channels; c++) {
      const i = c * plane + at;
      change += ((attacked.values[i] ?? NaN) - (clean.values[i] ?? NaN)) / channels;
    }
    const paleness = 1 - Math.min(1, magnified * Math.abs(change));
    values[at] = change < 0 ? paleness : 1;
    values[plane + at] = paleness;
    values[2 * plane + at] = change > 0 ? paleness : 1;
  }
  return { shape: [3, height, width], values };
}

/** An image as a `data:` address; grey for one channel, colours for three, values cut to 0 to 1. */
export function pngOf({ shape: [channels, height, width], values }: Picture): string {
  const plane = width * height;
  const data = new Uint8ClampedArray(plane * channels);
  for (let at = 0; at < plane; at++) {
    for (let c = 0; c < channels; c++) {
      data[at * channels + c] = 255 * (values[c * plane + at] ?? 0);
    }
  }
  const png = encode({ width, height, channels, depth: 8, data });
  return `data:image/png;base64,${Uint8Array.from(png).toBase64()}`;
}
