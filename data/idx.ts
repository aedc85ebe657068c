/**
 * MNIST's IDX format: two zero bytes, a type byte (8 for unsigned bytes), the number of dimensions,
 * each dimension as a big-endian u32, then the data.
 *
 * @module
 */
import { shortened, UserError } from "../src/base/errors.ts";
import { display } from "../src/base/files.ts";
import { readUnzipped } from "./files.ts";
import { type ImageSet, imageSet } from "./image_set.ts";

/** The contents of one IDX file of unsigned bytes. */
export interface Idx {
  /** Dimensions, outermost first: [N] for labels, [N, H, W] for images. */
  readonly shape: readonly number[];
  /** Elements, row-major. */
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Bytes that an IDX file may have: MNIST's largest, the images to train on, has 47,040,016. */
const mostBytes = 64 * 2 ** 20;

/** What of a file's content an error may quote. */
const shown = (shape: readonly number[]): string => `[${shortened(shape.join())}]`;

/** The parts of a data set: images to train on and images to evaluate on. */
export type Split = "train" | "test";

/** What the digits are called, by label. */
export const digits: readonly string[] = Array.from({ length: 10 }, (_, digit) => `digit ${digit}`);

/** An IDX file that was read, and what it is called in errors. */
export interface IdxFile extends Idx {
  /** Its name or path. */
  readonly name: string;
}

/** What a set of images and labels in IDX files is. */
export interface IdxPair {
  /** The set's name. */
  readonly name: string;
  /** [N, 28, 28] */
  readonly images: IdxFile;
  /** [N] */
  readonly labels: IdxFile;
  /** Where it came from. */
  readonly source: string;
  /** What the classes are called, by label. */
  readonly classes: readonly string[];
  /** The label of the first class; 0 when not given. */
  readonly first?: number;
}

/**
 * A set from one IDX file of 28x28 images and one of labels.
 *
 * @param classes what they are called, by label; the digits unless told
 * @throws {UserError} when either file is damaged or the two do not fit each other.
 */
export async function loadIdxPair(
  name: string,
  imagePath: string | URL,
  labelPath: string | URL,
  source: string,
  classes: readonly string[] = digits,
): Promise<ImageSet> {
  const [images, labels] = await Promise.all([imagePath, labelPath].map(async (path) => ({
    ...await readIdx(path),
    name: display(path),
  })));
  if (!images || !labels) throw new Error("Unreachable: two files were read");
  return idxSet({ name, images, labels, source, classes });
}

/**
 * A set from images and labels that were read.
 *
 * @throws {UserError} when they are not 28x28 images and as many labels of classes that there are
 */
export function idxSet({ name, images, labels, source, classes, first = 0 }: IdxPair): ImageSet {
  const [count, height, width] = images.shape;
  if (images.shape.length !== 3 || height !== 28 || width !== 28) {
    throw new UserError(
      `Cannot read "${images.name}": its shape is ${shown(images.shape)}, images are [N, 28, 28]`,
    );
  }
  if (labels.shape.length !== 1) {
    throw new UserError(
      `Cannot read "${labels.name}": its shape is ${shown(labels.shape)}, labels are [N]`,
    );
  }
  if (labels.shape[0] !== count) {
    throw new UserError(
      `Cannot pair "${images.name}" with "${labels.name}": ${count} images and ` +
        `${labels.shape[0]} labels; fetch both again`,
    );
  }
  const last = first + classes.length - 1;
  const wrong = labels.data.findIndex((label) => label < first || label > last);
  if (wrong >= 0) {
    throw new UserError(
      `Cannot read "${labels.name}": label ${wrong} is ${labels.data[wrong]}, labels are ` +
        `${first} to ${last}`,
    );
  }
  return imageSet({
    name,
    images: images.data,
    labels: first === 0 ? labels.data : labels.data.map((label) => label - first),
    classes,
    shape: [1, 28, 28],
    source,
  });
}

/**
 * Reads one IDX file of unsigned bytes; gzip is recognised by its first bytes, not by the name.
 *
 * @param limit bytes that it may unpack to; 64 MiB, more than MNIST needs, unless told
 * @throws {UserError} when the file is missing, too large, is not IDX, or is longer or shorter than it
 * says.
 */
export async function readIdx(path: string | URL, limit: number = mostBytes): Promise<Idx> {
  return parseIdx(await readUnzipped(path, limit), display(path));
}

/** Parses the bytes of an IDX file; `name` stands in the errors. */
export function parseIdx(bytes: Uint8Array<ArrayBuffer>, name: string): Idx {
  const fail = (state: string): UserError => new UserError(`Cannot read "${name}": ${state}`);
  if (bytes.length === 0) throw fail("it is empty; fetch it again");
  const [zero, zeroToo, type, dimensions = 0] = bytes;
  if (zero !== 0 || zeroToo !== 0 || type !== 8 || dimensions === 0) {
    const magic = Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0"));
    throw fail(`not an IDX file of bytes, it starts with ${magic.join(" ")}, not with 00 00 08`);
  }
  const start = 4 + 4 * dimensions;
  if (bytes.length < start) throw fail("its header is cut off; fetch it again");
  const header = new DataView(bytes.buffer, bytes.byteOffset + 4, 4 * dimensions);
  const shape = Array.from({ length: dimensions }, (_, axis) => header.getUint32(4 * axis));
  const expected = shape.reduce((product, size) => product * size, 1);
  if (shape.includes(0)) throw fail(`its shape is ${shown(shape)}, it holds nothing`);
  const held = bytes.length - start;
  if (held !== expected) {
    throw fail(`it holds ${held} bytes of data, its header says ${expected}; fetch it again`);
  }
  return { shape, data: bytes.subarray(start) };
}
