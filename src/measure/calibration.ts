/**
 * Calibration: whether a model is right as often as it says (C. Guo et al., "On calibration of modern
 * neural networks", ICML 2017).
 *
 * @module
 */
import { confidences, type Predictions, rightRows } from "./metrics.ts";

/** One bar of a reliability diagram: the rows whose confidence is in `(from, to]`. */
export interface ReliabilityBin {
  /** Lower bound of the confidence, 0 to 1. */
  readonly from: number;
  /** Upper bound of the confidence, 0 to 1. */
  readonly to: number;
  /** Number of rows. */
  readonly count: number;
  /** Mean of the largest probability, 0 to 1; NaN without a row. */
  readonly confidence: number;
  /** Share of rows whose most probable class is the label, 0 to 1; NaN without a row. */
  readonly accuracy: number;
}

/** A reliability diagram and what it sums up to. */
export interface Calibration {
  /** Expected calibration error, 0 to 1; NaN without a row. */
  readonly ece: number;
  /** Bars of equal width, from confidence 0 to 1. */
  readonly bins: readonly ReliabilityBin[];
}

/**
 * Answers at a temperature, `log softmax(l / T)`: those at 1 / T are the ones that answers at T were made from. A row of
 * nothing but minus infinity becomes NaN.
 *
 * @param temperature T, above 0
 */
export function atTemperature(
  { logProbabilities, classes }: Predictions,
  temperature: number,
): Predictions {
  const made = new Float32Array(logProbabilities.length);
  for (let start = 0; start < made.length; start += classes) {
    const row = Float64Array.from(
      logProbabilities.subarray(start, start + classes),
      (l) => l / temperature,
    );
    const top = row.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = row.reduce((total, l) => total + Math.exp(l - top), 0);
    made.set(row.map((l) => l - top - Math.log(sum)), start);
  }
  return { logProbabilities: made, classes };
}

/** Bars of the paper's diagrams. */
const paperBins = 15;

/**
 * The expected calibration error `sum_m |B_m| / n |accuracy(B_m) - confidence(B_m)|` (eq. 3) over bins of
 * equal width, and its reliability diagram. Rows that hold a NaN are left out.
 *
 * @param labels class indices `[N]`
 * @param count bins, at least 1
 */
export function calibration(
  predictions: Predictions,
  labels: ArrayLike<number>,
  count: number = paperBins,
): Calibration {
  const sums = Array.from({ length: count }, () => ({ rows: 0, confidence: 0, right: 0 }));
  const right = rightRows(predictions, labels);
  let rows = 0;
  confidences(predictions).forEach((confidence, i) => {
    if (Number.isNaN(confidence)) return;
    // An exponential may exceed 1 by a hair.
    const bin = sums[Math.min(count, Math.max(1, Math.ceil(confidence * count))) - 1];
    if (!bin) return;
    rows++;
    bin.rows++;
    bin.confidence += confidence;
    bin.right += right[i] ?? 0;
  });
  const bins = sums.map((bin, m): ReliabilityBin => ({
    from: m / count,
    to: (m + 1) / count,
    count: bin.rows,
    confidence: bin.confidence / bin.rows,
    accuracy: bin.right / bin.rows,
  }));
  const gaps = sums.reduce((total, bin) => total + Math.abs(bin.right - bin.confidence), 0);
  return { ece: gaps / rows, bins };
}
