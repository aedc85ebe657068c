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
  div,
  type Draws,
  equal,
  exp,
  gatherRows,
  log,
  max,
  maximum,
  mean,
  mul,
  neg,
  negativeLogLikelihood,
  oneHot,
  reshape,
  square,
  squaredDistance,
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
  /**
   * `[M, D]`, the mean features of each of the M classes that training images show, for an objective that
   * needs them.
   */
  readonly means?: Tensor | undefined;
}

/** What an objective may ask a model for. */
export interface Attackable {
  /** Log-probabilities `[B, C]` of images `[B, ...]`. */
  logProbabilities(images: Tensor, draws: Draws): Tensor;
  /** The numbers `[B, C]` whose softmax the probabilities are, where there are such. */
  logits?(images: Tensor): Tensor;
  /** What the network's last layer takes, `[B, D]`; of several networks, one behind the other. */
  features?(images: Tensor): Tensor;
  /**
   * `[B]`, the method's own score, higher where it is surer: of DUQ the largest log K, of SNGP and DUE minus
   * the variance of the latent functions, of Laplace minus that of the logits, of an ensemble and of MC dropout
   * minus the mutual information in nats, of an evidential network the logarithm of its evidence. A softmax
   * classifier has none.
   */
  native?(images: Tensor, draws: Draws): Tensor;
  /**
   * What the published attack on it descends: a loss per image `[B]` against the model's own prediction, or
   * against a target class.
   */
  confidenceLoss(images: Tensor, options: LossOptions): Tensor;
}

/** What an objective may need of a model besides log-probabilities. */
export type Need = "logits" | "features" | "native";

