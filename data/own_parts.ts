/**
 * What images of the user's own are asked to become, and what there is of them before they are read.
 *
 * @module
 */
import { shortened, UserError } from "../src/base/errors.ts";
import { display } from "../src/base/files.ts";
import type { Split } from "./idx.ts";
import type { ImageSet } from "./image_set.ts";
import { type Preparation, preparations } from "./raster.ts";

/** How images of the user's own are to be read. */
export interface OwnOptions {
  /** `[C, H, W]` of what the network takes, C 1 or 3. */
  readonly imageShape: ImageSet["shape"];
  /** Whether images of other sizes are resized; they are refused when not given. */
  readonly resize?: boolean | undefined;
  /** The classes in the order of their labels, where the user names them. */
  readonly classes?: readonly string[] | undefined;
}

/** One part of the user's own images. */
export interface OwnPart {
  /** Images, or files that may be some. */
  readonly count: number;
  /** Whether anything says what they show. */
  readonly labelled: boolean;
  /**
   * Reads them.
   *
   * @param most images that `limit` is to leave, with no more looked at than that takes; all when not given
   * @throws UserError when they cannot be read, or are not what the network takes
   */
  readonly load: (most?: number) => Promise<ImageSet>;
}

/** The user's own images: those to evaluate on, and those to train on where there are any. */
export interface OwnImages {
  readonly parts: { readonly test: OwnPart } & { readonly [K in Split]?: OwnPart };
  /** What the classes are called, by label; undefined where nothing names them. */
  readonly classes: readonly string[] | undefined;
  /** How many classes the labels reach; 0 without labels. */
  readonly reach: number;
}

/** An error about the user's own images. */
export function cannotUse(path: string, state: string, remedy: string): UserError {
  return new UserError(`Cannot use the images in "${display(path)}": ${state}; ${remedy}`);
}

/** Bytes that all images of a part may have once they fit the network. */
const mostBytes = 2 ** 31;

/**
 * Refuses more images than are held in memory.
 *
 * @throws UserError
 */
export function checkCount(path: string, count: number, { imageShape }: OwnOptions): void {
  const bytes = imageShape.reduce((a, b) => a * b, count);
  if (bytes <= mostBytes) return;
  throw cannotUse(
    path,
    `${count} images of ${imageShape.join("x")} are ${bytes} bytes, more than ${mostBytes}`,
    "name fewer, or take fewer by --limit",
  );
}

/** The error of images of other sizes: which there are how often, the most frequent first. */
export function otherSizes(
  path: string,
  sizes: ReadonlyMap<string, number>,
  count: number,
  { imageShape: [, height, width] }: OwnOptions,
): UserError {
  const sorted = [...sizes].toSorted(([, a], [, b]) => b - a);
  const others = sorted.reduce((sum, [, images]) => sum + images, 0);
  const told = sorted.slice(0, 3).map(([size, images]) => `${size} (${images})`);
  const more = sorted.length > 3 ? ` and ${sorted.length - 3} sizes more` : "";
  return cannotUse(
    path,
    `the network takes ${width}x${height} pixels, and ${others} of ${count} images have ` +
      `${told.join(", ")}${more}`,
    "add --resize, or name images of its size",
  );
}

/** The bits of what was done to an image. */
export function bitsOf(prepared: readonly Preparation[]): number {
  return prepared.reduce((bits, name) => bits | 1 << preparations.indexOf(name), 0);
}

/** The name of a folder or file, as sets of the user's own are called by. */
export function ownTitle(path: string): string {
  const [last = path] = path.split(/[\\/]/).filter((part) => part !== "" && part !== ".").slice(-1);
  return shortened(last, 40);
}

/** What ends the names of sets of the user's own in results. */
const ending = " (own images)";

/** The name of a part in results: "photos (own images)", "photos train (own images)". */
export function ownName(path: string, split: Split): string {
  return `${ownTitle(path)}${split === "train" ? " train" : ""}${ending}`;
}

/** Whether a set's name in results is that of images of the user's own. */
export function isOwnName(name: string): boolean {
  return name.endsWith(ending);
}
