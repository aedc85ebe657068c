/** ONNX files: real ones, arrays of every type, inside the file and beside it, and every kind of wrongness. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { sha256 } from "../src/base/digest.ts";
import { elementKinds } from "../src/onnx/elements.ts";
import type { ElementType, HostTensor, OnnxModel } from "../src/onnx/model.ts";
import { readOnnx } from "../src/onnx/read.ts";
import {
  bare,
  node,
  type Part,
  rawBytes,
  smallNetwork,
  tensor,
  typedTensor,
  value,
  writeGraph,
} from "./onnx_writer.ts";
import { sharedPath, testWithShared } from "./shared.ts";

/** What a graph of no nodes holds under a name. */
async function held(...initializer: Part<"Tensor">[]): Promise<HostTensor[]> {
  return [...(await readOnnx(writeGraph({ initializer }))).initializers.values()];
}

function counts({ nodes }: OnnxModel): Record<string, number> {
  const groups = Map.groupBy(nodes, ({ op }) => op);
  return Object.fromEntries([...groups].map(([op, of]) => [op, of.length]));
}

/**
 * SHA-256 of all initialisers' names and elements in f64, its first 16 digits, by ONNX's own reader for Python
 * (onnx 1.12, numpy_helper.to_array).
 */
const digests: Readonly<Record<string, string>> = {
  cifar_resnet8: "b9dbef7e8a3b1bed",
  cnn_bn_gap: "f803b15fd2081d1e",
  cnn_bn_gap_bn: "9eb40a85dcf78b78",
  lenet_view: "237f2d35c496e08a",
  mlp: "280787acf1371dda",
  mobile: "534e9b92b0e8fa0f",
  modern: "f420f28da7190687",
  odd: "a8eaa222cf804205",
  two_class: "30005edb5e6cb938",
  unsupported_lstm: "fa2670155310dc19",
  unsupported_nonzero: "940aa34cf127689f",
};

/** What is known of a reference file. */
interface Facts {
  readonly opset: number;
  readonly ir: number;
  readonly inputs: Readonly<Record<string, readonly (number | string)[]>>;
  readonly outputs: Readonly<Record<string, readonly (number | string)[]>>;
  readonly nodes: Readonly<Record<string, number>>;
}

/** Facts by file name; expected.json says nothing of modern.onnx. */
async function facts(): Promise<Map<string, Facts>> {
  const text = await Deno.readTextFile(sharedPath("reference/onnx/expected.json"));
  const nets: Record<string, { files?: Record<string, Facts>; file?: Facts }> = JSON.parse(text);
  return new Map(
    Object.entries(nets).flatMap(([name, { files, file }]) =>
      Object.entries(files ?? (file ? { [`${name}.onnx`]: file } : {}))
    ),
  );
}

for (const [name, digest] of Object.entries(digests)) {
  const path = `reference/onnx/${name}.onnx`;
  const files = name === "modern" ? [path, `${path}.data`] : [path];
  testWithShared(`${name}.onnx is read as it was written`, files, async () => {
    const model = await readOnnx(sharedPath(path));
    const hash = createHash("sha256");
    for (const [name, { data }] of model.initializers) {
      hash.update(name).update(new Uint8Array(Float64Array.from(data).buffer));
    }
    assert.equal(hash.digest("hex").slice(0, 16), digest);
    const fact = (await facts()).get(`${name}.onnx`);
    assert.equal(fact === undefined, name === "modern");
    if (!fact) return;
    assert.deepEqual(counts(model), fact.nodes);
    assert.deepEqual([model.opset, model.irVersion], [fact.opset, fact.ir]);
    const shapes = (values: OnnxModel["inputs"]): unknown =>
      Object.fromEntries(values.map(({ name, shape }) => [name, shape]));
    assert.deepEqual(shapes(model.inputs), fact.inputs);
    assert.deepEqual(shapes(model.outputs), fact.outputs);
  });
}

