/**
 * DUE: deterministic uncertainty estimation.
 *
 * Paper: J. van Amersfoort et al., "On feature collapse and deep kernel learning for single forward
 * pass uncertainty", 2021 (arXiv 2102.11409).
 *
 * A distance-preserving encoder (every layer `W / max(1, sigma / 3)`) under a sparse variational
 * Gaussian process, one a class (svgp.ts). The loss is the negative evidence lower bound
 * `-E_q[log softmax(f)_y] + KL / N`, the expectation over 10 samples of the marginals. Before the first
 * step the inducing points are the k-means centres of 1000 encoded training images, and every length
 * scale is the mean distance between these.
 *
 * Prediction: the mean over samples of `softmax(f)`. The attack descends -ELBO against the argmax of
 * that prediction. Deviations, as the attacked code has them: 10 fresh samples in evaluation and at
 * every step of the attack; "corrected" takes 1000, and 256 that stay the same over the steps.
 *
 * @module
 */
import { kMeansCluster } from "simple-statistics";
import { UserError } from "../base/errors.ts";
import {
  add,
  argmax,
  compile,
  type Device,
  Draws,
  input,
  logMeanExp,
  logSoftmax,
  mean,
  mul,
  neg,
  negativeLogLikelihood,
  nest,
  Pass,
  pull,
  push,
  type Random,
  scale,
  sqrt,
  type State,
  type Tensor,
} from "../nn/mod.ts";
import { type Attackable, labelOf, type LossOptions } from "../attack/mod.ts";
import { type Features, modelsOf, networkOf } from "../networks/mod.ts";
import { gpKernels } from "./gp_kernels.ts";
import type { Own, ValuesOf } from "./options.ts";
import { single } from "./single.ts";
import { type Marginals, SparseGaussianProcess } from "./svgp.ts";
import type {
  InitialiseContext,
  MethodOf,
  Model,
  ModelOptionsOf,
  Score,
  TrainContext,
  TrainStep,
} from "./types.ts";

/** Hyper-parameters, with the paper's values. */
const settings = {
  spectralCoeff: 3,
  trainSamples: 10,
  /** Added to the variance where predictions are sampled. */
  samplingJitter: 1e-3,
  initialImages: 1000,
  initialBatches: 10,
} as const;

const own = {
  hyperparameters: {
    // The kernels factorise no larger matrix.
    nInducingPoints: {
      about: "Inducing points of DUE",
      min: 1,
      max: 512,
      whole: true,
      default: 10,
    },
    kernel: { about: "Kernel of DUE's Gaussian process", values: gpKernels, default: "RBF" },
  },
  differences: {
    dueSamples: {
      about: "Samples of DUE's latent functions in evaluation",
      stage: "evaluation",
      // The best epoch is chosen by them.
      also: ["training"],
      min: 1,
      max: 100_000,
      whole: true,
      paper: 10,
      corrected: 1000,
    },
    dueAttackSamples: {
      about: "Samples of DUE's latent functions in a step of the attack",
      stage: "attack",
      min: 1,
      max: 100_000,
      whole: true,
      paper: 10,
      corrected: 256,
    },
    dueNoise: {
      about: "The attack on DUE draws fresh samples at every step, or keeps common random numbers",
      stage: "attack",
      values: ["fresh", "common"],
      paper: "fresh",
      corrected: "common",
    },
  },
} as const satisfies Own;

/** DUE. */
export const due: MethodOf<typeof own> = {
  ...own,
  name: "due",
  title: "DUE",
  models: modelsOf("_DUE"),
  family: "DUE",
  ensemble: false,
  dropLast: true,
  passes: { train: 4, attack: 3 },
  attack: "pgd",
  samples: true,
  startNoise: 0,
  create: (model, options) => new Due(model, options),
  subject: single,
};

/** An encoder under a sparse Gaussian process. */
export class Due implements Model {
  readonly imageShape: readonly number[];
  readonly ignored = [
    "gp.variational_strategy.base_variational_strategy.variational_params_initialized",
    "gp.variational_strategy.base_variational_strategy.updated_strategy",
    ...["base_kernel.raw_lengthscale", "base_kernel.raw_alpha", "raw_outputscale"].flatMap((name) =>
      ["lower", "upper"].map((side) => `gp.covar_module.${name}_constraint.${side}_bound`)
    ),
  ];
  readonly state: State;
  readonly #encoder: Features;
  readonly #classes: number;
  /** The head. */
  readonly process: SparseGaussianProcess;
  readonly #procedure: ValuesOf<typeof own.differences>;
  readonly #random: Random;
  readonly #inducingPoints: number;

