/**
 * Your own attack: plain gradient descent in a ball of Euclidean length, in functions of `mirage.nn` alone.
 *
 *     ./denow task attack --attack examples/attack_l2_pgd.ts --norm l2 --epsilon-attack 1.5
 *
 * @module
 */
import { type Attack, type AttackSettings, type Iterate, nn, startOf } from "mirage";

const name = "own l2 pgd";

export default {
  name,

  /** A ball's radius, and what was typed: --steps, --step-factor. */
  settings(epsilon, { steps = 10, stepFactor = 2.5, startNoise = 0 } = {}): AttackSettings {
    const stepSize = stepFactor * epsilon / steps;
    const shape = { norm: "l2", epsilon, steps, stepSize } as const;
    return { name, ...shape, startNoise, projectStart: true, keepBest: false };
  },

  /** Nothing is computed here: every call adds to a graph, which runs on the GPU later. */
  prepare({ loss, shape }, settings): Iterate {
    const { epsilon, steps, stepSize } = settings;
    const [clean, current] = [new nn.Parameter(shape, 0), new nn.Parameter(shape, 0)];
    const count = new nn.Parameter([1], 0);
    /** One number an image, for each of its pixels. */
    const each = (values: nn.Tensor): nn.Tensor =>
      nn.broadcastTo(nn.reshape(values, [-1, 1, 1, 1]), shape);
    /** To length 1; to largest pixel 1 first, as squares of tiny slopes would be 0. */
    const toUnit = (slope: nn.Tensor): nn.Tensor => {
      const top = nn.max(nn.reshape(nn.abs(slope), [shape[0] ?? 1, -1]));
      const scaled = nn.div(slope, each(nn.maximum(top, 1e-37)));
      return nn.div(scaled, each(nn.maximum(nn.rowNorm(scaled), 1e-12)));
    };
    const toBall = (x: nn.Tensor): nn.Tensor => {
      const change = nn.sub(x, clean.tensor);
      const length = nn.maximum(nn.rowNorm(change), 1e-12);
      const factor = nn.minimum(nn.scale(nn.reciprocal(length), epsilon), 1);
      return nn.clip(nn.add(clean.tensor, nn.mul(change, each(factor))), 0, 1);
    };
    return {
      ...{ clean, current, result: current, count, repeats: steps },
      parameters: [clean, current, count],
      start: (images, key, which) =>
        new Map([
          ...[[clean, images], [current, startOf(images, settings, key, which)]] as const,
          [count, nn.constant(0, [1])],
        ]),
      step(): ReturnType<Iterate["step"]> {
        const x = current.tensor;
        const [gradient = x] = nn.grad(loss(x, count.tensor), [x]);
        const next = toBall(nn.sub(x, nn.scale(toUnit(gradient), stepSize)));
        return { updates: new Map([[current, next], [count, nn.add(count.tensor, 1)]]), gradient };
      },
    };
  },
} satisfies Attack;
