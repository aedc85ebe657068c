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
  ResNet18,
  type State,
  type Tensor,
} from "../nn/mod.ts";
import { familyOf, imageShapes } from "../networks/mod.ts";
import type { LossOptions, Model, ModelOptions, TrainContext, TrainStep } from "./types.ts";

/** Networks of a plain classifier. */
export const classifiers: readonly string[] = ["LeNet", "ResNet-18"];

/** A network with a softmax over its logits. */
export class Classifier implements Model {
  readonly imageShape: readonly number[];
  readonly ignored = [];
  readonly state: State;
  readonly #network: Layer;

  /** @param name `LeNet` or `ResNet-18` */
  constructor(readonly name: string, { random }: Pick<ModelOptions, "random">) {
    const family = familyOf(name);
    const networks = { LeNet, "ResNet-18": ResNet18 };
    this.imageShape = imageShapes[family];
    this.#network = new networks[family](random.fork("network"));
    this.state = this.#network.state;
  }

  /** `[B, C, H, W]` to `[B, 10]`. */
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
