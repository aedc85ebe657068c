/**
 * What a subject answers to a set of images, as numbers on the host.
 *
 * @module
 */
import type { Predictions } from "./metrics.ts";

/** Answers to a set: the subject's own, its other readings, and its scores. */
export interface Answers {
  readonly predictions: Predictions;
  readonly readings: Readonly<Record<string, ReadingValues>>;
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
