/**
 * Elements along an axis by indices that are fixed, and sums of them: each is the other's adjoint.
 *
 * @module
 */
import wgsl from "../../shaders/gather_sum.wgsl" with { type: "text" };
import { kernel } from "../graph/kernel.ts";
import { constant, node, show, size, type Tensor } from "../graph/tensor.ts";

const gatherSumKernel = kernel("gather_sum", wgsl);

/** A longer list some drivers cut short: lavapipe after 65,535 turns a thread. */
const longestList = 65_535;

/**
 * `x[..., index, ...]` along an axis (a negative one counts from the end): element i of it is that of x at
 * `index[i]`. The gradient of what is taken several times is the sum of all of its gradients.
 *
 * @param index whole numbers; negative ones count from the end
 * @throws Error when there is no index, or x has not such an axis or element
 */
export function take(x: Tensor, index: readonly number[], axis: number): Tensor {
  const along = axis < 0 ? axis + x.shape.length : axis;
  const n = x.shape[along] ?? 0;
  const wrong = index.find((k) => !(Number.isInteger(k) && -n <= k && k < n));
  if (index.length === 0 || wrong !== undefined) {
    const what = wrong === undefined ? "nothing" : `element ${wrong}`;
    throw new Error(`Cannot take ${what} of axis ${axis} of ${show(x.shape)}`);
  }
  return gatherSum("take", x, index.map((k) => [k < 0 ? k + n : k]), along);
}

/**
 * Sums along an axis: element m of it is the sum of those of x in list m, 0 of an empty list. Its adjoint is of the
 * same kind.
 *
 * @param lists indices of the axis, each list in the order in which it is summed
 */
export function gatherSum(
  name: string,
  x: Tensor,
  lists: readonly (readonly number[])[],
  axis: number,
): Tensor {
  const [length = 1] = x.shape.slice(axis);
  const shape = x.shape.with(axis, lists.length);
  const longest = lists.reduce((most, list) => Math.max(most, list.length), 0);
  const n = size(shape);
  return node(name, [x, tableOf(lists)], shape, {
    kind: "dispatch",
    kernel: gatherSumKernel,
    overrides: { N: n, K: length, M: lists.length, I: size(shape.slice(axis + 1)) },
    threads: n,
    ...longest > longestList && { hostOnly: `a device sums at most ${longestList} elements` },
  }, (g) => [gatherSum(name, g, transposed(lists, length), axis), null]);
}

/** For each element the lists that it is in, as often as it is. */
function transposed(lists: readonly (readonly number[])[], length: number): number[][] {
  const users = Array.from({ length }, (): number[] => []);
  lists.forEach((list, m) => list.forEach((k) => users[k]?.push(m)));
  return users;
}

/** As the kernel reads them: where each list starts and the last one ends, then the lists. */
function tableOf(lists: readonly (readonly number[])[]): Tensor {
  const places: number[] = [];
  let next = lists.length + 1;
  for (const list of lists) {
    places.push(next);
    next += list.length;
  }
  return constant(Uint32Array.from([...places, next, ...lists.flat()]));
}
