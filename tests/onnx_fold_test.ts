/** Operators on the host: values by hand and by numpy, what each opset says, and what is refused. */
import assert from "node:assert/strict";
import { UserError } from "../src/base/errors.ts";
import { elementKinds } from "../src/onnx/elements.ts";
import { evaluateOnHost, isHostOp } from "../src/onnx/fold.ts";
import { numberRules } from "../src/onnx/fold_numbers.ts";
import { shapeRules } from "../src/onnx/fold_shapes.ts";
import type { HostTensor, OnnxNode } from "../src/onnx/model.ts";
import { readOnnx } from "../src/onnx/read.ts";
import {
  array,
  bool,
  cases,
  counting,
  end,
  f32,
  i64,
  type Options,
  scalar,
} from "./onnx_fold_cases.ts";
import { node, tensor, value, writeGraph } from "./onnx_writer.ts";

function evaluate(
  op: string,
  inputs: readonly (HostTensor | undefined)[],
  { attributes = {}, opset = 17, outputs = 1 }: Options = {},
): readonly HostTensor[] | undefined {
  const made: OnnxNode = {
    name: "n",
    op,
    domain: "",
    inputs: inputs.map((input, i) => input ? `x${i}` : ""),
    outputs: Array.from({ length: outputs }, (_, i) => `y${i}`),
    attributes: new Map(Object.entries(attributes)),
  };
  return evaluateOnHost(made, inputs, opset);
}

for (const [what, op, inputs, expected, options] of cases) {
  Deno.test(`${op} ${what}`, () => {
    const outputs = evaluate(op, inputs, options) ?? [];
    // As lists: NaNs of two arrays may differ in bits that nobody sees.
    const plain = (arrays: readonly HostTensor[]): unknown =>
      arrays.map(({ type, shape, data }) => ({ type, shape, data: Array.from(data) }));
    assert.deepEqual(plain(outputs), plain("data" in expected ? [expected] : expected));
    for (const { type, data } of outputs) assert.ok(data instanceof elementKinds[type].array);
  });
}

Deno.test("every operator has a case", () => {
  const ops = Object.keys({ ...shapeRules, ...numberRules });
  assert.deepEqual(ops.sort(), [...new Set(cases.map(([, op]) => op))].sort());
  assert.ok(ops.every(isHostOp));
  // Names that every object has are no operators.
  for (const op of ["Conv", "constructor", "toString", ""]) {
    assert.ok(!isHostOp(op));
    assert.equal(evaluate(op, [f32(1)]), undefined);
  }
});

Deno.test("halves are rounded after every step", () => {
  const halves = (...data: number[]): HostTensor => array("float16", data);
  assert.deepEqual(evaluate("Div", [halves(1), halves(3)]), [halves(0.333251953125)]);
  assert.deepEqual(evaluate("Add", [halves(2048), halves(1)]), [halves(2048)]);
  const product = evaluate("ReduceProd", [array("bfloat16", [1 + 2 ** -7, 1 + 2 ** -7])]);
  assert.deepEqual(product, [array("bfloat16", [1 + 2 ** -6])]);
});

