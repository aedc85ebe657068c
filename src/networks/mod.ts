/**
 * The networks below the methods' heads: one line each.
 *
 * @module
 */
import { shortened, UserError } from "../base/errors.ts";
import { lenet } from "./lenet.ts";
import type { Network } from "./network.ts";
import { resnet18 } from "./resnet18.ts";

export type { ClassifierShape, FeatureOptions, Features, ImageShape, Network } from "./network.ts";
export { LeNet, LeNetFeatures, SpectralLeNet } from "./lenet.ts";
export { ResNet18, ResNet18Features, type ResNetOptions } from "./resnet18.ts";

/** Every network by its name; the first is where nobody says which. */
export const networks = {
  LeNet: lenet,
  "ResNet-18": resnet18,
} as const satisfies Record<string, Network>;

/** The name of a network. */
export type NetworkName = keyof typeof networks;

/**
 * The network of a model by the model's name: `ResNet-18` of `ResNet-18_SNGP`.
 *
 * @throws UserError when there is none of that name
 */
export function networkOf(model: string): Network {
  const found = Object.values<Network>(networks).find(({ name }) =>
    model === name || model.startsWith(`${name}_`)
  );
  if (found) return found;
  throw new UserError(
    `Cannot use the network "${shortened(model)}": there is none of that name; choose ${
      Object.keys(networks).join(" or ")
    }, with the method's ending where it has one, such as LeNet_SNGP`,
  );
}

/** Names of the models that a method makes of every network: the network's own, and an ending. */
export function modelsOf(ending = ""): readonly string[] {
  return Object.keys(networks).map((name) => name + ending);
}
