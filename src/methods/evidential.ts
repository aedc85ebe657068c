/**
 * Evidential deep learning: a network whose outputs are evidence for the classes.
 *
 * Paper: M. Sensoy, L. Kaplan, M. Kandemir, "Evidential deep learning to quantify classification
 * uncertainty", NeurIPS 2018.
 *
 * The logits pass an activation that leaves no negative number: e_k >= 0 is evidence for class k, and
 * `alpha_k = e_k + 1` make a Dirichlet distribution over the classes' probabilities. With `S = sum alpha` its
 * mean is `p_k = alpha_k / S`, and the mass that no evidence claims is the vacuity `u = K / S` (eqs. 1, 2).
 * The loss is the expected squared error, `sum_k (y_k - p_k)^2 + p_k (1 - p_k) / (S + 1)` (eq. 5), plus
 * `lambda KL(Dir(alpha~) || Dir(1))` of the evidence for other classes, `alpha~ = y + (1 - y) alpha`;
 * lambda grows from 0 in the first epoch to 1 over ten of them, `min(1, t / 10)`, where an epoch is MNIST's
 * 60,000 images: of a smaller set it takes as many images, and so more epochs.
 *
 * Both gamma functions are taken for arguments of 1 and more, by Stirling's series of the argument plus 6:
 * made of ordinary operations, they have gradients of every order.
 *
 * @module
 */
import {
  add,
  constant,
  crossEntropy,
  type Device,
  div,
  exp,
  Linear,
  log,
  mean,
  minimum,
  mul,
  nest,
  oneHot,
  Parameter,
  Pass,
  push,
  reciprocal,
  relu,
  reshape,
  scale,
  softplus,
  square,
  type State,
  sub,
  sum,
  type Tensor,
} from "../nn/mod.ts";
import { labelOf, type LossOptions } from "../attack/mod.ts";
import { type Features, modelsOf, networkOf } from "../networks/mod.ts";
import type { Own } from "./options.ts";
import { single } from "./single.ts";
import type { MethodOf, Model, ModelOptionsOf, Score, TrainContext, TrainStep } from "./types.ts";

/** What makes evidence of a logit. */
const activations = {
  relu,
  softplus,
  /** Of no more than 10, so that evidence stays finite. */
  exp: (x: Tensor): Tensor => exp(minimum(x, 10)),
} as const;

const own = {
  hyperparameters: {
    evidence: {
      about: "What makes evidence of an evidential network's logits",
      values: ["relu", "softplus", "exp"],
      // The paper's ReLU leaves a class without a slope once no image gives it evidence.
      default: "exp",
    },
    annealing: {
      about: "Epochs of 60,000 images until an evidential network's divergence counts in full",
      min: 1,
      max: 1e6,
      default: 10,
      folder: "annealing",
    },
  },
  differences: {},
} as const satisfies Own;

/** Images of an epoch as the paper counts them. */
const published = 60_000;

/** Evidential deep learning. */
export const evidential: MethodOf<typeof own> = {
  ...own,
  name: "evidential",
  title: "Evidential network",
  models: modelsOf("_Evidential"),
  family: "Evidential",
  ensemble: false,
  dropLast: false,
  passes: { train: 3, attack: 3 },
  attack: "pgd",
  startNoise: 0,
  create: (model, options) => new Evidential(model, options),
  subject: single,
};

/** A network whose outputs are evidence. */
export class Evidential implements Model {
  readonly imageShape: readonly number[];
  readonly ignored = [];
  readonly state: State;
  readonly #encoder: Features;
  readonly #linear: Linear;
  readonly #classes: number;
  readonly #activation: (x: Tensor) => Tensor;
  readonly #annealing: number;
  /** t, epochs that were begun. */
  readonly #epoch: Parameter;

