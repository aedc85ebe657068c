/**
 * Broadcasting and sums: each is the other's adjoint, so they stand together.
 *
 * @module
 */
import wgsl from "../../shaders/reduce.wgsl" with { type: "text" };
import { kernel } from "../graph/kernel.ts";
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
import { reshape, strided, stridesOf } from "./shape.ts";

const reduceKernel = kernel("reduce", wgsl);

/** Below this many threads a long reduction is cut into parts that are summed in a second dispatch. */
const enoughThreads = 2048;

/** Repeats axes of size 1 (and missing leading ones) to the given shape. */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  if (x.source.kind === "constant" && x.source.data.length === 1) {
    const [value = 0] = x.source.data;
    return constant(value, shape);
  }
  const lead = shape.length - x.shape.length;
  const own = stridesOf(x.shape);
  const strides = shape.map((n, i) => {
    const m = x.shape[i - lead] ?? 1;
    if (m !== 1 && m !== n) throw new Error(`Cannot broadcast ${show(x.shape)} to ${show(shape)}`);
    return m === 1 ? 0 : own[i - lead] ?? 0;
  });
  return strided("broadcast", x, { shape, strides }, (g) => [sumTo(g, x.shape)]);
}

/**
 * Sum over axes (all of them when not given).
 *
 * @param keepDims leave reduced axes as size 1
 */
export function sum(x: Tensor, axes?: readonly number[], keepDims = false): Tensor {
  const { kept, dropped, runs } = reduction(x.shape, axes);
  const planes = runs.some(({ first, last }) => first < last && last === x.shape.length - 1);
  let y = planes && x.sparse ? x.sparse.values : x;
  for (const run of runs) y = reduceSum(y, run.first, run.last);
  return reshape(y, keepDims ? kept : dropped);
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
  return reduceBy("sum", parts, shape, { rows, inner, split: 1 }, vjp, operands);
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
  if (split === 1) return reduceBy("sum", x, shape, { rows, inner, split }, vjp);
  const parts = reduceBy("sum", x, [outer, split, inner], { rows, inner, split });
  return reduceBy("sum", parts, shape, { rows: split, inner, split: 1 }, vjp, [x]);
}

/** Axes that a reduction takes together. */
type Run = { readonly first: number; readonly last: number };

/** Shapes after a reduction, and its axes as contiguous runs, last first. */
export function reduction(
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

/** One dispatch of the kernel `reduce`. */
export function reduceBy(
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