  constructor(
    readonly name: string,
    options: ModelOptionsOf<typeof own>,
  ) {
    const network = networkOf(name);
    const { random, procedure, nInducingPoints, kernel } = options;
    const { imageShape = network.imageShape, classes = network.classes } = options;
    this.#procedure = procedure;
    this.#random = random.fork("initialise");
    this.#inducingPoints = nInducingPoints;
    this.imageShape = imageShape;
    this.#classes = classes;
    this.#encoder = network.features(random.fork("encoder"), {
      ...options,
      imageShape,
      coeff: settings.spectralCoeff,
    });
    this.process = new SparseGaussianProcess(random.fork("process"), {
      classes,
      features: this.#encoder.features,
      inducingPoints: nInducingPoints,
      kernel,
    });
    this.state = nest({ feature_extractor: this.#encoder, gp: this.process });
  }

  /** Features `[B, D]` of images. */
  encode(images: Tensor, pass: Pass): Tensor {
    return this.#encoder.forward(images, pass);
  }

  /** Encodes training images in train mode, as the original does, and starts the process from them. */
  async initialise({ device, images, trainIndex }: InitialiseContext): Promise<void> {
    const { initialImages, initialBatches } = settings;
    const batch = Math.floor(Math.min(initialImages, trainIndex.length) / initialBatches);
    const count = batch * initialBatches;
    if (count <= this.#inducingPoints) {
      throw new UserError(
        `Cannot start DUE with ${this.#inducingPoints} inducing points: of ${trainIndex.length} ` +
          `training images it chooses from ${count}; ${
            count === 0
              ? `use ${initialBatches} images or more`
              : "use fewer --n-inducing-points, or more images"
          }`,
      );
    }
    const index = input([batch]);
    const pass = new Pass(true);
    const features = this.encode(images(index), pass);
    using program = await compile(device, {
      name: "encode",
      inputs: [index],
      updates: pass.updates,
      records: [features],
    });
    const order = this.#random.permutation(trainIndex.length);
    for (let start = 0; start < count; start += batch) {
      const picks = order.subarray(start, start + batch);
      program.run([Float32Array.from(picks, (i) => trainIndex[i] ?? 0)]);
    }
    const [values = new Float32Array()] = await program.drain();
    await pull(device, this.state.values());
    const width = this.#encoder.features;
    const rows = Array.from(
      { length: count },
      (_, i) => [...values.subarray(i * width, (i + 1) * width)],
    );
    this.process.start(this.#centres(rows).flat(), meanDistance(rows));
    push(device, this.state.values());
  }

  /**
   * Centres of the features by k-means. Images that come again count once, for two centres in one place would
   * leave a cluster empty; where a cluster becomes empty all the same, rows at random are the centres.
   */
  #centres(rows: readonly number[][]): readonly number[][] {
    const k = this.#inducingPoints;
    const distinct = [...new Map(rows.map((row) => [row.join(), row])).values()];
    if (distinct.length < Math.max(2, k)) {
      throw new UserError(
        `Cannot start DUE with ${k} inducing points: the encoder gives the first ${rows.length} training ` +
          `images only ${distinct.length} different features; use fewer --n-inducing-points, or more images`,
      );
    }
    if (distinct.length === k) return distinct;
    try {
      const { centroids } = kMeansCluster(distinct, k, () => this.#random.uniform());
      if (centroids.flat().every(Number.isFinite)) return centroids;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
    }
    return [...this.#random.permutation(distinct.length)].slice(0, k).map((i) => distinct[i] ?? []);
  }

  train(images: Tensor, labels: Tensor, { pass, trainCount }: TrainContext): TrainStep {
    const marginals = this.process.posterior(this.encode(images, pass), pass);
    const [rows = 1] = labels.shape;
    const noise = pass.draws.normal([settings.trainSamples, rows, this.#classes]);
    return {
      loss: this.negativeElbo(marginals, labels, noise, pass, trainCount),
      logits: marginals.mean,
    };
  }

  /**
   * The negative evidence lower bound, a scalar in nats.
   *
   * @param noise standard normal numbers `[S, B, C]`, one a sample of each latent function
   */
  negativeElbo(
    marginals: Marginals,
    labels: Tensor,
    noise: Tensor,
    pass: Pass,
    trainCount: number,
  ): Tensor {
    const fit = mean(expectedLoss(marginals, labels, noise));
    return add(fit, scale(this.process.divergence(pass), 1 / trainCount));
  }

  async finish(device: Device): Promise<void> {
    await this.process.finish(device, new Pass(false));
  }

  logProbabilities(images: Tensor, draws: Draws): Tensor {
    return this.#predict(this.#marginals(images), draws, this.#procedure.dueSamples);
  }

  /** The variance of the latent functions at an image, as the mean over the classes. */
  scores(images: Tensor): Record<string, Score> {
    return { variance: { values: this.#varianceAt(images), higher: "out-domain" } };
  }

  /** Minus that variance, `[B]`. */
  native(images: Tensor): Tensor {
    return neg(this.#varianceAt(images));
  }

  /** What the encoder makes of images, `[B, D]`. */
  features(images: Tensor): Tensor {
    return this.encode(images, new Pass(false));
  }

  /** The model as an attack sees it: other numbers of samples, and other noise, than in evaluation. */
  underAttack(): Attackable {
    const { dueAttackSamples: samples } = this.#procedure;
    return {
      logProbabilities: (images, draws) =>
        this.#predict(this.#marginals(images), this.#supply(draws), samples),
      confidenceLoss: (images, options) => this.confidenceLoss(images, options),
      native: (images) => this.native(images),
      features: (images) => this.features(images),
    };
  }

  /** Noise of an attack: afresh at every step, or the same at all of them. */
  #supply(draws: Draws): Draws {
    return this.#procedure.dueNoise === "common" ? new Draws(draws.key) : draws;
  }

  confidenceLoss(images: Tensor, { draws, target }: LossOptions): Tensor {
    const { dueAttackSamples: samples } = this.#procedure;
    const supply = this.#supply(draws);
    const marginals = this.#marginals(images);
    const label = target === undefined
      ? argmax(this.#predict(marginals, supply, samples))
      : labelOf(marginals.mean, target);
    return expectedLoss(marginals, label, supply.normal([samples, ...marginals.mean.shape]));
  }

  #varianceAt(images: Tensor): Tensor {
    return mean(this.#marginals(images).variance, [1]);
  }

  #marginals(images: Tensor): Marginals {
    const pass = new Pass(false);
    return this.process.posterior(this.encode(images, pass), pass);
  }

  /** Logarithm of the mean over samples of `softmax(f)`, `[B, C]`. */
  #predict({ mean, variance }: Marginals, draws: Draws, samples: number): Tensor {
    const noise = draws.normal([samples, ...mean.shape]);
    const wider = add(variance, settings.samplingJitter);
    return logMeanExp(logSoftmax(sample({ mean, variance: wider }, noise)));
  }
}

/** `f = mean + sqrt(variance) n` for noise `[S, B, C]`. */
function sample({ mean, variance }: Marginals, noise: Tensor): Tensor {
  return add(mul(noise, sqrt(variance)), mean);
}

/** `-E_q[log softmax(f)_y]` of each row by samples: `[B]` nats. */
function expectedLoss(marginals: Marginals, labels: Tensor, noise: Tensor): Tensor {
  return negativeLogLikelihood(mean(logSoftmax(sample(marginals, noise)), [0]), labels);
}

/** Mean Euclidean distance between two different rows. */
function meanDistance(rows: readonly (readonly number[])[]): number {
  let total = 0;
  rows.forEach((a, i) => {
    for (let j = 0; j < i; j++) {
      const b = rows[j] ?? [];
      let squared = 0;
      for (let k = 0; k < a.length; k++) squared += ((a[k] ?? 0) - (b[k] ?? 0)) ** 2;
      total += Math.sqrt(squared);
    }
  });
  return total / (rows.length * (rows.length - 1) / 2);
}
