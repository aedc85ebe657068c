/**
 * Images of the user's own in a folder: PNGs and JPEGs, side by side or in a folder a class.
 *
 * @module
 */
import { join } from "node:path";
import { shortened, UserError } from "../src/base/errors.ts";
import { explain } from "../src/base/files.ts";
import { byCodeUnit, isFolder, readIfFile } from "./files.ts";
import type { Split } from "./idx.ts";
import { type ImageSet, imageSet, imageSize, shareOf } from "./image_set.ts";
import { isJpeg, jpegSize, readJpeg } from "./jpeg.ts";
import {
  bitsOf,
  cannotUse,
  checkCount,
  otherSizes,
  type OwnImages,
  ownName,
  type OwnOptions,
  type OwnPart,
} from "./own_parts.ts";
import { isPng, pngSize, readPng } from "./png.ts";
import { fit, type Fitted, type Raster, type Size, uprightSize } from "./raster.ts";

/** Bytes that an image's file may have. */
const mostBytes = 2 ** 26;

/** Names of files that are read, and of those that show images, too, but are not. */
const read = /\.(png|jpe?g|jpe|jfif)$/i;
const passedOver = /\.(gif|bmp|webp|tiff?|avif|hei[cf]|jp2|jxl|p[bgnp]m|ico|svg|psd|dng)$/i;

/** What lies in a folder. */
interface Listing {
  /** Names of files that are read, in order. */
  readonly files: readonly string[];
  /** Names of images of other kinds. */
  readonly others: readonly string[];
  /** Names of folders, in order. */
  readonly folders: readonly string[];
}

/** Files of one part: of every class in turn, or all. */
interface Group {
  /** The class's folder, relative to the part's; empty where all lie side by side. */
  readonly folder: string;
  readonly listing: Listing;
}

/**
 * Looks at a folder: images side by side, a folder a class, or two folders `train` and `test` that are either.
 *
 * @throws UserError when there are no images, or some lie side by side with folders
 */
export async function ownFolder(path: string, options: OwnOptions): Promise<OwnImages> {
  const { folders, files } = await list(path);
  const isParted = files.length === 0 && folders.join() === "test,train";
  const at = (split: Split): string => isParted ? join(path, split) : path;
  const groups = {
    test: await groupsOf(path, at("test")),
    ...isParted && { train: await groupsOf(path, at("train")) },
  };
  const found = classesOf(path, Object.values(groups).flat());
  const classes = found.length === 0 ? options.classes : ordered(path, found, options.classes);
  const partOf = (split: Split, of: readonly Group[]): OwnPart => ({
    count: filesIn(of),
    labelled: of.every(({ folder }) => folder !== ""),
    load: (most) => load({ path, split, at: at(split), groups: of, classes, most }, options),
  });
  const { test, train } = groups;
  const parts = {
    test: partOf("test", test),
    ...train && { train: partOf("train", train) },
  };
  const reach = found.length === 0 ? 0 : classes?.length ?? 0;
  return { parts, classes, reach };
}

/** The files of a part, by class where it has a folder each. */
async function groupsOf(path: string, part: string): Promise<Group[]> {
  const listing = await list(part);
  if (listing.folders.length === 0) {
    if (listing.files.length > 0) return [{ folder: "", listing }];
    const others = listing.others.length === 0
      ? ""
      : `, only ${listing.others.length} of other kinds (${endings(listing.others)})`;
    throw cannotUse(path, `there are no PNG or JPEG files in it${others}`, "name another folder");
  }
  if (listing.files.length > 0) {
    throw cannotUse(
      path,
      `images lie side by side with folders ("${shortened(listing.files[0] ?? "", 40)}" with ` +
        `"${shortened(listing.folders[0] ?? "", 40)}")`,
      "move one or the other away: images alone have no classes, those in folders are of the folders' classes",
    );
  }
  const groups: Group[] = [];
  for (const folder of listing.folders) {
    const inside = await list(join(part, folder));
    if (inside.folders.length > 0) {
      throw cannotUse(
        path,
        `the folder "${shortened(folder, 40)}" in it has folders itself`,
        "keep one folder a class, or two folders train and test of such",
      );
    }
    groups.push({ folder, listing: inside });
  }
  return groups;
}

/** What lies in a folder, without what is hidden. */
async function list(path: string): Promise<Listing> {
  const names: string[] = [];
  const folders: string[] = [];
  try {
    for await (const { name, isDirectory, isSymlink } of Deno.readDir(path)) {
      if (name.startsWith(".") || name === "__MACOSX") continue;
      const leadsToFolder = isSymlink && await isFolder(join(path, name)).catch(() => false);
      (isDirectory || leadsToFolder ? folders : names).push(name);
    }
  } catch (error) {
    throw explain(error, "read", path);
  }
  names.sort(byCodeUnit);
  return {
    files: names.filter((name) => read.test(name)),
    others: names.filter((name) => passedOver.test(name)),
    folders: folders.sort(byCodeUnit),
  };
}

