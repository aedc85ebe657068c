/**
 * Evaluates a graph on the CPU in f64, kernel by kernel with the plain reference loops. Slow, exact,
 * without a GPU: the yardstick of the tests.
 *
 * @module
 */
import { topologicalOrder } from "../compile/grad.ts";
import { reference } from "./reference.ts";
import { size, type Tensor } from "../graph/tensor.ts";

/** Values of leaves: inputs must be given; those of any other node take the place of what it computes. */
export type Leaves = ReadonlyMap<Tensor, ArrayLike<number>>;

/**
 * Values of the given nodes, in f64 from the leaves on.
 *
 * @throws Error when an input has no value
 */
export function evaluate(targets: readonly Tensor[], leaves: Leaves = new Map()): Float64Array[] {
  const values = new Map<Tensor, Float64Array>();
  for (const t of topologicalOrder(targets, leaves)) values.set(t, compute(t, leaves, values));
  return targets.map((t) => (values.get(t) ?? new Float64Array()).slice());
}

function compute(
  t: Tensor,
  leaves: Leaves,
  values: ReadonlyMap<Tensor, Float64Array>,
): Float64Array {
  const given = leaves.get(t);
  if (given) return Float64Array.from(given);
  const inputs = t.inputs.map((x) => values.get(x) ?? new Float64Array());
  const n = size(t.shape);
  const { source } = t;
  switch (source.kind) {
    case "input":
      throw new Error(`Cannot evaluate: an input [${t.shape}] has no value`);
    case "constant":
      return Float64Array.from(source.data);
    case "parameter":
      return Float64Array.from(source.parameter.data);
    case "view":
      return inputs[0]?.subarray(source.offset, source.offset + n) ?? new Float64Array();
    case "pack": {
      const flat = new Float64Array(n);
      inputs.forEach((x, i) => flat.set(x, source.offsets[i]));
      return flat;
    }
    case "dispatch": {
      const { kernel, overrides } = source;
      return reference(kernel.name, inputs, overrides, n, kernel);
    }
  }
}
