/**
 * Mirage's data: which sets go together, where they are found, and what is there.
 *
 * @example
 * ```ts
 * import { limit, openPair } from "./mod.ts";
 * const pair = await openPair("mnist", undefined);
 * const letters = limit(await pair.outDomain(), 20);
 * if (letters.images.length !== 20 * 28 * 28) throw new Error("Unreachable: 20 images of 28x28");
 * ```
 *
 * @module
 */
import { UserError } from "../src/base/errors.ts";
import { display } from "../src/base/files.ts";
import { commandOf } from "../src/base/invocation.ts";
import { loadCifar10, missingCifar10 } from "./cifar.ts";
import { type EmbeddedSplit, loadEmbedded } from "./embedded.ts";
import { checkDataPath } from "./files.ts";
import { loadMnist, missingMnist } from "./idx.ts";
import type { ImageSet } from "./image_set.ts";
import { findNotMnist, loadNotMnist, notMnistPaths } from "./notmnist.ts";
import type { SourceName } from "./sources.ts";
import { loadSvhn, missingSvhn } from "./svhn.ts";

export { type ImageSet, imageSet, type ImageSetParts, limit } from "./image_set.ts";
export { type Idx, loadMnist, readIdx, type Split } from "./idx.ts";
export { loadNotMnist, type NotMnistOptions } from "./notmnist.ts";
export { loadCifar10 } from "./cifar.ts";
export { loadSvhn } from "./svhn.ts";
export { type EmbeddedSplit, loadEmbedded } from "./embedded.ts";
export { type DataRow, describeData } from "./describe.ts";
export { type SourceFile, type SourceName, sources } from "./sources.ts";
export {
  download,
  type Downloaded,
  type DownloadOptions,
  type DownloadProgress,
  downloadSet,
} from "./download.ts";

/** An in-domain set and the out-domain set that it is attacked with. */
export interface DataPair {
  /** For people: the in-domain set, the out-domain set. */
  readonly inDomain: string;
  readonly outDomain: string;
  /** What to download to have both. */
  readonly downloads: readonly SourceName[];
  /** Paths of the files that are missing under a data path; none when the pair is whole. */
  readonly missing: (dataPath: string) => Promise<string[]>;
  /** In-domain images to train on, in-domain images to evaluate on, out-domain images. */
  readonly train: (dataPath: string) => Promise<ImageSet>;
  readonly test: (dataPath: string) => Promise<ImageSet>;
  readonly outDomainSet: (dataPath: string) => Promise<ImageSet>;
  /** The parts of the embedded data that stand in for the three, where any do. */
  readonly embedded?: Readonly<Record<"train" | "test" | "outDomain", EmbeddedSplit>>;
}

/** The name of a pair. */
export type PairName = "mnist" | "cifar10";

/** The pairs, by name. */
export const dataPairs = {
  mnist: {
    inDomain: "MNIST",
    outDomain: "notMNIST",
    downloads: ["mnist", "notmnist"],
    missing: missingMnistPair,
    train: (dataPath) => loadMnist(dataPath, "train"),
    test: (dataPath) => loadMnist(dataPath, "test"),
    outDomainSet: (dataPath) => loadNotMnist(dataPath),
    embedded: { train: "train", test: "test", outDomain: "letters" },
  },
  cifar10: {
    inDomain: "CIFAR-10",
    outDomain: "SVHN",
    downloads: ["cifar10", "svhn"],
    missing: missingCifar10Pair,
    train: (dataPath) => loadCifar10(dataPath, "train"),
    test: (dataPath) => loadCifar10(dataPath, "test"),
    outDomainSet: (dataPath) => loadSvhn(dataPath),
  },
} as const satisfies Record<PairName, DataPair>;

/** A pair that was found; each function reads its set once, when it is first asked for. */
export interface OpenPair {
  /** The pair's key in `dataPairs`. */
  readonly name: PairName;
  /**
   * In-domain images to train on. Rejects with a `UserError` where a file is missing or damaged, as do the
   * others.
   */
  readonly train: () => Promise<ImageSet>;
  /** In-domain images to evaluate on. */
  readonly test: () => Promise<ImageSet>;
  /** Out-domain images, to evaluate on and to attack. */
  readonly outDomain: () => Promise<ImageSet>;
  /** Whether the embedded data stands in. */
  readonly embedded: boolean;
  /** What is missing under the default data path, where that is why `embedded` is true. */
  readonly missing: readonly string[];
}

/** Settings of {@link openPair}. */
export interface OpenPairOptions {
  /** Where to look when no data path is named; "Data" unless told. */
  readonly defaultPath?: string;
}

/**
 * Finds a pair under `dataPath`. With `dataPath` undefined the default path is looked at, and the
 * embedded data taken where the pair is not whole there and has a stand-in.
 *
 * @throws {UserError} when the `dataPath` named is no folder, or a file of the pair is missing under the `dataPath` named, or under the
 * default path and no embedded data stands in.
 */
export async function openPair(
  name: PairName,
  dataPath: string | undefined,
  { defaultPath = "Data" }: OpenPairOptions = {},
): Promise<OpenPair> {
  const pair: DataPair = dataPairs[name];
  const path = dataPath ?? defaultPath;
  if (dataPath !== undefined) await checkDataPath(path);
  const missing = await pair.missing(path);
  if (missing.length === 0) {
    return {
      name,
      train: once(() => pair.train(path)),
      test: once(() => pair.test(path)),
      outDomain: once(() => pair.outDomainSet(path)),
      embedded: false,
      missing,
    };
  }
  const { embedded } = pair;
  if (dataPath !== undefined || embedded === undefined) {
    throw notWhole(pair, missing, dataPath, path);
  }
  return {
    name,
    train: once(() => loadEmbedded(embedded.train)),
    test: once(() => loadEmbedded(embedded.test)),
    outDomain: once(() => loadEmbedded(embedded.outDomain)),
    embedded: true,
    missing,
  };
}

/** What is missing at `path`, which is the `dataPath` that was named or the default one. */
function notWhole(
  { downloads, embedded }: DataPair,
  missing: readonly string[],
  dataPath: string | undefined,
  path: string,
): UserError {
  const others = missing.length === 1 ? "" : ` (and ${missing.length - 1} more)`;
  const command = commandOf(`data ${downloads.join(" ")}`);
  const remedy = dataPath === undefined
    ? `run ${command}, or name the folder that has it with --data-path`
    : `run ${command} --data-path ${display(dataPath)}` +
      (embedded ? ", or leave out --data-path to use the embedded data" : "");
  return new UserError(
    `Cannot use the data in "${display(path)}": "${
      display(missing[0] ?? "")
    }"${others} is missing; ${remedy}`,
  );
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => made ??= make();
}

async function missingMnistPair(dataPath: string): Promise<string[]> {
  const missing = [
    ...await missingMnist(dataPath, "train"),
    ...await missingMnist(dataPath, "test"),
  ];
  if (await findNotMnist(dataPath) === undefined) missing.push(notMnistPaths(dataPath).archive);
  return missing;
}

async function missingCifar10Pair(dataPath: string): Promise<string[]> {
  const missing = [
    ...await missingCifar10(dataPath, "train"),
    ...await missingCifar10(dataPath, "test"),
    ...await missingSvhn(dataPath),
  ];
  return [...new Set(missing)];
}
