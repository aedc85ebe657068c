/**
 * Two sets to work with: what a model is taught, and what it has never been shown.
 *
 * @module
 */
import { shortened, UserError } from "../src/base/errors.ts";
import { display } from "../src/base/files.ts";
import { commandOf } from "../src/base/invocation.ts";
import { once } from "../src/base/once.ts";
import type { DataSet } from "./data_set.ts";
import { loadEmbedded } from "./embedded.ts";
import { checkDataPath } from "./files.ts";
import type { Split } from "./idx.ts";
import type { ImageSet } from "./image_set.ts";
import { allSets, partsOf, type SetName, sets } from "./sets.ts";

/** Which sets are to be opened. */
export interface ChosenSets {
  /** What models are trained and tested on. */
  readonly inDomain: SetName;
  /** What they are attacked with; not needed to train. */
  readonly outDomain?: SetName | undefined;
}

/** A set that was found. */
export interface OpenSet {
  /** The set itself. */
  readonly set: DataSet;
  /**
   * Its images to train on or to evaluate on, read once, when first asked for. Rejects with a `UserError`
   * where a file is missing or damaged, or images and set contradict each other.
   */
  readonly images: (split: Split) => Promise<ImageSet>;
}

/** Sets that were found. */
export interface OpenSets {
  /** What models are taught. */
  readonly inDomain: OpenSet;
  /** What models are attacked with; undefined where none was asked for. */
  readonly outDomain: OpenSet | undefined;
  /** Whether the embedded data stands in for all of them. */
  readonly embedded: boolean;
  /** What is missing under the default data path, where that is why `embedded` is true. */
  readonly missing: readonly string[];
}

/** Settings of {@link openSets}. */
export interface OpenSetsOptions {
  /** Where to look when no data path is named; "Data" unless told. */
  readonly defaultPath?: string;
}

/**
 * Finds an in-domain and an out-domain set under `dataPath`. With `dataPath` undefined the default path is
 * looked at, and the embedded data taken for both where one is not whole there and both have a stand-in.
 *
 * @throws {UserError} when the sets do not go together, the `dataPath` named is no folder, or a file is
 * missing under the `dataPath` named, or under the default path and no embedded data stands in.
 */
export async function openSets(
  { inDomain, outDomain }: ChosenSets,
  dataPath: string | undefined,
  { defaultPath = "Data" }: OpenSetsOptions = {},
): Promise<OpenSets> {
  const inside: DataSet = sets[inDomain];
  const outside: DataSet | undefined = outDomain && sets[outDomain];
  checkTogether(inside, outside);
  const path = dataPath ?? defaultPath;
  if (dataPath !== undefined) await checkDataPath(path);
  const missing = new Set([
    ...await inside.missing(path, "train"),
    ...await inside.missing(path, "test"),
    ...await outside?.missing(path, "test") ?? [],
  ]);
  const chosen = outside ? [inside, outside] : [inside];
  const whole = missing.size === 0;
  const standIn = dataPath === undefined && chosen.every(hasEmbedded);
  if (!whole && !standIn) throw notWhole(chosen, [...missing], dataPath, path);
  const open = (set: DataSet): OpenSet => {
    const load = whole ? set.load : (_: string, split: Split) => loadStandIn(set, split);
    return opened(set, path, load, set === inside);
  };
  return {
    inDomain: open(inside),
    outDomain: outside && open(outside),
    embedded: !whole,
    missing: [...missing],
  };
}

/** A set whose parts are read once, and held against what it says of them. */
function opened(set: DataSet, path: string, load: DataSet["load"], isTaught: boolean): OpenSet {
  const read = async (split: Split): Promise<ImageSet> => {
    const images = await load(path, split);
    checkImages(set, images, isTaught);
    return images;
  };
  const parts = { train: once(() => read("train")), test: once(() => read("test")) };
  return { set, images: (split) => parts[split]() };
}

/**
 * Holds images against what their set says of them.
 *
 * @param isTaught whether a model is to know their classes
 * @throws UserError when they have another shape, or a class that the set has not and a model is to know
 */
