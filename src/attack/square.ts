/**
 * The Square attack (M. Andriushchenko, F. Croce, N. Flammarion and M. Hein, "Square Attack: a query-efficient
 * black-box adversarial attack via random search", ECCV 2020), and what F. Croce and M. Hein made of it in L1
 * ("Mind the box: l1-APGD for sparse adversarial attacks on image classifiers", ICML 2021): a square of the image is
 * changed at random, again and again, and what lowers the loss is kept. It never looks at a gradient: where it
 * does more than an attack that follows one, that one's gradients are masked.
 *
 * It goes on where an image is fooled, since a loss of uncertainty has no such point. Squares may lie anywhere in
 * the image, its last row and column included, as the paper has it; the authors' code leaves those out.
 *
 * @module
 */
import { UserError } from "../base/errors.ts";
import {
  add,
  constant,
  gatherRows,
  greater,
  noise,
  type NoiseKey,
  Parameter,
  reshape,
  scale,
  type Tensor,
  type Updates,
  where,
} from "../nn/mod.ts";
import { runOf, startOf } from "./start.ts";
import { type NormName, rows } from "./norms.ts";
import {
  l1Moves,
  l2Moves,
  linfMoves,
  type Moves,
  type MovesOptions,
  sizesOf,
} from "./square_moves.ts";
import type { Attack, AttackSettings, Iterate, IterateOptions, Problem } from "./types.ts";

/** Share of the pixels that the first squares cover. */
const firstShare = 0.8;

/** Of 10,000 queries, those after which the share is halved. */
const halvings = [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000] as const;

/** How it moves in each norm, and which sides its squares have. */
const variants = {
  linf: { moves: linfMoves, least: 1, odd: false },
  l2: { moves: l2Moves, least: 3, odd: true },
  l1: { moves: l1Moves, least: 3, odd: true },
} as const satisfies Record<NormName, Variant>;

type Variant =
  & Required<Pick<SideOptions, "least" | "odd">>
  & { readonly moves: (options: MovesOptions) => Moves };

/** Counters of noise are whole numbers below this. */
const mostDraws = 2 ** 24;

/** `steps` queries after the first; what it is told of a step's length, of noise and of what to keep is passed over. */
export const square: Attack = {
  name: "square",
  objective: "logProbability",
  adaptive: true,
  gradientFree: true,
  settings,
  prepare: (problem, chosen) => prepareBy(problem, chosen),
};

