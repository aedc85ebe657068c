/**
 * The experiments, top to bottom: train, evaluate, attack. Start reading here.
 *
 * @module
 */
import { join } from "node:path";
import { type ImageSet, limit, openPair } from "../data/mod.ts";
import { attacks, type AttackSettings } from "./attack/mod.ts";
import { checkpointPaths, loadCheckpoint, readExtras } from "./checkpoint.ts";
import { type RunConfig, thresholds } from "./config.ts";
import { ResidentSet } from "./dataset.ts";
import { UserError } from "./errors.ts";
import { type Method, methods, type Model } from "./methods/mod.ts";
import {
  accuracy,
  brier,
  entropy,
  type MeanOptions,
  nanRows,
  nll,
  type Predictions,
  rejectionRate,
} from "./metrics.ts";
import { type Device, openDevice, push, Random } from "./nn/mod.ts";
import { type Attacked, attackSet, type Job, predict } from "./predict.ts";
import { type Reporter, silent } from "./reporter.ts";
import {
  type AttackResult,
  attackResultSchema,
  type EvalResult,
  evalResultSchema,
  type InDomain,
  type TrainResult,
  trainResultSchema,
  type Uncertainty,
} from "./results.ts";
import { fit, type Trained } from "./training.ts";
import { versions } from "./version.ts";

/** Images in a training step, and in a step of evaluation or attack: the paper's. */
const trainBatch = 256;
const evalBatch = 200;

/**
 * Epochs where an attack or an evaluation has to train first and nobody says how many; the embedded
 * training set is small.
 */
const quickEpochs = { embedded: 20, downloaded: 10 } as const;

/**
 * Trains a model, resuming from its last checkpoint, and keeps the best and the last.
 *
 * @throws UserError for whatever a user can mend
 */
export async function train(
  config: RunConfig,
  reporter: Reporter = silent,
): Promise<TrainResult> {
  const clock = new Clock();
  using bench = await openWorkbench(config);
  const epochs = config.epochs ?? 80;
  const { trained, paths, set } = await trainModel(bench, epochs, reporter, clock);
  const last = trained.epochs.at(-1);
  return trainResultSchema.parse({
    schema: "mirage/train@1",
    ...common(bench, paths.best),
    data: { name: set.name, count: set.count, sha256: set.sha256 },
    epochs: trained.epochs,
    best: { ...trained.best, path: paths.best },
    last: { epoch: last?.epoch ?? 0, accuracy: last?.accuracy ?? 0, path: paths.last },
    seconds: { setup: clock.setup, train: clock.train },
  });
}

/**
 * Evaluates a model in-domain (accuracy, Brier, NLL) and out-domain (entropy, rejection), training it
 * first where there is no checkpoint.
 *
 * @throws UserError for whatever a user can mend
 */
export async function evaluate(
  config: RunConfig,
  reporter: Reporter = silent,
): Promise<EvalResult> {
  const clock = new Clock();
  using bench = await openWorkbench(config);
  const { checkpoint } = await findOrTrain(bench, reporter, clock);
  const { inDomain, outDomain, outSet } = await clock.time("work", async () => {
    const outSet = limited(await bench.pair.outDomain(), config);
    const predictions = await predict(job(bench, outSet, reporter));
    return {
      inDomain: await evaluateInDomain(bench, reporter),
      outDomain: uncertainty(predictions, meanOptions(config)),
      outSet,
    };
  });
  return evalResultSchema.parse({
    schema: "mirage/eval@1",
    ...common(bench, checkpoint),
    inDomain,
    outDomain: { name: outSet.name, count: outSet.count, ...outDomain },
    seconds: { setup: clock.setup, train: clock.train, eval: clock.work },
  });
}

/** What an attack run returns besides its document: example images for pictures. */
export interface AttackRun {
  readonly result: AttackResult;
  readonly attacked: Attacked;
  readonly outDomain: ImageSet;
}

