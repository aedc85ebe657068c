/**
 * DUQ: deterministic uncertainty quantification.
 *
 * Paper: J. van Amersfoort et al., "Uncertainty estimation using a single deep deterministic neural
 * network", ICML 2020.
 *
 * A class's kernel value is `K_c(x) = exp(-mean_k (W_c z - m_c / N_c)_k^2 / (2 sigma^2))` (eq. 1) over
 * the encoder's features z; m and N are exponential moving sums of embeddings and counts (eqs. 4-6),
 * updated after every step in evaluation. The loss is the binary cross-entropy of K against one-hot,
 * the mean over images and classes (eq. 2), plus `lambda mean_b (|d sum_c K_c / dx_b| - 1)^2`, the
 * two-sided gradient penalty (eq. 7): its gradient is of second order. The norm's derivative at 0 is 0.
 *
 * Deviations, as the attacked code has them: probabilities are K / sum K, which throws the distance
 * away (the reading `kernel` keeps it); every epoch sees the images in the same order. Where all ten K
 * underflow in f32, "paper" makes 0 / 0, a row that is no number; "corrected" works on log K.
 *
 * @module
 */
import {
  add,
  binaryCrossEntropy,
  broadcastTo,
  constant,
  div,
  equal,
  exp,
  grad,
  log,
  logBinaryCrossEntropy,
  logSoftmax,
  matmul,
  max,
  mean,
  mul,
  nest,
  oneHot,
  Parameter,
  Pass,
  reshape,
  rowNorm,
  scale,
  square,
  type State,
  sub,
  sum,
  type Tensor,
  type Updates,
  where,
} from "../nn/mod.ts";
import { labelOf, type LossOptions } from "../attack/mod.ts";
import { type Features, modelsOf, networkOf } from "../networks/mod.ts";
import type { Own, ValuesOf } from "./options.ts";
import { single } from "./single.ts";
import type {
  MethodOf,
  Model,
  ModelOptionsOf,
  Reading,
  Score,
  TrainContext,
  TrainStep,
} from "./types.ts";

/**
 * What was published with a network; where no size was, centroids have as many dimensions as there are
 * features: ResNet-18's 512 of 512, 128 at a width of 16.
 */
const published: Readonly<Record<string, { centroidSize?: number; lengthScale: number }>> = {
  LeNet: { centroidSize: 42, lengthScale: 0.5 },
  "ResNet-18": { lengthScale: 0.1 },
};

/** Hyper-parameters, with the paper's values. */
const settings = {
  gamma: 0.999,
  initialCount: 13,
  centroidStd: 0.05,
  lengthScale: 0.1,
} as const;

const own = {
  hyperparameters: {
    // The original trains with one weight by default, and evaluates with the other.
    lambdaReg: {
      about: "Weight of DUQ's gradient penalty",
      min: 0,
      default: 0.3,
      defaultInUse: 0.1,
      folder: "lambda_reg",
    },
  },
  differences: {
    epochOrder: {
      about: "DUQ sees the images in the same order in every epoch, or in a fresh one",
      stage: "training",
      values: ["fixed", "fresh"],
      paper: "fixed",
      corrected: "fresh",
    },
    batchStatistics: {
      about:
        "Batch normalisation is in train mode at the first step of an epoch only, or at every step",
      stage: "training",
      batchNorm: true,
      values: ["first-step", "every-step"],
      paper: "first-step",
      corrected: "every-step",
    },
    kernelArithmetic: {
      about: "DUQ's kernel values directly, so that all of them may underflow, or as logarithms",
      stage: "training",
      // The same kernel answers afterwards.
      also: ["evaluation"],
      values: ["direct", "log"],
      paper: "direct",
      corrected: "log",
    },
  },
} as const satisfies Own;

/** DUQ. */
export const duq: MethodOf<typeof own> = {
  ...own,
  name: "duq",
  title: "DUQ",
  models: modelsOf("_DUQ"),
  family: "DUQ",
  ensemble: false,
  dropLast: true,
  passes: { train: 10, attack: 3 },
  attack: "pgd",
  startNoise: 0.001,
  create: (model, options) => new Duq(model, options),
  subject: single,
  schedule: ({ epochOrder, batchStatistics }, { batchNorm }) => ({
    fixedOrder: epochOrder === "fixed",
    evalAfterFirstStep: batchNorm && batchStatistics === "first-step",
  }),
};

class Duq implements Model {
  readonly imageShape: readonly number[];
  readonly ignored = [];
  readonly state: State;
  readonly #arithmetic: ValuesOf<typeof own.differences>["kernelArithmetic"];
  readonly #lambda: number;
  readonly #encoder: Features;
  readonly #classes: number;
  /** K, the length of an embedding. */
  readonly #size: number;
  readonly #lengthScale: number;
  readonly #weight: Parameter;
  readonly #counts: Parameter;
  readonly #sums: Parameter;

