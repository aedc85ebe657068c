/**
 * The paper's two numbers of a set, by the answers and by every other reading of them.
 *
 * @module
 */
import { thresholds } from "./config.ts";
import { finite, tau } from "../measure/evidence.ts";
import {
  entropy,
  infiniteConfidences,
  logConfidence,
  type MeanOptions,
  nanRows,
  type Predictions,
  rejectedRows,
  rejectionRate,
} from "../measure/metrics.ts";
import type { Answers } from "../measure/answers.ts";
import type { ReadingResult, Uncertainty } from "./documents.ts";

/** Mean entropy, rejection by threshold, rows that are no numbers, and the same by other readings. */
export function uncertainties(
  { predictions, readings }: Answers,
  mean: MeanOptions,
): Uncertainty & {
  rejectedImages: number;
  nanRows: number;
  readings: Record<string, ReadingResult>;
} {
  const others = Object.entries(readings).map(([name, reading]): [string, ReadingResult] => [name, {
    ...uncertainty(reading.predictions, mean),
    ...(reading.normalised ? {} : { entropy: null }),
    logConfidence: finite(logConfidence(reading.predictions, mean)),
    logConfidenceInfinite: infiniteConfidences(reading.predictions),
  }]);
  return {
    ...uncertainty(predictions, mean),
    rejectedImages: rejectedRows(predictions, tau),
    nanRows: nanRows(predictions),
    readings: Object.fromEntries(others),
  };
}

function uncertainty(predictions: Predictions, mean: MeanOptions): Uncertainty {
  const rates = thresholds.map((tau) => [String(tau), rejectionRate(predictions, tau, mean)]);
  return { entropy: finite(entropy(predictions, mean)), rejection: Object.fromEntries(rates) };
}
