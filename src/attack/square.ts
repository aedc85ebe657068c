/**
 * The Square Attack (M. Andriushchenko, F. Croce, N. Flammarion and M. Hein, "Square Attack: a query-efficient
 * black-box adversarial attack via random search", ECCV 2020, Algorithms 1 and 2): from vertical stripes on,
 * squares at random places, each kept where it lowers the loss. It looks at losses alone, so that no masked
 * gradient stands in its way.
 *
 * As the authors' code has it, a square never touches the last row and column that it could begin at, and
 * changes the best image by twice the radius, cut to the ball and to [0, 1]. In L-infinity only.
 *
 * @module
 */
import {
  add,
  broadcastTo,
  clip,
  constant,
  floor,
  gatherRows,
  greater,
  maximum,
  mul,
  noise,
  Parameter,
  reshape,
  scale,
  slice,
  sub,
  type Tensor,
  type Updates,
  where,
} from "../nn/mod.ts";
import { UserError } from "../base/errors.ts";
import { rows } from "./norms.ts";
import { runOf, startOf } from "./start.ts";
import type { Attack, AttackSettings, Iterate, Problem } from "./types.ts";

/** Share of the image's area that the first squares have. */
const firstShare = 0.8;

/** Of 10,000 queries, those after which the squares' area is halved. */
const halvings = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000] as const;

/** Random search by squares. */
export const square: Attack = {
  name: "square",
  objective: "logProbability",
  adaptive: true,
  gradientFree: true,
  norms: ["linf"],
  settings(epsilon, { norm = "linf", steps = 2000, ...run } = {}): AttackSettings {
    if (norm !== "linf") {
      throw new UserError(
        `Cannot attack by square in ${norm}: it changes pixels by the radius, which is a change in linf; ` +
          "leave out --norm, or choose --attack apgd",
      );
    }
    return {
      ...runOf(run),
      name: "square",
      norm,
      epsilon,
      steps,
      stepSize: 2 * epsilon,
      startNoise: 0,
      projectStart: true,
      keepBest: true,
    };
  },
  prepare: (problem, settings) => squareBy(problem, settings, drawn),
};

/**
 * Sides of the squares of each query, in pixels, 1 or more.
 *
 * @param queries after the first
 * @param pixels `[H, W]`
 * @param of the schedule: as many queries as it is made for
 */
export function sidesOf(
  queries: number,
  [height, width]: readonly [number, number],
  of: number = queries,
): number[] {
  return Array.from({ length: queries }, (_, query) => {
    const at = Math.trunc(query / of * 10_000);
    const share = firstShare / 2 ** halvings.filter((after) => at > after).length;
    return Math.max(1, Math.round(Math.sqrt(share * height * width)));
  });
}

/** A square of each image: its place, side and signs. */
export interface Squares {
  /** First row and column `[B]` or `[1]`. */
  readonly row: Tensor;
  readonly column: Tensor;
  /** `[1]` */
  readonly side: Tensor;
  /** `[B, C]` or `[1, C]`, 1 or -1. */
  readonly sign: Tensor;
}

/** What a search draws. */
export interface SquareDraws {
  /** Signs of the start `[B, C, 1, W]`, 1 or -1. */
  stripes(which: Drawing): Tensor;
  /** The squares of a query. */
  squares(which: Drawing, count: Tensor): Squares;
}

/** Whose numbers are drawn. */
interface Drawing {
  readonly problem: Problem;
  readonly queries: number;
  /** `[B]`, the images' numbers in their set. */
  readonly index: Tensor;
  /** `[1]` */
  readonly run: Tensor;
}

