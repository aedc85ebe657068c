/**
 * Sets published as CIFAR-10 is (A. Krizhevsky, 2009): 32x32 colour photographs in batches, which are Python's
 * pickles or records of bytes, in a folder or in an archive.
 *
 * @module
 */
import { join } from "node:path";
import { shortened, shownValue, UserError } from "../src/base/errors.ts";
import { display, readFile } from "../src/base/files.ts";
import { commandOf } from "../src/base/invocation.ts";
import type { DataSet, Found } from "./data_set.ts";
import { concatenate, readUnzipped, sizeOf } from "./files.ts";
import type { Split } from "./idx.ts";
import { type ImageSet, imageSet } from "./image_set.ts";
import { ByteArray, readNumpyDictionary } from "./numpy.ts";
import { PickleError } from "../src/base/pickle.ts";
import { readTar } from "./tar.ts";

/** Where a part was found: the batches of a folder that are there, in order, or an archive. */
export interface CifarPlace extends Found {
  readonly isArchive: boolean;
  readonly version: CifarVersion;
}

/** One of the ways in which such a set is published. */
export interface CifarVersion {
  readonly folder: string;
  readonly archive: string;
  /** Names of the batches of each part, in order. */
  readonly batches: Readonly<Record<Split, readonly string[]>>;
  readonly parse: (bytes: Uint8Array, name: string) => Batch;
}

/** What tells one such set from another. */
export interface CifarFiles extends Pick<DataSet, "name" | "classes" | "imageShape"> {
  /** Its name for people, with which the names of its parts begin. */
  readonly title: string;
  /** The ways in which it is published, in the order in which they are looked for. */
  readonly versions: readonly [CifarVersion, ...CifarVersion[]];
  /** The archive that a download would bring. */
  readonly download: string;
  /** Bytes that one batch may have. */
  readonly mostBatch: number;
}

/** One file of images and labels. */
export interface Batch {
  /** [n, 3, 32, 32] */
  readonly images: Uint8Array;
  /** [n] */
  readonly labels: Uint8Array;
}

/** What the labels of a batch are. */
export interface BatchLabels {
  /** What a pickle calls them; "labels" when not given. */
  readonly key?: string;
  /** How many numbers stand before the pixels of a record, of which the last is the label; 1 when not given. */
  readonly numbers?: number;
  /** How many classes there are; 10 when not given. */
  readonly classes?: number;
}

const pixels = 3 * 32 * 32;

/** Bytes that an archive may unpack to: the published ones need up to 186,000,000. */
const mostArchive = 256 * 2 ** 20;

/**
 * Finds and reads the parts of a set: from the first of its folders that has a batch of the part, else from the
 * first of its archives. Batches of a folder that are missing are left out. Images are [N, 3, 32, 32], red before
 * green before blue.
 */
export function cifarReader(
  set: CifarFiles,
):
  & { find: (dataPath: string, split: Split) => Promise<CifarPlace | undefined> }
  & Pick<
    DataSet,
    "missing" | "load"
  > {
  const find = (dataPath: string, split: Split): Promise<CifarPlace | undefined> =>
    findIn(set, dataPath, split);
  const missing = async (dataPath: string, split: Split): Promise<string[]> =>
    await find(dataPath, split) === undefined ? [join(dataPath, set.download)] : [];
  const load = async (dataPath: string, split: Split): Promise<ImageSet> => {
    const place = await find(dataPath, split);
    if (place === undefined) {
      throw new UserError(
        `Cannot read "${display(join(dataPath, set.download))}": there is no such file; ` +
          `run ${commandOf(`data ${set.name}`)}`,
      );
    }
    const { path, files, version: { parse } } = place;
    const batches: Batch[] = [];
    if (place.isArchive) {
      for (const { name, data } of await batchesIn(place, split)) batches.push(parse(data, name));
    } else {
      const limit = set.mostBatch;
      for (const file of files) batches.push(parse(await readFile(file, { limit }), file));
    }
    return imageSet({
      name: `${set.title} ${split}`,
      images: concatenate(batches.map(({ images }) => images)),
      labels: concatenate(batches.map(({ labels }) => labels)),
      classes: set.classes,
      shape: set.imageShape,
      source: path,
    });
  };
  return { find, missing, load };
}