export function checkImages(
  { title, imageShape, classes }: DataSet,
  { name, shape, labels }: ImageSet,
  isTaught: boolean,
): void {
  const cannot = (state: string, remedy: string): UserError =>
    new UserError(`Cannot use ${shortened(name)}: ${state}; ${remedy}`);
  if (shape.join() !== imageShape.join()) {
    throw cannot(
      `its images are ${shape.join("x")}, those of ${title} are ${imageShape.join("x")}`,
      "make the reader and the imageShape of the set's file agree",
    );
  }
  const wrong = isTaught ? labels.findIndex((label) => label >= classes.length) : -1;
  if (wrong >= 0) {
    throw cannot(
      `image ${wrong} is of class ${
        labels[wrong]
      }, ${title} has ${classes.length} classes, from 0 on`,
      "make the reader and the classes of the set's file agree, or use it out-domain",
    );
  }
}

/**
 * Refuses sets that no model can be taught and attacked with.
 *
 * @throws UserError when the in-domain set has no images to train on, or the out-domain set is the same or
 * of another shape
 */
function checkTogether(inside: DataSet, outside: DataSet | undefined): void {
  if (!inside.parts.train) {
    const others = allSets.filter(({ parts }) => parts.train).map(({ name }) => name);
    throw new UserError(
      `Cannot use ${inside.title} in-domain: it has one part only, to evaluate on, and no images to ` +
        `train on; choose ${either("--in-domain", others)}`,
    );
  }
  if (!outside) return;
  const fitting = allSets.filter((set) => set !== inside && shape(set) === shape(inside));
  const remedy = fitting.length > 0
    ? `choose ${either("--out-domain", fitting.map(({ name }) => name))}`
    : "choose another --in-domain";
  if (outside === inside) {
    throw new UserError(
      `Cannot use ${inside.title} both in-domain and out-domain: a model knows what it was taught; ` +
        remedy,
    );
  }
  if (shape(outside) !== shape(inside)) {
    throw new UserError(
      `Cannot attack a model of ${inside.title} with ${outside.title}: its images are ${
        shape(outside)
      }, those of ${inside.title} are ${shape(inside)}; ${remedy}`,
    );
  }
}

/** Channels, height and width: "3x32x32". */
function shape({ imageShape }: DataSet): string {
  return imageShape.join("x");
}

/** `--in-domain mnist, cifar10 or svhn`. */
function either(flag: string, names: readonly string[]): string {
  const [last = "", ...others] = names.toReversed();
  return `${flag} ${others.length > 0 ? `${others.toReversed().join(", ")} or ` : ""}${last}`;
}

/** Whether embedded images stand in for every part of a set. */
function hasEmbedded(set: DataSet): boolean {
  return partsOf(set).every(({ embedded }) => embedded !== undefined);
}

function loadStandIn({ parts }: DataSet, split: Split): Promise<ImageSet> {
  const embedded = parts[split]?.embedded;
  if (embedded === undefined) throw new Error("Unreachable: no embedded data stands in");
  return loadEmbedded(embedded);
}

/** What is missing at `path`, which is the `dataPath` that was named or the default one. */
function notWhole(
  chosen: readonly DataSet[],
  missing: readonly string[],
  dataPath: string | undefined,
  path: string,
): UserError {
  const others = missing.length === 1 ? "" : ` (and ${missing.length - 1} more)`;
  const command = commandOf(`data ${chosen.map(({ name }) => name).join(" ")}`);
  const remedy = dataPath === undefined
    ? `run ${command}, or name the folder that has it with --data-path`
    : `run ${command} --data-path ${display(dataPath)}` +
      (chosen.every(hasEmbedded) ? ", or leave out --data-path to use the embedded data" : "");
  return new UserError(
    `Cannot use the data in "${display(path)}": "${
      display(missing[0] ?? "")
    }"${others} is missing; ${remedy}`,
  );
}
