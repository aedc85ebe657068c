/**
 * Subjects of one model, and models of one function.
 *
 * @module
 */
import { labelOf } from "../attack/mod.ts";
import { crossEntropy, logSoftmax, type Tensor } from "../nn/mod.ts";
import type { Answering, Subject } from "./types.ts";

/** The model by itself. */
export function single([model]: readonly Answering[]): Subject {
  if (!model) throw new Error("Unreachable: a subject without a model");
  return {
    attacked: [model],
    logProbabilities: ([x], draws) => model.logProbabilities(given(x), draws),
    readings: ([x]) => model.readings?.(given(x)) ?? {},
    scores: ([x]) => model.scores?.(given(x)) ?? {},
  };
}

/**
 * A softmax classifier; the published attack on it lowers `-log p` of its own prediction, as on the baseline.
 *
 * @param logits images `[B, C, H, W]` with pixels from 0 to 1, to `[B, K]`
 */
export function ofLogits(logits: (images: Tensor) => Tensor): Answering {
  return {
    logits,
    logProbabilities: (images) => logSoftmax(logits(images)),
    confidenceLoss(images, { target }): Tensor {
      const z = logits(images);
      return crossEntropy(z, labelOf(z, target));
    },
  };
}

function given<T>(x: T | undefined): T {
  if (x === undefined) throw new Error("Unreachable: a subject without an image");
  return x;
}
