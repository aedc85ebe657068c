/**
 * A plain classifier, trained by cross-entropy: the baseline, and the member of every ensemble.
 *
 * @module
 */
import { crossEntropy, logSoftmax, mean, Pass, type State, type Tensor } from "../nn/mod.ts";
import { labelOf, type LossOptions } from "../attack/mod.ts";
import { type ClassifierNetwork, modelsOf, networkOf } from "../networks/mod.ts";
import type { Model, NetworkOptions, TrainContext, TrainStep } from "./types.ts";

/** Networks of a plain classifier. */
export const classifiers: readonly string[] = modelsOf();

/** A network with a softmax over its logits. */
export class Classifier implements Model {
  readonly imageShape: readonly number[];
  readonly ignored: readonly string[] = [];
  readonly state: State;
  readonly #network: ClassifierNetwork;

  /**
   * Draws the weights of a network.
   *
   * @param name of the network
   * @throws UserError when there is none of that name
   */
  constructor(readonly name: string, options: NetworkOptions) {
    const network = networkOf(name);
    const { random, imageShape = network.imageShape, classes = network.classes } = options;
    this.imageShape = imageShape;
    this.#network = network.classifier(random.fork("network"), {
      ...options,
      imageShape,
      classes,
    });
    this.state = this.#network.state;
  }

  /** D, the length of what the last layer takes. */
  get featureCount(): number {
    return this.#network.featureCount;
  }

  /** `[B, C, H, W]` to `[B, K]`. */
  logits(images: Tensor, pass: Pass = new Pass(false)): Tensor {
    return this.#network.forward(images, pass);
  }

  /** `[B, C, H, W]` to what the last layer takes, `[B, D]`. */
  features(images: Tensor): Tensor {
    return this.#network.features(images, new Pass(false));
  }

  train(images: Tensor, labels: Tensor, { pass }: TrainContext): TrainStep {
    const logits = this.logits(images, pass);
    return { loss: mean(crossEntropy(logits, labels)), logits };
  }

  logProbabilities(images: Tensor): Tensor {
    return logSoftmax(this.logits(images));
  }

  confidenceLoss(images: Tensor, { target }: LossOptions): Tensor {
    const logits = this.logits(images);
    return crossEntropy(logits, labelOf(logits, target));
  }
}
