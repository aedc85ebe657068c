/**
 * Where the Square attack starts and what it tries next, in each norm (M. Andriushchenko et al., "Square Attack: a
 * query-efficient black-box adversarial attack via random search", ECCV 2020, Algorithms 2 and 3; in L1 as in the
 * AutoAttack of F. Croce and M. Hein, "Mind the box: l1-APGD for sparse adversarial attacks on image classifiers",
 * ICML 2021). All random numbers are given, uniform in [0, 1): the leading ones of `[B, n]`.
 *
 * In L1 four things are other than in L2: lengths are sums of sizes; bumps fall faster; of several channels each is
 * given its length as many times as there are channels; and the whole is projected to ball and box at once. Where it
 * goes beyond the radius, the projection leaves the largest changes, so that what is tried stays sparse.
 *
 * The authors' code lays the windows of a batch alike, turns its bumps alike, has more than five bumps a side where
 * they fit, and in L1 holds a millionth of the radius back: here every image has its own, there are five times five,
 * and the radius is the whole one.
 *
 * @module
 */
import {
  abs,
  add,
  broadcastTo,
  clip,
  constant,
  div,
  floor,
  gatherRows,
  greater,
  matmul,
  maximum,
  mul,
  reshape,
  rowNorm,
  scale,
  shift,
  slice,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
  where,
} from "../nn/mod.ts";
import { norms, rows } from "./norms.ts";

