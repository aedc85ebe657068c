/**
 * Where attacks start: one line each in `inits`. Every start lies in the ball and in [0, 1], and what is drawn
 * for an image follows from its number in its set, so that it is the same in batches of any size.
 *
 * @module
 */
import {
  add,
  broadcastTo,
  clip,
  constant,
  equal,
  mean,
  noise,
  type NoiseKey,
  reshape,
  scale,
  type Tensor,
  where,
} from "../nn/mod.ts";
import { type Norm, norms } from "./norms.ts";
import type { AttackSettings, IterateOptions, Which } from "./types.ts";

/** What a start is made of. */
export interface Place {
  /** The clean images `[B, ...]`. */
  readonly clean: Tensor;
  /** Norm of the ball. */
  readonly norm: Norm;
  /** Its radius. */
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
  /** The images that it starts from. */
  at(place: Place): Tensor;
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

/**
 * Where an attack starts, `[B, ...]`: where its settings say so, in the first run; in every later one at a random
 * point of the ball.
 *
 * @param which images they are; the first ones in a first run when not given
 */
export function startOf(
  images: Tensor,
  settings: AttackSettings,
  key: NoiseKey,
  which?: Which,
): Tensor {
  const { epsilon: radius, init, startNoise, projectStart } = settings;
  const norm: Norm = norms[settings.norm];
  const { shape } = images;
  const project = (x: Tensor): Tensor => clip(norm.project(x, images, radius), 0, 1);
  const run = which?.run ?? constant(0, [1]);
  const own = (name: InitName, offset: number): Tensor => {
    const { index = firstOf(shape[0] ?? 1) } = which ?? {};
    const draw = (distribution: "uniform" | "normal"): Tensor =>
      noise(distribution, key, run, shape, offset, index);
    const start: Init = inits[name];
    return project(start.at({ clean: images, norm, radius, draw }));
  };
  // The published start draws by an image's place in its batch, as the original does.
  const published = (): Tensor => {
    if (startNoise === 0) return projectStart ? project(images) : images;
    const jitter = scale(noise("normal", key, constant(0, [1]), shape), startNoise);
    return projectStart ? project(add(images, jitter)) : add(images, jitter);
  };
  const first = init ? own(init, 0) : published();
  if (!which || (settings.restarts ?? 0) === 0) return first;
  const isFirst = broadcastTo(reshape(equal(run, 0), shape.map(() => 1)), shape);
  return where(isFirst, first, own("uniform", 1));
}

/** What was chosen about an attack's runs, for its settings. */
export function runOf(
  { init, restarts }: Pick<IterateOptions, "init" | "restarts">,
): Pick<AttackSettings, "init" | "restarts"> {
  return { ...init && { init }, ...restarts && { restarts } };
}

/** `0 .. count - 1`. */
function firstOf(count: number): Tensor {
  return constant(Float32Array.from({ length: count }, (_, i) => i));
}
