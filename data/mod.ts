/**
 * Mirage's data: which sets there are, where they are found, and what is there.
 *
 * @example
 * ```ts
 * import { limit, openSets } from "./mod.ts";
 * const { outDomain } = await openSets({ inDomain: "mnist", outDomain: "notmnist" }, undefined);
 * const letters = await outDomain?.images("test");
 * if (!letters || limit(letters, 20).images.length !== 20 * 28 * 28) {
 *   throw new Error("Unreachable: 20 images of 28x28");
 * }
 * ```
 *
 * @module
 */
export { type ImageSet, imageSet, type ImageSetParts, limit, preparedCounts } from "./image_set.ts";
export { type Idx, readIdx, type Split } from "./idx.ts";
export type { DataSet, Found, OwnFacts, Part } from "./data_set.ts";
export { allSets, isSetName, type SetName, setNames, setOfImages, sets } from "./sets.ts";
export {
  type ChosenSets,
  none,
  type OpenSet,
  type OpenSets,
  openSets,
  type OpenSetsOptions,
  type OwnSettings,
} from "./open.ts";
export { type DataPath, isDataPath, loadOwnImages, ownNote, ownSet, preparedText } from "./own.ts";
export { isOwnName, type OwnOptions } from "./own_parts.ts";
export { readClassNames } from "./class_names.ts";
export { loadMnist } from "./mnist.ts";
export { loadNotMnist, type NotMnistOptions } from "./notmnist.ts";
export { loadCifar10 } from "./cifar.ts";
export { loadSvhn } from "./svhn.ts";
export { type EmbeddedSplit, loadEmbedded } from "./embedded.ts";
export { type DataRow, describeData } from "./describe.ts";
export type { SourceFile } from "./sources.ts";
export {
  download,
  type Downloaded,
  type DownloadOptions,
  type DownloadProgress,
  downloadSet,
} from "./download.ts";
