/**
 * Images made smaller or larger: each side by itself, by area where it shrinks and bilinear where it grows.
 *
 * @module
 */

/** Width and height in pixels. */
interface Size {
  readonly width: number;
  readonly height: number;
}

/** What a pixel is made of: weights, which sum to 1, of pixels from `start` on. */
interface Share {
  readonly start: number;
  readonly weights: readonly number[];
}

/**
 * Planes at another size. A side that shrinks takes the mean over what each new pixel covers, parts of pixels
 * included; a side that grows goes in straight lines from one pixel's centre to the next, and stays level beyond
 * the outermost. Width and height need not keep their ratio.
 *
 * @param values `[C, H, W]`
 * @returns `[C, H, W]` of the size asked for
 */
export function resized(values: Float64Array, from: Size, to: Size): Float64Array {
  const planes = values.length / (from.width * from.height);
  const [across, down] = [shares(from.width, to.width), shares(from.height, to.height)];
  const rows = new Float64Array(planes * from.height * to.width);
  for (let row = 0; row < planes * from.height; row++) {
    across.forEach(({ start, weights }, x) => {
      const at = row * from.width + start;
      rows[row * to.width + x] = weights.reduce((sum, w, i) => sum + w * (values[at + i] ?? 0), 0);
    });
  }
  const result = new Float64Array(planes * to.height * to.width);
  for (let plane = 0; plane < planes; plane++) {
    down.forEach(({ start, weights }, y) => {
      for (let x = 0; x < to.width; x++) {
        const at = (plane * from.height + start) * to.width + x;
        result[(plane * to.height + y) * to.width + x] = weights
          .reduce((sum, w, i) => sum + w * (rows[at + i * to.width] ?? 0), 0);
      }
    });
  }
  return result;
}

/** What each pixel of a side is made of. */
function shares(from: number, to: number): Share[] {
  return Array.from({ length: to }, (_, i) => to > from ? between(i, from, to) : over(i, from, to));
}

/** A pixel of a side that shrinks: what it covers, from i to i + 1 of `to` parts. */
function over(i: number, from: number, to: number): Share {
  // In whole numbers of 1 / to of a pixel, so that a pixel is covered whole or not by a hair.
  const [begin, end] = [i * from, (i + 1) * from];
  const start = Math.floor(begin / to);
  const weights: number[] = [];
  for (let pixel = start; pixel * to < end; pixel++) {
    const covered = Math.min(end, (pixel + 1) * to) - Math.max(begin, pixel * to);
    weights.push(covered / from);
  }
  return { start, weights };
}

/** A pixel of a side that grows: between the two whose centres it lies between. */
function between(i: number, from: number, to: number): Share {
  const place = Math.min(from - 1, Math.max(0, (i + 0.5) * from / to - 0.5));
  const start = Math.min(Math.floor(place), Math.max(0, from - 2));
  const second = place - start;
  return { start, weights: from === 1 ? [1] : [1 - second, second] };
}
