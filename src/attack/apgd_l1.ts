/**
 * Auto-PGD in L1 (F. Croce and M. Hein, "Mind the box: l1-APGD for sparse adversarial attacks on image classifiers",
 * ICML 2021, Algorithm 1, with the multi-epsilon scheme of its section 4.2): steps along the steepest pixels alone,
 * of which there are the fewer, image by image, the fewer the best iterate changes; first in balls of three times
 * and twice the radius, each from the best of the one before.
 *
 * Every iterate of a ball begins where the authors' code begins it, and is judged there, so that a stage of n steps
 * judges n + 1 images. A start that changes no pixel counts as one that changes all.
 *
 * @module
 */
import {
  abs,
  add,
  broadcastTo,
  constant,
  equal,
  floor,
  gatherRows,
  grad,
  greater,
  maximum,
  mul,
  Parameter,
  projectL1,
  reshape,
  scale,
  sign,
  size,
  slice,
  sub,
  sum,
  type Tensor,
  type Updates,
  where,
} from "../nn/mod.ts";
import { startOf } from "./start.ts";
import { rows, sparseSign } from "./norms.ts";
import type { AttackSettings, Iterate, Problem } from "./types.ts";

/** The radii of the balls in units of epsilon, and the shares of all steps made in each but the last. */
const balls = [{ radius: 3, share: 0.3 }, { radius: 2, share: 0.3 }, { radius: 1 }] as const;

/** The largest of the balls' radii, in units of epsilon: the first steps are as long. */
export const firstRadius: number = balls[0].radius;

/** Steps between decisions, in shares of a ball's steps. */
const interval = 0.04;

/** How much shorter steps become, and how much shorter than the first ones at most. */
const shrink = { by: 1.5, to: 10 } as const;

/** One of the images that an attack judges on its way: when it comes, and what is done there. */
export interface Moment {
  /** Whether it is the first in its ball. */
  readonly opens: boolean;
  /** Whether length and sparsity are decided on. */
  readonly decides: boolean;
  /** Whether it is the last in its ball, and another ball follows. */
  readonly closes: boolean;
  /** The radius of its ball, in units of epsilon. */
  readonly radius: number;
  /** The radius of the ball that the next image is in, in units of epsilon. */
  readonly next: number;
}

/** All moments of so many steps, 1 or more: one more than steps for each ball in which there are any. */
export function moments(steps: number): Moment[] {
  const early = (share: number): number =>
    Math.min(Math.ceil(share * steps), Math.floor((steps - 1) / 2));
  const [first, second, last] = balls;
  const made = [early(first.share), early(second.share)];
  const stages = [
    { radius: first.radius, count: made[0] ?? 0 },
    { radius: second.radius, count: made[1] ?? 0 },
    { radius: last.radius, count: steps - made.reduce((a, b) => a + b, 0) },
  ].filter(({ count }) => count > 0);
  return stages.flatMap(({ radius, count }, stage) => {
    const every = Math.max(Math.trunc(interval * count), 1);
    const after = stages[stage + 1];
    return Array.from({ length: count + 1 }, (_, i) => {
      const closes = i === count && after !== undefined;
      const decides = i > 0 && i % every === 0;
      return { opens: i === 0, decides, closes, radius, next: closes ? after.radius : radius };
    });
  });
}

/** What is known of the images between steps: images, and a number each. */
type State = Readonly<
  Record<
    | "clean"
    | "current"
    | "best"
    | "slopeAtBest"
    | "lowest"
    | "length"
    | "most"
    | "changed"
    | "count",
    Parameter
  >
>;

function stateOf(shape: readonly number[]): State {
  const images = (): Parameter => new Parameter(shape, 0);
  const numbers = (): Parameter => new Parameter([shape[0] ?? 1], 0);
  return {
    clean: images(),
    current: images(),
    best: images(),
    slopeAtBest: images(),
    lowest: numbers(),
    length: numbers(),
    most: numbers(),
    changed: numbers(),
    count: new Parameter([1], 0),
  };
}

/** Prepares the attack on a batch of images. Settings' step size is that of the first steps. */
export function prepareL1({ loss, shape }: Problem, settings: AttackSettings): Iterate {
  const { epsilon, steps, stepSize } = settings;
  const state = stateOf(shape);
  const { clean, current, best, count } = state;
  const all = moments(steps);
  const widest = Math.max(...all.map(({ radius }) => radius));
  const none = constant(0, [shape[0] ?? 1]);
  return {
    clean,
    current,
    result: best,
    lengths: state.length,
    count,
    parameters: Object.values(state),
    repeats: all.length,
    start(x0, key, which): Updates {
      const first = startOf(x0, { ...settings, epsilon: widest * epsilon }, key, which);
      return new Map([
        [clean, x0],
        [current, first],
        [best, first],
        [state.slopeAtBest, constant(0, shape)],
        ...[state.lowest, state.length, state.most, state.changed].map((p) => [p, none] as const),
        [count, constant(0, [1])],
      ]);
    },
    step: () => stepOf(state, { loss, epsilon, first: stepSize / firstRadius, moments: all }),
  };
}

