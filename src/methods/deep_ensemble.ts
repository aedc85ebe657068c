/**
 * Deep ensemble: several networks from different seeds, averaged.
 *
 * Paper: B. Lakshminarayanan et al., "Simple and scalable predictive uncertainty estimation using deep
 * ensembles", NeurIPS 2017.
 *
 * The members are baselines of the seeds s, s + 1, ... The published attack is one FGSM step on each
 * member, **each on a copy of the image of its own**, against the class that this member predicts at
 * the clean image; the answer is the softmax of the mean of the members' logits on their own copies.
 * There is then no one adversarial image. "corrected" attacks one image by the gradient of the
 * ensemble's predictive log-probability, `log (1/N) sum_i p_i(y | x)` (eq. 1 of the paper above), in
 * iterations; options `ensembleAttack`, `ensembleMean` and `attack` choose one by one.
 *
 * @module
 */
import {
  add,
  dim,
  exp,
  log,
  logSoftmax,
  maximum,
  mul,
  neg,
  negativeLogLikelihood,
  pad,
  scale,
  stopGradient,
  sub,
  sum,
  type Tensor,
} from "../nn/mod.ts";
import { type Attackable, labelOf } from "../attack/mod.ts";
import { Classifier, classifiers } from "./classifier.ts";
import type { Own, ValuesOf } from "./options.ts";
import type { MethodOf, Model, Score, Subject } from "./types.ts";

/** Where the protocols of an ensemble differ. */
export const ensembleDifferences = {
  ensembleAttack: {
    about: "Each member is attacked on its own copy of the image, or all on one image",
    stage: "attack",
    ofMembers: true,
    values: ["per-member", "joint"],
    paper: "per-member",
    corrected: "joint",
  },
  ensembleMean: {
    about: "An ensemble averages logits, or probabilities",
    stage: "evaluation",
    ofMembers: true,
    values: ["logits", "probabilities"],
    paper: "logits",
    corrected: "probabilities",
  },
} as const satisfies Own["differences"];

const own = { hyperparameters: {}, differences: ensembleDifferences } as const satisfies Own;

/** Several baselines. */
export const deepEnsemble: MethodOf<typeof own> = {
  ...own,
  name: "deep_ensemble",
  title: "Deep ensemble",
  models: classifiers,
  family: "baseline",
  ensemble: true,
  members: { usual: 10, quick: 3 },
  dropLast: false,
  passes: { train: 3, attack: 3 },
  attack: "fgsm",
  startNoise: 0,
  create: (model, options) => new Classifier(model, options),
  subject: ensemble,
};

/** Averages classifiers. */
export function ensemble(
  models: readonly Model[],
  { ensembleAttack, ensembleMean }: ValuesOf<typeof ensembleDifferences>,
): Subject {
  const members = models.filter(hasLogits);
  if (members.length !== models.length || members.length === 0) {
    throw new Error("Unreachable: an ensemble is made of classifiers");
  }
  const features = members.flatMap((member) => member.features ? [member.features] : []);
  const joint = ensembleAttack === "joint";
  const means = { logits: ofLogits, probabilities: ofProbabilities };
  const other = ensembleMean === "logits"
    ? ["meanOfProbabilities", ofProbabilities] as const
    : ["meanOfLogits", ofLogits] as const;
  /** Each member's logits, on its own copy of the image or on the one there is. */
  const logits = (images: readonly Tensor[]): Tensor[] =>
    members.map((member, i) => {
      const image = images[joint ? 0 : i];
      if (!image) throw new Error(`Unreachable: no image for member ${i}`);
      return member.logits(image);
    });
  const mean = means[ensembleMean];
  const together: Attackable = {
    logProbabilities: (image) => mean(logits([image])),
    ...(ensembleMean === "logits" && { logits: (image) => meanOf(logits([image])) }),
    ...features.length === members.length && {
      features: (image: Tensor) =>
        sideBySide(members.map((member, i) => features[i]?.call(member, image) ?? image)),
    },
    native: (image) => neg(mutualInformation(logits([image])).values),
    confidenceLoss(image, { target }): Tensor {
      const answer = mean(logits([image]));
      return negativeLogLikelihood(answer, labelOf(answer, target));
    },
  };
  return {
    attacked: joint ? [together] : members,
    logProbabilities: (images) => mean(logits(images)),
    readings: (images) => {
      const [name, others] = other;
      return { [name]: { logConfidences: others(logits(images)), normalised: true } };
    },
    scores: (images) => ({ mutualInformation: mutualInformation(logits(images)) }),
  };
}

/** Whether a model is a classifier. */
function hasLogits(model: Model): model is Model & Required<Pick<Model, "logits">> {
  return model.logits !== undefined;
}

/** `[B, D_i]` of each to `[B, sum D_i]`, in order. */
function sideBySide(xs: readonly Tensor[]): Tensor {
  const widths = xs.map((x) => dim(x, 1));
  const width = widths.reduce((a, b) => a + b);
  const starts = widths.map((_, i) => widths.slice(0, i).reduce((a, b) => a + b, 0));
  return total(xs.map((x, i) => pad(x, [0, starts[i] ?? 0], [dim(x, 0), width])));
}

/** Log-softmax of the mean of the members' logits. */
function ofLogits(logits: readonly Tensor[]): Tensor {
  return logSoftmax(meanOf(logits));
}

function meanOf(xs: readonly Tensor[]): Tensor {
  return scale(total(xs), 1 / xs.length);
}

/** `log((1/N) sum_i softmax(logits_i))`, stable. */
function ofProbabilities(logits: readonly Tensor[]): Tensor {
  const each = logits.map((l) => logSoftmax(l));
  const top = stopGradient(each.reduce((a, b) => maximum(a, b)));
  const mean = scale(total(each.map((l) => exp(sub(l, top)))), 1 / each.length);
  return add(log(mean), top);
}

/**
 * What the answer would tell of which member is right, `H[mean_i p_i] - mean_i H[p_i]` in nats (N.
 * Houlsby et al., "Bayesian active learning for classification and preference learning", 2011, eq. 2):
 * 0 where all members say the same, at most `log N`.
 */
function mutualInformation(logits: readonly Tensor[]): Score {
  const apart = scale(total(logits.map((l) => entropy(logSoftmax(l)))), 1 / logits.length);
  return { values: sub(entropy(ofProbabilities(logits)), apart), higher: "out-domain" };
}

/** `-sum p log p` of each row: log-probabilities `[B, C]` to `[B]` nats. */
function entropy(l: Tensor): Tensor {
  return neg(sum(mul(exp(l), l), [1]));
}

function total(xs: readonly Tensor[]): Tensor {
  return xs.reduce((a, b) => add(a, b));
}
