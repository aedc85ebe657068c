/**
 * MNIST (Y. LeCun and C. Cortes, 1998): 28x28 grey handwritten digits, white on black.
 *
 * @module
 */
import type { DataSet } from "./data_set.ts";
import { digits, type Split } from "./idx.ts";
import { idxReader } from "./idx_files.ts";
import type { ImageSet } from "./image_set.ts";
import type { SourceFile } from "./sources.ts";

const set = { name: "mnist", title: "MNIST", classes: digits } as const;

/** MNIST. */
export const mnist = {
  ...set,
  ...idxReader({ ...set, folder: "MNIST" }),
  shows: "digits",
  imageShape: [1, 28, 28],
  downloads: [
    file(
      "train-images-idx3-ubyte.gz",
      9_912_422,
      "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    file(
      "train-labels-idx1-ubyte.gz",
      28_881,
      "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    file(
      "t10k-images-idx3-ubyte.gz",
      1_648_877,
      "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    file(
      "t10k-labels-idx1-ubyte.gz",
      4_542,
      "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
  ],
  parts: {
    train: { name: "MNIST train", count: 60_000, embedded: "train" },
    test: { name: "MNIST test", count: 10_000, embedded: "test" },
  },
} as const satisfies DataSet;

/**
 * MNIST from DATA/MNIST/raw: {train,t10k}-{images-idx3,labels-idx1}-ubyte, each with `.gz` or
 * without. Images are [N, 1, 28, 28], white digits on black; labels are the digits.
 *
 * @throws {UserError} when a file is missing, damaged, or does not fit its partner.
 */
export function loadMnist(dataPath: string, split: Split): Promise<ImageSet> {
  return mnist.load(dataPath, split);
}

function file(name: string, size: number, hex: string): SourceFile {
  return {
    name,
    path: `MNIST/raw/${name}`,
    size,
    checksum: { algorithm: "sha256", hex },
    urls: [
      `https://ossci-datasets.s3.amazonaws.com/mnist/${name}`,
      `https://storage.googleapis.com/cvdf-datasets/mnist/${name}`,
      `http://yann.lecun.com/exdb/mnist/${name}`,
    ],
  };
}
