/**
 * Training: epochs of SGD over a resident data set, with checkpoints that resume bit for bit.
 *
 * @module
 */
import { makeFolder, removeFile } from "../base/atomic.ts";
import { checkpointPaths, loadCheckpoint, saveCheckpoint } from "../checkpoint/checkpoint.ts";
import { progressOf, readExtras } from "../checkpoint/stored.ts";
import {
  type Account,
  bestEpoch,
  type EpochFigures,
  type Statement,
} from "../checkpoint/statement.ts";
import { UserError } from "../base/errors.ts";
import { display } from "../base/files.ts";
import { explainPrograms } from "../evaluate/explain.ts";
import { type Model, single } from "../methods/mod.ts";
import { accuracy, nanRows } from "../measure/metrics.ts";
import {
  compile,
  Draws,
  input,
  Pace,
  type PackedParameters,
  Parameter,
  type Program,
  pull,
  push,
  Random,
  stepDecay,
  type Tensor,
} from "../nn/mod.ts";
import { predictor } from "../evaluate/predict.ts";
import { accountOf } from "./account.ts";
import { keep } from "../base/stopping.ts";
import { augmented, firstLearner, type Learner, type Training } from "./step.ts";
import { compileSteppers, type EpochSteppers, type Stepper, stepSizes } from "./stepper.ts";

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
  const histories = await resumeAll(training, packed);
  const first = histories[0]?.length ?? 0;
  if (first >= epochs) return histories.map(summary);
  if (first > 0) keep("epochs");
  if (first > 0) reporter.note(`Resuming after epoch ${first} of ${epochs}`);

  for (const learner of learners) {
    await makeFolder(learner.folder);
    if (first === 0) await begin(training, learner);
  }
  using steppers = await compileSteppers(training, packed);
  await explainPrograms(steppers.programs, config, reporter);
  using selectors = new DisposableStack();
  const selections: { readonly learner: Learner; readonly score: () => Promise<number> }[] = [];
  for (const learner of learners) {
    selections.push({ learner, score: await selectionScore(training, learner, selectors) });
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
      training.check?.();
      for (const [copy, learner] of learners.entries()) {
        const [history, own, score = NaN] = [histories[copy], figures[copy], scores[copy]];
        if (!history || !own) throw new Error("Unreachable: a learner without figures");
        await conclude(
          training,
          learner,
          epoch,
          { history, own, score },
          (path, statement) =>
            saveCheckpoint(learner.model, path, statement, velocities(packed, copy)),
        );
      }
      keep(epoch + 1 < epochs ? "epochs" : "models");
    }
  } finally {
    bar.stop();
  }
  return histories.map(summary);
}

/** Records what an epoch of a learner came to, and leaves its checkpoints. */
async function conclude(
  training: Training,
  learner: Learner,
  epoch: number,
  { history, own, score }: {
    readonly history: EpochFigures[];
    readonly own: EpochMeans;
    readonly score: number;
  },
  saveLast: (path: string, statement: Statement) => Promise<void>,
): Promise<void> {
  const { model, seed, folder } = learner;
  if (!Number.isFinite(score) || !isSound(model)) throw broken(epoch);
  const before = summary(history).best.accuracy;
  const { imagesPerSecond, ...means } = own;
  history.push({ epoch, ...means, accuracy: score });
  const rates = { imagesPerSecond, accuracy: score };
  training.reporter.record?.({ event: "epoch", seed, epoch, ...means, ...rates });
  const statement = { ...accountFor(training, learner), history: [...history] };
  const paths = checkpointPaths(folder);
  if (score > before) await saveCheckpoint(model, paths.best, statement);
  await saveLast(paths.last, { ...statement, targetEpochs: training.epochs });
}

/** Puts a learner at the start of a training. */
async function begin(training: Training, learner: Learner): Promise<void> {
  const { model, seed, trainIndex, folder } = learner;
  // A last model that lacks its best must not lie beside the first best of the training that begins.
  await removeFile(checkpointPaths(folder).last);
  const draws = new Draws(new Random(seed).fork("initialise"));
  const images = (index: Tensor): Tensor => augmented(training, index, draws);
  await model.initialise?.({ device: training.device, trainIndex, images });
}

