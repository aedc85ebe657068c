/**
 * Moving elements: reshape (free), permute, slice, flip, pad, pack.
 *
 * @module
 */
import padWgsl from "../../shaders/pad.wgsl" with { type: "text" };
import stridedWgsl from "../../shaders/strided.wgsl" with { type: "text" };
import { kernel } from "../graph/kernel.ts";
import {
  alignment,
  node,
  sameShape,
  type Shape,
  show,
  size,
  type Tensor,
  type Vjp,
} from "../graph/tensor.ts";

const stridedKernel = kernel("strided", stridedWgsl);
const padKernel = kernel("pad", padWgsl);

/** The same elements in the same order under another shape; one size may be -1. Costs nothing. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const known = shape.reduce((a, n) => n < 0 ? a : a * n, 1);
  const dims = shape.map((n) => n < 0 ? size(x.shape) / known : n);
  if (size(dims) !== size(x.shape) || !dims.every(Number.isInteger)) {
    throw new Error(`Cannot reshape ${show(x.shape)} to ${show(shape)}: sizes differ`);
  }
  if (sameShape(dims, x.shape)) return x;
  return node("reshape", [x], dims, { kind: "view", offset: 0 }, (g) => [reshape(g, x.shape)]);
}

/** `shape` floats of x's buffer from a multiple of 64 on. Costs nothing. */
export function view(x: Tensor, offset: number, shape: Shape): Tensor {
  const total = size(x.shape);
  if (offset % alignment !== 0 || offset + size(shape) > total) {
    throw new Error(`Cannot view ${show(shape)} at ${offset} of ${show(x.shape)}`);
  }
  return node("view", [x], shape, { kind: "view", offset }, (g) => {
    const flat = pad(reshape(g, [size(shape)]), [offset], [total]);
    return [reshape(flat, x.shape)];
  });
}

/** Axes in another order: axis i of the result is axis `order[i]` of x (rank up to 4). */
export function permute(x: Tensor, order: readonly number[]): Tensor {
  if (order.length !== x.shape.length || x.shape.some((_, axis) => !order.includes(axis))) {
    throw new Error(`Cannot permute ${show(x.shape)} to the order ${show(order)}`);
  }
  const strides = stridesOf(x.shape);
  const inverse = order.map((_, i) => order.indexOf(i));
  return strided("permute", x, {
    shape: order.map((a) => x.shape[a] ?? 1),
    strides: order.map((a) => strides[a] ?? 0),
  }, (g) => [permute(g, inverse)]);
}

/** Swaps the last two axes. */
export function transpose(x: Tensor): Tensor {
  const axes = x.shape.map((_, i) => i);
  return permute(x, [...axes.slice(0, -2), ...axes.slice(-2).reverse()]);
}

/** The box of the given sizes that starts at `start`. */
export function slice(x: Tensor, start: readonly number[], sizes: Shape): Tensor {
  const strides = stridesOf(x.shape);
  const inside = sizes.length === x.shape.length &&
    sizes.every((n, i) => (start[i] ?? 0) >= 0 && (start[i] ?? 0) + n <= (x.shape[i] ?? 0));
  if (!inside) throw new Error(`Cannot slice ${show(sizes)} at ${show(start)} of ${show(x.shape)}`);
  if (sameShape(sizes, x.shape)) return x;
  const offset = start.reduce((a, s, i) => a + s * (strides[i] ?? 0), 0);
  return strided("slice", x, { shape: sizes, strides, offset }, (g) => [pad(g, start, x.shape)]);
}

/** Reverses the order along axes. */
export function flip(x: Tensor, axes: readonly number[]): Tensor {
  const own = stridesOf(x.shape);
  const turned = (i: number): boolean => axes.includes(i) || axes.includes(i - x.shape.length);
  const offset = own.reduce((a, s, i) => turned(i) ? a + s * ((x.shape[i] ?? 1) - 1) : a, 0);
  const strides = own.map((s, i) => turned(i) ? -s : s);
  return strided("flip", x, { shape: x.shape, strides, offset }, (g) => [flip(g, axes)]);
}