  constructor(readonly name: string, options: ModelOptionsOf<typeof own>) {
    const { initialCount, centroidStd } = settings;
    const network = networkOf(name);
    const { random, procedure, lambdaReg } = options;
    const { imageShape = network.imageShape, classes = network.classes } = options;
    const encoder = network.features(random.fork("encoder"), {
      ...options,
      imageShape,
      branch: "downsample",
    });
    const { features } = encoder;
    const { centroidSize = features, lengthScale = settings.lengthScale } =
      published[network.name] ?? {};
    this.#size = centroidSize;
    this.#lengthScale = lengthScale;
    this.#arithmetic = procedure.kernelArithmetic;
    this.#lambda = lambdaReg;
    this.imageShape = imageShape;
    this.#encoder = encoder;
    this.#classes = classes;
    const head = random.fork("head");
    // Kaiming's normal initialisation; PyTorch takes classes x features as fan-in of this shape.
    const std = Math.sqrt(2 / (classes * features));
    const shape = [centroidSize, classes, features];
    this.#weight = new Parameter(
      shape,
      head.normal(centroidSize * classes * features).map((n) => n * std),
      true,
    );
    this.#counts = new Parameter([classes], initialCount);
    this.#sums = new Parameter(
      [centroidSize, classes],
      head.normal(centroidSize * classes).map((n) => n * centroidStd * initialCount),
    );
    this.state = new Map([
      ["W", this.#weight],
      ["N", this.#counts],
      ["m", this.#sums],
      ...nest({ feature_extractor: this.#encoder }),
    ]);
  }

  train(images: Tensor, labels: Tensor, { pass }: TrainContext): TrainStep {
    const logKernel = this.#logKernel(images, pass);
    const { bce, penalty } = this.#losses(images, labels, logKernel);
    return { loss: add(bce, scale(penalty, this.#lambda)), logits: logKernel };
  }

  /** The two parts of the loss: binary cross-entropy and unweighted gradient penalty, scalars. */
  #losses(
    images: Tensor,
    labels: Tensor,
    logKernel: Tensor,
  ): { bce: Tensor; penalty: Tensor } {
    const [slope = images] = grad(exp(logKernel), [images]);
    return {
      bce: mean(this.#crossEntropy(logKernel, labels)),
      penalty: mean(square(sub(rowNorm(slope), 1))),
    };
  }

  /** The centroids with one batch more, by the embeddings of the weights as they are. */
  afterStep(images: Tensor, labels: Tensor): Updates {
    const { gamma } = settings;
    const classes = this.#classes;
    const pass = new Pass(false);
    const targets = oneHot(labels, classes); // [B, C]
    const embeddings = this.#embeddings(images, pass); // [B, K, C]
    const each = mul(embeddings, reshape(targets, [-1, 1, classes]));
    const blend = (p: Parameter, batch: Tensor): Tensor =>
      add(scale(pass.get(p), gamma), scale(batch, 1 - gamma));
    return new Map([
      [this.#counts, blend(this.#counts, sum(targets, [0]))],
      [this.#sums, blend(this.#sums, sum(each, [0]))],
    ]);
  }

  logProbabilities(images: Tensor): Tensor {
    const logKernel = this.#logKernel(images, new Pass(false));
    if (this.#arithmetic === "log") return logSoftmax(logKernel);
    const kernel = exp(logKernel);
    const total = sum(kernel, [-1], true);
    // Said by hand, for WGSL leaves open what 0 / 0 is.
    const underflown = broadcastTo(equal(total, 0), kernel.shape);
    return where(underflown, constant(NaN), log(div(kernel, total)));
  }

  readings(images: Tensor): Record<string, Reading> {
    const logConfidences = this.#logKernel(images, new Pass(false));
    return { kernel: { logConfidences, normalised: false } };
  }

  /** The largest kernel value, which is 0 for all images far enough away, and its logarithm. */
  scores(images: Tensor): Record<string, Score> {
    const top = this.native(images);
    return {
      maxKernel: { values: exp(top), higher: "in-domain" },
      maxLogKernel: { values: top, higher: "in-domain" },
    };
  }

  /** The largest log K, `[B]`. */
  native(images: Tensor): Tensor {
    return max(this.#logKernel(images, new Pass(false)));
  }

  /** What the encoder makes of images, `[B, D]`. */
  features(images: Tensor): Tensor {
    return this.#encoder.forward(images, new Pass(false));
  }

  confidenceLoss(images: Tensor, { target }: LossOptions): Tensor {
    const logKernel = this.#logKernel(images, new Pass(false));
    return mean(this.#crossEntropy(logKernel, labelOf(logKernel, target)), [1]);
  }

  /** Binary cross-entropy of each kernel value against one-hot: `[B, C]`. */
  #crossEntropy(logKernel: Tensor, labels: Tensor): Tensor {
    const targets = oneHot(labels, this.#classes);
    return this.#arithmetic === "log"
      ? logBinaryCrossEntropy(logKernel, targets)
      : binaryCrossEntropy(exp(logKernel), targets);
  }

  /** Images to `W z`, `[B, K, C]`. */
  #embeddings(images: Tensor, pass: Pass): Tensor {
    const classes = this.#classes;
    const { features } = this.#encoder;
    const z = this.#encoder.forward(images, pass); // [B, 84] or [B, 512]
    const w = reshape(pass.get(this.#weight), [this.#size * classes, features]);
    return reshape(matmul(z, w, { transposeB: true }), [-1, this.#size, classes]);
  }

  /** Images to log K, `[B, C]`. */
  #logKernel(images: Tensor, pass: Pass): Tensor {
    const centroids = div(pass.get(this.#sums), pass.get(this.#counts)); // [K, C]
    const distances = mean(square(sub(this.#embeddings(images, pass), centroids)), [1]);
    return scale(distances, -1 / (2 * this.#lengthScale ** 2));
  }
}
