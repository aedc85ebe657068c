/** What tests of src/scores share: scores in f64 on the host, and how far apart values lie. */
import assert from "node:assert/strict";
import * as nn from "../src/nn/mod.ts";
import type { Fit, FitTensors, Score, Scored } from "../src/scores/mod.ts";

/** The arrays of a fit as inputs of a graph, and their values. */
export function inputsOf(fit: Fit): { tensors: FitTensors; leaves: [nn.Tensor, Float64Array][] } {
  const made = Object.entries(fit).map(([name, { shape, values }]) =>
    [name, nn.input(shape), values] as const
  );
  return {
    tensors: Object.fromEntries(made.map(([name, tensor]) => [name, tensor])),
    leaves: made.map(([, tensor, values]) => [tensor, values]),
  };
}

/** A score of images, in f64 on the host. */
export function onHost(
  score: Score,
  fit: Fit,
  model: Scored,
  [shape, images]: readonly [nn.Shape, ArrayLike<number>],
): Float64Array {
  const { tensors, leaves } = inputsOf(fit);
  const x = nn.input(shape);
  const [found] = nn.evaluate(
    [score.score(model, x, tensors)],
    new Map<nn.Tensor, ArrayLike<number>>([...leaves, [x, images]]),
  );
  return found ?? assert.fail();
}
/** Largest difference, relative where values are above 1. */
export function apart(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  assert.equal(found.length, wanted.length);
  return Array.from(found).reduce((most, value, i) => {
    const right = wanted[i] ?? NaN;
    return Math.max(most, Math.abs(value - right) / Math.max(1, Math.abs(right)));
  }, 0);
}
