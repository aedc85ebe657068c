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
  type Draws,
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
import { single } from "./single.ts";
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

/**
 * Several models of a method as one, by the mean of what they say: an ensemble of its family.
 *
 * @param of the method of each member
 * @param name of the ensemble on the command line
 * @param title in prose
 */
export function ensembleOf<O extends Own>(
  of: MethodOf<O>,
  name: string,
  title: string,
): MethodOf<{
  hyperparameters: O["hyperparameters"];
  differences: O["differences"] & typeof ensembleDifferences;
}> {
  return {
    ...of,
    name,
    title,
    ensemble: true,
    members: { usual: 10, quick: 2 },
    differences: { ...of.differences, ...ensembleDifferences },
    subject: (models, procedure, own) =>
      together(models.map((model) => of.subject([model], procedure, own)), procedure),
  };
}

/** Averages classifiers. */
export function ensemble(
  models: readonly Model[],
  procedure: ValuesOf<typeof ensembleDifferences>,
): Subject {
  return together(models.map((model) => single([model])), procedure);
}

/** What a member says of an image, `[B, C]`: logits where it has them, else log-probabilities. */
type Saying = (image: Tensor, draws: Draws) => Tensor;

/** Subjects of one model each as one subject. */
function together(
  parts: readonly Subject[],
  { ensembleAttack, ensembleMean }: ValuesOf<typeof ensembleDifferences>,
): Subject {
  const attacked = parts.flatMap((part) => part.attacked);
  if (attacked.length !== parts.length || parts.length === 0) {
    throw new Error("Unreachable: the members of an ensemble are one model each");
  }
  const joint = ensembleAttack === "joint";
  const means = { logits: ofLogits, probabilities: ofProbabilities };
  const mean = means[ensembleMean];
  const other = ensembleMean === "logits"
    ? ["meanOfProbabilities", ofProbabilities] as const
    : ["meanOfLogits", ofLogits] as const;
  const sayings = parts.map((part, i): Saying => (image, draws) =>
    attacked[i]?.logits?.(image) ?? part.logProbabilities([image], draws)
  );
  /** What each member says of its own copy of the image or of the one there is. */
  const each = (images: readonly Tensor[], draws: Draws): Tensor[] =>
    sayings.map((say, i) => {
      const image = images[joint ? 0 : i];
      if (!image) throw new Error(`Unreachable: no image for member ${i}`);
      return say(image, draws);
    });
  return {
    attacked: joint ? [asOne(attacked, mean, ensembleMean === "logits")] : attacked,
    posteriors: parts.flatMap((part) => part.posteriors ?? []),
    logProbabilities: (images, draws) => mean(each(images, draws)),
    readings: (images, draws) => {
      const [name, others] = other;
      return { [name]: { logConfidences: others(each(images, draws)), normalised: true } };
    },
    scores: (images, draws) => ({ mutualInformation: mutualInformation(each(images, draws)) }),
  };
}

/** Members under attack on one image. */
function asOne(
  members: readonly Attackable[],
  mean: (each: readonly Tensor[]) => Tensor,
  byLogits: boolean,
): Attackable {
  const each = (image: Tensor, draws: Draws): Tensor[] =>
    members.map((member) => member.logits?.(image) ?? member.logProbabilities(image, draws));
  const [features, logits] = [
    members.flatMap((member) => member.features ? [member.features.bind(member)] : []),
    members.flatMap((member) => member.logits ? [member.logits.bind(member)] : []),
  ];
  return {
    logProbabilities: (image, draws) => mean(each(image, draws)),
    ...byLogits && logits.length === members.length && {
      logits: (image: Tensor) => meanOf(logits.map((of) => of(image))),
    },
    ...features.length === members.length && {
      features: (image: Tensor) => sideBySide(features.map((of) => of(image))),
    },
    native: (image, draws) => neg(mutualInformation(each(image, draws)).values),
    confidenceLoss(image, { draws, target }): Tensor {
      const answer = mean(each(image, draws));
      return negativeLogLikelihood(answer, labelOf(answer, target));
    },
  };
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
