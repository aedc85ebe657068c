/**
 * What is left to train before models can be used, and what there is to say of those that are there.
 *
 * @module
 */
import type { Account } from "../checkpoint/statement.ts";
import { progressOf } from "../checkpoint/stored.ts";
import { checkpointsOf, quickEpochs, type RunConfig } from "./config.ts";
import { heldOut } from "./selection.ts";
import { augmentOf, openSetup, type Setup, trainBatchOf } from "./setup.ts";
import { modelTitle, networkOf, ownOf } from "../methods/mod.ts";
import { accountOf } from "../train/account.ts";

/** How far a training has come. */
export interface TrainingState {
  readonly folder: string;
  /** Epochs behind it. */
  readonly done: number;
  /** Epochs that it is to have: those asked for, else those that its last run was to have, else the default. */
  readonly target: number;
  /** The default where nobody says how many. */
  readonly usual: number;
  /** Whether its best model is there. */
  readonly usable: boolean;
}

/**
 * How far the training of a seed has come.
 *
 * @throws UserError when its checkpoints are damaged, or of another training
 */
export async function trainingState(setup: Setup, seed: number): Promise<TrainingState> {
  const [folder, asked] = [await setup.trainingFolder(seed), await accountFor(setup, seed)];
  const { history, bestIsThere, targetEpochs } = await progressOf(folder, asked);
  const usual = setup.sets.embedded ? quickEpochs.embedded : quickEpochs.downloaded;
  const target = setup.config.epochs ?? targetEpochs ?? usual;
  return { folder, done: history.length, target, usual, usable: bestIsThere };
}

/** What the checkpoints of the training of a seed say of it. */
export async function accountFor(setup: Setup, seed: number): Promise<Account> {
  const { trainingConfig: config, network, procedure } = setup;
  const set = await setup.trainingSet();
  const learn = procedure.selection === "test" ? set.count : set.count - heldOut(set);
  const batchSize = Math.min(trainBatchOf(config), learn);
  const augment = augmentOf(setup);
  return accountOf({ config, procedure, network, seed, set, batchSize, augment });
}

/** What is left to do for a member. */
export interface Pending {
  /** Of the member among the others. */
  readonly position: number;
  readonly done: number;
  /** Epochs that it needs: as many as the longest training of its ensemble. */
  readonly goal: number;
}

/** What is left to train of a run's members, and sentences about all of them. */
export interface LeftToTrain {
  readonly folders: readonly string[];
  readonly pending: readonly Pending[];
  /** Images to learn from. */
  readonly images: number;
  /** What is to be trained. */
  readonly begins: readonly string[];
  /** What is used, but has not the epochs that were asked for or are usual, or learned from a part of its set. */
  readonly remarks: readonly string[];
}

/** ` on the first 100 of 8000 images (--limit)`; empty where all are learned from. */
async function limitIn({ sets, trainingSet }: Setup): Promise<string> {
  const { count, unread = 0 } = await trainingSet();
  // How many of the other files are images nobody has looked at.
  if (unread > 0) return ` on the first ${count} images (--limit)`;
  const whole = await sets.inDomain.images("train");
  return count < whole.count ? ` on the first ${count} of ${whole.count} images (--limit)` : "";
}

/** What is left to train before a run's models can be used: those that no --checkpoint names. */
export async function leftToTrain(setup: Setup): Promise<LeftToTrain> {
  const { seeds, config } = setup;
  const network = titleOf(setup);
  const { count: images } = await setup.trainingSet();
  const limit = await limitIn(setup);
  const states: TrainingState[] = [];
  for (const seed of seeds) states.push(await trainingState(setup, seed));
  // Members that learned for longer than others would weigh as much: all are brought as far.
  const goal = Math.max(...states.map(({ done, target }) => Math.max(done, target)));
  const pending: Pending[] = [];
  const [begins, remarks]: string[][] = [[], []];
  for (const [position, { folder, done, target, usual, usable }] of states.entries()) {
    const which = `The ${network} in ${folder}`;
    if (done < goal || !usable) {
      pending.push({ position, done, goal });
      const like = goal > target ? ", as another member of the ensemble has" : "";
      begins?.push(
        done === 0
          ? `There is no ${network} of seed ${
            seeds[position]
          } for this data yet: training one for ` +
            `${epochs(goal)}${like}${limit}`
          : done < goal
          ? `${which} has ${done} of ${goal} epochs${like}: training goes on${limit && ","}${limit}`
          : `${which} has its ${epochs(done)}, but no best model`,
      );
    } else if (config.epochs !== undefined && done > config.epochs) {
      remarks?.push(tooMany(network, folder, done, config.epochs));
    }
    if (config.epochs === undefined && goal < usual) {
      remarks?.push(
        `Using a model of ${
          epochs(goal)
        } (asked: none given, default ${usual}), the ${network} in ` +
          `${folder}; --epochs ${usual} goes on`,
      );
    }
  }
  if (limit !== "" && pending.length === 0) remarks?.push(`Using a model trained${limit}`);
  const folders = states.map(({ folder }) => folder);
  return { folders, pending, images, begins: begins ?? [], remarks: remarks ?? [] };
}

/** The name of the models of a run, with what their network has otherwise than published. */
export function titleOf({ method, network, trainingConfig }: Setup): string {
  return modelTitle(network, ownOf(method, networkOf(network), trainingConfig));
}

/** A sentence about a model that has more epochs behind it than were asked for. */
export function tooMany(network: string, folder: string, done: number, asked: number): string {
  return `The ${network} in ${folder} has ${epochs(done)}, more than ${asked}: using it`;
}

function epochs(count: number): string {
  return `${count} epoch${count === 1 ? "" : "s"}`;
}

/** Epochs that a run would have to train first, summed over its members, images of one, and remarks. */
export async function pendingTraining(
  config: RunConfig,
): Promise<{ epochs: number; images: number; remarks: readonly string[] }> {
  const setup = await openSetup(config, "use");
  if (checkpointsOf(config)) return { epochs: 0, images: 0, remarks: [] };
  const { pending, images, remarks } = await leftToTrain(setup);
  return { epochs: pending.reduce((sum, { done, goal }) => sum + goal - done, 0), images, remarks };
}
