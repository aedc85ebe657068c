/**
 * What an attack lowers: one line each in `objectives`. An objective sees what a model answers, never which
 * model or method it is. The lower its value, the surer the model.
 *
 * @module
 */
import {
  add,
  argmax,
  constant,
  dim,
  type Draws,
  exp,
  log,
  max,
  mul,
  neg,
  negativeLogLikelihood,
  oneHot,
  reshape,
  stopGradient,
  sub,
  sum,
  type Tensor,
  where,
} from "../nn/mod.ts";

/** Whether an attack is to make a model surer, or less sure. */
export type Direction = "over" | "under";

/** Both directions. */
export const directions = ["over", "under"] as const satisfies readonly Direction[];

/** Which images are attacked: those out-domain, those in-domain, or both. */
export const sides = ["out", "in", "both"] as const;

/** One of {@linkcode sides}. */
export type Side = (typeof sides)[number];

/** What a loss of confidence may depend on besides the image. */
export interface LossOptions {
  /** A supply of noise whose counter goes up at every step of the attack. */
  readonly draws: Draws;
  /** The class to steer to; the model's own prediction when not given. */
  readonly target?: number | undefined;
  /** `[1]`, which of an objective's own runs it is, from 0 on; the first when not given. */
  readonly rank?: Tensor | undefined;
}

/** What an objective may ask a model for. */
export interface Attackable {
  /** Log-probabilities `[B, C]` of images `[B, ...]`. */
  logProbabilities(images: Tensor, draws: Draws): Tensor;
  /** The numbers `[B, C]` whose softmax the probabilities are, where there are such. */
  logits?(images: Tensor): Tensor;
  /**
   * What the published attack on it descends: a loss per image `[B]` against the model's own prediction, or
   * against a target class.
   */
  confidenceLoss(images: Tensor, options: LossOptions): Tensor;
}

/** What an attack lowers. */
export interface Objective {
  /** Its name; of those in `objectives`, its key. */
  readonly name: string;
  /** What it is, for people. */
  readonly about: string;
  /** Whether it needs logits. */
  readonly logits?: true;
  /** Whether it can steer to a class. */
  readonly targets?: true;
  /** What it keeps of the clean images, `[B]`, for all steps. */
  keep?(model: Attackable, clean: Tensor, options: LossOptions): Tensor;
  /**
   * Its value per image, `[B]`.
   *
   * @param kept what `keep` made of the clean images
   */
  loss(model: Attackable, images: Tensor, options: LossOptions, kept?: Tensor): Tensor;
  /** As `loss`, to make a model less sure; minus `loss` when not given. */
  under?(model: Attackable, images: Tensor, options: LossOptions, kept?: Tensor): Tensor;
  /** How many runs over every image it takes for a model of so many classes, told by `rank`; one when not given. */
  runs?(classes: number): number;
}

/** The method's own. */
const published: Objective = {
  name: "published",
  about: "what the method's published attack lowers, against the class predicted at each step",
  targets: true,
  loss: (model, images, options) => model.confidenceLoss(images, options),
};

/** `-log p_y`, y the prediction at the clean image. */
const logProbability: Objective = {
  name: "logProbability",
  about: "-log p of the class predicted at the clean image",
  targets: true,
  keep: (model, clean, { draws, target }) => labelOf(model.logProbabilities(clean, draws), target),
  loss(model, images, { draws, target }, kept): Tensor {
    const answer = model.logProbabilities(images, draws);
    return negativeLogLikelihood(answer, kept ?? labelOf(answer, target));
  },
};

/** `H(p)` in nats. */
const entropy: Objective = {
  name: "entropy",
  about: "the entropy of the answer",
  loss(model, images, { draws }): Tensor {
    const l = model.logProbabilities(images, draws);
    return neg(sum(mul(exp(l), l), [1]));
  },
};

/** `-(z_1 - z_2)`, the largest logit against the second. */
const margin: Objective = {
  name: "margin",
  about: "minus the gap between the two largest logits",
  logits: true,
  loss(model, images): Tensor {
    const z = logitsOf(model, images);
    const first = oneHot(argmax(z), dim(z, 1));
    const others = where(first, constant(-3e38, z.shape), z);
    return sub(max(others), max(z));
  },
};

/** `-log sum exp z`: Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020. */
const energy: Objective = {
  name: "energy",
  about: "minus the logarithm of the sum of exp of the logits",
  logits: true,
  loss(model, images): Tensor {
    const z = logitsOf(model, images);
    const top = stopGradient(max(z, -1, true)); // [B, 1]
    const above = sum(exp(sub(z, top)), [1], true);
    return neg(reshape(add(log(above), top), [-1]));
  },
};

/** `-max z`: Hendrycks et al., "Scaling out-of-distribution detection for real-world settings", ICML 2022. */
const maxLogit: Objective = {
  name: "maxLogit",
  about: "minus the largest logit",
  logits: true,
  loss: (model, images) => neg(max(logitsOf(model, images))),
};

/** Every objective by its name; the first is where nobody says which. */
export const objectives = {
  published,
  logProbability,
  entropy,
  margin,
  energy,
  maxLogit,
} as const satisfies Record<string, Objective>;

/** The name of an objective. */
export type ObjectiveName = keyof typeof objectives;

/** The class an attack steers to: the target, or each row's largest score. `[B, C]` to `[B]`. */
export function labelOf(scores: Tensor, target: number | undefined): Tensor {
  return target === undefined ? argmax(scores) : constant(target, [dim(scores, 0)]);
}

function logitsOf(model: Attackable, images: Tensor): Tensor {
  const logits = model.logits?.(images);
  if (!logits) throw new Error("Unreachable: an objective of logits on a model without");
  return logits;
}