/** Sizes of images `[B, ...]`: what is no channel, row or column has one of them. */
export interface Sizes {
  readonly batch: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** The attack in one norm; images are `[B, C, H, W]`, the ball's radius is known to it. */
export interface Moves {
  /** How many numbers an image's start and an image's step take. */
  readonly numbers: { readonly start: number; readonly step: number };
  /** The start, `[B, C, H, W]`, in the ball and in [0, 1]. */
  start(clean: Tensor, drawn: Tensor): Tensor;
  /**
   * What to try next, `[B, C, H, W]`, in the ball and in [0, 1].
   *
   * @param best the best so far
   * @param side the square's side, `[1]`
   */
  next(clean: Tensor, best: Tensor, side: Tensor, drawn: Tensor): Tensor;
}

/** What moves are made for: sizes, radius, and the sides that a square may have. */
export interface MovesOptions extends Sizes {
  readonly epsilon: number;
  readonly sides: readonly number[];
}

/** Sizes of `[B, ...]` as images: `[B, W]` has one channel and one row. */
export function sizesOf([batch = 1, ...rest]: readonly number[]): Sizes {
  const [width = 1, height = 1, ...channels] = rest.toReversed();
  return { batch, channels: channels.reduce((a, b) => a * b, 1), height, width };
}

/** Columns of plus or minus epsilon at first; then squares of it, a sign a channel. */
export function linfMoves({ epsilon, ...sizes }: MovesOptions): Moves {
  const { batch, channels, height, width } = sizes;
  const shape = [batch, channels, height, width];
  const project = (x: Tensor, clean: Tensor): Tensor =>
    clip(norms.linf.project(x, clean, epsilon), 0, 1);
  return {
    numbers: { start: channels * width, step: 2 + channels },
    start(clean, drawn): Tensor {
      const signs = reshape(signOf(part(drawn, 0, channels * width)), [batch, channels, 1, width]);
      return project(add(clean, scale(broadcastTo(signs, shape), epsilon)), clean);
    },
    next(clean, best, side, drawn): Tensor {
      const inside = squareAt(sizes, side, cornerOf(sizes, side, drawn, 0)); // [B, 1, HW]
      const signs = scale(signOf(part(drawn, 2, channels)), 2 * epsilon);
      const change = each(sizes, inside, reshape(signs, [batch, channels, 1]));
      return project(add(best, reshape(change, shape)), clean);
    },
  };
}

/** Against a norm or a length of 0, as the authors' code has it. */
const tiny = 1e-12;

/** A norm in which windows take lengths from one another. */
interface WindowNorm {
  /** The norm's power: sizes to it add up to the length to it. */
  readonly power: 1 | 2;
  /** How fast bumps fall: the k-th rectangle around the middle adds 1 / k to this. */
  readonly fall: 2 | 4;
  /** Sizes to the power, pixel by pixel. */
  powerOf(x: Tensor): Tensor;
  /** The length, of its power. */
  rootOf(power: Tensor): Tensor;
  /** How many times the length that it is given a window has, of so many channels. */
  gain(channels: number): number;
  /** The images `[B, C, H, W]` in ball and [0, 1] that a change of theirs leads to. */
  settle(clean: Tensor, change: Tensor, epsilon: number): Tensor;
}

const l2: WindowNorm = {
  power: 2,
  fall: 2,
  powerOf: square,
  rootOf: sqrt,
  gain: () => 1,
  settle(clean, change, epsilon): Tensor {
    const unit = div(change, rows(maximum(rowNorm(change), tiny), change));
    return clip(add(clean, scale(unit, epsilon)), 0, 1);
  },
};

const l1: WindowNorm = {
  power: 1,
  fall: 4,
  powerOf: abs,
  rootOf: (power) => power,
  gain: (channels) => channels,
  settle: (clean, change, epsilon) => norms.l1.project(add(clean, change), clean, epsilon),
};

/** Five times five bumps at first; then the length that one window has goes to another. */
export function l2Moves(options: MovesOptions): Moves {
  return windowMoves(options, l2);
}

/** As in L2, but sparse. The first bumps are of length 1 a channel, whatever the radius, before they are projected. */
export function l1Moves(options: MovesOptions): Moves {
  return windowMoves(options, l1);
}

function windowMoves({ epsilon, sides, ...sizes }: MovesOptions, norm: WindowNorm): Moves {
  const { batch, channels, height, width } = sizes;
  const { power, powerOf, rootOf } = norm;
  const tiles = bumpTiles(height, width, norm);
  const bumps = bumpTable(sides, norm);
  const settle = (clean: Tensor, change: Tensor): Tensor =>
    norm.settle(clean, reshape(change, [batch, channels, height, width]), epsilon);
  const powers = (x: Tensor): Tensor => sum(powerOf(x), [2], true); // [B, C, 1]
  const lengths = (x: Tensor): Tensor => shift(rootOf(powers(x)), tiny);
  return {
    numbers: { start: tiles.count * (1 + channels), step: 5 + channels },
    start(clean, drawn): Tensor {
      const signs = reshape(signOf(part(drawn, tiles.count, tiles.count * channels)), [
        batch,
        channels,
        tiles.count,
      ]);
      const lies = reshape(greater(0.5, part(drawn, 0, tiles.count)), [batch, 1, tiles.count]);
      const lying = mul(signs, broadcastTo(lies, signs.shape));
      const flat = (t: Tensor): Tensor => reshape(t, [batch * channels, tiles.count]);
      return settle(
        clean,
        add(matmul(flat(lying), tiles.lying), matmul(flat(sub(signs, lying)), tiles.upright)),
      );
    },
    next(clean, best, side, drawn): Tensor {
      const change = reshape(sub(best, clean), [batch, channels, height * width]);
      const [to, from] = [cornerOf(sizes, side, drawn, 0), cornerOf(sizes, side, drawn, 2)];
      const [inside, other] = [squareAt(sizes, side, to), squareAt(sizes, side, from)];
      const masked = (mask: Tensor): Tensor => mul(change, each(sizes, mask));
      const own = masked(inside);
      const either = maximum(inside, other);
      const used = reshape(sum(powers(change), [1]), [batch, 1, 1]);
      const unused = scale(maximum(sub(epsilon ** power, used), 0), 1 / channels);
      const given = rootOf(
        add(powers(masked(either)), broadcastTo(unused, [batch, channels, 1])),
      );
      const bump = bumps.at(sizes, side, to, part(drawn, 4, 1)); // [B, 1, HW], 0 outside
      const signs = reshape(signOf(part(drawn, 5, channels)), [batch, channels, 1]);
      const turned = add(each(sizes, bump, signs), div(own, lengths(own)));
      const made = mul(div(turned, lengths(turned)), scale(given, norm.gain(channels)));
      return settle(clean, add(sub(change, masked(either)), made));
    },
  };
}

/** `count` of an image's numbers, `[B, count]`. */
function part(drawn: Tensor, start: number, count: number): Tensor {
  return slice(drawn, [0, start], [drawn.shape[0] ?? 1, count]);
}

/** -1 or 1, equally often. */
function signOf(uniform: Tensor): Tensor {
  return sub(1, scale(greater(0.5, uniform), 2));
}

/** `[B, 1, HW]`, the same for every channel, times a number each, `[B, C, 1]`: `[B, C, HW]`. */
function each({ batch, channels, height, width }: Sizes, x: Tensor, factor?: Tensor): Tensor {
  const all = broadcastTo(x, [batch, channels, height * width]);
  return factor ? mul(all, factor) : all;
}

/** Rows and columns of an image's pixels, `[1, HW]`. */
function pixelsOf({ height, width }: Sizes): { readonly row: Tensor; readonly column: Tensor } {
  const of = (at: (i: number) => number): Tensor =>
    constant(Float32Array.from({ length: height * width }, (_, i) => at(i)), [1, height * width]);
  return { row: of((i) => Math.floor(i / width)), column: of((i) => i % width) };
}

/** The first row and column of a square, `[B, 1]` each. */
interface Corner {
  readonly row: Tensor;
  readonly column: Tensor;
}

/** A square that lies anywhere in the image, by two numbers of each. */
function cornerOf({ height, width }: Sizes, side: Tensor, drawn: Tensor, start: number): Corner {
  const at = (i: number, size: number): Tensor =>
    floor(mul(part(drawn, start + i, 1), sub(size + 1, side)));
  return { row: at(0, height), column: at(1, width) };
}

/** 1 in a square and 0 outside, `[B, 1, HW]`. */
function squareAt(sizes: Sizes, side: Tensor, corner: Corner): Tensor {
  const pixel = pixelsOf(sizes);
  const half = scale(side, 0.5);
  // Pixels' and the square's middles: halves, which f32 holds exactly.
  const off = (of: "row" | "column"): Tensor =>
    abs(sub(shift(pixel[of], 0.5), add(corner[of], half)));
  const inside = greater(half, maximum(off("row"), off("column"))); // [B, HW]
  return reshape(inside, [sizes.batch, 1, -1]);
}

/**
 * `eta` of the paper, section 3.3: a window of length 1, `[side * side]`, its upper half above 0, its lower half
 * below.
 */
function bumpOf(side: number, norm: WindowNorm): Float32Array {
  const bump = new Float32Array(side * side);
  const upper = Math.floor(side / 2);
  halfBump(upper, side, norm).forEach((v, i) => bump[i] = v);
  halfBump(side - upper, side, norm).forEach((v, i) => bump[upper * side + i] = -v);
  return ofLength1(bump, norm);
}

/** Rectangles within rectangles, the outer ones lower. */
function halfBump(height: number, width: number, norm: WindowNorm): Float32Array {
  const [row, column] = [Math.floor(height / 2), Math.floor(width / 2)];
  const half = new Float32Array(height * width);
  for (let k = 0; k < Math.max(row, column) + 1; k++) {
    for (let i = Math.max(row - k, 0); i < Math.min(row + k + 1, height); i++) {
      for (let j = Math.max(column - k, 0); j < Math.min(column + k + 1, width); j++) {
        half[i * width + j] = (half[i * width + j] ?? 0) + 1 / (k + 1) ** norm.fall;
      }
    }
  }
  return ofLength1(half, norm);
}

function ofLength1(values: Float32Array, { power }: WindowNorm): Float32Array {
  const length = power === 2 ? Math.hypot(...values) : values.reduce((a, v) => a + Math.abs(v), 0);
  return length > 0 ? values.map((v) => v / length) : values;
}

/** The bumps of all sides, to be looked up pixel by pixel. */
function bumpTable(
  sides: readonly number[],
  norm: WindowNorm,
): { at(sizes: Sizes, side: Tensor, corner: Corner, lies: Tensor): Tensor } {
  const distinct = [...new Set(sides)];
  const values = [0];
  const starts = new Float32Array(Math.max(...distinct) + 1);
  for (const side of distinct) {
    starts[side] = values.length;
    values.push(...bumpOf(side, norm));
  }
  const table = constant(Float32Array.from(values), [values.length, 1]);
  return {
    at(sizes, side, corner, lies): Tensor {
      const pixel = pixelsOf(sizes);
      const [i, j] = [sub(pixel.row, corner.row), sub(pixel.column, corner.column)]; // [B, HW]
      const start = reshape(gatherRows(constant(starts, [starts.length, 1]), side), [1]);
      const turn = broadcastTo(greater(0.5, lies), i.shape);
      const index = add(mul(where(turn, j, i), side), where(turn, i, j));
      const inside = reshape(squareAt(sizes, side, corner), i.shape);
      const at = mul(inside, add(index, start));
      return reshape(gatherRows(table, reshape(at, [-1])), [sizes.batch, 1, -1]);
    },
  };
}

/** Five times five bumps in the middle of an image, upright and lying, `[T, HW]`. */
function bumpTiles(
  height: number,
  width: number,
  norm: WindowNorm,
): { readonly count: number; readonly upright: Tensor; readonly lying: Tensor } {
  const side = Math.max(1, Math.floor(Math.min(height, width) / 5));
  const [down, across] = [height, width].map((size) => Math.min(5, Math.floor(size / side)));
  const [inRows, inColumns] = [down ?? 1, across ?? 1];
  const count = inRows * inColumns;
  const [top, left] = [
    Math.floor((height - inRows * side) / 2),
    Math.floor((width - inColumns * side) / 2),
  ];
  const bump = bumpOf(side, norm);
  const [upright, lying] = [0, 1].map((turned) => {
    const all = new Float32Array(count * height * width);
    for (let tile = 0; tile < count; tile++) {
      const row = top + side * Math.floor(tile / inColumns);
      const column = left + side * (tile % inColumns);
      for (let i = 0; i < side; i++) {
        for (let j = 0; j < side; j++) {
          const at = tile * height * width + (row + i) * width + column + j;
          all[at] = bump[turned === 0 ? i * side + j : j * side + i] ?? 0;
        }
      }
    }
    return constant(all, [count, height * width]);
  });
  if (!upright || !lying) throw new Error("Unreachable: two tables were made");
  return { count, upright, lying };
}
