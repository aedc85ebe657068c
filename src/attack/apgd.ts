/**
 * Auto-PGD (F. Croce and M. Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
 * parameter-free attacks", ICML 2020, Algorithm 1): steps with momentum, whose length is halved, image by
 * image, where they stop to pay, and which then go on from the best iterate.
 *
 * In L1 the rule is another: see `apgd_l1.ts`.
 *
 * As the authors' own code has it, the first of all steps counts as one that paid where the loss is then below 0.
 *
 * @module
 */
import {
  add,
  broadcastTo,
  clip,
  constant,
  equal,
  gatherRows,
  grad,
  greater,
  maximum,
  mul,
  Parameter,
  reshape,
  scale,
  sub,
  type Tensor,
  type Updates,
  where,
} from "../nn/mod.ts";
import { firstRadius, prepareL1 } from "./apgd_l1.ts";
import { runOf, startOf } from "./start.ts";
import { type Norm, norms, rows } from "./norms.ts";
import type { Attack, AttackSettings, Iterate, Problem } from "./types.ts";

/** Share of a step that is new; the rest is the step before. */
const fresh = 0.75;

/** Share of an interval's steps that must lower the loss for their length to stay. */
const enough = 0.75;

/** Intervals between decisions on the length, in shares of all steps: the first, by how much they shrink, the shortest. */
const intervals = { first: 0.22, less: 0.03, last: 0.06 } as const;

/** Steps of twice the radius at first; in L1, where it begins in a wider ball, of that ball's radius. */
export const apgd: Attack = {
  name: "apgd",
  objective: "logProbability",
  adaptive: true,
  settings: (epsilon, { norm = "linf", startNoise = 0, steps = 100, ...run } = {}) => ({
    ...runOf(run),
    name: "apgd",
    norm,
    epsilon,
    steps,
    stepSize: (norm === "l1" ? firstRadius : 2) * epsilon,
    startNoise,
    projectStart: true,
    keepBest: true,
  }),
  prepare: (problem, settings) =>
    settings.norm === "l1" ? prepareL1(problem, settings) : prepare(problem, settings),
};

/** Steps after which the length is decided on, and how many they come after: of so many steps, `[0 .. steps]`; else 0. */
export function decisions(steps: number): number[] {
  const part = (share: number): number => Math.max(Math.trunc(share * steps), 1);
  const found = Array<number>(steps + 1).fill(0);
  let interval = part(intervals.first);
  for (let at = interval; at <= steps; at += interval) {
    found[at] = interval;
    interval = Math.max(interval - part(intervals.less), part(intervals.last));
  }
  return found;
}

/** What is known of the images between steps: images, and a number each. */
type State = Readonly<
  Record<
    | "clean"
    | "current"
    | "previous"
    | "best"
    | "slopeAtBest"
    | "lowest"
    | "last"
    | "decided"
    | "paid"
    | "shortened"
    | "length"
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
    previous: images(),
    best: images(),
    slopeAtBest: images(),
    lowest: numbers(),
    last: numbers(),
    decided: numbers(),
    paid: numbers(),
    shortened: numbers(),
    length: numbers(),
    count: new Parameter([1], 0),
  };
}

function prepare({ loss, shape }: Problem, settings: AttackSettings): Iterate {
  const { epsilon, steps, stepSize } = settings;
  const norm: Norm = norms[settings.norm];
  const state = stateOf(shape);
  const { clean, current, best, count } = state;
  const project = (x: Tensor, x0: Tensor): Tensor => clip(norm.project(x, x0, epsilon), 0, 1);
  const all = (value: number): Tensor => constant(value, [shape[0] ?? 1]);
  return {
    clean,
    current,
    result: best,
    lengths: state.length,
    count,
    parameters: Object.values(state),
    repeats: steps + 1,
    start(x0, key, which): Updates {
      const first = startOf(x0, settings, key, which);
      return new Map([
        [clean, x0],
        [current, first],
        [state.previous, first],
        [best, first],
        [state.slopeAtBest, constant(0, shape)],
        [state.lowest, all(3e38)],
        [state.last, all(-3e38)],
        [state.decided, all(3e38)],
        [state.paid, all(0)],
        [state.shortened, all(1)],
        [state.length, all(stepSize)],
        [count, constant(0, [1])],
      ]);
    },
    step: () => stepOf(state, { loss, norm, steps, project }),
  };
}

/** One step: judges where it stands, decides on the length, and goes on. */
function stepOf(
  state: State,
  { loss, norm, steps, project }: Pick<Problem, "loss"> & {
    readonly norm: Norm;
    readonly steps: number;
    readonly project: (x: Tensor, x0: Tensor) => Tensor;
  },
): ReturnType<Iterate["step"]> {
  const { clean, current, best, count } = state;
  const x = current.tensor;
  const losses = loss(x, count.tensor);
  const [gradient = x] = grad(losses, [x]);
  const first = equal(count.tensor, 0); // [1]
  const better = greater(state.lowest.tensor, losses);
  const lowest = where(better, losses, state.lowest.tensor);
  const found = where(rows(better, x), x, best.tensor);
  const slope = where(rows(better, x), gradient, state.slopeAtBest.tensor);
  const decision = decide(state, { losses, lowest, first, steps });
  // Where the length is halved, the steps go on from the best iterate, down its own slope.
  const back = rows(decision.halve, x);
  const from = where(back, found, x);
  const down = norm.steepest(where(back, slope, gradient));
  const ahead = project(sub(from, mul(down, rows(decision.length, x))), clean.tensor);
  const share = where(first, constant(1, [1]), constant(fresh, [1])); // [1]
  const own = mul(sub(ahead, from), share);
  const carried = mul(sub(from, state.previous.tensor), sub(1, share));
  const next = project(add(from, add(own, carried)), clean.tensor);
  const none = constant(0, losses.shape);
  const updates = new Map([
    [current, next],
    [state.previous, from],
    [best, found],
    [state.slopeAtBest, slope],
    [state.lowest, lowest],
    [state.last, where(broadcastTo(first, losses.shape), none, losses)],
    [state.decided, decision.decided],
    [state.paid, decision.paid],
    [state.shortened, decision.shortened],
    [state.length, decision.length],
    [count, add(count.tensor, 1)],
  ]);
  return { updates, gradient, losses };
}

/** What is decided on the steps' lengths, image by image, after a step. */
function decide(
  state: State,
  { losses, lowest, first, steps }: {
    readonly losses: Tensor;
    readonly lowest: Tensor;
    readonly first: Tensor;
    readonly steps: number;
  },
): Readonly<Record<"halve" | "length" | "shortened" | "decided" | "paid", Tensor>> {
  const { shape } = losses;
  const zero = constant(0, shape);
  const table = constant(Float32Array.from(decisions(steps)), [steps + 1, 1]);
  const interval = reshape(gatherRows(table, state.count.tensor), [1]);
  const now = broadcastTo(greater(interval, 0), shape);
  const paid = add(state.paid.tensor, greater(state.last.tensor, losses));
  const decided = where(broadcastTo(first, shape), losses, state.decided.tensor);
  const few = sub(1, greater(paid, broadcastTo(scale(interval, enough), shape)));
  const stuck = mul(sub(1, state.shortened.tensor), sub(1, greater(decided, lowest)));
  const halve = mul(now, maximum(few, stuck));
  return {
    halve,
    length: where(halve, scale(state.length.tensor, 0.5), state.length.tensor),
    shortened: where(now, halve, state.shortened.tensor),
    decided: where(now, lowest, decided),
    paid: where(now, zero, paid),
  };
}
