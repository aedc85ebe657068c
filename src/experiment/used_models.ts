/**
 * Whether the models that are there are those that a run used.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { z } from "zod";
import { checkpointPaths, loadCheckpoint, stateDigest } from "../checkpoint/checkpoint.ts";
import { checkpointsOf, trainEpochs } from "./config.ts";
import { shownValue, UserError } from "../base/errors.ts";
import { display, isFile, readFile } from "../base/files.ts";
import { distinguishing, type Model, networkOf, ownOf } from "../methods/mod.ts";
import { trainingState } from "./pending.ts";
import { givenCheckpoints } from "./named.ts";
import { listed } from "./seeds.ts";
import { type Setup, trainBatchOf } from "./setup.ts";
import { sha256 } from "../base/digest.ts";
import { surrogateSetup } from "./surrogate.ts";
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
  surrogateSeeds: z.array(z.int()).catch([]),
});

/** Seeds of the surrogate that a run used, whose models are the last that it keeps; none where it used none. */
export function surrogateSeedsOf({ identity }: Run): readonly number[] {
  return recordedModels.parse(identity).surrogateSeeds;
}

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
    const whole = !setup.imported && sha256(await readFile(path)) === wanted;
    if (whole) continue;
    // Another file may hold the same model; a training that was broken off has left none to compare with.
    const outOfFile = setup.imported?.[i];
    const same = outOfFile
      ? outOfFile.digest === models[i]
      : run.command === "train"
      ? wanted === undefined
      : await digestOfModel(newModel(setup, seed), path) === models[i];
    if (!same) {
      throw await cannotRepeat(run, file, `"${display(path)}" is not the model that it used`);
    }
  }
}

/**
 * As {@linkcode checkModels}, of the surrogate that a member of a battery attacked.
 *
 * @throws UserError when it is another, or there is none now
 */
export async function checkSurrogate(run: Run, setup: Setup, file: string): Promise<void> {
  const { models, surrogateSeeds } = recordedModels.parse(run.identity);
  if (surrogateSeeds.length === 0) return;
  const remedy = "use verify, which takes the run's own copy of it";
  const now = await surrogateSetup(setup).catch(async (error) => {
    if (!(error instanceof UserError)) throw error;
    throw await cannotRepeat(
      run,
      file,
      `it attacked another model too, of ${listed(surrogateSeeds)}, which cannot be had here`,
      remedy,
    );
  });
  const wanted = models.slice(-surrogateSeeds.length);
  for (const [i, seed] of now.seeds.entries()) {
    const { folder, usable } = await trainingState(now, seed);
    if (!usable) continue;
    const path = checkpointPaths(folder).best;
    if (await digestOfModel(newModel(now, seed), path) === wanted[i]) continue;
    const why = `"${display(path)}" is not the other model that it attacked too`;
    throw await cannotRepeat(run, file, why, remedy);
  }
}

async function digestOfModel(model: Model, path: string): Promise<string> {
  await loadCheckpoint(model, path);
  return stateDigest(model);
}

/** Told with where the right models are, unless there is another remedy. */
async function cannotRepeat(
  run: Run,
  file: string,
  why: string,
  remedy?: string,
): Promise<UserError> {
  const remedies = remedy ?? await ownCopies(run, file);
  return new UserError(`Cannot repeat "${display(file)}": ${why}; ${remedies}`);
}

/** Where the models are that a run used. */
async function ownCopies(run: Run, file: string): Promise<string> {
  const { command, checkpoints, config } = run;
  const copies = join(dirname(file), "checkpoints");
  const [first, ...others] = checkpoints.slice(0, checkpoints.length - surrogateSeedsOf(run).length)
    .map(({ name }) => join(copies, name));
  const flag = config["modelFile"] === undefined ? "--checkpoint" : "--model-file";
  if (command !== "train" && first !== undefined && await isFile(first)) {
    return others.length === 0
      ? `add ${flag} ${display(first)}, its own copy`
      : `add ${flag} once a member, for its own copies in ${display(copies)}`;
  }
  return config["checkpoint"] === undefined && config["modelFile"] === undefined
    ? "name another --save-path, or train as it did there first"
    : `name the file that it used by ${flag}`;
}

function plural(epochs: number): string {
  return `${epochs} epoch${epochs === 1 ? "" : "s"}`;
}
