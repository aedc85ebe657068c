/**
 * SVHN (Y. Netzer et al., 2011), the cropped digits: 32x32 colour photographs of house numbers.
 *
 * @module
 */
import { join } from "node:path";
import { shortened, UserError } from "../src/base/errors.ts";
import { display, readFile } from "../src/base/files.ts";
import { commandOf } from "../src/base/invocation.ts";
import type { DataSet, Found } from "./data_set.ts";
import { sizeOf } from "./files.ts";
import { type ImageSet, imageSet } from "./image_set.ts";
import { type MatArray, readMat } from "./mat.ts";

/** The label of an image of the subset whose digit is not known. */
const unlabelled = 255;
const side = 32;

/**
 * Bytes that a file, its unpacked blocks and the numbers made of them may have, each: the test set's
 * images are 79,970,304 bytes, and four times as many where they were saved as 32-bit numbers.
 */
const mostBytes = 384 * 2 ** 20;

const plane = side * side;

/** What the digits are called, by label. */
const classes = Array.from({ length: 10 }, (_, digit) => `digit ${digit}`);

/** SVHN, of which the test set is read alone: nothing is trained on it. */
export const svhn = {
  name: "svhn",
  title: "SVHN",
  shows: "digits",
  classes,
  imageShape: [3, side, side],
  downloads: [{
    name: "test_32x32.mat",
    path: "SVHN/test_32x32.mat",
    size: 64_275_384,
    // The MD5 sum that torchvision goes by.
    checksum: { algorithm: "md5", hex: "eb5a983be6a315427106f1b164d9cef3" },
    urls: ["http://ufldl.stanford.edu/housenumbers/test_32x32.mat"],
  }],
  parts: { test: { name: "SVHN test", count: 26_032, standIn: "SVHN (subset)" } },
  async find(dataPath): Promise<Found | undefined> {
    const path = await findSvhn(dataPath);
    const isStandIn = path === svhnPaths(dataPath).subset;
    return path === undefined ? undefined : { path, files: [path], isStandIn };
  },
  missing: missingSvhn,
  load: (dataPath) => loadSvhn(dataPath),
} as const satisfies DataSet;

/**
 * The test set from DATA/SVHN/test_32x32.mat or DATA/test_32x32.mat, "SVHN test"; where it is in
 * neither, the images of DATA/SVHN/svhn_color_subset_32x32.mat stand in, "SVHN (subset)". Images are
 * [N, 3, 32, 32]; labels are the digits, in the subset 255 where the digit is not known.
 *
 * @throws {UserError} when there is none of them, or it is damaged or holds something else.
 */
export async function loadSvhn(dataPath: string): Promise<ImageSet> {
  const source = await findSvhn(dataPath);
  if (source === undefined) {
    const [missing] = await missingSvhn(dataPath);
    throw new UserError(
      `Cannot read "${display(missing ?? "")}": there is no such file; ` +
        `run ${commandOf("data svhn")}`,
    );
  }
  const isSubset = source === svhnPaths(dataPath).subset;
  return parseSvhn(await readFile(source, { limit: mostBytes }), source, isSubset);
}

/** The images and labels in the bytes of a file; `isSubset` says which of the two it is. */
export function parseSvhn(bytes: Uint8Array, source: string, isSubset: boolean): ImageSet {
  const variables = readMat(bytes, display(source), mostBytes);
  const [x, y] = [variables.get("X"), variables.get("y")];
  if (x === undefined || y === undefined) {
    throw damaged(source, `it has no array of real numbers "${x === undefined ? "X" : "y"}"`);
  }
  const images = toImages(x, source);
  const labels = toLabels(y, images.length / (3 * plane), isSubset, source);
  const { name, standIn } = svhn.parts.test;
  return imageSet({
    name: isSubset ? standIn : name,
    images,
    labels,
    classes,
    shape: svhn.imageShape,
    source,
  });
}

/** Path of the file that `loadSvhn` reads; undefined where there is none. */
export async function findSvhn(dataPath: string): Promise<string | undefined> {
  const { test, flat, subset } = svhnPaths(dataPath);
  for (const path of [test, flat, subset]) if (await sizeOf(path) !== undefined) return path;
  return undefined;
}

/** Path of the file that a download would bring, where `loadSvhn` finds nothing. */
export async function missingSvhn(dataPath: string): Promise<string[]> {
  return await findSvhn(dataPath) === undefined ? [svhnPaths(dataPath).test] : [];
}

/** Where SVHN is looked for: the test set, in its folder or without one, and its stand-in. */
export function svhnPaths(dataPath: string): { test: string; flat: string; subset: string } {
  return {
    test: join(dataPath, "SVHN", "test_32x32.mat"),
    flat: join(dataPath, "test_32x32.mat"),
    subset: join(dataPath, "SVHN", "svhn_color_subset_32x32.mat"),
  };
}

/** X, [32, 32, 3, N] column-major, as [N, 3, 32, 32] row-major: every plane is transposed. */
function toImages({ shape, data }: MatArray, source: string): Uint8Array<ArrayBuffer> {
  const [height, width, channels, count = 1] = shape;
  const fits = height === side && width === side && channels === 3 && shape.length <= 4;
  if (!fits || count === 0) {
    throw damaged(source, `its X is [${shortened(shape.join())}], images are [32, 32, 3, N]`);
  }
  if (!(data instanceof Uint8Array)) {
    const isByte = (value: number): boolean => Number.isInteger(value) && value >= 0 && value < 256;
    const wrong = data.findIndex((value: number) => !isByte(value));
    if (wrong >= 0) {
      throw damaged(source, `its X holds ${data[wrong]}, pixels are whole numbers from 0 to 255`);
    }
  }
  const images = new Uint8Array(data.length);
  for (let start = 0; start < data.length; start += plane) {
    for (let row = 0; row < side; row++) {
      const to = start + row * side;
      for (let column = 0; column < side; column++) {
        images[to + column] = data[start + column * side + row] ?? 0;
      }
    }
  }
  return images;
}

/** y, [N, 1] of 1 to 10, as digits: 10 is the digit 0. */
function toLabels(
  { shape, data }: MatArray,
  count: number,
  isSubset: boolean,
  source: string,
): Uint8Array<ArrayBuffer> {
  // A column, as Stanford wrote it, or a row, as SciPy writes a vector.
  const isVector = shape.length === 2 && Math.min(...shape) === 1 && Math.max(...shape) === count;
  if (!isVector) {
    throw damaged(
      source,
      `its y is [${shortened(shape.join())}], the labels of ${count} images are [${count}, 1]`,
    );
  }
  return Uint8Array.from(data, (label, i) => {
    if (isSubset && label === unlabelled) return unlabelled;
    if (Number.isInteger(label) && label >= 1 && label <= 10) return label % 10;
    throw damaged(source, `label ${i} is ${label}, labels are 1 to 10`);
  });
}

function damaged(source: string, state: string): UserError {
  return new UserError(`Cannot read "${display(source)}": ${state}; fetch it again`);
}
