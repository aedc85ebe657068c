/**
 * LeNet, for digits (Y. LeCun et al., "Gradient-based learning applied to document recognition",
 * Proceedings of the IEEE 1998), as the paper has it: two convolutions, each with a pool, and two
 * linear layers. It takes other channels and sizes from 16 x 16 on.
 *
 * @module
 */
import { UserError } from "../base/errors.ts";
import {
  Conv2d,
  type Layer,
  Linear,
  maxPool2d,
  nest,
  type Pass,
  type Random,
  relu,
  reshape,
  SpectralConv2d,
  SpectralLinear,
  type State,
  type Tensor,
} from "../nn/mod.ts";
import type {
  ClassifierNetwork,
  ClassifierShape,
  Features,
  ImageShape,
  NetworkOf,
} from "./network.ts";

/** LeNet. */
export const lenet: NetworkOf = {
  name: "LeNet",
  imageShape: [1, 28, 28],
  classes: 10,
  inDomain: "mnist",
  outDomain: "notmnist",
  epsilon: 0.1,
  augmentation: 0,
  batchNorm: false,
  hyperparameters: {},
  features: (random, { imageShape, coeff }) =>
    coeff === undefined
      ? new LeNetFeatures(random, imageShape)
      : new SpectralLeNet(random, coeff, imageShape),
  classifier: (random, shape) => new LeNet(random, shape),
};

/** LeNet up to its 84 features, after their ReLU: `[B, 1, 28, 28]` to `[B, 84]`; 28 -> 14 -> 10 -> 5. */
export class LeNetFeatures implements Features {
  readonly features = 84;
  readonly state: State;
  readonly #conv1: Layer;
  readonly #conv2: Layer;
  readonly #linear: Layer;
  readonly #flat: number;

  /**
   * Initial weights as PyTorch draws them.
   *
   * @param random what they are drawn from
   * @throws UserError when nothing of so small an image is left after the pools
   */
  constructor(random: Random, imageShape: ImageShape = lenet.imageShape) {
    const [channels, height, width] = imageShape;
    this.#flat = 16 * pooled(height, 2) * pooled(width, 2);
    this.#conv1 = new Conv2d(random, channels, 6, 5, { padding: 2 });
    this.#conv2 = new Conv2d(random, 6, 16, 5);
    this.#linear = new Linear(random, this.#flat, this.features, { activation: "relu" });
    this.state = nest({
      "conv1.0": this.#conv1,
      "conv2.0": this.#conv2,
      "fc_1.0": this.#linear,
    });
  }

  forward(x: Tensor, pass: Pass): Tensor {
    const a = poolAndRelu(this.#conv1.forward(x, pass)); // [B, 6, 14, 14]
    const b = poolAndRelu(this.#conv2.forward(a, pass)); // [B, 16, 5, 5]
    return this.#linear.forward(reshape(b, [-1, this.#flat]), pass);
  }
}

/** LeNet: `[B, 1, 28, 28]` to logits `[B, 10]`. 37,106 trainable parameters. */
export class LeNet implements ClassifierNetwork {
  readonly state: State;
  readonly #features: LeNetFeatures;
  readonly #linear: Layer;

  /**
   * Initial weights as PyTorch draws them.
   *
   * @param random what they are drawn from
   * @throws UserError when nothing of so small an image is left after the pools
   */
  constructor(random: Random, { imageShape, classes }: ClassifierShape = lenet) {
    this.#features = new LeNetFeatures(random, imageShape);
    this.#linear = new Linear(random, this.#features.features, classes);
    this.state = new Map([...this.#features.state, ...nest({ "fc_2.0": this.#linear })]);
  }

  get featureCount(): number {
    return this.#features.features;
  }

  features(x: Tensor, pass: Pass): Tensor {
    return this.#features.forward(x, pass);
  }

  forward(x: Tensor, pass: Pass): Tensor {
    return this.#linear.forward(this.features(x, pass), pass);
  }
}

/**
 * LeNet up to its 84 features, both convolutions without padding and every layer under soft spectral
 * normalisation: the encoder of LeNet_SNGP and LeNet_DUE. `[B, 1, 28, 28]` to `[B, 84]`;
 * 28 -> 24 -> 12 -> 8 -> 4. 24,160 trainable parameters.
 */
export class SpectralLeNet implements Features {
  readonly features = 84;
  readonly state: State;
  readonly #conv1: Layer;
  readonly #conv2: Layer;
  readonly #linear: Layer;
  readonly #flat: number;

  /**
   * Initial weights as PyTorch draws them.
   *
   * @param random what they are drawn from
   * @param coeff bound on each layer's spectral norm; 3 in the paper
   * @throws UserError when nothing of so small an image is left after the pools
   */
  constructor(random: Random, coeff = 3, imageShape: ImageShape = lenet.imageShape) {
    const [channels, height, width] = imageShape;
    this.#flat = 16 * pooled(height, 0) * pooled(width, 0);
    const half = (side: number): number => Math.floor((side - 4) / 2);
    const sizes = { first: [height, width], second: [half(height), half(width)] } as const;
    this.#conv1 = new SpectralConv2d(random, channels, 6, 5, { coeff, imageSize: sizes.first });
    this.#conv2 = new SpectralConv2d(random, 6, 16, 5, { coeff, imageSize: sizes.second });
    this.#linear = new SpectralLinear(random, this.#flat, this.features, {
      coeff,
      activation: "relu",
    });
    this.state = nest({
      "conv1.0": this.#conv1,
      "conv2.0": this.#conv2,
      "fc_1.0": this.#linear,
    });
  }

  forward(x: Tensor, pass: Pass): Tensor {
    const a = poolAndRelu(this.#conv1.forward(x, pass)); // [B, 6, 12, 12]
    const b = poolAndRelu(this.#conv2.forward(a, pass)); // [B, 16, 4, 4]
    return this.#linear.forward(reshape(b, [-1, this.#flat]), pass);
  }
}

/**
 * The side of what both convolutions and pools leave of an image.
 *
 * @param padding of the first convolution
 * @throws UserError when nothing is left
 */
function pooled(side: number, padding: number): number {
  const left = Math.floor((Math.floor((side + 2 * padding - 4) / 2) - 4) / 2);
  if (left >= 1) return left;
  throw new UserError(
    `Cannot build LeNet for images of ${side} pixels a side: nothing is left after its pools; use ` +
      "images of 16 pixels or more",
  );
}

/**
 * `maxPool(relu(x))` in the other order: the same values and the same gradients, for a quarter of the
 * ReLU's work.
 */
function poolAndRelu(x: Tensor): Tensor {
  return relu(maxPool2d(x, 2));
}
