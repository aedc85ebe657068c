/**
 * A case of a kernel's self-test, and the deterministic numbers that fill it.
 *
 * @module
 */
import type { Overrides } from "../graph/kernel.ts";
import type { TileProfile } from "../graph/tiles.ts";

/** One dispatch whose output the f64 reference must agree with. */
export interface KernelCase {
  /** File name without `.wgsl`. */
  readonly kernel: string;
  readonly label: string;
  readonly overrides: Overrides;
  /** Invocations in all. */
  readonly threads: number;
  readonly inputs: () => (Float32Array | Uint32Array)[];
  readonly outputLength: number;
  /** Largest allowed `error()`. */
  readonly tolerance: number;
  /** The profile that cuts the work so; every device may take on what is cut by none, or by the portable one. */
  readonly profile?: TileProfile["name"];
}

/** Distance from 1 to the next f32. */
export const epsilon = 2 ** -23;

/**
 * Largest deviation of `actual` from `expected`, each relative to `max(1, |expected|)`; infinite
 * where one is NaN and the other is not, or where lengths differ.
 */
export function error(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let worst = 0;
  for (let i = 0; i < actual.length; i++) {
    const a = actual[i] ?? NaN;
    const e = expected[i] ?? NaN;
    if (a === e || (Number.isNaN(a) && Number.isNaN(e))) continue;
    const deviation = Math.abs(a - e) / Math.max(1, Math.abs(e));
    if (!(deviation <= worst)) worst = Number.isNaN(deviation) ? Infinity : deviation;
  }
  return worst;
}

/**
 * Tolerance of a sum of `terms` products of numbers up to 1: rounding errors add up as sqrt(terms)
 * times the size of the partial sums, which is at most about sqrt(terms) again.
 */
export function sumTolerance(terms: number): number {
  return epsilon * (4 + 0.5 * Math.sqrt(terms) * Math.sqrt(terms));
}

/** `n` numbers, uniform on [low, high), the same on every run. */
export function uniform(seed: number, n: number, low = -1, high = 1): Float32Array {
  let state = (seed * 2654435761 + 12345) >>> 0;
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return low + (high - low) * (state >>> 8) / 2 ** 24;
  });
}

/** `n` integers from 0 to `below` - 1; the first is the largest of them, so that edges are hit. */
export function integers(seed: number, n: number, below: number): Float32Array {
  return uniform(seed, n, 0, below).map((x, i) => i === 0 ? below - 1 : Math.floor(x));
}

/** `n` multiples of 1/2 in [-1, 1]: many ties. */
export function ties(seed: number, n: number): Float32Array {
  return integers(seed, n, 5).map((x) => x / 2 - 1);
}

/** Multiples of 1/2 in [-1, 1] with a NaN and both infinities in each row of `width` in turn. */
export function withSpecials(seed: number, n: number, width: number): Float32Array {
  const specials = [NaN, -Infinity, Infinity];
  return ties(seed, n).map((x, i) => {
    const row = Math.floor(i / width);
    return i % width === (5 * row + 1) % width ? specials[row % 3] ?? x : x;
  });
}

/** A case with ReLU6 for its activation, and one of its inputs, its offsets, on both sides of both bends. */
export function clipped(plain: KernelCase, offsets: number): KernelCase {
  return {
    ...plain,
    label: `${plain.label}, relu6`,
    overrides: { ...plain.overrides, ACTIVATION: "relu6" },
    inputs: () =>
      plain.inputs().map((values, i) => i === offsets ? values.map((u) => 12 * u) : values),
  };
}

/** The product of some sizes. */
export function product(...sizes: readonly number[]): number {
  return sizes.reduce((a, b) => a * b, 1);
}
