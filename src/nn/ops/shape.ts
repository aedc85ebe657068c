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

/** Axes in another order: axis i of the result is axis `order[i]` of x. */
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

/**
 * The elements `start + i step` of every axis, i from 0 to below `sizes`: a box, or with steps one element in
 * so many of it, backwards where a step is negative.
 *
 * @param steps whole numbers other than 0; 1 when not given
 * @throws Error when an element lies outside of x
 */
export function slice(
  x: Tensor,
  start: readonly number[],
  sizes: Shape,
  steps?: readonly number[],
): Tensor {
  const own = stridesOf(x.shape);
  const step = (i: number): number => steps?.[i] ?? 1;
  const fits = (n: number, i: number): boolean =>
    inside(start[i] ?? 0, n, step(i), x.shape[i] ?? 0);
  if (sizes.length !== x.shape.length || !sizes.every(fits)) {
    const by = steps ? ` by ${show(steps)}` : "";
    throw new Error(`Cannot slice ${show(sizes)} at ${show(start)}${by} of ${show(x.shape)}`);
  }
  if (sameShape(sizes, x.shape) && sizes.every((_, i) => step(i) === 1)) return x;
  const offset = start.reduce((a, s, i) => a + s * (own[i] ?? 0), 0);
  const strides = own.map((s, i) => s * step(i));
  return strided("slice", x, { shape: sizes, strides, offset }, (g) => [
    pad(g, start, x.shape, steps),
  ]);
}

/** Whether elements `start + i step`, i from 0 to below n, are among those of an axis. */
function inside(start: number, n: number, step: number, length: number): boolean {
  const last = start + step * (n - 1);
  return [start, n, step].every(Number.isInteger) && n > 0 && step !== 0 &&
    Math.min(start, last) >= 0 && Math.max(start, last) < length;
}

/** Reverses the order along axes. */
export function flip(x: Tensor, axes: readonly number[]): Tensor {
  const own = stridesOf(x.shape);
  const turned = (i: number): boolean => axes.includes(i) || axes.includes(i - x.shape.length);
  const offset = own.reduce((a, s, i) => turned(i) ? a + s * ((x.shape[i] ?? 1) - 1) : a, 0);
  const strides = own.map((s, i) => turned(i) ? -s : s);
  return strided("flip", x, { shape: x.shape, strides, offset }, (g) => [flip(g, axes)]);
}

/**
 * x placed in zeros of the given shape, element i of an axis at `start + i step`: the adjoint of `slice`. What
 * lies outside is left out where the steps are 1.
 *
 * @param steps whole numbers other than 0; 1 when not given
 * @throws Error when x has another number of axes, or lies outside by other steps than 1
 */
export function pad(
  x: Tensor,
  start: readonly number[],
  shape: Shape,
  steps?: readonly number[],
): Tensor {
  const axes = shape.map((to, i): PadAxis => {
    const [from, first, step] = [x.shape[i] ?? 0, start[i] ?? 0, steps?.[i] ?? 1];
    return { from, to, start: first, step, fits: inside(first, from, step, to) };
  });
  if (shape.length !== x.shape.length || axes.some(({ step, fits }) => step !== 1 && !fits)) {
    const by = steps ? ` by ${show(steps)}` : "";
    throw new Error(`Cannot pad ${show(x.shape)} at ${show(start)}${by} to ${show(shape)}`);
  }
  if (axes.every(isWhole)) return x;
  return padAxes(x, axes, shape, (g) => [
    axes.every(({ fits }) => fits)
      ? slice(g, start, x.shape, steps)
      : pad(g, start.map((s) => -s), x.shape),
  ]);
}

/** How an axis of `from` elements lies in one of `to`. */
interface PadAxis {
  readonly from: number;
  readonly to: number;
  readonly start: number;
  readonly step: number;
  /** Whether no element lies outside. */
  readonly fits?: boolean;
}

function isWhole({ from, to, start, step }: PadAxis): boolean {
  return from === to && start === 0 && step === 1;
}

/** Fewest axes with the same elements: drops size 1, joins what is whole with the axis before. */
function joinWhole(axes: readonly PadAxis[]): PadAxis[] {
  const joined: PadAxis[] = [];
  for (const axis of axes) {
    const last = joined.at(-1);
    if (isWhole(axis) && axis.to === 1) continue;
    if (!isWhole(axis) || last?.step !== 1) joined.push(axis);
    else {
      const { from, to, start } = last;
      const n = axis.to;
      joined[joined.length - 1] = { from: n * from, to: n * to, start: n * start, step: 1 };
    }
  }
  return joined;
}

/** One dispatch of the kernel `pad`; where more than four axes are left after joining, one for every three. */
function padAxes(
  x: Tensor,
  all: readonly PadAxis[],
  shape: Shape,
  vjp?: Vjp,
  operands: readonly Tensor[] = [x],
): Tensor {
  const axes = all.length > 4 ? joinWhole(all) : all;
  if (axes.length > 4) {
    // The last three first, the others being whole; then the others.
    const split = axes.length - 3;
    const whole = (n: number): PadAxis => ({ from: n, to: n, start: 0, step: 1 });
    const last = axes.map((a, i) => i < split ? whole(a.from) : a);
    const others = axes.map((a, i) => i < split ? a : whole(a.to));
    const made = padAxes(x, last, last.map(({ to }) => to));
    return padAxes(made, others, shape, vjp, operands);
  }
  const of = (pick: (axis: PadAxis) => number, fill: number): Four =>
    four(axes.map(pick), fill, "pad");
  const [d0, d1, d2, d3] = of(({ from }) => from, 1);
  const [, e1, e2, e3] = of(({ to }) => to, 1);
  const [o0, o1, o2, o3] = of(({ start }) => start, 0);
  const [s0, s1, s2, s3] = of(({ step }) => step, 1);
  const n = size(shape);
  const place = { E1: e1, E2: e2, E3: e3, D0: d0, D1: d1, D2: d2, D3: d3 };
  const steps = axes.some(({ step }) => step !== 1) ? { S0: s0, S1: s1, S2: s2, S3: s3 } : {};
  return node(
    "pad",
    [x],
    shape,
    {
      kind: "dispatch",
      kernel: padKernel,
      overrides: { N: n, ...place, O0: o0, O1: o1, O2: o2, O3: o3, ...steps },
      threads: n,
    },
    vjp,
    operands,
  );
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

/** Elements of x picked by strides (eight axes at most after joining); no gradient when not given one. */
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
  const [d0, d1, d2, d3] = four(merged.shape.slice(-4), 1, name);
  const s = four(merged.strides.slice(-4), 0, name);
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
      ...(merged.shape.length > 4 ? { D0: d0, ...outerAxes(merged, name) } : {}),
    },
    threads: n,
  }, vjp);
}

/** Overrides for what comes before the last four axes. */
function outerAxes(
  { shape, strides }: { readonly shape: Shape; readonly strides: readonly number[] },
  name: string,
): Readonly<Record<string, number>> {
  const [, e1, e2, e3] = four(shape.slice(0, -4), 1, name);
  const t = four(strides.slice(0, -4), 0, name);
  return { E1: e1, E2: e2, E3: e3, T0: t[0], T1: t[1], T2: t[2], T3: t[3] };
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
  if (values.length > 4) throw new Error(`Cannot ${name} ${show(values)}: too many axes`);
  const padded = [...Array<number>(4 - values.length).fill(fill), ...values];
  return [padded[0] ?? fill, padded[1] ?? fill, padded[2] ?? fill, padded[3] ?? fill];
}
