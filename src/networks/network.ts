/**
 * What a network says of itself: how it is built, and what it was published with.
 *
 * @module
 */
import type { SetName } from "../../data/mod.ts";
import type { Layer, Pass, Random, Tensor } from "../nn/mod.ts";
import type { NetworkHyperparameter, ValuesOf } from "./options.ts";

/** `[C, H, W]` of an image. */
export type ImageShape = readonly [channels: number, height: number, width: number];

/** A network that ends before its last linear layer. */
export interface Features extends Layer {
  /** Length of the vector that it makes of an image. */
  readonly features: number;
}

/** A network up to its logits. */
export interface ClassifierNetwork extends Layer {
  /** D, the length of what its last linear layer takes. */
  readonly featureCount: number;
  /** What its last linear layer takes: images `[B, C, H, W]` to `[B, D]`. */
  features(x: Tensor, pass: Pass): Tensor;
}

/** What the lower part of a network may be. */
export interface FeatureOptions {
  /** Of the images that it is to take. */
  readonly imageShape: ImageShape;
  /** Bound on the spectral norm of its layers; plain layers when not given. */
  readonly coeff?: number | undefined;
  /** What the state calls a branch that changes a shape, where there are any. */
  readonly branch?: "shortcut" | "downsample";
}

/** What a classifier is built for. */
export interface ClassifierShape {
  /** Of the images that it is to take. */
  readonly imageShape: ImageShape;
  /** K, 2 or more. */
  readonly classes: number;
}

/** What networks declare as their own, by the options' names. */
export type NetworkOwn = Readonly<Record<string, NetworkHyperparameter>>;

/** What a network says of itself, whatever is its own. */
export interface NetworkFacts {
  /** Its name, with which the names of its models start: `LeNet` of `LeNet_SNGP`. */
  readonly name: string;
  /** What it was published for; it takes others. */
  readonly imageShape: ImageShape;
  /** Classes of what it was published for; it takes others. */
  readonly classes: number;
  /** The set that it was published with, to be taught. */
  readonly inDomain: SetName;
  /** The set that it was published with, to be attacked with. */
  readonly outDomain: SetName;
  /** The paper's smallest radius, of training and attack (pixels are in [0, 1]). */
  readonly epsilon: number;
  /** Pixels of padding that it learns random crops from, mirrored at random; 0: images as they are. */
  readonly augmentation: number;
  /** Whether it normalises over batches. */
  readonly batchNorm: boolean;
  /** The hyper-parameters that are its own, by name. */
  readonly hyperparameters: NetworkOwn;
  /** Words in the names of its arrays that the code of others has in one another's place. */
  readonly synonyms?: readonly (readonly [word: string, other: string])[];
  /** What is to be known, as a clause, where arrays are taken by such other names. */
  readonly caution?: string;
}

/**
 * A network: everything that the rest of the house knows of it. It is built by its own hyper-parameters among
 * the other options, by their names; by what it was published with where they are not there.
 */
export interface NetworkOf<O extends NetworkOwn = Readonly<Record<never, NetworkHyperparameter>>>
  extends NetworkFacts {
  /** The hyper-parameters that are its own, by name. */
  readonly hyperparameters: O;
  /** Images `[B, C, H, W]` to features `[B, D]`. */
  features(random: Random, options: FeatureOptions & Partial<ValuesOf<O>>): Features;
  /** Images `[B, C, H, W]` to logits `[B, K]`. */
  classifier(random: Random, shape: ClassifierShape & Partial<ValuesOf<O>>): ClassifierNetwork;
}
