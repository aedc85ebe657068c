/**
 * The part of ONNX's schema (onnx.proto of ONNX 1.16, IR version 10) that is read. Fields that are left out here
 * are skipped in a file.
 *
 * @module
 */
import { create, createFileRegistry, type DescMessage } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";

/**
 * Messages: each field's number and type, with `[]` where it repeats. Declared as plain bytes, which look the same
 * in a file, is what nothing may be made of before its size is known to be right: graphs within attributes, sparse
 * tensors, segments, and the packed numbers of tensors.
 */
const messages = {
  Model: {
    irVersion: [1, "int64"],
    producerName: [2, "string"],
    producerVersion: [3, "string"],
    graph: [7, "Graph"],
    opsetImport: [8, "OperatorSet[]"],
    metadataProps: [14, "Entry[]"],
    functions: [25, "Function[]"],
  },
  OperatorSet: { domain: [1, "string"], version: [2, "int64"] },
  Entry: { key: [1, "string"], value: [2, "string"] },
  Function: { name: [1, "string"], domain: [10, "string"] },
  Graph: {
    node: [1, "Node[]"],
    initializer: [5, "Tensor[]"],
    input: [11, "ValueInfo[]"],
    output: [12, "ValueInfo[]"],
    sparseInitializer: [15, "bytes[]"],
  },
  Node: {
    input: [1, "string[]"],
    output: [2, "string[]"],
    name: [3, "string"],
    opType: [4, "string"],
    attribute: [5, "Attribute[]"],
    domain: [7, "string"],
  },
  Attribute: {
    name: [1, "string"],
    f: [2, "float"],
    i: [3, "int64"],
    s: [4, "bytes"],
    t: [5, "Tensor"],
    g: [6, "bytes"],
    floats: [7, "float[]"],
    ints: [8, "int64[]"],
    strings: [9, "bytes[]"],
    tensors: [10, "bytes[]"],
    graphs: [11, "bytes[]"],
    typeProto: [14, "bytes"],
    typeProtos: [15, "bytes[]"],
    type: [20, "int32"],
    refAttrName: [21, "string"],
    sparseTensor: [22, "bytes"],
    sparseTensors: [23, "bytes[]"],
  },
  Tensor: {
    dims: [1, "int64[]"],
    dataType: [2, "int32"],
    segment: [3, "bytes"],
    floatData: [4, "bytes[]"],
    int32Data: [5, "bytes[]"],
    stringData: [6, "bytes[]"],
    int64Data: [7, "bytes[]"],
    name: [8, "string"],
    rawData: [9, "bytes"],
    doubleData: [10, "bytes[]"],
    uint64Data: [11, "bytes[]"],
    externalData: [13, "Entry[]"],
    dataLocation: [14, "int32"],
  },
  ValueInfo: { name: [1, "string"], type: [2, "Type"] },
  Type: { tensorType: [1, "TensorType"] },
  TensorType: { elemType: [1, "int32"], shape: [2, "Shape"] },
  Shape: { dim: [1, "Dimension[]"] },
  Dimension: { dimValue: [1, "int64"], dimParam: [2, "string"] },
} as const;

/** What a field of a scalar type is here. */
interface Scalars {
  readonly int32: number;
  readonly int64: bigint;
  readonly float: number;
  readonly string: string;
  readonly bytes: Uint8Array;
}

/** Name of a message. */
export type MessageName = keyof typeof messages;

type Content<Type> = Type extends `${infer Element}[]` ? readonly Content<Element>[]
  : Type extends keyof Scalars ? Scalars[Type]
  : Type extends MessageName ? Message<Type>
  : never;

/** A field that may be missing: a number is then 0, a text and bytes are empty, a message is undefined. */
type Field<Type> = Type extends MessageName ? Message<Type> | undefined : Content<Type>;

/** A message as it is decoded. */
export type Message<Name extends MessageName> = {
  readonly [Key in keyof typeof messages[Name]]: typeof messages[Name][Key] extends
    readonly [number, infer Type] ? Field<Type> : never;
};

const scalars = {
  int32: Type.INT32,
  int64: Type.INT64,
  float: Type.FLOAT,
  string: Type.STRING,
  bytes: Type.BYTES,
} as const satisfies Record<keyof Scalars, Type>;

const registry = createFileRegistry(
  create(FileDescriptorProtoSchema, {
    name: "onnx.proto",
    package: "onnx",
    syntax: "proto2",
    messageType: Object.entries(messages).map(([name, fields]) => ({
      name,
      field: Object.entries(fields).map(([name, [number, type]]) => fieldOf(name, number, type)),
    })),
  }),
  () => undefined,
);

function fieldOf(name: string, number: number, typed: string): {
  name: string;
  number: number;
  label: Label;
  type: Type;
  typeName?: string;
} {
  const kind = typed.replace("[]", "");
  const label = kind === typed ? Label.OPTIONAL : Label.REPEATED;
  const scalar = new Map<string, Type>(Object.entries(scalars)).get(kind);
  return scalar === undefined
    ? { name, number, label, type: Type.MESSAGE, typeName: `.onnx.${kind}` }
    : { name, number, label, type: scalar };
}

/** Describes a message to the package that decodes and encodes it. */
export function descriptionOf(name: MessageName): DescMessage {
  const found = registry.getMessage(`onnx.${name}`);
  if (!found) throw new Error(`Unreachable: no message ${name}`);
  return found;
}

/** Whether a file has a field that may be missing; of one that repeats, whether it has any. */
export function isSet<Of extends object>(message: Of, field: keyof Of): boolean {
  const value = message[field];
  // What a file leaves out is found on the prototype.
  return Array.isArray(value) ? value.length > 0 : Object.hasOwn(message, field);
}
