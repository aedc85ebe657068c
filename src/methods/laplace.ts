/**
 * The last-layer Laplace approximation: a plain classifier, and how sure its last layer's weights are.
 *
 * Papers: D. J. C. MacKay, "The evidence framework applied to classification networks", Neural Computation
 * 1992; A. Kristiadi, M. Hein, P. Hennig, "Being Bayesian, even just a bit, fixes overconfidence in ReLU
 * networks", ICML 2020.
 *
 * It goes around a classifier that is trained already, whoever trained it: a baseline, or a model out of a file
 * whose logits are a linear function of its features. Around the weights w_k of a class the posterior is taken
 * for normal, its precision the Hessian of the cross-entropy in w_k alone:
 * `P_k = tau I + sum_n p_nk (1 - p_nk) phi_n phi_n^T` over the N images that the model learned from (J. Z. Liu
 * et al., NeurIPS 2020, eq. 9), with phi the D features that the last layer takes and a 1 for its offset. It
 * takes probabilities, and no labels. A logit is then normal of mean z_k and variance
 * `v_k = phi^T P_k^-1 phi`. The answer is MacKay's `softmax(z_k / sqrt(1 + pi v_k / 8))` ("probit"), or the mean
 * of softmax over samples of the logits.
 *
 * The precision is gathered in one clean pass where the model is used: tau is chosen then, and not by a
 * training. Weights of different classes are taken for independent, which the full Hessian does not say.
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
  input,
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
  stopGradient,
  sum,
  type Tensor,
  transpose,
  type Updates,
} from "../nn/mod.ts";
import { labelOf, type LossOptions } from "../attack/mod.ts";
import { shortened, UserError } from "../base/errors.ts";
import { isImported } from "../networks/mod.ts";
import { baseline } from "./baseline.ts";
import { classifiers } from "./classifier.ts";
import { inversePositiveDefinite } from "./inverse.ts";
import type { Own } from "./options.ts";
import { single } from "./single.ts";
import type { Answering, MethodOf, Model, Posterior, Score, Subject } from "./types.ts";

const own = {
  hyperparameters: {
    priorPrecision: {
      about: "Precision tau of the prior over the weights of Laplace's last layer",
      stage: "evaluation",
      min: 1e-6,
      max: 1e6,
      default: 1,
    },
  },
  differences: {
    laplacePrediction: {
      about:
        "Laplace answers by MacKay's probit formula, or by the mean over samples of its logits",
      stage: "evaluation",
      values: ["probit", "samples"],
      // The formula is close to the mean, which samples come to exactly.
      paper: "probit",
      corrected: "samples",
    },
    laplaceSamples: {
      about: "Samples of Laplace's logits, in evaluation and at a step of the attack",
      stage: "evaluation",
      also: ["attack"],
      onlyWith: { difference: "laplacePrediction", value: "samples" },
      min: 1,
      max: 100_000,
      whole: true,
      paper: 100,
      corrected: 1000,
    },
  },
} as const satisfies Own;

/** Last-layer Laplace around a baseline, or around a classifier out of a file. */
export const laplace: MethodOf<typeof own> = {
  ...own,
  name: "laplace",
  title: "Last-layer Laplace",
  models: classifiers,
  family: baseline.family,
  ensemble: false,
  posterior: true,
  dropLast: false,
  passes: { train: 3, attack: 3 },
  attack: "pgd",
  samples: ({ laplacePrediction }) => laplacePrediction === "samples",
  startNoise: 0,
  create: baseline.create,
  subject([model], procedure, { priorPrecision }): Subject {
    if (!model) throw new Error("Unreachable: a posterior around no model");
    const around = new Laplace(model, { ...procedure, priorPrecision });
    return { ...single([around]), posteriors: [around] };
  },
};

