/**
 * SNGP: spectral-normalised neural Gaussian process.
 *
 * Paper: J. Z. Liu et al., "Simple and principled uncertainty estimation with deterministic deep
 * learning via distance awareness", NeurIPS 2020.
 *
 * A distance-preserving encoder (every layer `W / max(1, sigma / 3)`), a fixed projection to D
 * dimensions, layer norm, D random Fourier features `phi = cos(h W + b) / 2` (eq. 7), and a linear layer.
 * D is 256, or the number of features where that is more, as published: 256 of LeNet's 84 features, 512 of
 * ResNet-18's 512. A narrower ResNet-18 keeps 256, for how well random features stand for their kernel is
 * a matter of D alone, not of how many features they are drawn over. The Laplace approximation of its posterior has the precision `P = I + sum phi^T phi`
 * over the training set (eq. 9). Evaluation divides the logits by `sqrt(1 + 25 phi P^-1 phi^T)`, the
 * mean-field approximation of the softmax's expectation (appendix A, eq. 16).
 *
 * Deviations, as the attacked code has them: P leaves out the factors p (1 - p); the mean-field factor
 * is 25, not pi / 8; the loss is taken on undivided logits. In protocol "paper" P sums over the
 * forwards of the last epoch, while the weights still move; "corrected" makes a clean pass after it.
 *
 * @module
 */
import {
  add,
  crossEntropy,
  type Device,
  div,
  type Layer,
  LayerNorm,
  Linear,
  logSoftmax,
  matmul,
  mean,
  mul,
  neg,
  nest,
  orthogonal,
  Parameter,
  Pass,
  pull,
  push,
  type Random,
  randomFeatures,
  reshape,
  scale,
  sqrt,
  type State,
  stopGradient,
  sum,
  type Tensor,
  type Updates,
} from "../nn/mod.ts";
import { labelOf, type LossOptions } from "../attack/mod.ts";
import { modelsOf, networkOf } from "../networks/mod.ts";
import { inversePositiveDefinite } from "./inverse.ts";
import type { Own } from "./options.ts";
import { single } from "./single.ts";
import type { MethodOf, Model, ModelOptionsOf, Score, TrainContext, TrainStep } from "./types.ts";

/** Hyper-parameters, with the paper's values. */
const settings = {
  /** Random features, and dimensions of the fixed projection: as many as there are features, if more. */
  size: 256,
  projectionStd: 0.05,
  lengthScale: 2,
  meanFieldFactor: 25,
  ridgePenalty: 1,
  spectralCoeff: 3,
} as const;

const own = {
  hyperparameters: {},
  differences: {
    precision: {
      about:
        "SNGP's precision sums over the last epoch's moving weights, or over a clean pass after it",
      stage: "training",
      values: ["moving", "clean"],
      paper: "moving",
      corrected: "clean",
    },
  },
} as const satisfies Own;

/** SNGP. */
export const sngp: MethodOf<typeof own> = {
  ...own,
  name: "sngp",
  title: "SNGP",
  models: modelsOf("_SNGP"),
  family: "SNGP",
  ensemble: false,
  dropLast: false,
  passes: { train: 4, attack: 3 },
  attack: "pgd",
  startNoise: 0.001,
  create: (model, options) => new Sngp(model, options),
  subject: single,
};

class Sngp implements Model {
  readonly imageShape: readonly number[];
  readonly ignored = ["seen_data", "rff.lengthscale"];
  readonly state: State;
  /** D: random features, and dimensions of the projection. */
  readonly #size: number;
  readonly #encoder: Layer;
  readonly #projection: Parameter;
  readonly #norm: LayerNorm;
  readonly #frequencies: Parameter;
  readonly #phases: Parameter;
  readonly #beta: Linear;
  readonly #precision: Parameter;
  readonly #covariance: Parameter;
  readonly gather?: (images: Tensor) => Updates;

