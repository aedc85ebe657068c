/**
 * Images of the user's own in the place of a registered set: which paths name some, what they are as a set, and what
 * there is to say of them.
 *
 * @module
 */
import { shortened } from "../src/base/errors.ts";
import { isFile } from "../src/base/files.ts";
import type { DataSet } from "./data_set.ts";
import { isFolder } from "./files.ts";
import type { Split } from "./idx.ts";
import { type ImageSet, limit, preparedCounts } from "./image_set.ts";
import { ownArrays } from "./own_arrays.ts";
import { endings, ownFolder } from "./own_folder.ts";
import { cannotUse, ownName, type OwnOptions, ownTitle } from "./own_parts.ts";
import type { Preparation } from "./raster.ts";

/** The path of images of the user's own, as it is told from a set's name without looking: by a slash, or its ending. */
export type DataPath =
  | `${string}/${string}`
  | `${string}\\${string}`
  | `${string}.npz`
  | `${string}.npy`
  | `${string}.safetensors`;

const arrays = /\.(npz|npy|safetensors)$/i;

/** Whether a value is the path of images of the user's own: it has a slash or such an ending, or is there. */
export function isDataPath(value: unknown): value is DataPath {
  if (typeof value !== "string" || value === "") return false;
  return /[\\/]/.test(value) || arrays.test(value) || isThere(value);
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * Images of the user's own as a set, looked at and not yet read: a folder, or a file of arrays.
 *
 * @throws UserError when there is no such folder or file, or it holds no images, or others than are read
 */
export async function ownSet(path: string, options: OwnOptions): Promise<DataSet> {
  const inFolder = await isFolder(path);
  if (!inFolder && !arrays.test(path) && await isFile(path)) {
    throw cannotUse(
      path,
      "it is no folder, and no .npz, .npy or .safetensors file",
      "name the folder that it lies in",
    );
  }
  const found = await (inFolder ? ownFolder : ownArrays)(path, options);
  const { parts: { test, train }, classes, reach } = found;
  const title = ownTitle(path);
  return {
    name: `own-${title.replaceAll(/[^\w.-]+/g, "_")}`,
    title: `"${title}"`,
    shows: "images",
    classes: classes ?? Array.from({ length: reach }, (_, label) => `class ${label}`),
    imageShape: options.imageShape,
    downloads: [],
    parts: {
      test: { name: ownName(path, "test"), count: test.count },
      ...train && { train: { name: ownName(path, "train"), count: train.count } },
    },
    own: {
      named: classes !== undefined,
      labelled: test.labelled,
      trainable: test.labelled && train?.labelled === true,
    },
    find: () => Promise.resolve(undefined),
    missing: () => Promise.resolve([]),
    async load(_, split, most): Promise<ImageSet> {
      const part = found.parts[split];
      if (!part) {
        throw cannotUse(
          path,
          "there are no images to train on",
          inFolder
            ? "put them in its folder train"
            : 'name a file of arrays that has "x_train" as well',
        );
      }
      if (most === undefined) return await part.load();
      const few = limit(await part.load(most), most);
      if (few.count > 0) return few;
      throw cannotUse(
        path,
        `the first ${most} would be one each of its first classes, which have none that can be read`,
        "use a larger --limit, or mend those files",
      );
    },
  };
}

/**
 * Images of the user's own, read: a folder, or a file of arrays.
 *
 * @param split those to evaluate on when not given
 * @throws UserError when there are none, or they are not such as are read or not what the network takes
 */
export async function loadOwnImages(
  path: string,
  options: OwnOptions,
  split: Split = "test",
): Promise<ImageSet> {
  return await (await ownSet(path, options)).load("", split);
}

/** What was done to images, in words that follow their number. */
const words: Readonly<Record<Preparation, string>> = {
  misnamed: "named as another kind and read as what they are",
  turned: "turned as EXIF says",
  overBlack: "laid over black where they are clear",
  rounded: "rounded to 8 bits",
  madeGrey: "in colour made grey by ITU-R 601 luma",
  madeColour: "in grey made colour by repeating it",
  resized: "resized",
};

/** What was done to how many images: "12 in colour made grey by ITU-R 601 luma, 4 resized"; empty where nothing was. */
export function preparedText(counts: Readonly<Record<string, number>>): string {
  return Object.entries(words).flatMap(([name, what]) =>
    counts[name] === undefined ? [] : [`${counts[name]} ${what}`]
  ).join(", ");
}

/** Names that are quoted of many. */
const shownNames = 3;

/**
 * What is to be said of images of the user's own: how many there are, which files were passed over, and what was done
 * to the others. In a sentence; undefined where there is no more than their number.
 */
export function ownNote(set: ImageSet): string | undefined {
  const { name, count, skipped = [], others = [], unread = 0 } = set;
  const prepared = preparedText(preparedCounts(set));
  const names = skipped.slice(0, shownNames).map((file) => shortened(file, 40)).join(", ");
  const more = skipped.length > shownNames ? ", ..." : "";
  const files = (n: number): string => n === 1 ? "1 file" : `${n} files`;
  const parts = [
    ...skipped.length === 0
      ? []
      : [`${files(skipped.length)} left out that cannot be read (${names}${more})`],
    ...others.length === 0
      ? []
      : [`${files(others.length)} of kinds that are not read (${endings(others)}) passed over`],
    ...prepared === "" ? [] : [prepared],
  ];
  const rest = unread === 0 ? "" : `, and ${files(unread)} not looked at`;
  if (parts.length === 0) return undefined;
  return `Of ${name} ${count === 1 ? "1 image is" : `${count} images are`} used${rest}; ${
    parts.join("; ")
  }`;
}
