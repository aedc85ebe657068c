/**
 * Sums and maxima along axes.
 *
 * @module
 */
import wgsl from "../../shaders/reduce.wgsl" with { type: "text" };
import { equal, mul, scale } from "./elementwise.ts";
import { kernel } from "../graph/kernel.ts";
import { broadcastTo, reshape } from "./shape.ts";
import {
  constant,
  dim,
  node,
  sameShape,
  type Shape,
  show,
  size,
  type Tensor,
  type Vjp,
} from "../graph/tensor.ts";

const reduceKernel = kernel("reduce", wgsl);

/** Below this many threads a long reduction is cut into parts that are summed in a second dispatch. */
const enoughThreads = 2048;

/**
 * Sum over axes (all of them when not given).
 *
 * @param keepDims leave reduced axes as size 1
 */
export function sum(x: Tensor, axes?: readonly number[], keepDims = false): Tensor {
  const { kept, dropped, runs } = plan(x.shape, axes);
  const planes = runs.some(({ first, last }) => first < last && last === x.shape.length - 1);
  let y = planes && x.sparse ? x.sparse.values : x;
  for (const run of runs) y = reduceSum(y, run.first, run.last);
  return reshape(y, keepDims ? kept : dropped);
}

/** Arithmetic mean over axes (all of them when not given). */
export function mean(x: Tensor, axes?: readonly number[], keepDims = false): Tensor {
  const y = sum(x, axes, keepDims);
  return scale(y, size(y.shape) / size(x.shape));
}

/** Sums a broadcast result back to the shape it came from: the adjoint of `broadcastTo`. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.shape.length - shape.length;
  const axes = x.shape.flatMap((n, i) => i < lead || (shape[i - lead] === 1 && n !== 1) ? [i] : []);
  return reshape(sum(x, axes, true), shape);
}

/**
 * The second half of a sum whose first half was made in parts: `[S, ...]` to `[...]`, with the
 * derivative of the whole by its operands.
 */
export function sumParts(parts: Tensor, vjp: Vjp, operands: readonly Tensor[]): Tensor {
  const shape = parts.shape.slice(1);
  const [rows, inner] = [dim(parts, 0), size(shape)];
  return dispatch("sum", parts, shape, { rows, inner, split: 1 }, vjp, operands);
}

/** Largest element along one axis (the last by default); its gradient goes to the first maximum. */
export function max(x: Tensor, axis = -1, keepDims = false): Tensor {
  const along = axis < 0 ? axis + x.shape.length : axis;
  const { kept, dropped } = plan(x.shape, [along]);
  const y = reduceOne("max", x, along, kept, (g) => {
    const index = argmax(x, along, true);
    return [mul(g, equal(index, iota(x.shape, along)))];
  });
  return keepDims ? y : reshape(y, dropped);
}

/** Index of the first largest element along one axis (the last by default), exact in f32; no gradient. */
export function argmax(x: Tensor, axis = -1, keepDims = false): Tensor {
  const along = axis < 0 ? axis + x.shape.length : axis;
  const { kept, dropped } = plan(x.shape, [along]);
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

type Run = { readonly first: number; readonly last: number };

/** Shapes after a reduction, and its axes as contiguous runs, last first. */
function plan(
  shape: Shape,
  axes?: readonly number[],
): { kept: Shape; dropped: Shape; runs: Run[] } {
  const rank = shape.length;
  const reduced = new Set((axes ?? shape.map((_, i) => i)).map((a) => a < 0 ? a + rank : a));
  for (const a of reduced) {
    if (a < 0 || a >= rank) throw new Error(`Cannot reduce axis ${a} of ${show(shape)}`);
  }
  const runs: Run[] = [];
  for (let last = rank - 1; last >= 0; last--) {
    if (!reduced.has(last)) continue;
    let first = last;
    while (reduced.has(first - 1)) first--;
    if (size(shape.slice(first, last + 1)) > 1) runs.push({ first, last });
    last = first;
  }
  return {
    kept: shape.map((n, i) => reduced.has(i) ? 1 : n),
    dropped: shape.filter((_, i) => !reduced.has(i)),
    runs,
  };
}

/** Sums axes `first..last`, which keep size 1. */
function reduceSum(x: Tensor, first: number, last: number): Tensor {
  const rows = size(x.shape.slice(first, last + 1));
  const inner = size(x.shape.slice(last + 1));
  const outer = size(x.shape.slice(0, first));
  const shape = x.shape.map((n, i) => i >= first && i <= last ? 1 : n);
  const outputs = outer * inner;
  const split = outputs >= enoughThreads || rows < 128
    ? 1
    : Math.min(Math.ceil(rows / 32), Math.ceil(enoughThreads / outputs));
  const vjp = (g: Tensor): Tensor[] => [broadcastTo(reshape(g, shape), x.shape)];
  if (split === 1) return dispatch("sum", x, shape, { rows, inner, split }, vjp);
  const parts = dispatch("sum", x, [outer, split, inner], { rows, inner, split });
  return dispatch("sum", parts, shape, { rows: split, inner, split: 1 }, vjp, [x]);
}

function reduceOne(
  op: "max" | "argmax",
  x: Tensor,
  axis: number,
  shape: Shape,
  vjp: (g: Tensor) => (Tensor | null)[],
): Tensor {
  const inner = size(x.shape.slice(axis + 1));
  return dispatch(op, x, shape, { rows: dim(x, axis), inner, split: 1 }, vjp);
}

function dispatch(
  op: string,
  x: Tensor,
  shape: Shape,
  { rows, inner, split }: { rows: number; inner: number; split: number },
  vjp?: Vjp,
  operands: readonly Tensor[] = [x],
): Tensor {
  const n = size(shape);
  return node(
    op,
    [x],
    shape,
    {
      kind: "dispatch",
      kernel: reduceKernel,
      overrides: { OP: op, N: n, R: rows, INNER: inner, SPLIT: split },
      threads: n,
    },
    vjp,
    operands,
  );
}
