/**
 * Arrays of an ONNX file: raw bytes, numbers of a type of their own, or bytes in another file.
 *
 * @module
 */
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { UserError } from "../base/errors.ts";
import { elements } from "../base/refusal.ts";
import {
  type ElementKind,
  elementKinds,
  elementType,
  exactNumber,
  mostAxes,
  unreadElements,
} from "./elements.ts";
import type { ExternalData } from "./external.ts";
import type { ElementType, Fail, HostArray, HostTensor } from "./model.ts";
import type { Message } from "./schema.ts";

/** Bytes that all arrays of a model may have in memory: as many as a file may that is read whole. */
const mostBytes = 2 ** 32;

/** Where typed numbers may lie. */
const dataFields = ["floatData", "doubleData", "int32Data", "int64Data", "uint64Data"] as const;

/** Makes arrays of one file's tensors, as long as they fit into memory. */
export class TensorReader {
  readonly #external: ExternalData;
  readonly #fail: Fail;
  #left = mostBytes;

  constructor(external: ExternalData, fail: Fail) {
    this.#external = external;
    this.#fail = fail;
  }

  /**
   * The array of a tensor.
   *
   * @param called how sentences call it, such as `initialiser "w"`
   * @throws UserError where it is of a type that is not read, or its elements are not as many as its shape says
   */
  async read(tensor: Message<"Tensor">, called: string): Promise<HostTensor> {
    const fail: Fail = (state, remedy) => this.#fail(`the ${called} ${state}`, remedy);
    const type = elementType(tensor.dataType);
    if (!type) throw fail(`holds ${unreadElements(tensor.dataType)}, which are not read`);
    const shape = shapeOf(tensor.dims, fail);
    const count = elements(shape);
    const kind = elementKinds[type];
    this.#left -= count * kind.array.BYTES_PER_ELEMENT;
    // A shape beyond all numbers leaves NaN.
    if (!(this.#left >= 0)) throw fail(`and those before it have more than ${mostBytes} bytes`);
    if (tensor.segment.length > 0) throw fail("is one part of several, which are not put together");
    return { type, shape, data: await this.#elements(tensor, type, count, fail) };
  }

  async #elements(
    tensor: Message<"Tensor">,
    type: ElementType,
    count: number,
    fail: Fail,
  ): Promise<HostArray> {
    const kind = elementKinds[type];
    const size = count * kind.bytes;
    const typed = dataFields.filter((field) => tensor[field].length > 0);
    if (tensor.dataLocation !== 0) {
      if (tensor.dataLocation !== 1) throw fail("lies in a place that ONNX does not know");
      return fromRaw(await this.#external.read(tensor.externalData, size, fail), type, fail);
    }
    const [field] = typed;
    if (typed.length > 1 || field && (field !== kind.field || tensor.rawData.length > 0)) {
      throw fail(`holds ${type} and other data beside it`);
    }
    if (!field) {
      const { length } = tensor.rawData;
      if (length !== size) throw fail(`has ${length} bytes, its shape needs ${size}`);
      return fromRaw(tensor.rawData.slice().buffer, type, fail);
    }
    const chunks = tensor[field];
    if (field === "floatData" || field === "doubleData") {
      const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      if (length !== size) throw fail(`has ${length} bytes, its shape needs ${size}`);
      return fromRaw(joined(chunks, size), type, fail);
    }
    return fromVarints(chunks, type, count, fail);
  }
}

/** Sizes of axes. */
function shapeOf(dims: readonly bigint[], fail: Fail): number[] {
  if (dims.length > mostAxes) throw fail(`has ${dims.length} axes, more than ${mostAxes}`);
  return dims.map((dim) => {
    if (dim >= 0n && dim <= Number.MAX_SAFE_INTEGER) return Number(dim);
    throw fail(`has an axis of ${dim} elements`);
  });
}

/** Chunks one after the other, which are so many bytes. */
function joined(chunks: readonly Uint8Array[], size: number): ArrayBuffer {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes.buffer;
}

/** Elements from little-endian bytes, which they may keep. */
function fromRaw(buffer: ArrayBuffer, type: ElementType, fail: Fail): HostArray {
  switch (type) {
    case "float32":
      return new Float32Array(buffer);
    case "float64":
      return new Float64Array(buffer);
    case "float16":
      return new Float32Array(new Float16Array(buffer));
    case "bfloat16":
      return upperHalves(new Uint16Array(buffer));
    case "int64":
      return exactNumbers(new BigInt64Array(buffer), fail);
    case "uint64":
      return exactNumbers(new BigUint64Array(buffer), fail);
    case "int32":
      return new Int32Array(buffer);
    case "uint32":
      return new Uint32Array(buffer);
    case "int16":
      return new Int16Array(buffer);
    case "uint16":
      return new Uint16Array(buffer);
    case "int8":
      return new Int8Array(buffer);
    case "uint8":
      return new Uint8Array(buffer);
    case "bool":
      return new Uint8Array(buffer).map((byte) => byte === 0 ? 0 : 1);
  }
}

/** Numbers of which each is the upper half of an f32. */
function upperHalves(halves: Uint16Array): Float32Array {
  const bits = new Uint32Array(halves.length);
  halves.forEach((half, i) => bits[i] = half << 16);
  return new Float32Array(bits.buffer);
}

function exactNumbers(values: BigInt64Array | BigUint64Array, fail: Fail): Float64Array {
  const numbers = new Float64Array(values.length);
  values.forEach((value, i) => numbers[i] = exact(value, fail));
  return numbers;
}

function exact(value: bigint, fail: Fail): number {
  const number = exactNumber(value);
  if (number === undefined) throw fail(`holds ${value}, an integer beyond 2^53`);
  return number;
}

/** Elements from packed integers of variable length. */
function fromVarints(
  chunks: readonly Uint8Array[],
  type: ElementType,
  count: number,
  fail: Fail,
): HostArray {
  const { array, field, range = [0, 2 ** 16 - 1] }: ElementKind = elementKinds[type];
  const stored = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  if (stored < count) throw fail(`has ${stored} bytes for ${count} elements`);
  // Halves lie as their bits.
  const halves = type === "float16" || type === "bfloat16" ? new Uint16Array(count) : undefined;
  const values = halves ?? new array(count);
  let at = 0;
  for (const chunk of chunks) {
    const reader = new BinaryReader(chunk);
    while (reader.pos < chunk.length) {
      if (at === count) throw fail(`holds more than the ${count} elements of its shape`);
      const value = next(reader, field, fail);
      const fits = field === "int64Data" || value >= range[0] && value <= range[1];
      if (!fits) throw fail(`holds ${value}, which is no ${type}`);
      values[at++] = value;
    }
  }
  if (at < count) throw fail(`holds ${at} elements, its shape has ${count}`);
  return halves ? fromRaw(halves.buffer, type, fail) : values;
}

function next(reader: BinaryReader, field: ElementKind["field"], fail: Fail): number {
  try {
    if (field === "int32Data") return reader.int32();
    return exact(BigInt(field === "int64Data" ? reader.int64() : reader.uint64()), fail);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw fail("is damaged: it ends within a number");
  }
}
