/**
 * Subjects of one model, and models of one function.
 *
 * @module
 */
import { UserError } from "../base/errors.ts";
import { labelOf } from "../attack/mod.ts";
import { crossEntropy, logSoftmax, type Tensor } from "../nn/mod.ts";
import type { Answering, Subject } from "./types.ts";

/** The model by itself. */
export function single([model]: readonly Answering[]): Subject {
  if (!model) throw new Error("Unreachable: a subject without a model");
  return {
    attacked: [model.underAttack?.() ?? model],
    logProbabilities: ([x], draws) => model.logProbabilities(given(x), draws),
    readings: ([x], draws) => model.readings?.(given(x), draws) ?? {},
    scores: ([x], draws) => model.scores?.(given(x), draws) ?? {},
  };
}

/**
 * A softmax classifier; the published attack on it lowers `-log p` of its own prediction, as on the baseline.
 *
 * @param of images `[B, C, H, W]` with pixels from 0 to 1, to `[B, K]`, K 2 or more
 * @throws UserError, once traced, for logits of another shape
 */
export function ofLogits(of: (images: Tensor) => Tensor): Answering {
  const logits = (images: Tensor): Tensor => {
    const z = of(images);
    const [rows, classes = 0, ...rest] = z.shape;
    if (rows === images.shape[0] && classes >= 2 && rest.length === 0) return z;
    throw new UserError(
      `Cannot take [${z.shape.join(", ")}] for the logits of [${
        images.shape.join(", ")
      }] images: ` +
        "give one row an image, of 2 or more classes",
    );
  };
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
