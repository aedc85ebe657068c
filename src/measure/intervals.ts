/**
 * Figures of images with their 95 % intervals. Those of detectors are in `detection.ts`.
 *
 * @module
 */
import type { Estimate } from "./detection.ts";
import { halfWidth95, mean, wilsonLow } from "./statistics.ts";

/** Standard deviations on either side of the mean that hold 95 % of a normal distribution. */
const z95 = 1.96;

/**
 * A share of images with its interval by E. B. Wilson, 1927.
 *
 * @param hits of `count` images
 * @returns shares from 0 to 1, `low <= value <= high`; NaN without an image
 */
export function shareEstimate(hits: number, count: number): Estimate {
  if (count === 0) return { value: NaN, low: NaN, high: NaN };
  const value = hits / count;
  const [low, high] = [wilsonLow(hits, count, z95), 1 - wilsonLow(count - hits, count, z95)];
  // Rounding may put an end that is exactly 0 or 1 on the value's other side.
  return {
    value,
    low: Math.min(value, Math.max(0, low)),
    high: Math.max(value, Math.min(1, high)),
  };
}

/**
 * The mean of a figure that lies between 0 and `largest`, with its interval by Student's t; images whose
 * figure is NaN are left out.
 *
 * @returns `low <= value <= high`, all from 0 to `largest`; NaN without an image, and ends of NaN with one
 */
export function meanEstimate(figures: ArrayLike<number>, largest: number): Estimate {
  const valid = Array.from(figures).filter((figure) => !Number.isNaN(figure));
  if (valid.length === 0) return { value: NaN, low: NaN, high: NaN };
  const value = mean(valid);
  const half = halfWidth95(valid) ?? NaN;
  return { value, low: Math.max(0, value - half), high: Math.min(largest, value + half) };
}
