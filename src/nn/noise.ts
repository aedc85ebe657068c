/**
 * Random numbers made on the device: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy
 * as 1, 2, 3", SC 2011), the same stream as `Random` on the host.
 *
 * @module
 */
import wgsl from "../shaders/philox.wgsl" with { type: "text" };
import { kernel } from "./kernel.ts";
import { constant, node, type Shape, size, type Tensor } from "./tensor.ts";

const philoxKernel = kernel("philox", wgsl);

/** Which numbers: a seed (0 to 2^53 - 1) and one of its independent streams (0 to 2^32 - 1). */
export interface NoiseKey {
  readonly seed: number;
  readonly stream: number;
}

/**
 * Random values of the given shape, uniform in [0, 1) or standard normal. No gradient.
 *
 * @param key the stream: a `Random`, or its seed and stream
 * @param counter `[1]`, an integer below 2^24: each value gives another block of numbers, so that a
 * program draws afresh at every run without being told a seed
 * @param offset tells apart several draws at one counter
 */
export function noise(
  distribution: "uniform" | "normal",
  key: NoiseKey,
  counter: Tensor,
  shape: Shape,
  offset = 0,
): Tensor {
  const { seed, stream } = key;
  const words = constant(Uint32Array.of(seed >>> 0, Math.floor(seed / 2 ** 32), stream, 0));
  const n = size(shape);
  return node("noise", [words, counter], shape, {
    kind: "dispatch",
    kernel: philoxKernel,
    overrides: { OP: distribution, N: n, OFFSET: offset },
    threads: Math.ceil(n / 4),
  }, () => [null, null]);
}

/**
 * A supply of noise for one walk through a model: every call draws other numbers, and the counter
 * decides whether the next run draws the same ones again.
 */
export class Draws {
  #calls = 0;

  /**
   * @param key the stream
   * @param counter as in {@linkcode noise}; a constant repeats the same numbers at every run
   */
  constructor(readonly key: NoiseKey, readonly counter: Tensor = constant(0, [1])) {}

  /** Numbers uniform in [0, 1) of the given shape. */
  uniform(shape: Shape): Tensor {
    return noise("uniform", this.key, this.counter, shape, this.#calls++);
  }

  /** Standard normal numbers of the given shape. */
  normal(shape: Shape): Tensor {
    return noise("normal", this.key, this.counter, shape, this.#calls++);
  }
}
