/**
 * Medians and their spread.
 *
 * @module
 */
import { max, median, min, quantile } from "simple-statistics";

/** A sample of timings in short. */
export interface Summary {
  readonly median: number;
  /** First and third quartile. */
  readonly quartiles: readonly [number, number];
  readonly min: number;
  readonly max: number;
  readonly count: number;
}

/** Summarises at least one value. */
export function summarise(values: readonly number[]): Summary {
  const all = [...values];
  return {
    median: median(all),
    quartiles: [quantile(all, 0.25), quantile(all, 0.75)],
    min: min(all),
    max: max(all),
    count: all.length,
  };
}

/** `46.1 [45.2, 48.0]`: median and quartiles. */
export function showSummary({ median, quartiles: [low, high] }: Summary, digits = 1): string {
  return `${median.toFixed(digits)} [${low.toFixed(digits)}, ${high.toFixed(digits)}]`;
}
