/**
 * A reader of MATLAB's MAT-files of level 5 (versions 5 to 7): arrays of real numbers, compressed or
 * not, of either byte order. Cells, structures, text, sparse and complex arrays are passed over.
 *
 * @module
 */
import { inflateSync } from "node:zlib";
import { shortened, UserError } from "../src/base/errors.ts";
import { chunkFor } from "./files.ts";

/** Numbers of an array, in the type that MATLAB gives it. */
export type MatData =
  | Float64Array
  | Float32Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array;

/** One variable. */
export interface MatArray {
  /** Dimensions, at least two; MATLAB drops trailing ones of size 1 beyond the second. */
  readonly shape: readonly number[];
  /** Elements, column-major: the first index runs fastest. */
  readonly data: MatData;
}

/** The type that elements are stored in, which may be narrower than the array's. */
interface Stored {
  readonly size: number;
  readonly read: (view: DataView, at: number, little: boolean) => number;
}

/** A part of the file: its type and content. */
interface Element {
  readonly type: number;
  readonly body: Uint8Array;
  /** Where the next one begins. */
  readonly end: number;
}

/** Types of elements that are no numbers. */
const matrixType = 14;
const compressedType = 15;

const storedTypes: Readonly<Record<number, Stored>> = {
  1: { size: 1, read: (view, at) => view.getInt8(at) },
  2: { size: 1, read: (view, at) => view.getUint8(at) },
  3: { size: 2, read: (view, at, little) => view.getInt16(at, little) },
  4: { size: 2, read: (view, at, little) => view.getUint16(at, little) },
  5: { size: 4, read: (view, at, little) => view.getInt32(at, little) },
  6: { size: 4, read: (view, at, little) => view.getUint32(at, little) },
  7: { size: 4, read: (view, at, little) => view.getFloat32(at, little) },
  9: { size: 8, read: (view, at, little) => view.getFloat64(at, little) },
  12: { size: 8, read: (view, at, little) => exact(view.getBigInt64(at, little)) },
  13: { size: 8, read: (view, at, little) => exact(view.getBigUint64(at, little)) },
};

/** A 64-bit integer as a number; NaN where that would round it. */
function exact(value: bigint): number {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : NaN;
}

/** Makes the array of a class of real numbers. */
const classes: Readonly<Record<number, (length: number) => MatData>> = {
  6: (length) => new Float64Array(length),
  7: (length) => new Float32Array(length),
  8: (length) => new Int8Array(length),
  9: (length) => new Uint8Array(length),
  10: (length) => new Int16Array(length),
  11: (length) => new Uint16Array(length),
  12: (length) => new Int32Array(length),
  13: (length) => new Uint32Array(length),
  14: (length) => new Float64Array(length),
  15: (length) => new Float64Array(length),
};

/** The first class of 64-bit integers, which become f64 where that holds them exactly. */
const firstWide = 14;

/** Blocks that a file may hold, one a variable: SVHN's hold two, a saved workspace some dozens. */
const mostBlocks = 1000;

/** Dimensions that an array may have: MATLAB's reach as far as memory does, SVHN's have four. */
const mostDimensions = 32;

const bytesClass = 9;
const bytesType = 2;
/** The first stored type of 64-bit integers. */
const firstWideType = 12;
const complexFlag = 0x800;
const headerLength = 128;

/**
 * The variables of a MAT-file by name. Arrays of `uint8` are views of the (inflated) bytes.
 *
 * @param name of the file, for messages
 * @param limit bytes that its compressed blocks may unpack to in all, and that the numbers made of its
 * arrays may take in all
 * @throws {UserError} when it is no MAT-file of level 5, is cut off or damaged, or needs more than that.
 */
export function readMat(bytes: Uint8Array, name: string, limit: number): Map<string, MatArray> {
  const little = byteOrder(bytes, name);
  const reader = new Reader(name, little, limit);
  const variables = new Map<string, MatArray>();
  let blocks = 0;
  for (let at = headerLength; at < bytes.length;) {
    if (++blocks > mostBlocks) throw reader.broken(`it holds more than ${mostBlocks} blocks`);
    const element = reader.element(bytes, at, false);
    at = element.end;
    const { type, body } = element.type === compressedType
      ? reader.element(reader.inflate(element.body), 0)
      : element;
    if (type !== matrixType) continue;
    const variable = reader.variable(body);
    if (variable) variables.set(...variable);
  }
  return variables;
}

