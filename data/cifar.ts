/**
 * CIFAR-10 (A. Krizhevsky, 2009): 32x32 colour photographs of ten kinds of things.
 *
 * @module
 */
import {
  type CifarPlace,
  cifarReader,
  parsePickledBatch,
  parseRecordBatch,
} from "./cifar_files.ts";
import type { DataSet } from "./data_set.ts";
import type { Split } from "./idx.ts";
import type { ImageSet } from "./image_set.ts";

const trainBatches = [1, 2, 3, 4, 5].map((n) => `data_batch_${n}`);

const set = {
  name: "cifar10",
  title: "CIFAR-10",
  imageShape: [3, 32, 32],
  /** What the classes are called, by label. */
  classes: [
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
  ],
} as const;

const reader = cifarReader({
  ...set,
  versions: [
    {
      folder: "cifar-10-batches-py",
      archive: "cifar-10-python.tar.gz",
      batches: { train: trainBatches, test: ["test_batch"] },
      parse: (bytes, name) => parsePickledBatch(bytes, name),
    },
    {
      folder: "cifar-10-batches-bin",
      archive: "cifar-10-binary.tar.gz",
      batches: { train: trainBatches.map((name) => `${name}.bin`), test: ["test_batch.bin"] },
      parse: (bytes, name) => parseRecordBatch(bytes, name),
    },
  ],
  download: "cifar-10-python.tar.gz",
  // The published ones have 31,035,704 and 30,730,000.
  mostBatch: 64 * 2 ** 20,
});

/** CIFAR-10. */
export const cifar10 = {
  ...set,
  ...reader,
  shows: "objects",
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
} as const satisfies DataSet;

/**
 * CIFAR-10 from the first of these under the data path that has a batch of the part: the folders
 * cifar-10-batches-py and cifar-10-batches-bin, the archives cifar-10-python.tar.gz and
 * cifar-10-binary.tar.gz. Batches to train on that are missing are left out. Images are
 * [N, 3, 32, 32], red before green before blue; labels 0 to 9 from airplane to truck.
 *
 * @throws {UserError} when there is none of them, or a batch is damaged.
 */
export function loadCifar10(dataPath: string, split: Split): Promise<ImageSet> {
  return reader.load(dataPath, split);
}

/** Where `loadCifar10` reads; undefined where there is nothing to read. */
export function findCifar10(dataPath: string, split: Split): Promise<CifarPlace | undefined> {
  return reader.find(dataPath, split);
}

/** Path of the archive that a download would bring, where `loadCifar10` finds nothing. */
export function missingCifar10(dataPath: string, split: Split): Promise<string[]> {
  return reader.missing(dataPath, split);
}
