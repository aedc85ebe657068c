/**
 * Rules for operators that make and move elements and compute none.
 *
 * @module
 */
import { elements } from "../base/refusal.ts";
import {
  broadcastTo,
  type HostCall,
  type HostRule,
  list,
  strided,
  stridesOf,
  zeros,
} from "./fold_call.ts";
import type { HostTensor } from "./model.ts";

/** The rules by operator. */
export const shapeRules: Readonly<Record<string, HostRule>> = {
  Identity: (call) => call.tensor(0),
  Constant: constant,
  ConstantOfShape: constantOfShape,
  Shape: shapeOf,
  Size: (call) => scalar(elements(call.tensor(0).shape)),
  Reshape: reshape,
  Squeeze: squeeze,
  Unsqueeze: unsqueeze,
  Transpose: transpose,
  Expand: (call) => {
    const x = call.tensor(0);
    return broadcastTo(x, call.broadcast([x.shape, sizes(call, 1)]));
  },
  Concat: concat,
  Gather: gather,
  Slice: slice,
  Split: split,
};

/** From here on an end is written for "up to the end". */
const farEnd = 2 ** 31 - 1;

function scalar(value: number): HostTensor {
  return { type: "int64", shape: [], data: Float64Array.of(value) };
}

/** Sizes of axes that an input holds. */
function sizes(call: HostCall, at: number): number[] {
  const found = call.sizes(at);
  const bad = found.find((n) => !Number.isSafeInteger(n) || n < 0);
  if (bad !== undefined) throw call.refused(`an axis cannot have ${bad} elements`);
  return found;
}

function constant(call: HostCall): HostTensor {
  const value = call.attribute("value");
  if (typeof value === "object" && "data" in value) return value;
  const single = ["value_int", "value_float"].find((name) => call.node.attributes.has(name));
  const many = ["value_ints", "value_floats"].find((name) => call.node.attributes.has(name));
  const name = single ?? many;
  if (name === undefined) throw call.refused("it holds neither a tensor nor numbers");
  const values = single === undefined ? call.numbers(name) ?? [] : [call.number(name)];
  const shape = single === undefined ? [values.length] : [];
  return name.startsWith("value_int")
    ? { type: "int64", shape, data: Float64Array.from(values) }
    : { type: "float32", shape, data: Float32Array.from(values) };
}

function constantOfShape(call: HostCall): HostTensor {
  const shape = sizes(call, 0);
  const value = call.attribute("value");
  if (value === undefined) return zeros("float32", shape);
  if (typeof value !== "object" || !("data" in value) || value.data.length !== 1) {
    throw call.refused("its value is no tensor of one element");
  }
  const result = zeros(value.type, shape);
  result.data.fill(value.data[0] ?? 0);
  return result;
}

function shapeOf(call: HostCall): HostTensor {
  const { shape } = call.tensor(0);
  // Array's slice counts from the back and stays within bounds, as Shape does.
  return list(shape.slice(call.number("start", 0), call.number("end", shape.length)));
}

/** The same elements in another shape. */
function reshape(call: HostCall): HostTensor {
  const x = call.tensor(0);
  const asked = call.sizes(1);
  const copies = call.number("allowzero", 0) === 0;
  const shape = asked.map((n, axis) => n === 0 && copies ? x.shape[axis] ?? -2 : n);
  const open = shape.indexOf(-1);
  const count = elements(x.shape);
  if (open >= 0) shape[open] = count / elements(shape.filter((_, axis) => axis !== open));
  if (shape.every((n) => Number.isSafeInteger(n) && n >= 0) && elements(shape) === count) {
    return { ...x, shape };
  }
  throw call.refused(`[${x.shape}] cannot have the shape [${asked}]`);
}

function squeeze(call: HostCall): HostTensor {
  const x = call.tensor(0);
  const asked = call.either("axes", 1, 13);
  const ones = x.shape.flatMap((n, axis) => n === 1 ? [axis] : []);
  const axes = asked ? call.axes(asked, x.shape.length) : ones;
  const wide = axes.find((axis) => x.shape[axis] !== 1);
  if (wide !== undefined) throw call.refused(`its axis ${wide} has ${x.shape[wide]} elements`);
  return { ...x, shape: x.shape.filter((_, axis) => !axes.includes(axis)) };
}

function unsqueeze(call: HostCall): HostTensor {
  const x = call.tensor(0);
  const asked = call.either("axes", 1, 13) ?? [];
  const rank = x.shape.length + asked.length;
  const axes = call.axes(asked, rank);
  const sizes = x.shape.values();
  const shape = Array.from(
    { length: rank },
    (_, axis) => axes.includes(axis) ? 1 : sizes.next().value ?? 1,
  );
  return { ...x, shape };
}

function transpose(call: HostCall): HostTensor {
  const x = call.tensor(0);
  const rank = x.shape.length;
  const asked = call.numbers("perm") ?? x.shape.map((_, axis) => rank - 1 - axis);
  const order = call.axes(asked, rank);
  if (order.length !== rank) throw call.refused(`it orders ${order.length} of ${rank} axes`);
  const of = (values: readonly number[]): number[] => order.map((axis) => values[axis] ?? 0);
  return strided(x, of(x.shape), of(stridesOf(x.shape)));
}