/** One step: judges where it stands, decides on length and sparsity, and goes on, in the next ball from the best. */
function stepOf(
  state: State,
  { loss, epsilon, first, moments }: Pick<Problem, "loss"> & {
    readonly epsilon: number;
    /** The length of the first step in a ball, in units of its radius in epsilons. */
    readonly first: number;
    readonly moments: readonly Moment[];
  },
): ReturnType<Iterate["step"]> {
  const { clean, current, best, count } = state;
  const x = current.tensor;
  const losses = loss(x, count.tensor);
  const [gradient = x] = grad(losses, [x]);
  const { opens, decides, closes, radius, next } = now(moments, count.tensor, losses);
  const before = where(opens, constant(3e38, losses.shape), state.lowest.tensor);
  const improves = greater(before, losses);
  const better = rows(maximum(improves, opens), x);
  const found = where(better, x, best.tensor);
  const slope = where(better, gradient, state.slopeAtBest.tensor);
  const adapted = adapt(state, { found, opens, decides, longest: scale(radius, first) });
  // Where the best iterate changes clearly fewer pixels, the steps go on from it, down its own slope.
  const back = rows(adapted.fewer, x);
  const down = sparseSign(where(back, slope, gradient), adapted.most);
  const ahead = sub(where(back, found, x), mul(down, rows(adapted.length, x)));
  const updates = new Map([
    [
      current,
      projectL1(where(rows(closes, x), found, ahead), clean.tensor, scale(next, epsilon)),
    ],
    [best, found],
    [state.slopeAtBest, slope],
    [state.lowest, where(improves, losses, before)],
    [state.length, adapted.length],
    [state.most, adapted.most],
    [state.changed, adapted.changed],
    [count, add(count.tensor, 1)],
  ]);
  return { updates, gradient, losses };
}

/** The moment that it is, `[B]` each: 1 where something is so, and the radii. */
function now(
  moments: readonly Moment[],
  count: Tensor,
  like: Tensor,
): Readonly<Record<keyof Moment, Tensor>> {
  const table = moments.map(({ opens, decides, closes, radius, next }) => [
    Number(opens),
    Number(decides),
    Number(closes),
    radius,
    next,
  ]);
  const row = gatherRows(constant(Float32Array.from(table.flat()), [table.length, 5]), count);
  const column = (i: number): Tensor =>
    broadcastTo(reshape(slice(row, [0, i], [1, 1]), [1]), like.shape);
  return {
    opens: column(0),
    decides: column(1),
    closes: column(2),
    radius: column(3),
    next: column(4),
  };
}

/** What is decided on the steps, image by image: how long they are, and along how many pixels at most. */
function adapt(
  state: State,
  { found, opens, decides, longest }: {
    readonly found: Tensor;
    readonly opens: Tensor;
    readonly decides: Tensor;
    /** The length of the first step in the ball, `[B]`. */
    readonly longest: Tensor;
  },
): Readonly<Record<"fewer" | "length" | "most" | "changed", Tensor>> {
  const { shape } = longest;
  const pixels = size(found.shape.slice(1));
  const moved = abs(sign(sub(found, state.clean.tensor)));
  const changed = sum(reshape(moved, [shape[0] ?? 1, -1]), [1]);
  const unchanged = equal(changed, 0);
  const all = (value: number): Tensor => constant(value, shape);
  // changed / 1.5, rounded up: half a pixel more keeps what is whole from being rounded down.
  const share = maximum(floor(scale(add(scale(changed, 2), 2.5), 1 / 3)), 1);
  // changed / before < 0.95, in whole numbers
  const fewer = mul(decides, greater(scale(state.changed.tensor, 19), scale(changed, 20)));
  const shorter = maximum(scale(state.length.tensor, 1 / shrink.by), scale(longest, 1 / shrink.to));
  const atOpening = (opening: Tensor, decided: Tensor, { tensor }: Parameter): Tensor =>
    where(opens, opening, where(decides, decided, tensor));
  return {
    fewer,
    length: atOpening(longest, where(fewer, longest, shorter), state.length),
    most: atOpening(where(unchanged, all(Math.ceil(pixels / 5)), share), share, state.most),
    changed: atOpening(where(unchanged, all(pixels), changed), changed, state.changed),
  };
}
