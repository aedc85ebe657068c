/** ONNX files that are refused: every kind of wrongness with its sentence. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readOnnx } from "../src/onnx/read.ts";
import {
  bare,
  node,
  type Part,
  refuses,
  tensor,
  typedTensor,
  value,
  writeGraph,
  writeModel,
} from "./onnx_writer.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

const relu = node("Relu", ["x"], ["y"]);
const x = value("x", [1]);
const one = tensor("w", "float32", [1], [1]);
const graphs: readonly [wrong: string, Part<"Graph">, RegExp][] = [
  ["a node takes what nothing gives", { node: [relu] }, /node "Relu_0" takes "x", which nothing/],
  ["a value is made twice", { input: [x], node: [relu, relu] }, /defines the value "y" twice/],
  ["a node makes an input", { input: [x, value("y", [1])], node: [relu] }, /value "y" twice/],
  ["an initialiser is there twice", { initializer: [one, one] }, /defines the value "w" twice/],
  ["an input is there twice", { input: [x, x] }, /two of its inputs have one name/],
  ["an output is made by nobody", { output: [x] }, /its output "x" is made by no node/],
  [
    "nodes wait for each other",
    { node: [node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["a"])] },
    /node "Relu_[01]" waits for its own output/,
  ],
  ["a node waits for itself", { node: [node("Relu", ["a"], ["a"])] }, /waits for its own output/],
  ["a node has no operator", { node: [{ output: ["y"] }] }, /the node "_0" has no operator/],
  ["an input has no name", { input: [{}] }, /an input has no name/],
  ["an initialiser has no name", { initializer: [tensor("", "int8", [], [1])] }, /has no name/],
  ["an input is a sequence", { input: [{ name: "x", type: {} }] }, /input "x" is no tensor/],
  [
    "an input holds texts",
    { input: [{ name: "x", type: { tensorType: { elemType: 8 } } }] },
    /the input "x" holds strings, which are not read/,
  ],
  [
    "an input has many axes",
    { input: [value("x", Array(17).fill(1))] },
    /the input "x" has 17 axes, more than 16/,
  ],
  ["it is sparse", { sparseInitializer: [Uint8Array.of(1)] }, /holds sparse initialisers/],
];

for (const [wrong, graph, state] of graphs) {
  Deno.test(`a graph is refused where ${wrong}`, () => refuses(writeGraph(graph), state));
}

const tensors: readonly [wrong: string, Part<"Tensor">, RegExp][] = [
  ["holds texts", { name: "w", dataType: 8 }, /"w" holds strings/],
  ["holds bytes of 4 bits", { name: "w", dataType: 22 }, /"w" holds integers of 4 bits/],
  ["is of no type", { name: "w", dataType: 99 }, /"w" holds elements of an unknown type \(99\)/],
  ["is too short", { ...one, dims: [2n] }, /"w" has 4 bytes, its shape needs 8/],
  ["is empty", bare("w", "float32", [1]), /"w" has 0 bytes, its shape needs 4/],
  ["is huge", bare("w", "float32", [2 ** 30, 2]), /and those before it have more than 4294967296/],
  ["is beyond counting", bare("w", "float32", [2 ** 40, 2 ** 40, 0]), /more than 4294967296/],
  ["has many axes", bare("w", "float32", Array(17).fill(1)), /"w" has 17 axes, more than 16/],
  ["has a negative axis", bare("w", "float32", [-1]), /"w" has an axis of -1 elements/],
  [
    "is there twice",
    { ...typedTensor("w", "float32", [1], [1]), rawData: new Uint8Array(4) },
    /"w" holds float32 and other data/,
  ],
  [
    "is of another field",
    { ...typedTensor("w", "int64", [1], [1]), dataType: 1 },
    /"w" holds float32 and other data/,
  ],
  ["has few typed floats", typedTensor("w", "float32", [2], [1]), /has 4 bytes, its shape needs 8/],
  ["has few typed integers", typedTensor("w", "int64", [2], [300]), /holds 1 elements, its shape/],
  ["has no integers", typedTensor("w", "int64", [2], [1]), /has 1 bytes for 2 elements/],
  ["has many integers", typedTensor("w", "int64", [1], [1, 2]), /more than the 1 elements/],
  ["holds 300 as a byte", typedTensor("w", "int8", [1], [300]), /"w" holds 300, which is no int8/],
  ["holds 2 as a truth value", typedTensor("w", "bool", [1], [2]), /holds 2, which is no bool/],
  ["holds a large half", typedTensor("w", "float16", [1], [65536]), /65536, which is no float16/],
  ["rounds", tensor("w", "int64", [1], [2n ** 53n + 1n]), /9007199254740993, an integer beyond/],
  ["rounds typed", typedTensor("w", "uint64", [1], [2n ** 63n]), /9223372036854775808, an integer/],
  ["ends early", { ...bare("w", "int64", [1]), int64Data: [Uint8Array.of(128)] }, /"w" is damaged/],
  ["is one of several parts", { ...one, segment: Uint8Array.of(8, 1) }, /is one part of several/],
  ["lies in no known place", { ...one, dataLocation: 2 }, /a place that ONNX does not know/],
];

for (const [wrong, initializer, state] of tensors) {
  Deno.test(`an array is refused that ${wrong}`, async () => {
    await refuses(writeGraph({ initializer: [initializer] }), state);
    const constant = node("Constant", [], ["c"], { value: initializer });
    const attribute = /attribute "value" of the node "Constant_0"/;
    await refuses(writeGraph({ node: [constant] }), attribute);
  });
}

const attributes: readonly [wrong: string, Part<"Attribute">[], RegExp][] = [
  [
    "is of another type",
    [{ name: "a", type: 1, i: 1n }],
    /"a" of the node "Relu_0" has no value of/,
  ],
  ["is of two", [{ name: "a", f: 1, i: 1n }], /"a" of the node "Relu_0" has no value of the type/],
  ["is of none", [{ name: "a" }], /"a" of the node "Relu_0" has no value of the type/],
  ["is of an unknown type", [{ name: "a", type: 77 }], /has no value of the type that it says/],
  ["is there twice", [{ name: "a", i: 1n }, { name: "a", i: 1n }], /has two attributes "a"/],
  ["is a missing tensor", [{ name: "a", type: 4 }], /is a tensor that is missing/],
  ["stands for another", [{ name: "a", type: 2, refAttrName: "b" }], /one of a function/],
  ["rounds", [{ name: "a", type: 2, i: 2n ** 60n }], /is 1152921504606846976, an integer beyond/],
];

for (const [wrong, attribute, state] of attributes) {
  Deno.test(`an attribute is refused that ${wrong}`, () =>
    refuses(writeGraph({ input: [x], node: [{ ...relu, attribute }] }), state));
}

Deno.test("other versions of the operators are refused, others' domains and functions are not", async () => {
  for (const opset of [9, 21]) {
    assert.equal((await readOnnx(writeGraph({}, { opset }))).opset, opset);
  }
  for (const opset of [1, 8, 22, 2 ** 40]) {
    await refuses(
      writeGraph({}, { opset }),
      new RegExp(`of opset ${opset}, read are 9 to 21; exp`),
    );
  }
  const version = (domain: string, version: bigint): Part<"OperatorSet"> => ({ domain, version });
  const of = (...opsetImport: Part<"OperatorSet">[]): Uint8Array => writeGraph({}, { opsetImport });
  await refuses(of(), /it names 0 versions of ONNX's operators where one is needed/);
  await refuses(of(version("com.microsoft", 1n)), /it names 0 versions/);
  await refuses(of(version("", 12n), version("ai.onnx", 13n)), /it names 2 versions/);
  const mixed = of(version("ai.onnx", 13n), version("com.microsoft", 1n));
  assert.equal((await readOnnx(mixed)).opset, 13);
  const functions = [{ name: "Relu", domain: "mine" }];
  assert.equal((await readOnnx(writeGraph({}, { functions }))).nodes.length, 0);
  await refuses(
    writeGraph({}, { functions: [{ name: "Relu", domain: "" }] }),
    /it defines ONNX's operator "Relu" in another way/,
  );
});

Deno.test("what is no ONNX file is said to be none", async () => {
  await refuses(new Uint8Array(), /it holds no graph; name a file that an exporter of ONNX wrote/);
  await refuses(writeModel({ irVersion: 8n }), /it holds no graph/);
  await refuses(utf8("# A text of several words"), /it is no ONNX file/);
  await refuses(Uint8Array.of(0x50, 0x4b, 3, 4, 20, 0, 0, 0), /it is no ONNX file|is damaged/);
  await refuses("no/such/file.onnx", /there is no such file; check the path/);
  const folder = await Deno.makeTempDir();
  await refuses(folder, /it is a folder; name a file/);
  await Deno.remove(folder);
});

Deno.test("a sentence is short, whatever the names in the file and the path are", async () => {
  const long = "n\n\u001b[31m".repeat(3000);
  const folder = await Deno.makeTempDir();
  const path = join(folder, `${"p".repeat(200)}.onnx`);
  const graphs: Part<"Graph">[] = [
    { node: [{ ...relu, name: long, input: [long] }] },
    { input: [x], node: [{ ...relu, name: long, attribute: [{ name: long, type: 1, i: 1n }] }] },
    { node: [{ ...relu, name: long, attribute: [{ name: long, t: { dataType: 8 } }] }] },
    { output: [value(long, [1])] },
    { initializer: [{ ...one, name: long, dims: [9n] }] },
    {
      initializer: [{
        ...bare(long, "float32", [1]),
        dataLocation: 1,
        externalData: [{ key: "location", value: long }, { key: "offset", value: long }],
      }],
    },
  ];
  for (const graph of graphs) {
    await Deno.writeFile(path, writeGraph(graph));
    await refuses(path, /^\P{Cc}*$/u);
  }
  await Deno.remove(folder, { recursive: true });
});
