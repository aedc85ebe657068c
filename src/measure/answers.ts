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
