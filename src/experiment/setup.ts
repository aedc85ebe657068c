/**
 * What is known of a run before the GPU is open: method, data, seeds, and the trainings they belong to.
 *
 * @module
 */
import { join } from "node:path";
import { type ChosenSets, type ImageSet, type OpenSets, openSets } from "../../data/mod.ts";
import { checkpointPaths } from "../checkpoint/checkpoint.ts";
import { checkpointFormat, type Statement } from "../checkpoint/statement.ts";
import { readExtras } from "../checkpoint/stored.ts";
import {
  checkpointsOf,
  listedMembers,
  membersOf,
  procedureFor,
  type RunConfig,
  trainBatch,
} from "./config.ts";
import { UserError } from "../base/errors.ts";
import { explain, isFile } from "../base/files.ts";
import {
  distinguishing,
  type Hyperparameters,
  hyperparameters,
  type ImportedModel,
  importedModel,
  type Method,
  methods,
  type Model,
  networkOf,
  ownOf,
  settledHyperparameters,
} from "../methods/mod.ts";
import { concerning, type Procedure } from "../methods/protocol.ts";
import { classifiersOf, modelFilesOf } from "./model_files.ts";
import { Random } from "../nn/mod.ts";
import type { ModelSeeds } from "./seeds.ts";
import { sha256 } from "../base/digest.ts";
import { once } from "../base/once.ts";
import { checkMembers, checkSeeds, givenCheckpoints, saidOf } from "./named.ts";
import { agreed } from "./stated.ts";
import { checkWithout, isWithout } from "./without_in_domain.ts";
import { checkTrainable, ownSettings, type Taken, takenBy } from "./taken.ts";

/** What is known before the GPU is open. */
export interface Setup {
  readonly config: RunConfig;
  /** As `config`, but with what decides the training settled: how many images, which hyper-parameters. */
  readonly trainingConfig: RunConfig & Hyperparameters;
  readonly procedure: Procedure;
  readonly method: Method;
  /** Name of the network. */
  readonly network: string;
  readonly sets: OpenSets;
  /** What the models take and tell apart. */
  readonly taken: Taken;
  /** Of the models to train, or in whose names they are looked for: one, or those of an ensemble. */
  readonly seeds: readonly number[];
  /** What the models were or will be trained with: of those that were named, what their files say. */
  readonly modelSeeds: ModelSeeds;
  /** What each of the checkpoints that were named says of its training, where it says it; none where none was named. */
  readonly statements: readonly (Statement | undefined)[];
  /** The models of the files that were named; undefined where none was. */
  readonly imported: readonly ImportedModel[] | undefined;
  /** Whether a checkpoint that was named does not say how it was trained: then the options are believed. */
  readonly unstated: boolean;
  /** The images that models learn from, as --limit leaves them; read when first asked for. */
  readonly trainingSet: () => Promise<ImageSet>;
  /** The folder of the training of a seed, but for the number of epochs; resolved once for each. */
  readonly trainingFolder: (seed: number) => Promise<string>;
}

/**
 * Checks what was asked for and finds the data.
 *
 * @param purpose to train models, or to use those that were trained before
 * @throws UserError for a model that does not go with the mode, missing data, a wrong number of checkpoints
 */
export async function openSetup(
  config: RunConfig,
  purpose: "train" | "use",
): Promise<Setup> {
  checkWithout(config, purpose);
  const method: Method = methods[config.mode];
  const network = config.model ?? method.models[0] ?? "";
  const files = modelFilesOf(config);
  if (!files && !method.models.includes(network)) {
    throw new UserError(
      `Cannot run mode "${method.name}" with the model "${network}": choose ${
        method.models.join(" or ")
      }`,
    );
  }
  checkOwn(config, network);
  const classifiers = files && await classifiersOf(files, config);
  const [first] = givenCheckpoints(config, [config.seed]) ?? [];
  const own = await ownSettings(config, network, classifiers?.[0] ?? first);
  const sets = await openSets(
    chosenSets(config, network, purpose),
    config.dataPath,
    { ...own && { own }, trained: purpose === "use" && first !== undefined },
  );
  if (first === undefined) checkTrainable(sets.inDomain.set);
  const procedure = procedureFor(config);
  const setup = { config, procedure, method, network, sets };
  const seeds = memberSeeds(setup);
  const given = givenCheckpoints(config, seeds);
  if (given && method.ensemble) await checkMembers(config, given, seeds);
  const said = given && !files ? await saidOf(given, network) : [];
  const statements = files ? files.map(() => undefined) : said.map(({ statement }) => statement);
  const stated = agreed(setup, said);
  if (given) checkSeeds(config, { given, seeds, statements });
  const training = await settleTraining({ ...setup, ...stated }, purpose, seeds[0] ?? 0);
  const settled = { ...setup, ...training, procedure: stated.procedure };
  const { set } = sets.inDomain;
  const taken = await takenBy(
    set,
    classifiers?.[0] ?? given?.[0],
    (taken) => builtModel(settled, taken, config.seed),
  );
  return {
    ...settled,
    taken,
    seeds,
    modelSeeds: given ? statements.map((statement) => statement?.seed ?? null) : seeds,
    statements,
    imported: classifiers?.map((of) =>
      importedModel(of, { ...taken, set: isWithout(config) ? undefined : set.title })
    ),
    unstated: given !== undefined && statements.includes(undefined),
  };
}