/** How a Laplace approximation is made, and answers. */
export interface LaplaceOptions {
  /** tau, the precision of the prior over the last layer's weights, above 0. */
  readonly priorPrecision: number;
  /** By MacKay's formula, or by the mean over samples of the logits. */
  readonly laplacePrediction: "probit" | "samples";
  /** Samples of the logits at a step, 1 or more; of no effect by the formula. */
  readonly laplaceSamples: number;
}

/** A trained classifier, as far as the approximation asks for it. */
export type LaplaceModel = Pick<Model, "name" | "imageShape" | "logits" | "features">;

/** The most numbers of a precision: what one binding of a GPU takes at WebGPU's default limits, 128 MiB. */
export const mostOfPrecision = 2 ** 25;

/** K precisions `[D + 1, D + 1]` and their inverses, on the device. */
interface Matrices {
  readonly precision: Parameter;
  readonly covariance: Parameter;
}

/** A classifier with the posterior of its last layer's weights; the prior's until training images are gathered. */
export class Laplace implements Answering, Posterior {
  readonly of: Posterior["of"];
  /** By the probit formula, the numbers whose softmax the answer is: `[B, K]`. */
  readonly logits?: (images: Tensor) => Tensor;
  readonly #name: string;
  readonly #imageShape: readonly number[];
  readonly #options: LaplaceOptions;
  /** Made when they are first asked for: a model that has been traced can be trained no more. */
  #made: Matrices | undefined;

