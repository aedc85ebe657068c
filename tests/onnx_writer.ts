/** Writes ONNX files: what the reader reads, and what it must refuse. */
import assert from "node:assert/strict";
import { create, type DescMessage, ScalarType, toBinary } from "@bufbuild/protobuf";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { UserError } from "../src/base/errors.ts";
import { readOnnx } from "../src/onnx/read.ts";
import { descriptionOf, type Message, type MessageName } from "../src/onnx/schema.ts";
import { elementKinds } from "../src/onnx/elements.ts";
import type { ElementType } from "../src/onnx/model.ts";

/** A message of which anything may be left out. */
export type Part<Name extends MessageName> = {
  readonly [Key in keyof Message<Name>]?: PartOf<Message<Name>[Key]>;
};

type PartOf<Value> = Value extends Uint8Array | bigint | number | string | undefined ? Value
  : Value extends readonly (infer Element)[] ? readonly PartOf<Element>[]
  : { readonly [Key in keyof Value]?: PartOf<Value[Key]> };

/** A model's file. */
export function writeModel(model: Part<"Model">): Uint8Array<ArrayBuffer> {
  const description = descriptionOf("Model");
  return Uint8Array.from(toBinary(description, create(description, { ...model })));
}

/** The file of a graph, of opset 17 where not told. */
export function writeGraph(
  graph: Part<"Graph">,
  { opset = 17, ...model }: Part<"Model"> & { readonly opset?: number } = {},
): Uint8Array<ArrayBuffer> {
  return writeModel({
    irVersion: 8n,
    producerName: "tests",
    opsetImport: [{ domain: "", version: BigInt(opset) }],
    graph,
    ...model,
  });
}

/** An input or an output of f32. */
export function value(name: string, shape: readonly (number | string)[]): Part<"ValueInfo"> {
  const dim = shape.map((size) =>
    typeof size === "string" ? { dimParam: size } : { dimValue: BigInt(size) }
  );
  return { name, type: { tensorType: { elemType: 1, shape: { dim } } } };
}

/** A node; integers, texts, lists and tensors are attributes of their kinds. */
export function node(
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attributes: Readonly<Record<string, number | string | readonly number[] | Part<"Tensor">>> = {},
): Part<"Node"> {
  const attribute = Object.entries(attributes).map(([name, value]): Part<"Attribute"> => {
    if (typeof value === "number") return { name, type: 2, i: BigInt(value) };
    if (typeof value === "string") return { name, type: 3, s: new TextEncoder().encode(value) };
    return Array.isArray(value)
      ? { name, type: 7, ints: value.map(BigInt) }
      : { name, type: 4, t: value as Part<"Tensor"> };
  });
  return { opType, input, output, attribute };
}

/** A tensor with its elements as raw bytes: of halves as their bits. */
export function tensor(
  name: string,
  type: ElementType,
  dims: readonly number[],
  values: readonly (number | bigint)[],
): Part<"Tensor"> {
  return { ...bare(name, type, dims), rawData: rawBytes(type, values) };
}

/** A tensor with its elements in the field of its type: of halves as their bits. */
export function typedTensor(
  name: string,
  type: ElementType,
  dims: readonly number[],
  values: readonly (number | bigint)[],
): Part<"Tensor"> {
  const { field } = elementKinds[type];
  const writer = new BinaryWriter();
  for (const value of values) {
    if (field === "floatData") writer.float(Number(value));
    else if (field === "doubleData") writer.double(Number(value));
    else if (field === "int32Data") writer.int32(Number(value));
    else if (field === "int64Data") writer.int64(BigInt(value));
    else writer.uint64(BigInt(value));
  }
  return { ...bare(name, type, dims), [field]: [writer.finish()] };
}

/** A tensor with its elements in another file. */
export function externalTensor(
  name: string,
  dims: readonly number[],
  entries: Readonly<Record<string, string>>,
): Part<"Tensor"> {
  const externalData = Object.entries(entries).map(([key, value]) => ({ key, value }));
  return { ...bare(name, "float32", dims), dataLocation: 1, externalData };
}

