/**
 * The distance to the k-th nearest training feature.
 *
 * Paper: Y. Sun et al., "Out-of-distribution detection with deep nearest neighbors", ICML 2022, with k = 50.
 *
 * @module
 */
import {
  constant,
  dim,
  div,
  equal,
  kthLargest,
  matmul,
  mul,
  reshape,
  scale,
  shift,
  sub,
  sum,
  type Tensor,
} from "../nn/mod.ts";
import { featuresOf, logSumExp, shortest, unitRows } from "./functions.ts";
import type { Fit, Score } from "./types.ts";

/** k. */
const neighbours = 50;

/** How soft the minimum of squared distances is that an attack lowers; they are from 0 to 4. */
const softness = 0.05;

/**
 * `-d_k^2`, d_k the distance to the k-th nearest of the training features, all features scaled to length 1. An
 * attack lowers a soft minimum of all squared distances in its place,
 * `-s log (1/N) sum_n exp(-d_n^2 / s)` with s = 0.05: the k-th one alone leads to a single image, and to
 * another one at every step.
 */
export const knn: Score<"rows"> = {
  name: "knn",
  about:
    "minus the squared distance from the 50th nearest training feature, all scaled to length 1",
  needs: ["features"],
  fit(training): Fit<"rows"> {
    const { width, values } = training.features;
    const { count } = training;
    if (count < neighbours) {
      throw training.cannot(
        `"knn" looks for the ${neighbours}th nearest of ${count} images`,
        "give more, or other scores by --scores",
      );
    }
    const lengths = Float64Array.from(
      { length: count },
      (_, row) =>
        Math.max(Math.hypot(...values.subarray(row * width, (row + 1) * width)), shortest),
    );
    return {
      rows: {
        shape: [count, width],
        values: values.map((value, i) => value / (lengths[Math.floor(i / width)] ?? NaN)),
      },
    };
  },
  score(model, images, { rows }): Tensor {
    const products = cosines(featuresOf(model, images), rows);
    // Numbers above 0, so that the largest is the nearest; equal ones have the same share.
    const positive = shift(products, 2);
    const last = kthLargest(positive, constant(neighbours, [dim(products, 0)]));
    const at = equal(positive, reshape(last, [-1, 1]));
    return shift(scale(div(sum(mul(products, at), [1]), sum(at, [1])), 2), -2);
  },
  surrogate(model, images, { rows }): Tensor {
    const squared = scale(shift(cosines(featuresOf(model, images), rows), -1), 2); // -d^2
    const near = logSumExp(scale(squared, 1 / softness));
    return scale(sub(near, Math.log(dim(rows, 0))), softness);
  },
};

/** Features `[B, D]` and rows of length 1, `[N, D]`, to the cosines of their angles, `[B, N]`. */
function cosines(h: Tensor, rows: Tensor): Tensor {
  return matmul(unitRows(h), rows, { transposeB: true });
}
