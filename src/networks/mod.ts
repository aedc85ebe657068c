/**
 * The networks below the methods' heads: LeNet for digits, ResNet-18 for small colour images.
 *
 * @module
 */
import { shortened, UserError } from "../base/errors.ts";
import {
  type Layer,
  LeNetFeatures,
  type Random,
  ResNet18Features,
  SpectralLeNet,
} from "../nn/mod.ts";

/** A network that maps images to features, and what it was made for. */
export interface Encoder {
  readonly layer: Layer & { readonly features: number };
  /** `[C, H, W]` of an image. */
  readonly imageShape: readonly [channels: number, height: number, width: number];
}

/** What an encoder may be. */
export interface EncoderOptions {
  /** Bound on the norm of its layers; plain layers when not given. */
  readonly coeff?: number;
  /** What ResNet-18's state calls the branch that changes a shape. */
  readonly branch?: "shortcut" | "downsample";
}

/** Image shapes by the family of a network. */
export const imageShapes = {
  LeNet: [1, 28, 28],
  "ResNet-18": [3, 32, 32],
} as const;

/** The family of a network. */
export type NetworkFamily = keyof typeof imageShapes;

/** The family of a network by its name: `ResNet-18` of `ResNet-18_SNGP`. */
export function familyOf(model: string): NetworkFamily {
  const family = (["LeNet", "ResNet-18"] as const).find((name) =>
    model === name || model.startsWith(`${name}_`)
  );
  if (family) return family;
  throw new UserError(
    `Cannot use the network "${shortened(model)}": there is none of that name; choose LeNet or ` +
      "ResNet-18, with the method's ending where it has one, such as LeNet_SNGP",
  );
}

/** The encoder of a network, by the network's name. */
export function createEncoder(
  model: string,
  random: Random,
  { coeff, branch = "shortcut" }: EncoderOptions = {},
): Encoder {
  const family = familyOf(model);
  const imageShape = imageShapes[family];
  switch (family) {
    case "LeNet":
      return {
        imageShape,
        layer: coeff === undefined ? new LeNetFeatures(random) : new SpectralLeNet(random, coeff),
      };
    case "ResNet-18":
      return { imageShape, layer: new ResNet18Features(random, { coeff, branch }) };
  }
}
