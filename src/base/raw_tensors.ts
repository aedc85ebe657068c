/**
 * What a file of safetensors holds, before it is known what for: arrays as they lie there, and strings about them.
 * The format is a header in JSON, then raw little-endian arrays.
 *
 * @module
 */
import { z } from "zod";
import type { UserError } from "./errors.ts";
import { elements, mostAxes, quote } from "./refusal.ts";

/**
 * Bytes of an element, how one is read, its name where it is an integer or a truth value, and whether f32
 * may not hold it.
 */
export interface ElementType {
  readonly size: number;
  readonly read: (view: DataView, at: number) => number;
  readonly integer?: string;
  readonly whole?: true;
}

/** Elements by the format's type names, little-endian. */
export const elementTypes = {
  F64: { size: 8, read: (v, at) => v.getFloat64(at, true) },
  F32: { size: 4, read: (v, at) => v.getFloat32(at, true) },
  F16: { size: 2, read: (v, at) => halfToNumber(v.getUint16(at, true)) },
  BF16: { size: 2, read: (v, at) => bfloatToNumber(v.getUint16(at, true)) },
  I64: {
    size: 8,
    read: (v, at) => exactNumber(v.getBigInt64(at, true)),
    integer: "I64",
    whole: true,
  },
  I32: { size: 4, read: (v, at) => v.getInt32(at, true), integer: "I32", whole: true },
  I16: { size: 2, read: (v, at) => v.getInt16(at, true), integer: "I16" },
  I8: { size: 1, read: (v, at) => v.getInt8(at), integer: "I8" },
  U64: {
    size: 8,
    read: (v, at) => exactNumber(v.getBigUint64(at, true)),
    integer: "U64",
    whole: true,
  },
  U32: { size: 4, read: (v, at) => v.getUint32(at, true), integer: "U32" },
  U16: { size: 2, read: (v, at) => v.getUint16(at, true), integer: "U16" },
  U8: { size: 1, read: (v, at) => v.getUint8(at), integer: "U8" },
  BOOL: { size: 1, read: (v, at) => v.getUint8(at), integer: "BOOL" },
} as const satisfies Readonly<Record<string, ElementType>>;

/** Bytes of a header: the limit of the reference implementation (huggingface/safetensors). */
const mostHeader = 100_000_000;
/**
 * Texts, brackets and commas of a header. An array of four axes has 15 of them and the largest models have
 * some thousands of arrays, this allows 70,000; within the bytes alone, a header of empty lists would take gigabytes.
 */
const mostTokens = 2 ** 20;

const entrySchema = z.object({
  dtype: z.string(),
  shape: z.array(z.int().min(0)),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});

/** An array as it lies in a file. */
export interface RawArray {
  readonly name: string;
  /** Its type by the format's name, such as `F32`. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Its elements, row-major. */
  readonly bytes: Uint8Array;
}

/** The same with how its elements are read. */
export interface ReadableArray extends RawArray {
  readonly type: ElementType;
}

