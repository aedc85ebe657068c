/**
 * The paper's networks.
 *
 * @module
 */
import { relu } from "../nn/ops/elementwise.ts";
import {
  Conv2d,
  type Layer,
  Linear,
  nest,
  type Pass,
  SpectralConv2d,
  SpectralLinear,
  type State,
} from "../nn/layers/layers.ts";
import { maxPool2d } from "../nn/ops/pool2d.ts";
import type { Random } from "../nn/graph/random.ts";
import { reshape } from "../nn/ops/shape.ts";
import type { Tensor } from "../nn/graph/tensor.ts";

/** LeNet up to its 84 features, after their ReLU: `[B, 1, 28, 28]` to `[B, 84]`; 28 -> 14 -> 10 -> 5. */
export class LeNetFeatures implements Layer {
  readonly features = 84;
  readonly state: State;
  readonly #conv1: Layer;
  readonly #conv2: Layer;
  readonly #linear: Layer;

  constructor(random: Random) {
    this.#conv1 = new Conv2d(random, 1, 6, 5, { padding: 2 });
    this.#conv2 = new Conv2d(random, 6, 16, 5);
    this.#linear = new Linear(random, 400, this.features, { activation: "relu" });
    this.state = nest({
      "conv1.0": this.#conv1,
      "conv2.0": this.#conv2,
      "fc_1.0": this.#linear,
    });
  }

  forward(x: Tensor, pass: Pass): Tensor {
    const a = poolAndRelu(this.#conv1.forward(x, pass)); // [B, 6, 14, 14]
    const b = poolAndRelu(this.#conv2.forward(a, pass)); // [B, 16, 5, 5]
    return this.#linear.forward(reshape(b, [-1, 400]), pass);
  }
}

/** LeNet: `[B, 1, 28, 28]` to logits `[B, 10]`. 37,106 trainable parameters. */
export class LeNet implements Layer {
  readonly state: State;
  readonly #features: LeNetFeatures;
  readonly #linear: Layer;

  constructor(random: Random) {
    this.#features = new LeNetFeatures(random);
    this.#linear = new Linear(random, this.#features.features, 10);
    this.state = new Map([...this.#features.state, ...nest({ "fc_2.0": this.#linear })]);
  }

  forward(x: Tensor, pass: Pass): Tensor {
    return this.#linear.forward(this.#features.forward(x, pass), pass);
  }
}

/**
 * LeNet up to its 84 features, both convolutions without padding and every layer under soft spectral
 * normalisation: the encoder of LeNet_SNGP and LeNet_DUE. `[B, 1, 28, 28]` to `[B, 84]`;
 * 28 -> 24 -> 12 -> 8 -> 4. 24,160 trainable parameters.
 */
export class SpectralLeNet implements Layer {
  readonly features = 84;
  readonly state: State;
  readonly #conv1: Layer;
  readonly #conv2: Layer;
  readonly #linear: Layer;

  /** @param coeff bound on each layer's spectral norm; 3 in the paper */
  constructor(random: Random, coeff = 3) {
    this.#conv1 = new SpectralConv2d(random, 1, 6, 5, { coeff, imageSize: [28, 28] });
    this.#conv2 = new SpectralConv2d(random, 6, 16, 5, { coeff, imageSize: [12, 12] });
    this.#linear = new SpectralLinear(random, 256, this.features, { coeff, activation: "relu" });
    this.state = nest({
      "conv1.0": this.#conv1,
      "conv2.0": this.#conv2,
      "fc_1.0": this.#linear,
    });
  }

  forward(x: Tensor, pass: Pass): Tensor {
    const a = poolAndRelu(this.#conv1.forward(x, pass)); // [B, 6, 12, 12]
    const b = poolAndRelu(this.#conv2.forward(a, pass)); // [B, 16, 4, 4]
    return this.#linear.forward(reshape(b, [-1, 256]), pass);
  }
}

/**
 * `maxPool(relu(x))` in the other order: the same values and the same gradients, for a quarter of the
 * ReLU's work.
 */
function poolAndRelu(x: Tensor): Tensor {
  return relu(maxPool2d(x, 2));
}
