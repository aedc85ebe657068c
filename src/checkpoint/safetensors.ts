/**
 * The safetensors format: a header in JSON, then raw little-endian arrays.
 *
 * @module
 */
import { z } from "zod";
import { writeAtomic } from "../atomic.ts";
import { UserError } from "../errors.ts";

/** An array in memory: f32, or u32 where bits matter. */
export interface NamedArray {
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint32Array;
}

/** Arrays by name, in order, and a block of strings about them. */
export interface Archive {
  readonly tensors: ReadonlyMap<string, NamedArray>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** Bytes of an element, and how one is read, by the format's type names. */
const types: Readonly<Record<string, { size: number; read: (v: DataView, at: number) => number }>> =
  {
    F64: { size: 8, read: (v, at) => v.getFloat64(at, true) },
    F32: { size: 4, read: (v, at) => v.getFloat32(at, true) },
    F16: { size: 2, read: (v, at) => halfToNumber(v.getUint16(at, true)) },
    BF16: { size: 2, read: (v, at) => bfloatToNumber(v.getUint16(at, true)) },
    I64: { size: 8, read: (v, at) => Number(v.getBigInt64(at, true)) },
    I32: { size: 4, read: (v, at) => v.getInt32(at, true) },
    U32: { size: 4, read: (v, at) => v.getUint32(at, true) },
    U8: { size: 1, read: (v, at) => v.getUint8(at) },
    BOOL: { size: 1, read: (v, at) => v.getUint8(at) },
  };

const entrySchema = z.object({
  dtype: z.string(),
  shape: z.array(z.int().min(0)),
  data_offsets: z.tuple([z.int().min(0), z.int().min(0)]),
});

/** Encodes arrays as F32 (or U32), in their order: equal archives make equal bytes. */
export function encodeSafetensors({ tensors, metadata }: Archive): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = { __metadata__: metadata };
  let end = 0;
  for (const [name, { shape, data }] of tensors) {
    const dtype = data instanceof Uint32Array ? "U32" : "F32";
    header[name] = { dtype, shape, data_offsets: [end, end += data.byteLength] };
  }
  const text = JSON.stringify(header);
  const json = new TextEncoder().encode(text);
  const start = 8 + Math.ceil(json.length / 8) * 8;
  const bytes = new Uint8Array(start + end);
  bytes.fill(0x20, 8, start);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(start - 8), true);
  bytes.set(json, 8);
  let at = start;
  for (const { data } of tensors.values()) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return bytes;
}

/**
 * Decodes an archive; every type becomes f32, but U32, which stays.
 *
 * @param name of the file, for messages
 * @throws UserError when it is no safetensors file, cut off or inconsistent
 */
export function decodeSafetensors(bytes: Uint8Array, name: string): Archive {
  const fail = (state: string): UserError =>
    new UserError(`Cannot read "${name}": ${state}; fetch or train it again`);
  if (bytes.length < 8) throw fail(`it has ${bytes.length} bytes, too few for a header`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  if (length > bytes.length - 8) throw fail("it is no safetensors file, or was cut off");
  let header: unknown;
  try {
    header = JSON.parse(
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + length)),
    );
  } catch {
    throw fail("its header is damaged");
  }
  const parsed = z.record(z.string(), z.unknown()).safeParse(header);
  if (!parsed.success) throw fail("its header is damaged");
  const { __metadata__: meta = {}, ...entries } = parsed.data;
  const metadata = z.record(z.string(), z.string()).safeParse(meta);
  if (!metadata.success) throw fail("its metadata are damaged");
  const tensors = new Map<string, NamedArray>();
  const body = bytes.length - 8 - length;
  const ranges: [number, number][] = [];
  for (const [key, value] of Object.entries(entries)) {
    const entry = entrySchema.safeParse(value);
    const type = entry.success ? types[entry.data.dtype] : undefined;
    if (!entry.success || !type) throw fail(`the entry "${key}" is damaged or of an unknown type`);
    const { dtype, shape, data_offsets: [from, to] } = entry.data;
    const count = shape.reduce((a, b) => a * b, 1);
    if (to > body) throw fail(`the array "${key}" was cut off`);
    if (to - from !== count * type.size) throw fail(`the array "${key}" has the wrong size`);
    ranges.push([from, to]);
    const data = dtype === "U32" ? new Uint32Array(count) : new Float32Array(count);
    const start = 8 + length + from;
    for (let i = 0; i < count; i++) data[i] = type.read(view, start + i * type.size);
    tensors.set(key, { shape, data });
  }
  ranges.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let end = 0;
  for (const [from, to] of ranges) {
    if (from < end) throw fail("two of its arrays overlap");
    end = to;
  }
  return { tensors, metadata: metadata.data };
}

/** Reads an archive. */
export async function readSafetensors(path: string): Promise<Archive> {
  return decodeSafetensors(await readFile(path), path);
}

/** Writes an archive whole or not at all. */
export async function writeSafetensors(path: string, archive: Archive): Promise<void> {
  await writeAtomic(path, encodeSafetensors(archive));
}

/** The bytes of a checkpoint. */
export async function readFile(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const state = error instanceof Deno.errors.NotFound
      ? "there is no such file"
      : error instanceof Deno.errors.PermissionDenied
      ? "reading it is not allowed"
      : error.message;
    throw new UserError(`Cannot read "${path}": ${state}; check the path`, { cause: error });
  }
}

/** An IEEE half-precision number from its bits. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = bits >> 10 & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** A bfloat16 number from its bits. */
export function bfloatToNumber(bits: number): number {
  return new Float32Array(Uint32Array.of(bits << 16).buffer)[0] ?? NaN;
}