/** What a file holds. */
export interface RawTensors {
  /** In the file's order. */
  readonly arrays: readonly ReadableArray[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** Makes the error that says what is wrong with a file. */
type Fail = (state: string) => UserError;

/**
 * The arrays of a file of safetensors, each a view of its bytes, and its metadata.
 *
 * @param fail makes the error that says what is wrong with the file
 * @throws what `fail` makes, when it is no such file, cut off or inconsistent
 */
export function readRawTensors(bytes: Uint8Array, fail: Fail): RawTensors {
  const header = readHeader(bytes, fail);
  const arrays = rawEntries(header, bytes.subarray(header.bytes), fail);
  return { arrays, metadata: header.metadata };
}

/** What a file begins with. */
interface Header {
  /** Its own length, with the eight bytes that state it. */
  readonly bytes: number;
  /** Names of the arrays, in the file's order. */
  readonly names: readonly string[];
  /** What it says of each, unchecked. */
  readonly entries: ReadonlyMap<string, unknown>;
  readonly metadata: Readonly<Record<string, string>>;
}

function readHeader(bytes: Uint8Array, fail: Fail): Header {
  if (bytes.length < 8) throw fail(`it has ${bytes.length} bytes, too few for a header`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  if (length > bytes.length - 8) throw fail("it is no safetensors file, or was cut off");
  if (length > mostHeader) throw fail(`its header has ${length} bytes, more than ${mostHeader}`);
  const encoded = bytes.subarray(8, 8 + length);
  if (tokens(encoded) > mostTokens) {
    throw fail(`its header has more than ${mostTokens} texts, brackets and commas`);
  }
  let header: unknown;
  let keys: string[] = [];
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(encoded);
    header = JSON.parse(text);
    keys = topKeys(text);
  } catch {
    throw fail("its header is damaged");
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) {
    throw fail("its header is damaged");
  }
  const known = new Set<string>();
  const twice = keys.find((key) => known.size === known.add(key).size);
  if (twice !== undefined) throw fail(`its header holds ${quote(twice)} twice`);
  const entries = new Map<string, unknown>(Object.entries(header));
  const metadata = z.record(z.string(), z.string()).safeParse(entries.get("__metadata__") ?? {});
  if (!metadata.success) throw fail("its metadata are damaged");
  const names = keys.filter((key) => key !== "__metadata__");
  return { bytes: 8 + length, names, entries, metadata: metadata.data };
}

/** An array with its place in the body. */
interface Entry extends ReadableArray {
  readonly from: number;
}

/** The arrays of a body, which hold each of its bytes once. */
function rawEntries({ names, entries }: Header, body: Uint8Array, fail: Fail): Entry[] {
  const raw = names.map((name): Entry => {
    const shown = quote(name);
    const entry = entrySchema.safeParse(entries.get(name));
    const type = entry.success ? typeOf(entry.data.dtype) : undefined;
    if (!entry.success || !type) {
      throw fail(`the entry ${shown} is damaged or of an unknown type`);
    }
    const { dtype, shape, data_offsets: [from, to] } = entry.data;
    if (shape.length > mostAxes) throw fail(`the array ${shown} has more than ${mostAxes} axes`);
    const count = elements(shape);
    if (to > body.length) throw fail(`the array ${shown} was cut off`);
    if (to - from !== count * type.size) throw fail(`the array ${shown} has the wrong size`);
    return { name, dtype, shape, bytes: body.subarray(from, to), from, type };
  });
  // Before anything is made of them: the same bytes could stand for any number of arrays. Bytes of none are
  // refused too, as by the format, so that a file cannot be something else as well.
  let end = 0;
  for (const { from, bytes: { length } } of raw.toSorted(inBody)) {
    if (from < end) throw fail("two of its arrays overlap");
    if (from > end) throw fail(`its bytes from ${end} to ${from} belong to no array`);
    end = from + length;
  }
  if (end < body.length) throw fail(`its bytes from ${end} to ${body.length} belong to no array`);
  return raw;
}

function typeOf(dtype: string): ElementType | undefined {
  return new Map<string, ElementType>(Object.entries(elementTypes)).get(dtype);
}

/** Order in the body; what is empty comes before what begins at the same place. */
function inBody(a: { from: number; bytes: Uint8Array }, b: typeof a): number {
  return a.from - b.from || a.bytes.length - b.bytes.length;
}

/** How many texts, brackets and commas there are in JSON, without making any of them. */
function tokens(json: Uint8Array): number {
  const [mark, escape] = [0x22, 0x5c];
  const counted = new Uint8Array(256);
  for (const char of ",[]{}") counted[char.charCodeAt(0)] = 1;
  let count = 0;
  let inText = false;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i] ?? 0;
    if (inText && byte === escape) i++;
    else if (byte === mark) {
      inText = !inText;
      if (inText) count++;
    } else if (!inText) count += counted[byte] ?? 0;
  }
  return count;
}

/** Keys of a JSON object's first level, in the text's order, repeated ones included. */
function topKeys(json: string): string[] {
  const keys: string[] = [];
  let depth = 0;
  for (const [token, text, colon] of json.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}[\]]/g)) {
    if (text !== undefined) {
      if (depth === 1 && colon !== undefined) keys.push(String(JSON.parse(text)));
    } else depth += token === "{" || token === "[" ? 1 : -1;
  }
  return keys;
}

/** An integer of 64 bits as a number; NaN when that would round it. */
function exactNumber(value: bigint): number {
  const number = Number(value);
  return BigInt(number) === value ? number : NaN;
}

/** An IEEE half-precision number from its bits. */
function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = bits >> 10 & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** A bfloat16 number from its bits. */
function bfloatToNumber(bits: number): number {
  return new Float32Array(Uint32Array.of(bits << 16).buffer)[0] ?? NaN;
}
