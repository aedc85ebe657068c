/**
 * What a method is: how a model is built, trained, finished and attacked.
 *
 * @module
 */
import type { AttackName } from "../attack/mod.ts";
import type { Protocol } from "../attack/types.ts";
import type { Device, Pass, Random, State, Tensor, Updates } from "../nn/mod.ts";

/** What determines a model before it is trained. */
export interface ModelOptions {
  readonly random: Random;
  readonly protocol: Protocol;
}

/** One training step of a model, traced. */
export interface TrainStep {
  /** Scalar: what the optimiser descends. */
  readonly loss: Tensor;
  /** `[B, C]`, whose argmax is the prediction. */
  readonly logits: Tensor;
}

/** A model under one method. */
export interface Model {
  /** Name of the network, for example `LeNet_SNGP`. */
  readonly name: string;
  /** `[C, H, W]` of an image. */
  readonly imageShape: readonly number[];
  /** Everything a checkpoint holds, by PyTorch's names. */
  readonly state: State;
  /** Entries of a checkpoint by other code that this model has no use for. */
  readonly ignored: readonly string[];
  /** Traces a training step on images `[B, C, H, W]` and class indices `[B]`. */
  train(images: Tensor, labels: Tensor, pass: Pass): TrainStep;
  /** Resets what an epoch gathers; called before each epoch. */
  beginEpoch?(device: Device): void;
  /**
   * Where the corrected protocol gathers statistics in a clean pass after training: traces what one
   * batch adds.
   */
  gather?(images: Tensor): Updates;
  /** Derives what evaluation needs from the state, after training or loading. */
  finish?(device: Device): Promise<void>;
  /** Log-probabilities `[B, C]` of images in evaluation. */
  logProbabilities(images: Tensor): Tensor;
  /**
   * What the attack descends: a loss per image `[B]` against the model's own prediction, or against
   * a target class.
   */
  confidenceLoss(images: Tensor, target?: number): Tensor;
}

/** A method of uncertainty estimation. */
export interface Method {
  /** Its name on the command line. */
  readonly name: string;
  /** Its name in prose. */
  readonly title: string;
  /** Networks it goes with, the default first. */
  readonly models: readonly string[];
  /** The paper's attack on it. */
  readonly attack: AttackName;
  /** Standard deviation of the noise that the paper's attack on it starts with. */
  readonly startNoise: number;
  create(model: string, options: ModelOptions): Model;
}