const wrong: readonly [
  op: string,
  inputs: readonly (HostTensor | undefined)[],
  state: RegExp,
  options?: Options,
][] = [
  ["Add", [i64(1)], /its input 2 is missing/],
  ["Add", [i64(1), f32(1)], /its inputs are int64 and float32/],
  ["Add", [i64(1, 2), i64(1, 2, 3)], /its inputs of \[2\] and \[3\] do not fit together/],
  ["Add", [bool(1), bool(1)], /it computes with truth values/],
  ["Add", [i64(2 ** 53 - 1), i64(1)], /it makes 9007199254740992, and int64 is whole and in/],
  ["Sub", [i64(end), i64(1)], /it makes 9223372036854776000, and int64/],
  ["Mul", [array("int32", [2 ** 30]), array("int32", [2])], /it makes 2147483648, and int32/],
  ["Neg", [array("uint8", [1])], /it makes -1, and uint8 is whole and in \[0,255\] here/],
  ["Sqrt", [i64(2)], /it makes 1.414\d+, and int64 is whole/],
  ["Div", [i64(1), i64(0)], /it divides by 0/],
  ["Mod", [i64(1), i64(0)], /it divides by 0/],
  ["Mod", [f32(1), f32(1)], /remainders of floats need its attribute fmod/],
  ["Pow", [i64(2), i64(-1)], /it makes 0.5, and int64/],
  ["Pow", [i64(2), i64(63)], /it makes 9223372036854776000, and int64/],
  ["Pow", [i64(2), i64(end)], /it makes Infinity, and int64/],
  ["And", [i64(1), bool(1)], /its input 1 is int64, truth values are needed/],
  ["Where", [bool(1), i64(1), f32(1)], /its inputs are int64 and float32/],
  ["Cast", [f32(NaN)], /it makes NaN, and int64/, { attributes: { to: 7 } }],
  ["Cast", [i64(end)], /it makes 9223372036854776000, and int32/, { attributes: { to: 6 } }],
  ["Cast", [f32(1)], /strings cannot be made/, { attributes: { to: 8 } }],
  ["Cast", [f32(1)], /its attribute to is no number/],
  ["Range", [0, 1, 0].map((n) => scalar("int64", n)), /its delta is 0/],
  ["Constant", [], /it holds neither a tensor nor numbers/, { attributes: { value_string: "a" } }],
  ["ConstantOfShape", [i64(-1)], /an axis cannot have -1 elements/],
  ["ConstantOfShape", [f32(1)], /its input 1 is float32, integers are needed/],
  ["ConstantOfShape", [i64(1)], /no tensor of one element/, { attributes: { value: f32(1, 2) } }],
  ["Reshape", [i64(1, 2), i64(3)], /\[2\] cannot have the shape \[3\]/],
  ["Reshape", [i64(1, 2), i64(-1, -1)], /\[2\] cannot have the shape \[-1,-1\]/],
  ["Reshape", [i64(1, 2), i64(1, 0)], /\[2\] cannot have the shape \[1,0\]/],
  ["Reshape", [i64(1), i64(...Array(17).fill(1))], /it makes 17 axes, more than 16/],
  ["Squeeze", [counting(2, 1), i64(0)], /its axis 0 has 2 elements/],
  ["Squeeze", [counting(2, 1), i64(2)], /it has no axis 2 among 2/],
  ["Unsqueeze", [i64(1), i64(0, 0)], /it names an axis twice/],
  ["Unsqueeze", [counting(...Array(16).fill(1)), i64(0)], /it makes 17 axes, more than 16/],
  ["Unsqueeze", [i64(1), i64(...Array(1000).keys())], /it names 1000 axes/],
  ["Transpose", [counting(2, 3)], /it orders 1 of 2 axes/, { attributes: { perm: [0] } }],
  ["Expand", [i64(1, 2), i64(3)], /its inputs of \[2\] and \[3\] do not fit/],
  ["Concat", [], /it has no inputs/, { attributes: { axis: 0 } }],
  ["Concat", [i64(1), counting(1, 1)], /\[1\] and \[1,1\] do not fit/, { attributes: { axis: 0 } }],
  ["Concat", [i64(1), i64(1)], /its attribute axis is no number/],
  ["Gather", [i64(1, 2), i64(2)], /its index 2 is outside an axis of 2/],
  ["Gather", [i64(1, 2), i64(-3)], /its index -3 is outside an axis of 2/],
  ["Slice", [i64(1), i64(0), i64(1), i64(0), i64(0)], /its step is 0/],
  ["Slice", [i64(1), i64(0), i64(2 ** 31 - 1), i64(0), i64(-1)], /goes back to the far end/],
  ["Slice", [i64(1), i64(0), i64(1, 2)], /it cuts 1, 2, 1, 1 axes/],
  ["Slice", [i64(1)], /its attribute starts is no list/, { opset: 9, attributes: { starts: "a" } }],
  ["Split", [i64(1, 2, 3)], /3 elements cannot be 2 parts of 1.5,1.5/, { outputs: 2 }],
  ["Split", [i64(1, 2, 3), i64(1, 1)], /3 elements cannot be 2 parts of 1,1/, { outputs: 2 }],
  ["Split", [i64(1)], /cannot be 1 parts/, { opset: 18, attributes: { num_outputs: 2 } }],
  ["ReduceMax", [i64()], /it reduces no elements/],
];

