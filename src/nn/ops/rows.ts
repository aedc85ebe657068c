/**
 * What is decided on a row by all of its numbers: its largest ones, and the nearest row of an L1 ball.
 *
 * @module
 */
import kthWgsl from "../../shaders/kth_largest.wgsl" with { type: "text" };
import projectWgsl from "../../shaders/l1_project.wgsl" with { type: "text" };
import { kernel } from "../graph/kernel.ts";
import { dim, type Dispatch, node, sameShape, show, size, type Tensor } from "../graph/tensor.ts";

const kthKernel = kernel("kth_largest", kthWgsl);
const projectKernel = kernel("l1_project", projectWgsl);

/** Threads of a workgroup, which has one row. */
const lanes = 8;

/** Beyond it some drivers cut the kernels' loops short: lavapipe after 65,535 turns a thread. */
const longestRow = 160_000;

/** Sizes of rows, for a device of as many numbers as it takes at most. */
function rowsOf(
  rows: number,
  columns: number,
): Pick<Dispatch, "overrides" | "threads"> & { readonly hostOnly?: string } {
  return {
    overrides: { N: rows, C: columns },
    threads: lanes * rows,
    ...columns > longestRow && { hostOnly: `a device takes rows of at most ${longestRow}` },
  };
}

/**
 * The k-th largest magnitude of each row of x, `[B, ...]` to `[B]`, exactly; NaN counts as the largest. No gradient.
 *
 * @param k `[B]`, whole numbers from 1 to a row's length
 * @throws Error when k is not one number a row
 */
export function kthLargest(x: Tensor, k: Tensor): Tensor {
  const rows = dim(x, 0);
  if (!sameShape(k.shape, [rows])) {
    throw new Error(
      `Cannot choose the ${show(k.shape)}-th largest of each row of ${show(x.shape)}`,
    );
  }
  return node("kthLargest", [x, k], [rows], {
    kind: "dispatch",
    kernel: kthKernel,
    ...rowsOf(rows, size(x.shape) / rows),
  }, () => [null, null]);
}

/**
 * The Euclidean projection of each row of x onto the rows in [0, 1] whose L1 distance from the center's is at most
 * `radius`, of `[B, ...]`. It is x itself where that lies there. No gradient.
 *
 * In both at once it is no projection onto the one and then onto the other: pixels at the border of the box
 * leave their share of the radius to the others (F. Croce and M. Hein, "Mind the box: l1-APGD for sparse
 * adversarial attacks on image classifiers", ICML 2021, Proposition 2.2).
 *
 * @param center `[B, ...]` in [0, 1]
 * @param radius `[B]`, each 0 or more
 * @throws Error when the shapes do not fit
 */
export function projectL1(x: Tensor, center: Tensor, radius: Tensor): Tensor {
  const rows = dim(x, 0);
  if (!sameShape(x.shape, center.shape) || !sameShape(radius.shape, [rows])) {
    throw new Error(
      `Cannot project ${show(x.shape)} onto ${show(radius.shape)} balls around ${
        show(center.shape)
      }`,
    );
  }
  return node("projectL1", [x, center, radius], x.shape, {
    kind: "dispatch",
    kernel: projectKernel,
    ...rowsOf(rows, size(x.shape) / rows),
  }, () => [null, null, null]);
}
