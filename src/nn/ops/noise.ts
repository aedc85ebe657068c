/**
 * Random numbers made on the device: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy
 * as 1, 2, 3", SC 2011), the same stream as `Random` on the host.
 *
 * @module
 */
import wgsl from "../../shaders/philox.wgsl" with { type: "text" };
import { kernel } from "../graph/kernel.ts";
import {
  alignment,
  constant,
  node,
  Parameter,
  type Shape,
  size,
  type Tensor,
} from "../graph/tensor.ts";
import { reshape, slice } from "./shape.ts";

const philoxKernel = kernel("philox", wgsl);

/** Which numbers: a seed (0 to 2^53 - 1) and one of its independent streams (0 to 2^32 - 1). */
export interface NoiseKey {
  /** Integer, 0 to 2^53 - 1. */
  readonly seed: number;
  /** Integer, 0 to 2^32 - 1; streams of one seed are independent. */
  readonly stream: number;
}

/**
 * Random values of the given shape, uniform in [0, 1) or standard normal. No gradient.
 *
 * @param key the stream: a `Random`, or its seed and stream; in a program of several copies, one for each
 * @param counter `[1]`, an integer below 2^24: each value gives another block of numbers, so that a
 * program draws afresh at every run without being told a seed
 * @param offset tells apart several draws at one counter; with `rows` below 256
 * @param rows `[B]`, integers from 0 to 2^24 - 2, for the shape `[B, ...]`: the numbers of a row follow from the
 * row's own number and not from its place, so that an image gets the same ones in batches of any size
 */
export function noise(
  distribution: "uniform" | "normal",
  key: NoiseKey | readonly NoiseKey[],
  counter: Tensor,
  shape: Shape,
  offset = 0,
  rows?: Tensor,
): Tensor {
  const words = keyWords(key);
  return rows
    ? noiseOfRows(distribution, { words, counter, rows }, shape, offset)
    : noiseOf(distribution, words, counter, shape, offset);
}

/** The words of one key, or of as many as there are copies of a program. */
function keyWords(key: NoiseKey | readonly NoiseKey[]): Tensor {
  const keys = "seed" in key ? [key] : key;
  const words = (
    { seed, stream }: NoiseKey,
  ): number[] => [seed >>> 0, Math.floor(seed / 2 ** 32), stream, 0];
  const [only] = keys;
  if (keys.length === 1 && only) return constant(Uint32Array.from(words(only)));
  const all = new Uint32Array(keys.length * alignment);
  keys.forEach((one, copy) => all.set(words(one), copy * alignment));
  return new Parameter([alignment], all, false, keys.length).tensor;
}

function noiseOf(
  distribution: "uniform" | "normal",
  words: Tensor,
  counter: Tensor,
  shape: Shape,
  offset: number,
): Tensor {
  const n = size(shape);
  return node("noise", [words, counter, counter], shape, {
    kind: "dispatch",
    kernel: philoxKernel,
    overrides: { OP: distribution, N: n, OFFSET: offset },
    threads: Math.ceil(n / 4),
  }, () => [null, null, null]);
}

/** As {@linkcode noiseOf}, row by row: a whole number of fours each, of which the last are left out. */
function noiseOfRows(
  distribution: "uniform" | "normal",
  { words, counter, rows }: Readonly<Record<"words" | "counter" | "rows", Tensor>>,
  shape: Shape,
  offset: number,
): Tensor {
  const [count = 1, ...rest] = shape;
  if (size(rows.shape) !== count || offset > 255) {
    throw new Error(
      `Cannot draw ${count} rows at offset ${offset} for [${rows.shape}] of them`,
    );
  }
  const used = size(rest);
  const row = Math.ceil(used / 4) * 4;
  const drawn = node("noise", [words, counter, rows], [count, row], {
    kind: "dispatch",
    kernel: philoxKernel,
    overrides: { OP: distribution, N: count * row, OFFSET: offset, ROW: row },
    threads: count * row / 4,
  }, () => [null, null, null]);
  return reshape(row === used ? drawn : slice(drawn, [0, 0], [count, used]), shape);
}

/**
 * A supply of noise for one walk through a model: every call draws other numbers, and the counter
 * decides whether the next run draws the same ones again.
 */
export class Draws {
  readonly #words: Tensor;
  #calls = 0;

  /**
   * A supply that nothing was drawn from yet.
   *
   * @param key as in {@linkcode noise}
   * @param counter as in {@linkcode noise}; a constant repeats the same numbers at every run
   */
  constructor(
    readonly key: NoiseKey | readonly NoiseKey[],
    readonly counter: Tensor = constant(0, [1]),
  ) {
    this.#words = keyWords(key);
  }

  /** Numbers uniform in [0, 1) of the given shape. */
  uniform(shape: Shape): Tensor {
    return noiseOf("uniform", this.#words, this.counter, shape, this.#calls++);
  }

  /** Standard normal numbers of the given shape. */
  normal(shape: Shape): Tensor {
    return noiseOf("normal", this.#words, this.counter, shape, this.#calls++);
  }
}