Deno.test("a small network is read with everything that it holds", async () => {
  const bytes = smallNetwork();
  const model = await readOnnx(bytes);
  assert.equal(model.sha256, sha256(bytes));
  assert.deepEqual([model.opset, model.irVersion, model.producer], [17, 8, "tests"]);
  assert.deepEqual([...model.metadata], [["note", "small"]]);
  assert.deepEqual(model.inputs, [
    { name: "image", type: "float32", shape: ["batch", 1, 4, 4] },
  ]);
  assert.deepEqual(model.outputs, [{ name: "logits", type: "float32", shape: ["batch", 3] }]);
  assert.deepEqual(model.nodes.map(({ name }) => name), [
    "Conv_0",
    "Relu_1",
    "Reshape_2",
    "Constant_3",
    "Cast_4",
    "Gemm_5",
    "Add_6",
  ]);
  const [conv, , , constant, , gemm] = model.nodes;
  assert.deepEqual(
    [...conv?.attributes ?? []],
    [["kernel_shape", [3, 3]], ["auto_pad", "VALID"], ["group", 1]],
  );
  assert.deepEqual(constant?.attributes.get("value"), {
    type: "float32",
    shape: [1],
    data: Float32Array.of(0),
  });
  assert.deepEqual(gemm?.inputs, ["flat", "cast", ""]);
  assert.deepEqual(model.initializers.get("shape"), {
    type: "int64",
    shape: [2],
    data: Float64Array.of(0, -1),
  });
});

/** Elements of each type as a file has them, and as they are here. */
const values: Readonly<
  Record<ElementType, readonly [stored: (number | bigint)[], read: number[]]>
> = {
  float32: [[0.1, -0, Infinity, NaN], [Math.fround(0.1), -0, Infinity, NaN]],
  float64: [[0.1, -0, 1e300, NaN], [0.1, -0, 1e300, NaN]],
  // 1, the least above 0, the largest, the negative infinity, -0, and 1/3 as near as may be.
  float16: [
    [0x3c00, 0x0001, 0x7bff, 0xfc00, 0x8000, 0x3555],
    [1, 2 ** -24, 65504, -Infinity, -0, 0.333251953125],
  ],
  bfloat16: [
    [0x3f80, 0x0001, 0x7f7f, 0xff80, 0x8000, 0x3eab],
    [1, 2 ** -133, 2 ** 128 - 2 ** 120, -Infinity, -0, 0.333984375],
  ],
  int64: [
    [-(2n ** 53n) + 1n, 2n ** 53n - 1n, 2n ** 63n - 1n, -(2n ** 63n), 1n - 2n ** 63n],
    [-(2 ** 53) + 1, 2 ** 53 - 1, 2 ** 63, -(2 ** 63), -(2 ** 63)],
  ],
  int32: [[-(2 ** 31), 2 ** 31 - 1, -1], [-(2 ** 31), 2 ** 31 - 1, -1]],
  int16: [[-32768, 32767, -1], [-32768, 32767, -1]],
  int8: [[-128, 127, -1], [-128, 127, -1]],
  uint64: [[0, 2n ** 53n - 1n], [0, 2 ** 53 - 1]],
  uint32: [[0, 2 ** 32 - 1], [0, 2 ** 32 - 1]],
  uint16: [[0, 65535], [0, 65535]],
  uint8: [[0, 255], [0, 255]],
  bool: [[0, 1], [0, 1]],
};

for (const [type, [stored, read]] of Object.entries(values)) {
  Deno.test(`elements of the type ${type} are read from raw bytes and from their own field`, async () => {
    const kind = type as ElementType;
    const [raw, typed] = await held(
      tensor("raw", kind, [read.length], stored),
      typedTensor("typed", kind, [1, read.length], stored),
    );
    assert.deepEqual([raw?.type, raw?.shape, typed?.shape], [type, [read.length], [
      1,
      read.length,
    ]]);
    assert.ok(raw?.data instanceof elementKinds[kind].array);
    assert.deepEqual(Array.from(raw.data), read);
    assert.deepEqual(Array.from(typed?.data ?? []), read);
  });
}

Deno.test("a scalar has one element, and an array may have none, in two pieces, or odd truth values", async () => {
  const two = rawBytes("float32", [1]);
  const [scalar, none, pieces, truth] = await held(
    tensor("scalar", "int64", [], [7]),
    tensor("none", "float32", [0, 3], []),
    { ...bare("pieces", "float32", [2]), floatData: [two, two] },
    tensor("truth", "bool", [2], [0, 200]),
  );
  assert.deepEqual(scalar, { type: "int64", shape: [], data: Float64Array.of(7) });
  assert.deepEqual(none, { type: "float32", shape: [0, 3], data: new Float32Array() });
  assert.deepEqual(pieces?.data, Float32Array.of(1, 1));
  assert.deepEqual(truth?.data, Uint8Array.of(0, 1));
});

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

