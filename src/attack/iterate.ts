/**
 * The one iteration that every attack is an instance of: a start, then sign steps projected to the
 * ball and to the box.
 *
 * @module
 */
import {
  add,
  broadcastTo,
  clip,
  constant,
  grad,
  greater,
  noise,
  type NoiseKey,
  nonFinite,
  Parameter,
  reshape,
  scale,
  sign,
  sub,
  type Tensor,
  type Updates,
  where,
} from "../nn/mod.ts";
import type { AttackSettings } from "./types.ts";

/** The state of images under attack, on the device between steps. */
export interface Iterate {
  /** The clean images `[B, ...]`. */
  readonly clean: Parameter;
  /** The current iterate `[B, ...]`. */
  readonly current: Parameter;
  /** The adversarial images so far: the iterate of lowest loss where it is kept, else the current one. */
  readonly result: Parameter;
  /** Updates that start the attack on a batch of clean images. */
  start(images: Tensor, key: NoiseKey): Updates;
  /** How many steps were made: `[1]`. */
  readonly count: Parameter;
  /** One step, to be run `repeats` times: what it changes, and the loss's gradient `[B, ...]`. */
  step(): { readonly updates: Updates; readonly gradient: Tensor };
  /** How often to run the step: once more than `steps` where the last iterate must still be judged. */
  readonly repeats: number;
  /** Everything above that holds memory on the device. */
  readonly parameters: readonly Parameter[];
}

/**
 * Prepares an attack.
 *
 * @param loss per image `[B]`, traced at the current iterate; lower is more confident. Its second
 * argument `[1]` counts the steps, for a loss that draws noise afresh at each.
 * @param shape of a batch of images
 */
export function iterate(
  loss: (x: Tensor, count: Tensor) => Tensor,
  shape: readonly number[],
  settings: AttackSettings,
): Iterate {
  const { epsilon, steps, stepSize, startNoise, projectStart, keepBest } = settings;
  const clean = new Parameter(shape, 0);
  const current = new Parameter(shape, 0);
  const best = new Parameter(shape, 0);
  const lowest = new Parameter([shape[0] ?? 1], 0);
  const count = new Parameter([1], 0);
  const project = (x: Tensor, x0: Tensor): Tensor =>
    clip(clip(x, sub(x0, epsilon), add(x0, epsilon)), 0, 1);
  return {
    clean,
    current,
    result: keepBest ? best : current,
    count,
    parameters: [clean, current, best, lowest, count],
    repeats: keepBest ? steps + 1 : steps,
    start(images, key): Updates {
      const jitter = scale(noise("normal", key, constant(0, [1]), shape), startNoise);
      const noisy = startNoise > 0 ? add(images, jitter) : images;
      const first = projectStart ? project(noisy, images) : noisy;
      const updates = new Map([[clean, images], [current, first], [count, constant(0, [1])]]);
      return keepBest
        ? updates.set(best, first).set(lowest, constant(3e38, lowest.shape))
        : updates;
    },
    step(): ReturnType<Iterate["step"]> {
      const x = current.tensor;
      const losses = loss(x, count.tensor);
      const [gradient = x] = grad(losses, [x]);
      const direction = sign(gradient);
      // Where the gradient is no number there is no direction: the pixel stays where it is.
      const moved = where(nonFinite(direction), constant(0, shape), direction);
      const next = project(sub(x, scale(moved, stepSize)), clean.tensor);
      const updates = new Map([[current, next], [count, add(count.tensor, 1)]]);
      if (!keepBest) return { updates, gradient };
      const better = greater(lowest.tensor, losses);
      const mask = broadcastTo(reshape(better, [-1, ...shape.slice(1).map(() => 1)]), shape);
      updates
        .set(best, where(mask, x, best.tensor))
        .set(lowest, where(better, losses, lowest.tensor));
      return { updates, gradient };
    },
  };
}