  /**
   * Puts the prior around a model, which is not traced before it is asked.
   *
   * @throws UserError when it has no features or no logits
   */
  constructor(model: LaplaceModel, options: LaplaceOptions) {
    this.#name = model.name;
    this.#imageShape = model.imageShape;
    this.#options = options;
    const { logits, features } = model;
    if (!logits || !features) {
      throw this.#cannot(
        `it has no ${logits ? "features" : "logits"}`,
        isImported(model.name)
          ? "name the node that its last linear layer takes by --features, or use --mode baseline"
          : "give a model that has both",
      );
    }
    this.of = { logits: logits.bind(model), features: features.bind(model) };
    if (options.laplacePrediction === "probit") {
      this.logits = (images) =>
        div(this.means(images), sqrt(add(scale(this.variances(images), Math.PI / 8), 1)));
    }
  }

  get precision(): Parameter {
    return this.#matrices.precision;
  }

  begin(device: Device): void {
    const { precision } = this.#matrices;
    precision.data.set(identities(precision.shape, this.#options.priorPrecision));
    push(device, [precision]);
  }

  gather(images: Tensor): Updates {
    const { precision } = this.#matrices;
    const [classes = 0] = precision.shape;
    const p = exp(logSoftmax(this.means(images)));
    // 1 - p as the sum of the others, which are small where p is close to 1.
    const others = Float32Array.from({ length: classes ** 2 }, (_, i) => i % (classes + 1) ? 1 : 0);
    const rest = matmul(p, constant(others, [classes, classes]));
    const phi = this.#phi(images);
    const weights = reshape(transpose(mul(p, rest)), [classes, -1, 1]);
    const batch = matmul(mul(weights, phi), phi, { transposeA: true }); // [K, D + 1, D + 1]
    return new Map([[precision, add(precision.tensor, stopGradient(batch))]]);
  }

  async finish(device: Device): Promise<void> {
    const { precision, covariance } = this.#matrices;
    await pull(device, [precision]);
    const [classes = 0, size = 0] = precision.shape;
    const n = size ** 2;
    for (let k = 0; k < classes; k++) {
      const own = Float32Array.from(precision.data.subarray(k * n, (k + 1) * n));
      covariance.data.set(this.#inverse(own, size), k * n);
    }
    push(device, [covariance]);
  }

  /** The inverse of one class's precision, where that says more than the rounding of its sums. */
  #inverse(precision: Float32Array, size: number): Float64Array {
    if (!precision.every(Number.isFinite)) {
      throw this.#cannot(
        "its logits or features of training images are no numbers, or too large",
        "give a model that answers with numbers",
      );
    }
    const stronger = "give a larger prior precision";
    const inverse = inversePositiveDefinite(
      constant(precision, [size, size]),
      "precision",
      `in f32 the prior is lost beside the features, ${stronger}`,
    );
    const lost = roundingOf(precision, inverse, size);
    if (lost <= mostRounding) return inverse;
    throw this.#cannot(
      `the rounding of f32 changes its variances by ${
        (100 * lost).toPrecision(2)
      } % or more, as the ` +
        `prior's ${this.#options.priorPrecision} is lost beside the features`,
      stronger,
    );
  }

  logProbabilities(images: Tensor, draws: Draws): Tensor {
    if (this.logits) return logSoftmax(this.logits(images));
    const means = this.means(images);
    const noise = draws.normal([this.#options.laplaceSamples, ...means.shape]);
    return logMeanExp(logSoftmax(add(mul(noise, sqrt(this.variances(images))), means)));
  }

  /** The mean of the logits, which is what the classifier says: `[B, K]`. */
  means(images: Tensor): Tensor {
    return this.of.logits(images);
  }

  /** What the last layer takes, `[B, D]`. */
  features(images: Tensor): Tensor {
    return this.of.features(images);
  }

  /** The variance of each logit at an image, `[B, K]`. */
  variances(images: Tensor): Tensor {
    const phi = this.#phi(images);
    const along = matmul(phi, this.#matrices.covariance.tensor); // [K, B, D + 1]
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

  get #matrices(): Matrices {
    return this.#made ??= this.#prior();
  }

  /** The prior's matrices, of sizes that one traced image shows. */
  #prior(): Matrices {
    const image = input([1, ...this.#imageShape]);
    const [{ shape: z }, { shape: h }] = [this.means(image), this.features(image)];
    const [classes = 0, width = 0] = [z[1], h[1]];
    if (z.length !== 2 || h.length !== 2) {
      const what = z.length === 2 ? "features" : "logits";
      throw this.#cannot(
        `its ${what} of an image are [${(z.length === 2 ? h : z).join(", ")}]`,
        `give one row an image`,
      );
    }
    const shape = [classes, width + 1, width + 1];
    const count = classes * (width + 1) ** 2;
    if (count > mostOfPrecision) {
      throw this.#cannot(
        `the precision of ${classes} classes and ${width} features has ${count} numbers, ` +
          `more than the ${mostOfPrecision} that a GPU's binding holds`,
        "use a model of fewer features or classes, or --mode baseline",
      );
    }
    const { priorPrecision } = this.#options;
    return {
      precision: new Parameter(shape, identities(shape, priorPrecision)),
      covariance: new Parameter(shape, identities(shape, 1 / priorPrecision)),
    };
  }

  #cannot(state: string, remedy: string): UserError {
    const name = shortened(this.#name, 80);
    return new UserError(
      `Cannot put a Laplace approximation around "${name}": ${state}; ${remedy}`,
    );
  }
}

/** The share of a variance that rounding may change as `roundingOf` says it; ten times as much was seen. */
const mostRounding = 1e-3;

/**
 * By what share of itself the rounding of a precision `[N, N]` in f32 changes variances: `2^-24 max_i P_ii (P^-1)_ii`.
 * The product is that by which the other features inflate the variance of one's weight, 1 where it is alone.
 */
function roundingOf(
  precision: ArrayLike<number>,
  inverse: ArrayLike<number>,
  size: number,
): number {
  let largest = 0;
  for (let i = 0; i < size ** 2; i += size + 1) {
    largest = Math.max(largest, (precision[i] ?? NaN) * (inverse[i] ?? NaN));
  }
  return 2 ** -24 * largest;
}

/** Identities of a shape `[K, N, N]` times a number. */
function identities([classes = 0, size = 0]: readonly number[], value: number): Float32Array {
  const values = new Float32Array(classes * size ** 2);
  for (let row = 0; row < classes * size; row++) values[row * size + row % size] = value;
  return values;
}
