/**
 * Scores that tell in-domain from out-domain images by what a trained model gives: one line each.
 *
 * @module
 */
import { ddu } from "./ddu.ts";
import { energy } from "./energy.ts";
import { entropy } from "./entropy.ts";
import { gaussian } from "./gaussian.ts";
import { gen } from "./gen.ts";
import { knn } from "./knn.ts";
import { mahalanobis } from "./mahalanobis.ts";
import { margin } from "./margin.ts";
import { maxLogit } from "./max_logit.ts";
import { maxProbability } from "./max_probability.ts";
import { odin } from "./odin.ts";
import { relativeMahalanobis } from "./relative_mahalanobis.ts";
import { tempered } from "./temperature.ts";
import type { Score } from "./types.ts";
import { vim } from "./vim.ts";

export { dduOf } from "./ddu.ts";
export { energyAt } from "./energy.ts";
export { type FittedScore, fittedScore } from "./fitted.ts";
export { lastLayerOf } from "./last_layer.ts";
export { temperatureOf, tempered } from "./temperature.ts";
export { type Head, type Rows, Training, type TrainingAnswers } from "./training.ts";
export type { Fit, FitArray, FitTensors, Score, Scored, ScoreNeed } from "./types.ts";

/** Every score by its name. */
export const scores = {
  maxProbability,
  entropy,
  maxLogit,
  energy,
  gen,
  margin,
  scaledProbability: tempered(maxProbability, "scaledProbability"),
  odin,
  mahalanobis,
  relativeMahalanobis,
  gaussian,
  knn,
  vim,
  ddu,
} as const satisfies Record<string, Score>;

/** The name of a score. */
export type ScoreName = keyof typeof scores;

/** Every score that there is, or some by their names. */
export type ScoreChoice = "all" | readonly ScoreName[];

/** What `all` or a list of names with commas between them chooses; undefined where it is neither. */
export function chosenScores(text: string): ScoreChoice | undefined {
  if (text === "all") return text;
  const names = text.split(",");
  const known = (Object.keys(scores) as ScoreName[]).filter((name) => names.includes(name));
  return known.length === names.length ? known : undefined;
}
