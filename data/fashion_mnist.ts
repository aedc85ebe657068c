/**
 * Fashion-MNIST (H. Xiao et al., "Fashion-MNIST: a novel image dataset for benchmarking machine learning
 * algorithms", 2017): 28x28 grey pictures of ten kinds of clothes, in files like MNIST's.
 *
 * @module
 */
import type { DataSet } from "./data_set.ts";
import { idxReader } from "./idx_files.ts";
import type { SourceFile } from "./sources.ts";

const set = {
  name: "fashion-mnist",
  title: "Fashion-MNIST",
  classes: [
    "T-shirt or top",
    "trousers",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
  ],
} as const;

/** Fashion-MNIST. */
export const fashionMnist = {
  ...set,
  ...idxReader({ ...set, folder: "FashionMNIST" }),
  shows: "clothes",
  imageShape: [1, 28, 28],
  // The MD5 sums are those that torchvision goes by.
  downloads: [
    file("train-images-idx3-ubyte.gz", 26_421_880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
    file("train-labels-idx1-ubyte.gz", 29_515, "25c81989df183df01b3e8a0aad5dffbe"),
    file("t10k-images-idx3-ubyte.gz", 4_422_102, "bef4ecab320f06d8554ea6380940ec79"),
    file("t10k-labels-idx1-ubyte.gz", 5_148, "bb300cfdad3c16e7a12a480ee83cd310"),
  ],
  parts: {
    train: { name: "Fashion-MNIST train", count: 60_000 },
    test: { name: "Fashion-MNIST test", count: 10_000 },
  },
} as const satisfies DataSet;

function file(name: string, size: number, hex: string): SourceFile {
  return {
    name,
    path: `FashionMNIST/raw/${name}`,
    size,
    checksum: { algorithm: "md5", hex },
    urls: [
      `http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/${name}`,
      `https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/${name}`,
    ],
  };
}
