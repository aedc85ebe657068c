/**
 * What stands ready on every run: data, GPU, and the models that were loaded or trained.
 *
 * @module
 */
import { type ImageSet, ownNote } from "../../data/mod.ts";
import { checkpointPaths, loadCheckpoint, stateDigest } from "../checkpoint/checkpoint.ts";
import type { Statement } from "../checkpoint/statement.ts";
import type { Clock } from "../base/clock.ts";
import { membersOf, type RunConfig } from "./config.ts";
import { chosen, ResidentSet } from "../evaluate/resident_set.ts";
import { shortened, UserError } from "../base/errors.ts";
import { readFile } from "../base/files.ts";
import { sha256Of } from "../base/digest.ts";
import {
  distinguishing,
  type Model,
  networkOf,
  ofMethod,
  ownOf,
  type Subject,
} from "../methods/mod.ts";
import {
  type Device,
  openDevice,
  push,
  release,
  useExactConvolutions,
  useTuning,
} from "../nn/mod.ts";
import { augmentOf, builtModel, openSetup, type Setup, trainBatchOf } from "./setup.ts";
import { givenCheckpoints } from "./named.ts";
import { isWithout, remark } from "./without_in_domain.ts";
import { checkPosteriors, fitPosteriors, type FittedPosterior } from "./posterior.ts";
import { partsFor } from "./selection.ts";
import { leftToTrain, titleOf, tooMany, trainingState } from "./pending.ts";
import { type Held, hold } from "../base/lock.ts";
import { checkLifted, checkWeights } from "../onnx/mod.ts";
import type { Reporter } from "../base/reporter.ts";
import { type Learner, learnTogether } from "../train/step.ts";
import { fit, type Trained } from "../train/fit.ts";

/** A model and the seed that it was or will be trained with. */
export interface Member {
  readonly seed: number;
  readonly model: Model;
}