/** Random numbers that follow from the image, the run and the query. */
const drawn: SquareDraws = {
  stripes({ problem: { shape, key = { seed: 0, stream: 0 } }, index, run }): Tensor {
    const [batch = 1, channels = 1, , width = 1] = shape;
    return signs(noise("uniform", key, run, [batch, channels, 1, width], 2, index));
  },
  squares(
    { problem: { shape, key = { seed: 0, stream: 0 } }, queries, index, run },
    count,
  ): Squares {
    const [batch = 1, channels = 1, height = 1, width = 1] = shape;
    const table = constant(
      Float32Array.from([...sidesOf(queries, [height, width]), 1]),
      [queries + 1, 1],
    );
    const side = reshape(gatherRows(table, count), [1]);
    const counter = add(count, scale(run, queries + 1));
    const draws = noise("uniform", key, counter, [batch, 2 + channels], 3, index);
    const place = (at: number, length: number): Tensor =>
      floor(
        mul(reshape(slice(draws, [0, at], [batch, 1]), [batch]), maximum(sub(length, side), 0)),
      );
    return {
      row: place(0, height),
      column: place(1, width),
      side,
      sign: signs(slice(draws, [0, 2], [batch, channels])),
    };
  },
};

/** Numbers uniform in [0, 1) to 1 and -1. */
function signs(uniform: Tensor): Tensor {
  return sub(scale(greater(uniform, 0.5), 2), 1);
}

/** The search with draws of its own or of a record. */
export function squareBy(
  problem: Problem,
  settings: AttackSettings,
  draws: SquareDraws,
): Iterate {
  const { loss, shape } = problem;
  const { epsilon, steps } = settings;
  const [batch = 1] = shape;
  const images = (): Parameter => new Parameter(shape, 0);
  const [clean, current, best] = [images(), images(), images()];
  const [lowest, index] = [new Parameter([batch], 0), new Parameter([batch], 0)];
  const [run, count] = [new Parameter([1], 0), new Parameter([1], 0)];
  const within = (x: Tensor, x0: Tensor): Tensor =>
    clip(clip(x, sub(x0, epsilon), add(x0, epsilon)), 0, 1);
  const which = { problem, queries: steps, index: index.tensor, run: run.tensor };
  return {
    clean,
    current,
    result: best,
    count,
    parameters: [clean, current, best, lowest, index, run, count],
    repeats: steps + 1,
    start(x0, key, given): Updates {
      const numbers = given?.index ?? constant(Float32Array.from({ length: batch }, (_, i) => i));
      const first = given?.run ?? constant(0, [1]);
      const striped = (): Tensor => {
        const stripes = draws.stripes({ problem, queries: steps, index: numbers, run: first });
        return within(add(x0, scale(broadcastTo(stripes, shape), epsilon)), x0);
      };
      const start = settings.init ? startOf(x0, settings, key, given) : striped();
      return new Map([
        [clean, x0],
        [current, start],
        [best, start],
        [lowest, constant(3e38, [batch])],
        [index, numbers],
        [run, first],
        [count, constant(0, [1])],
      ]);
    },
    step(): ReturnType<Iterate["step"]> {
      const x = current.tensor;
      const losses = loss(x, count.tensor);
      const better = greater(lowest.tensor, losses);
      const found = where(rows(better, x), x, best.tensor);
      const change = changeOf(draws.squares(which, count.tensor), shape);
      const next = within(add(found, scale(change, 2 * epsilon)), clean.tensor);
      const updates = new Map([
        [current, next],
        [best, found],
        [lowest, where(better, losses, lowest.tensor)],
        [count, add(count.tensor, 1)],
      ]);
      return { updates, losses };
    },
  };
}

/** The squares in images `[B, C, H, W]`: their signs inside, 0 outside. */
function changeOf({ row, column, side, sign }: Squares, shape: readonly number[]): Tensor {
  const [, channels = 1, height = 1, width = 1] = shape;
  /** 1 along an axis from a place on, for a side's length. */
  const inside = (from: Tensor, length: number, axis: 2 | 3): Tensor => {
    const places = constant(Float32Array.from({ length }, (_, i) => i + 0.5));
    const at = reshape(places, axis === 2 ? [1, 1, length, 1] : [1, 1, 1, length]);
    const first = reshape(from, [-1, 1, 1, 1]);
    const last = add(first, reshape(side, [1, 1, 1, 1]));
    return mul(greater(at, first), greater(last, at));
  };
  const mask = mul(inside(row, height, 2), inside(column, width, 3)); // [B, 1, H, W]
  return broadcastTo(mul(mask, reshape(sign, [-1, channels, 1, 1])), shape);
}
