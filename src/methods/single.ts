/**
 * A subject of one model.
 *
 * @module
 */
import type { Model, Subject } from "./types.ts";

/** The model by itself. */
export function single([model]: readonly Model[]): Subject {
  if (!model) throw new Error("Unreachable: a subject without a model");
  return {
    copies: 1,
    logProbabilities: ([x], draws) => model.logProbabilities(given(x), draws),
    readings: ([x]) => model.readings?.(given(x)) ?? {},
    scores: ([x]) => model.scores?.(given(x)) ?? {},
    confidenceLoss: (x, _copy, options) => model.confidenceLoss(x, options),
  };
}

function given<T>(x: T | undefined): T {
  if (x === undefined) throw new Error("Unreachable: a subject without an image");
  return x;
}