/** What stands ready on every run. */
export interface Workbench extends Setup, Disposable {
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
 * @param reporter told of what holds up the thread
 * @throws UserError when one of them cannot be had
 */
export async function openWorkbench(
  config: RunConfig,
  purpose: "train" | "use",
  reporter: Reporter,
): Promise<Workbench> {
  const setup = await openSetup(config, purpose);
  // Of a model of its own: one that has been traced can be trained no more.
  if (purpose === "use") checkPosteriors(subjectOf(setup, [newModel(setup, config.seed)]));
  const device = await openTuned(config, reporter);
  const close = (): void => device[Symbol.dispose]();
  return { ...setup, device, ...builtFor(setup), [Symbol.dispose]: close };
}

/** The models of a set-up before their training, and what they are together. */
export function builtFor(setup: Setup): Pick<Workbench, "members" | "subject"> {
  const members = setup.seeds.map((seed): Member => ({ seed, model: newModel(setup, seed) }));
  return { members, subject: subjectOf(setup, members.map(({ model }) => model)) };
}

/** Models of a set-up as what is evaluated and attacked. */
export function subjectOf(
  { method, procedure, trainingConfig }: Setup,
  models: readonly Model[],
): Subject {
  return method.subject(models, procedure, trainingConfig);
}

/** Opens the GPU: cut as was measured for it, and without Winograd's tiles where a run is to have none. */
export async function openTuned(
  { exactConvolutions }: Pick<RunConfig, "exactConvolutions">,
  reporter?: Reporter,
): Promise<Device> {
  const device = await openDevice(reporter);
  await useTuning(device);
  if (exactConvolutions) useExactConvolutions(device);
  return device;
}

/** A model before its training, or out of a file. */
export function newModel(setup: Setup, seed: number): Model {
  const { imported, seeds, taken } = setup;
  return imported?.[seeds.indexOf(seed)] ?? builtModel(setup, taken, seed);
}

/** A model's file, as it was loaded. */
export interface LoadedModel {
  /** Where it was read: as it was given, or in the folder of the training. */
  readonly path: string;
  /** SHA-256 of the file. */
  readonly sha256: string;
  /** SHA-256 of the model's names, shapes and values, whatever file they came from. */
  readonly digest: string;
  /** What it has learned for how long; null where the file does not say. */
  readonly trained: TrainedOn | null;
  /** Paths of files that hold a part of it, from its file's folder on; none when not given. */
  readonly beside?: readonly string[];
  /** The posterior of its last layer, of a method that has one. */
  readonly posterior?: FittedPosterior;
}

/** Epochs behind a model, and the images that it saw in them. */
export interface TrainedOn {
  /** Epochs that the weights come from, 1 or more. */
  readonly epochs: number;
  /** The training set by name, and its number of images. */
  readonly data: { readonly name: string; readonly count: number };
}

/** Loads the checkpoints that are named or were trained before, and trains those that are missing. */
export async function findOrTrain(
  bench: Workbench,
  reporter: Reporter,
  clock: Clock,
): Promise<LoadedModel[]> {
  const { config, device, members } = bench;
  const given = givenCheckpoints(config, bench.seeds);
  await tellOwn(bench, reporter, given === undefined);
  const loaded: LoadedModel[] = [];
  const statements: (Statement | undefined)[] = [];
  // What is the network's own shows in the arrays.
  const own = ownOf(bench.method, networkOf(bench.network), bench.trainingConfig);
  const believed = Object.entries(distinguishing(networkOf(bench.network), ofMethod(own)))
    .map((of) => of.join(" "));
  if (bench.unstated && believed.length > 0) {
    reporter.note(
      `The checkpoint does not say how it was trained; taken as ${believed.join(", ")}`,
    );
  }
  if (bench.method.ensemble && membersOf(config) === undefined) {
    reporter.note(
      `The ensemble has ${members.length} members${
        bench.sets.embedded ? " on the embedded data" : ""
      }; --num-ensembles makes it larger or smaller`,
    );
  }
  const trained = given ? [] : await trainedCheckpoints(bench, reporter, clock);
  for (const [i, { model }] of members.entries()) {
    const path = given?.[i] ?? trained[i] ?? "";
    const outOfFile = bench.imported?.[i];
    if (outOfFile) checkWeights(device, outOfFile);
    if (outOfFile) await checkLifted(device, outOfFile, outOfFile.imageShape);
    const { sha256, notes, statement } = outOfFile
      ? { sha256: await digestOfFile(path), notes: outOfFile.notes, statement: undefined }
      : await loadCheckpoint(model, path);
    notes.forEach((note) => reporter.note(note));
    const digest = outOfFile?.digest ?? stateDigest(model);
    const twin = loaded.find((other) => other.digest === digest);
    if (given && twin) throw sameModel(twin.path, path);
    loaded.push({
      path,
      sha256,
      digest,
      trained: trainedOn(statement),
      ...outOfFile && { beside: outOfFile.beside },
    });
    push(device, model.state.values());
    await model.finish?.(device);
    statements.push(statement);
  }
  const posteriors = await fitPosteriors(bench, statements, reporter);
  return loaded.map((of, i) => {
    const { [i]: posterior } = posteriors;
    return posterior ? { ...of, posterior } : of;
  });
}

async function digestOfFile(path: string): Promise<string> {
  return sha256Of([await readFile(path)]);
}

/**
 * Reads what images of the user's own a run uses, and says what became of them: which files are left out, and what was
 * done to the others.
 *
 * @param toTrain whether models may have to be trained first
 * @throws UserError when they cannot be read, or do not fit the network
 */
export async function tellOwn(
  { sets: { inDomain, outDomain }, config, trainingSet }: Setup,
  reporter: Reporter,
  toTrain: boolean,
): Promise<void> {
  const used = [
    ...inDomain.set.own && !isWithout(config)
      ? [...toTrain ? [await trainingSet()] : [], await inDomain.images("test", config.limit)]
      : [],
    ...outDomain?.set.own ? [await outDomain.images("test", config.limit)] : [],
  ];
  if (isWithout(config)) reporter.note(remark);
  for (const note of used.flatMap((set) => ownNote(set) ?? [])) reporter.note(note);
}

/** One model as two members would answer as one of them alone. */
function sameModel(...paths: readonly [string, string]): UserError {
  const [first, second] = paths.map((path) => shortened(path, 80));
  return new UserError(
    `Cannot make an ensemble of "${first}" and "${second}": they hold the same model; ` +
      "name one checkpoint of each member",
  );
}

function trainedOn(statement: Statement | undefined): TrainedOn | null {
  if (!statement) return null;
  const { history, data: { name, count } } = statement;
  return { epochs: history.length, data: { name, count } };
}

/** The best checkpoints of the members' trainings, which are begun or gone on with where they have too few epochs. */
async function trainedCheckpoints(
  bench: Workbench,
  reporter: Reporter,
  clock: Clock,
): Promise<string[]> {
  const { folders, pending, begins, remarks } = await leftToTrain(bench);
  for (const message of [...begins, ...remarks]) reporter.note(message);
  for (const [goal, group] of Map.groupBy(pending, (p) => p.goal)) {
    await trainMembers(bench, group.map(({ position }) => position), goal, reporter, clock);
  }
  return folders.map((folder) => checkpointPaths(folder).best);
}

/** What a member's training left. */
export interface TrainedMember {
  readonly seed: number;
  readonly trained: Trained;
  readonly paths: { readonly best: string; readonly last: string };
  readonly set: ImageSet;
}

/**
 * Trains members to `epochs`, from where their folders' last checkpoints stand: side by side those that
 * can be and have as many epochs behind them, one after the other the rest.
 */
export async function trainMembers(
  bench: Workbench,
  positions: readonly number[],
  epochs: number,
  reporter: Reporter,
  clock: Clock,
): Promise<TrainedMember[]> {
  const found = new Map<number, TrainedMember>();
  const groups = new Map<string, number[]>();
  for (const position of positions) {
    const { seed, model } = memberAt(bench, position);
    const { folder, done } = await trainingState(bench, seed);
    if (done > epochs) reporter.note(tooMany(titleOf(bench), folder, done, epochs));
    const key = learnTogether(model) ? `${done} epochs` : `member ${position}`;
    groups.set(key, [...groups.get(key) ?? [], position]);
  }
  for (const group of groups.values()) {
    const left = await trainTogether(bench, group, epochs, reporter, clock);
    group.forEach((position, i) => {
      const member = left[i];
      if (member) found.set(position, member);
    });
  }
  return positions.flatMap((position) => found.get(position) ?? []);
}

function memberAt({ members }: Workbench, position: number): Member {
  const member = members[position];
  if (!member) throw new Error(`Unreachable: there is no member ${position}`);
  return member;
}

async function trainTogether(
  bench: Workbench,
  positions: readonly number[],
  epochs: number,
  reporter: Reporter,
  clock: Clock,
): Promise<TrainedMember[]> {
  const { trainingConfig, procedure, device, method, members, network } = bench;
  const learners: Learner[] = [];
  const set = await bench.trainingSet();
  for (const { seed, model } of positions.map((position) => memberAt(bench, position))) {
    const folder = await bench.trainingFolder(seed);
    const { learn, select } = await splitForSelection(bench, seed, set);
    learners.push({ model, seed, folder, trainIndex: learn, selection: new ResidentSet(select) });
  }
  const [first] = learners;
  if (!first) throw new Error("Unreachable: no member to train");
  const usual = { fixedOrder: false, evalAfterFirstStep: false };
  const train = new ResidentSet(set);
  const numbers = positions.map((position) => position + 1);
  await using holds = new AsyncDisposableStack();
  const held: Held[] = [];
  for (const { folder } of learners) {
    held.push(holds.use(await hold(folder, (message) => reporter.note(message))));
  }
  const trained = await clock.time("train", () =>
    fit({
      device,
      learners,
      config: trainingConfig,
      procedure,
      ...(method.schedule?.(procedure, networkOf(network)) ?? usual),
      augment: augmentOf(bench),
      dropLast: method.dropLast,
      title: members.length === 1 ? "train" : `train ${runs(numbers)}/${members.length}`,
      epochs,
      check: () => held.forEach((of) => of.check()),
      batchSize: Math.min(trainBatchOf(trainingConfig), first.trainIndex.length),
      microBatch: trainingConfig.microBatch,
      train,
      reporter,
    }));
  release(device, [
    ...train.parameters,
    ...learners.flatMap(({ selection }) => selection.parameters),
  ]);
  return learners.map(({ seed, folder }, i) => ({
    seed,
    trained: trained[i] ?? { epochs: [], best: { epoch: -1, accuracy: -1 } },
    paths: checkpointPaths(folder),
    set,
  }));
}

/** `1-3` of 1, 2, 3; otherwise `1, 3`. */
function runs(numbers: readonly number[]): string {
  const [first = 0] = numbers;
  const row = numbers.length > 1 && numbers.every((n, i) => n === first + i);
  return row ? `${first}-${first + numbers.length - 1}` : numbers.join(", ");
}

/** The images that a member's best epoch is chosen by. */
export async function selectionSet(bench: Workbench, seed: number): Promise<ImageSet> {
  return (await splitForSelection(bench, seed, await bench.trainingSet())).select;
}

/**
 * Learn from the whole training set and choose the best epoch on the *test* set, or hold out every
 * tenth image and choose on those.
 */
async function splitForSelection(
  { trainingConfig, procedure, sets }: Workbench,
  seed: number,
  set: ImageSet,
): Promise<{ learn: Uint32Array; select: ImageSet }> {
  const { learn, held } = partsFor(procedure.selection, seed, set);
  if (held.length === 0) {
    return { learn, select: await sets.inDomain.images("test", trainingConfig.limit) };
  }
  return { learn, select: { ...chosen(set, held), name: `${set.name} (held out)` } };
}
