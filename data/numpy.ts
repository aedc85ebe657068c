/**
 * NumPy arrays of bytes in pickles, as Python 2 and Python 3 write them at protocols 2 to 5.
 *
 * @module
 */
import { shownValue } from "../src/base/errors.ts";
import { latin1, PickleError, PickleGlobal, readPickle } from "../src/base/pickle.ts";

/** An array of NumPy's type `uint8`. */
export class ByteArray {
  /**
   * @param shape dimensions, outermost first
   * @param data elements, row-major
   */
  constructor(readonly shape: readonly number[], readonly data: Uint8Array) {}
}

/** An array as a pickle makes it: empty first, then given its state. */
class Unfinished {
  made: ByteArray | undefined;
}

/** The type of an array's elements, by NumPy's short name: "u1" is `uint8`. */
class ElementType {
  constructor(readonly name: unknown) {}
}

/** The function that makes an empty array, by its names before and since NumPy 2. */
const reconstruct = ["numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"];
/** The function that makes an array of its bytes, at protocol 5. */
const fromBuffer = ["numpy.core.numeric._frombuffer", "numpy._core.numeric._frombuffer"];
const allowed = new Set([
  ...reconstruct,
  ...fromBuffer,
  "numpy.ndarray",
  "numpy.dtype",
  "_codecs.encode",
]);
/** Byte strings longer than this are an array's elements, not text; protocol 2 parts them here. */
const longestText = 255;
/** Axes that an array may have: NumPy's own limit. */
const mostAxes = 64;

/** Bytes that may still be copied: each of a pickle's twice, out of a text and into another order. */
interface Budget {
  left: number;
}

/**
 * Reads a pickled dictionary. Byte strings of up to 255 bytes become text, longer ones views; the
 * values that are arrays of `uint8` become {@link ByteArray}.
 *
 * @throws {PickleError} when it is damaged, is no dictionary, holds an array of another type, or
 * names something besides NumPy's arrays.
 */
export function readNumpyDictionary(bytes: Uint8Array): Map<unknown, unknown> {
  const budget = { left: 2 * bytes.length };
  const top = readPickle(bytes, {
    allowed,
    reduce: (callable, args) => reduce(callable, args, budget),
    build: (object, state) => build(object, state, budget),
    byteString: textOrView,
  });
  if (!(top instanceof Map)) throw new PickleError("its pickle is no dictionary");
  return new Map([...top].map(([key, value]) => [
    key,
    value instanceof Unfinished ? value.made : value,
  ]));
}

function reduce({ name }: PickleGlobal, args: readonly unknown[], budget: Budget): unknown {
  if (reconstruct.includes(name)) return new Unfinished();
  if (fromBuffer.includes(name)) {
    const [data, type, shape, order] = args;
    const array = new Unfinished();
    array.made = arrayOf(data, type, shape, order === "F", budget);
    return array;
  }
  if (name === "numpy.dtype") return new ElementType(args[0]);
  if (name !== "_codecs.encode") throw new PickleError(`its pickle calls "${name}"`);
  // Python 3 has no byte strings at protocol 2: it writes text, to be encoded as Latin-1.
  const [text, encoding] = args;
  if (typeof text !== "string" || encoding !== "latin1") {
    throw new PickleError("its pickle holds a damaged byte string");
  }
  return textOrView(encode(text, budget));
}

/** Gives an array its state: version, shape, type, whether column-major, elements. */
function build(object: unknown, state: unknown, budget: Budget): void {
  if (!(object instanceof Unfinished)) return;
  const [, shape, type, columnMajor, data] = Array.isArray(state) ? state : [];
  object.made = arrayOf(data, type, shape, columnMajor === true, budget);
}

function arrayOf(
  data: unknown,
  type: unknown,
  shape: unknown,
  columnMajor: boolean,
  budget: Budget,
): ByteArray {
  if (!(type instanceof ElementType) || !isShape(shape)) {
    throw new PickleError("one of its arrays is damaged");
  }
  if (type.name !== "u1") {
    throw new PickleError(`one of its arrays is of type "${shownValue(type.name)}"`);
  }
  const bytes = typeof data === "string" ? encode(data, budget) : data;
  if (!(bytes instanceof Uint8Array) || bytes.length !== shape.reduce((a, b) => a * b, 1)) {
    throw new PickleError("one of its arrays has another size than it says");
  }
  if (!columnMajor) return new ByteArray(shape, bytes);
  spend(budget, bytes.length);
  return new ByteArray(shape, rowMajor(bytes, shape));
}

/** A matrix [rows, columns] stored column by column, row by row. */
function rowMajor(bytes: Uint8Array, shape: readonly number[]): Uint8Array {
  const [rows = 0, columns = 0] = shape;
  if (shape.length !== 2) throw new PickleError("one of its column-major arrays is no matrix");
  const result = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      result[row * columns + column] = bytes[column * rows + row] ?? 0;
    }
  }
  return result;
}

function textOrView(bytes: Uint8Array): string | Uint8Array {
  return bytes.length > longestText ? bytes : latin1(bytes);
}

function encode(text: string, budget: Budget): Uint8Array {
  spend(budget, text.length);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 0xff) throw new PickleError("its pickle holds a damaged byte string");
    bytes[i] = code;
  }
  return bytes;
}

function spend(budget: Budget, count: number): void {
  budget.left -= count;
  if (budget.left < 0) throw new PickleError("its arrays are far larger than the bytes it holds");
}

function isShape(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= mostAxes &&
    value.every((size) => Number.isInteger(size) && size >= 0);
}
