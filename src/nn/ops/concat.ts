/**
 * Tensors one after the other along an axis.
 *
 * @module
 */
import wgsl from "../../shaders/concat.wgsl" with { type: "text" };
import { kernel } from "../graph/kernel.ts";
import { slice } from "./shape.ts";
import { node, sameShape, type Shape, show, size, type Tensor, type Vjp } from "../graph/tensor.ts";

const concatKernel = kernel("concat", wgsl);

/** Inputs of one dispatch: with its output, as many buffers as every device binds. */
const most = 7;

/**
 * Tensors one after the other along an axis (a negative one counts from the end), whose other sizes are the same.
 * An element is copied once for every power of seven in their number, rounded up.
 *
 * @throws Error when there is none, an axis does not exist, or the shapes do not fit
 */
export function concat(xs: readonly Tensor[], axis: number): Tensor {
  const [first] = xs;
  if (!first) throw new Error("Cannot join no tensors");
  const along = axis < 0 ? axis + first.shape.length : axis;
  const total = xs.reduce((sum, x) => sum + (x.shape[along] ?? 0), 0);
  const shape = first.shape.map((n, i) => i === along ? total : n);
  for (const { shape: own } of xs) {
    if (!(along in own) || !sameShape(own.with(along, total), shape)) {
      throw new Error(`Cannot join ${show(first.shape)} and ${show(own)} along axis ${axis}`);
    }
  }
  if (xs.length === 1) return first;
  let next = 0;
  const starts = xs.map((x) => {
    const start = shape.map((_, i) => i === along ? next : 0);
    next += x.shape[along] ?? 0;
    return start;
  });
  const vjp: Vjp = (g) => xs.map((x, i) => slice(g, starts[i] ?? [], x.shape));
  return joinRows(xs, size(shape.slice(0, along)), shape, vjp);
}

/** Matrices of so many rows side by side, the result being seen as of the given shape. */
function joinRows(xs: readonly Tensor[], rows: number, shape: Shape, vjp?: Vjp): Tensor {
  const columnsOf = (parts: readonly Tensor[]): number =>
    parts.reduce((sum, { shape }) => sum + size(shape) / rows, 0);
  const parts = xs.length <= most
    ? xs
    : runs(xs, most).map((run) => joinRows(run, rows, [rows, columnsOf(run)]));
  const [first] = parts;
  if (!first) throw new Error("Unreachable: nothing is joined");
  if (xs.length === 1) return first;
  const columns = Object.fromEntries(parts.map((x, j) => [`N${j}`, columnsOf([x])]));
  const n = size(shape);
  return node(
    "concat",
    Array.from({ length: most }, (_, j) => parts[j] ?? first),
    shape,
    { kind: "dispatch", kernel: concatKernel, overrides: { N: n, ...columns }, threads: n },
    vjp,
    xs,
  );
}

/** A list cut into so many runs of about equal length. */
function runs(xs: readonly Tensor[], count: number): (readonly Tensor[])[] {
  const start = (i: number): number => Math.floor(i * xs.length / count);
  return Array.from({ length: count }, (_, i) => xs.slice(start(i), start(i + 1)));
}
