/**
 * Kuzushiji-MNIST (T. Clanuwat et al., "Deep learning for classical Japanese literature", 2018): 28x28 grey handwritten
 * hiragana of ten kinds, in files like MNIST's.
 *
 * @module
 */
import type { DataSet } from "./data_set.ts";
import { idxReader } from "./idx_files.ts";
import type { SourceFile } from "./sources.ts";

const set = {
  name: "kmnist",
  title: "Kuzushiji-MNIST",
  classes: ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"].map((of) =>
    `hiragana ${of}`
  ),
} as const;

/** Kuzushiji-MNIST. */
export const kmnist = {
  ...set,
  ...idxReader({ ...set, folder: "KMNIST" }),
  shows: "hiragana",
  imageShape: [1, 28, 28],
  // The sizes and SHA-256 sums are those that TensorFlow Datasets goes by.
  downloads: [
    file(
      "train-images-idx3-ubyte.gz",
      18_165_135,
      "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
    ),
    file(
      "train-labels-idx1-ubyte.gz",
      29_497,
      "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
    ),
    file(
      "t10k-images-idx3-ubyte.gz",
      3_041_136,
      "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
    ),
    file(
      "t10k-labels-idx1-ubyte.gz",
      5_120,
      "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ),
  ],
  parts: {
    train: { name: "Kuzushiji-MNIST train", count: 60_000 },
    test: { name: "Kuzushiji-MNIST test", count: 10_000 },
  },
} as const satisfies DataSet;

function file(name: string, size: number, hex: string): SourceFile {
  return {
    name,
    path: `KMNIST/raw/${name}`,
    size,
    checksum: { algorithm: "sha256", hex },
    urls: [`http://codh.rois.ac.jp/kmnist/dataset/kmnist/${name}`],
  };
}
