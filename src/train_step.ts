/**
 * The training step: what a training needs, its batches, and the programs compiled for them.
 *
 * @module
 */
import type { RunConfig } from "./config.ts";
import type { ResidentSet } from "./dataset.ts";
import type { Model } from "./methods/mod.ts";
import {
  argmax,
  compile,
  cropAndFlip,
  type Device,
  dim,
  Draws,
  equal,
  flatGradient,
  grad,
  input,
  nonFinite,
  type PackedParameters,
  Pass,
  type Program,
  Random,
  sgd,
  sum,
  type Tensor,
} from "./nn/mod.ts";
import type { Reporter } from "./reporter.ts";

/** What a training needs. */
export interface Training {
  readonly device: Device;
  readonly model: Model;
  /** Its seed is the model's. */
  readonly config: RunConfig;
  /** Whether every epoch sees the same images in the same order: its random numbers start anew. */
  readonly fixedOrder: boolean;
  /** Whether batch normalisation is in train mode at an epoch's first step only. */
  readonly evalAfterFirstStep: boolean;
  /** Pixels by which images are shifted at random, besides being mirrored; 0 leaves them as they are. */
  readonly augment: number;
  /** Whether the last, incomplete batch of an epoch is left out. */
  readonly dropLast: boolean;
  /** What the bar is called. */
  readonly title: string;
  /** Epochs in all, those before a resumption counted. */
  readonly epochs: number;
  /** Images of one step. */
  readonly batchSize: number;
  readonly train: ResidentSet;
  /** Indices of `train` to learn from. */
  readonly trainIndex: Uint32Array;
  /** The set whose accuracy chooses the best checkpoint, and the part of it that counts. */
  readonly selection: ResidentSet;
  /** Where the checkpoints go. */
  readonly folder: string;
  readonly reporter: Reporter;
}

/** Sizes of an epoch's steps, in order. */
export function stepSizes({ batchSize, trainIndex, dropLast }: Training): number[] {
  const sizes = Array<number>(Math.floor(trainIndex.length / batchSize)).fill(batchSize);
  const rest = trainIndex.length % batchSize;
  return rest > 0 && (!dropLast || sizes.length === 0) ? [...sizes, rest] : sizes;
}

/** Images of a batch `[B, C, H, W]`, shifted and mirrored where the training says so. */
export function augmented({ train, augment }: Training, index: Tensor, draws: Draws): Tensor {
  const images = train.images(index);
  if (augment === 0) return images;
  return cropAndFlip(images, draws.uniform([dim(index, 0), 3]), augment);
}

/** A training step compiled for one batch size, and what follows each. */
export interface TrainPrograms {
  readonly step: Program;
  readonly after?: Program;
}

/** The programs of an epoch, by the size of a step and whether it is the first. */
export interface EpochPrograms {
  readonly all: readonly Program[];
  of(size: number, first: boolean): TrainPrograms;
}

/** Compiles every program that an epoch needs. */
export async function compilePrograms(
  training: Training,
  packed: PackedParameters,
): Promise<EpochPrograms> {
  const found = new Map<string, TrainPrograms>();
  const key = (size: number, first: boolean): string =>
    `${size} ${first || !training.evalAfterFirstStep}`;
  for (const [i, size] of stepSizes(training).entries()) {
    const name = key(size, i === 0);
    if (found.has(name)) continue;
    const train = i === 0 || !training.evalAfterFirstStep;
    found.set(name, await trainPrograms(training, packed, size, train));
  }
  return {
    all: [...found.values()].flatMap(({ step, after }) => after ? [step, after] : [step]),
    of(size, first): TrainPrograms {
      const chosen = found.get(key(size, first));
      if (!chosen) throw new Error(`Unreachable: no program for ${size} images`);
      return chosen;
    },
  };
}

async function trainPrograms(
  training: Training,
  packed: PackedParameters,
  size: number,
  train: boolean,
): Promise<TrainPrograms> {
  const { device, model, config, trainIndex } = training;
  const [index, lr, count] = [input([size]), input([1]), input([1])];
  const draws = new Draws(new Random(config.seed).fork("training"), count);
  const pass = new Pass(train, draws);
  const images = augmented(training, index, draws);
  const labels = training.train.labels(index);
  const context = { pass, trainCount: trainIndex.length };
  const { loss, logits } = model.train(images, labels, context);
  const gradients = grad(loss, packed.parameters.map((p) => p.tensor));
  const updates = new Map(pass.updates);
  updates.set(packed.block, sgd(packed, gradients, lr, config));
  const step = await compile(device, {
    name: `train step, batch ${size}`,
    inputs: [index, lr, count],
    updates,
    records: [
      loss,
      sum(equal(argmax(logits), labels)),
      sum(nonFinite(flatGradient(packed, gradients))),
    ],
  });
  const following = model.afterStep?.(images, labels);
  if (!following) return { step };
  const name = `after the step, batch ${size}`;
  const inputs = [index, count];
  return { step, after: await compile(device, { name, inputs, updates: following }) };
}
