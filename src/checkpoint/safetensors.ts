/**
 * Archives of named arrays in the format of safetensors: those of models, with a digest of our own.
 *
 * @module
 */
import { sha256Of } from "../base/digest.ts";
import { writeAtomic } from "../base/atomic.ts";
import type { UserError } from "../base/errors.ts";
import { readFile } from "../base/files.ts";
import {
  type ElementType,
  elementTypes,
  type RawArray,
  type ReadableArray,
  readRawTensors,
} from "../base/raw_tensors.ts";
import { cannotRead, quote } from "../base/refusal.ts";
import { checkFormat } from "./statement.ts";

/**
 * An array in memory: f32, u32 where bits matter, or f64 for integers that f32 would round and for what is beyond its
 * range.
 */
export interface NamedArray {
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array | Uint32Array;
  /** The file's type where that is of integers or truth values, which no weight is. */
  readonly integer?: string;
}

/** Arrays by name, in order, and a block of strings about them. */
export interface Archive {
  readonly tensors: ReadonlyMap<string, NamedArray>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * Encodes arrays as F32, U32, or I64 (those in f64), in their order: equal archives make equal bytes.
 *
 * @throws Error when a shape does not fit its data, or an array bears the metadata's name
 */
export function encodeSafetensors({ tensors, metadata }: Archive): Uint8Array<ArrayBuffer> {
  const entries = [`"__metadata__":${JSON.stringify(metadata)}`];
  let end = 0;
  const raw = rawArrays(tensors);
  for (const { name, dtype, shape, bytes } of raw) {
    const entry = { dtype, shape, data_offsets: [end, end += bytes.length] };
    // Put together by hand: an object would move names that look like numbers to its front.
    entries.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
  }
  const text = `{${entries.join(",")}}`;
  const json = new TextEncoder().encode(text);
  const start = 8 + Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(start + end);
  bytes.fill(0x20, 8, start);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(start - 8), true);
  bytes.set(json, 8);
  let at = start;
  for (const { bytes: part } of raw) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

function rawArrays(tensors: Archive["tensors"]): RawArray[] {
  return Array.from(tensors, ([name, { shape, data }]) => {
    if (name === "__metadata__" || shape.reduce((a, b) => a * b, 1) !== data.length) {
      throw new Error(`Cannot encode "${name}": [${shape}] with ${data.length} values`);
    }
    const dtype = data instanceof Uint32Array
      ? "U32"
      : data instanceof Float32Array
      ? "F32"
      : "I64";
    const raw = data instanceof Float64Array ? BigInt64Array.from(data, BigInt) : data;
    const bytes = new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength);
    return { name, dtype, shape, bytes };
  });
}

/**
 * Decodes an archive; every type becomes f32, but U32, which stays, and integers that f32 would
 * round, which become f64.
 *
 * @param name of the file, for messages
 * @param remedy of a damaged one
 * @throws UserError when it is no safetensors file, cut off or inconsistent
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  name: string,
  remedy = "fetch or train it again",
): Archive {
  const fail = (state: string): UserError => cannotRead(name, state, remedy);
  const { arrays: raw, metadata } = readRawTensors(bytes, fail);
  const tensors = new Map(raw.map((array) => [array.name, decodeArray(array, fail)]));
  const { [digestKey]: digest, ...others } = metadata;
  // A file of ours has one; a file of others may have any metadata but this.
  const ours = digest !== undefined || (others["format"] ?? "").startsWith("mirage/");
  if (ours && digest !== archiveDigest(raw, others)) {
    checkFormat(others, name);
    throw fail("it is not what was written (its SHA-256 differs)");
  }
  return { tensors, metadata: others };
}

function decodeArray(
  { name, dtype, shape, bytes, type }: ReadableArray,
  fail: (state: string) => UserError,
): NamedArray {
  const count = bytes.length / type.size;
  const at = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const data = dtype === "U32"
    ? new Uint32Array(count)
    : inDoubles(type)
    ? new Float64Array(count)
    : new Float32Array(count);
  for (let i = 0; i < count; i++) data[i] = type.read(at, i * type.size);
  if (type.whole && data.some(Number.isNaN)) {
    throw fail(`the array ${quote(name)} holds an integer beyond 2^53`);
  }
  const { integer } = type;
  return {
    shape,
    data: data instanceof Float64Array ? narrow(data, type) : data,
    ...(integer && { integer }),
  };
}

/** Key of the metadata that holds {@linkcode archiveDigest}, in files of ours. */
const digestKey = "mirage.sha256";

/** SHA-256 of names, types, shapes and bytes of the arrays, in their order, and of the metadata. */
function archiveDigest(arrays: readonly RawArray[], metadata: Archive["metadata"]): string {
  const sorted = Object.entries(metadata).sort(([a], [b]) => a < b ? -1 : 1);
  return sha256Of([
    JSON.stringify(sorted),
    ...arrays.flatMap(({ name, dtype, shape, bytes }) => [
      JSON.stringify([name, dtype, shape]),
      bytes,
    ]),
  ]);
}

/**
 * Reads an archive.
 *
 * @throws UserError when it is no safetensors file, or one of ours and not what was written
 */
export async function readSafetensors(path: string): Promise<Archive> {
  return decodeSafetensors(await readFile(path), path);
}

/** Writes an archive with its SHA-256, whole or not at all. */
export async function writeSafetensors(
  path: string,
  { tensors, metadata }: Archive,
): Promise<void> {
  const digest = archiveDigest(rawArrays(tensors), metadata);
  await writeAtomic(
    path,
    encodeSafetensors({ tensors, metadata: { ...metadata, [digestKey]: digest } }),
  );
}

/** Whether elements are read as f64, of which f32 may not hold all. */
export function inDoubles(type: ElementType): boolean {
  return type.whole || type === elementTypes.F64;
}

/**
 * Numbers as f32: integers where it holds each of them exactly, others rounded where none of them is beyond its range;
 * else as they are.
 */
export function narrow(numbers: Float64Array, { whole }: ElementType): Float32Array | Float64Array {
  const narrowed = Float32Array.from(numbers);
  const fits = (value: number, i: number): boolean =>
    whole ? value === narrowed[i] : Number.isFinite(narrowed[i]) || !Number.isFinite(value);
  return numbers.every(fits) ? narrowed : numbers;
}