/**
 * Attacks a model's uncertainty on the out-domain set, training it first where there is no checkpoint.
 *
 * @throws UserError for whatever a user can mend
 */
export async function attack(
  config: RunConfig,
  reporter: Reporter = silent,
): Promise<AttackResult> {
  return (await attackWithExamples(config, reporter, 0)).result;
}

/** As {@linkcode attack}, with the first `keep` images of the first batch, clean and attacked. */
export async function attackWithExamples(
  config: RunConfig,
  reporter: Reporter,
  keep: number,
): Promise<AttackRun> {
  const clock = new Clock();
  using bench = await openWorkbench(config);
  const { checkpoint } = await findOrTrain(bench, reporter, clock);
  const { method, model } = bench;
  const settings = attacks[method.attack].settings(config.epsilonAttack, {
    protocol: config.protocol,
    startNoise: method.startNoise,
  });
  const { inDomain, attacked, outDomain } = await clock.time("work", async () => {
    const outDomain = limited(await bench.pair.outDomain(), config);
    const attacked = await attackSet({
      ...job(bench, outDomain, reporter),
      settings,
      target: config.targeted,
      seed: config.seed,
      keep,
    });
    return { inDomain: await evaluateInDomain(bench, reporter), attacked, outDomain };
  });
  const mean = meanOptions(config);
  const { name, steps, stepSize, startNoise, projectStart } = settings;
  const result = attackResultSchema.parse({
    schema: "mirage/attack@1",
    ...common(bench, checkpoint),
    epsilonAttack: config.epsilonAttack,
    attack: {
      name,
      steps,
      stepSize,
      start: { noise: startNoise, projected: projectStart },
      targeted: config.targeted ?? null,
    },
    inDomain,
    outDomain: {
      name: outDomain.name,
      count: outDomain.count,
      sha256: outDomain.sha256,
      skipped: outDomain.skipped?.length ?? 0,
    },
    clean: uncertainty(attacked.clean, mean),
    adversarial: {
      ...uncertainty(attacked.adversarial, mean),
      linf: Math.max(...attacked.linf),
      nanRows: nanRows(attacked.adversarial),
    },
    warnings: doubts(attacked, settings),
    seconds: { setup: clock.setup, train: clock.train, attack: clock.work },
  });
  return { result, attacked, outDomain };
}

/** What stands ready on every run. */
interface Workbench extends Disposable {
  readonly config: RunConfig;
  readonly device: Device;
  readonly method: Method;
  readonly model: Model;
  readonly pair: Awaited<ReturnType<typeof openPair>>;
}

async function openWorkbench(config: RunConfig): Promise<Workbench> {
  const method: Method = methods[config.mode];
  const name = config.model ?? method.models[0] ?? "";
  if (!method.models.includes(name)) {
    throw new UserError(
      `Cannot run mode "${method.name}" with the model "${name}": choose ${
        method.models.join(" or ")
      }`,
    );
  }
  const pair = await openPair("mnist", config.dataPath);
  const device = await openDevice();
  const { protocol, seed } = config;
  const model = method.create(name, { protocol, random: new Random(seed).fork("model") });
  return { config, device, method, model, pair, [Symbol.dispose]: () => device[Symbol.dispose]() };
}

/** Loads the checkpoint that is named or was trained before, else trains one. */
async function findOrTrain(
  bench: Workbench,
  reporter: Reporter,
  clock: Clock,
): Promise<{ checkpoint: string }> {
  const { config, device, model } = bench;
  if (config.checkpoint !== undefined) {
    await loadCheckpoint(model, config.checkpoint);
    await model.finish?.(device);
    return { checkpoint: config.checkpoint };
  }
  const { folder, found } = await findTraining(bench);
  const { best } = checkpointPaths(folder);
  const quick = bench.pair.embedded ? quickEpochs.embedded : quickEpochs.downloaded;
  const target = config.epochs ?? Number(found?.metadata["targetEpochs"] ?? quick);
  const done = Number(found?.metadata["epoch"] ?? -1) + 1;
  if (done < target) {
    reporter.note(
      found
        ? `The ${model.name} in ${folder} has ${done} of ${target} epochs: training goes on`
        : `There is no ${model.name} of seed ${config.seed} for this data yet: training one for ` +
          `${target} epochs`,
    );
    await trainModel(bench, target, reporter, clock);
  } else if (config.epochs !== undefined && done > target) {
    reporter.note(
      `The ${model.name} in ${folder} has ${done} epochs, more than ${target}: using it`,
    );
  }
  await loadCheckpoint(model, best);
  push(device, model.state.values());
  await model.finish?.(device);
  return { checkpoint: best };
}

