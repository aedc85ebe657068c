/**
 * What is there of every set: how many images, whether they are the published ones.
 *
 * @module
 */
import { join } from "node:path";
import { UserError } from "../src/base/errors.ts";
import { commandOf } from "../src/base/invocation.ts";
import { findCifar10, loadCifar10, missingCifar10 } from "./cifar.ts";
import { embeddedFiles, type EmbeddedSplit, loadEmbedded } from "./embedded.ts";
import { checkDataPath, sizeOf } from "./files.ts";
import { loadMnist, missingMnist, presentMnist, type Split } from "./idx.ts";
import type { ImageSet } from "./image_set.ts";
import { findNotMnist, loadNotMnist, notMnistPaths } from "./notmnist.ts";
import { type SourceFile, type SourceName, sources, verify } from "./sources.ts";
import { findSvhn, loadSvhn, svhnPaths } from "./svhn.ts";

/** What is known of one set on this machine. */
export interface DataRow {
  /** "MNIST train", "MNIST test", "notMNIST", "CIFAR-10 train", "embedded letters", ... */
  readonly name: string;
  /** Whether its files are there; they may still be damaged, as `note` then says. */
  readonly present: boolean;
  /** Images that can be used; 0 where there are none or the files are damaged. */
  readonly count: number;
  /** Bytes of the files; of a folder of single images, 0. */
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

/**
 * Looks at every set: those under `dataPath`, then the embedded ones. Reads them whole.
 *
 * @throws {UserError} when `dataPath` is no folder.
 */
export async function describeData(dataPath: string): Promise<DataRow[]> {
  await checkDataPath(dataPath);
  return [
    await describeMnist(dataPath, "train"),
    await describeMnist(dataPath, "test"),
    await describeNotMnist(dataPath),
    await describeCifar10(dataPath, "train"),
    await describeCifar10(dataPath, "test"),
    await describeSvhn(dataPath),
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
    return absent(name, path, `${missing.join(" and ")} missing; run ${commandOf("data mnist")}`);
  }
  const checksum = await compare(dataPath, present, sources.mnist);
  return await describe(name, path, present, checksum, () => loadMnist(dataPath, split));
}

async function describeNotMnist(dataPath: string): Promise<DataRow> {
  const { archive } = notMnistPaths(dataPath);
  const path = await findNotMnist(dataPath);
  if (path === undefined) return absent("notMNIST", archive, `run ${commandOf("data notmnist")}`);
  const files = path === archive ? [archive] : [];
  const checksum = await compare(dataPath, files, sources.notmnist);
  return await describe("notMNIST", path, files, checksum, () => loadNotMnist(dataPath));
}

async function describeCifar10(dataPath: string, split: Split): Promise<DataRow> {
  const name = `CIFAR-10 ${split}`;
  const place = await findCifar10(dataPath, split);
  if (place === undefined) {
    const [archive = ""] = await missingCifar10(dataPath, split);
    return absent(name, archive, `run ${commandOf("data cifar10")}`);
  }
  const { path, files } = place;
  const checksum = await compare(dataPath, files, sources.cifar10);
  return await describe(name, path, files, checksum, () => loadCifar10(dataPath, split));
}

async function describeSvhn(dataPath: string): Promise<DataRow> {
  const { test, subset } = svhnPaths(dataPath);
  const path = await findSvhn(dataPath);
  if (path === undefined) return absent("SVHN test", test, `run ${commandOf("data svhn")}`);
  const name = path === subset ? "SVHN (subset)" : "SVHN test";
  const checksum = await compare(dataPath, [path], sources.svhn);
  return await describe(name, path, [path], checksum, () => loadSvhn(dataPath));
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
    const note = noteOn(set, checksum);
    return { name, present, count, bytes, sha256, checksum, path, note };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { name, present, count: 0, bytes, sha256: "", checksum, path, note: error.message };
  }
}

/** Images of the sets that may be there in part, and what downloads all of them. */
const wholes: Readonly<Record<string, readonly [images: number, source: SourceName]>> = {
  "MNIST train": [60_000, "mnist"],
  "MNIST test": [10_000, "mnist"],
  "notMNIST": [10_000, "notmnist"],
  "CIFAR-10 train": [50_000, "cifar10"],
  "CIFAR-10 test": [10_000, "cifar10"],
  "SVHN test": [26_032, "svhn"],
};

/**
 * What a reader of results should know of a set: that it is a part or not the published one, both of which
 * can be used, and that files were passed over.
 */
function noteOn(
  { name, count, skipped = [] }: ImageSet,
  checksum: DataRow["checksum"],
): string {
  const notes: string[] = [];
  const [whole = 0, source = "mnist"] = wholes[name] ?? [];
  if (name === "SVHN (subset)") {
    notes.push(`a stand-in for the test set, ${count} images; run ${commandOf("data svhn")}`);
  } else if (count < whole) {
    const those = name === "notMNIST" ? " that the paper uses" : "";
    notes.push(
      `a usable part, ${count} of the ${whole} images${those}: run ${
        commandOf(`data ${source}`)
      } for all`,
    );
  } else if (checksum === "differs") {
    const remedy = commandOf(`data ${source}`);
    notes.push(`usable, but not the published files: run ${remedy} for those`);
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
