/**
 * Means and maxima along axes.
 *
 * @module
 */
import { equal, mul, neg, scale } from "./elementwise.ts";
import { reshape } from "./shape.ts";
import { reduceBy, reduction, sum } from "./sum.ts";
import { constant, dim, type Shape, size, type Tensor } from "../graph/tensor.ts";

/** Arithmetic mean over axes (all of them when not given). */
export function mean(x: Tensor, axes?: readonly number[], keepDims = false): Tensor {
  const y = sum(x, axes, keepDims);
  return scale(y, size(y.shape) / size(x.shape));
}

/** Largest element along one axis (the last by default); its gradient goes to the first maximum. */
export function max(x: Tensor, axis = -1, keepDims = false): Tensor {
  const along = axis < 0 ? axis + x.shape.length : axis;
  const { kept, dropped } = reduction(x.shape, [along]);
  const y = reduceOne("max", x, along, kept, (g) => {
    const index = argmax(x, along, true);
    return [mul(g, equal(index, iota(x.shape, along)))];
  });
  return keepDims ? y : reshape(y, dropped);
}

/** Smallest element along one axis (the last by default); its gradient goes to the first minimum. */
export function min(x: Tensor, axis = -1, keepDims = false): Tensor {
  return neg(max(neg(x), axis, keepDims));
}

/** Index of the first largest element along one axis (the last by default), exact in f32; no gradient. */
export function argmax(x: Tensor, axis = -1, keepDims = false): Tensor {
  const along = axis < 0 ? axis + x.shape.length : axis;
  const { kept, dropped } = reduction(x.shape, [along]);
  const y = reduceOne("argmax", x, along, kept, () => [null]);
  return keepDims ? y : reshape(y, dropped);
}

/** One-hot rows `[..., classes]` of class indices `[...]`; no gradient. */
export function oneHot(index: Tensor, classes: number): Tensor {
  return equal(reshape(index, [...index.shape, 1]), iota([classes], 0));
}

/** `0, 1, 2, ...` along one axis, size 1 along the others after it. */
function iota(shape: Shape, axis: number): Tensor {
  const n = shape[axis] ?? 1;
  const data = Float32Array.from({ length: n }, (_, i) => i);
  return constant(data, [n, ...shape.slice(axis + 1).map(() => 1)]);
}

function reduceOne(
  op: "max" | "argmax",
  x: Tensor,
  axis: number,
  shape: Shape,
  vjp: (g: Tensor) => (Tensor | null)[],
): Tensor {
  const inner = size(x.shape.slice(axis + 1));
  return reduceBy(op, x, shape, { rows: dim(x, axis), inner, split: 1 }, vjp);
}
