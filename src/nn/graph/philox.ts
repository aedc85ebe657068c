/**
 * Philox4x32-10 on the host: the generator of `shaders/philox.wgsl`, bit for bit.
 *
 * @module
 */

/**
 * Ten rounds of Philox4x32: a random function from a counter to four words, another one for each
 * key (J. Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011).
 *
 * @param key two 32-bit words
 * @param counter four 32-bit words
 * @returns four 32-bit words in 0..2^32-1, each uniform over its range
 *
 * @example
 * ```ts
 * import { philox } from "./philox.ts";
 * const [first] = philox([0, 0], [0, 0, 0, 0]);
 * if (first !== 0x6627e8d5) throw new Error("Unreachable: the published answer");
 * ```
 */
export function philox(
  key: readonly [number, number],
  counter: readonly [number, number, number, number],
): [number, number, number, number] {
  let [k0, k1] = key;
  let [c0, c1, c2, c3] = counter;
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(c0, 0xd2511f53);
    const high1 = multiplyHigh(c2, 0xcd9e8d57);
    const low0 = Math.imul(c0, 0xd2511f53);
    const low1 = Math.imul(c2, 0xcd9e8d57);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  return [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
}

/** The high word of the unsigned 64-bit product, from 16-bit halves. */
function multiplyHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const left = Math.imul(a1, b0) + (Math.imul(a0, b0) >>> 16);
  const right = Math.imul(a0, b1) + (left & 0xffff);
  return Math.imul(a1, b1) + (left >>> 16) + (right >>> 16) | 0;
}
