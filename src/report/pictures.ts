/**
 * Images of a run as PNG that stands in the page itself.
 *
 * @module
 */
import { encode } from "fast-png";
import type { Picture } from "./content.ts";

/** How much larger than it is a perturbation is shown, around grey. */
export const magnified = 10;

/** What an attack has added, times ten, around grey. */
export function perturbation(clean: Picture, attacked: Picture): Picture {
  const values = clean.values.map((value, i) =>
    0.5 + magnified * ((attacked.values[i] ?? NaN) - value)
  );
  return { shape: clean.shape, values };
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
