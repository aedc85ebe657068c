/**
 * What the reference kernels share: checked indexing and overrides by name.
 *
 * @module
 */

/** One kernel in f64: its inputs in binding order, its overrides, and how long its output is. */
export type ReferenceKernel = (
  inputs: readonly Float64Array[],
  overrides: Readonly<Record<string, number | string>>,
  outputLength: number,
) => Float64Array;

/**
 * The element at `index`.
 *
 * @throws Error when the index is outside of the array: a wrong shape never goes unnoticed
 */
export function at(values: Float64Array, index: number): number {
  const value = values[index];
  if (value === undefined) {
    throw new Error(`Cannot read element ${index}: the array has ${values.length} elements`);
  }
  return value;
}

/**
 * The input bound at `binding`.
 *
 * @throws Error when it is missing
 */
export function input(inputs: readonly Float64Array[], binding: number): Float64Array {
  const values = inputs[binding];
  if (!values) throw new Error(`Cannot evaluate a kernel: input ${binding} is missing`);
  return values;
}

/**
 * A number among the overrides.
 *
 * @throws Error when it is missing and has no default, or is a string
 */
export function number(
  overrides: Readonly<Record<string, number | string>>,
  name: string,
  fallback?: number,
): number {
  const value = overrides[name] ?? fallback;
  if (typeof value !== "number") {
    throw new Error(`Cannot evaluate a kernel: override "${name}" is ${value ?? "missing"}`);
  }
  return value;
}

/**
 * The chosen member of an enumeration, for example `"exp"` of `OP`.
 *
 * @throws Error when it is missing and has no default, or is a number
 */
export function choice(
  overrides: Readonly<Record<string, number | string>>,
  name: string,
  fallback?: string,
): string {
  const value = overrides[name] ?? fallback;
  if (typeof value !== "string") {
    throw new Error(`Cannot evaluate a kernel: override "${name}" is ${value ?? "missing"}`);
  }
  return value;
}

/** ReLU that lets NaN through. */
export function relu(x: number): number {
  return x <= 0 ? 0 : x;
}

/** ReLU that is 6 at most, and lets NaN through. */
function relu6(x: number): number {
  return x >= 6 ? 6 : relu(x);
}

/** An activation by name: `none`, `relu` or `relu6`. */
export function activation(name: string): (x: number) => number {
  if (name === "none") return (x) => x;
  if (name === "relu") return relu;
  if (name === "relu6") return relu6;
  throw new Error(`Cannot evaluate a kernel: no activation "${name}"`);
}
