/**
 * The training step: what a training needs, its batches, and the programs compiled for them.
 *
 * @module
 */
import type { RunConfig } from "./config.ts";
import type { ResidentSet } from "./dataset.ts";
import { halving } from "./halving.ts";
import type { Model } from "./methods/mod.ts";
import {
  add,
  argmax,
  compile,
  constant,
  cropAndFlip,
  type Device,
  dim,
  drainAll,
  Draws,
  equal,
  flatGradient,
  grad,
  input,
  nonFinite,
  type PackedParameters,
  Parameter,
  Pass,
  type Program,
  Random,
  release,
  scale,
  sgd,
  sum,
  type Tensor,
  type Updates,
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
  /** Images that go through the network at once, where not all of a step. */
  readonly microBatch?: number | undefined;
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

/** What a step of training gives. */
export interface StepFigures {
  /** Mean over the images. */
  readonly loss: number;
  /** Images whose label was predicted. */
  readonly correct: number;
  /** Elements of the gradient that are no number. */
  readonly nonFinite: number;
}

/** A training step compiled for a number of images. */
export interface Stepper extends Disposable {
  readonly programs: readonly Program[];
  /** @param count number of the step: random numbers depend on it */
  run(index: Float32Array, lr: number, count: number): void;
  /** Figures of the steps since they were last asked for. */
  figures(): Promise<StepFigures[]>;
}

/** The steppers of an epoch, by the size of a step and whether it is the first. */
export interface EpochSteppers extends Disposable {
  readonly programs: readonly Program[];
  of(size: number, first: boolean): Stepper;
}

/**
 * Compiles every step that an epoch needs. Where the GPU cannot hold a step it is split into
 * micro-batches whose gradients are summed, half as large until they fit.
 */
export async function compileSteppers(
  training: Training,
  packed: PackedParameters,
): Promise<EpochSteppers> {
  const found = new Map<string, Stepper>();
  const key = (size: number, first: boolean): string =>
    `${size} ${first || !training.evalAfterFirstStep}`;
  let micro = training.microBatch ?? training.batchSize;
  for (const [i, size] of stepSizes(training).entries()) {
    const name = key(size, i === 0);
    if (found.has(name)) continue;
    const train = i === 0 || !training.evalAfterFirstStep;
    const made = await halving(
      Math.min(micro, size),
      async (n) => ({ n, step: await stepper(training, packed, { size, train, micro: n }) }),
      training.reporter,
      ", the gradients summed over a step; batch normalisation sees each part by itself",
    );
    if (made.n < size) micro = made.n;
    found.set(name, made.step);
  }
  const all = [...found.values()];
  return {
    programs: all.flatMap(({ programs }) => programs),
    of(size, first): Stepper {
      const chosen = found.get(key(size, first));
      if (!chosen) throw new Error(`Unreachable: no program for ${size} images`);
      return chosen;
    },
    [Symbol.dispose]: () => all.forEach((step) => step[Symbol.dispose]()),
  };
}

/** Which step: how many images, in which mode, at most how many at once. */
interface StepSpec {
  readonly size: number;
  readonly train: boolean;
  readonly micro: number;
}

async function stepper(
  training: Training,
  packed: PackedParameters,
  { size, train, micro }: StepSpec,
): Promise<Stepper> {
  const made: Program[] = [];
  try {
    const main = micro >= size
      ? await wholeStep(training, packed, size, train, made)
      : await splitStep(training, packed, { size, train, micro }, made);
    const after = await followingStep(training, size, made);
    return {
      programs: made,
      run(index, lr, count): void {
        main.run(index, lr, count);
        after?.run([index, Float32Array.of(count)]);
      },
      figures: main.figures,
      [Symbol.dispose](): void {
        made.forEach((program) => program[Symbol.dispose]());
        main.release();
      },
    };
  } catch (error) {
    made.forEach((program) => program[Symbol.dispose]());
    throw error;
  }
}

interface MainStep {
  readonly run: (index: Float32Array, lr: number, count: number) => void;
  readonly figures: () => Promise<StepFigures[]>;
  readonly release: () => void;
}

/** The traced forward and backward pass over some images. */
interface TracedStep {
  readonly index: Tensor;
  readonly count: Tensor;
  /** Of all parameters, in the block's layout. */
  readonly gradient: Tensor;
  /** What the pass changes besides. */
  readonly updates: Updates;
  /** Loss, correct predictions, elements of the gradient that are no number. */
  readonly records: readonly Tensor[];
}

function traceStep(
  training: Training,
  packed: PackedParameters,
  size: number,
  train: boolean,
): TracedStep {
  const { model, config, trainIndex } = training;
  const [index, count] = [input([size]), input([1])];
  const draws = new Draws(new Random(config.seed).fork("training"), count);
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

async function wholeStep(
  training: Training,
  packed: PackedParameters,
  size: number,
  train: boolean,
  made: Program[],
): Promise<MainStep> {
  const { index, count, gradient, updates, records } = traceStep(training, packed, size, train);
  const lr = input([1]);
  const program = await compile(training.device, {
    name: `train step, batch ${size}`,
    inputs: [index, lr, count],
    updates: new Map([...updates, [packed.block, sgd(packed, gradient, lr, training.config)]]),
    records,
  });
  made.push(program);
  return {
    run: (picks, rate, step) => program.run([picks, Float32Array.of(rate), Float32Array.of(step)]),
    figures: async () => readFigures(await program.drain()),
    release: () => {},
  };
}

/** Micro-batches add their shares to a sum of gradients, which the optimiser then descends. */
async function splitStep(
  { device, config, ...rest }: Training,
  packed: PackedParameters,
  { size, train, micro }: StepSpec,
  made: Program[],
): Promise<MainStep> {
  const training = { device, config, ...rest };
  const total = new Parameter([packed.length], 0);
  const parts = Array<number>(Math.floor(size / micro)).fill(micro);
  if (size % micro > 0) parts.push(size % micro);
  const programs = new Map<number, Program>();
  for (const part of new Set(parts)) {
    const traced = traceStep(training, packed, part, train);
    const share = add(total.tensor, scale(traced.gradient, part / size));
    const program = await compile(device, {
      name: `train step, micro-batch ${part} of ${size}`,
      inputs: [traced.index, traced.count],
      updates: new Map([...traced.updates, [total, share]]),
      records: traced.records,
    });
    made.push(program);
    programs.set(part, program);
  }
  const lr = input([1]);
  const descend = await compile(device, {
    name: "descend",
    inputs: [lr],
    updates: new Map<Parameter, Tensor>([
      [packed.block, sgd(packed, total.tensor, lr, config)],
      [total, constant(0, total.shape)],
    ]),
  });
  made.push(descend);
  return {
    run(index, rate, step): void {
      let at = 0;
      parts.forEach((part, i) => {
        const count = Float32Array.of(step * parts.length + i);
        programs.get(part)?.run([index.subarray(at, at + part), count]);
        at += part;
      });
      descend.run([Float32Array.of(rate)]);
    },
    async figures(): Promise<StepFigures[]> {
      const drained = await drainAll(device, [...programs.values()]);
      const queues = new Map([...programs.keys()].map((part, i) => [
        part,
        readFigures(drained[i] ?? []),
      ]));
      const steps = (queues.get(micro)?.length ?? 0) / parts.filter((p) => p === micro).length;
      return Array.from({ length: steps }, () => joinFigures(parts, size, queues));
    },
    release: () => release(device, [total]),
  };
}

/** Takes the next figures of every part of a step, and joins them by their shares. */
function joinFigures(
  parts: readonly number[],
  size: number,
  queues: ReadonlyMap<number, StepFigures[]>,
): StepFigures {
  let [loss, correct, nonFinite] = [0, 0, 0];
  for (const part of parts) {
    const next = queues.get(part)?.shift();
    loss += (next?.loss ?? NaN) * part / size;
    correct += next?.correct ?? 0;
    nonFinite += next?.nonFinite ?? 0;
  }
  return { loss, correct, nonFinite };
}

function readFigures(records: readonly Float32Array[]): StepFigures[] {
  const [loss = new Float32Array(), correct, bad] = records;
  return Array.from(loss, (value, i) => ({
    loss: value,
    correct: correct?.[i] ?? 0,
    nonFinite: bad?.[i] ?? 0,
  }));
}

/** What the model does after each step of the optimiser, if anything. */
async function followingStep(
  training: Training,
  size: number,
  made: Program[],
): Promise<Program | undefined> {
  const { device, model, config } = training;
  if (!model.afterStep) return undefined;
  const [index, count] = [input([size]), input([1])];
  const draws = new Draws(new Random(config.seed).fork("training"), count);
  const images = augmented(training, index, draws);
  const program = await compile(device, {
    name: `after the step, batch ${size}`,
    inputs: [index, count],
    updates: model.afterStep(images, training.train.labels(index)),
  });
  made.push(program);
  return program;
}
