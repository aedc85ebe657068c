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
import { UserError } from "./errors.ts";
import { explainPrograms } from "./explain.ts";
import { single } from "./methods/mod.ts";
import { accuracy } from "./metrics.ts";
import {
  compile,
  Draws,
  input,
  type PackedParameters,
  Parameter,
  type Program,
  pull,
  push,
  Random,
  stepDecay,
  type Tensor,
} from "./nn/mod.ts";
import { Pace } from "./pace.ts";
import { predictor } from "./predict.ts";
import type { TrainResult } from "./results.ts";
import { augmented, type Training } from "./trace_step.ts";
import { compileSteppers, type EpochSteppers, type Stepper, stepSizes } from "./train_step.ts";
import { versions } from "./version.ts";

/** Figures of one epoch. */
export type EpochFigures = TrainResult["members"][number]["epochs"][number];

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
    const draws = new Draws(new Random(config.seed).fork("initialise"));
    const images = (index: Tensor): Tensor => augmented(training, index, draws);
    await model.initialise?.({ device, trainIndex, images });
  }
  using steppers = await compileSteppers(training, packed);
  await explainPrograms(steppers.programs, config, reporter);
  using selector = await predictor({
    device,
    reporter,
    subject: single([model]),
    seed: config.seed,
    set: training.selection,
    batchSize: 200,
    explain: { explain: false, time: false },
  });
  const bar = reporter.progress(training.title, (epochs - history.length) * trainIndex.length);
  const first = history.length;
  try {
    for (let epoch = first; epoch < epochs; epoch++) {
      model.beginEpoch?.(device);
      const figures = await runEpoch(training, steppers, epoch, (done, fields) => {
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

/** One pass over the training set; figures are read a few times a second, never per step. */
async function runEpoch(
  training: Training,
  steppers: EpochSteppers,
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
  const settle = async (step: Stepper, size: number): Promise<void> => {
    const figures = await step.figures();
    figures.forEach(({ loss, nonFinite }, i) => {
      if (Number.isFinite(loss) && nonFinite === 0) return;
      const what = Number.isFinite(loss) ? "a gradient" : "the loss";
      const state = Number.isNaN(loss) || Number.isFinite(loss) ? "NaN" : "infinite";
      throw new UserError(
        `Cannot continue training: ${what} is ${state} in epoch ${epoch}, step ${firstStep + i}; ` +
          "use a smaller --lr; the last good checkpoint is kept",
      );
    });
    for (const { loss, correct: right } of figures) {
      losses += loss;
      correct += right;
    }
    firstStep += figures.length;
    steps += figures.length;
    seen += size * figures.length;
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
    const step = steppers.of(size, i === 0);
    step.run(index, lr, i + (fixedOrder ? 0 : epoch * sizes.length));
    done += size;
    // The next step may be another program, whose figures are read apart.
    const turns = sizes[i + 1] !== size || (i === 0 && training.evalAfterFirstStep);
    if (pace.due() || turns) {
      await settle(step, size);
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
