/**
 * What is known of every network out of a file: it is trained already, and built by its file alone.
 *
 * @module
 */
import type { NetworkFacts, NetworkOf } from "./network.ts";

/** How the names of such files end. */
export const importedEnding = ".onnx";

/** Whether a model's name is that of a file. */
export function isImported(model: string): boolean {
  return model.endsWith(importedEnding);
}

/** Never built by name: what it was published for and with, nobody knows. */
function build(): never {
  throw new Error("Unreachable: a network out of a file is not built by its name");
}

/** The facts of all of them. */
export const imported: NetworkFacts & Pick<NetworkOf, "features" | "classifier"> = {
  name: "ONNX",
  imageShape: [1, 28, 28],
  classes: 10,
  inDomain: "mnist",
  outDomain: "notmnist",
  epsilon: 8 / 255,
  augmentation: 0,
  batchNorm: false,
  hyperparameters: {},
  features: build,
  classifier: build,
};
