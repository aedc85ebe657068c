/**
 * What a score is: a number for every image, **higher for more in-domain**, that a trained model gives without
 * being trained again.
 *
 * @module
 */
import type { Attackable } from "../attack/mod.ts";
import type { Tensor } from "../nn/mod.ts";
import type { Training } from "./training.ts";

/** What a score may need of a model besides log-probabilities. */
export type ScoreNeed = "logits" | "features";

/** An array of a fit, in f64. */
export interface FitArray {
  /** Its sizes. */
  readonly shape: readonly number[];
  /** Its values, row-major. */
  readonly values: Float64Array;
}

/** What a score has learned from training images: arrays by name. */
export type Fit<K extends string = string> = Readonly<Record<K, FitArray>>;

/** The same as nodes of a graph. */
export type FitTensors<K extends string = string> = Readonly<Record<K, Tensor>>;

/** What a score asks of a model. */
export type Scored = Pick<Attackable, "logProbabilities" | "logits" | "features">;

/** A score. */
export interface Score<K extends string = string> {
  /** Its name; of those in `scores`, its key. */
  readonly name: string;
  /** What it is, for people. */
  readonly about: string;
  /** What it needs of a model besides log-probabilities; nothing when not given. */
  readonly needs?: readonly ScoreNeed[];
  /**
   * What it learns from training images, in f64; it learns nothing when not given.
   *
   * @throws UserError where they do not determine it
   */
  fit?(training: Training): Fit<K>;
  /** Its value for each of the images `[B, ...]`, `[B]`. */
  score(model: Scored, images: Tensor, fit: FitTensors<K>): Tensor;
  /** What an attack raises in its place, `[B]`, where its own slope is of little use; the score when not given. */
  surrogate?(model: Scored, images: Tensor, fit: FitTensors<K>): Tensor;
}