for (const [op, inputs, state, options] of wrong) {
  Deno.test(`${op} is refused: ${state.source}`, () => {
    assert.throws(() => evaluate(op, inputs, options), (error) => {
      assert.ok(error instanceof UserError, String(error));
      assert.match(error.message, state);
      assert.ok(error.message.startsWith(`Cannot compute the ${op} node "n": `), error.message);
      return true;
    });
  });
}

Deno.test("what would be large is left to the device, but for another shape of the same array", () => {
  const large = { type: "int8", shape: [2 ** 21], data: new Int8Array(2 ** 21) } as const;
  assert.equal(evaluate("ConstantOfShape", [i64(2 ** 20, 2)]), undefined);
  assert.equal(evaluate("ConstantOfShape", [i64(2 ** 40, 2 ** 40)]), undefined);
  assert.equal(evaluate("Expand", [i64(1), i64(2 ** 30)]), undefined);
  assert.equal(evaluate("Range", [0, 1e15, 1].map((n) => scalar("int64", n))), undefined);
  assert.equal(evaluate("Neg", [large]), undefined);
  const [view] = evaluate("Reshape", [large, i64(-1, 2)]) ?? [];
  assert.equal(view?.data, large.data);
  assert.deepEqual(view.shape, [2 ** 20, 2]);
  // Any number of rows without elements takes no time.
  const empty = { type: "int8", shape: [2 ** 40, 0], data: new Int8Array() } as const;
  const joined = evaluate("Concat", [empty, empty], { attributes: { axis: 1 } });
  assert.deepEqual(joined?.[0]?.shape, [2 ** 40, 0]);
  const gathered = evaluate("Gather", [empty, i64()], { attributes: { axis: 1 } });
  assert.deepEqual(gathered?.[0]?.shape, [2 ** 40, 0]);
});

Deno.test("an operator of another domain is none of these", () => {
  const other: OnnxNode = {
    name: "n",
    op: "Add",
    domain: "com.x",
    inputs: ["a", "b"],
    outputs: ["c"],
    attributes: new Map(),
  };
  assert.equal(evaluateOnHost(other, [i64(1), i64(2)], 17), undefined);
});

Deno.test("the shape that a flattening by view computes follows from the images' shape", async () => {
  // x.view(x.size(0), -1), as PyTorch exports it.
  const file = writeGraph({
    input: [value("x", ["n", 6, 5, 5])],
    output: [value("shape", [2])],
    initializer: [tensor("rest", "int64", [1], [-1])],
    node: [
      node("Shape", ["x"], ["sizes"]),
      node("Constant", [], ["first"], { value: tensor("", "int64", [], [0]) }),
      node("Gather", ["sizes", "first"], ["n"], { axis: 0 }),
      node("Unsqueeze", ["n"], ["rows"], { axes: [0] }),
      node("Concat", ["rows", "rest"], ["shape"], { axis: 0 }),
    ],
  }, { opset: 11 });
  const model = await readOnnx(file);
  const images: HostTensor = { type: "float32", shape: [8, 6, 5, 5], data: new Float32Array() };
  const known = new Map(model.initializers).set("x", images);
  for (const node of model.nodes) {
    const made = evaluateOnHost(node, node.inputs.map((name) => known.get(name)), model.opset);
    made?.forEach((array, i) => known.set(node.outputs[i] ?? "", array));
  }
  assert.deepEqual(known.get("shape"), i64(8, -1));
});
