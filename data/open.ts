/**
 * Two sets to work with: what a model is taught, and what it has never been shown.
 *
 * @module
 */
import { resolve } from "node:path";
import { shortened, UserError } from "../src/base/errors.ts";
import { display } from "../src/base/files.ts";
import { commandOf } from "../src/base/invocation.ts";
import type { DataSet } from "./data_set.ts";
import { loadEmbedded } from "./embedded.ts";
import { checkDataPath } from "./files.ts";
import type { Split } from "./idx.ts";
import { type ImageSet, limit } from "./image_set.ts";
import { type DataPath, ownSet } from "./own.ts";
import type { OwnOptions } from "./own_parts.ts";
import { allSets, isSetName, partsOf, type SetName, sets } from "./sets.ts";

/** Said in the place of a set in-domain where there are no such images. */
export const none = "none";

/** Which sets are to be opened: registered ones, or images of the user's own. */
export interface ChosenSets {
  /** What models are trained and tested on; `none` where there are no such images. */
  readonly inDomain: SetName | DataPath | "none";
  /** What they are attacked with; not needed to train. */
  readonly outDomain?: SetName | DataPath | undefined;
}

/** A set that was found. */
export interface OpenSet {
  /** The set itself. */
  readonly set: DataSet;
  /**
   * Its images to train on or to evaluate on, read once, when first asked for: all, or so many as `limit` leaves. Rejects
   * with a `UserError` where a file is missing or damaged, or images and set contradict each other.
   */
  readonly images: (split: Split, most?: number) => Promise<ImageSet>;
}

/** Sets that were found. */
export interface OpenSets {
  /** What models are taught; where there are no such images it says their shape and classes alone. */
  readonly inDomain: OpenSet;
  /** What models are attacked with; undefined where none was asked for. */
  readonly outDomain: OpenSet | undefined;
  /** Whether the embedded data stands in for all of them, or for all but images of the user's own out-domain. */
  readonly embedded: boolean;
  /** What is missing under the default data path, where that is why `embedded` is true. */
  readonly missing: readonly string[];
}

/** How images of the user's own are read in the place of either set. */
export interface OwnSettings extends Omit<OwnOptions, "imageShape"> {
  /**
   * `[C, H, W]` that images of the user's own have in-domain, or those of a model without any; out-domain they have
   * those of the in-domain set.
   */
  readonly imageShape: OwnOptions["imageShape"];
  /** What the model's classes are called, where the images in-domain do not say it themselves. */
  readonly taught?: readonly string[] | undefined;
}

/** Settings of {@link openSets}. */
export interface OpenSetsOptions {
  /** Where to look when no data path is named; "Data" unless told. */
  readonly defaultPath?: string;
  /** How images of the user's own are read; needed where a path or `none` stands in the place of a set. */
  readonly own?: OwnSettings;
  /** Whether a model is there already, which can be attacked without in-domain images. */
  readonly trained?: boolean;
}

/**
 * Finds an in-domain and an out-domain set under `dataPath`. With `dataPath` undefined the default path is
 * looked at, and the embedded data taken for both where one is not whole there and both have a stand-in. Images of
 * the user's own are looked for where their path says, beside either.
 *
 * @throws {UserError} when the sets do not go together, the `dataPath` named is no folder, or a file is
 * missing under the `dataPath` named, or under the default path and no embedded data stands in; or images of the
 * user's own are not there, or not such as are read.
 */
export async function openSets(
  { inDomain, outDomain }: ChosenSets,
  dataPath: string | undefined,
  { defaultPath = "Data", own, trained = false }: OpenSetsOptions = {},
): Promise<OpenSets> {
  await checkApart(inDomain, outDomain);
  const inside = inDomain === none ? noSet(own) : await chosen(inDomain, own);
  // Nothing names the classes of what no model knows but its folders.
  const outside = outDomain &&
    await chosen(
      outDomain,
      own && {
        resize: own.resize,
        imageShape: inside.imageShape,
      },
    );
  checkTogether(inside, outside);
  const path = dataPath ?? defaultPath;
  if (dataPath !== undefined) await checkDataPath(path);
  const missingInside = [
    ...await inside.missing(path, "train"),
    ...await inside.missing(path, "test"),
  ];
  const missing = new Set([
    ...missingInside,
    ...await outside?.missing(path, "test") ?? [],
  ]);
  const registered = [inside, ...outside ? [outside] : []].filter((set) => !set.own);
  const whole = missing.size === 0;
  const standIn = dataPath === undefined && registered.every(hasEmbedded);
  if (!whole && !standIn) {
    const canDoWithout = trained && missingInside.length > 0;
    throw notWhole(registered, [...missing], { dataPath, path, canDoWithout });
  }
  const open = (set: DataSet): OpenSet => {
    const isThere = whole || set.own;
    const load = isThere ? set.load : (_: string, split: Split) => loadStandIn(set, split);
    const { images, ...found } = opened(set, path, load, set === inside);
    if (!set.own || set !== inside || !own?.taught) return { ...found, images };
    const { taught: classes } = own;
    return { ...found, images: async (split, most) => ({ classes, ...await images(split, most) }) };
  };
  return {
    inDomain: open(inside),
    outDomain: outside && open(outside),
    embedded: !whole && !inside.own,
    missing: [...missing],
  };
}

