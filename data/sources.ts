/**
 * Where the published data sets can be had, and how to tell that a copy is the published one.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { explain } from "../src/base/files.ts";
import { sizeOf } from "./files.ts";

/** One file to download. */
export interface SourceFile {
  /** The file's own name. */
  readonly name: string;
  /** Where it belongs, relative to the data path. */
  readonly path: string;
  /** Its length in bytes. */
  readonly size: number;
  /** Its published checksum, in hex. */
  readonly checksum: { readonly algorithm: "sha256" | "md5"; readonly hex: string };
  /** The same file at several hosts, in the order they are tried. */
  readonly urls: readonly string[];
}

/** Files to download, by the set's name on the command line. */
export const sources = {
  mnist: [
    mnist(
      "train-images-idx3-ubyte.gz",
      9_912_422,
      "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    ),
    mnist(
      "train-labels-idx1-ubyte.gz",
      28_881,
      "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    ),
    mnist(
      "t10k-images-idx3-ubyte.gz",
      1_648_877,
      "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    ),
    mnist(
      "t10k-labels-idx1-ubyte.gz",
      4_542,
      "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    ),
  ],
  notmnist: [{
    name: "notMNIST_small.tar.gz",
    path: "notMNIST_small.tar.gz",
    size: 8_458_043,
    // Only an MD5 sum of this archive was ever published.
    checksum: { algorithm: "md5", hex: "c9890a473a9769fda4bdf314aaf500dd" },
    urls: [
      "http://yaroslavvb.com/upload/notMNIST/notMNIST_small.tar.gz",
      "https://commondatastorage.googleapis.com/books1000/notMNIST_small.tar.gz",
      "https://storage.googleapis.com/books1000/notMNIST_small.tar.gz",
    ],
  }],
  // The MD5 sums of CIFAR-10 and SVHN are those that torchvision goes by.
  cifar10: [{
    name: "cifar-10-python.tar.gz",
    path: "cifar-10-python.tar.gz",
    size: 170_498_071,
    checksum: { algorithm: "md5", hex: "c58f30108f718f92721af3b95e74349a" },
    urls: ["https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"],
  }],
  svhn: [{
    name: "test_32x32.mat",
    path: "SVHN/test_32x32.mat",
    size: 64_275_384,
    checksum: { algorithm: "md5", hex: "eb5a983be6a315427106f1b164d9cef3" },
    urls: ["http://ufldl.stanford.edu/housenumbers/test_32x32.mat"],
  }],
} as const satisfies Record<string, readonly SourceFile[]>;

/** A set that can be downloaded: "mnist", "notmnist", "cifar10" or "svhn". */
export type SourceName = keyof typeof sources;

/** Holds a file against its published size and checksum; undefined where there is no file. */
export async function verify(
  path: string,
  source: SourceFile,
): Promise<{ right: boolean; sha256: string } | undefined> {
  const size = await sizeOf(path);
  if (size === undefined) return undefined;
  const [sha256, md5] = [createHash("sha256"), createHash("md5")];
  try {
    for await (const chunk of (await Deno.open(path)).readable) {
      sha256.update(chunk);
      md5.update(chunk);
    }
  } catch (error) {
    throw explain(error, "read", path);
  }
  const found = { sha256: sha256.digest("hex"), md5: md5.digest("hex") };
  const right = size === source.size && found[source.checksum.algorithm] === source.checksum.hex;
  return { right, sha256: found.sha256 };
}

function mnist(name: string, size: number, hex: string): SourceFile {
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