/** Folders of classes, each once, in the order of their names. */
function classesOf(path: string, groups: readonly Group[]): string[] {
  const labelled = groups.filter(({ folder }) => folder !== "");
  if (labelled.length > 0 && labelled.length < groups.length) {
    throw cannotUse(
      path,
      "one of train and test has folders of classes, the other has none",
      "add them",
    );
  }
  const filled = new Set(
    labelled.filter(({ listing }) => listing.files.length > 0).map(({ folder }) => folder),
  );
  const empty = labelled.find(({ folder }) => !filled.has(folder));
  if (empty) {
    throw cannotUse(
      path,
      `there are no PNG or JPEG files in its folder "${
        shortened(empty.folder, 40)
      }", which would be a class`,
      "remove the folder, or fill it",
    );
  }
  return [...filled].sort(byCodeUnit);
}

/** The classes in the order of their labels: as named, else that of the folders' names. */
function ordered(
  path: string,
  found: readonly string[],
  named: readonly string[] | undefined,
): readonly string[] {
  const remedy = "name the classes in the order of their labels in a file, by --labels";
  if (named) {
    const unknown = found.find((name) => !named.includes(name));
    if (unknown === undefined) return named;
    throw cannotUse(
      path,
      `its folder "${
        shortened(unknown, 40)
      }" is none of the ${named.length} classes that --labels names`,
      "add it there, or remove it",
    );
  }
  const areNumbers = found.every((name) => /^\d{1,9}$/.test(name));
  const byNumber = found.toSorted((a, b) => Number(a) - Number(b));
  if (areNumbers && byNumber.join() !== found.join()) {
    throw cannotUse(
      path,
      `its folders are numbers, ${found.slice(0, 4).join(", ")} by their letters and ` +
        `${byNumber.slice(0, 4).join(", ")} by their size`,
      remedy,
    );
  }
  return found;
}

/** What of a part is to be read. */
interface Source {
  readonly path: string;
  readonly split: Split;
  /** The part's folder. */
  readonly at: string;
  readonly groups: readonly Group[];
  readonly classes: readonly string[] | undefined;
  /** Images that `limit` is to leave; all when not given. */
  readonly most: number | undefined;
}

/** A group as far as it was read. */
interface Progress {
  readonly group: Group;
  /** Files that are images of the network's size, and the place of each one's pixels. */
  readonly taken: { readonly file: string; readonly place: number }[];
  /** Files that are none, with why. */
  readonly skipped: { readonly file: string; readonly reason: string }[];
  /** Images of other sizes. */
  others: number;
}

/** Files of a progress that were looked at. */
function lookedAt({ taken, skipped, others }: Progress): number {
  return taken.length + skipped.length + others;
}

/** The images of a part as they are read, in places in the order of reading. */
class Reading {
  readonly #source: Source;
  readonly #options: OwnOptions;
  readonly progress: readonly Progress[];
  /** Pixels and what was done to each image, by place. */
  readonly images: Uint8Array<ArrayBuffer>;
  readonly prepared: Uint8Array<ArrayBuffer>;
  /** Images of other sizes, by size. */
  readonly unlike = new Map<string, number>();
  #places = 0;

  /** @param most images to be held */
  constructor(source: Source, options: OwnOptions, most: number) {
    this.#source = source;
    this.#options = options;
    this.progress = source.groups.map((group) => ({ group, taken: [], skipped: [], others: 0 }));
    this.images = new Uint8Array(most * imageSize(options.imageShape));
    this.prepared = new Uint8Array(most);
  }

  /** Images that were found, those of other sizes with them. */
  get count(): number {
    return this.progress.reduce((sum, { taken, others }) => sum + taken.length + others, 0);
  }