/** What an attack lowers. */
export interface Objective {
  /** Its name; of those in `objectives`, its key. */
  readonly name: string;
  /** What it is, for people. */
  readonly about: string;
  /** What it needs of a model besides log-probabilities; nothing when not given. */
  readonly needs?: readonly Need[];
  /** Whether it needs the class means of training features. */
  readonly means?: true;
  /** The fewest classes that it works with; 2 when not given. */
  readonly classes?: number;
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

/**
 * `-log p_t`, t a class of another rank than the first at the clean image in each run: the multi-targeted
 * attack of S. Gowal et al., "An alternative surrogate loss for PGD-based adversarial testing", 2019, over as
 * many classes as F. Croce and M. Hein, "Reliable evaluation of adversarial robustness", ICML 2020, take. To be
 * sure of another class is to be unsure of the first, so that it goes the same way in both directions.
 */
const target: Objective = {
  name: "target",
  about: "-log p of another class in each run, from the second most likely one on",
  keep: (model, clean, { draws, rank }) =>
    classOfRank(model.logProbabilities(clean, draws), otherRanks, rank),
  loss: towards,
  under: towards,
  runs: (classes) => Math.min(otherRanks, classes - 1),
};

/**
 * `-KL(u || p) = mean_c log p_c + log C` in nats, u uniform over the C classes; at most 0. Minus it is what A.
 * Meinke, J. Bitterwolf and M. Hein, "Provably adversarially robust detection of out-of-distribution data",
 * NeurIPS 2022, lower to keep a model unsure.
 */
const uniform: Objective = {
  name: "uniform",
  about: "minus the divergence of the answer from the uniform one",
  loss(model, images, { draws }): Tensor {
    const l = model.logProbabilities(images, draws); // [B, C]
    return add(mean(l, [1]), Math.log(dim(l, 1)));
  },
};

/** `-(z_1 - z_2)`, the largest logit against the second. */
const margin: Objective = {
  name: "margin",
  about: "minus the gap between the two largest logits",
  needs: ["logits"],
  loss: (model, images) => neg(gap(logitsOf(model, images))),
};

/** `-log sum exp z`: Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020. */
const energy: Objective = {
  name: "energy",
  about: "minus the logarithm of the sum of exp of the logits",
  needs: ["logits"],
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
  needs: ["logits"],
  loss: (model, images) => neg(max(logitsOf(model, images))),
};

/**
 * `-(z_1 - z_2) / (z_1 - z_C)`, by the smallest logit: no scale of the logits changes it, so that saturated
 * ones still have a slope. With 3 classes it is minus the difference of logits ratio of F. Croce and M. Hein,
 * "Reliable evaluation of adversarial robustness", ICML 2020, which divides by `z_1 - z_3`; with 2 it is -1.
 */
const ratio: Objective = {
  name: "ratio",
  about: "minus the gap between the two largest logits, as a share of that between all",
  needs: ["logits"],
  classes: 3,
  loss(model, images): Tensor {
    const z = logitsOf(model, images);
    const range = add(max(z), max(neg(z)));
    return neg(div(gap(z), maximum(range, 1e-12)));
  },
};

/** Minus the score by which the method itself tells what it knows: see {@linkcode Attackable.native}. */
const native: Objective = {
  name: "native",
  about: "minus the method's own score of how sure it is",
  needs: ["native"],
  loss: (model, images, { draws }) => neg(given(model.native?.(images, draws))),
};

/**
 * `|h(x) - mu_c|^2`, minus the score of a detector by distance: h the features, mu_c the class mean that is
 * nearest at the clean image. It has a slope where scores are flat. Class means: K. Lee et al., "A simple
 * unified framework for detecting out-of-distribution samples and adversarial attacks", NeurIPS 2018.
 */
const feature: Objective = {
  name: "feature",
  about: "the squared distance of the features from the nearest class mean of training images",
  needs: ["features"],
  means: true,
  keep: (model, clean, { means }) => nearest(given(model.features?.(clean)), given(means)),
  loss(model, images, { means }, kept): Tensor {
    const [h, centres] = [given(model.features?.(images)), given(means)];
    const centre = gatherRows(centres, kept ?? nearest(h, centres)); // [B, D]
    return sum(square(sub(h, centre)), [1]);
  },
};

/** Every objective by its name; the first is where nobody says which. */
export const objectives = {
  published,
  logProbability,
  target,
  entropy,
  uniform,
  margin,
  ratio,
  energy,
  maxLogit,
  native,
  feature,
} as const satisfies Record<string, Objective>;

/** The name of an objective. */
export type ObjectiveName = keyof typeof objectives;

/** The class an attack steers to: the target, or each row's largest score. `[B, C]` to `[B]`. */
export function labelOf(scores: Tensor, target: number | undefined): Tensor {
  return target === undefined ? argmax(scores) : constant(target, [dim(scores, 0)]);
}

/** Other classes than the first that `target` steers to, one after the other: at most so many. */
const otherRanks = 9;

/**
 * The class of rank `rank + 1` in each row, 0 the likeliest.
 *
 * @param l log-probabilities `[B, C]`, C 2 or more
 * @param most ranks to look for, at most
 * @param rank `[1]`, from 0 to `min(most, C - 1) - 1`; 0 when not given
 * @returns `[B]`
 */
function classOfRank(l: Tensor, most: number, rank: Tensor | undefined): Tensor {
  const classes = dim(l, 1);
  const taken = constant(-3e38, l.shape);
  // Above what is taken, also where a probability is 0.
  let left = maximum(l, -1e38);
  const next = (): Tensor => {
    left = where(oneHot(argmax(left), classes), taken, left);
    return argmax(left);
  };
  if (!rank) return next();
  const ranks = Array.from({ length: Math.min(most, classes - 1) }, next);
  return ranks.map((label, at) => mul(label, equal(rank, at))).reduce((a, b) => add(a, b));
}

/** `-log p` of the class that is kept, or of the likeliest but the first. */
function towards(
  model: Attackable,
  images: Tensor,
  { draws, rank }: LossOptions,
  kept?: Tensor,
): Tensor {
  const l = model.logProbabilities(images, draws);
  return negativeLogLikelihood(l, kept ?? classOfRank(l, otherRanks, rank));
}

/** The largest of each row less the second: `[B, C]` to `[B]`. */
function gap(z: Tensor): Tensor {
  const first = oneHot(argmax(z), dim(z, 1));
  const others = where(first, constant(-3e38, z.shape), z);
  return sub(max(z), max(others));
}

/** Index of the mean that is nearest to each row: `[B, D]`, `[M, D]` to `[B]`. */
function nearest(h: Tensor, means: Tensor): Tensor {
  const [rows, classes] = [dim(h, 0), dim(means, 0)];
  return argmax(neg(reshape(squaredDistance(h, means), [rows, classes])));
}

function logitsOf(model: Attackable, images: Tensor): Tensor {
  return given(model.logits?.(images));
}

function given(x: Tensor | undefined): Tensor {
  if (!x) throw new Error("Unreachable: an objective on a model without what it needs");
  return x;
}
