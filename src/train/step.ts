/**
 * What a training needs, and its step on some images as a graph.
 *
 * @module
 */
import type { MethodName } from "../methods/mod.ts";
import type { Procedure } from "../methods/protocol.ts";
import type { ResidentSet } from "../evaluate/resident_set.ts";
import type { Hyperparameters, Model } from "../methods/mod.ts";
import {
  argmax,
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
  Random,
  sum,
  type Tensor,
  type Updates,
} from "../nn/mod.ts";
import type { Reporter } from "../base/reporter.ts";

/** A model that is trained, and what is its own. */
export interface Learner {
  readonly model: Model;
  /** Decides the order of the images, and whatever is drawn. */
  readonly seed: number;
  /** Indices of the training set to learn from. */
  readonly trainIndex: Uint32Array;
  /** The set whose accuracy chooses the best checkpoint. */
  readonly selection: ResidentSet;
  /** Where the checkpoints go. */
  readonly folder: string;
}

/** What decides a training. */
export interface TrainingConfig extends Hyperparameters {
  readonly mode: MethodName;
  /** Learning rate at the start. */
  readonly lr: number;
  readonly momentum: number;
  /** L2 penalty. */
  readonly weightDecay: number;
  /** Images that go through the network at once, where somebody says how many. */
  readonly microBatch?: number | undefined;
  /** What to tell of the compiled programs. */
  readonly explain: boolean;
  readonly time: boolean;
}

/** What a training needs. */
export interface Training {
  readonly device: Device;
  /** One model, or equal ones that learn side by side in the same dispatches: see `learnTogether`. */
  readonly learners: readonly Learner[];
  readonly config: TrainingConfig;
  /** How the protocols' differences are settled. */
  readonly procedure: Procedure;
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
  /** Throws where the learners' folders are this process's no more; asked before anything is written there. */
  readonly check?: () => void;
  /** Epochs in all, those before a resumption counted. */
  readonly epochs: number;
  /** Images of one step. */
  readonly batchSize: number;
  /** Images that go through the network at once, where not all of a step. */
  readonly microBatch?: number | undefined;
  readonly train: ResidentSet;
  readonly reporter: Reporter;
}

/** The first learner: its model stands for all in a graph. */
export function firstLearner({ learners }: Pick<Training, "learners">): Learner {
  const [first] = learners;
  if (!first) throw new Error("Unreachable: a training without a model");
  return first;
}

/**
 * Whether several models of this kind can learn in one program: their whole state is in the block that the
 * optimiser moves, and nothing happens between the steps.
 */
export function learnTogether(model: Model): boolean {
  const { initialise, afterStep, beginEpoch, gather, finish, state } = model;
  const plain = !initialise && !afterStep && !beginEpoch && !gather && !finish;
  return plain && [...state.values()].every(({ trainable }) => trainable);
}

/** Images of a batch `[B, C, H, W]`, shifted and mirrored where the training says so. */
export function augmented({ train, augment }: Training, index: Tensor, draws: Draws): Tensor {
  const images = train.images(index);
  if (augment === 0) return images;
  return cropAndFlip(images, draws.uniform([dim(index, 0), 3]), augment);
}

/** Which step: how many images, in which mode, at most how many at once. */
export interface StepSpec {
  readonly size: number;
  readonly train: boolean;
  readonly micro: number;
}

/** The traced forward and backward pass over some images. */
export interface TracedStep {
  readonly index: Tensor;
  readonly count: Tensor;
  /** Of all parameters, in the block's layout. */
  readonly gradient: Tensor;
  /** What the pass changes besides. */
  readonly updates: Updates;
  /** Loss, correct predictions, elements of the gradient that are no number. */
  readonly records: readonly Tensor[];
}

/** Traces a step on `size` images. */
export function traceStep(
  training: Training,
  packed: PackedParameters,
  size: number,
  train: boolean,
): TracedStep {
  const { model, trainIndex } = firstLearner(training);
  const [index, count] = [input([size], "f32", training.learners.length), input([1])];
  const keys = training.learners.map(({ seed }) => new Random(seed).fork("training"));
  const draws = new Draws(keys, count);
  const pass = new Pass(train, draws);
  const images = augmented(training, index, draws);
  const labels = training.train.labels(index);
  const context = { pass, trainCount: trainIndex.length };
  const { loss, logits } = model.train(images, labels, context);
  const gradient = flatGradient(packed, grad(loss, packed.parameters.map((p) => p.tensor)));
  const correct = sum(equal(argmax(logits), labels));
  const records = [loss, correct, sum(nonFinite(gradient))];
  return { index, count, gradient, updates: pass.updates, records };
}

/** What a step of training gives. */
export interface StepFigures {
  /** Mean over the images. */
  readonly loss: number;
  /** Images whose label was predicted. */
  readonly correct: number;
  /** Elements of the gradient that are no number. */
  readonly nonFinite: number;
}

/** A step without what follows it. */
export interface MainStep {
  /** @param index of every learner's images, one learner after the other */
  readonly run: (index: Float32Array, lr: number, count: number) => void;
  /** Figures of every learner's steps. */
  readonly figures: () => Promise<StepFigures[][]>;
  readonly release: () => void;
}

/**
 * Figures as a program recorded them: loss, correct predictions, elements that are no number; run after
 * run, learner after learner.
 */
export function readFigures(records: readonly Float32Array[], learners: number): StepFigures[][] {
  const [loss = new Float32Array(), correct, bad] = records;
  return Array.from(
    { length: learners },
    (_, learner) =>
      Array.from({ length: loss.length / learners }, (_, step) => {
        const i = step * learners + learner;
        return { loss: loss[i] ?? NaN, correct: correct?.[i] ?? 0, nonFinite: bad?.[i] ?? 0 };
      }),
  );
}