/** @throws UserError with more draws than there are */
function settings(
  epsilon: number,
  { norm = "linf", steps = 2000, ...run }: IterateOptions = {},
): AttackSettings {
  if ((1 + (run.restarts ?? 0)) * (steps + 1) > mostDraws) {
    throw new UserError(
      `Cannot attack by square in ${steps} steps with ${run.restarts ?? 0} restarts: its random ` +
        `numbers last for ${mostDraws} queries of an image; choose fewer steps or restarts`,
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
}

/** How the sides of squares are found. */
export interface SideOptions {
  /** Least side; 1 when not given. */
  readonly least?: number;
  /** Whether even sides are made larger by one; not when not given. */
  readonly odd?: boolean;
  /** Whether the shares are halved at the published parts of all queries, not at the published queries; so when not given. */
  readonly scaled?: boolean;
}

/** The side of the square of every query after the first, `steps` of them, none larger than the image. */
export function sidesOf(
  steps: number,
  height: number,
  width: number,
  { least = 1, odd = false, scaled = true }: SideOptions = {},
): number[] {
  return Array.from({ length: steps }, (_, query) => {
    const of10000 = scaled ? Math.trunc(query / steps * 10_000) : query;
    const share = firstShare / 2 ** halvings.filter((at) => of10000 > at).length;
    const side = Math.max(least, Math.round(Math.sqrt(share * height * width)));
    return Math.min(odd && side % 2 === 0 ? side + 1 : side, height, width);
  });
}

/** Which random numbers are asked for. */
export interface Asked {
  /** Whether they are for the start, or for a step. */
  readonly of: "start" | "step";
  readonly key: NoiseKey;
  /** `[1]`: of the start the run's number; of a step `run * (steps + 1) + step`. */
  readonly counter: Tensor;
  /** `[B]`, the images' numbers. */
  readonly index: Tensor;
  /** How many for each image. */
  readonly count: number;
}

/** A source of random numbers, `[B, n]` uniform in [0, 1), n no less than the count. */
export type Source = (asked: Asked) => Tensor;

/** The numbers follow from the key, the counter and the image's own number, whatever the batch. */
function noiseOf({ of, key, counter, index, count }: Asked): Tensor {
  // The starts of `inits.ts` have the offsets 0 and 1.
  const offset = of === "start" ? 2 : 3;
  const shape = [index.shape[0] ?? 1, 4 * Math.ceil(count / 4)];
  return noise("uniform", key, counter, shape, offset, index);
}

/** What is known of the images between steps: images, a number each, and one for all. */
type State = Readonly<
  Record<"clean" | "current" | "best" | "lowest" | "index" | "run" | "count", Parameter>
>;

function stateOf(shape: readonly number[]): State {
  const images = (): Parameter => new Parameter(shape, 0);
  const numbers = (): Parameter => new Parameter([shape[0] ?? 1], 0);
  const one = (): Parameter => new Parameter([1], 0);
  return {
    clean: images(),
    current: images(),
    best: images(),
    lowest: numbers(),
    index: numbers(),
    run: one(),
    count: one(),
  };
}

/** What steps are made of. */
interface Walk {
  readonly loss: Problem["loss"];
  /** `[B, C, H, W]` of the images. */
  readonly shape: readonly number[];
  readonly sides: readonly number[];
  readonly moves: Moves;
  readonly source: Source;
}

/**
 * Prepares the attack, also as it ran elsewhere.
 *
 * @param source random numbers of one's own; noise by the images' numbers when not given
 * @param scaled as in {@linkcode sidesOf}
 */
export function prepareBy(
  { loss, shape, key: known = { seed: 0, stream: 0 } }: Problem,
  settings: AttackSettings,
  { source = noiseOf, scaled = true }: { readonly source?: Source; readonly scaled?: boolean } = {},
): Iterate {
  const { epsilon, steps, norm } = settings;
  const { moves: movesIn, least, odd } = variants[norm];
  const sizes = sizesOf(shape);
  const { batch, channels, height, width } = sizes;
  const sides = sidesOf(steps, height, width, { least, odd, scaled });
  const moves: Moves = movesIn({ ...sizes, epsilon, sides });
  const walk: Walk = { loss, shape: [batch, channels, height, width], sides, moves, source };
  const state = stateOf(shape);
  const { clean, current, best, lowest, index, run, count } = state;
  return {
    clean,
    current,
    result: best,
    count,
    parameters: Object.values(state),
    repeats: steps + 1,
    start(images, key, which): Updates {
      const counter = which?.run ?? constant(0, [1]);
      const numbers = which?.index ??
        constant(Float32Array.from({ length: batch }, (_, i) => i), [batch]);
      const asked: Asked = {
        of: "start",
        key,
        counter,
        index: numbers,
        count: moves.numbers.start,
      };
      const first = settings.init
        ? startOf(images, settings, key, which)
        : reshape(moves.start(reshape(images, walk.shape), source(asked)), shape);
      return new Map([
        [clean, images],
        [current, first],
        [best, first],
        [lowest, constant(3e38, [batch])],
        [index, numbers],
        [run, counter],
        [count, constant(0, [1])],
      ]);
    },
    step(): ReturnType<Iterate["step"]> {
      return stepOf(state, walk, known);
    },
  };
}

/** One step: judges what was tried, and tries another square on the best. */
function stepOf(
  { clean, current, best, lowest, index, run, count }: State,
  { loss, shape, sides, moves, source }: Walk,
  key: NoiseKey,
): ReturnType<Iterate["step"]> {
  const x = current.tensor;
  const losses = loss(x, count.tensor);
  const better = greater(lowest.tensor, losses);
  const found = where(rows(better, x), x, best.tensor);
  const queries = sides.length + 1;
  // What the last step tries is judged by none.
  const table = constant(Float32Array.of(...sides, 1), [queries, 1]);
  const side = reshape(gatherRows(table, count.tensor), [1]);
  const drawn = source({
    of: "step",
    key,
    counter: add(scale(run.tensor, queries), count.tensor),
    index: index.tensor,
    count: moves.numbers.step,
  });
  const next = moves.next(reshape(clean.tensor, shape), reshape(found, shape), side, drawn);
  const updates = new Map([
    [current, reshape(next, x.shape)],
    [best, found],
    [lowest, where(better, losses, lowest.tensor)],
    [count, add(count.tensor, 1)],
  ]);
  return { updates, losses };
}
