/**
 * Arrays by name. An array is consumed by the function it is passed to; `.ref` keeps it.
 *
 * @module
 */
import { type Array as JaxArray, numpy as np } from "@jax-js/jax";
import type { Workload } from "../../workload.ts";

export type { JaxArray };

/** Arrays by PyTorch's names. */
export type Arrays = Record<string, JaxArray>;

/** Numbers to an array. */
export function array(data: Float32Array, shape: readonly number[]): JaxArray {
  return np.array(Float32Array.from(data)).reshape([...shape]);
}

/** One of them. */
export function take(all: Arrays, name: string): JaxArray {
  const found = all[name];
  if (!found) throw new Error(`Unreachable: no array ${name}`);
  return found;
}

/** The same arrays once more. */
export function keep(all: Arrays): Arrays {
  return each(all, (a) => a.ref);
}

/** A function of every one. */
export function each(all: Arrays, f: (a: JaxArray, name: string) => JaxArray): Arrays {
  return Object.fromEntries(Object.entries(all).map(([name, a]) => [name, f(a, name)]));
}

/** Those whose name starts so, by the rest of it. */
export function within(all: Arrays, prefix: string): Arrays {
  const inside = Object.entries(all).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(inside.map(([name, a]) => [name.slice(prefix.length), a]));
}

/** Frees them. */
export function dispose(...all: JaxArray[]): void {
  for (const a of all) a.dispose();
}

/** Images `[B, C, H, W]` and labels one-hot, `[B, 10]`. */
export function inputs({ images, labels, shape }: Workload): { x: JaxArray; y: JaxArray } {
  const rows = new Float32Array(labels.length * 10);
  labels.forEach((label, i) => rows[10 * i + label] = 1);
  return { x: array(images, shape), y: array(rows, [labels.length, 10]) };
}

/** Losses are read together at the end, which waits for the device. */
export async function collect(losses: JaxArray[], last?: JaxArray): Promise<number[]> {
  const values = await np.stack(losses).data();
  // What the last step made besides its loss is computed too.
  if (last) {
    await last.blockUntilReady();
    last.dispose();
  }
  return [...values];
}
