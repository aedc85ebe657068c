/**
 * Whether the models that are there are those that a run used.
 *
 * @module
 */
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { checkpointPaths, loadCheckpoint, stateDigest } from "../checkpoint/checkpoint.ts";
import { checkpointsOf, trainEpochs } from "./config.ts";
import { shownValue, UserError } from "../base/errors.ts";
import { display, isFile, readFile } from "../base/files.ts";
import { distinguishing, type Model, networkOf, ownOf } from "../methods/mod.ts";
import { trainingState } from "./pending.ts";
import { givenCheckpoints } from "./named.ts";
import { type Setup, trainBatchOf } from "./setup.ts";
import { sha256 } from "../base/digest.ts";
import { newModel } from "./workbench.ts";
import type { Run } from "../runs/schema.ts";

/** Epochs that a training will have behind it when it has been used, or made. */
export async function epochsOf(
  command: Run["command"],
  setup: Setup,
  seed: number,
): Promise<{ readonly folder: string; readonly epochs: number; readonly pending: boolean }> {
  const { folder, done, target, usable } = await trainingState(setup, seed);
  const wanted = command === "train" ? setup.config.epochs ?? trainEpochs : target;
  return { folder, epochs: Math.max(done, wanted), pending: done < wanted || !usable };
}

/** What decides the training, as it was settled. */
export function trainingOptions(
  { method, network, trainingConfig }: Setup,
): Record<string, unknown> {
  const of = networkOf(network);
  return {
    ...distinguishing(of, ownOf(method, of, trainingConfig)),
    trainBatchSize: trainBatchOf(trainingConfig),
    trainingLimit: trainingConfig.limit ?? null,
  };
}

/**
 * Holds the training whose model is to be used against the one whose model a run used: one of another kind
 * may have come since, which goes before it.
 *
 * @param file the run's, beside which its own copies are
 * @throws UserError when it is another
 */
export async function checkTraining(run: Run, setup: Setup, file: string): Promise<void> {
  if (checkpointsOf(setup.config)) return;
  const options = Object(run.identity["options"]);
  for (const [name, value] of Object.entries(trainingOptions(setup))) {
    if (options[name] === value) continue;
    const [had, has] = [options[name], value].map((of) => `${name} ${shownValue(of ?? "none")}`);
    throw await cannotRepeat(
      run,
      file,
      `it used a model trained with ${had}, here it would be one with ${has}`,
    );
  }
}

const recordedModels = z.object({
  models: z.array(z.string()).catch([]),
  epochs: z.array(z.int()).catch([]),
});

/**
 * Holds the models that are there against those that a run used, before anything is computed: named ones,
 * and those of trainings, which must have come as far.
 *
 * @param file the run's, beside which its own copies are
 * @throws UserError naming the first that is another
 */
export async function checkModels(run: Run, setup: Setup, file: string): Promise<void> {
  const { models, epochs } = recordedModels.parse(run.identity);
  const given = givenCheckpoints(setup.config, setup.seeds);
  for (const [i, seed] of setup.seeds.entries()) {
    let path = given?.[i];
    if (path === undefined) {
      const training = await epochsOf(run.command, setup, seed);
      if (training.epochs !== epochs[i]) {
        throw await cannotRepeat(
          run,
          file,
          `it used a training of ${plural(epochs[i] ?? 0)}, that in "${display(training.folder)}" ${
            training.pending ? "would have" : "has"
          } ${training.epochs}`,
        );
      }
      if (training.pending) continue;
      path = checkpointPaths(training.folder).best;
    }
    const wanted = run.checkpoints[i]?.sha256;
    if (sha256(await readFile(path)) === wanted) continue;
    // Another file may hold the same model; a training that was broken off has left none to compare with.
    const same = run.command === "train"
      ? wanted === undefined
      : await digestOfModel(newModel(setup, seed), path) === models[i];
    if (!same) {
      throw await cannotRepeat(run, file, `"${display(path)}" is not the model that it used`);
    }
  }
}

async function digestOfModel(model: Model, path: string): Promise<string> {
  await loadCheckpoint(model, path);
  return stateDigest(model);
}

/** Told with where the right models are. */
async function cannotRepeat(
  { command, checkpoints, config }: Run,
  file: string,
  why: string,
): Promise<UserError> {
  const copies = join(dirname(file), "checkpoints");
  const [first, ...others] = checkpoints.map(({ name }) => join(copies, basename(name)));
  const copied = command !== "train" && first !== undefined && await isFile(first);
  const remedy = copied
    ? others.length === 0
      ? `add --checkpoint ${display(first)}, its own copy`
      : `add --checkpoint once a member, for its own copies in ${display(copies)}`
    : config["checkpoint"] === undefined
    ? "name another --save-path, or train as it did there first"
    : "name the file that it used by --checkpoint";
  return new UserError(`Cannot repeat "${display(file)}": ${why}; ${remedy}`);
}

function plural(epochs: number): string {
  return `${epochs} epoch${epochs === 1 ? "" : "s"}`;
}
