/** What operators on the host make: inputs and outputs by hand. */
import assert from "node:assert/strict";
import { elements } from "../src/base/refusal.ts";
import { elementKinds } from "../src/onnx/elements.ts";
import type { Attribute, ElementType, HostTensor } from "../src/onnx/model.ts";

/** An array of a type, along one axis where no shape is told. */
export function array(
  type: ElementType,
  data: readonly number[],
  shape = [data.length],
): HostTensor {
  assert.equal(elements(shape), data.length);
  return { type, shape, data: new elementKinds[type].array(data) };
}

/** Arrays along one axis, and scalars. */
export const i64 = (...data: number[]): HostTensor => array("int64", data);
export const f32 = (...data: number[]): HostTensor => array("float32", data);
export const bool = (...data: number[]): HostTensor => array("bool", data);
export const scalar = (type: ElementType, n: number): HostTensor => array(type, [n], []);
/** 0, 1, 2, ... in a shape. */
export const counting = (...shape: number[]): HostTensor =>
  array("int64", Array.from({ length: elements(shape) }, (_, i) => i), shape);

/** How a node is evaluated. */
export interface Options {
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly opset?: number;
  readonly outputs?: number;
}

/** What an operator makes of inputs. */
type Case = readonly [
  what: string,
  op: string,
  inputs: readonly (HostTensor | undefined)[],
  expected: HostTensor | readonly HostTensor[],
  options?: Options,
];

/** The largest integer of 64 bits, which stands for the end of an axis. */
export const end: number = 2 ** 63;

