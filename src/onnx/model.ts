/**
 * An ONNX model in memory: named arrays, and nodes over named values.
 *
 * @module
 */
import type { UserError } from "../base/errors.ts";

/** Types of elements that are read, by numpy's names. */
export type ElementType =
  | "float32"
  | "float64"
  | "float16"
  | "bfloat16"
  | "int64"
  | "int32"
  | "int16"
  | "int8"
  | "uint64"
  | "uint32"
  | "uint16"
  | "uint8"
  | "bool";

/** Elements on the host, each of them a number. */
export type HostArray =
  | Float32Array
  | Float64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint32Array
  | Uint16Array
  | Uint8Array;

/** An array on the host. */
export interface HostTensor {
  readonly type: ElementType;
  readonly shape: readonly number[];
  /**
   * Elements in row-major order. Halves (`float16`, `bfloat16`) lie in f32, which holds each of them exactly; truth
   * values are 0 and 1; integers of 64 bits lie in f64, each of them exact within 2^53. Beyond lie only the largest
   * and the smallest of all, which files write for "up to the end": they are 2^63 and -2^63 here.
   */
  readonly data: HostArray;
}

/** An input or an output of a model. */
export interface OnnxValue {
  readonly name: string;
  /** Undefined where the file does not say it. */
  readonly type: ElementType | undefined;
  /** Sizes, or their names where they are open, or undefined where they have none; undefined of an open rank. */
  readonly shape: readonly (number | string | undefined)[] | undefined;
}

/** An attribute of a kind that nothing here computes with, such as the graph of a branch. */
export interface UnreadAttribute {
  /** ONNX's name of the kind: `GRAPH`, `SPARSE_TENSOR`, `TYPE_PROTO`, ... */
  readonly unread: string;
}

/** A constant of a node: of integers and floats a number, of their lists numbers. */
export type Attribute =
  | number
  | string
  | readonly number[]
  | readonly string[]
  | HostTensor
  | UnreadAttribute;

/** An operator applied to values. */
export interface OnnxNode {
  /** Its own name; one made of its operator and its place in the file, such as `Conv_12`, where it has none. */
  readonly name: string;
  /** The operator, such as `Conv`. */
  readonly op: string;
  /** Where the operator is defined: `""` for ONNX's own. */
  readonly domain: string;
  /** Names of values; `""` for one that is left out. */
  readonly inputs: readonly string[];
  /** Names of values; `""` for one that nobody wants. */
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, Attribute>;
}

/** A model out of a file. Every name that is read is defined once, and before it is read. */
export interface OnnxModel {
  /** The file's name without its folder. */
  readonly name: string;
  /** SHA-256 of the file and, where its arrays lie in others, of these. */
  readonly sha256: string;
  /** Paths of the other files that its arrays lie in, from its folder on. */
  readonly beside: readonly string[];
  readonly irVersion: number;
  /** Version of ONNX's own operators. */
  readonly opset: number;
  /** What wrote it, with its version, such as `pytorch 2.1.0`; empty where it does not say. */
  readonly producer: string;
  /** What has to be given: inputs that no initialiser fills. */
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  /** In an order in which each follows what it reads. */
  readonly nodes: readonly OnnxNode[];
  readonly initializers: ReadonlyMap<string, HostTensor>;
  /** What else it says of itself. */
  readonly metadata: ReadonlyMap<string, string>;
}

/** Makes the error that says what is wrong with a file, and what helps; exporting it again where not told. */
export type Fail = (state: string, remedy?: string) => UserError;
