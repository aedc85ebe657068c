/**
 * What stands ready on every run: data, GPU, and a model that was loaded or trained.
 *
 * @module
 */
import { join } from "node:path";
import { type ImageSet, limit, openPair } from "../data/mod.ts";
import { checkpointPaths, loadCheckpoint, readExtras } from "./checkpoint/checkpoint.ts";
import type { Clock } from "./clock.ts";
import type { RunConfig } from "./config.ts";
import { ResidentSet } from "./dataset.ts";
import { UserError } from "./errors.ts";
import { type Method, methods, type Model } from "./methods/mod.ts";
import { type Device, openDevice, push, Random } from "./nn/mod.ts";
import type { Reporter } from "./reporter.ts";
import { fit, type Trained } from "./training.ts";

/** Images in a training step: the paper's. */
const trainBatch = 256;

/**
 * Epochs where an attack or an evaluation has to train first and nobody says how many; the embedded
 * training set is small.
 */
const quickEpochs = { embedded: 20, downloaded: 10 } as const;

/** What stands ready on every run. */
export interface Workbench extends Disposable {
  readonly config: RunConfig;
  readonly device: Device;
  readonly method: Method;
  readonly model: Model;
  readonly pair: Awaited<ReturnType<typeof openPair>>;
}

/**
 * Checks what was asked for, finds the data, opens the GPU and builds the model.
 *
 * @throws UserError when one of them cannot be had
 */
export async function openWorkbench(config: RunConfig): Promise<Workbench> {
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
export async function findOrTrain(
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
  const { folder, found, config: trainingConfig } = await findTraining(bench);
  const { best } = checkpointPaths(folder);
  const quick = bench.pair.embedded ? quickEpochs.embedded : quickEpochs.downloaded;
  const target = config.epochs ?? Number(found?.metadata["targetEpochs"] ?? quick);
  const done = Number(found?.metadata["epoch"] ?? -1) + 1;
  if (done < target) {
    reporter.note(
      found
        ? `The ${model.name} in ${folder} has ${done} of ${target} epochs: training goes on`
        : `There is no ${model.name} of seed ${config.seed} for this data yet: training one for ` +
          `${target} epoch${target === 1 ? "" : "s"}`,
    );
    await trainModel({ ...bench, config: trainingConfig }, target, reporter, clock);
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
): Promise<{
  folder: string;
  found: Awaited<ReturnType<typeof readExtras>>;
  config: RunConfig;
}> {
  const { limit: _, ...unlimited } = bench.config;
  for (const config of [unlimited, bench.config]) {
    const { folder } = await trainingFolder({ ...bench, config });
    const found = await readExtras(checkpointPaths(folder).last);
    if (found || config === bench.config) return { folder, found, config };
  }
  throw new Error("Unreachable: the second configuration is taken as it is");
}

/** Trains `bench.model` to `epochs`, from where its folder's last checkpoint stands. */
export async function trainModel(
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

/** The part of a set that --limit leaves. */
export function limited(set: ImageSet, { limit: n }: RunConfig): ImageSet {
  return n === undefined ? set : limit(set, n);
}
