/**
 * Images kept as bytes, with what is needed to name them in a result: where they came from and the
 * hash of what was used. Turning bytes into numbers is the device's work, not done here.
 *
 * @module
 */
import { sha256 as hashOf } from "../src/base/digest.ts";
import { shortened, shownValue, UserError } from "../src/base/errors.ts";
import { type Preparation, preparations } from "./raster.ts";

/** Images, one byte a pixel: N images of [C, H, W], with what they show where that is known. */
export interface ImageSet {
  /** For people and result files: "MNIST test", "SVHN test", "embedded letters". */
  readonly name: string;
  /** Pixels [N, C, H, W], row-major, 0 to 255. */
  readonly images: Uint8Array<ArrayBuffer>;
  /** Classes [N], from 0 on, at most 65,535; 255 for an unlabelled image out of domain, whose label nothing uses. */
  readonly labels: Uint16Array<ArrayBuffer>;
  /** False where nothing says what the images show: their labels are then 65,535, which is no class. */
  readonly labelled?: boolean;
  /** What the classes are called, by label: "digit 0", "letter A". */
  readonly classes?: readonly string[];
  /** N, the number of images. */
  readonly count: number;
  /** The shape of one image. */
  readonly shape: readonly [channels: number, height: number, width: number];
  /** SHA-256 of the pixel bytes and the labels, if there are any, in hex: a byte each where all fit one, else two. */
  readonly sha256: string;
  /** Where it came from: "embedded" or the path as it was given. */
  readonly source: string;
  /** Sizes of the folders, in order, of a set that is in folders; they sum to `count`. */
  readonly groups?: readonly number[];
  /** The files used, in order, by name relative to the set, of a set that is one file an image. */
  readonly files?: readonly string[];
  /** SHA-256 of `files` joined by newlines, in hex. */
  readonly listSha256?: string;
  /** Files passed over because they are empty, broken or of another size, by relative name. */
  readonly skipped?: readonly string[];
  /** Files that were not looked at, because fewer images were asked for; 0 when not given. */
  readonly unread?: number;
  /** Images of kinds that are not read, by relative name. */
  readonly others?: readonly string[];
  /** What was done to each image of the user's own so that a network takes it, [N]: a bit for each of `preparations`. */
  readonly prepared?: Uint8Array<ArrayBuffer>;
}

/** The label of an image of which nothing says what it shows. */
const noLabel = 0xffff;

/** What an {@link ImageSet} is made from; its count and hashes are computed. */
export interface ImageSetParts
  extends Omit<ImageSet, "count" | "sha256" | "listSha256" | "labels" | "labelled"> {
  /** Classes [N], from 0 on; not given where nothing says what the images show. */
  readonly labels?: ArrayLike<number> | undefined;
}

/**
 * The first `n` images. Of a set in folders, the first floor(n / folders) of every folder, and one
 * more of each of the first n mod folders; a folder with fewer gives all that it has. The set itself
 * is returned where `n` takes nothing away.
 *
 * @throws {UserError} when `n` is not a whole number of at least 1.
 */
export function limit(set: ImageSet, n: number): ImageSet {
  if (!Number.isInteger(n) || n < 1) {
    throw new UserError(`Cannot limit "${set.name}" to ${n} images: give a whole number from 1 up`);
  }
  if (n >= set.count) return set;
  const groups = set.groups ?? [set.count];
  const ranges: { start: number; end: number }[] = [];
  let start = 0;
  for (const [index, size] of groups.entries()) {
    ranges.push({ start, end: start + Math.min(shareOf(n, index, groups.length), size) });
    start += size;
  }
  const { files, prepared } = set;
  return imageSet({
    name: set.name,
    images: gather(set.images, ranges, imageSize(set.shape)),
    ...(set.labelled !== false && {
      labels: ranges.flatMap(({ start, end }) => [...set.labels.subarray(start, end)]),
    }),
    ...(set.classes && { classes: set.classes }),
    shape: set.shape,
    source: set.source,
    ...(set.groups && { groups: ranges.map(({ start, end }) => end - start) }),
    ...(files && { files: ranges.flatMap(({ start, end }) => files.slice(start, end)) }),
    ...(set.skipped && { skipped: set.skipped }),
    ...(set.unread && { unread: set.unread }),
    ...(set.others && { others: set.others }),
    ...(prepared && { prepared: gather(prepared, ranges, 1) }),
  });
}

/** How many of the first `n` images of a set are of one of its folders, of so many. */
export function shareOf(n: number, index: number, folders: number): number {
  return Math.floor(n / folders) + (index < n % folders ? 1 : 0);
}

/** How many images something was done to so that a network takes them, by what; nothing that was done to none. */
export function preparedCounts(
  { prepared = new Uint8Array() }: Pick<ImageSet, "prepared">,
): Partial<Record<Preparation, number>> {
  const counts: Partial<Record<Preparation, number>> = {};
  preparations.forEach((name, bit) => {
    const count = prepared.reduce((sum, of) => sum + (of >> bit & 1), 0);
    if (count > 0) counts[name] = count;
  });
  return counts;
}

/**
 * Completes a set with its count and hashes.
 *
 * @throws {UserError} when its parts disagree in size, or a label is no whole number from 0 to 65,535
 */
export function imageSet({ labels: given, ...parts }: ImageSetParts): ImageSet {
  const count = given?.length ?? parts.images.length / imageSize(parts.shape);
  const total = parts.groups?.reduce((sum, size) => sum + size, 0) ?? count;
  const whole = Number.isInteger(count) &&
    parts.shape.every((size) => Number.isInteger(size) && size > 0);
  if (!whole || parts.images.length !== count * imageSize(parts.shape) || total !== count) {
    throw new UserError(
      `Cannot make the set "${shortened(parts.name)}": ${parts.images.length} bytes, ${
        given?.length ?? "no"
      } labels and ` +
        `images of [${parts.shape.join(", ")}] disagree in size; give count x C x H x W bytes`,
    );
  }
  const labels = given ? Uint16Array.from(given) : new Uint16Array(count).fill(noLabel);
  const wrong = given ? labels.findIndex((label, i) => label !== given[i]) : -1;
  if (wrong >= 0) {
    throw new UserError(
      `Cannot make the set "${shortened(parts.name)}": label ${wrong + 1} is ${
        shownValue(given?.[wrong])
      }; give whole numbers from 0 to 65535`,
    );
  }
  const narrow = labels.every((label) => label < 256);
  const bytes = narrow ? Uint8Array.from(labels) : new Uint8Array(labels.buffer);
  const sha256 = given ? hashOf(parts.images, bytes) : hashOf(parts.images);
  const made = { ...parts, labels, ...(given ? {} : { labelled: false }), count, sha256 };
  if (!parts.files) return made;
  return { ...made, listSha256: hashOf(parts.files.join("\n")) };
}

/** Bytes of one image of this shape. */
export function imageSize([channels, height, width]: ImageSet["shape"]): number {
  return channels * height * width;
}

function gather(
  bytes: Uint8Array<ArrayBuffer>,
  ranges: readonly { start: number; end: number }[],
  unit: number,
): Uint8Array<ArrayBuffer> {
  const total = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  const result = new Uint8Array(total * unit);
  let at = 0;
  for (const { start, end } of ranges) {
    result.set(bytes.subarray(start * unit, end * unit), at);
    at += (end - start) * unit;
  }
  return result;
}
