/**
 * What a data set says of itself: what its images show, where they lie, and how they are read.
 *
 * @module
 */
import type { EmbeddedSplit } from "./embedded.ts";
import type { Split } from "./idx.ts";
import type { ImageSet } from "./image_set.ts";
import type { SourceFile } from "./sources.ts";

/** One part of a data set: its images to train on, or those to evaluate on. */
export interface Part {
  /** Its name in results: "MNIST train", "notMNIST". */
  readonly name: string;
  /** Images of the whole part. */
  readonly count: number;
  /** Which images these are, where as many more are published: "that the paper uses". */
  readonly which?: string;
  /** Name in results of images that can stand in for the part: "SVHN (subset)". */
  readonly standIn?: string;
  /** Which of the embedded images stand in for it, where any do. */
  readonly embedded?: EmbeddedSplit;
}

/** Where a part of a data set was found. */
export interface Found {
  /** Its folder, archive or file. */
  readonly path: string;
  /** The files to read, without those of a folder of single images. */
  readonly files: readonly string[];
  /** Whether it is the part's stand-in. */
  readonly isStandIn?: boolean;
}

/** What is known of images of the user's own before they are read. */
export interface OwnFacts {
  /** Whether their classes have names: else they are numbers. */
  readonly named: boolean;
  /** Whether anything says what the images to evaluate on show. */
  readonly labelled: boolean;
  /** Whether there are images to train on and to choose the best epoch by, both with their classes. */
  readonly trainable: boolean;
}

/** A data set: everything that the rest of the house knows of it. */
export interface DataSet {
  /** Its name on the command line and in folders' names: "mnist". */
  readonly name: string;
  /** Its name for people: "MNIST". */
  readonly title: string;
  /** What its images show, in the plural: "digits". */
  readonly shows: string;
  /** What its classes are called, by label; none where nothing says what its images show. */
  readonly classes: readonly string[];
  /** `[C, H, W]` of every image. */
  readonly imageShape: ImageSet["shape"];
  /** The files to download to have all of it. */
  readonly downloads: readonly SourceFile[];
  /** Its parts; without one to train on it can be out-domain only. */
  readonly parts: { readonly train?: Part; readonly test: Part };
  /** Of images of the user's own; undefined of a registered set. */
  readonly own?: OwnFacts;
  /** Where a part is under a data path; undefined where there is nothing to read. */
  find(dataPath: string, split: Split): Promise<Found | undefined>;
  /** Paths of the files that a download would bring and `load` would miss; none where the part is there. */
  missing(dataPath: string, split: Split): Promise<string[]>;
  /**
   * Reads a part.
   *
   * @param most images that `limit` is to leave: of images of the user's own no others are read; all when not given
   * @throws UserError when a file is missing or damaged
   */
  load(dataPath: string, split: Split, most?: number): Promise<ImageSet>;
}