  /** Reads on in a group while there are files and `wants` says so. */
  async readOn(progress: Progress, wants: () => boolean): Promise<void> {
    const { folder, listing: { files } } = progress.group;
    for (const name of files.slice(lookedAt(progress))) {
      if (!wants()) return;
      const file = within(folder, name);
      const path = join(this.#source.at, folder, name);
      const found = await readImage(path, this.#options, this.unlike.size > 0);
      if ("size" in found) {
        this.unlike.set(found.size, (this.unlike.get(found.size) ?? 0) + 1);
        progress.others++;
      } else if ("bytes" in found) {
        const place = this.#places++;
        this.images.set(found.bytes, place * imageSize(this.#options.imageShape));
        this.prepared[place] = bitsOf(found.prepared);
        progress.taken.push({ file, place });
      } else progress.skipped.push({ file, reason: found.reason });
    }
  }
}

/** Looks at no more files of a part than it takes to know which images `limit` leaves, those of every class in turn. */
async function readPart(source: Source, options: OwnOptions): Promise<Reading> {
  const { path, groups, most = Infinity } = source;
  const count = filesIn(groups);
  checkCount(path, Math.min(count, most), options);
  const reading = new Reading(source, options, Math.min(count, most + 1));
  for (const [i, progress] of reading.progress.entries()) {
    const share = shareOf(most, i, groups.length);
    await reading.readOn(progress, () => progress.taken.length + progress.others < share);
  }
  // Where a class has too few, the others have them all, unless there are more of all than are asked for.
  if (reading.count < most) {
    for (const progress of reading.progress) {
      await reading.readOn(progress, () => reading.count <= most);
    }
  }
  return reading;
}

/** Reads one part: all images, or those of which `limit` leaves so many. */
async function load(source: Source, options: OwnOptions): Promise<ImageSet> {
  const { path, split, groups, classes } = source;
  const shape = options.imageShape;
  const { progress, unlike, count, images, prepared } = await readPart(source, options);
  if (unlike.size > 0) throw otherSizes(path, unlike, count, options);
  const taken = progress.flatMap(({ taken }) => taken);
  const skipped = progress.flatMap(({ skipped }) => skipped);
  const unread = filesIn(groups) - progress.reduce((sum, of) => sum + lookedAt(of), 0);
  if (taken.length === 0) {
    const [{ file, reason } = { file: "", reason: "" }] = skipped;
    const which = `"${shortened(file, 60)}": ${shortened(reason, 120)}`;
    throw cannotUse(
      path,
      `none of its ${skipped.length} files can be read (${which})`,
      "name others",
    );
  }
  const isLabelled = groups.some(({ folder }) => folder !== "");
  const labelOf = ({ group: { folder } }: Progress): number => classes?.indexOf(folder) ?? 0;
  return imageSet({
    name: ownName(path, split),
    images: inOrder(images, taken, imageSize(shape)),
    ...isLabelled && {
      labels: progress.flatMap((of) => of.taken.map(() => labelOf(of))),
      groups: progress.map(({ taken }) => taken.length),
    },
    ...classes && { classes },
    shape,
    source: path,
    files: taken.map(({ file }) => file),
    skipped: skipped.map(({ file }) => file),
    ...unread > 0 && { unread },
    others: groups.flatMap(({ folder, listing }) =>
      listing.others.map((name) => within(folder, name))
    ),
    prepared: Uint8Array.from(taken, ({ place }) => prepared[place] ?? 0),
  });
}

/** Pixels of images, one after the other, out of their places. */
function inOrder(
  images: Uint8Array<ArrayBuffer>,
  taken: readonly { readonly place: number }[],
  size: number,
): Uint8Array<ArrayBuffer> {
  const there = taken.length * size === images.length;
  if (there && taken.every(({ place }, i) => place === i)) return images;
  const sorted = new Uint8Array(taken.length * size);
  taken.forEach(({ place }, i) => {
    sorted.set(images.subarray(place * size, (place + 1) * size), i * size);
  });
  return sorted;
}

/** Files of groups that may be images. */
function filesIn(groups: readonly Group[]): number {
  return groups.reduce((sum, { listing }) => sum + listing.files.length, 0);
}

/** A file's name relative to the part. */
function within(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}

/** An image that fits the network, the size of one that does not, or why a file is none. */
type Found = Fitted | { readonly size: string } | { readonly reason: string };

/**
 * Reads one image, by what its bytes begin with, whatever it is called.
 *
 * @param sizeOnly whether its size is all that is asked for
 */
async function readImage(
  path: string,
  { imageShape, resize }: OwnOptions,
  sizeOnly: boolean,
): Promise<Found> {
  const bytes = await readIfFile(path, mostBytes);
  if (bytes === undefined) return { reason: "it is no file, or larger than any that is read" };
  const kind = isPng(bytes) ? "png" : isJpeg(bytes) ? "jpeg" : undefined;
  if (!kind) return { reason: bytes.length === 0 ? "it is empty" : "it is no PNG or JPEG" };
  const [, height, width] = imageShape;
  const fits = (size: Size): boolean => resize || size.width === width && size.height === height;
  const other = (size: Size): Found => ({ size: `${size.width}x${size.height}` });
  try {
    // By the header alone, so that many large photographs are refused soon. A PNG may be turned, which it says later.
    const stored = kind === "png" ? { ...pngSize(bytes), orientation: 1 } : jpegSize(bytes);
    const size = uprightSize(stored);
    const mayTurn = kind === "png" && fits({ width: size.height, height: size.width });
    if (!fits(size) && !mayTurn) return other(size);
    if (sizeOnly) return fits(size) ? { bytes: new Uint8Array(), prepared: [] } : other(size);
    const image: Raster = kind === "png" ? readPng(bytes) : readJpeg(bytes);
    if (!fits(uprightSize(image))) return other(uprightSize(image));
    const fitted = fit(image, imageShape);
    const isNamedSo = /\.png$/i.test(path) === (kind === "png");
    return isNamedSo ? fitted : { ...fitted, prepared: ["misnamed", ...fitted.prepared] };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return { reason: error.message.replace(/^Cannot decode (PNG|JPEG): /, "") };
  }
}

/** How names end, each once: ".gif, .webp". */
export function endings(names: readonly string[]): string {
  const all = new Set(names.map((name) => name.slice(name.lastIndexOf(".")).toLowerCase()));
  return [...all].sort(byCodeUnit).join(", ");
}
