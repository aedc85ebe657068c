/**
 * CIFAR-10 (A. Krizhevsky, 2009): 32x32 colour photographs of ten kinds of things, in batches.
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

/** Where one part of CIFAR-10 was found: the batches of a folder that are there, in order, or an archive. */
export interface Cifar10Place extends Found {
  readonly isArchive: boolean;
  readonly version: Version;
}

/** One of the two ways in which CIFAR-10 is published. */
interface Version {
  readonly folder: string;
  readonly archive: string;
  /** How the names of its batches end. */
  readonly extension: string;
  readonly parse: (bytes: Uint8Array, name: string) => Batch;
}

/** What the classes are called, by label. */
const classes = [
  "airplane",
  "automobile",
  "bird",
  "cat",
  "deer",
  "dog",
  "frog",
  "horse",
  "ship",
  "truck",
] as const;

/** One file of images and labels. */
export interface Batch {
  /** [n, 3, 32, 32] */
  readonly images: Uint8Array;
  /** [n] */
  readonly labels: Uint8Array;
}

const python: Version = {
  folder: "cifar-10-batches-py",
  archive: "cifar-10-python.tar.gz",
  extension: "",
  parse: parsePickledBatch,
};
const binary: Version = {
  folder: "cifar-10-batches-bin",
  archive: "cifar-10-binary.tar.gz",
  extension: ".bin",
  parse: parseRecordBatch,
};
const versions = [python, binary];
const pixels = 3 * 32 * 32;

/** Bytes that an archive may unpack to: the published ones need 186,000,000 and 184,400,000. */
const mostArchive = 256 * 2 ** 20;
/** Bytes that one batch may have: the published ones have 31,035,704 and 30,730,000. */
const mostBatch = 64 * 2 ** 20;

/** CIFAR-10. */
export const cifar10 = {
  name: "cifar10",
  title: "CIFAR-10",
  shows: "objects",
  classes,
  imageShape: [3, 32, 32],
  downloads: [{
    name: "cifar-10-python.tar.gz",
    path: "cifar-10-python.tar.gz",
    size: 170_498_071,
    // The MD5 sum that torchvision goes by.
    checksum: { algorithm: "md5", hex: "c58f30108f718f92721af3b95e74349a" },
    urls: ["https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"],
  }],
  parts: {
    train: { name: "CIFAR-10 train", count: 50_000 },
    test: { name: "CIFAR-10 test", count: 10_000 },
  },
  find: findCifar10,
  missing: missingCifar10,
  load: loadCifar10,
} as const satisfies DataSet;

/**
 * CIFAR-10 from the first of these under the data path that has a batch of the part: the folders
 * cifar-10-batches-py and cifar-10-batches-bin, the archives cifar-10-python.tar.gz and
 * cifar-10-binary.tar.gz. Batches to train on that are missing are left out. Images are
 * [N, 3, 32, 32], red before green before blue; labels 0 to 9 from airplane to truck.
 *
 * @throws {UserError} when there is none of them, or a batch is damaged.
 */
export async function loadCifar10(dataPath: string, split: Split): Promise<ImageSet> {
  const place = await findCifar10(dataPath, split);
  if (place === undefined) {
    const [missing] = await missingCifar10(dataPath, split);
    throw new UserError(
      `Cannot read "${display(missing ?? "")}": there is no such file; ` +
        `run ${commandOf("data cifar10")}`,
    );
  }
  const { path, files, version: { parse } } = place;
  const batches: Batch[] = [];
  if (place.isArchive) {
    for (const { name, data } of await batchesIn(place, split)) batches.push(parse(data, name));
  } else {
    for (const file of files) batches.push(parse(await readFile(file, { limit: mostBatch }), file));
  }
  return imageSet({
    name: `CIFAR-10 ${split}`,
    images: concatenate(batches.map(({ images }) => images)),
    labels: concatenate(batches.map(({ labels }) => labels)),
    classes,
    shape: [3, 32, 32],
    source: path,
  });
}

/** Where `loadCifar10` reads; undefined where there is nothing to read. */
export async function findCifar10(
  dataPath: string,
  split: Split,
): Promise<Cifar10Place | undefined> {
  for (const version of versions) {
    const path = join(dataPath, version.folder);
    const files: string[] = [];
    for (const name of batchNames(split, version)) {
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

/** Path of the archive that a download would bring, where `loadCifar10` finds nothing. */
export async function missingCifar10(dataPath: string, split: Split): Promise<string[]> {
  const place = await findCifar10(dataPath, split);
  return place === undefined ? [join(dataPath, python.archive)] : [];
}

function batchNames(split: Split, { extension }: Version): string[] {
  const stems = split === "test" ? ["test_batch"] : [1, 2, 3, 4, 5].map((n) => `data_batch_${n}`);
  return stems.map((stem) => stem + extension);
}

/** The batches of an archive, in order; each is named after the archive and its path there. */
async function batchesIn(
  { path: archive, version }: Cifar10Place,
  split: Split,
): Promise<{ name: string; data: Uint8Array }[]> {
  const entries = readTar(await readUnzipped(archive, mostArchive), archive);
  const names = batchNames(split, version);
  const batches = names.flatMap((name) => {
    const entry = entries.find(({ path }) => path.split("/").at(-1) === name);
    return entry === undefined ? [] : [{ name: join(archive, entry.path), data: entry.data }];
  });
  if (batches.length === 0) throw damaged(archive, `it has no "${names[0]}"`);
  return batches;
}

/** A pickled dictionary of `data`, [n, 3072], and `labels`. */
export function parsePickledBatch(bytes: Uint8Array, name: string): Batch {
  let batch: Map<unknown, unknown>;
  try {
    batch = readNumpyDictionary(bytes);
  } catch (error) {
    if (!(error instanceof PickleError)) throw error;
    throw damaged(name, error.message);
  }
  const [images, labels] = [batch.get("data"), batch.get("labels")];
  if (!(images instanceof ByteArray) || !Array.isArray(labels)) {
    throw damaged(name, 'its pickle has no "data" and "labels"');
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
  checkLabels(labels, name);
  return { images: images.data, labels: Uint8Array.from(labels) };
}

/** Records of a label and the 3072 bytes of its image. */
export function parseRecordBatch(bytes: Uint8Array, name: string): Batch {
  const record = 1 + pixels;
  if (bytes.length === 0 || bytes.length % record !== 0) {
    throw damaged(name, `it has ${bytes.length} bytes, not a multiple of the record's ${record}`);
  }
  const count = bytes.length / record;
  const images = new Uint8Array(count * pixels);
  const labels = new Uint8Array(count);
  for (let i = 0; i < count; i++) {
    const start = i * record;
    labels[i] = bytes[start] ?? 0;
    images.set(bytes.subarray(start + 1, start + record), i * pixels);
  }
  checkLabels(labels, name);
  return { images, labels };
}

function checkLabels(
  labels: ArrayLike<unknown>,
  name: string,
): asserts labels is ArrayLike<number> {
  for (let i = 0; i < labels.length; i++) {
    const label = labels[i];
    if (typeof label !== "number" || !Number.isInteger(label) || label < 0 || label > 9) {
      throw damaged(name, `label ${i} is ${shownValue(label)}, labels are 0 to 9`);
    }
  }
}

function damaged(name: string, state: string): UserError {
  return new UserError(`Cannot read "${display(name)}": ${state}; fetch it again`);
}
