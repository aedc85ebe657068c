/**
 * The last-layer Laplace approximation: a plain classifier, and how sure its last layer's weights are.
 *
 * Papers: D. J. C. MacKay, "The evidence framework applied to classification networks", Neural Computation
 * 1992; A. Kristiadi, M. Hein, P. Hennig, "Being Bayesian, even just a bit, fixes overconfidence in ReLU
 * networks", ICML 2020.
 *
 * Around the trained weights w_k of a class the posterior is taken for normal, its precision the Hessian of
 * the cross-entropy in w_k alone: `P_k = tau I + sum_n p_nk (1 - p_nk) phi_n phi_n^T` over the training set
 * (J. Z. Liu et al., NeurIPS 2020, eq. 9), with phi the D features that the last layer takes and a 1 for its
 * offset. A logit is then normal of mean z_k and variance `v_k = phi^T P_k^-1 phi`. The answer is MacKay's
 * `softmax(z_k / sqrt(1 + pi v_k / 8))` ("probit"), or the mean of softmax over samples of the logits.
 *
 * The precision is gathered in a clean pass over the training images after each epoch, under either
 * protocol. Weights of different classes are taken for independent, which the full Hessian does not say.
 *
 * @module
 */
import {
  add,
  concat,
  constant,
  type Device,
  dim,
  div,
  type Draws,
  exp,
  logMeanExp,
  logSoftmax,
  matmul,
  mean,
  mul,
  neg,
  negativeLogLikelihood,
  Parameter,
  pull,
  push,
  reshape,
  scale,
  sqrt,
  type State,
  stopGradient,
  sub,
  sum,
  type Tensor,
  transpose,
  type Updates,
} from "../nn/mod.ts";
import { labelOf, type LossOptions } from "../attack/mod.ts";
import { modelsOf, networkOf } from "../networks/mod.ts";
import { Classifier } from "./classifier.ts";
import { inversePositiveDefinite } from "./inverse.ts";
import type { Own, ValuesOf } from "./options.ts";
import { single } from "./single.ts";
import type { MethodOf, Model, ModelOptionsOf, Score, TrainContext, TrainStep } from "./types.ts";

const own = {
  hyperparameters: {
    priorPrecision: {
      about: "Precision tau of the prior over the weights of Laplace's last layer",
      min: 1e-6,
      max: 1e6,
      default: 1,
      folder: "prior_precision",
    },
  },
  differences: {
    laplacePrediction: {
      about:
        "Laplace answers by MacKay's probit formula, or by the mean over samples of its logits",
      stage: "evaluation",
      // The best epoch is chosen by it.
      also: ["training"],
      values: ["probit", "samples"],
      // The formula is close to the mean, which samples come to exactly.
      paper: "probit",
      corrected: "samples",
    },
    laplaceSamples: {
      about: "Samples of Laplace's logits, in evaluation and at a step of the attack",
      stage: "evaluation",
      also: ["training", "attack"],
      min: 1,
      max: 100_000,
      whole: true,
      paper: 100,
      corrected: 1000,
    },
  },
} as const satisfies Own;

/** Last-layer Laplace. */
export const laplace: MethodOf<typeof own> = {
  ...own,
  name: "laplace",
  title: "Last-layer Laplace",
  models: modelsOf("_Laplace"),
  family: "Laplace",
  ensemble: false,
  dropLast: false,
  passes: { train: 3, attack: 3 },
  attack: "pgd",
  samples: ({ laplacePrediction }) => laplacePrediction === "samples",
  startNoise: 0,
  create: (model, options) => new Laplace(model, options),
  subject: single,
};

/** A classifier with the precision of its last layer's weights. */
export class Laplace implements Model {
  readonly imageShape: readonly number[];
  readonly ignored = [];
  readonly state: State;
  readonly #classifier: Classifier;
  readonly #procedure: ValuesOf<typeof own.differences>;
  readonly #prior: number;
  /** K, the classes, each with a matrix of its own. */
  readonly #classes: number;
  /** D + 1, the length of phi. */
  readonly #size: number;
  readonly #precision: Parameter;
  readonly #covariance: Parameter;
  /** By the probit formula, the numbers whose softmax the answer is: `[B, K]`. */
  readonly logits?: (images: Tensor) => Tensor;

