/**
 * The density of features by one Gaussian a class.
 *
 * Paper: J. Mukhoti et al., "Deep deterministic uncertainty: A new simple baseline", CVPR 2023: `q(z) = sum_c
 * q(z | c) q(c)`. The published code leaves out q(c), and adds the smallest power of ten to the diagonals with
 * which they can be factorised; here it is 1e-3 always, so that the same features give the same score.
 *
 * @module
 */
import { Matrix } from "ml-matrix";
import {
  add,
  dim,
  matmul,
  reshape,
  scale,
  square,
  sub,
  sum,
  type Tensor,
  transpose,
} from "../nn/mod.ts";
import { arrayOf, featuresOf, logSumExp, matrixOf, vectorOf } from "./functions.ts";
import { factorOf, productsOf, type Training } from "./training.ts";
import type { Fit, Score } from "./types.ts";

/** What is added to the diagonals of the covariances: the variance that a dead unit is taken to have. */
const published = 1e-3;

/** Numbers that a device binds at once, by the limits that every WebGPU device keeps. */
const most = 2 ** 25;

/** Arrays of the fit: means `[M, D]`, inverses of the lower factors `[M, D, D]`, constants `[M]`. */
type DduArrays = "means" | "factors" | "offsets";

/** `log sum_c q_c N(h; mu_c, S_c + 1e-3 I)`, q_c the share of class c, S_c its covariance over `n_c - 1`. */
export const ddu: Score<DduArrays> = dduOf(published);

/**
 * The same with another number on the diagonals.
 *
 * @param jitter above 0
 */
export function dduOf(jitter: number): Score<DduArrays> {
  return {
    name: "ddu",
    about: "the logarithm of the density of the features by one Gaussian a class",
    needs: ["features"],
    fit: (training) => dduFit(training, jitter),
    score(model, images, { means, factors, offsets }): Tensor {
      const [m, d] = [dim(means, 0), dim(means, 1)];
      const h = featuresOf(model, images);
      const apart = sub(reshape(h, [1, -1, d]), reshape(means, [m, 1, d])); // [M, B, D]
      const lengths = sum(square(matmul(apart, factors, { transposeB: true })), [2]); // [M, B]
      return logSumExp(add(transpose(scale(lengths, -0.5)), offsets));
    },
  };
}

function dduFit(training: Training, jitter: number): Fit<DduArrays> {
  const { width } = training.features;
  const { classes, classMeans, count } = training;
  if (classes.size * width ** 2 > most) {
    throw training.cannot(
      `"ddu" takes ${classes.size} covariances of ${width} features, more than a GPU holds at once`,
      "choose other scores by --scores",
    );
  }
  const factors = [...classes].map(([label, rows], k) => {
    const factor = factorOf(covarianceOf(training, label, rows, classMeans[k], jitter));
    if (factor) return factor;
    throw training.cannot(
      `"ddu" cannot factorise the covariance of class ${label}: its features are too large`,
      "choose other scores by --scores",
    );
  });
  const shares = [...classes.values()].map((rows) => Math.log(rows.length / count));
  return {
    means: arrayOf(matrixOf(classMeans)),
    factors: {
      shape: [classes.size, width, width],
      values: Float64Array.from(factors.flatMap(({ inverse }) => inverse.to1DArray())),
    },
    offsets: vectorOf(
      factors.map(({ logDeterminant }, k) =>
        (shares[k] ?? NaN) - (logDeterminant + width * Math.log(2 * Math.PI)) / 2
      ),
    ),
  };
}

/** The covariance of a class over `n - 1`, with the jitter on its diagonal. */
function covarianceOf(
  training: Training,
  label: number,
  rows: readonly number[],
  mean: Float64Array = training.mean,
  jitter: number,
): Matrix {
  if (rows.length < 2) {
    throw training.cannot(
      `"ddu" needs two images of every class, and there is one of class ${label}`,
      "give more, or other scores by --scores",
    );
  }
  const { width, values } = training.features;
  const centred = Float64Array.from(
    rows.flatMap((row) => Array.from(mean, (m, i) => (values[row * width + i] ?? NaN) - m)),
  );
  const products = productsOf({ width, values: centred });
  const diagonal = (i: number): number => i % (width + 1) === 0 ? jitter : 0;
  return Matrix.from1DArray(
    width,
    width,
    products.map((v, i) => v / (rows.length - 1) + diagonal(i)),
  );
}
