/**
 * EMNIST's letters (G. Cohen et al., "EMNIST: extending MNIST to handwritten letters", 2017): 28x28 grey handwritten
 * letters, large and small ones of a kind together, in files like MNIST's but for two things: images are transposed,
 * and labels begin at 1.
 *
 * @module
 */
import { join } from "node:path";
import { UserError } from "../src/base/errors.ts";
import { display, readFile } from "../src/base/files.ts";
import { commandOf } from "../src/base/invocation.ts";
import { readZip } from "../src/base/zip.ts";
import type { DataSet, Found } from "./data_set.ts";
import { sizeOf, unzip } from "./files.ts";
import { type IdxFile, idxSet, parseIdx, readIdx, type Split } from "./idx.ts";
import { type ImageSet, imageSet } from "./image_set.ts";

const side = 28;

/** Bytes that a file of images may unpack to: those to train on have 97,843,216. */
const mostBytes = 128 * 2 ** 20;
/** Bytes that the archive may have: the published one, of all six sets of EMNIST, has 561,753,746. */
const mostArchive = 640 * 2 ** 20;

const archive = "gzip.zip";

const set = {
  name: "emnist-letters",
  title: "EMNIST letters",
  /** What the classes are called, by label from 0 on. */
  classes: [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"].map((letter) => `letter ${letter}`),
} as const;

/** The letters of EMNIST. */
export const emnistLetters = {
  ...set,
  shows: "letters",
  imageShape: [1, side, side],
  downloads: [{
    name: archive,
    path: `EMNIST/raw/${archive}`,
    // The size and the SHA-256 sum that TensorFlow Datasets goes by; torchvision goes by an MD5 sum.
    size: 561_753_746,
    checksum: {
      algorithm: "sha256",
      hex: "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e",
    },
    urls: [
      `https://biometrics.nist.gov/cs_links/EMNIST/${archive}`,
      `https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST/${archive}`,
    ],
  }],
  parts: {
    train: { name: "EMNIST letters train", count: 124_800 },
    test: { name: "EMNIST letters test", count: 20_800 },
  },
  find: findLetters,
  missing: async (dataPath, split) =>
    await findLetters(dataPath, split) === undefined ? [join(rawIn(dataPath), archive)] : [],
  load: loadLetters,
} as const satisfies DataSet;

/**
 * The letters from DATA/EMNIST/raw: emnist-letters-{train,test}-{images-idx3,labels-idx1}-ubyte, each with `.gz` or
 * without, or else gzip.zip as it is published, which has them. Images are [N, 1, 28, 28], upright, white on black;
 * labels 0 to 25 for A to Z.
 *
 * @throws {UserError} when there is neither, or a file is damaged or does not fit its partner
 */
async function loadLetters(dataPath: string, split: Split): Promise<ImageSet> {
  const found = await findLetters(dataPath, split);
  if (!found) {
    throw new UserError(
      `Cannot read "${display(join(rawIn(dataPath), archive))}": there is no such file; ` +
        `run ${commandOf(`data ${set.name}`)}`,
    );
  }
  const [images, labels] = found.files.length === 1
    ? await fromArchive(found.path, split)
    : await Promise.all(found.files.map(async (path) => ({
      ...await readIdx(path, mostBytes),
      name: display(path),
    })));
  if (!images || !labels) throw new Error("Unreachable: two files were read");
  const name = `${set.title} ${split}`;
  const stored = idxSet({ ...set, name, images, labels, source: found.path, first: 1 });
  const { labels: letters, shape, source } = stored;
  return imageSet({
    name,
    images: upright(stored.images),
    labels: letters,
    classes: set.classes,
    shape,
    source,
  });
}

/** Where the files of a part are, or the archive that has them. */
async function findLetters(dataPath: string, split: Split): Promise<Found | undefined> {
  const raw = rawIn(dataPath);
  const files: string[] = [];
  for (const stem of stemsOf(split)) {
    for (const path of [join(raw, `${stem}.gz`), join(raw, stem)]) {
      if (await sizeOf(path) === undefined) continue;
      files.push(path);
      break;
    }
  }
  if (files.length === 2) return { path: raw, files };
  const path = join(raw, archive);
  return await sizeOf(path) === undefined ? undefined : { path, files: [path] };
}

function rawIn(dataPath: string): string {
  return join(dataPath, "EMNIST", "raw");
}

function stemsOf(split: Split): [images: string, labels: string] {
  return [`emnist-letters-${split}-images-idx3-ubyte`, `emnist-letters-${split}-labels-idx1-ubyte`];
}

/** The two files of a part in the archive, where each is packed by itself. */
async function fromArchive(path: string, split: Split): Promise<IdxFile[]> {
  const wanted = stemsOf(split).map((stem) => `gzip/${stem}.gz`);
  const files = readZip(await readFile(path, { limit: mostArchive }), path, {
    remedy: "fetch it again",
    wanted: (file) => wanted.includes(file),
  });
  return wanted.map((file) => {
    const name = display(join(path, file));
    const packed = files.get(file);
    if (!packed) throw new UserError(`Cannot read "${name}": it is not there; fetch it again`);
    return { ...parseIdx(unzip(new Uint8Array(packed), name, mostBytes), name), name };
  });
}

/** Images [N, 28, 28] whose rows are columns, the other way round. */
function upright(images: Uint8Array): Uint8Array<ArrayBuffer> {
  const plane = side * side;
  const result = new Uint8Array(images.length);
  for (let start = 0; start < images.length; start += plane) {
    for (let place = 0; place < plane; place++) {
      const from = (place % side) * side + Math.floor(place / side);
      result[start + place] = images[start + from] ?? 0;
    }
  }
  return result;
}