/** A model before its training. */
export function builtModel(
  { method, network, procedure, trainingConfig }: Pick<
    Setup,
    "method" | "network" | "procedure" | "trainingConfig"
  >,
  taken: Taken,
  seed: number,
): Model {
  const random = new Random(seed).fork("model");
  return method.create(network, { ...trainingConfig, procedure, random, ...taken });
}

/**
 * The sets that were asked for, else those that the network was published with. Whoever trains on another set
 * needs no out-domain one.
 */
function chosenSets(
  { inDomain, outDomain }: RunConfig,
  network: string,
  purpose: "train" | "use",
): ChosenSets {
  const published = networkOf(network);
  const needed = purpose === "use" || inDomain === undefined;
  return {
    inDomain: inDomain ?? published.inDomain,
    outDomain: outDomain ?? (needed ? published.outDomain : undefined),
  };
}

/**
 * Refuses what is another network's own, unless it is as published.
 *
 * @throws UserError naming the option
 */
function checkOwn(config: RunConfig, model: string): void {
  const { name: network, hyperparameters: own } = networkOf(model);
  for (const [name, { option, networks }] of Object.entries(hyperparameters)) {
    const value = Object.entries(config).find(([key]) => key === name)?.[1];
    if (!networks || name in own || value === undefined || value === option.default) continue;
    throw new UserError(
      `Cannot run "${model}" with ${name} ${value}: ${network} has none; leave it out, or use ${
        networks.join(" or ")
      }`,
    );
  }
}

/** Seeds of the models: the run's own, or as many from it on as an ensemble has members. */
function memberSeeds(
  { config, method, sets }: Pick<Setup, "config" | "method" | "sets">,
): number[] {
  const { usual, quick } = method.members ?? { usual: 1, quick: 1 };
  const named = listedMembers(config);
  const count = method.ensemble ? membersOf(config) ?? (sets.embedded ? quick : usual) : 1;
  if (named !== undefined && named !== count) {
    throw new UserError(
      `Cannot run mode "${method.name}" with ${named} checkpoint${named === 1 ? "" : "s"}: it ` +
        `takes ${count}; give one --checkpoint a member, or one with {seed} in its path`,
    );
  }
  return Array.from({ length: count }, (_, i) => config.seed + i);
}

/** What is known before the training is settled. */
export type Unsettled = Pick<Setup, "config" | "procedure" | "method" | "network" | "sets">;

/** A training that is settled, for whatever seed. */
export type Settled = Pick<Setup, "trainingConfig" | "trainingSet" | "trainingFolder">;

/**
 * The training to use, or to begin: that of the whole training set where there is one, although --limit
 * asks for few images to attack; and, where a method trains with another hyper-parameter than it is used
 * with, that of which there is.
 */
async function settleTraining(
  setup: Unsettled & { readonly hyperparameters: Partial<Hyperparameters> },
  purpose: "train" | "use",
  seed: number,
): Promise<Settled> {
  const { limit, ...unlimited } = setup.config;
  const purposes = purpose === "train" ? ["train"] as const : ["use", "train"] as const;
  const candidates = [setup.config, unlimited].map((config) => {
    const most = config === unlimited ? undefined : limit;
    const trainingSet = once(() => setup.sets.inDomain.images("train", most));
    return purposes.map((as): Settled => {
      const trainingConfig = {
        ...config,
        ...settledHyperparameters(config, networkOf(setup.network), as),
        ...setup.hyperparameters,
      };
      return settledOn(setup, trainingConfig, trainingSet);
    });
  });
  const [asked = [], whole = []] = candidates;
  const [first] = asked;
  if (!first) throw new Error("Unreachable: no training to settle on");
  if (purpose === "train" || checkpointsOf(setup.config)) return first;
  const { own, name } = setup.sets.inDomain.set;
  for (const candidate of [...whole, ...asked]) {
    // Images of the user's own are not all read in search of a training on them where there is none on so many.
    if (own && limit !== undefined && whole.includes(candidate)) {
      const folder = trainingsFolder({ ...setup, ...candidate }, seed);
      if (!await hasTrainingBeyond(limit, folder, name)) continue;
    }
    if (await isFile(checkpointPaths(await candidate.trainingFolder(seed)).last)) return candidate;
  }
  return first;
}

