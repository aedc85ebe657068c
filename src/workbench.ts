/**
 * What stands ready on every run: data, GPU, and the models that were loaded or trained.
 *
 * @module
 */
import { join } from "node:path";
import { type ImageSet, limit, type OpenPair, openPair } from "../data/mod.ts";
import { checkpointPaths, loadCheckpoint, readExtras } from "./checkpoint/checkpoint.ts";
import type { Clock } from "./clock.ts";
import { procedureFor, type RunConfig } from "./config.ts";
import { ResidentSet } from "./dataset.ts";
import { UserError } from "./errors.ts";
import {
  type Hyperparameters,
  type Method,
  methods,
  type Model,
  type Subject,
} from "./methods/mod.ts";
import { type Device, openDevice, push, Random, release } from "./nn/mod.ts";
import { concerning, type Procedure } from "./protocol.ts";
import type { Reporter } from "./reporter.ts";
import { fit, type Trained } from "./training.ts";

/** Images in a training step: the paper's. */
const trainBatch = 256;

/**
 * Epochs where an attack or an evaluation has to train first and nobody says how many; the embedded
 * training set is small.
 */
const quickEpochs = { embedded: 20, downloaded: 10 } as const;

/** Members of an ensemble where nobody says how many; the embedded data is for a first look. */
const quickMembers = { embedded: 3, downloaded: 10 } as const;

/** Weights of DUQ's penalty: the original trains with one by default, and evaluates with the other. */
const lambdas = { train: 0.3, use: 0.1 } as const;

/** A model and the seed that it was or will be trained with. */
export interface Member {
  readonly seed: number;
  readonly model: Model;
}

/** What stands ready on every run. */
export interface Workbench extends Disposable {
  readonly config: RunConfig;
  /** As `config`, but with what decides the training settled: how many images, which hyper-parameters. */
  readonly trainingConfig: RunConfig & Hyperparameters;
  readonly procedure: Procedure;
  readonly device: Device;
  readonly method: Method;
  /** Name of the network. */
  readonly network: string;
  readonly pair: OpenPair;
  /** One, or those of an ensemble. */
  readonly members: readonly Member[];
  /** All of them as what is evaluated and attacked. */
  readonly subject: Subject;
}

/**
 * Checks what was asked for, finds the data, opens the GPU and builds the models.
 *
 * @param purpose to train models, or to use those that were trained before
 * @throws UserError when one of them cannot be had
 */
export async function openWorkbench(
  config: RunConfig,
  purpose: "train" | "use",
): Promise<Workbench> {
  const place = await openPlace(config, purpose);
  const { procedure, method, network, trainingConfig } = place;
  const device = await openDevice();
  const members = place.seeds.map((seed): Member => ({
    seed,
    model: method.create(network, {
      ...trainingConfig,
      procedure,
      random: new Random(seed).fork("model"),
    }),
  }));
  const subject = method.subject(members.map(({ model }) => model), procedure);
  const close = (): void => device[Symbol.dispose]();
  return { ...place, device, members, subject, [Symbol.dispose]: close };
}

/** Epochs that a run would have to train first, summed over its members, and images of one. */
export async function pendingTraining(
  config: RunConfig,
): Promise<{ epochs: number; images: number }> {
  const place = await openPlace(config, "use");
  const set = limited(await place.pair.train(), place.trainingConfig);
  if (checkpointsOf(config)) return { epochs: 0, images: set.count };
  let epochs = 0;
  for (const seed of place.seeds) {
    const { done, target } = await trainingState(place, seed);
    epochs += Math.max(0, target - done);
  }
  return { epochs, images: set.count };
}

/** What is known before the GPU is open. */
type Place = Omit<Workbench, "device" | "members" | "subject" | typeof Symbol.dispose> & {
  /** Of the members. */
  readonly seeds: readonly number[];
};

async function openPlace(config: RunConfig, purpose: "train" | "use"): Promise<Place> {
  const method: Method = methods[config.mode];
  const network = config.model ?? method.models[0] ?? "";
  if (!method.models.includes(network)) {
    throw new UserError(
      `Cannot run mode "${method.name}" with the model "${network}": choose ${
        method.models.join(" or ")
      }`,
    );
  }
  const pair = await openPair("mnist", config.dataPath);
  const place = { config, procedure: procedureFor(config), method, network, pair };
  const seeds = memberSeeds(place);
  const trainingConfig = await settleTraining(place, purpose, seeds[0] ?? config.seed);
  return { ...place, seeds, trainingConfig };
}