/** By hand, or by numpy where it says so. */
export const cases: readonly Case[] = [
  ["is the input itself", "Identity", [f32(1)], f32(1)],
  ["is a tensor", "Constant", [], f32(2), { attributes: { value: f32(2) } }],
  ["is a number", "Constant", [], scalar("int64", 3), { attributes: { value_int: 3 } }],
  ["is a float", "Constant", [], scalar("float32", 0.5), { attributes: { value_float: 0.5 } }],
  ["is a list of integers", "Constant", [], i64(1, 2), { attributes: { value_ints: [1, 2] } }],
  ["is a list of floats", "Constant", [], f32(0.5), { attributes: { value_floats: [0.5] } }],
  ["is zeros", "ConstantOfShape", [i64(2, 1)], array("float32", [0, 0], [2, 1])],
  [
    "is of a value",
    "ConstantOfShape",
    [i64(2)],
    array("int8", [7, 7]),
    { attributes: { value: array("int8", [7]) } },
  ],
  ["of no axes is a scalar", "ConstantOfShape", [i64()], scalar("float32", 0)],
  ["counts axes", "Shape", [counting(2, 3, 4)], i64(2, 3, 4)],
  ["has a start", "Shape", [counting(2, 3, 4)], i64(3, 4), { attributes: { start: 1 } }],
  ["has bounds", "Shape", [counting(2, 3, 4)], i64(3), { attributes: { start: -2, end: -1 } }],
  ["needs no elements", "Shape", [{ ...f32(), shape: [8, 3] }], i64(8, 3)],
  ["counts elements", "Size", [counting(2, 3, 4)], scalar("int64", 24)],
  ["infers an axis", "Reshape", [counting(2, 6), i64(-1, 4)], counting(3, 4)],
  ["copies an axis", "Reshape", [counting(2, 6), i64(0, 3, -1)], counting(2, 3, 2)],
  [
    "has an axis of 0",
    "Reshape",
    [counting(0, 2), i64(3, 0)],
    counting(3, 0),
    { attributes: { allowzero: 1 } },
  ],
  ["drops axes of one", "Squeeze", [counting(1, 2, 1)], counting(2)],
  ["drops an axis", "Squeeze", [counting(1, 2, 1), i64(-1)], counting(1, 2)],
  [
    "drops an axis before opset 13",
    "Squeeze",
    [counting(1, 2, 1)],
    counting(2, 1),
    { opset: 11, attributes: { axes: [0] } },
  ],
  ["adds axes", "Unsqueeze", [counting(2), i64(-1, 0)], counting(1, 2, 1)],
  [
    "adds axes before opset 13",
    "Unsqueeze",
    [counting(2)],
    counting(1, 2, 1),
    { opset: 12, attributes: { axes: [0, 2] } },
  ],
  ["turns axes around", "Transpose", [counting(2, 3)], array("int64", [0, 3, 1, 4, 2, 5], [3, 2])],
  [
    "orders axes",
    "Transpose",
    [counting(2, 3, 2)],
    array("int64", [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11], [2, 2, 3]),
    { attributes: { perm: [2, 0, 1] } },
  ],
  ["repeats", "Expand", [counting(2, 1), i64(2)], array("int64", [0, 0, 1, 1], [2, 2])],
  [
    "repeats to more axes",
    "Expand",
    [i64(7), i64(2, 1, 2)],
    array("int64", [7, 7, 7, 7], [2, 1, 2]),
  ],
  ["joins", "Concat", [i64(1), i64(), i64(2, 3)], i64(1, 2, 3), { attributes: { axis: 0 } }],
  [
    "joins along the last axis",
    "Concat",
    [counting(2, 1), counting(2, 2)],
    array("int64", [0, 0, 1, 1, 2, 3], [2, 3]),
    { attributes: { axis: -1 } },
  ],
  ["takes a row", "Gather", [i64(5, 6, 7), scalar("int64", -1)], scalar("int64", 7)],
  [
    "takes columns",
    "Gather",
    [counting(2, 3), array("int32", [2, 0, 0], [3, 1])],
    array("int64", [2, 0, 0, 5, 3, 3], [2, 3, 1]),
    { attributes: { axis: 1 } },
  ],
  ["takes a part", "Slice", [i64(0, 1, 2, 3), i64(1), i64(3)], i64(1, 2)],
  ["goes to the end", "Slice", [i64(0, 1, 2, 3), i64(-2), i64(end)], i64(2, 3)],
  [
    "goes to the end before opset 10",
    "Slice",
    [counting(2, 3)],
    array("int64", [1, 2, 4, 5], [2, 2]),
    { opset: 9, attributes: { axes: [1], starts: [1], ends: [end] } },
  ],
  ["goes back", "Slice", [i64(0, 1, 2), i64(-1), i64(-end), i64(0), i64(-1)], i64(2, 1, 0)],
  ["goes back by two", "Slice", [i64(0, 1, 2, 3, 4), i64(9), i64(0), i64(0), i64(-2)], i64(4, 2)],
  ["is empty", "Slice", [i64(0, 1, 2), i64(2), i64(1)], i64()],
  ["is empty of none", "Slice", [i64(), i64(0), i64(-end), i64(0), i64(-1)], i64()],
  [
    // numpy: arange(24).reshape(2, 3, 4)[0:1, ::-1, 3:0:-2]
    "cuts three axes",
    "Slice",
    [counting(2, 3, 4), i64(0, end, 3), i64(1, -end, 0), i64(0, 1, 2), i64(1, -1, -2)],
    array("int64", [11, 9, 7, 5, 3, 1], [1, 3, 2]),
  ],
  ["makes equal parts", "Split", [i64(1, 2, 3, 4)], [i64(1, 2), i64(3, 4)], { outputs: 2 }],
  ["makes parts", "Split", [i64(1, 2, 3), i64(1, 2)], [i64(1), i64(2, 3)], { outputs: 2 }],
  [
    "makes parts before opset 13",
    "Split",
    [counting(2, 2)],
    [array("int64", [0, 2], [2, 1]), array("int64", [1, 3], [2, 1])],
    { outputs: 2, opset: 11, attributes: { axis: 1, split: [1, 1] } },
  ],
  [
    "makes a smaller part",
    "Split",
    [i64(1, 2, 3)],
    [i64(1, 2), i64(3)],
    { outputs: 2, opset: 18, attributes: { num_outputs: 2 } },
  ],
  ["is in f32", "Add", [f32(0.1), f32(0.2)], f32(Math.fround(0.1) + Math.fround(0.2))],
  [
    "is broadcast",
    "Sub",
    [counting(2, 1), i64(0, 10)],
    array("int64", [0, -10, 1, -9], [2, 2]),
  ],
  ["has no -0 of integers", "Mul", [i64(-3), i64(0)], i64(0)],
  ["has -0 of floats", "Mul", [f32(-3), f32(0)], f32(-0)],
  ["is cut off", "Div", [i64(7, -7, 7, -7, -1), i64(2, 2, -2, -2, 2)], i64(3, -3, -3, 3, 0)],
  ["is exact near 2^53", "Div", [i64(2 ** 53 - 1), i64(2)], i64(2 ** 52 - 1)],
  ["of floats is rounded", "Div", [f32(1, 1), f32(3, 0)], f32(1 / 3, Infinity)],
  // numpy.mod and numpy.fmod
  [
    "has the divisor's sign",
    "Mod",
    [i64(-4, 7, 5, 4, -7, 8), i64(2, -3, 8, -2, 3, 5)],
    i64(0, -2, 5, 0, 2, 3),
  ],
  [
    "has the dividend's sign",
    "Mod",
    [i64(-4, 7, 5, 4, -7, 8), i64(2, -3, 8, -2, 3, 5)],
    i64(0, 1, 5, 0, -1, 3),
    { attributes: { fmod: 1 } },
  ],
  [
    "of floats has the dividend's",
    "Mod",
    [f32(-7.25, 5), f32(3.5, -8)],
    f32(-0.25, 5),
    { attributes: { fmod: 1 } },
  ],
  [
    "is 1 of 1, as in IEEE 754",
    "Pow",
    [f32(1, -1, 1), f32(Infinity, -Infinity, NaN)],
    f32(1, 1, 1),
  ],
  ["is exact", "Pow", [i64(3, -2, -1, 0, 10), i64(20, 3, 4, 0, 15)], i64(3 ** 20, -8, 1, 1, 1e15)],
  ["has the base's type", "Pow", [f32(2, 4), i64(-1, 3)], f32(0.5, 64)],
  ["takes the least", "Min", [i64(1, 5), i64(3), scalar("int64", 4)], i64(1, 3)],
  ["takes the largest, the end too", "Max", [i64(1, end), i64(3)], i64(3, end)],
  ["of one is itself", "Max", [f32(1)], f32(1)],
  ["of NaN is NaN", "Min", [f32(NaN), f32(1)], f32(NaN)],
  ["turns signs", "Neg", [i64(0, 5, -1)], i64(0, -5, 1)],
  ["drops signs", "Abs", [array("int8", [-3, 4])], array("int8", [3, 4])],
  ["is rounded", "Sqrt", [f32(2, -1)], f32(Math.SQRT2, NaN)],
  ["rounds down", "Floor", [f32(1.5, -1.5)], f32(1, -2)],
  ["rounds up", "Ceil", [f32(1.5, -1.5)], f32(2, -1)],
  ["compares", "Equal", [i64(1, end), i64(1, 3)], bool(1, 0)],
  ["compares", "Less", [i64(1, 3), i64(2)], bool(1, 0)],
  ["compares", "LessOrEqual", [f32(1, 2, NaN), f32(1)], bool(1, 0, 0)],
  ["compares", "Greater", [i64(1, 3), i64(2)], bool(0, 1)],
  ["compares", "GreaterOrEqual", [i64(1, 3), i64(3)], bool(0, 1)],
  ["is logic", "And", [bool(0, 0, 1, 1), bool(0, 1, 0, 1)], bool(0, 0, 0, 1)],
  ["is logic", "Or", [bool(0, 0, 1, 1), bool(0, 1, 0, 1)], bool(0, 1, 1, 1)],
  ["is logic", "Xor", [bool(0, 0, 1, 1), bool(0, 1, 0, 1)], bool(0, 1, 1, 0)],
  ["is logic", "Not", [bool(0, 1)], bool(1, 0)],
  [
    "chooses",
    "Where",
    [array("bool", [1, 0], [2, 1]), i64(1, 2), scalar("int64", 9)],
    array("int64", [1, 2, 9, 9], [2, 2]),
  ],
  ["cuts off", "Cast", [f32(1.9, -1.9, -0.5)], i64(1, -1, 0), { attributes: { to: 7 } }],
  ["rounds to f32", "Cast", [array("float64", [0.1])], f32(0.1), { attributes: { to: 1 } }],
  [
    "rounds to halves, ties to even",
    "Cast",
    [i64(2049, 2051, 65520)],
    array("float16", [2048, 2052, Infinity]),
    { attributes: { to: 10 } },
  ],
  [
    // Between 1 and 1 + 2^-7 the tie goes to 1, above it to the upper one.
    "rounds to bfloat16, ties to even",
    "Cast",
    [f32(1 + 2 ** -8, 1 + 3 * 2 ** -8, 1.0040, NaN)],
    array("bfloat16", [1, 1 + 2 ** -6, 1 + 2 ** -7, NaN]),
    { attributes: { to: 16 } },
  ],
  ["is whether it is not 0", "Cast", [f32(0, -0, 0.1, NaN)], bool(0, 0, 1, 1), {
    attributes: { to: 9 },
  }],
  ["keeps the end", "Cast", [i64(end)], i64(end), { attributes: { to: 7 } }],
  ["counts", "Range", [0, 5, 2].map((n) => scalar("int64", n)), i64(0, 2, 4)],
  ["counts down", "Range", [3, 0, -1].map((n) => scalar("int32", n)), array("int32", [3, 2, 1])],
  ["is empty", "Range", [3, 0, 1].map((n) => scalar("int64", n)), i64()],
  [
    // numpy.arange of float32: 0.3 is 3 * float32(0.1), rounded once.
    "counts in f32",
    "Range",
    [0, 0.5, 0.1].map((n) => scalar("float32", n)),
    f32(0, 0.1, 0.2, 3 * Math.fround(0.1), 0.4),
  ],
  ["is the product", "ReduceProd", [i64(2, 3, 4)], i64(24)],
  [
    "is the product of rows",
    "ReduceProd",
    [counting(2, 3)],
    i64(0, 60),
    { attributes: { axes: [-1], keepdims: 0 } },
  ],
  [
    "takes axes as an input since opset 18",
    "ReduceProd",
    [counting(2, 1, 2), i64(0, 2)],
    array("int64", [0], [1, 1, 1]),
    { opset: 18 },
  ],
  ["of nothing is 1", "ReduceProd", [i64()], scalar("int64", 1), { attributes: { keepdims: 0 } }],
  ["is nothing", "ReduceSum", [i64(1, 2)], i64(1, 2), { attributes: { noop_with_empty_axes: 1 } }],
  ["sums columns", "ReduceSum", [counting(2, 2), i64(0)], array("int64", [2, 4], [1, 2])],
  ["is the least", "ReduceMin", [f32(3, 1, 2)], f32(1)],
  ["is the largest", "ReduceMax", [f32(3, 1, 2)], f32(3)],
];
