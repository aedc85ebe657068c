/**
 * The steps of a training, compiled: one for each size of a batch, whole or in micro-batches.
 *
 * @module
 */
import {
  compile,
  Draws,
  halving,
  input,
  type PackedParameters,
  type Program,
  Random,
  sgd,
} from "../nn/mod.ts";
import { splitStep } from "./micro_batches.ts";
import {
  augmented,
  firstLearner,
  type MainStep,
  readFigures,
  type StepFigures,
  type StepSpec,
  traceStep,
  type Training,
} from "./step.ts";

/** Sizes of an epoch's steps, in order. */
export function stepSizes(training: Training): number[] {
  const { batchSize, dropLast } = training;
  const { trainIndex } = firstLearner(training);
  const sizes = Array<number>(Math.floor(trainIndex.length / batchSize)).fill(batchSize);
  const rest = trainIndex.length % batchSize;
  return rest > 0 && (!dropLast || sizes.length === 0) ? [...sizes, rest] : sizes;
}

/** A training step compiled for a number of images. */
export interface Stepper extends Disposable {
  readonly programs: readonly Program[];
  /**
   * @param index of every learner's images, one learner after the other
   * @param count number of the step: random numbers depend on it
   */
  run(index: Float32Array, lr: number, count: number): void;
  /** Figures of every learner's steps since they were last asked for. */
  figures(): Promise<StepFigures[][]>;
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

async function wholeStep(
  training: Training,
  packed: PackedParameters,
  size: number,
  train: boolean,
  made: Program[],
): Promise<MainStep> {
  const { index, count, gradient, updates, records } = traceStep(training, packed, size, train);
  const copies = training.learners.length;
  const lr = input([1]);
  const program = await compile(training.device, {
    name: `train step, batch ${size}`,
    inputs: [index, lr, count],
    updates: new Map([...updates, [packed.block, sgd(packed, gradient, lr, training.config)]]),
    records,
    copies,
  });
  made.push(program);
  return {
    run: (picks, rate, step) => program.run([picks, Float32Array.of(rate), Float32Array.of(step)]),
    figures: async () => readFigures(await program.drain(), copies),
    release: () => {},
  };
}

/** What the model does after each step of the optimiser, if anything. */
async function followingStep(
  training: Training,
  size: number,
  made: Program[],
): Promise<Program | undefined> {
  const { device } = training;
  const { model, seed } = firstLearner(training);
  if (!model.afterStep) return undefined;
  const [index, count] = [input([size]), input([1])];
  const draws = new Draws(new Random(seed).fork("training"), count);
  const images = augmented(training, index, draws);
  const program = await compile(device, {
    name: `after the step, batch ${size}`,
    inputs: [index, count],
    updates: model.afterStep(images, training.train.labels(index)),
  });
  made.push(program);
  return program;
}