function concat(call: HostCall): HostTensor {
  const parts = call.alike();
  const [first] = parts;
  const axis = call.axis(call.number("axis"), first.shape.length);
  const sizeOf = ({ shape }: HostTensor): number => shape[axis] ?? 0;
  const rest = (shape: readonly number[]): string => shape.with(axis, 0).join();
  const other = parts.find(({ shape }) =>
    shape.length !== first.shape.length || rest(shape) !== rest(first.shape)
  );
  if (other) throw call.refused(`[${first.shape}] and [${other.shape}] do not fit together`);
  const size = parts.reduce((sum, part) => sum + sizeOf(part), 0);
  const result = zeros(first.type, first.shape.with(axis, size));
  const inner = elements(first.shape.slice(axis + 1));
  // Of no elements there may be any number of rows, or of parts.
  const filled = parts.filter((part) => part.data.length > 0);
  for (let at = 0, outer = 0; at < result.data.length; outer++) {
    for (const part of filled) {
      const length = sizeOf(part) * inner;
      result.data.set(part.data.subarray(outer * length, (outer + 1) * length), at);
      at += length;
    }
  }
  return result;
}

function gather(call: HostCall): HostTensor {
  const x = call.tensor(0);
  const { shape } = call.tensor(1);
  const axis = call.axis(call.number("axis", 0), x.shape.length);
  const size = x.shape[axis] ?? 0;
  const rows = (call.integers(1) ?? []).map((index) => {
    const row = index < 0 ? index + size : index;
    if (row >= 0 && row < size) return row;
    throw call.refused(`its index ${index} is outside an axis of ${size}`);
  });
  const [before, after] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)];
  const result = zeros(x.type, [...before, ...shape, ...after]);
  const inner = elements(after);
  for (let at = 0, outer = 0; at < result.data.length; outer++) {
    for (const row of rows) {
      const from = (outer * size + row) * inner;
      result.data.set(x.data.subarray(from, from + inner), at);
      at += inner;
    }
  }
  return result;
}

/** Parts of axes: numpy's `x[start:end:step]`, where a bound beyond the axis is its end. */
function slice(call: HostCall): HostTensor {
  const x = call.tensor(0);
  const starts = call.either("starts", 1, 10) ?? [];
  const ends = call.either("ends", 2, 10) ?? [];
  const axes = call.axes(call.either("axes", 3, 10) ?? [...starts.keys()], x.shape.length);
  const steps = (call.opset < 10 ? undefined : call.integers(4)) ?? starts.map(() => 1);
  const lengths = [starts, ends, axes, steps].map(({ length }) => length);
  if (new Set(lengths).size > 1) throw call.refused(`it cuts ${lengths.join(", ")} axes`);
  const [shape, strides] = [[...x.shape], stridesOf(x.shape)];
  let first = 0;
  axes.forEach((axis, i) => {
    const [size = 0, step = 1, stride = 0] = [x.shape[axis], steps[i], strides[axis]];
    if (step === 0) throw call.refused("its step is 0");
    // By numpy's rule nothing is left then, runtimes go back to the first element.
    if (step < 0 && (ends[i] ?? 0) >= farEnd) throw call.refused("it goes back to the far end");
    // Going back, the place before the first element is an end.
    const [least, most] = step > 0 ? [0, size] : [-1, size - 1];
    const within = (place = 0): number =>
      Math.min(Math.max(place < 0 ? place + size : place, least), most);
    const [start, end] = [within(starts[i]), within(ends[i])];
    shape[axis] = Math.max(0, Math.ceil((end - start) / step));
    strides[axis] = stride * step;
    first += stride * start;
  });
  return strided(x, shape, strides, first);
}

function split(call: HostCall): HostTensor[] {
  const x = call.tensor(0);
  const axis = call.axis(call.number("axis", 0), x.shape.length);
  const size = x.shape[axis] ?? 0;
  const parts = call.node.outputs.length;
  const each = Math.ceil(size / parts);
  // Since opset 18 the last may be smaller.
  const equal = call.node.outputs.map((_, i) =>
    call.opset < 18 ? size / parts : Math.max(0, Math.min(each, size - each * i))
  );
  const sizes = call.either("split", 1, 13) ?? equal;
  const whole = sizes.length === parts && call.number("num_outputs", parts) === parts &&
    sizes.every((n) => Number.isInteger(n) && n >= 0) &&
    sizes.reduce((sum, n) => sum + n, 0) === size;
  if (!whole) throw call.refused(`${size} elements cannot be ${parts} parts of ${sizes}`);
  const strides = stridesOf(x.shape);
  let from = 0;
  return sizes.map((n) => {
    const part = strided(x, x.shape.with(axis, n), strides, from * (strides[axis] ?? 0));
    from += n;
    return part;
  });
}