/**
 * The training run to use: that of the whole training set where there is one, although --limit asks
 * for few images to attack; else that of the images it leaves.
 */
async function findTraining(
  bench: Workbench,
): Promise<{ folder: string; found: Awaited<ReturnType<typeof readExtras>> }> {
  const { limit: _, ...unlimited } = bench.config;
  for (const config of [unlimited, bench.config]) {
    const { folder } = await trainingFolder({ ...bench, config });
    const found = await readExtras(checkpointPaths(folder).last);
    if (found || config === bench.config) return { folder, found };
  }
  throw new Error("Unreachable: the second configuration is taken as it is");
}

/** Trains `bench.model` to `epochs`, from where its folder's last checkpoint stands. */
async function trainModel(
  bench: Workbench,
  epochs: number,
  reporter: Reporter,
  clock: Clock,
): Promise<{ trained: Trained; paths: { best: string; last: string }; set: ImageSet }> {
  const { config, device, model } = bench;
  const { folder, set } = await trainingFolder(bench);
  const { learn, select } = await splitForSelection(bench, set);
  const trained = await clock.time("train", () =>
    fit({
      device,
      model,
      config,
      epochs,
      batchSize: Math.min(trainBatchOf(config), learn.length),
      train: new ResidentSet(set),
      trainIndex: learn,
      selection: new ResidentSet(select),
      folder,
      reporter,
    }));
  return { trained, paths: checkpointPaths(folder), set };
}

/**
 * Paper: learn from the whole training set, choose the best epoch on the *test* set. Corrected: hold
 * out every tenth image, at random, and choose on those.
 */
async function splitForSelection(
  { config, pair }: Workbench,
  set: ImageSet,
): Promise<{ learn: Uint32Array; select: ImageSet }> {
  if (config.protocol === "paper") {
    const learn = Uint32Array.from({ length: set.count }, (_, i) => i);
    return { learn, select: limited(await pair.test(), config) };
  }
  const order = new Random(config.seed).fork("validation").permutation(set.count);
  const held = Math.max(1, Math.floor(set.count / 10));
  const size = set.images.length / set.count;
  const images = new Uint8Array(held * size);
  const labels = new Uint8Array(held);
  order.subarray(0, held).forEach((from, to) => {
    images.set(set.images.subarray(from * size, (from + 1) * size), to * size);
    labels[to] = set.labels[from] ?? 0;
  });
  const select = { ...set, name: `${set.name} (held out)`, images, labels, count: held };
  return { learn: order.subarray(held).toSorted(), select };
}

/** The folder of a training run, named by what determines it (but for the number of epochs). */
async function trainingFolder(
  { config, method, model, pair }: Workbench,
): Promise<{ folder: string; set: ImageSet }> {
  const set = limited(await pair.train(), config);
  const { protocol, seed, lr, momentum, weightDecay } = config;
  const batchSize = trainBatchOf(config);
  const determines = [protocol, seed, lr, momentum, weightDecay, batchSize, set.sha256, set.count];
  const digest = await crypto.subtle.digest(
    "SHA-256",
    new TextEncoder().encode(JSON.stringify(determines)),
  );
  const key = [...new Uint8Array(digest)].map((b) => b.toString(16).padStart(2, "0")).join("");
  const family = method.name.toUpperCase();
  const folder = `${pair.embedded ? "embedded" : pair.name}-${key.slice(0, 8)}`;
  return { folder: join(config.savePath, family, model.name, `seed_${seed}`, folder), set };
}