/** A tensor without elements. */
export function bare(name: string, type: ElementType, dims: readonly number[]): Part<"Tensor"> {
  return { name, dims: dims.map(BigInt), dataType: elementKinds[type].code };
}

/** Elements as raw bytes. */
export function rawBytes(
  type: ElementType,
  values: readonly (number | bigint)[],
): Uint8Array<ArrayBuffer> {
  const { bytes } = elementKinds[type];
  const view = new DataView(new ArrayBuffer(bytes * values.length));
  values.forEach((value, i) => {
    const at = i * bytes;
    if (type === "float32") view.setFloat32(at, Number(value), true);
    else if (type === "float64") view.setFloat64(at, Number(value), true);
    else if (bytes === 8) view.setBigInt64(at, BigInt(value), true);
    else if (bytes === 4) view.setUint32(at, Number(value), true);
    else if (bytes === 2) view.setUint16(at, Number(value), true);
    else view.setUint8(at, Number(value));
  });
  return new Uint8Array(view.buffer);
}

/** A small network with most of what a file may hold: arrays of every kind, attributes, an open batch. */
export function smallNetwork(): Uint8Array<ArrayBuffer> {
  return writeGraph({
    input: [value("image", ["batch", 1, 4, 4])],
    output: [value("logits", ["batch", 3])],
    initializer: [
      tensor("filters", "float32", [2, 1, 3, 3], Array.from({ length: 18 }, (_, i) => i / 18)),
      typedTensor("bias", "float32", [2], [0.5, -0.5]),
      typedTensor("shape", "int64", [2], [0, -1]),
      tensor("weight", "float16", [3, 8], Array.from({ length: 24 }, (_, i) => 0x3c00 + i)),
    ],
    node: [
      node("Conv", ["image", "filters", "bias"], ["maps"], {
        kernel_shape: [3, 3],
        auto_pad: "VALID",
        group: 1,
      }),
      node("Relu", ["maps"], ["active"]),
      node("Reshape", ["active", "shape"], ["flat"]),
      node("Constant", [], ["zero"], { value: tensor("", "float32", [1], [0]) }),
      node("Cast", ["weight"], ["cast"], { to: 1 }),
      node("Gemm", ["flat", "cast", ""], ["product"], { transB: 1 }),
      node("Add", ["product", "zero"], ["logits"]),
    ],
  }, { opset: 13, metadataProps: [{ key: "note", value: "small" }] });
}

/** A chain of operators on shapes and constants, as exporters write them, with axes of every sort. */
export function shapeChain(): Uint8Array<ArrayBuffer> {
  const ints = (...values: number[]): Part<"Tensor"> =>
    tensor("", "int64", [values.length], values);
  const constant = (name: string, ...values: number[]): Part<"Node"> =>
    node("Constant", [], [name], { value: ints(...values) });
  return writeGraph({
    input: [value("x", ["n", 6, 5, 5])],
    output: [value("flat", ["n", 150])],
    node: [
      node("Shape", ["x"], ["sizes"]),
      constant("0", 0),
      constant("1", 1),
      constant("-1", -1),
      constant("end", 2 ** 31 - 1),
      node("Slice", ["sizes", "0", "1"], ["rows"]),
      node("Slice", ["sizes", "1", "end", "0", "1"], ["others"]),
      node("ReduceProd", ["others"], ["columns"], { keepdims: 1 }),
      node("Concat", ["rows", "columns"], ["shape"], { axis: 0 }),
      node("Equal", ["shape", "-1"], ["open"]),
      node("ConstantOfShape", ["1"], ["zeros"], { value: ints(0) }),
      node("Where", ["open", "zeros", "shape"], ["chosen"]),
      node("Gather", ["chosen", "1"], ["last"], { axis: 0 }),
      node("Unsqueeze", ["last", "0"], ["wide"]),
      node("Squeeze", ["wide", "0"], ["narrow"]),
      node("Expand", ["narrow", "1"], ["same"]),
      node("Cast", ["same"], ["floats"], { to: 1 }),
      node("Div", ["floats", "floats"], ["ones"]),
      node("Split", ["sizes"], ["first", "second"], { axis: 0 }),
      node("Transpose", ["x"], ["turned"], { perm: [0, 2, 3, 1] }),
      node("Reshape", ["x", "chosen"], ["flat"]),
    ],
  }, { opset: 13 });
}

