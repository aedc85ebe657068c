/**
 * Types of elements: how they lie in a file, and what they hold.
 *
 * @module
 */
import type { ElementType, HostArray } from "./model.ts";

/** Axes that an array may have. */
export const mostAxes = 16;

/** One type of elements. */
export interface ElementKind {
  /** `TensorProto.DataType`. */
  readonly code: number;
  /** Bytes of one in a file. */
  readonly bytes: number;
  /** The array that holds them here. */
  readonly array: {
    new (length: number): HostArray;
    new (values: ArrayLike<number>): HostArray;
    readonly BYTES_PER_ELEMENT: number;
  };
  /** Where a tensor that has no raw bytes keeps them. */
  readonly field: "floatData" | "doubleData" | "int32Data" | "int64Data" | "uint64Data";
  /** The least and the largest, of integers and truth values. */
  readonly range?: readonly [least: number, largest: number];
}

/** Integers up to here, and from its negative, are exact in f64. */
const exact = Number.MAX_SAFE_INTEGER;

/** Every type that is read. */
export const elementKinds: Readonly<Record<ElementType, ElementKind>> = {
  float32: { code: 1, bytes: 4, array: Float32Array, field: "floatData" },
  uint8: { code: 2, bytes: 1, array: Uint8Array, field: "int32Data", range: [0, 2 ** 8 - 1] },
  int8: { code: 3, bytes: 1, array: Int8Array, field: "int32Data", range: [-(2 ** 7), 2 ** 7 - 1] },
  uint16: { code: 4, bytes: 2, array: Uint16Array, field: "int32Data", range: [0, 2 ** 16 - 1] },
  int16: {
    code: 5,
    bytes: 2,
    array: Int16Array,
    field: "int32Data",
    range: [-(2 ** 15), 2 ** 15 - 1],
  },
  int32: {
    code: 6,
    bytes: 4,
    array: Int32Array,
    field: "int32Data",
    range: [-(2 ** 31), 2 ** 31 - 1],
  },
  int64: { code: 7, bytes: 8, array: Float64Array, field: "int64Data", range: [-exact, exact] },
  bool: { code: 9, bytes: 1, array: Uint8Array, field: "int32Data", range: [0, 1] },
  float16: { code: 10, bytes: 2, array: Float32Array, field: "int32Data" },
  float64: { code: 11, bytes: 8, array: Float64Array, field: "doubleData" },
  uint32: { code: 12, bytes: 4, array: Uint32Array, field: "uint64Data", range: [0, 2 ** 32 - 1] },
  uint64: { code: 13, bytes: 8, array: Float64Array, field: "uint64Data", range: [0, exact] },
  bfloat16: { code: 16, bytes: 2, array: Float32Array, field: "int32Data" },
};

/** What ONNX calls the types that are not read, by code. */
const unread: Readonly<Record<number, string>> = {
  8: "strings",
  14: "complex numbers",
  15: "complex numbers",
  17: "floats of 8 bits",
  18: "floats of 8 bits",
  19: "floats of 8 bits",
  20: "floats of 8 bits",
  21: "integers of 4 bits",
  22: "integers of 4 bits",
  23: "floats of 4 bits",
};

const byCode: ReadonlyMap<number, ElementType> = new Map(
  (Object.keys(elementKinds) as ElementType[]).map((type) => [elementKinds[type].code, type]),
);

/** The type of a code; undefined where it is not read. */
export function elementType(code: number): ElementType | undefined {
  return byCode.get(code);
}

/** What elements of a code that is not read are, for a sentence. */
export function unreadElements(code: number): string {
  return unread[code] ?? `elements of an unknown type (${code})`;
}

/** The extremes of 64 bits, and the largest one's negative: what files write for "up to the end". */
const extremes: ReadonlySet<bigint> = new Set([2n ** 63n - 1n, -(2n ** 63n), 1n - 2n ** 63n]);

/** An integer of 64 bits as {@linkcode HostTensor} has it; undefined where f64 would round it. */
export function exactNumber(value: bigint): number | undefined {
  const number = Number(value);
  return Number.isSafeInteger(number) || extremes.has(value) ? number : undefined;
}

/** The nearest `bfloat16`, ties to even: the upper half of an f32. */
export function bfloat16Round(value: number): number {
  if (Number.isNaN(value)) return NaN;
  const f32 = Float32Array.of(value);
  const [bits = 0] = new Uint32Array(f32.buffer);
  const nearest = bits + 0x7fff + (bits >>> 16 & 1);
  return new Float32Array(Uint32Array.of(nearest & 0xffff0000).buffer)[0] ?? NaN;
}