/** Only `train` takes --batch-size for training steps; elsewhere it is the size of evaluation steps. */
function trainBatchOf({ trainBatchSize }: RunConfig): number {
  return trainBatchSize ?? trainBatch;
}

async function evaluateInDomain(bench: Workbench, reporter: Reporter): Promise<InDomain> {
  const set = limited(await bench.pair.test(), bench.config);
  const predictions = await predict(job(bench, set, reporter));
  const mean = meanOptions(bench.config);
  return {
    name: set.name,
    count: set.count,
    accuracy: accuracy(predictions, set.labels, mean),
    brier: finite(brier(predictions, set.labels, mean)),
    nll: finite(nll(predictions, set.labels, mean)),
  };
}

function job({ config, device, model }: Workbench, set: ImageSet, reporter: Reporter): Job {
  return {
    device,
    model,
    set: new ResidentSet(set),
    batchSize: config.batchSize ?? evalBatch,
    reporter,
    explain: config.explain,
  };
}

function limited(set: ImageSet, { limit: n }: RunConfig): ImageSet {
  return n === undefined ? set : limit(set, n);
}

/** The paper averages means of batches of 200; corrected averages samples. */
function meanOptions({ protocol, batchSize }: RunConfig): MeanOptions {
  return protocol === "paper" ? { batchSize: batchSize ?? evalBatch } : {};
}

function uncertainty(predictions: Predictions, mean: MeanOptions): Uncertainty {
  const rates = thresholds.map((tau) => [String(tau), rejectionRate(predictions, tau, mean)]);
  return { entropy: finite(entropy(predictions, mean)), rejection: Object.fromEntries(rates) };
}

/** JSON has no NaN: null stands for a figure that no valid row gave. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/**
 * Reasons to doubt an attack's figures (after Croce and Hein, "Reliable evaluation of adversarial
 * robustness", ICML 2020): out of the ball or the box, no gradient to follow.
 */
function doubts({ linf, outside, slope }: Attacked, { epsilon }: AttackSettings): string[] {
  const share = (values: Float32Array, bad: (v: number) => boolean): number =>
    values.filter(bad).length / values.length;
  const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;
  const checks: [number, string][] = [
    [share(linf, (v) => !(v <= epsilon + 1e-6)), "of the images left the ball of radius epsilon"],
    [share(outside, (v) => !(v <= 1e-6)), "of the attacked images left [0, 1]"],
    [share(slope, (v) => v === 0), "of the images had a zero gradient at the first step"],
    [share(slope, (v) => !Number.isFinite(v)), "of the images had no finite gradient"],
  ];
  return checks.flatMap(([bad, what]) => bad > 0 ? [`${percent(bad)} ${what}`] : []);
}

function common({ config, device, model }: Workbench, checkpoint: string): {
  mode: string;
  model: string;
  protocol: RunConfig["protocol"];
  seed: number;
  checkpoint: string;
  adapter: Device["adapter"];
  versions: ReturnType<typeof versions>;
} {
  const { mode, protocol, seed } = config;
  const { adapter } = device;
  return { mode, model: model.name, protocol, seed, checkpoint, adapter, versions: versions() };
}

/** Seconds of a run by phase; what is neither training nor work is setup. */
class Clock {
  readonly #start = performance.now();
  #train = 0;
  #work = 0;

  async time<T>(phase: "train" | "work", work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    const result = await work();
    const seconds = (performance.now() - start) / 1000;
    if (phase === "train") this.#train += seconds;
    else this.#work += seconds;
    return result;
  }

  get train(): number {
    return this.#train;
  }

  get work(): number {
    return this.#work;
  }

  get setup(): number {
    return (performance.now() - this.#start) / 1000 - this.#train - this.#work;
  }
}