/** A damaged file with right lengths and kinds of fields, as far as it can be read, and with an opset. */
export function mended(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const head = writeGraph({}, { opset: 13 });
  return Uint8Array.from([...head, ...withRightLengths(bytes, descriptionOf("Model"))]);
}

function withRightLengths(bytes: Uint8Array, of: DescMessage): Uint8Array {
  const [reader, writer] = [new BinaryReader(bytes), new BinaryWriter()];
  try {
    while (reader.pos < bytes.length) {
      const [number, wire] = reader.tag();
      const field = of.fields.find((field) => field.number === number);
      if (wire !== WireType.LengthDelimited) {
        const value = reader.skip(wire, number);
        const text = [ScalarType.BYTES, ScalarType.STRING, undefined].includes(field?.scalar);
        if (!field || !text) writer.tag(number, wire).raw(value);
        continue;
      }
      const length = reader.uint32();
      const inner = bytes.subarray(reader.pos, reader.pos + length);
      reader.pos += inner.length;
      const content = field?.message ? withRightLengths(inner, field.message) : inner;
      writer.tag(number, wire).bytes(content);
    }
  } catch {
    // What comes behind a field that cannot be read is left out.
  }
  return writer.finish();
}

/** Holds a refusal of the reader: one sentence of a bounded length, soon. */
export async function refuses(file: string | Uint8Array, state: RegExp): Promise<void> {
  const started = performance.now();
  await assert.rejects(readOnnx(file), (error) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, state);
    assert.match(error.message, /^Cannot read ".*": .*; .*[^.]$/);
    assert.ok(error.message.length <= 400, error.message);
    return true;
  });
  // Far above what it takes, far below what it would take without limits.
  assert.ok(performance.now() - started < 30_000, `${state} took too long`);
}

/** LeNet as its code in PyTorch has it, where each ReLU comes before its pool, as an ONNX file of any batch. */
export function lenetFile(
  arrays: ReadonlyMap<
    string,
    { readonly shape: readonly number[]; readonly data: ArrayLike<number> }
  >,
): Uint8Array<ArrayBuffer> {
  const weights = (layer: string): string[] => [`${layer}.0.weight`, `${layer}.0.bias`];
  const pool = (from: string, to: string): ReturnType<typeof node> =>
    node("MaxPool", [from], [to], { kernel_shape: [2, 2], strides: [2, 2] });
  return writeGraph({
    input: [value("image", ["batch", 1, 28, 28])],
    output: [value("logits", ["batch", 10])],
    initializer: Array.from(
      arrays,
      ([name, { shape, data }]) => tensor(name, "float32", shape, Array.from(data)),
    ),
    node: [
      node("Conv", ["image", ...weights("conv1")], ["a"], { pads: [2, 2, 2, 2] }),
      node("Relu", ["a"], ["b"]),
      pool("b", "c"),
      node("Conv", ["c", ...weights("conv2")], ["d"], { kernel_shape: [5, 5] }),
      node("Relu", ["d"], ["e"]),
      pool("e", "f"),
      node("Flatten", ["f"], ["g"], { axis: 1 }),
      node("Gemm", ["g", ...weights("fc_1")], ["h"], { transB: 1 }),
      node("Relu", ["h"], ["i"]),
      node("Gemm", ["i", ...weights("fc_2")], ["logits"], { transB: 1 }),
    ],
  });
}