Deno.test("attributes of every kind are read, with and without a type, or said to be unread", async () => {
  const attribute: Part<"Attribute">[] = [
    { name: "f", type: 1, f: 0.5 },
    { name: "i", type: 2, i: -3n },
    { name: "zero", type: 2 },
    { name: "end", type: 2, i: 2n ** 63n - 1n },
    { name: "s", type: 3, s: utf8("Ä") },
    { name: "t", type: 4, t: tensor("", "int32", [1], [5]) },
    { name: "floats", type: 6, floats: [1, 0.5] },
    { name: "ints", type: 7, ints: [1n, -1n] },
    { name: "none", type: 7 },
    { name: "strings", type: 8, strings: [utf8("a"), utf8("b")] },
    { name: "untyped", ints: [2n] },
    // The bytes of a graph are looked at no further.
    { name: "branch", type: 5, g: Uint8Array.of(255, 255, 255) },
    { name: "branches", type: 10, graphs: [Uint8Array.of(1)] },
    { name: "sparse", type: 11, sparseTensor: Uint8Array.of(1) },
  ];
  const file = writeGraph({ node: [{ opType: "If", domain: "com.x", output: ["y"], attribute }] });
  const [only] = (await readOnnx(file)).nodes;
  assert.equal(only?.domain, "com.x");
  assert.deepEqual([...only.attributes], [
    ["f", 0.5],
    ["i", -3],
    ["zero", 0],
    ["end", 2 ** 63],
    ["s", "Ä"],
    ["t", { type: "int32", shape: [1], data: Int32Array.of(5) }],
    ["floats", [1, 0.5]],
    ["ints", [1, -1]],
    ["none", []],
    ["strings", ["a", "b"]],
    ["untyped", [2]],
    ["branch", { unread: "GRAPH" }],
    ["branches", { unread: "GRAPHS" }],
    ["sparse", { unread: "SPARSE_TENSOR" }],
  ]);
});

Deno.test("values say what a file says of them: open sizes, no shape, no type", async () => {
  const dim = [{ dimParam: "n" }, {}, { dimValue: -1n }, { dimValue: 0n }, { dimValue: 5n }];
  const { inputs } = await readOnnx(writeGraph({
    input: [
      { name: "a", type: { tensorType: { elemType: 10, shape: { dim } } } },
      { name: "b", type: { tensorType: { elemType: 7 } } },
      { name: "c", type: { tensorType: { elemType: 1, shape: {} } } },
      { name: "d" },
      value("w", [1]),
    ],
    initializer: [tensor("w", "float32", [1], [1])],
  }));
  assert.deepEqual(inputs, [
    { name: "a", type: "float16", shape: ["n", undefined, undefined, 0, 5] },
    { name: "b", type: "int64", shape: undefined },
    { name: "c", type: "float32", shape: [] },
    { name: "d", type: undefined, shape: undefined },
  ]);
});

Deno.test("nodes are put in order where a file has them in another, and stay in it where not", async () => {
  const chain = Array.from({ length: 5000 }, (_, i) => node("Relu", [`x${i}`], [`x${i + 1}`]));
  const order = async (nodes: Part<"Node">[]): Promise<string> => {
    const model = await readOnnx(writeGraph({
      input: [value("x0", [1])],
      output: [value("x5000", [1])],
      node: nodes,
    }));
    return model.nodes.map(({ outputs }) => outputs[0]).join();
  };
  const inOrder = chain.map(({ output }) => output?.[0]).join();
  assert.equal(await order(chain), inOrder);
  assert.equal(await order(chain.toReversed()), inOrder);
  // Two that wait for nothing stay as they are; one that both wait for comes first.
  const free = await readOnnx(writeGraph({
    node: [
      node("Add", ["c", "c"], ["a"]),
      node("Mul", ["c", ""], ["b", ""]),
      node("Constant", [], ["c"], { value: tensor("", "float32", [], [1]) }),
    ],
  }));
  assert.deepEqual(free.nodes.map(({ op }) => op), ["Constant", "Add", "Mul"]);
});
