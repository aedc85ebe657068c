/**
 * The first iterate of an attack: as published, as was chosen, or of a restart.
 *
 * @module
 */
import {
  add,
  broadcastTo,
  clip,
  constant,
  equal,
  noise,
  type NoiseKey,
  reshape,
  scale,
  type Tensor,
  where,
} from "../nn/mod.ts";
import { type Init, type InitName, inits } from "./inits.ts";
import { type Norm, norms } from "./norms.ts";
import type { AttackSettings, IterateOptions, Which } from "./types.ts";

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
