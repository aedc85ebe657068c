/**
 * The data sets: one line each.
 *
 * @module
 */
import { cifar10 } from "./cifar.ts";
import { cifar100 } from "./cifar100.ts";
import type { DataSet, Part } from "./data_set.ts";
import { embeddedName } from "./embedded.ts";
import { emnistLetters } from "./emnist.ts";
import { fashionMnist } from "./fashion_mnist.ts";
import { kmnist } from "./kmnist.ts";
import { mnist } from "./mnist.ts";
import { notmnist } from "./notmnist.ts";
import { svhn } from "./svhn.ts";

/** Every data set by its name. */
export const sets = {
  mnist,
  notmnist,
  cifar10,
  svhn,
  "fashion-mnist": fashionMnist,
  kmnist,
  "emnist-letters": emnistLetters,
  cifar100,
} as const satisfies Record<string, DataSet>;

/** The name of a data set. */
export type SetName = keyof typeof sets;

/** The names of all of them. */
export const setNames = Object.keys(sets) as [SetName, ...SetName[]];

/** Whether a value is the name of a data set, and no path of images of the user's own. */
export function isSetName(value: string): value is SetName {
  return Object.hasOwn(sets, value);
}

/** All of them. */
export const allSets: readonly DataSet[] = Object.values<DataSet>(sets);

/** The parts that a data set has. */
export function partsOf({ parts: { train, test } }: DataSet): readonly Part[] {
  return train ? [train, test] : [test];
}

/**
 * The data set that images are of, by their name in results: MNIST of "MNIST test" and of "embedded digits
 * train"; undefined where no set has images of that name.
 */
export function setOfImages(name: string): DataSet | undefined {
  return allSets.find((set) =>
    partsOf(set).some((part) =>
      part.name === name || part.standIn === name ||
      (part.embedded !== undefined && embeddedName(part.embedded) === name)
    )
  );
}
