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
  greater,
  kthLargest,
  matmul,
  maximum,
  mul,
  reshape,
  scale,
  shift,
  sum,
  type Tensor,
} from "../nn/mod.ts";
import { featuresOf, shortest, unitRows } from "./functions.ts";
import type { Fit, Score } from "./types.ts";

/** k. */
const neighbours = 50;

/**
 * `-d_k^2`, d_k the distance to the k-th nearest of the training features, all features scaled to length 1. An
 * attack lowers the mean of the k squared distances up to it in its place: the k-th alone leads to a single image,
 * and to another one at every step. A soft minimum, over the k nearest or over all features and at a temperature
 * that follows the image's own distances, is no stronger (docs/scores.md).
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
    return minusSquared(products, nearest(products).last);
  },
  surrogate(model, images, { rows }): Tensor {
    const products = cosines(featuresOf(model, images), rows);
    const { closer, last } = nearest(products);
    return minusSquared(products, maximum(closer, last));
  },
};

/** 1 where a cosine is among the k largest of its row, and where it is the k-th, as several may be: `[B, N]` each. */
function nearest(cosines: Tensor): { readonly closer: Tensor; readonly last: Tensor } {
  // Magnitudes are compared: of numbers above 0, so that the largest is the nearest.
  const positive = shift(cosines, 2);
  const kth = kthLargest(positive, constant(neighbours, [dim(cosines, 0)]));
  const at = reshape(kth, [-1, 1]);
  return { closer: greater(positive, at), last: equal(positive, at) };
}

/** Minus the mean squared distance to those that are taken, of rows of length 1: `[B, N]` to `[B]`. */
function minusSquared(cosines: Tensor, taken: Tensor): Tensor {
  const mean = div(sum(mul(cosines, taken), [1]), sum(taken, [1]));
  return shift(scale(mean, 2), -2);
}

/** Features `[B, D]` and rows of length 1, `[N, D]`, to the cosines of their angles, `[B, N]`. */
function cosines(h: Tensor, rows: Tensor): Tensor {
  return matmul(unitRows(h), rows, { transposeB: true });
}
