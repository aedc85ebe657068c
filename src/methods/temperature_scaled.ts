/**
 * A subject whose answer is at a temperature: `p_T = softmax(log p / T)`.
 *
 * Papers: C. Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2; of an ensemble
 * the *pooled* answer is scaled, as R. Rahaman and A. Thiery, "Uncertainty quantification and deep ensembles",
 * NeurIPS 2021, find best: pool, then calibrate. Logits z are log p but for a constant a row, which a softmax
 * does not see, so that of a model with logits this is `softmax(z / T)`; and every method has log p.
 *
 * @module
 */
import { type Attackable, labelOf } from "../attack/mod.ts";
import { crossEntropy, logSoftmax, negativeLogLikelihood, scale, type Tensor } from "../nn/mod.ts";
import type { Subject } from "./types.ts";

/**
 * The subject at a temperature. No class changes, and no order of one image's classes. Other readings of the
 * answer stay as they are, for T was fitted to the answer, and so do scores of the method's own.
 *
 * Where one part is attacked (a model, or an ensemble on one image), the attack sees the scaled answer: its
 * log-probabilities, its logits where there are such, and `-log p_T` as the published loss, whatever the
 * method's own was; features and native score are the method's. Where every member is attacked on a copy of
 * its own, the members stay as they are, and their pooled answer alone is scaled.
 *
 * @param temperature T, above 0
 */
export function temperatureScaled(subject: Subject, temperature: number): Subject {
  const [part, ...others] = subject.attacked;
  return {
    ...subject,
    attacked: part && others.length === 0 ? [scaledPart(part, temperature)] : subject.attacked,
    logProbabilities: (images, draws) =>
      scaled(subject.logProbabilities(images, draws), temperature),
  };
}

/** `log softmax(l / T)` of rows `[B, C]`. */
function scaled(l: Tensor, temperature: number): Tensor {
  return logSoftmax(scale(l, 1 / temperature));
}

/** What an attack sees of a part whose answer is scaled. */
function scaledPart(part: Attackable, temperature: number): Attackable {
  const logits = part.logits?.bind(part);
  const cooled = logits && ((images: Tensor): Tensor => scale(logits(images), 1 / temperature));
  return {
    logProbabilities: (images, draws) => scaled(part.logProbabilities(images, draws), temperature),
    ...cooled && { logits: cooled },
    ...part.features && { features: part.features.bind(part) },
    ...part.native && { native: part.native.bind(part) },
    confidenceLoss(images, { draws, target }): Tensor {
      if (cooled) {
        const z = cooled(images);
        return crossEntropy(z, labelOf(z, target));
      }
      const answer = scaled(part.logProbabilities(images, draws), temperature);
      return negativeLogLikelihood(answer, labelOf(answer, target));
    },
  };
}
