/**
 * What a subject answers to a set of images, as numbers on the host.
 *
 * @module
 */
import type { Predictions } from "./metrics.ts";

/** Answers to a set: the subject's own, its other readings, and its scores. */
export interface Answers {
  /** Log-probabilities `[N, C]`, natural logarithm. */
  readonly predictions: Predictions;
  /** By name, such as DUQ's `kernel`; none of a plain classifier. */
  readonly readings: Readonly<Record<string, ReadingValues>>;
  /** By name, such as the `variance` of SNGP and DUE; none of a plain classifier. */
  readonly scores: Readonly<Record<string, ScoreValues>>;
}

/**
 * Answers to some images of a set.
 *
 * @param index which of them, in the order of the result
 */
export function answersAt(
  { predictions, readings, scores }: Answers,
  index: ArrayLike<number>,
): Answers {
  return {
    predictions: rowsAt(predictions, index),
    readings: mapped(readings, (of) => ({ ...of, predictions: rowsAt(of.predictions, index) })),
    scores: mapped(scores, ({ values, higher }) => ({
      values: Float64Array.from(index, (i) => values[i] ?? NaN),
      higher,
    })),
  };
}

function rowsAt({ logProbabilities, classes }: Predictions, index: ArrayLike<number>): Predictions {
  const rows = new Float32Array(index.length * classes);
  Array.from(index).forEach((from, to) =>
    rows.set(logProbabilities.subarray(from * classes, (from + 1) * classes), to * classes)
  );
  return { logProbabilities: rows, classes };
}

function mapped<T>(record: Readonly<Record<string, T>>, change: (of: T) => T): Record<string, T> {
  return Object.fromEntries(Object.entries(record).map(([name, of]) => [name, change(of)]));
}

/** A reading of a set. */
export interface ReadingValues {
  /** Logarithms of confidences, `[N, C]`. */
  readonly predictions: Predictions;
  /** Whether a row sums to one. */
  readonly normalised: boolean;
}

/** A score of a set. */
export interface ScoreValues {
  /** `[N]` */
  readonly values: ArrayLike<number>;
  /** Where images of higher values belong by it. */
  readonly higher: "in-domain" | "out-domain";
}
