/**
 * NumPy's `.npy`: a header in Python's notation, then an array (NumPy's NEP 1, versions 1 to 3).
 *
 * @module
 */
import { type ElementType, elementTypes } from "../src/base/raw_tensors.ts";
import { elements, mostAxes, quote } from "../src/base/refusal.ts";
import type { UserError } from "../src/base/errors.ts";

/** The name of a type of elements, as safetensors has it. */
export type ElementName = keyof typeof elementTypes;

/** An array as a file holds it. */
export interface StoredArray {
  readonly dtype: ElementName;
  readonly shape: readonly number[];
  /** Whether the first axis runs fastest, and not the last. */
  readonly columnMajor: boolean;
  readonly bytes: Uint8Array;
}

const magic = "\x93NUMPY";
/** Bytes that a header may have: NumPy's own take 128. */
const mostHeader = 2 ** 16;

/** NumPy's names of types, without the order of their bytes. */
const dtypes: Readonly<Record<string, ElementName>> = {
  f8: "F64",
  f4: "F32",
  f2: "F16",
  i8: "I64",
  i4: "I32",
  i2: "I16",
  i1: "I8",
  u8: "U64",
  u4: "U32",
  u2: "U16",
  u1: "U8",
  b1: "BOOL",
};

/**
 * The array of an `.npy`, a view of its bytes.
 *
 * @param fail makes the error that says what is wrong with it
 * @throws what `fail` makes, when it is none, is cut off, or holds what is no array of numbers
 */
export function readNpy(bytes: Uint8Array, fail: (state: string) => UserError): StoredArray {
  const text = (from: number, to: number): string =>
    String.fromCharCode(...bytes.subarray(from, to));
  if (text(0, magic.length) !== magic) throw fail("it is no .npy file");
  if (bytes.length < 12) throw fail("its header is cut off");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isShort = bytes[6] === 1;
  const length = isShort ? view.getUint16(8, true) : view.getUint32(8, true);
  const start = (isShort ? 10 : 12) + length;
  if (length > mostHeader || start > bytes.length) throw fail("its header is damaged or cut off");
  const header = text(start - length, start);
  const [, descr] = /'descr':\s*'([^']*)'/.exec(header) ?? [];
  const [, order] = /'fortran_order':\s*(True|False)/.exec(header) ?? [];
  const [, sides] = /'shape':\s*\(([\dL,\s]*)\)/.exec(header) ?? [];
  if (order === undefined || sides === undefined) throw fail("its header is damaged");
  const dtype = dtypes[(descr ?? "").slice(1)];
  if (descr === undefined || dtype === undefined) {
    throw fail(`its elements are of the type ${quote(descr ?? "of records")}, not numbers`);
  }
  const type: ElementType = elementTypes[dtype];
  if (descr.startsWith(">") && type.size > 1) {
    throw fail(`its numbers are big-endian (${quote(descr)})`);
  }
  const shape = [...sides.matchAll(/\d+/g)].map(Number);
  const [expected, held] = [elements(shape) * type.size, bytes.length - start];
  if (shape.length > mostAxes || held !== expected) {
    throw fail(`it holds ${held} bytes of data, its header says ${expected}`);
  }
  return { dtype, shape, columnMajor: order === "True", bytes: bytes.subarray(start) };
}
