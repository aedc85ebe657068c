/**
 * Where attacks start: one line each in `inits`. Every start lies in the ball and in [0, 1], and what is drawn
 * for an image follows from its number in its set, so that it is the same in batches of any size.
 *
 * @module
 */
import { add, broadcastTo, mean, scale, type Tensor } from "../nn/mod.ts";
import type { Norm } from "./norms.ts";

/** What a start is made of: see {@linkcode Init}. */
export interface InitPlace {
  /** The clean images `[B, ...]`. */
  readonly clean: Tensor;
  /** Norm of the ball around them. */
  readonly norm: Norm;
  /** Radius of that ball. */
  readonly radius: number;
  /** Noise of the images' shape, another in each run. */
  readonly draw: (distribution: "uniform" | "normal") => Tensor;
}

/** A start: images `[B, ...]`, which are projected to the ball and to [0, 1] afterwards. */
export interface Init {
  /** Its key in `inits`. */
  readonly name: string;
  /** What it is, for people. */
  readonly about: string;
  /** Whether it draws random numbers. */
  readonly random: boolean;
  /** Its images, before they are projected. */
  at(place: InitPlace): Tensor;
}

/** The image itself. */
const clean: Init = {
  name: "clean",
  about: "the clean image",
  random: false,
  at: ({ clean }) => clean,
};

/** Normal noise of variance 1e-4. */
const normal: Init = {
  name: "normal",
  about: "normal noise of deviation 0.01",
  random: true,
  at: ({ clean, draw }) => add(clean, scale(draw("normal"), 0.01)),
};

/** A random point of the ball, as the norm has it. */
const uniform: Init = {
  name: "uniform",
  about: "a random point of the ball",
  random: true,
  at: ({ clean, norm, radius, draw }) => add(clean, norm.anywhere(draw, radius)),
};

/** Less contrast: towards the image's own mean. */
const contrast: Init = {
  name: "contrast",
  about: "the image of one grey, its own mean, as near as the ball allows",
  random: false,
  at({ clean }): Tensor {
    const rest = clean.shape.slice(1).map((_, axis) => axis + 1);
    return broadcastTo(mean(clean, rest, true), clean.shape);
  },
};

/** Every start by its name. */
export const inits = { clean, normal, uniform, contrast } as const satisfies Record<string, Init>;

/** The name of a start. */
export type InitName = keyof typeof inits;
