/** Networks that cannot be used as they are written: numbers that are none, and shapes and casts, with what helps. */
import assert from "node:assert/strict";
import { UserError } from "../src/base/errors.ts";
import { evaluate, input } from "../src/nn/mod.ts";
import { importOnnx } from "../src/onnx/mod.ts";
import { node, type Part, tensor, value, writeGraph } from "./onnx_writer.ts";

/** What a network from `x` to `y` makes of one image of four pixels. */
async function logitsOf(
  nodes: readonly Part<"Node">[],
  arrays: readonly Part<"Tensor">[],
): Promise<number[]> {
  const network = await importOnnx(writeGraph({
    input: [value("x", ["b", 1, 2, 2])],
    output: [{ name: "y" }],
    initializer: arrays,
    node: nodes,
  }));
  const x = input([1, 1, 2, 2]);
  const [values = []] = evaluate([network.logits(x)], new Map([[x, [0.1, 0.9, 0.4, 0.2]]]));
  return [...values];
}

const floats = (name: string, dims: readonly number[], ...values: number[]): Part<"Tensor"> =>
  tensor(name, "float32", dims, values);

const flat = node("Flatten", ["x"], ["z"]);
const product = node("Gemm", ["z", "w"], ["y"]);

const refusals: readonly (readonly [
  what: string,
  nodes: readonly Part<"Node">[],
  arrays: readonly Part<"Tensor">[],
  state: RegExp,
])[] = [
  [
    "weights of which one is NaN",
    [flat, product],
    [floats("w", [4, 2], 1, 1, 1, 1, Infinity, NaN, 1, 1)],
    /^Cannot use the Gemm node "Gemm_1": "w" holds NaN at 5; train the model again$/,
  ],
  [
    "weights of which one is infinite, of many",
    [flat, product],
    [floats("w", [4, 20], ...Array(79).fill(1), -Infinity)],
    /"Gemm_1": "w" holds -Infinity at 79; train the model again$/,
  ],
  [
    "weights beyond 32 bits",
    [node("Conv", ["x", "w"], ["y"])],
    [tensor("w", "float64", [1, 1, 1, 1], [1e39])],
    /"Conv_0": "w" holds 1e\+39 at 0, which is more than 32 bits hold; train/,
  ],
  [
    "moments that are infinite",
    [node("BatchNormalization", ["x", "one", "one", "one", "v"], ["y"])],
    [floats("one", [1], 1), floats("v", [1], Infinity)],
    /BatchNormalization_0": "v" holds Infinity at 0; train/,
  ],
  [
    "a bias that no mask is",
    [flat, node("Gemm", ["z", "w", "b"], ["y"])],
    [floats("w", [4, 2], ...Array(8).fill(1)), floats("b", [2], 0, Infinity)],
    /"Gemm_1": "b" holds Infinity at 1; train/,
  ],
  [
    "weights that are NaN by what is made of them",
    [node("Pow", ["n", "half"], ["w"]), flat, product],
    [floats("n", [4, 2], 1, 1, -1, 1, 1, 1, 1, 1), floats("half", [], 0.5)],
    /Gemm_2": "w" holds NaN at 2; train/,
  ],
  [
    "a constant that is NaN, whatever it is for",
    [node("Add", ["x", "c"], ["y"])],
    [floats("c", [2], Infinity, NaN)],
    /Add node "Add_0": "c" holds NaN at 1; train the model again$/,
  ],
  [
    "a shape for images of another size",
    [node("Reshape", ["x", "s"], ["y"])],
    [tensor("s", "int64", [2], [-1, 9])],
    /it makes \[-1, 9\] of \[1, 1, 2, 2\]; export the model for images of this size, with a batch of any size \(/,
  ],
  [
    "whole numbers of images",
    [node("Cast", ["x"], ["y"], { to: 7 })],
    [],
    /it makes whole numbers of what follows from the images; export the model without it, or name an earlier/,
  ],
];

for (const [what, nodes, arrays, state] of refusals) {
  Deno.test(`a network is refused for ${what}`, () =>
    assert.rejects(logitsOf(nodes, arrays), (error) => {
      assert.ok(error instanceof UserError, String(error));
      assert.match(error.message, state);
      assert.match(error.message, /^Cannot [^\n]{10,500}[^.]$/);
      return true;
    }));
}

Deno.test("a mask and a bound may be infinite", async () => {
  const nodes = [
    flat,
    node("Add", ["z", "mask"], ["masked"]),
    node("Softmax", ["masked"], ["p"]),
    node("Clip", ["p", "low", "none"], ["c"]),
    node("Add", ["c", "c"], ["y"]),
  ];
  const arrays = [
    floats("mask", [4], 0, -Infinity, 0, -Infinity),
    floats("none", [], Infinity),
    floats("low", [], 0),
  ];
  const [first = NaN, second, third = NaN, fourth] = await logitsOf(nodes, arrays);
  assert.deepEqual([second, fourth], [0, 0]);
  assert.ok(Math.abs(first + third - 2) < 1e-5, `${first} and ${third}`);
});

Deno.test("a bias may take a class out, and Where leave NaN aside", async () => {
  const nodes = [
    flat,
    node("Where", ["every", "z", "nan"], ["w"]),
    node("Gemm", ["w", "eye", "bias"], ["y"]),
  ];
  const eye = Array.from({ length: 16 }, (_, i) => i % 5 === 0 ? 1 : 0);
  const logits = await logitsOf(nodes, [
    tensor("every", "bool", [4], [1, 1, 1, 1]),
    floats("nan", [4], NaN, NaN, NaN, NaN),
    floats("eye", [4, 4], ...eye),
    floats("bias", [4], 0, -Infinity, 1, 0),
  ]);
  assert.deepEqual(logits.map(Math.fround), [0.1, -Infinity, 1.4, 0.2].map(Math.fround));
});
