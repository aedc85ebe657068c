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
import { type Model, single } from "./methods/mod.ts";
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
import { augmented, firstLearner, type Learner, type Training } from "./trace_step.ts";
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
 * Trains until `epochs`, from the last checkpoints on where there are some: every learner has as many
 * epochs behind it. Afterwards the models are in the state of the last epoch.
 *
 * @returns what each learner's training left
 * @throws UserError when the loss or a gradient is no number, naming epoch and step
 */
export async function fit(training: Training): Promise<Trained[]> {
  const { device, learners, config, epochs, reporter } = training;
  const packed = Parameter.packCopies(learners.map(({ model }) => trainable(model)), 2);
  const histories: EpochFigures[][] = [];
  for (const [copy, learner] of learners.entries()) {
    histories.push(await resume(training, learner, packed, copy));
  }
  const first = histories[0]?.length ?? 0;
  if (histories.some((history) => history.length !== first)) {
    throw new Error("Unreachable: models that learn together have as many epochs behind them");
  }
  if (first >= epochs) return histories.map(summary);
  if (first > 0) reporter.note(`Resuming after epoch ${first} of ${epochs}`);

  for (const { model, seed, trainIndex, folder } of learners) {
    await makeFolder(folder);
    if (first > 0) continue;
    const draws = new Draws(new Random(seed).fork("initialise"));
    const images = (index: Tensor): Tensor => augmented(training, index, draws);
    await model.initialise?.({ device, trainIndex, images });
  }
  using steppers = await compileSteppers(training, packed);
  await explainPrograms(steppers.programs, config, reporter);
  using selectors = new DisposableStack();
  const selections: { readonly learner: Learner; readonly score: () => Promise<number> }[] = [];
  for (const learner of learners) {
    const { model, seed, selection } = learner;
    const selector = selectors.use(
      await predictor({
        device,
        reporter,
        subject: single([model]),
        seed,
        set: selection,
        batchSize: 200,
        explain: { explain: false, time: false },
      }),
    );
    const score = async (): Promise<number> =>
      accuracy((await selector.run()).predictions, selection.set.labels);
    selections.push({ learner, score });
  }
  const { trainIndex } = firstLearner(training);
  const bar = reporter.progress(training.title, (epochs - first) * trainIndex.length);
  try {
    for (let epoch = first; epoch < epochs; epoch++) {
      for (const { model } of learners) model.beginEpoch?.(device);
      const figures = await runEpoch(training, steppers, epoch, (done, fields) => {
        bar.update((epoch - first) * trainIndex.length + done, fields);
      });
      await gatherCleanly(training);
      const scores: number[] = [];
      for (const { learner, score } of selections) {
        await learner.model.finish?.(device);
        scores.push(await score());
      }
      await pull(device, [
        ...learners.flatMap(({ model }) => [...model.state.values()]),
        packed.block,
      ]);
      for (const [copy, learner] of learners.entries()) {
        const [history = [], own] = [histories[copy], figures[copy]];
        if (!own) throw new Error("Unreachable: a learner without figures");
        const score = scores[copy] ?? NaN;
        const before = summary(history).best.accuracy;
        history.push({ epoch, ...own, accuracy: score });
        reporter.record?.({ event: "epoch", seed: learner.seed, epoch, ...own, accuracy: score });
        const { model } = learner;
        const paths = checkpointPaths(learner.folder);
        const metadata = describeTraining(training, learner, history);
        if (score > before) await saveCheckpoint(model, paths.best, metadata);
        await saveCheckpoint(model, paths.last, metadata, velocities(packed, copy));
      }
    }
  } finally {
    bar.stop();
  }
  return histories.map(summary);
}

function trainable({ state }: Model): Parameter[] {
  return [...state.values()].filter((p) => p.trainable);
}

function summary(history: readonly EpochFigures[]): Trained {
  let best = { epoch: -1, accuracy: -1 };
  for (const { epoch, accuracy } of history) {
    if (accuracy > best.accuracy) best = { epoch, accuracy };
  }
  return { epochs: history, best };
}

/** What has come together of one learner's epoch. */
interface Sums {
  loss: number;
  correct: number;
}

