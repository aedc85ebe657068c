/**
 * The networks below the methods' heads: one line each.
 *
 * @module
 */
import { shortened, UserError } from "../base/errors.ts";
import { imported, isImported } from "./imported.ts";
import { lenet } from "./lenet.ts";
import type { NetworkFacts, NetworkOf } from "./network.ts";
import type { Together, ValuesOf } from "./options.ts";
import { resnet18 } from "./resnet18.ts";

export type {
  ClassifierNetwork,
  ClassifierShape,
  FeatureOptions,
  Features,
  ImageShape,
  NetworkFacts,
  NetworkOf,
  NetworkOwn,
} from "./network.ts";
export type { Domain, NetworkHyperparameter, Together, ValueOf, ValuesOf } from "./options.ts";
export { importedEnding, isImported } from "./imported.ts";
export { LeNet, LeNetFeatures, SpectralLeNet } from "./lenet.ts";
export { ResNet18, ResNet18Features, type ResNetOptions } from "./resnet18.ts";

/** Every network by its name; the first is where nobody says which. */
export const networks = {
  LeNet: lenet,
  "ResNet-18": resnet18,
} as const satisfies Record<string, NetworkFacts>;

/** What all networks declare as their own. */
export type AllNetworkOwn = Together<typeof networks, "hyperparameters">;

/** Hyper-parameters that belong to one network or another. */
export type NetworkHyperparameters = ValuesOf<AllNetworkOwn>;

/** Any network: it takes what is its own among the hyper-parameters of all. */
export interface Network
  extends NetworkFacts, Pick<NetworkOf<AllNetworkOwn>, "features" | "classifier"> {}

/** The name of a network. */
export type NetworkName = keyof typeof networks;

/**
 * The network of a model by the model's name: `ResNet-18` of `ResNet-18_SNGP`; of a file's, what is known of all
 * that come out of files.
 *
 * @throws UserError when there is none of that name
 */
export function networkOf(model: string): Network {
  if (isImported(model)) return imported;
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
