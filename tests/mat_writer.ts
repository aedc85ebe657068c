/** A writer of MATLAB's files, for tests of the reader. */
import { deflateSync } from "node:zlib";
import { colourImage } from "./data_support.ts";

/** How a file is written. */
export interface MatOptions {
  readonly compressed?: boolean;
  readonly little?: boolean;
}

/** A variable: its class, the type that it is stored in, dimensions, elements. */
export interface Variable {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: readonly number[];
  /** "uint8" unless told. */
  readonly kind?: keyof typeof kinds;
  /** The kind's own unless told. */
  readonly stored?: keyof typeof kinds;
  readonly complex?: boolean;
}

/** Numbers of MATLAB's classes and of the types they are stored in, bytes, and how one is written. */
const kinds = {
  int8: { number: 8, type: 1, size: 1, set: "setInt8" },
  uint8: { number: 9, type: 2, size: 1, set: "setUint8" },
  int16: { number: 10, type: 3, size: 2, set: "setInt16" },
  uint16: { number: 11, type: 4, size: 2, set: "setUint16" },
  int32: { number: 12, type: 5, size: 4, set: "setInt32" },
  uint32: { number: 13, type: 6, size: 4, set: "setUint32" },
  single: { number: 7, type: 7, size: 4, set: "setFloat32" },
  double: { number: 6, type: 9, size: 8, set: "setFloat64" },
  int64: { number: 14, type: 12, size: 8, set: "setBigInt64" },
  uint64: { number: 15, type: 13, size: 8, set: "setBigUint64" },
  /** Text, which is passed over. */
  char: { number: 4, type: 4, size: 2, set: "setUint16" },
} as const;

/** Numbers as a file has them. */
export function numbers(
  values: readonly number[],
  kind: keyof typeof kinds,
  little: boolean,
): Uint8Array {
  const { size, set } = kinds[kind];
  const bytes = new Uint8Array(values.length * size);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => {
    if (set === "setBigInt64" || set === "setBigUint64") view[set](i * size, BigInt(value), little);
    else view[set](i * size, value, little);
  });
  return bytes;
}

/** An element, its content filled up to 8 bytes or, where it fits, in the short form. */
function element(type: number, content: Uint8Array, little: boolean, filled = true): Uint8Array {
  const short = filled && content.length > 0 && content.length <= 4;
  const length = filled ? Math.ceil(content.length / 8) * 8 : content.length;
  const bytes = new Uint8Array(short ? 8 : 8 + length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, short ? content.length * 0x10000 + type : type, little);
  if (!short) view.setUint32(4, content.length, little);
  bytes.set(content, short ? 4 : 8);
  return bytes;
}

/** A file of these variables. */
export function mat(
  variables: readonly Variable[],
  options: MatOptions = {},
): Uint8Array<ArrayBuffer> {
  const { compressed = false, little = true } = options;
  const text = "MATLAB 5.0 MAT-file, made for a test".padEnd(124);
  const header = [...new TextEncoder().encode(text), ...(little ? [0, 1] : [1, 0])];
  header.push(...new TextEncoder().encode(little ? "IM" : "MI"));
  const elements = variables.map((variable) => {
    const { name, shape, values, kind = "uint8", stored = kind, complex = false } = variable;
    const flags = [kinds[kind].number + (complex ? 0x800 : 0), 0];
    const content = Uint8Array.from([
      ...element(6, numbers(flags, "uint32", little), little),
      ...element(5, numbers(shape, "int32", little), little),
      ...element(1, new TextEncoder().encode(name), little),
      ...element(kinds[stored].type, numbers(values, stored, little), little),
    ]);
    const whole = element(14, content, little);
    return compressed ? element(15, deflateSync(whole), little, false) : whole;
  });
  return Uint8Array.from([...header, ...elements.flatMap((bytes) => [...bytes])]);
}

/** A file whose variables, whatever they are, stand in one compressed block. */
export function packed(bytes: Uint8Array, little: boolean): Uint8Array<ArrayBuffer> {
  const block = element(15, deflateSync(bytes.subarray(128), { level: 1 }), little, false);
  return Uint8Array.from([...bytes.subarray(0, 128), ...block]);
}

/** SVHN of these labels: colour image i, column-major, and label i. */
export function svhn(
  labels: readonly number[],
  options: MatOptions & { readonly y?: Partial<Variable> } = {},
): Uint8Array<ArrayBuffer> {
  const images = labels.flatMap((_, i) => {
    const image = colourImage(i);
    return Array.from(image, (_, at) => {
      const [channel, column, row] = [at >> 10, (at >> 5) & 31, at & 31];
      return image[channel * 1024 + row * 32 + column] ?? 0;
    });
  });
  const count = labels.length;
  return mat([
    { name: "X", shape: count === 1 ? [32, 32, 3] : [32, 32, 3, count], values: images },
    { name: "y", shape: [count, 1], values: labels, kind: "double", stored: "uint8", ...options.y },
  ], options);
}
