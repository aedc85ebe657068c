/**
 * Training: epochs of SGD over a resident data set, with checkpoints that resume bit for bit.
 *
 * @module
 */
import { makeFolder } from "./atomic.ts";
import {
  checkpointPaths,
  loadCheckpoint,
  readExtras,
  saveCheckpoint,
} from "./checkpoint/checkpoint.ts";
import type { RunConfig } from "./config.ts";
import type { ResidentSet } from "./dataset.ts";
import { UserError } from "./errors.ts";
import { type Model, single } from "./methods/mod.ts";
import { accuracy } from "./metrics.ts";
import {
  argmax,
  compile,
  type Device,
  Draws,
  equal,
  grad,
  input,
  nonFinite,
  type PackedParameters,
  Parameter,
  Pass,
  type Program,
  pull,
  push,
  Random,
  sgd,
  stepDecay,
  sum,
} from "./nn/mod.ts";
import { flatGradient } from "./nn/optim.ts";
import { Pace } from "./pace.ts";
import { predictor } from "./predict.ts";
import type { Reporter } from "./reporter.ts";
import type { TrainResult } from "./results.ts";
import { versions } from "./version.ts";

/** Figures of one epoch. */
export type EpochFigures = TrainResult["members"][number]["epochs"][number];

/** What a training needs. */
export interface Training {
  readonly device: Device;
  readonly model: Model;
  /** Its seed is the model's. */
  readonly config: RunConfig;
  /** Whether every epoch sees the images in the same order. */
  readonly fixedOrder: boolean;
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

/** Epochs from which on the learning rate is divided by ten once more. */
const milestones = [30, 60];

/** What a training leaves: figures of every epoch, those before a resumption too. */
export interface Trained {
  readonly epochs: readonly EpochFigures[];
  readonly best: { readonly epoch: number; readonly accuracy: number };
}

/**
 * Trains until `epochs`, from the last checkpoint on where there is one. Afterwards the model is in
 * the state of the last epoch.
 *
 * @throws UserError when the loss or a gradient is no number, naming epoch and step
 */
export async function fit(training: Training): Promise<Trained> {
  const { device, model, config, epochs, folder, reporter } = training;
  const paths = checkpointPaths(folder);
  const trainable = [...model.state.values()].filter((p) => p.trainable);
  const packed = Parameter.pack(trainable, 2);
  const history = await resume(training, packed, paths.last);
  if (history.length >= epochs) return summary(history);

  await makeFolder(folder);
  const { trainIndex } = training;
  if (history.length === 0) {
    const { train } = training;
    await model.initialise?.({ device, trainIndex, images: (index) => train.images(index) });
  }
  const programs = new Map<number, TrainPrograms>();
  for (const size of new Set(stepSizes(training))) {
    programs.set(size, await trainPrograms(training, packed, size));
  }
  if (config.explain) {
    programs.forEach(({ step, after }) => {
      reporter.note(step.toString());
      if (after) reporter.note(after.toString());
    });
  }
  using selector = await predictor({
    device,
    reporter,
    subject: single([model]),
    seed: config.seed,
    set: training.selection,
    batchSize: 200,
    explain: false,
  });
  const bar = reporter.progress(training.title, (epochs - history.length) * trainIndex.length);
  const first = history.length;
  try {
    for (let epoch = first; epoch < epochs; epoch++) {
      model.beginEpoch?.(device);
      const figures = await runEpoch(training, programs, epoch, (done, fields) => {
        bar.update((epoch - first) * trainIndex.length + done, fields);
      });
      await gatherCleanly(training);
      await model.finish?.(device);
      const { predictions } = await selector.run();
      const score = accuracy(predictions, training.selection.set.labels);
      const before = summary(history).best.accuracy;
      history.push({ epoch, ...figures, accuracy: score });
      await pull(device, [...model.state.values(), packed.block]);
      const metadata = describeTraining(training, history);
      if (score > before) await saveCheckpoint(model, paths.best, metadata);
      await saveCheckpoint(model, paths.last, metadata, velocities(packed));
    }
  } finally {
    bar.stop();
    programs.forEach(({ step, after }) => {
      step[Symbol.dispose]();
      after?.[Symbol.dispose]();
    });
  }
  return summary(history);
}

function summary(history: readonly EpochFigures[]): Trained {
  let best = { epoch: -1, accuracy: -1 };
  for (const { epoch, accuracy } of history) {
    if (accuracy > best.accuracy) best = { epoch, accuracy };
  }
  return { epochs: history, best };
}

/** Sizes of an epoch's steps, in order. */
function stepSizes({ batchSize, trainIndex, dropLast }: Training): number[] {
  const sizes = Array<number>(Math.floor(trainIndex.length / batchSize)).fill(batchSize);
  const rest = trainIndex.length % batchSize;
  return rest > 0 && (!dropLast || sizes.length === 0) ? [...sizes, rest] : sizes;
}

/** A training step compiled for one batch size, and what follows each. */
interface TrainPrograms {
  readonly step: Program;
  readonly after?: Program;
}

async function trainPrograms(
  { device, model, config, train, trainIndex }: Training,
  packed: PackedParameters,
  size: number,
): Promise<TrainPrograms> {
  const [index, lr, count] = [input([size]), input([1]), input([1])];
  const pass = new Pass(true, new Draws(new Random(config.seed).fork("training"), count));
  const [images, labels] = [train.images(index), train.labels(index)];
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
  return { step, after: await compile(device, { name, inputs: [index], updates: following }) };
}

/** One pass over the training set; figures are read a few times a second, never per step. */
async function runEpoch(
  training: Training,
  programs: ReadonlyMap<number, TrainPrograms>,
  epoch: number,
  progress: (done: number, fields: Record<string, string>) => void,
): Promise<Omit<EpochFigures, "epoch" | "accuracy">> {
  const { config, fixedOrder, trainIndex } = training;
  const order = new Random(config.seed).fork(`order of epoch ${fixedOrder ? 0 : epoch}`)
    .permutation(
      trainIndex.length,
    );
  const lr = stepDecay(config.lr, epoch, milestones);
  const started = performance.now();
  const pace = new Pace();
  let [done, seen, steps, losses, correct] = [0, 0, 0, 0, 0];
  let firstStep = 0;
  const settle = async (program: Program, size: number): Promise<void> => {
    const none = new Float32Array();
    const [loss = none, right = none, bad = none] = await program.drain();
    loss.forEach((value, i) => {
      if (Number.isFinite(value) && bad[i] === 0) return;
      const what = Number.isFinite(value) ? "a gradient" : "the loss";
      const state = Number.isNaN(value) || Number.isFinite(value) ? "NaN" : "infinite";
      throw new UserError(
        `Cannot continue training: ${what} is ${state} in epoch ${epoch}, step ${firstStep + i}; ` +
          "use a smaller --lr; the last good checkpoint is kept",
      );
    });
    losses += loss.reduce((a, b) => a + b, 0);
    correct += right.reduce((a, b) => a + b, 0);
    firstStep += loss.length;
    steps += loss.length;
    seen += size * loss.length;
    const speed = 1000 * done / (performance.now() - started);
    progress(done, {
      epoch: `${epoch}`,
      loss: (losses / steps).toFixed(4),
      accuracy: (correct / seen).toFixed(4),
      speed: `${speed.toFixed(0)} images/s`,
    });
  };
  const sizes = stepSizes(training);
  for (const [i, size] of sizes.entries()) {
    const index = Float32Array.from(
      order.subarray(done, done + size),
      (pick) => trainIndex[pick] ?? 0,
    );
    const chosen = programs.get(size);
    if (!chosen) throw new Error(`Unreachable: no program for ${size} images`);
    const count = epoch * sizes.length + i;
    chosen.step.run([index, Float32Array.of(lr), Float32Array.of(count)]);
    chosen.after?.run([index]);
    done += size;
    if (pace.due() || sizes[i + 1] !== size) {
      await settle(chosen.step, size);
      pace.rest();
    }
  }
  return {
    lr,
    loss: losses / steps,
    trainAccuracy: correct / seen,
    imagesPerSecond: 1000 * done / (performance.now() - started),
  };
}

/** The corrected protocol's clean pass: statistics of the final weights over the training set. */
async function gatherCleanly({ device, model, train, trainIndex }: Training): Promise<void> {
  if (!model.gather) return;
  model.beginEpoch?.(device);
  const size = 200;
  const programs = new Map<number, Program>();
  try {
    for (let start = 0; start < trainIndex.length; start += size) {
      const picks = Float32Array.from(trainIndex.subarray(start, start + size));
      let program = programs.get(picks.length);
      if (!program) {
        const index = input([picks.length]);
        const updates = model.gather(train.images(index));
        program = await compile(device, { name: "gather", inputs: [index], updates });
        programs.set(picks.length, program);
      }
      program.run([picks]);
    }
    await device.idle();
  } finally {
    programs.forEach((p) => p[Symbol.dispose]());
  }
}

async function resume(
  { device, model, epochs, reporter }: Training,
  packed: PackedParameters,
  path: string,
): Promise<EpochFigures[]> {
  const extras = await readExtras(path);
  if (!extras) return [];
  await loadCheckpoint(model, path);
  const velocity = extras.arrays.get("optimizer.velocity");
  if (velocity?.length !== packed.length) {
    throw new UserError(
      `Cannot resume from "${path}": it holds no optimiser state; delete it to train afresh`,
    );
  }
  packed.block.data.set(velocity, packed.length);
  push(device, [...model.state.values(), packed.block]);
  const history: unknown = JSON.parse(extras.metadata["history"] ?? "[]");
  if (!Array.isArray(history)) {
    throw new UserError(`Cannot resume from "${path}": its history is damaged; delete it`);
  }
  if (history.length < epochs) reporter.note(`Resuming after epoch ${history.length} of ${epochs}`);
  return history as EpochFigures[];
}

function velocities(packed: PackedParameters): Map<string, Float32Array> {
  const block = packed.block.data;
  return new Map([["optimizer.velocity", Float32Array.from(block.subarray(packed.length))]]);
}

function describeTraining(
  { config, epochs, train }: Training,
  history: readonly EpochFigures[],
): Record<string, string> {
  const last = history.at(-1);
  return {
    format: "mirage/checkpoint@1",
    config: JSON.stringify(config),
    targetEpochs: String(epochs),
    epoch: String(last?.epoch ?? -1),
    accuracy: String(last?.accuracy ?? 0),
    history: JSON.stringify(history),
    data: `${train.set.name} ${train.set.sha256}`,
    versions: JSON.stringify(versions()),
  };
}