async function findIn(
  { versions }: CifarFiles,
  dataPath: string,
  split: Split,
): Promise<CifarPlace | undefined> {
  for (const version of versions) {
    const path = join(dataPath, version.folder);
    const files: string[] = [];
    for (const name of version.batches[split]) {
      const file = join(path, name);
      if (await sizeOf(file) !== undefined) files.push(file);
    }
    if (files.length > 0) return { path, files, isArchive: false, version };
  }
  for (const version of versions) {
    const path = join(dataPath, version.archive);
    if (await sizeOf(path) !== undefined) return { path, files: [path], isArchive: true, version };
  }
  return undefined;
}

/** The batches of an archive, in order; each is named after the archive and its path there. */
async function batchesIn(
  { path: archive, version }: CifarPlace,
  split: Split,
): Promise<{ name: string; data: Uint8Array }[]> {
  const entries = readTar(await readUnzipped(archive, mostArchive), archive);
  const names = version.batches[split];
  const batches = names.flatMap((name) => {
    const entry = entries.find(({ path }) => path.split("/").at(-1) === name);
    return entry === undefined ? [] : [{ name: join(archive, entry.path), data: entry.data }];
  });
  if (batches.length === 0) throw damaged(archive, `it has no "${names[0]}"`);
  return batches;
}

/** A pickled dictionary of `data`, [n, 3072], and `labels`. */
export function parsePickledBatch(
  bytes: Uint8Array,
  name: string,
  { key = "labels", classes = 10 }: BatchLabels = {},
): Batch {
  let batch: Map<unknown, unknown>;
  try {
    batch = readNumpyDictionary(bytes);
  } catch (error) {
    if (!(error instanceof PickleError)) throw error;
    throw damaged(name, error.message);
  }
  const [images, labels] = [batch.get("data"), batch.get(key)];
  if (!(images instanceof ByteArray) || !Array.isArray(labels)) {
    throw damaged(name, `its pickle has no "data" and "${key}"`);
  }
  const [count = 0, size] = images.shape;
  if (images.shape.length !== 2 || size !== pixels || count === 0) {
    throw damaged(
      name,
      `its data is of shape [${shortened(images.shape.join())}], images are [N, ${pixels}]`,
    );
  }
  if (labels.length !== count) {
    throw damaged(name, `it has ${count} images and ${labels.length} labels`);
  }
  checkLabels(labels, name, classes);
  return { images: images.data, labels: Uint8Array.from(labels) };
}

/** Records of a label, which other numbers may precede, and the 3072 bytes of its image. */
export function parseRecordBatch(
  bytes: Uint8Array,
  name: string,
  { numbers = 1, classes = 10 }: BatchLabels = {},
): Batch {
  const record = numbers + pixels;
  if (bytes.length === 0 || bytes.length % record !== 0) {
    throw damaged(name, `it has ${bytes.length} bytes, not a multiple of the record's ${record}`);
  }
  const count = bytes.length / record;
  const images = new Uint8Array(count * pixels);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const start = i * record + numbers;
    labels[i] = bytes[start - 1] ?? 0;
    images.set(bytes.subarray(start, start + pixels), i * pixels);
  }
  checkLabels(labels, name, classes);
  return { images, labels };
}

function checkLabels(
  labels: ArrayLike<unknown>,
  name: string,
  classes: number,
): asserts labels is ArrayLike<number> {
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i];
    if (
      typeof label !== "number" || !Number.isInteger(label) || label < 0 || label >= classes
    ) {
      throw damaged(name, `label ${i} is ${shownValue(label)}, labels are 0 to ${classes - 1}`);
    }
  }
}

function damaged(name: string, state: string): UserError {
  return new UserError(`Cannot read "${display(name)}": ${state}; fetch it again`);
}
