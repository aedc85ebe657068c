/**
 * The data that comes with Mirage: 10,000 MNIST digits and letters A to J set in open fonts, for
 * use where MNIST and notMNIST are not there. In a compiled binary the files lie inside it.
 *
 * @module
 */
import { loadIdxPair } from "./idx.ts";
import { type ImageSet, imageSet } from "./image_set.ts";

/** The parts of the embedded data. */
export type EmbeddedSplit = "train" | "test" | "letters";

const stems = { train: "digits-train", test: "digits-test", letters: "letters" } as const;
/** What the letters are called, by label. */
const letters = [..."ABCDEFGHIJ"].map((letter) => `letter ${letter}`);

const names = {
  train: "embedded digits train",
  test: "embedded digits test",
  letters: "embedded letters",
} as const;

/**
 * One part of the embedded data, [N, 1, 28, 28]: digits to train on (8,000) or to test on (2,000),
 * or the letters, all of A first, in ten groups.
 */
export async function loadEmbedded(split: EmbeddedSplit): Promise<ImageSet> {
  const [images, labels] = embeddedFiles(split);
  const set = await loadIdxPair(names[split], images, labels, "embedded");
  if (split !== "letters") return set;
  const { name, shape, source } = set;
  return imageSet({
    name,
    images: set.images,
    labels: set.labels,
    classes: letters,
    shape,
    source,
    groups: groupSizes(set.labels),
  });
}

/** The name of one part in results: "embedded digits test". */
export function embeddedName(split: EmbeddedSplit): string {
  return names[split];
}

/** Where one part lies: its images, its labels. */
export function embeddedFiles(split: EmbeddedSplit): [images: URL, labels: URL] {
  const at = (kind: string): URL =>
    new URL(`./embedded/${stems[split]}-${kind}.gz`, import.meta.url);
  return [at("images-idx3-ubyte"), at("labels-idx1-ubyte")];
}

/** Sizes of the runs of equal labels; the labels must not go down. */
function groupSizes(labels: Uint16Array): number[] {
  const sizes: number[] = [];
  for (const [index, label] of labels.entries()) {
    if (index > 0 && label < (labels[index - 1] ?? 0)) {
      throw new Error("Unreachable: the embedded letters are not in order");
    }
    if (index === 0 || label !== labels[index - 1]) sizes.push(0);
    sizes[sizes.length - 1] = (sizes.at(-1) ?? 0) + 1;
  }
  return sizes;
}
