/**
 * A training's folder, read back: how far it has come, and whether what lies there may be gone on with.
 *
 * @module
 */
import { UserError } from "../errors.ts";
import { display, isFile, readFile } from "../files.ts";
import { checkpointPaths } from "./checkpoint.ts";
import { decodeSafetensors } from "./safetensors.ts";
import { bestEpoch, type EpochFigures, fromMetadata, type Statement } from "./statement.ts";

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
    throw new UserError(
      `Cannot use "${
        display(path)
      }": Mirage did not write it; move it away, run the command again ` +
        "and name it by --checkpoint",
    );
  }
  const arrays = new Map<string, Float32Array>();
  for (const [name, { data }] of tensors) {
    if (name.startsWith("optimizer.")) arrays.set(name, Float32Array.from(data));
  }
  return { arrays, statement };
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
 * @throws UserError when its last or its best checkpoint is damaged
 */
export async function progressOf(folder: string): Promise<TrainingProgress> {
  const paths = checkpointPaths(folder);
  const last = await readExtras(paths.last);
  // Without the last one the training begins anew, and writes both.
  if (!last) return { history: [], bestIsThere: await isFile(paths.best) };
  const best = await readExtras(paths.best);
  const { history, targetEpochs } = last.statement;
  const replaceable = bestEpoch(history).epoch === history.at(-1)?.epoch;
  return { history: best || replaceable ? history : [], bestIsThere: !!best, targetEpochs };
}
