/**
 * Sets published as MNIST is: DATA/FOLDER/raw/{train,t10k}-{images-idx3,labels-idx1}-ubyte, each with `.gz`
 * or without.
 *
 * @module
 */
import { join } from "node:path";
import { UserError } from "../src/base/errors.ts";
import { display } from "../src/base/files.ts";
import { commandOf } from "../src/base/invocation.ts";
import type { DataSet, Found } from "./data_set.ts";
import { sizeOf } from "./files.ts";
import { loadIdxPair, type Split } from "./idx.ts";
import type { ImageSet } from "./image_set.ts";

/** What tells one such set from another. */
export interface IdxFiles extends Pick<DataSet, "name" | "classes"> {
  /** Its name for people, with which the names of its parts begin. */
  readonly title: string;
  /** The folder under the data path that has its folder `raw`. */
  readonly folder: string;
}

/** Finds and reads the parts of a set in four IDX files, images [N, 1, 28, 28]. */
export function idxReader(
  { name, title, classes, folder }: IdxFiles,
): Pick<DataSet, "find" | "missing" | "load"> {
  const zipped = (dataPath: string, stem: string): string =>
    join(dataPath, folder, "raw", `${stem}.gz`);
  const missing = async (dataPath: string, split: Split): Promise<string[]> => {
    const paths: string[] = [];
    for (const stem of stemsOf(split)) {
      const path = zipped(dataPath, stem);
      if (await findFile(path) === undefined) paths.push(path);
    }
    return paths;
  };
  const find = async (dataPath: string, split: Split): Promise<Found | undefined> => {
    const files: string[] = [];
    for (const stem of stemsOf(split)) {
      const path = await findFile(zipped(dataPath, stem));
      if (path === undefined) return undefined;
      files.push(path);
    }
    return { path: join(dataPath, folder, "raw"), files };
  };
  const load = async (dataPath: string, split: Split): Promise<ImageSet> => {
    const [images, labels] = (await find(dataPath, split))?.files ?? [];
    if (images === undefined || labels === undefined) {
      const [first = ""] = await missing(dataPath, split);
      throw new UserError(
        `Cannot read "${display(first)}": there is no such file; run ${commandOf(`data ${name}`)}`,
      );
    }
    return await loadIdxPair(`${title} ${split}`, images, labels, images, classes);
  };
  return { find, missing, load };
}

function stemsOf(split: Split): [images: string, labels: string] {
  const prefix = split === "train" ? "train" : "t10k";
  return [`${prefix}-images-idx3-ubyte`, `${prefix}-labels-idx1-ubyte`];
}

/** A file, zipped or else plain. */
async function findFile(zipped: string): Promise<string | undefined> {
  if (await sizeOf(zipped) !== undefined) return zipped;
  const plain = zipped.slice(0, -".gz".length);
  return await sizeOf(plain) === undefined ? undefined : plain;
}
