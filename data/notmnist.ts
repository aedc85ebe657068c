/**
 * notMNIST (Y. Bulatov, 2011): letters A to J in many fonts, 28x28 grey PNGs, a folder a letter.
 *
 * @module
 */
import { join } from "node:path";
import { UserError } from "../src/base/errors.ts";
import { display, explain } from "../src/base/files.ts";
import { commandOf } from "../src/base/invocation.ts";
import type { DataSet, Found } from "./data_set.ts";
import {
  byCodeUnit,
  concatenate,
  isFolder,
  readIfFile,
  readUnzipped,
  sizeOf,
  unzip,
} from "./files.ts";
import { type ImageSet, imageSet } from "./image_set.ts";
import { decodePng } from "./png.ts";
import { readTar } from "./tar.ts";

/** The letters, in label order: A is 0. */
export const letters = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"] as const;

/** What they are called, by label. */
const classes = letters.map((letter) => `letter ${letter}`);

/** notMNIST, of which there is one part: nothing is trained on it. */
export const notmnist = {
  name: "notmnist",
  title: "notMNIST",
  shows: "letters",
  classes,
  imageShape: [1, 28, 28],
  downloads: [{
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
  parts: {
    test: {
      name: "notMNIST",
      count: 10_000,
      which: "that the paper uses",
      embedded: "letters",
    },
  },
  async find(dataPath): Promise<Found | undefined> {
    const path = await findNotMnist(dataPath);
    const { archive } = notMnistPaths(dataPath);
    return path === undefined ? undefined : { path, files: path === archive ? [archive] : [] };
  },
  missing: async (dataPath) =>
    await findNotMnist(dataPath) === undefined ? [notMnistPaths(dataPath).archive] : [],
  load: (dataPath) => loadNotMnist(dataPath),
} as const satisfies DataSet;

/** Bytes that the archive may unpack to: the published one, of 18,726 PNGs, has 29,000,000. */
const mostArchive = 128 * 2 ** 20;

/** Bytes that one PNG may have: 28x28 pixels need 4 KB even with colour and alpha; notes come on top. */
const mostPng = 2 ** 20;

/** How much of notMNIST is taken. */
export interface NotMnistOptions {
  /** Readable images taken of each letter at most; 1000, as in the paper, unless told. */
  readonly perLetter?: number;
}

/** One PNG that may be read: its name in the letter's folder and its bytes. */
interface Candidate {
  readonly name: string;
  /** Gives its bytes; undefined where it is nothing that can be read to an end. */
  readonly read: () => Promise<Uint8Array | undefined>;
}

/** Names of PNGs by letter, and those found outside the letters' folders. */
interface Listing {
  readonly byLetter: ReadonlyMap<string, readonly Candidate[]>;
  readonly strays: readonly string[];
}

/**
 * notMNIST from the folder DATA/notMNIST_small/{A..J}/*.png or, where there is none, the archive
 * DATA/notMNIST_small.tar.gz. Of each letter the first 1000 *readable* PNGs in code-unit order of
 * their names; empty, damaged and other than 28x28 ones are passed over and listed in `skipped`, and
 * so are folders, pipes and links that lead nowhere.
 * Images are [N, 1, 28, 28], all of A first; labels 0 to 9 for A to J.
 *
 * @throws {UserError} when there is neither, the archive is damaged, or a letter has no image.
 */
export async function loadNotMnist(
  dataPath: string,
  { perLetter = 1000 }: NotMnistOptions = {},
): Promise<ImageSet> {
  const source = await findNotMnist(dataPath);
  if (source === undefined) {
    throw new UserError(
      `Cannot read "${display(notMnistPaths(dataPath).archive)}": there is no such file; ` +
        `run ${commandOf("data notmnist")}`,
    );
  }
  const listing = source.endsWith(".gz")
    ? listArchive(await readUnzipped(source, mostArchive), source)
    : await listFolder(source);
  return await collect(listing, source, perLetter);
}

/** notMNIST in the bytes of its archive, packed or not; `source` is its path. */
export async function parseNotMnist(
  bytes: Uint8Array<ArrayBuffer>,
  source: string,
): Promise<ImageSet> {
  return await collect(listArchive(unzip(bytes, source, mostArchive), source), source, 1000);
}

/** The readable images of a listing. */
async function collect(listing: Listing, source: string, perLetter: number): Promise<ImageSet> {
  const files: string[] = [];
  const skipped = [...listing.strays];
  const groups: number[] = [];
  const images: Uint8Array[] = [];
  for (const letter of letters) {
    const candidates = [...listing.byLetter.get(letter) ?? []].sort((a, b) =>
      byCodeUnit(a.name, b.name)
    );
    let taken = 0;
    for (const { name, read } of candidates) {
      if (taken === perLetter) break;
      const pixels = tryDecode(await read());
      if (pixels === undefined) {
        skipped.push(`${letter}/${name}`);
        continue;
      }
      files.push(`${letter}/${name}`);
      images.push(pixels);
      taken++;
    }
    if (taken === 0) {
      throw new UserError(
        `Cannot read "${display(source)}": it has no readable 28x28 PNG of the letter ${letter}; ` +
          `run ${commandOf("data notmnist")}`,
      );
    }
    groups.push(taken);
  }
  return imageSet({
    name: "notMNIST",
    images: concatenate(images),
    labels: groups.flatMap((size, label) => new Array<number>(size).fill(label)),
    classes,
    shape: [1, 28, 28],
    source,
    groups,
    files,
    skipped,
  });
}

/** Path of the folder or else the archive of notMNIST under `dataPath`; undefined without both. */
export async function findNotMnist(dataPath: string): Promise<string | undefined> {
  const { folder, archive } = notMnistPaths(dataPath);
  if (await isFolder(folder)) return folder;
  return await sizeOf(archive) === undefined ? undefined : archive;
}

/** Where notMNIST is looked for. */
export function notMnistPaths(dataPath: string): { folder: string; archive: string } {
  const folder = join(dataPath, "notMNIST_small");
  return { folder, archive: `${folder}.tar.gz` };
}

async function listFolder(folder: string): Promise<Listing> {
  const byLetter = new Map<string, Candidate[]>();
  for (const letter of letters) {
    const candidates: Candidate[] = [];
    const path = join(folder, letter);
    try {
      for await (const { name } of Deno.readDir(path)) {
        if (isPngName(name)) {
          candidates.push({
            name,
            read: () => readIfFile(join(path, name), mostPng),
          });
        }
      }
    } catch (error) {
      throw explain(error, "read", path);
    }
    byLetter.set(letter, candidates);
  }
  return { byLetter, strays: [] };
}

function listArchive(bytes: Uint8Array, archive: string): Listing {
  const byLetter = new Map<string, Candidate[]>(letters.map((letter) => [letter, []]));
  const strays: string[] = [];
  for (const { path, data } of readTar(bytes, archive)) {
    if (!isPngName(path)) continue;
    const [letter = "", name = ""] = path.split("/").slice(-2);
    const candidates = byLetter.get(letter);
    if (candidates === undefined) strays.push(path);
    else candidates.push({ name, read: () => Promise.resolve(data) });
  }
  return { byLetter, strays };
}

function tryDecode(bytes: Uint8Array | undefined): Uint8Array | undefined {
  if (bytes === undefined || bytes.length > mostPng) return undefined;
  try {
    return decodePng(bytes, { width: 28, height: 28 }).pixels;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

function isPngName(name: string): boolean {
  return name.toLowerCase().endsWith(".png");
}
