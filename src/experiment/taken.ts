/**
 * What models take and tell apart: the shape of an image, and the classes. A registered set in-domain says both; of
 * images of the user's own a checkpoint, the network or the images themselves do.
 *
 * @module
 */
import {
  type DataSet,
  isSetName,
  none,
  type OwnSettings,
  readClassNames,
  setOfImages,
} from "../../data/mod.ts";
import { shortened, UserError } from "../base/errors.ts";
import { isFile } from "../base/files.ts";
import { readAs } from "../checkpoint/state_dict.ts";
import { fromMetadata } from "../checkpoint/statement.ts";
import { readCheckpointArrays } from "../checkpoint/torch.ts";
import { type ImageShape, type Model, networkOf } from "../methods/mod.ts";
import type { ImportedClassifier } from "../onnx/mod.ts";
import type { RunConfig } from "./config.ts";

/** What models take and tell apart. */
export interface Taken {
  /** `[C, H, W]` of an image. */
  readonly imageShape: ImageShape;
  /** K, 2 or more. */
  readonly classes: number;
}

/**
 * How images of the user's own are read: as the set has them that the checkpoint says its model was taught, else as
 * the network was published with them.
 *
 * @param of the first checkpoint that was named, or the classifier of the first model file
 * @returns undefined where there are none
 * @throws UserError when the class names cannot be read, or the checkpoint
 */
export async function ownSettings(
  { inDomain, outDomain, labels, resize }: RunConfig,
  network: string,
  of: string | ImportedClassifier | undefined,
): Promise<OwnSettings | undefined> {
  const isOwn = (name: string | undefined): boolean => name !== undefined && !isSetName(name);
  if (!isOwn(inDomain) && !isOwn(outDomain)) return undefined;
  // Of `none` too, which is no set: the model alone says what it takes.
  const taught = isOwn(inDomain) && typeof of === "string" ? await taughtSet(of) : undefined;
  const said = typeof of === "object" ? shapeOf(of) : undefined;
  if (inDomain === none && typeof of === "object" && !said) throw sizeless(of);
  return {
    imageShape: said ?? taught?.imageShape ?? networkOf(network).imageShape,
    resize,
    classes: labels === undefined ? undefined : await readClassNames(labels),
    taught: taught?.classes,
  };
}

/** Nothing says how large images are to be. */
function sizeless({ name }: ImportedClassifier): UserError {
  return new UserError(
    `Cannot use "${
      shortened(name, 80)
    }" without in-domain images: it leaves open the size of the images that ` +
      "it takes; name a set by --in-domain, or export it for one size",
  );
}

/** What a classifier out of a file says of its images; undefined where it leaves sizes open. */
function shapeOf({ imageShape }: ImportedClassifier): ImageShape | undefined {
  const [channels, height, width] = imageShape ?? [];
  return channels && height && width ? [channels, height, width] : undefined;
}

/** The registered set that a checkpoint says its model was taught; undefined where it says none. */
async function taughtSet(checkpoint: string): Promise<DataSet | undefined> {
  // One that is missing is told of where it is loaded.
  if (!await isFile(checkpoint)) return undefined;
  const { metadata } = await readCheckpointArrays(checkpoint);
  return setOfImages(fromMetadata(metadata, checkpoint)?.data.name ?? "");
}

/**
 * Refuses to train on images of the user's own that lack a part, or their classes.
 *
 * @throws UserError
 */
export function checkTrainable({ title, own, classes }: DataSet): void {
  const cannot = (state: string, remedy: string): UserError =>
    new UserError(`Cannot train on the images in ${title}: ${state}; ${remedy}`);
  if (!own) return;
  if (!own.trainable) {
    throw cannot(
      "it takes images to train on and others to test on, both with their classes",
      "put them in its folders train and test, in each a folder a class, or name a trained model by --checkpoint",
    );
  }
  if (classes.length < 2) throw cannot("they are of one class", "add images of others");
}

/**
 * What the models of a run take and tell apart.
 *
 * @param of the first checkpoint that was named, or the classifier of the first model file
 * @param build makes a model, which is looked at and thrown away
 * @throws UserError when the classes of images of the user's own are not as many as the checkpoint's model has
 */
export async function takenBy(
  { title, imageShape, classes, own }: DataSet,
  of: string | ImportedClassifier | undefined,
  build: (taken: Taken) => Model,
): Promise<Taken> {
  const named = { imageShape, classes: classes.length };
  if (!own || of === undefined) return named;
  const known = typeof of === "string"
    ? classesShown(
      (await readCheckpointArrays(of)).tensors,
      (classes) => build({ imageShape, classes }),
    )
    : of.classes(imageShape);
  // A file that shows none is no model's of this kind, which is told of where it is loaded.
  if (known === undefined) return { imageShape, classes: Math.max(2, classes.length) };
  const cannot = (state: string, remedy: string): UserError =>
    new UserError(`Cannot use the images in ${title} in-domain: ${state}; ${remedy}`);
  if (own.named && known !== classes.length) {
    throw cannot(
      `they have ${classes.length} classes, the model has ${known}`,
      "name all classes of the model, in the order of its labels, in a file by --labels",
    );
  }
  if (known < classes.length) {
    throw cannot(
      `their labels reach ${classes.length - 1}, the model has ${known} classes, from 0 on`,
      "give the labels that it was taught",
    );
  }
  return { imageShape, classes: known };
}

/**
 * How many classes a model has by its arrays: the length of the first axis that is longer in a model of one class
 * more; undefined where the file has no such array.
 */
export function classesShown(
  tensors: ReadonlyMap<string, { readonly shape: readonly number[] }>,
  build: (classes: number) => Model,
): number | undefined {
  const [less, more] = [build(2), build(3)];
  const { named } = readAs(tensors, less.state, networkOf(less.name).synonyms ?? []);
  for (const [name, { shape }] of less.state) {
    const other = more.state.get(name)?.shape ?? [];
    const axis = shape.findIndex((n, i) => n === 2 && other[i] === 3);
    if (axis < 0) continue;
    const found = named.get(name)?.shape[axis];
    return found !== undefined && found >= 2 ? found : undefined;
  }
  return undefined;
}
