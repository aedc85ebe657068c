/**
 * What stands ready on every run: data, GPU, and the models that were loaded or trained.
 *
 * @module
 */
import type { ImageSet } from "../data/mod.ts";
import { checkpointPaths, loadCheckpoint } from "./checkpoint/checkpoint.ts";
import type { Clock } from "./clock.ts";
import type { RunConfig } from "./config.ts";
import { ResidentSet } from "./dataset.ts";
import { familyOf, type Model, type Subject } from "./methods/mod.ts";
import { type Device, openDevice, push, Random, release } from "./nn/mod.ts";
import {
  checkpointsOf,
  limited,
  openPlace,
  type Place,
  trainBatchOf,
  trainingFolder,
  trainingState,
} from "./place.ts";
import { concerning } from "./protocol.ts";
import type { Reporter } from "./reporter.ts";
import { fit, type Trained } from "./training.ts";

/** Pixels of padding that training images are cropped from at random, and mirrored. */
const augmentation = { LeNet: 0, "ResNet-18": 4 } as const;

/** A model and the seed that it was or will be trained with. */
export interface Member {
  readonly seed: number;
  readonly model: Model;
}

/** What stands ready on every run. */
export interface Workbench extends Place, Disposable {
  readonly device: Device;
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
  const family = familyOf(model.name);
  const whom = { mode: method.name, family };
  const { epochOrder, batchStatistics } = concerning(procedure, whom, "training");
  const [train, selection] = [new ResidentSet(set), new ResidentSet(select)];
  const trained = await clock.time("train", () =>
    fit({
      device,
      model,
      config: { ...trainingConfig, seed },
      fixedOrder: epochOrder === "fixed",
      evalAfterFirstStep: batchStatistics === "first-step",
      augment: trainingConfig.augmentation ? augmentation[family] : 0,
      dropLast: method.dropLast,
      title: members.length === 1 ? "train" : `train ${position + 1}/${members.length}`,
      epochs,
      batchSize: Math.min(trainBatchOf(trainingConfig), learn.length),
      microBatch: trainingConfig.microBatch,
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
