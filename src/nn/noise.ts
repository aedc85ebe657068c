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

/**
 * Random values of the given shape, uniform in [0, 1) or standard normal. No gradient.
 *
 * @param key `[4]` words: the `key` of a `Random`
 * @param counter `[1]`, an integer below 2^24: each value gives another block of numbers, so that a
 * program draws afresh at every run without being told a seed
 * @param offset tells apart several draws at one counter
 */
export function noise(
  distribution: "uniform" | "normal",
  key: Uint32Array,
  counter: Tensor,
  shape: Shape,
  offset = 0,
): Tensor {
  const words = constant(key);
  const n = size(shape);
  return node("noise", [words, counter], shape, {
    kind: "dispatch",
    kernel: philoxKernel,
    overrides: { OP: distribution, N: n, OFFSET: offset },
    threads: Math.ceil(n / 4),
  }, () => [null, null]);
}
