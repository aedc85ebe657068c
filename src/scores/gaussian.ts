/**
 * The Mahalanobis distance to the mean of all training features: one Gaussian, which needs no labels.
 *
 * Paper: V. Sehwag et al., "SSD: A unified framework for self-supervised outlier detection", ICLR 2021, eq. 1
 * with one cluster; on features as they are, where the paper scales them to length 1.
 *
 * @module
 */
import { neg, square, sum, type Tensor } from "../nn/mod.ts";
import { arrayOf, featuresOf, vectorOf, whitened } from "./functions.ts";
import { type Training, whitening } from "./training.ts";
import type { Fit, FitTensors, Score } from "./types.ts";

/** Arrays of the fit: a centre `[D]` and a whitening `[D, R]`. */
export type GaussianArrays = "centre" | "spread";

/** `-(h - mu)^T S^+ (h - mu)`, mu and S the mean and the covariance of all training features. */
export const gaussian: Score<GaussianArrays> = {
  name: "gaussian",
  about: "minus the squared Mahalanobis distance from the mean of all training features",
  needs: ["features"],
  fit: gaussianFit,
  score: (model, images, fit) => gaussianOf(featuresOf(model, images), fit),
};

/** The fit of {@linkcode gaussian}. */
export function gaussianFit(training: Training): Fit<GaussianArrays> {
  return {
    centre: vectorOf(training.mean),
    spread: arrayOf(whitening(training, training.spread)),
  };
}

/** Features `[B, D]` to `[B]`. */
export function gaussianOf(h: Tensor, fit: FitTensors<GaussianArrays>): Tensor {
  return neg(sum(square(whitened(h, fit.centre, fit.spread)), [1]));
}
