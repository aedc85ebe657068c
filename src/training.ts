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
import type { Model } from "./methods/mod.ts";
import { accuracy } from "./metrics.ts";
import {
  argmax,
  compile,
  type Device,
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
export type EpochFigures = TrainResult["epochs"][number];

/** What a training needs. */
export interface Training {
  readonly device: Device;
  readonly model: Model;
  readonly config: RunConfig;
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
  const programs = new Map<number, TrainProgram>();
  const { batchSize, trainIndex } = training;
  const remainder = trainIndex.length % batchSize;
  for (const size of [batchSize, remainder]) {
    if (size > 0 && size <= trainIndex.length) {
      programs.set(size, await trainProgram(training, packed, size));
    }
  }
  if (config.explain) programs.forEach(({ program }) => reporter.note(program.toString()));
  using selector = await predictor({
    ...training,
    set: training.selection,
    batchSize: 200,
    explain: false,
  });
  const bar = reporter.progress("train", (epochs - history.length) * trainIndex.length);
  const first = history.length;
  try {
    for (let epoch = first; epoch < epochs; epoch++) {
      model.beginEpoch?.(device);
      const figures = await runEpoch(training, programs, epoch, (done, fields) => {
        bar.update((epoch - first) * trainIndex.length + done, fields);
      });
      await gatherCleanly(training);
      await model.finish?.(device);
      const score = accuracy(await selector.run(), training.selection.set.labels);
      const before = summary(history).best.accuracy;
      history.push({ epoch, ...figures, accuracy: score });
      await pull(device, [...model.state.values(), packed.block]);
      const metadata = describeTraining(training, history);
      if (score > before) await saveCheckpoint(model, paths.best, metadata);
      await saveCheckpoint(model, paths.last, metadata, velocities(packed));
    }
  } finally {
    bar.stop();
    programs.forEach(({ program }) => program[Symbol.dispose]());
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

/** A compiled training step for one batch size. */
interface TrainProgram {
  readonly program: Program;
  readonly size: number;
}

async function trainProgram(
  { device, model, config, train }: Training,
  packed: PackedParameters,
  size: number,
): Promise<TrainProgram> {
  const [index, lr] = [input([size]), input([1])];
  const pass = new Pass(true);
  const labels = train.labels(index);
  const { loss, logits } = model.train(train.images(index), labels, pass);
  const gradients = grad(loss, packed.parameters.map((p) => p.tensor));
  const updates = new Map(pass.updates);
  updates.set(packed.block, sgd(packed, gradients, lr, config));
  const program = await compile(device, {
    name: `train step, batch ${size}`,
    inputs: [index, lr],
    updates,
    records: [
      loss,
      sum(equal(argmax(logits), labels)),
      sum(nonFinite(flatGradient(packed, gradients))),
    ],
  });
  return { program, size };
}

/** One pass over the training set; figures are read a few times a second, never per step. */
async function runEpoch(
  { config, trainIndex, batchSize }: Training,
  programs: ReadonlyMap<number, TrainProgram>,
  epoch: number,
  progress: (done: number, fields: Record<string, string>) => void,
): Promise<Omit<EpochFigures, "epoch" | "accuracy">> {
  const order = new Random(config.seed).fork(`order of epoch ${epoch}`).permutation(
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
  for (let start = 0; start < order.length; start += batchSize) {
    const picks = order.subarray(start, start + batchSize);
    const index = Float32Array.from(picks, (i) => trainIndex[i] ?? 0);
    const chosen = programs.get(picks.length);
    if (!chosen) throw new Error(`Unreachable: no program for ${picks.length} images`);
    chosen.program.run([index, Float32Array.of(lr)]);
    done += picks.length;
    const isLast = start + batchSize >= order.length || order.length - done < batchSize;
    if (pace.due() || isLast) {
      await settle(chosen.program, chosen.size);
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