/** A registered set, or images of the user's own as one. */
async function chosen(name: SetName | DataPath, own: OwnOptions | undefined): Promise<DataSet> {
  if (isSetName(name)) return sets[name];
  if (!own) throw new Error("Unreachable: nothing says what images of the user's own are to be");
  return await ownSet(name, own);
}

/** What stands in-domain where there are no images: how those that a model takes are, and its classes if known. */
function noSet(own: OwnSettings | undefined): DataSet {
  if (!own) throw new Error("Unreachable: nothing says what images the model takes");
  return {
    name: none,
    title: "images that are not there",
    shows: "images",
    classes: own.taught ?? [],
    imageShape: own.imageShape,
    downloads: [],
    parts: { test: { name: none, count: 0 } },
    own: { named: false, labelled: false, trainable: false },
    find: () => Promise.resolve(undefined),
    missing: () => Promise.resolve([]),
    load: () => Promise.reject(new Error("Unreachable: there are no in-domain images to read")),
  };
}

/** A set whose parts are read once, and held against what it says of them. */
function opened(set: DataSet, path: string, load: DataSet["load"], isTaught: boolean): OpenSet {
  const read = async (split: Split, most?: number): Promise<ImageSet> => {
    // Only of images of the user's own some can be read without the others.
    if (most !== undefined && !set.own) return limit(await images(split), most);
    const found = await load(path, split, most);
    checkImages(set, found, isTaught);
    return found;
  };
  const parts = new Map<string, Promise<ImageSet>>();
  const images = (split: Split, most?: number): Promise<ImageSet> => {
    const key = `${split} ${most ?? "all"}`;
    const found = parts.get(key) ?? read(split, most);
    parts.set(key, found);
    return found;
  };
  return { set, images };
}

/**
 * Holds images against what their set says of them.
 *
 * @param isTaught whether a model is to know their classes
 * @throws UserError when they have another shape, or a class that the set has not and a model is to know
 */
export function checkImages(
  { title, imageShape, classes }: DataSet,
  { name, shape, labels, labelled = true }: ImageSet,
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
  const wrong = isTaught && labelled ? labels.findIndex((label) => label >= classes.length) : -1;
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
  // Images of the user's own may be for a model that is trained already: that is known elsewhere.
  if (!inside.parts.train && !inside.own) {
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
  if (shape(outside) !== shape(inside) && inside.name === none) {
    throw new UserError(
      `Cannot attack the model with ${outside.title}: its images are ${
        shape(outside)
      }, the model ` +
        `takes ${shape(inside)}; ${remedy}`,
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

/**
 * Refuses one folder or file of the user's own in both places.
 *
 * @throws UserError
 */
async function checkApart(inDomain: string, outDomain: string | undefined): Promise<void> {
  if (outDomain === undefined || inDomain === none) return;
  if (isSetName(inDomain) || isSetName(outDomain)) return;
  const [inside, outside] = await Promise.all(
    [inDomain, outDomain].map((path) => Deno.realPath(path).catch(() => resolve(path))),
  );
  if (inside !== outside) return;
  throw new UserError(
    `Cannot use the images in "${
      display(inDomain)
    }" both in-domain and out-domain: a model knows ` +
      "what it was taught; choose another --out-domain",
  );
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
  { dataPath, path, canDoWithout }: {
    readonly dataPath: string | undefined;
    readonly path: string;
    readonly canDoWithout: boolean;
  },
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
    }"${others} is missing; ${remedy}${
      canDoWithout ? ", or attack without it by --in-domain none" : ""
    }`,
  );
}
