/**
 * MC dropout: a network that drops features at random, in training and whenever it answers.
 *
 * Paper: Y. Gal and Z. Ghahramani, "Dropout as a Bayesian approximation: representing model uncertainty in
 * deep learning", ICML 2016.
 *
 * Each of the D features that the last linear layer takes is dropped with probability r, and those that stay
 * are divided by 1 - r (the paper's LeNet with dropout at its inner product). A pass is one draw of the
 * masks; the answer is the mean over T passes of `softmax` (eq. 6), and what passes disagree about is the
 * mutual information of label and weights (Y. Gal, R. Islam, Z. Ghahramani, "Deep Bayesian active learning
 * with image data", ICML 2017, eq. 2). The masks come from Philox: the same on every device.
 *
 * An attack lowers `-log` of that mean, of passes that are drawn afresh at every step: the expectation over
 * the masks is what it descends (A. Athalye et al., "Synthesizing robust adversarial examples", ICML 2018).
 *
 * @module
 */
import {
  crossEntropy,
  dim,
  div,
  type Draws,
  exp,
  greater,
  Linear,
  logMeanExp,
  logSoftmax,
  mean,
  mul,
  neg,
  negativeLogLikelihood,
  nest,
  Pass,
  reshape,
  type State,
  sub,
  sum,
  type Tensor,
} from "../nn/mod.ts";
import { type Attackable, labelOf, type LossOptions } from "../attack/mod.ts";
import { type Features, modelsOf, networkOf } from "../networks/mod.ts";
import type { Own, ValuesOf } from "./options.ts";
import { single } from "./single.ts";
import type { MethodOf, Model, ModelOptionsOf, Score, TrainContext, TrainStep } from "./types.ts";

const own = {
  hyperparameters: {
    dropoutRate: {
      about: "Share of the features that MC dropout drops",
      min: 0,
      max: 0.95,
      default: 0.5,
      folder: "dropout",
    },
  },
  differences: {
    dropoutPasses: {
      about: "Passes of MC dropout in evaluation",
      stage: "evaluation",
      // The best epoch is chosen by them.
      also: ["training"],
      min: 1,
      max: 100_000,
      whole: true,
      // As many as its authors' convolutional networks take (ICLR 2016 workshop, section 4).
      paper: 50,
      corrected: 1000,
    },
    dropoutAttackPasses: {
      about: "Passes of MC dropout in a step of the attack",
      stage: "attack",
      min: 1,
      max: 100_000,
      whole: true,
      paper: 10,
      corrected: 256,
    },
  },
} as const satisfies Own;

/** MC dropout. */
export const mcDropout: MethodOf<typeof own> = {
  ...own,
  name: "mc_dropout",
  title: "MC dropout",
  models: modelsOf("_MCDropout"),
  family: "MCDropout",
  ensemble: false,
  dropLast: false,
  passes: { train: 3, attack: 3 },
  attack: "pgd",
  samples: true,
  startNoise: 0,
  create: (model, options) => new McDropout(model, options),
  subject: single,
};

/** An encoder whose features are dropped at random before its last layer. */
export class McDropout implements Model {
  readonly imageShape: readonly number[];
  readonly ignored = [];
  readonly state: State;
  readonly #encoder: Features;
  readonly #linear: Linear;
  readonly #rate: number;
  readonly #procedure: ValuesOf<typeof own.differences>;

  constructor(readonly name: string, options: ModelOptionsOf<typeof own>) {
    const network = networkOf(name);
    const { random, procedure, dropoutRate } = options;
    const { imageShape = network.imageShape, classes = network.classes } = options;
    this.imageShape = imageShape;
    this.#procedure = procedure;
    this.#rate = dropoutRate;
    this.#encoder = network.features(random.fork("encoder"), { ...options, imageShape });
    this.#linear = new Linear(random.fork("head"), this.#encoder.features, classes);
    this.state = nest({ feature_extractor: this.#encoder, linear: this.#linear });
  }

  train(images: Tensor, labels: Tensor, { pass }: TrainContext): TrainStep {
    const logits = reshape(this.#passes(images, pass, pass.draws, 1), [dim(images, 0), -1]);
    return { loss: mean(crossEntropy(logits, labels)), logits };
  }

  logProbabilities(images: Tensor, draws: Draws): Tensor {
    return logMeanExp(this.logEach(images, draws, this.#procedure.dropoutPasses));
  }

  /** Log-probabilities by each of T passes, `[T, B, C]`. */
  logEach(images: Tensor, draws: Draws, passes: number): Tensor {
    return logSoftmax(this.#passes(images, new Pass(false), draws, passes));
  }

  /** What the passes disagree about: `H[mean_t p_t] - mean_t H[p_t]` in nats, 0 where all say the same. */
  scores(images: Tensor, draws: Draws): Record<string, Score> {
    const values = this.#disagreement(images, draws, this.#procedure.dropoutPasses);
    return { mutualInformation: { values, higher: "out-domain" } };
  }

  /** What the last layer takes where nothing is dropped, `[B, D]`. */
  features(images: Tensor): Tensor {
    return this.#encoder.forward(images, new Pass(false));
  }

  confidenceLoss(images: Tensor, options: LossOptions): Tensor {
    return this.underAttack().confidenceLoss(images, options);
  }

  /** The model as an attack sees it: by another number of passes than in evaluation. */
  underAttack(): Attackable {
    const { dropoutAttackPasses: passes } = this.#procedure;
    const answer = (images: Tensor, draws: Draws): Tensor =>
      logMeanExp(this.logEach(images, draws, passes));
    return {
      logProbabilities: answer,
      features: (images) => this.features(images),
      native: (images, draws) => neg(this.#disagreement(images, draws, passes)),
      confidenceLoss(images, { draws, target }): Tensor {
        const l = answer(images, draws);
        return negativeLogLikelihood(l, labelOf(l, target));
      },
    };
  }

  /** `[B]` nats. */
  #disagreement(images: Tensor, draws: Draws, passes: number): Tensor {
    const each = this.logEach(images, draws, passes);
    return sub(entropy(logMeanExp(each)), mean(entropy(each), [0]));
  }

  /** Logits of T passes, each with masks of its own: `[T, B, C]`. */
  #passes(images: Tensor, pass: Pass, draws: Draws, passes: number): Tensor {
    const z = this.#encoder.forward(images, pass);
    const [rows, features] = [dim(z, 0), dim(z, 1)];
    // uniform < r is dropped; the sign of equality matters where r is 0 and nothing is to be.
    const kept = sub(1, greater(this.#rate, draws.uniform([passes, rows, features])));
    const thinned = div(mul(kept, z), 1 - this.#rate);
    const logits = this.#linear.forward(reshape(thinned, [passes * rows, features]), pass);
    return reshape(logits, [passes, rows, -1]);
  }
}

/** `-sum p log p` over the last axis, of log-probabilities. */
function entropy(l: Tensor): Tensor {
  return neg(sum(mul(exp(l), l), [-1]));
}