  constructor(readonly name: string, options: ModelOptionsOf<typeof own>) {
    const network = networkOf(name);
    this.#classifier = new Classifier(network.name, options);
    const { imageShape, state } = this.#classifier;
    this.imageShape = imageShape;
    this.#procedure = options.procedure;
    this.#prior = options.priorPrecision;
    this.#classes = options.classes ?? network.classes;
    this.#size = 1 + this.#classifier.featureCount;
    const shape = [this.#classes, this.#size, this.#size];
    this.#precision = new Parameter(shape, this.#identities(this.#prior));
    this.#covariance = new Parameter(shape, this.#identities(1 / this.#prior));
    this.state = new Map([...state, ["precision", this.#precision]]);
    if (this.#procedure.laplacePrediction === "probit") {
      this.logits = (images) =>
        div(this.means(images), sqrt(add(scale(this.variances(images), Math.PI / 8), 1)));
    }
  }

  train(images: Tensor, labels: Tensor, context: TrainContext): TrainStep {
    return this.#classifier.train(images, labels, context);
  }

  beginEpoch(device: Device): void {
    this.#precision.data.set(this.#identities(this.#prior));
    push(device, [this.#precision]);
  }

  gather(images: Tensor): Updates {
    const p = exp(logSoftmax(this.means(images)));
    const phi = this.#phi(images);
    const weights = reshape(transpose(mul(p, sub(1, p))), [this.#classes, -1, 1]);
    const batch = matmul(mul(weights, phi), phi, { transposeA: true }); // [K, D + 1, D + 1]
    return new Map([[this.#precision, add(this.#precision.tensor, stopGradient(batch))]]);
  }

  async finish(device: Device): Promise<void> {
    await pull(device, [this.#precision]);
    const n = this.#size ** 2;
    for (let k = 0; k < this.#classes; k++) {
      const own = this.#precision.data.subarray(k * n, (k + 1) * n);
      const matrix = constant(Float32Array.from(own), [this.#size, this.#size]);
      this.#covariance.data.set(inversePositiveDefinite(matrix, "precision"), k * n);
    }
    push(device, [this.#covariance]);
  }

  logProbabilities(images: Tensor, draws: Draws): Tensor {
    if (this.logits) return logSoftmax(this.logits(images));
    const means = this.means(images);
    const noise = draws.normal([this.#procedure.laplaceSamples, ...means.shape]);
    return logMeanExp(logSoftmax(add(mul(noise, sqrt(this.variances(images))), means)));
  }

  /** The mean of the logits, which is what the classifier says: `[B, K]`. */
  means(images: Tensor): Tensor {
    return this.#classifier.logits(images);
  }

  /** What the last layer takes, `[B, D]`. */
  features(images: Tensor): Tensor {
    return this.#classifier.features(images);
  }

  /** The variance of each logit at an image, `[B, K]`. */
  variances(images: Tensor): Tensor {
    const phi = this.#phi(images);
    const along = matmul(phi, this.#covariance.tensor); // [K, B, D + 1]
    return transpose(sum(mul(along, phi), [-1]));
  }

  /** The variance of the logits at an image, as the mean over the classes. */
  scores(images: Tensor): Record<string, Score> {
    return { variance: { values: mean(this.variances(images), [1]), higher: "out-domain" } };
  }

  /** Minus that variance, `[B]`. */
  native(images: Tensor): Tensor {
    return neg(mean(this.variances(images), [1]));
  }

  confidenceLoss(images: Tensor, { draws, target }: LossOptions): Tensor {
    const l = this.logProbabilities(images, draws);
    return negativeLogLikelihood(l, labelOf(l, target));
  }

  /** Features and a 1, `[B, D + 1]`. */
  #phi(images: Tensor): Tensor {
    const z = this.features(images);
    const ones = constant(new Float32Array(dim(z, 0)).fill(1), [dim(z, 0), 1]);
    return concat([z, ones], 1);
  }

  /** K identities times a number. */
  #identities(value: number): Float32Array {
    const n = this.#size;
    return Float32Array.from(
      { length: this.#classes * n * n },
      (_, i) => (i % (n * n)) % (n + 1) === 0 ? value : 0,
    );
  }
}
