/**
 * Trainings that several rows of a sweep use: each is made once, by a row of its own.
 *
 * @module
 */
import { UserError } from "../base/errors.ts";
import {
  checkpointsOf,
  optionEntries,
  optionFacts,
  type RunConfig,
  trainEpochs,
} from "../experiment/config.ts";
import { distinguishing, type Method, networkOf, ownOf } from "../methods/mod.ts";
import { trainingState } from "../experiment/pending.ts";
import type { RowOptions } from "./grid.ts";
import { configOf, type Row, wordsOf } from "./plan.ts";
import type { Known, Survey } from "./survey.ts";

/** A row before it has its place. */
export interface Draft extends Omit<Row, "index"> {
  readonly config: RunConfig;
  readonly known: Known;
}

/** A training of one seed, and the rows that make or use it. */
interface Training {
  readonly seed: number;
  readonly makers: Draft[];
  readonly users: Draft[];
}

/**
 * The rows with those that make what several of them use, and with what each needs.
 *
 * @throws UserError when rows want one training to be of different lengths
 */
export async function sharedTrainings(
  drafts: readonly Draft[],
  survey: Survey,
): Promise<Draft[]> {
  const trainings = await trainingsOf(drafts, survey);
  const needs = new Map<Draft, string[]>();
  const made: Draft[] = [];
  for (const [folder, training] of trainings) {
    const { makers, users } = training;
    checkEpochs(training);
    const [first, ...later] = makers;
    const maker = first ?? (users.length > 1 ? await makerOf(training, folder, survey) : undefined);
    if (!maker) continue;
    if (!first) made.push(maker);
    for (const user of [...later, ...users]) {
      needs.set(user, [...needs.get(user) ?? [], maker.digest]);
    }
  }
  const all = [...made, ...drafts];
  return all.map((draft) => ({ ...draft, needs: [...new Set(needs.get(draft) ?? [])] }));
}

/** Every training of the rows, by its folder. */
async function trainingsOf(
  drafts: readonly Draft[],
  survey: Survey,
): Promise<ReadonlyMap<string, Training>> {
  const found = new Map<string, Training>();
  const add = (folder: string, seed: number): Training => {
    const training = found.get(folder) ?? { seed, makers: [], users: [] };
    found.set(folder, training);
    return training;
  };
  const seedsOf = ({ config, known: { setup } }: Draft): number[] =>
    setup.seeds.map((_, i) => config.seed + i);
  for (const draft of drafts.filter(({ command }) => command === "train")) {
    for (const seed of seedsOf(draft)) {
      add(await draft.known.setup.trainingFolder(seed), seed).makers.push(draft);
    }
  }
  const hasMakers = found.size > 0;
  for (const draft of drafts.filter(({ command }) => command !== "train")) {
    if (checkpointsOf(draft.config) !== undefined) continue;
    const { limit, ...unlimited } = draft.config;
    for (const seed of seedsOf(draft)) {
      let folder = await draft.known.setup.trainingFolder(seed);
      // A run takes a model of all images where there is one: this sweep may make it.
      if (limit !== undefined && hasMakers) {
        const { setup } = await survey.known(draft.command, unlimited as RunConfig);
        const whole = await setup.trainingFolder(seed);
        if ((found.get(whole)?.makers.length ?? 0) > 0) folder = whole;
      }
      add(folder, seed).users.push(draft);
    }
  }
  return found;
}

/** Epochs stand in no training's name: the rows that share one have to agree on them. */
function checkEpochs({ makers, users }: Training): void {
  const wanted = new Map<number, Draft>();
  for (const draft of [...makers, ...users]) {
    const epochs = draft.config.epochs ?? (draft.command === "train" ? trainEpochs : undefined);
    if (epochs !== undefined) wanted.set(epochs, wanted.get(epochs) ?? draft);
  }
  const [one, other] = [...wanted];
  if (!one || !other) return;
  throw new UserError(
    `Cannot plan one training of ${one[0]} and of ${other[0]} epochs (${wordsOf(one[1])}; ${
      wordsOf(other[1])
    }): a longer one goes on in the same folder; give each number of epochs a savePath of its own`,
  );
}

/** The row that makes a training, by the options that determine it. */
async function makerOf(
  { seed, users }: Training,
  folder: string,
  survey: Survey,
): Promise<Draft> {
  const [user] = users;
  if (!user) throw new Error("Unreachable: a training that no row uses");
  const { setup } = user.known;
  const epochs = users.map(({ config }) => config.epochs).find((of) => of !== undefined) ??
    (await trainingState(setup, seed)).target;
  const options: RowOptions = {
    ...Object.fromEntries(Object.entries(user.options).filter(([name]) => actsInTraining(name))),
    ...ownOptions(user),
    seed,
    epochs,
    ...setup.method.ensemble ? { numEnsembles: 1 } : {},
    ...setup.trainingConfig.limit === undefined ? {} : { limit: setup.trainingConfig.limit },
  };
  const config = configOf({ command: "train", options });
  const known = await survey.known("train", config);
  if (await known.setup.trainingFolder(seed) !== folder) {
    throw new Error(`Unreachable: the training in ${folder} would be made elsewhere`);
  }
  const digest = await survey.digest("train", config, known);
  return { digest, command: "train", options, needs: [], config, known };
}

/** Hyper-parameters as they are settled, where one is: a training may have another default than its use. */
function ownOptions({ known: { setup } }: Draft): RowOptions {
  const method: Method = setup.method;
  const network = networkOf(setup.network);
  return distinguishing(network, ownOf(method, network, setup.trainingConfig));
}

/** Options that a training has, without those of how it is shown and of evaluations. */
const without: ReadonlySet<string> = new Set([
  "batchSize",
  "limit",
  "saveImages",
  "explain",
  "time",
  "numEnsembles",
]);

function actsInTraining(name: string): boolean {
  if (without.has(name)) return false;
  const entry = Object.entries(optionEntries).find(([known]) => known === name)?.[1];
  return (entry && optionFacts.get(entry)?.acts)?.includes("training") ?? true;
}