/** A training as it is configured, on the images that it learns from; a seed's folder is resolved once. */
export function settledOn(
  setup: Unsettled,
  trainingConfig: Setup["trainingConfig"],
  trainingSet: Setup["trainingSet"],
): Settled {
  const folders = new Map<number, Promise<string>>();
  const trainingFolder = async (seed: number): Promise<string> => {
    const folder = folders.get(seed) ??
      trainingSet().then((set) => folderOf({ ...setup, trainingConfig }, seed, set));
    folders.set(seed, folder);
    return await folder;
  };
  return { trainingConfig, trainingSet, trainingFolder };
}

/** The folder of a training run, named by what determines it. */
function folderOf(
  { trainingConfig: config, procedure, method, network, sets }:
    & Unsettled
    & Pick<Setup, "trainingConfig">,
  seed: number,
  set: ImageSet,
): string {
  const { lr, momentum, weightDecay } = config;
  const of = networkOf(network);
  const own = distinguishing(of, ownOf(method, of, config));
  const key = sha256(JSON.stringify({
    format: checkpointFormat,
    procedure: concerning(
      procedure,
      { mode: method.name, model: network },
      "training",
    ),
    own,
    seed,
    lr,
    momentum,
    weightDecay,
    batchSize: trainBatchOf(config),
    ...(config.microBatch === undefined ? {} : { microBatch: config.microBatch }),
    ...(config.augmentation || of.augmentation === 0 ? {} : { augmentation: false }),
    data: set.sha256,
    count: set.count,
    // Of a registered set its name says them.
    ...sets.inDomain.set.own && { classes: sets.inDomain.set.classes },
  }));
  return join(
    trainingsFolder({ trainingConfig: config, method, network }, seed),
    `${sets.embedded ? "embedded" : sets.inDomain.set.name}-${key.slice(0, 8)}`,
  );
}

/** The folder of all trainings of a seed, whatever else they differ in. */
function trainingsFolder(
  { trainingConfig: config, method, network }:
    & Pick<Unsettled, "method" | "network">
    & Pick<Setup, "trainingConfig">,
  seed: number,
): string {
  const of = networkOf(network);
  const own = distinguishing(of, ownOf(method, of, config));
  return join(
    config.savePath,
    method.family,
    network,
    ...Object.entries<{ readonly folder?: string }>({
      ...of.hyperparameters,
      ...method.hyperparameters,
    }).flatMap(([name, { folder }]) =>
      folder === undefined || own[name] === undefined ? [] : [`${folder}_${own[name]}`]
    ),
    `seed_${seed}`,
  );
}

/** Whether a folder of trainings has one on more than so many images of a set, or one that does not say it. */
async function hasTrainingBeyond(count: number, folder: string, set: string): Promise<boolean> {
  for (const name of await namesIn(folder)) {
    if (!name.startsWith(`${set}-`)) continue;
    const last = await readExtras(checkpointPaths(join(folder, name)).last).catch((error) => {
      if (error instanceof UserError) return null;
      throw error;
    });
    if (last === null || last && last.statement.data.count > count) return true;
  }
  return false;
}

/** What lies in a folder; nothing where there is none. */
async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw explain(error, "read", folder);
  }
}

/** Pixels by which training images are shifted at random. */
export function augmentOf(
  { trainingConfig, network }: Pick<Setup, "trainingConfig" | "network">,
): number {
  return trainingConfig.augmentation ? networkOf(network).augmentation : 0;
}

/** Only `train` takes --batch-size for training steps; elsewhere it is the size of evaluation steps. */
export function trainBatchOf({ trainBatchSize }: RunConfig): number {
  return trainBatchSize ?? trainBatch;
}

/**
 * The images that class means of features are taken over: the first of the training set by --limit, whichever of
 * it the models learned from, so that a run that is made again from its models has the same.
 *
 * @throws UserError when they cannot be read
 */
export async function meansSetOf(
  { config, sets }: Pick<Setup, "config" | "sets">,
): Promise<ImageSet> {
  return await sets.inDomain.images("train", config.limit);
}

/**
 * The images out of the model's domain, as --limit leaves them.
 *
 * @throws UserError when they cannot be read
 */
export async function outDomainOf(
  { config, sets }: Pick<Setup, "config" | "sets">,
): Promise<ImageSet> {
  if (!sets.outDomain) throw new Error("Unreachable: a training shows no images out of domain");
  return await sets.outDomain.images("test", config.limit);
}
