/**
 * The iteration of fgsm and pgd: a start, then steps of one length along the steepest descent, projected to
 * the ball and to the box.
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
  Parameter,
  reshape,
  scale,
  sub,
  type Tensor,
  type Updates,
  where,
} from "../nn/mod.ts";
import { startOf } from "./start.ts";
import { type Norm, norms } from "./norms.ts";
import type { AttackSettings, Iterate, Problem } from "./types.ts";

/** Prepares the iteration on a batch of images. */
export function iterate({ loss, shape }: Problem, settings: AttackSettings): Iterate {
  const { epsilon, steps, stepSize, keepBest } = settings;
  const norm: Norm = norms[settings.norm];
  const clean = new Parameter(shape, 0);
  const current = new Parameter(shape, 0);
  const best = new Parameter(shape, 0);
  const lowest = new Parameter([shape[0] ?? 1], 0);
  const count = new Parameter([1], 0);
  const project = (x: Tensor, x0: Tensor): Tensor => clip(norm.project(x, x0, epsilon), 0, 1);
  return {
    clean,
    current,
    result: keepBest ? best : current,
    count,
    parameters: [clean, current, best, lowest, count],
    repeats: keepBest ? steps + 1 : steps,
    start(images, key, which): Updates {
      const first = startOf(images, settings, key, which);
      const updates = new Map([[clean, images], [current, first], [count, constant(0, [1])]]);
      return keepBest
        ? updates.set(best, first).set(lowest, constant(3e38, lowest.shape))
        : updates;
    },
    step(): ReturnType<Iterate["step"]> {
      const x = current.tensor;
      const losses = loss(x, count.tensor);
      const [gradient = x] = grad(losses, [x]);
      const down = norm.steepest(gradient, { from: x, length: stepSize });
      const next = project(sub(x, scale(down, stepSize)), clean.tensor);
      const updates = new Map([[current, next], [count, add(count.tensor, 1)]]);
      if (!keepBest) return { updates, gradient, losses };
      const better = greater(lowest.tensor, losses);
      const mask = broadcastTo(reshape(better, [-1, ...shape.slice(1).map(() => 1)]), shape);
      updates
        .set(best, where(mask, x, best.tensor))
        .set(lowest, where(better, losses, lowest.tensor));
      return { updates, gradient, losses };
    },
  };
}
