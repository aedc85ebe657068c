/**
 * A plain classifier, trained by cross-entropy: the baseline, and the member of every ensemble.
 *
 * @module
 */
import {
  argmax,
  constant,
  crossEntropy,
  dim,
  type Layer,
  LeNet,
  logSoftmax,
  mean,
  Pass,
  type State,
  type Tensor,
} from "../nn/mod.ts";
import type { LossOptions, Model, ModelOptions, TrainContext, TrainStep } from "./types.ts";

/** Networks of a plain classifier. */
export const classifiers: readonly string[] = ["LeNet"];

/** LeNet with a softmax over its logits. */
export class Classifier implements Model {
  readonly name = "LeNet";
  readonly imageShape = [1, 28, 28];
  readonly ignored = [];
  readonly state: State;
  readonly #network: Layer;

  constructor({ random }: Pick<ModelOptions, "random">) {
    this.#network = new LeNet(random.fork("network"));
    this.state = this.#network.state;
  }

  /** `[B, 1, 28, 28]` to `[B, 10]`. */
  logits(images: Tensor, pass: Pass = new Pass(false)): Tensor {
    return this.#network.forward(images, pass);
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

/** The class an attack steers to: the target, or each row's largest score. `[B, C]` to `[B]`. */
export function labelOf(scores: Tensor, target: number | undefined): Tensor {
  return target === undefined ? argmax(scores) : constant(target, [dim(scores, 0)]);
}
