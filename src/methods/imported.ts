/**
 * A classifier out of an ONNX file as a model: a softmax over its logits, as the baseline has it.
 *
 * @module
 */
import { labelOf, type LossOptions } from "../attack/mod.ts";
import { shortened, UserError } from "../base/errors.ts";
import { crossEntropy, logSoftmax, type State, type Tensor } from "../nn/mod.ts";
import type { ImportedClassifier } from "../onnx/mod.ts";
import type { Model, TrainStep } from "./types.ts";

/** What a model is to take and to tell apart. */
export interface ImportedFor {
  /** `[C, H, W]` of an image. */
  readonly imageShape: readonly number[];
  /** How many classes. */
  readonly classes: number;
  /** The set that says so; without one the first model of the ensemble does. */
  readonly set: string | undefined;
}

/** A model that was trained elsewhere. */
export interface ImportedModel extends Model {
  /** SHA-256 of the file with what it keeps beside itself, and of how it is taken. */
  readonly digest: string;
  /** Paths of the files that a part of it lies in, from its file's folder on. */
  readonly beside: readonly string[];
  /** Whether its file is written for a fixed number of images. */
  readonly isLifted: boolean;
  /** For people: what was decided where the file leaves a choice. */
  readonly notes: readonly string[];
  /** `[B, C, H, W]` to `[B, K]`. */
  logits(images: Tensor): Tensor;
}

/**
 * The model of a classifier.
 *
 * @throws UserError where it takes other images, or tells other classes apart
 */
export function importedModel(
  network: ImportedClassifier,
  { imageShape, classes, set }: ImportedFor,
): ImportedModel {
  const { name } = network;
  const known = network.classes(imageShape);
  if (known !== classes) {
    throw new UserError(
      `Cannot use "${shortened(name, 80)}" ${
        set === undefined ? "in this ensemble" : `on ${set}`
      }: it tells ${known} classes apart, ` +
        `the ${set === undefined ? "first model" : "set has"} ${classes}; name another ${
          set === undefined ? "model by --model-file" : "set by --in-domain"
        }, or another output by --output`,
    );
  }
  const { logits, features, state, isLifted, beside, sha256: digest, notes } = network;
  return {
    name,
    imageShape,
    digest,
    beside,
    isLifted,
    notes,
    ignored: [],
    get state(): State {
      return state;
    },
    logits,
    logProbabilities: (images) => logSoftmax(logits(images)),
    confidenceLoss(images, { target }: LossOptions): Tensor {
      const z = logits(images);
      return crossEntropy(z, labelOf(z, target));
    },
    ...features && { features },
    train(): TrainStep {
      throw new Error("Unreachable: a model out of a file is trained already");
    },
  };
}