  constructor(readonly name: string, options: ModelOptionsOf<typeof own>) {
    const network = networkOf(name);
    const { random, evidence, annealing } = options;
    const { imageShape = network.imageShape, classes = network.classes } = options;
    this.imageShape = imageShape;
    this.#classes = classes;
    this.#activation = activations[evidence];
    this.#annealing = annealing;
    this.#encoder = network.features(random.fork("encoder"), { ...options, imageShape });
    this.#linear = new Linear(random.fork("head"), this.#encoder.features, classes);
    this.#epoch = new Parameter([1], 0);
    this.state = new Map([
      ...nest({ feature_extractor: this.#encoder, linear: this.#linear }),
      ["epoch", this.#epoch],
    ]);
  }

  beginEpoch(device: Device): void {
    this.#epoch.data[0] = (this.#epoch.data[0] ?? 0) + 1;
    push(device, [this.#epoch]);
  }

  train(images: Tensor, labels: Tensor, { pass, trainCount }: TrainContext): TrainStep {
    const alpha = this.#alpha(images, pass);
    const targets = oneHot(labels, this.#classes);
    // The first epoch is epoch 0.
    const epochs = scale(sub(this.#epoch.tensor, 1), trainCount / published);
    const weight = minimum(scale(epochs, 1 / this.#annealing), 1);
    const divergence = mul(mean(divergenceFromUniform(others(alpha, targets))), weight);
    const loss = add(mean(expectedSquaredError(alpha, targets)), reshape(divergence, []));
    return { loss, logits: log(alpha) };
  }

  logProbabilities(images: Tensor): Tensor {
    const alpha = this.alpha(images);
    return log(div(alpha, sum(alpha, [1], true)));
  }

  /** `log alpha`, `[B, K]`: the numbers whose softmax the probabilities are. */
  logits(images: Tensor): Tensor {
    return log(this.alpha(images));
  }

  /** The Dirichlet distribution's parameters `[B, K]`, 1 or more. */
  alpha(images: Tensor): Tensor {
    return this.#alpha(images, new Pass(false));
  }

  /** The mass that no evidence claims, `K / S`: 1 where there is none, 0 where there is no end of it. */
  scores(images: Tensor): Record<string, Score> {
    const total = sum(this.alpha(images), [1]);
    return { vacuity: { values: scale(reciprocal(total), this.#classes), higher: "out-domain" } };
  }

  /** `log S`, `[B]`: it orders images as minus the vacuity does, and its gradient does not fade with evidence. */
  native(images: Tensor): Tensor {
    return log(sum(this.alpha(images), [1]));
  }

  /** What the encoder makes of images, `[B, D]`. */
  features(images: Tensor): Tensor {
    return this.#encoder.forward(images, new Pass(false));
  }

  confidenceLoss(images: Tensor, { target }: LossOptions): Tensor {
    const logits = this.logits(images);
    return crossEntropy(logits, labelOf(logits, target));
  }

  #alpha(images: Tensor, pass: Pass): Tensor {
    const z = this.#encoder.forward(images, pass);
    return add(this.#activation(this.#linear.forward(z, pass)), 1);
  }
}

/** `E |y - p|^2` for p of `Dir(alpha)` (eq. 5): `[B, K]` both, to `[B]`. */
export function expectedSquaredError(alpha: Tensor, targets: Tensor): Tensor {
  const total = sum(alpha, [1], true);
  const p = div(alpha, total);
  const variance = div(mul(p, sub(1, p)), add(total, 1));
  return sum(add(square(sub(targets, p)), variance), [1]);
}

/** `y + (1 - y) alpha`: 1 in the place of the right class. */
function others(alpha: Tensor, targets: Tensor): Tensor {
  return add(targets, mul(sub(1, targets), alpha));
}

/** `KL(Dir(alpha) || Dir(1, ..., 1))` in nats (the equation after eq. 5): `[B, K]`, 1 or more, to `[B]`. */
export function divergenceFromUniform(alpha: Tensor): Tensor {
  const [, classes = 0] = alpha.shape;
  const total = sum(alpha, [1], true);
  const volume = sub(
    sub(reshape(logGamma(total), [-1]), logGamma(constant(classes, [1]))),
    sum(logGamma(alpha), [1]),
  );
  const slope = mul(sub(alpha, 1), sub(digamma(alpha), digamma(total)));
  return add(volume, sum(slope, [1]));
}

/** What Stirling's series is taken beyond: `Gamma(x + 6) = x (x + 1) ... (x + 5) Gamma(x)`. */
const shifts = [0, 1, 2, 3, 4, 5];

/** `log Gamma(x)` for x of 1 and more, to 1e-9 of its size or of 1. */
export function logGamma(x: Tensor): Tensor {
  const y = add(x, shifts.length);
  const r = reciprocal(y);
  const q = square(r);
  // (y - 1/2) log y - y + log(2 pi) / 2 + 1 / (12 y) - 1 / (360 y^3) + 1 / (1260 y^5) - 1 / (1680 y^7)
  const tail = mul(r, series(q, [1 / 12, -1 / 360, 1 / 1260, -1 / 1680]));
  const main = add(sub(mul(sub(y, 0.5), log(y)), y), Math.log(2 * Math.PI) / 2);
  const below = shifts.map((n) => log(add(x, n))).reduce((a, b) => add(a, b));
  return sub(add(main, tail), below);
}

/** `d log Gamma(x) / dx` for x of 1 and more. */
export function digamma(x: Tensor): Tensor {
  const y = add(x, shifts.length);
  const r = reciprocal(y);
  const q = square(r);
  // log y - 1 / (2 y) - 1 / (12 y^2) + 1 / (120 y^4) - 1 / (252 y^6) + 1 / (240 y^8)
  const tail = mul(q, series(q, [-1 / 12, 1 / 120, -1 / 252, 1 / 240]));
  const main = sub(log(y), scale(r, 0.5));
  const below = shifts.map((n) => reciprocal(add(x, n))).reduce((a, b) => add(a, b));
  return sub(add(main, tail), below);
}

/** `c_0 + c_1 q + c_2 q^2 + ...` */
function series(q: Tensor, [first = 0, ...rest]: readonly number[]): Tensor {
  return rest.length === 0 ? add(scale(q, 0), first) : add(mul(q, series(q, rest)), first);
}