  constructor(readonly name: string, options: ModelOptionsOf<typeof own>) {
    const { projectionStd, spectralCoeff: coeff } = settings;
    const network = networkOf(name);
    const { random, procedure } = options;
    const { imageShape = network.imageShape, classes = network.classes } = options;
    const layer = network.features(random.fork("encoder"), { ...options, imageShape, coeff });
    const d = Math.max(settings.size, layer.features);
    this.imageShape = imageShape;
    this.#size = d;
    this.#encoder = layer;
    this.#norm = new LayerNorm(d);
    const head = random.fork("head");
    this.#projection = new Parameter(
      [d, layer.features],
      head.normal(d * layer.features).map((n) => n * projectionStd),
    );
    this.#frequencies = new Parameter([d, d], orthogonalFrequencies(head, d, d));
    this.#phases = new Parameter([d], head.uniform(d).map((u) => 2 * Math.PI * u));
    this.#beta = new Linear(head, d, classes);
    this.#precision = new Parameter([d, d], scaledIdentity(d, settings.ridgePenalty));
    this.#covariance = new Parameter([d, d], scaledIdentity(d, 1 / settings.ridgePenalty));
    this.state = new Map([
      ["random_matrix", this.#projection],
      ["precision_matrix", this.#precision],
      ...nest({ feature_extractor: this.#encoder, normalize: this.#norm }),
      ["rff.W", this.#frequencies],
      ["rff.b", this.#phases],
      ...nest({ beta: this.#beta }),
    ]);
    if (procedure.precision === "clean") {
      this.gather = (images) => this.#gathered(this.#phi(images, new Pass(false)));
    }
  }

  train(images: Tensor, labels: Tensor, { pass }: TrainContext): TrainStep {
    const phi = this.#phi(images, pass);
    const logits = this.#beta.forward(phi, pass);
    for (const [parameter, value] of this.#gathered(phi)) pass.set(parameter, value);
    return { loss: mean(crossEntropy(logits, labels)), logits };
  }

  beginEpoch(device: Device): void {
    this.#precision.data.set(scaledIdentity(this.#size, settings.ridgePenalty));
    push(device, [this.#precision]);
  }

  async finish(device: Device): Promise<void> {
    await pull(device, [this.#precision]);
    const { tensor } = this.#precision;
    this.#covariance.data.set(inversePositiveDefinite(tensor, "precision_matrix"));
    push(device, [this.#covariance]);
  }

  logProbabilities(images: Tensor): Tensor {
    return logSoftmax(this.logits(images));
  }

  /** The variance of the logits at an image, `phi^T P^-1 phi`: one for all classes. */
  scores(images: Tensor): Record<string, Score> {
    return { variance: { values: this.#varianceAt(images), higher: "out-domain" } };
  }

  /** Minus that variance, `[B]`. */
  native(images: Tensor): Tensor {
    return neg(this.#varianceAt(images));
  }

  /** What the encoder makes of images, `[B, 84]` or `[B, 512]`. */
  features(images: Tensor): Tensor {
    return this.#encoder.forward(images, new Pass(false));
  }

  confidenceLoss(images: Tensor, { target }: LossOptions): Tensor {
    const logits = this.logits(images);
    return crossEntropy(logits, labelOf(logits, target));
  }

  /** The random features of images, `[B, C, H, W]` to `[B, D]`. */
  #phi(images: Tensor, pass: Pass): Tensor {
    const z = this.#encoder.forward(images, pass); // [B, 84] or [B, 512]
    const k = matmul(z, pass.get(this.#projection), { transposeB: true }); // [B, D]
    const h = this.#norm.forward(k, pass);
    const [w, b] = [pass.get(this.#frequencies), pass.get(this.#phases)];
    return randomFeatures(h, w, b, 1 / settings.lengthScale);
  }

  /** The precision with one batch more. */
  #gathered(phi: Tensor): Updates {
    const batch = stopGradient(matmul(phi, phi, { transposeA: true }));
    return new Map([[this.#precision, add(this.#precision.tensor, batch)]]);
  }

  /** The mean-field logits `[B, C]`. */
  logits(images: Tensor): Tensor {
    const pass = new Pass(false);
    const phi = this.#phi(images, pass);
    const logits = this.#beta.forward(phi, pass);
    const meanFieldScale = sqrt(add(scale(this.#variance(phi), settings.meanFieldFactor), 1));
    return div(logits, reshape(meanFieldScale, [-1, 1]));
  }

  /** Images `[B, C, H, W]` to `[B]`. */
  #varianceAt(images: Tensor): Tensor {
    return this.#variance(this.#phi(images, new Pass(false)));
  }

  /** Random features `[B, D]` to `[B]`. */
  #variance(phi: Tensor): Tensor {
    return sum(mul(matmul(phi, this.#covariance.tensor), phi), [1]);
  }
}

function scaledIdentity(n: number, value: number): Float32Array {
  return Float32Array.from({ length: n * n }, (_, i) => i % (n + 1) === 0 ? value : 0);
}

/**
 * Frequencies `[k, d]` with orthogonal columns, each as long as a normal vector would be (Yu et al.,
 * "Orthogonal random features", NeurIPS 2016).
 */
function orthogonalFrequencies(random: Random, k: number, d: number): Float32Array {
  const directions = orthogonal(random, k, d);
  for (let j = 0; j < d; j++) {
    const length = Math.hypot(...random.normal(k));
    for (let i = 0; i < k; i++) directions[i * d + j] = (directions[i * d + j] ?? 0) * length;
  }
  return directions;
}
