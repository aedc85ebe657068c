/**
 * A training's folder, read back: how far it has come, and whether what lies there may be gone on with.
 *
 * @module
 */
import { basename } from "node:path";
import { shortened, UserError } from "../base/errors.ts";
import { isFile, readFile } from "../base/files.ts";
import { checkpointPaths } from "./checkpoint.ts";
import { decodeSafetensors } from "./safetensors.ts";
import {
  type Account,
  bestEpoch,
  type EpochFigures,
  fromMetadata,
  type Statement,
} from "./statement.ts";

/** What helps against a file in a training's folder that cannot be used: without it, it is made again. */
const remedy = "delete it and run the command again";

/** What a checkpoint of a training holds besides the model. */
export interface Extras {
  /** The state of the optimiser. */
  readonly arrays: ReadonlyMap<string, Float32Array>;
  readonly statement: Statement;
}

/**
 * The state of the optimiser and the statement of one of our checkpoints; undefined when there is none.
 *
 * @throws UserError when it is damaged, or not one of ours
 */
export async function readExtras(path: string): Promise<Extras | undefined> {
  if (!await isFile(path)) return undefined;
  const { tensors, metadata } = decodeSafetensors(await readFile(path), path, remedy);
  const statement = fromMetadata(metadata, path, remedy);
  if (!statement) {
    throw cannotUse(path, "Mirage did not write it");
  }
  const arrays = new Map<string, Float32Array>();
  for (const [name, { data }] of tensors) {
    if (name.startsWith("optimizer.")) arrays.set(name, Float32Array.from(data));
  }
  return { arrays, statement };
}

const images = "training images";

/** A file in a training's folder that is not what belongs there. */
function cannotUse(path: string, state: string): UserError {
  return new UserError(
    `Cannot use "${shortened(path, 100)}": ${state}; ${remedy}, or name it by --checkpoint`,
  );
}

/**
 * In what a checkpoint says another thing of its training than was asked for, as half a sentence about it; undefined
 * where in nothing.
 */
export function otherwise(said: Account, asked: Account): string | undefined {
  const [before, wanted] = [said, asked].map(flat);
  const names = new Set([...before?.keys() ?? [], ...wanted?.keys() ?? []]);
  for (const name of names) {
    const [is, was] = [before?.get(name), wanted?.get(name)];
    if (is !== was) return `it says ${shown(name, is)}, asked for was ${shown(name, was)}`;
  }
  const { count, name, sha256 } = said.data;
  if (sha256 === asked.data.sha256) return undefined;
  return `the ${count} images of ${
    shortened(name, 40)
  } that it was trained on have other pixels or labels`;
}

/** Holds what a checkpoint says of its training against what was asked for. */
function check(path: string, said: Account, asked: Account): void {
  const difference = otherwise(said, asked);
  if (difference !== undefined) throw cannotUse(path, difference);
}

/** An account's values by name, but for those that no sentence could show. */
function flat({ family, model, seed, hyperparameters, procedure, training, data }: Account): Map<
  string,
  string | number | boolean
> {
  return new Map(Object.entries({
    family,
    model,
    seed,
    [images]: data.count,
    ...hyperparameters,
    ...procedure,
    ...training,
  }));
}

function shown(name: string, value: string | number | boolean | undefined): string {
  if (value === undefined) return `no ${shortened(name, 20)}`;
  const text = shortened(String(value), 25);
  return name === images ? `${text} ${images}` : `${shortened(name, 20)} ${text}`;
}

/**
 * Whether a best checkpoint is of the training of a last one: of the best of its epochs, or of one that
 * followed before a process was stopped between writing the two.
 */
function belongs({ history: best }: Statement, { history: last }: Statement): boolean {
  const common = Math.min(best.length, last.length);
  const [a, b] = [best, last].map((history) => JSON.stringify(history.slice(0, common)));
  return a === b && (best.length > last.length || best.length - 1 === bestEpoch(last).epoch);
}

/** How far a training has come. */
export interface TrainingProgress {
  /** The epochs behind it: none where the best model is gone and was not that of the last epoch. */
  readonly history: readonly EpochFigures[];
  readonly bestIsThere: boolean;
  /** How many epochs there were to be. */
  readonly targetEpochs?: number | undefined;
}

/**
 * How far the training in a folder has come.
 *
 * @param asked what its checkpoints must say of it
 * @throws UserError when its last or its best checkpoint is damaged, of another training, or the two are
 */
export async function progressOf(folder: string, asked: Account): Promise<TrainingProgress> {
  const paths = checkpointPaths(folder);
  const last = await readExtras(paths.last);
  // Without the last one the training begins anew, and writes both.
  if (!last) return { history: [], bestIsThere: await isFile(paths.best) };
  check(paths.last, last.statement, asked);
  const best = await readExtras(paths.best);
  if (best) {
    check(paths.best, best.statement, asked);
    if (!belongs(best.statement, last.statement)) {
      throw cannotUse(
        paths.best,
        `its epochs are not those of "${basename(paths.last)}" beside it`,
      );
    }
  }
  const { history, targetEpochs } = last.statement;
  const replaceable = bestEpoch(history).epoch === history.at(-1)?.epoch;
  return { history: best || replaceable ? history : [], bestIsThere: !!best, targetEpochs };
}