/** Seeds of the models: the run's own, or as many from it on as an ensemble has members. */
function memberSeeds(
  { config, method, pair }: Pick<Place, "config" | "method" | "pair">,
): number[] {
  const given = checkpointsOf(config);
  const template = given?.some((path) => path.includes("{seed}")) ?? false;
  const quick = pair.embedded ? quickMembers.embedded : quickMembers.downloaded;
  const listed = given && !template ? given.length : undefined;
  const count = method.ensemble ? config.numEnsembles ?? listed ?? quick : 1;
  if (listed !== undefined && listed !== count) {
    throw new UserError(
      `Cannot run mode "${method.name}" with ${listed} checkpoint${listed === 1 ? "" : "s"}: it ` +
        `takes ${count}; give one --checkpoint a member, or one with {seed} in its path`,
    );
  }
  return Array.from({ length: count }, (_, i) => config.seed + i);
}

function checkpointsOf({ checkpoint }: RunConfig): readonly string[] | undefined {
  return typeof checkpoint === "string" ? [checkpoint] : checkpoint;
}

/**
 * The training to use, or to begin: that of the whole training set where there is one, although --limit
 * asks for few images to attack; and that of the weight of DUQ's penalty that there is.
 */
async function settleTraining(
  place: Omit<Place, "seeds" | "trainingConfig">,
  purpose: "train" | "use",
  seed: number,
): Promise<Workbench["trainingConfig"]> {
  const { limit: _, ...unlimited } = place.config;
  const { lambdaReg } = place.config;
  const settle = (config: RunConfig, value: number): Workbench["trainingConfig"] => ({
    ...config,
    lambdaReg: lambdaReg ?? value,
  });
  if (purpose === "train") return settle(place.config, lambdas.train);
  const wanted = settle(place.config, lambdas.use);
  if (checkpointsOf(place.config)) return wanted;
  for (const config of [unlimited, place.config]) {
    for (const value of [lambdas.use, lambdas.train]) {
      const candidate = settle(config, value);
      const { folder } = await trainingFolder({ ...place, trainingConfig: candidate }, seed);
      if (await readExtras(checkpointPaths(folder).last)) return candidate;
    }
  }
  return wanted;
}

/** Loads the checkpoints that are named or were trained before, and trains those that are missing. */
export async function findOrTrain(
  bench: Workbench,
  reporter: Reporter,
  clock: Clock,
): Promise<{ checkpoints: string[] }> {
  const { config, device, members } = bench;
  const given = checkpointsOf(config);
  const checkpoints: string[] = [];
  if (given === undefined && bench.method.ensemble && config.numEnsembles === undefined) {
    reporter.note(
      `The ensemble has ${members.length} members${
        bench.pair.embedded ? " on the embedded data" : ""
      }; --num-ensembles makes it larger or smaller`,
    );
  }
  for (const [i, member] of members.entries()) {
    const { model, seed } = member;
    const path = given
      ? (given.length === 1 ? given[0] : given[i])?.replaceAll("{seed}", String(seed)) ?? ""
      : await trainedCheckpoint(bench, member, i, reporter, clock);
    await loadCheckpoint(model, path);
    push(device, model.state.values());
    await model.finish?.(device);
    checkpoints.push(path);
  }
  return { checkpoints };
}

/** The best checkpoint of a member's training, which is begun or gone on with where it has too few epochs. */
async function trainedCheckpoint(
  bench: Workbench,
  member: Member,
  position: number,
  reporter: Reporter,
  clock: Clock,
): Promise<string> {
  const { config, network } = bench;
  const { folder, done, target } = await trainingState(bench, member.seed);
  if (done < target) {
    reporter.note(
      done > 0
        ? `The ${network} in ${folder} has ${done} of ${target} epochs: training goes on`
        : `There is no ${network} of seed ${member.seed} for this data yet: training one for ` +
          `${target} epoch${target === 1 ? "" : "s"}`,
    );
    await trainMember(bench, position, target, reporter, clock);
  } else if (config.epochs !== undefined && done > target) {
    reporter.note(
      `The ${network} in ${folder} has ${done} epochs, more than ${target}: using it`,
    );
  }
  return checkpointPaths(folder).best;
}

