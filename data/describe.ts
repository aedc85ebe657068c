/**
 * What is there of every set: how many images, whether they are the published ones.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { UserError } from "../src/base/errors.ts";
import { commandOf } from "../src/base/invocation.ts";
import type { DataSet, Found, Part } from "./data_set.ts";
import { embeddedFiles, embeddedName, type EmbeddedSplit, loadEmbedded } from "./embedded.ts";
import { checkDataPath, sizeOf } from "./files.ts";
import type { Split } from "./idx.ts";
import type { ImageSet } from "./image_set.ts";
import { allSets } from "./sets.ts";
import { type SourceFile, verify } from "./sources.ts";

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
 * Looks at every part of every set: those under `dataPath`, then the embedded ones. Reads them whole.
 *
 * @throws {UserError} when `dataPath` is no folder.
 */
export async function describeData(dataPath: string): Promise<DataRow[]> {
  await checkDataPath(dataPath);
  const rows: DataRow[] = [];
  for (const set of allSets) {
    if (set.parts.train) rows.push(await describePart(dataPath, set, "train", set.parts.train));
    rows.push(await describePart(dataPath, set, "test", set.parts.test));
  }
  for (const split of ["train", "test", "letters"] as const) {
    rows.push(await describeEmbedded(split));
  }
  return rows;
}

async function describePart(
  dataPath: string,
  set: DataSet,
  split: Split,
  part: Part,
): Promise<DataRow> {
  const found = await set.find(dataPath, split);
  if (found === undefined) return absent(set, part, await set.missing(dataPath, split));
  const { name, standIn } = part;
  const checksum = await compare(dataPath, found.files, set.downloads);
  return await describe(
    { ...found, name: found.isStandIn ? standIn ?? name : name },
    checksum,
    () => set.load(dataPath, split),
    (images) => noteOn(images, set, part, found, checksum),
  );
}

async function describeEmbedded(split: EmbeddedSplit): Promise<DataRow> {
  return await describe(
    { name: embeddedName(split), path: "embedded", files: embeddedFiles(split) },
    "none",
    () => loadEmbedded(split),
    () => "",
  );
}

async function describe(
  { name, path, files }: {
    readonly name: string;
    readonly path: string;
    readonly files: readonly (string | URL)[];
  },
  checksum: DataRow["checksum"],
  load: () => Promise<ImageSet>,
  noteOf: (images: ImageSet) => string,
): Promise<DataRow> {
  const sizes = await Promise.all(files.map((file) => sizeOf(file)));
  const bytes = sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  const present = !sizes.includes(undefined);
  try {
    const images = await load();
    const { count, sha256 } = images;
    return { name, present, count, bytes, sha256, checksum, path, note: noteOf(images) };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { name, present, count: 0, bytes, sha256: "", checksum, path, note: error.message };
  }
}

/**
 * What a reader of results should know of images: that they are a part or not the published ones, both of
 * which can be used, and that files were passed over.
 */
function noteOn(
  { count, skipped = [] }: ImageSet,
  { name }: DataSet,
  { count: whole, which }: Part,
  { isStandIn }: Found,
  checksum: DataRow["checksum"],
): string {
  const notes: string[] = [];
  const remedy = commandOf(`data ${name}`);
  if (isStandIn) {
    notes.push(`a stand-in for the test set, ${count} images; run ${remedy}`);
  } else if (count < whole) {
    const those = which === undefined ? "" : ` ${which}`;
    notes.push(`a usable part, ${count} of the ${whole} images${those}: run ${remedy} for all`);
  } else if (checksum === "differs") {
    notes.push(`usable, but not the published files: run ${remedy} for those`);
  }
  if (skipped.length > 0) {
    notes.push(`${skipped.length} unreadable or of another size, passed over`);
  }
  return notes.join("; ");
}

/** A part of a set of one file is where that would be, one of several files in their folder. */
function absent(set: DataSet, { name }: Part, missing: readonly string[]): DataRow {
  const [first = ""] = missing;
  const several = set.downloads.length > 1;
  const what = several ? `${missing.join(" and ")} missing; ` : "";
  return {
    name,
    present: false,
    count: 0,
    bytes: 0,
    sha256: "",
    checksum: "none",
    path: several ? dirname(first) : first,
    note: `${what}run ${commandOf(`data ${set.name}`)}`,
  };
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