/** One pass over the training set; figures are read a few times a second, never per step. */
async function runEpoch(
  training: Training,
  steppers: EpochSteppers,
  epoch: number,
  progress: (done: number, fields: Record<string, string>) => void,
): Promise<Omit<EpochFigures, "epoch" | "accuracy">[]> {
  const { config, fixedOrder, learners } = training;
  const orders = learners.map(({ seed, trainIndex }) => {
    const order = new Random(seed).fork(`order of epoch ${fixedOrder ? 0 : epoch}`);
    return order.permutation(trainIndex.length).map((pick) => trainIndex[pick] ?? 0);
  });
  const lr = stepDecay(config.lr, epoch, milestones);
  const started = performance.now();
  const pace = new Pace();
  const sums = learners.map((): Sums => ({ loss: 0, correct: 0 }));
  let [done, seen, steps] = [0, 0, 0];
  const settle = async (step: Stepper, size: number): Promise<void> => {
    const figures = await step.figures();
    figures.forEach((own, copy) => {
      const sum = sums[copy];
      own.forEach(({ loss, correct, nonFinite }, i) => {
        if (!Number.isFinite(loss) || nonFinite > 0) throw notFinite(loss, epoch, steps + i);
        if (!sum) return;
        sum.loss += loss;
        sum.correct += correct;
      });
    });
    const count = figures[0]?.length ?? 0;
    steps += count;
    seen += size * count;
    const speed = 1000 * learners.length * done / (performance.now() - started);
    const mean = (of: keyof Sums): number =>
      sums.reduce((total, sum) => total + sum[of], 0) / learners.length;
    progress(done, {
      epoch: `${epoch}`,
      loss: (mean("loss") / steps).toFixed(4),
      accuracy: (mean("correct") / seen).toFixed(4),
      speed: `${speed.toFixed(0)} images/s`,
    });
  };
  const sizes = stepSizes(training);
  for (const [i, size] of sizes.entries()) {
    const index = new Float32Array(learners.length * size);
    orders.forEach((order, copy) => index.set(order.subarray(done, done + size), copy * size));
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
  const imagesPerSecond = 1000 * learners.length * done / (performance.now() - started);
  return sums.map(({ loss, correct }) => ({
    lr,
    loss: loss / steps,
    trainAccuracy: correct / seen,
    imagesPerSecond,
  }));
}

function notFinite(loss: number, epoch: number, step: number): UserError {
  const what = Number.isFinite(loss) ? "a gradient" : "the loss";
  const state = Number.isNaN(loss) || Number.isFinite(loss) ? "NaN" : "infinite";
  return new UserError(
    `Cannot continue training: ${what} is ${state} in epoch ${epoch}, step ${step}; ` +
      "use a smaller --lr; the last good checkpoint is kept",
  );
}

/** The corrected protocol's clean pass: statistics of the final weights over the training set. */
async function gatherCleanly(training: Training): Promise<void> {
  const { device, train } = training;
  const { model, trainIndex } = firstLearner(training);
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
  { device }: Training,
  { model, folder }: Learner,
  packed: PackedParameters,
  copy: number,
): Promise<EpochFigures[]> {
  const path = checkpointPaths(folder).last;
  const extras = await readExtras(path);
  if (!extras) return [];
  await loadCheckpoint(model, path);
  const velocity = extras.arrays.get("optimizer.velocity");
  if (velocity?.length !== packed.length) {
    throw new UserError(
      `Cannot resume from "${path}": it holds no optimiser state; delete it to train afresh`,
    );
  }
  packed.block.data.set(velocity, velocitiesAt(packed, copy));
  push(device, [...model.state.values(), packed.block]);
  const history: unknown = JSON.parse(extras.metadata["history"] ?? "[]");
  if (!Array.isArray(history)) {
    throw new UserError(`Cannot resume from "${path}": its history is damaged; delete it`);
  }
  return history as EpochFigures[];
}

/** Where a learner's velocities start in the block: after its weights. */
function velocitiesAt({ length }: PackedParameters, copy: number): number {
  return (2 * copy + 1) * length;
}

function velocities(packed: PackedParameters, copy: number): Map<string, Float32Array> {
  const start = velocitiesAt(packed, copy);
  const own = packed.block.data.subarray(start, start + packed.length);
  return new Map([["optimizer.velocity", Float32Array.from(own)]]);
}

function describeTraining(
  { config, epochs, train }: Training,
  { seed }: Learner,
  history: readonly EpochFigures[],
): Record<string, string> {
  const last = history.at(-1);
  return {
    format: "mirage/checkpoint@1",
    config: JSON.stringify({ ...config, seed }),
    targetEpochs: String(epochs),
    epoch: String(last?.epoch ?? -1),
    accuracy: String(last?.accuracy ?? 0),
    history: JSON.stringify(history),
    data: `${train.set.name} ${train.set.sha256}`,
    versions: JSON.stringify(versions()),
  };
}