/** How far the training of a seed has come, and how far it is to go. */
async function trainingState(
  place: TrainingPlace,
  seed: number,
): Promise<{ folder: string; done: number; target: number }> {
  const { folder } = await trainingFolder(place, seed);
  const found = await readExtras(checkpointPaths(folder).last);
  const quick = place.pair.embedded ? quickEpochs.embedded : quickEpochs.downloaded;
  return {
    folder,
    done: Number(found?.metadata["epoch"] ?? -1) + 1,
    target: place.config.epochs ?? Number(found?.metadata["targetEpochs"] ?? quick),
  };
}

/** What a member's training left. */
export interface TrainedMember {
  readonly seed: number;
  readonly trained: Trained;
  readonly paths: { readonly best: string; readonly last: string };
  readonly set: ImageSet;
}

/** Trains one member to `epochs`, from where its folder's last checkpoint stands. */
export async function trainMember(
  bench: Workbench,
  position: number,
  epochs: number,
  reporter: Reporter,
  clock: Clock,
): Promise<TrainedMember> {
  const { trainingConfig, procedure, device, method, members } = bench;
  const member = members[position];
  if (!member) throw new Error(`Unreachable: there is no member ${position}`);
  const { seed, model } = member;
  const { folder, set } = await trainingFolder(bench, seed);
  const { learn, select } = await splitForSelection(bench, seed, set);
  const { epochOrder } = concerning(procedure, method.name, "training");
  const [train, selection] = [new ResidentSet(set), new ResidentSet(select)];
  const trained = await clock.time("train", () =>
    fit({
      device,
      model,
      config: { ...trainingConfig, seed },
      fixedOrder: epochOrder === "fixed",
      dropLast: method.dropLast,
      title: members.length === 1 ? "train" : `train ${position + 1}/${members.length}`,
      epochs,
      batchSize: Math.min(trainBatchOf(trainingConfig), learn.length),
      train,
      trainIndex: learn,
      selection,
      folder,
      reporter,
    }));
  release(device, [...train.parameters, ...selection.parameters]);
  return { seed, trained, paths: checkpointPaths(folder), set };
}

/**
 * Learn from the whole training set and choose the best epoch on the *test* set, or hold out every
 * tenth image, at random, and choose on those.
 */
async function splitForSelection(
  { trainingConfig, procedure, pair }: Workbench,
  seed: number,
  set: ImageSet,
): Promise<{ learn: Uint32Array; select: ImageSet }> {
  if (procedure.selection === "test") {
    const learn = Uint32Array.from({ length: set.count }, (_, i) => i);
    return { learn, select: limited(await pair.test(), trainingConfig) };
  }
  const order = new Random(seed).fork("validation").permutation(set.count);
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

/** What determines the folder of a training. */
type TrainingPlace = Omit<Place, "seeds">;

/** The folder of a training run, named by what determines it (but for the number of epochs). */
async function trainingFolder(
  place: TrainingPlace,
  seed: number,
): Promise<{ folder: string; set: ImageSet }> {
  const { trainingConfig: config, procedure, method, network, pair } = place;
  const set = limited(await pair.train(), config);
  const { lr, momentum, weightDecay } = config;
  const own = Object.fromEntries(method.hyperparameters.map((name) => [name, config[name]]));
  const digest = await crypto.subtle.digest(
    "SHA-256",
    new TextEncoder().encode(JSON.stringify({
      procedure: concerning(procedure, method.name, "training"),
      own,
      seed,
      lr,
      momentum,
      weightDecay,
      batchSize: trainBatchOf(config),
      data: set.sha256,
      count: set.count,
    })),
  );
  const key = [...new Uint8Array(digest)].map((b) => b.toString(16).padStart(2, "0")).join("");
  const parts = [
    method.family,
    network,
    ...("epsilon" in own ? [`eps_${own["epsilon"]}`] : []),
    ...("lambdaReg" in own ? [`lambda_reg_${own["lambdaReg"]}`] : []),
    `seed_${seed}`,
    `${pair.embedded ? "embedded" : pair.name}-${key.slice(0, 8)}`,
  ];
  return { folder: join(config.savePath, ...parts), set };
}

/** Only `train` takes --batch-size for training steps; elsewhere it is the size of evaluation steps. */
function trainBatchOf({ trainBatchSize }: RunConfig): number {
  return trainBatchSize ?? trainBatch;
}

/** The part of a set that --limit leaves. */
export function limited(set: ImageSet, { limit: n }: RunConfig): ImageSet {
  return n === undefined ? set : limit(set, n);
}
