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
import { join } from "node:path";
import { UserError } from "../src/errors.ts";
import { embeddedFiles, type EmbeddedSplit, loadEmbedded } from "./embedded.ts";
import { sizeOf } from "./files.ts";
import { loadMnist, missingMnist, presentMnist, type Split } from "./idx.ts";
import type { ImageSet } from "./image_set.ts";
import { findNotMnist, loadNotMnist, notMnistPaths } from "./notmnist.ts";
import { type SourceFile, type SourceName, sources, verify } from "./sources.ts";

export { type ImageSet, limit } from "./image_set.ts";
export { type Idx, loadMnist, readIdx, type Split } from "./idx.ts";
export { loadNotMnist, type NotMnistOptions } from "./notmnist.ts";
export { type EmbeddedSplit, loadEmbedded } from "./embedded.ts";
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
  /** The parts of the embedded data that stand in for the three. */
  readonly embedded: Readonly<Record<"train" | "test" | "outDomain", EmbeddedSplit>>;
}

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
} as const satisfies Record<string, DataPair>;

/** The name of a pair. */
export type PairName = keyof typeof dataPairs;

/** A pair that was found; each function reads its set once, when it is first asked for. */
export interface OpenPair {
  readonly name: PairName;
  readonly train: () => Promise<ImageSet>;
  readonly test: () => Promise<ImageSet>;
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
 * embedded data taken where the pair is not whole there.
 *
 * @throws {UserError} when `dataPath` was named and a file of the pair is missing there.
 */
export async function openPair(
  name: PairName,
  dataPath: string | undefined,
  { defaultPath = "Data" }: OpenPairOptions = {},
): Promise<OpenPair> {
  const pair: DataPair = dataPairs[name];
  const path = dataPath ?? defaultPath;
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
  if (dataPath !== undefined) {
    const others = missing.length === 1 ? "" : ` (and ${missing.length - 1} more)`;
    throw new UserError(
      `Cannot use the data in "${dataPath}": "${missing[0]}"${others} is missing; run deno task ` +
        `data ${pair.downloads.join(" ")} --data-path ${dataPath}, or leave out --data-path to ` +
        `use the embedded data`,
    );
  }
  return {
    name,
    train: once(() => loadEmbedded(pair.embedded.train)),
    test: once(() => loadEmbedded(pair.embedded.test)),
    outDomain: once(() => loadEmbedded(pair.embedded.outDomain)),
    embedded: true,
    missing,
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => made ??= make();
}

/** What is known of one set on this machine. */
export interface DataRow {
  /** "MNIST train", "MNIST test", "notMNIST", "embedded digits train", ... */
  readonly name: string;
  /** Whether its files are there; they may still be damaged, as `note` then says. */
  readonly present: boolean;
  /** Images that can be used; 0 where there are none or the files are damaged. */
  readonly count: number;
  /** Bytes of the files; of a folder, 0. */
  readonly bytes: number;
  /** SHA-256 of pixels and labels, in hex; empty where the set cannot be read. */
  readonly sha256: string;
  /** Whether the files are the published ones; "none" where nothing is published for them. */
  readonly checksum: "right" | "differs" | "none";
  /** Where it is, or where it would be. */
  readonly path: string;
  /** What is to be said about it, or an empty string. */
  readonly note: string;
}

/** Looks at every set: those under `dataPath`, then the embedded ones. Reads them whole. */
export async function describeData(dataPath: string): Promise<DataRow[]> {
  return [
    await describeMnist(dataPath, "train"),
    await describeMnist(dataPath, "test"),
    await describeNotMnist(dataPath),
    await describeEmbedded("train"),
    await describeEmbedded("test"),
    await describeEmbedded("letters"),
  ];
}

async function describeMnist(dataPath: string, split: Split): Promise<DataRow> {
  const missing = await missingMnist(dataPath, split);
  const present = await presentMnist(dataPath, split);
  const path = join(dataPath, "MNIST", "raw");
  const name = `MNIST ${split}`;
  if (missing.length > 0) {
    return absent(name, path, `${missing.join(" and ")} missing; run deno task data mnist`);
  }
  const checksum = await compare(dataPath, present, sources.mnist);
  return await describe(name, path, present, checksum, () => loadMnist(dataPath, split));
}

async function describeNotMnist(dataPath: string): Promise<DataRow> {
  const { archive } = notMnistPaths(dataPath);
  const path = await findNotMnist(dataPath);
  if (path === undefined) return absent("notMNIST", archive, "run deno task data notmnist");
  const files = path === archive ? [archive] : [];
  const checksum = await compare(dataPath, files, sources.notmnist);
  return await describe("notMNIST", path, files, checksum, () => loadNotMnist(dataPath));
}

async function describeEmbedded(split: EmbeddedSplit): Promise<DataRow> {
  const files = embeddedFiles(split);
  const name = split === "letters" ? "embedded letters" : `embedded digits ${split}`;
  return await describe(name, "embedded", files, "none", () => loadEmbedded(split));
}

async function describe(
  name: string,
  path: string,
  files: readonly (string | URL)[],
  checksum: DataRow["checksum"],
  load: () => Promise<ImageSet>,
): Promise<DataRow> {
  const sizes = await Promise.all(files.map((file) => sizeOf(file)));
  const bytes = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  const present = !sizes.includes(undefined);
  try {
    const set = await load();
    const { count, sha256 } = set;
    return { name, present, count, bytes, sha256, checksum, path, note: noteOn(set) };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { name, present, count: 0, bytes, sha256: "", checksum, path, note: error.message };
  }
}

/** What a reader of results should know of a set: that it is a part, that files were passed over. */
function noteOn({ name, count, skipped = [] }: ImageSet): string {
  const notes: string[] = [];
  if (name === "notMNIST" && count < 10_000) {
    notes.push(`a part: ${count} of the 10000 images that the paper uses`);
  }
  if (skipped.length > 0) {
    notes.push(`${skipped.length} unreadable or of another size, passed over`);
  }
  return notes.join("; ");
}

function absent(name: string, path: string, note: string): DataRow {
  return { name, present: false, count: 0, bytes: 0, sha256: "", checksum: "none", path, note };
}

/** Holds files against the published checksums; an unpacked file or a folder has none. */
async function compare(
  dataPath: string,
  paths: readonly string[],
  published: readonly SourceFile[],
): Promise<DataRow["checksum"]> {
  let result: DataRow["checksum"] = "none";
  for (const path of paths) {
    const source = published.find((file) => join(dataPath, file.path) === path);
    if (source === undefined) continue;
    if (!(await verify(path, source))?.right) return "differs";
    result = "right";
  }
  return result;
}

async function missingMnistPair(dataPath: string): Promise<string[]> {
  const missing = [
    ...await missingMnist(dataPath, "train"),
    ...await missingMnist(dataPath, "test"),
  ];
  if (await findNotMnist(dataPath) === undefined) missing.push(notMnistPaths(dataPath).archive);
  return missing;
}