/** x placed at `start` in zeros of the given shape (rank up to 4): the adjoint of `slice`. */
export function pad(x: Tensor, start: readonly number[], shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  const [d, e] = [four(x.shape, 1, "pad"), four(shape, 1, "pad")];
  const o = four(start, 0, "pad");
  const [d0, d1, d2, d3] = d;
  const [, e1, e2, e3] = e;
  const n = size(shape);
  const source = {
    kind: "dispatch",
    kernel: padKernel,
    overrides: {
      N: n,
      E1: e1,
      E2: e2,
      E3: e3,
      D0: d0,
      D1: d1,
      D2: d2,
      D3: d3,
      O0: o[0],
      O1: o[1],
      O2: o[2],
      O3: o[3],
    },
    threads: n,
  } as const;
  return node("pad", [x], shape, source, (g) => [slice(g, start, x.shape)]);
}

/** Tensors copied side by side into one flat `[length]` buffer, each at a multiple of 64 floats. */
export function pack(xs: readonly Tensor[], offsets: readonly number[], length: number): Tensor {
  return node(
    "pack",
    xs,
    [length],
    { kind: "pack", offsets },
    (g) => xs.map((x, i) => view(g, offsets[i] ?? 0, x.shape)),
  );
}

type Four = [number, number, number, number];

/** Where the elements of a view lie: that at index i at `offset + sum_k i_k strides_k`. */
export interface Strides {
  /** Sizes of the view. */
  readonly shape: Shape;
  /**
   * Elements of x from one index of an axis to the next, for every axis: 0 repeats one, a negative number
   * runs backwards.
   */
  readonly strides: readonly number[];
  /** Element of x at index 0 of every axis; 0 when not given. */
  readonly offset?: number;
  /** What the last axis is filled up to with zeros. */
  readonly width?: number;
}

/** Elements of x picked by strides (four axes at most after joining); no gradient when not given one. */
export function strided(
  name: string,
  x: Tensor,
  { shape: picked, strides, offset = 0, width }: Strides,
  vjp: Vjp = () => [null],
): Tensor {
  const last = picked.at(-1) ?? 1;
  const filled = width !== undefined && width > last;
  const shape = filled ? [...picked.slice(0, -1), width] : picked;
  // An axis that is filled up is joined with no other.
  const outer = merge(picked.slice(0, -1), strides.slice(0, -1));
  const merged = filled
    ? { shape: [...outer.shape, width], strides: [...outer.strides, strides.at(-1) ?? 0] }
    : merge(shape, strides);
  const [, d1, d2, d3] = four(merged.shape, 1, name);
  const s = four(merged.strides, 0, name);
  const n = size(shape);
  return node(name, [x], shape, {
    kind: "dispatch",
    kernel: stridedKernel,
    overrides: {
      N: n,
      D1: d1,
      D2: d2,
      D3: d3,
      OFFSET: offset,
      S0: s[0],
      S1: s[1],
      S2: s[2],
      S3: s[3],
      ...(filled ? { LAST: last } : {}),
    },
    threads: n,
  }, vjp);
}

/** Fewest axes with the same element order: drops size 1, joins neighbours that step together. */
function merge(shape: Shape, strides: readonly number[]): { shape: number[]; strides: number[] } {
  const merged = { shape: [] as number[], strides: [] as number[] };
  shape.forEach((n, i) => {
    if (n === 1) return;
    const stride = strides[i] ?? 0;
    const last = merged.shape.length - 1;
    if (last >= 0 && merged.strides[last] === stride * n) {
      merged.shape[last] = (merged.shape[last] ?? 1) * n;
      merged.strides[last] = stride;
    } else {
      merged.shape.push(n);
      merged.strides.push(stride);
    }
  });
  return merged;
}

/** Distances between neighbours along each axis, row by row. */
export function stridesOf(shape: Shape): number[] {
  return shape.map((_, i) => size(shape.slice(i + 1)));
}

function four(values: readonly number[], fill: number, name: string): Four {
  if (values.length > 4) throw new Error(`Cannot ${name} ${show(values)}: more than 4 axes`);
  const padded = [...Array<number>(4 - values.length).fill(fill), ...values];
  return [padded[0] ?? fill, padded[1] ?? fill, padded[2] ?? fill, padded[3] ?? fill];
}
