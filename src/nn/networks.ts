/**
 * The paper's networks.
 *
 * @module
 */
import {
  type Layer,
  nest,
  type Pass,
  SpectralConv2d,
  SpectralLinear,
  type State,
} from "./layers.ts";
import { maxPool2d } from "./pool2d.ts";
import type { Random } from "./random.ts";
import { reshape } from "./shape.ts";
import type { Tensor } from "./tensor.ts";

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
    const relu = { activation: "relu", coeff } as const;
    this.#conv1 = new SpectralConv2d(random, 1, 6, 5, { ...relu, imageSize: [28, 28] });
    this.#conv2 = new SpectralConv2d(random, 6, 16, 5, { ...relu, imageSize: [12, 12] });
    this.#linear = new SpectralLinear(random, 256, this.features, relu);
    this.state = nest({
      "conv1.0": this.#conv1,
      "conv2.0": this.#conv2,
      "fc_1.0": this.#linear,
    });
  }

  forward(x: Tensor, pass: Pass): Tensor {
    const a = maxPool2d(this.#conv1.forward(x, pass), 2); // [B, 6, 12, 12]
    const b = maxPool2d(this.#conv2.forward(a, pass), 2); // [B, 16, 4, 4]
    return this.#linear.forward(reshape(b, [-1, 256]), pass);
  }
}
