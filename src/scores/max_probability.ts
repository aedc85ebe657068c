/**
 * The maximum softmax probability (MSP).
 *
 * Paper: D. Hendrycks and K. Gimpel, "A baseline for detecting misclassified and out-of-distribution examples
 * in neural networks", ICLR 2017.
 *
 * @module
 */
import { exp, max } from "../nn/mod.ts";
import { logProbabilitiesOf } from "./functions.ts";
import type { Score } from "./types.ts";

/** `max_c p_c`. An attack raises its logarithm, whose slope does not vanish with p. */
export const maxProbability: Score = {
  name: "maxProbability",
  about: "the maximum softmax probability (MSP)",
  score: (model, images) => exp(max(logProbabilitiesOf(model, images))),
  surrogate: (model, images) => max(logProbabilitiesOf(model, images)),
};