/** Whether the least byte comes first; refuses what is no MAT-file of level 5. */
function byteOrder(bytes: Uint8Array, name: string): boolean {
  const fail = (state: string): UserError => new UserError(`Cannot read "${name}": ${state}`);
  if (bytes.length === 0) throw fail("it is empty; fetch it again");
  const at = (start: number, length: number): string =>
    String.fromCharCode(...bytes.subarray(start, start + length));
  if ([0, 512].some((start) => at(start, 4) === "\x89HDF")) {
    throw fail("it is a MAT-file of version 7.3 (HDF5); save it with -v7");
  }
  const order = at(126, 2);
  if (order === "IM" || order === "MI") return order === "IM";
  if (bytes.length >= 20 && bytes.subarray(0, 4).includes(0)) {
    throw fail("it is no MAT-file, or one of version 4; save it with -v7");
  }
  throw fail("it is no MAT-file; fetch it again");
}

class Reader {
  /** Bytes that may still be unpacked, and that numbers may still take. */
  #packedRoom: number;
  #numbersRoom: number;

  constructor(readonly name: string, readonly little: boolean, readonly limit: number) {
    this.#packedRoom = limit;
    this.#numbersRoom = limit;
  }

  /** The element at a place; those inside a matrix are filled up to 8 bytes. */
  element(bytes: Uint8Array, at: number, filled = true): Element {
    if (at + 8 > bytes.length) throw this.broken("it was cut off");
    const view = viewOf(bytes);
    const first = view.getUint32(at, this.little);
    const isSmall = first > 0xffff;
    const type = isSmall ? first & 0xffff : first;
    const length = isSmall ? first >>> 16 : view.getUint32(at + 4, this.little);
    if (isSmall && length > 4) throw this.broken("it is damaged");
    const start = at + (isSmall ? 4 : 8);
    if (start + length > bytes.length) throw this.broken("it was cut off");
    const end = isSmall ? at + 8 : start + (filled ? Math.ceil(length / 8) * 8 : length);
    return { type, body: bytes.subarray(start, start + length), end };
  }

  inflate(body: Uint8Array): Uint8Array {
    try {
      const maxOutputLength = Math.max(1, this.#packedRoom);
      const options = { chunkSize: chunkFor(body), maxOutputLength };
      const { buffer, byteOffset, length } = inflateSync(body, options);
      this.#packedRoom -= length;
      return new Uint8Array(buffer, byteOffset, length);
    } catch (error) {
      if (error instanceof RangeError) {
        throw this.broken(`its blocks unpack to more than ${this.limit} bytes`);
      }
      throw this.broken("its compressed data is damaged");
    }
  }

  /** A matrix, if it is one of real numbers: flags, dimensions, name, elements. */
  variable(body: Uint8Array): [name: string, array: MatArray] | undefined {
    const flags = this.element(body, 0);
    if (flags.body.length !== 8) throw this.broken("it is damaged");
    const [word = 0] = this.#numbers(flags, new Uint32Array(2));
    const make = classes[word & 0xff];
    if (!make || (word & complexFlag) !== 0) return undefined;
    const sizes = this.element(body, flags.end);
    if (sizes.body.length > 4 * mostDimensions) {
      throw this.broken(`one of its arrays has more than ${mostDimensions} dimensions`);
    }
    const shape = [...this.#numbers(sizes, new Int32Array(sizes.body.length >> 2))];
    const title = this.element(body, sizes.end);
    const elements = this.element(body, title.end);
    const count = shape.reduce((a, b) => a * b, 1);
    const size = storedTypes[elements.type]?.size ?? NaN;
    if (shape.length < 2 || shape.some((n) => n < 0) || elements.body.length !== count * size) {
      throw this.broken("one of its arrays has another size than it says");
    }
    const asStored = (word & 0xff) === bytesClass && elements.type === bytesType;
    if (asStored) return [nameOf(title), { shape, data: elements.body }];
    // An element takes at most eight bytes, whatever its class.
    this.#numbersRoom -= 8 * count;
    if (this.#numbersRoom < 0) {
      throw this.broken(
        `its numbers take more than ${this.limit} bytes`,
        "save images as uint8, or fetch it again",
      );
    }
    const data = this.#numbers(elements, make(count));
    const isWide = (word & 0xff) >= firstWide || elements.type >= firstWideType;
    if (isWide && !data.every((value: number) => Number.isSafeInteger(value))) {
      throw this.broken("it holds an integer beyond 2^53", "save it as int32 or double");
    }
    return [nameOf(title), { shape, data }];
  }

  /** Fills an array with an element's numbers. */
  #numbers<T extends MatData>({ type, body }: Element, into: T): T {
    const stored = storedTypes[type];
    if (!stored || body.length !== into.length * stored.size) throw this.broken("it is damaged");
    const view = viewOf(body);
    for (let i = 0; i < into.length; i++) into[i] = stored.read(view, i * stored.size, this.little);
    return into;
  }

  broken(state: string, remedy = "fetch it again"): UserError {
    return new UserError(`Cannot read "${this.name}" as a MAT-file: ${state}; ${remedy}`);
  }
}

/** MATLAB's names have 63 characters at most. */
function nameOf({ body }: Element): string {
  return shortened(new TextDecoder().decode(body.subarray(0, 256)));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