/** What the best epoch is chosen by: accuracy on the selection; NaN where no image has an answer. */
async function selectionScore(
  { device, reporter }: Training,
  { model, seed, selection }: Learner,
  owner: DisposableStack,
): Promise<() => Promise<number>> {
  const selector = owner.use(
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
  return async () => {
    const { predictions } = await selector.run();
    return nanRows(predictions) < selection.set.count
      ? accuracy(predictions, selection.set.labels)
      : NaN;
  };
}

function trainable({ state }: Model): Parameter[] {
  return [...state.values()].filter((p) => p.trainable);
}

function summary(history: readonly EpochFigures[]): Trained {
  return { epochs: history, best: bestEpoch(history) };
}

/** Means over an epoch's steps, and how fast they were. */
type EpochMeans = Omit<EpochFigures, "epoch" | "accuracy"> & { readonly imagesPerSecond: number };

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
): Promise<EpochMeans[]> {
  const { config, fixedOrder, learners } = training;
  const orders = ordersOf(training, epoch);
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
      epoch: `${epoch + 1}`,
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

/** The images of an epoch in the order of each learner. */
function ordersOf({ learners, fixedOrder }: Training, epoch: number): readonly Uint32Array[] {
  return learners.map(({ seed, trainIndex }) => {
    const order = new Random(seed).fork(`order of epoch ${fixedOrder ? 0 : epoch}`);
    return order.permutation(trainIndex.length).map((pick) => trainIndex[pick] ?? 0);
  });
}

function notFinite(loss: number, epoch: number, step: number): UserError {
  const what = Number.isFinite(loss) ? "a gradient" : "the loss";
  const state = Number.isNaN(loss) || Number.isFinite(loss) ? "NaN" : "infinite";
  return new UserError(
    `Cannot continue training: ${what} is ${state} in epoch ${epoch + 1}, step ${step + 1}; ` +
      "use a smaller --lr; the last good checkpoint is kept",
  );
}

/** Whether every number of a model's state on the host is one. */
function isSound({ state }: Model): boolean {
  return [...state.values()].every(({ data }) => data.every(Number.isFinite));
}

/** The last step of an epoch can break a model without a loss that shows it. */
function broken(epoch: number): UserError {
  return new UserError(
    `Cannot continue training: after epoch ${
      epoch + 1
    } the model's weights or all its answers are no ` +
      "numbers; use a smaller --lr; the last good checkpoint is kept",
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

/** Puts every learner where its folder's checkpoints stand, and says which epochs are behind them. */
async function resumeAll(
  training: Training,
  packed: PackedParameters,
): Promise<EpochFigures[][]> {
  const histories: EpochFigures[][] = [];
  for (const [copy, learner] of training.learners.entries()) {
    histories.push([...await resume(training, learner, packed, copy)]);
  }
  if (new Set(histories.map(({ length }) => length)).size > 1) {
    throw new Error("Unreachable: models that learn together have as many epochs behind them");
  }
  return histories;
}

/** Puts a learner where its folder's checkpoints stand, and says which epochs are behind it. */
async function resume(
  training: Training,
  learner: Learner,
  packed: PackedParameters,
  copy: number,
): Promise<readonly EpochFigures[]> {
  const { device, reporter } = training;
  const { model, folder } = learner;
  const { best, last } = checkpointPaths(folder);
  const { history, bestIsThere } = await progressOf(folder, accountFor(training, learner));
  if (history.length === 0) return [];
  const extras = await readExtras(last);
  const { statement } = await loadCheckpoint(model, last);
  const velocity = extras?.arrays.get("optimizer.velocity");
  if (velocity?.length !== packed.length || !statement) {
    throw new UserError(
      `Cannot resume from "${
        display(last)
      }": it holds no optimiser state; delete it to train afresh`,
    );
  }
  if (!bestIsThere) {
    const { targetEpochs: _, ...own } = statement;
    await saveCheckpoint(model, best, own);
    reporter.note(`The best model in ${folder} was missing: it is that of the last epoch`);
  }
  packed.block.data.set(velocity, velocitiesAt(packed, copy));
  push(device, [...model.state.values(), packed.block]);
  return history;
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

function accountFor(
  { config, procedure, train: { set }, batchSize, augment }: Training,
  { model: { name: network }, seed }: Learner,
): Account {
  return accountOf({ config, procedure, network, seed, set, batchSize, augment });
}
