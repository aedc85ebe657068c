/**
 * The Mahalanobis distance to the nearest class mean.
 *
 * Paper: K. Lee et al., "A simple unified framework for detecting out-of-distribution samples and adversarial
 * attacks", NeurIPS 2018, eq. 2, on the features of the last layer alone, without the perturbation of the
 * image.
 *
 * The covariance of features is singular wherever a unit is 0 on all training images. Its pseudo-inverse
 * passes over such directions; to add a number to its diagonal instead would let them decide.
 *
 * @module
 */
import { dim, max, neg, reshape, squaredDistance, type Tensor } from "../nn/mod.ts";
import { arrayOf, featuresOf, matrixOf, vectorOf, whitened } from "./functions.ts";
import { type Training, whitening } from "./training.ts";
import type { Fit, FitTensors, Score } from "./types.ts";

/** Arrays of the fit: a centre `[D]`, a whitening `[D, R]`, and the whitened means of the M classes, `[M, R]`. */
export type MahalanobisArrays = "centre" | "whitening" | "means";

/** `max_c -(h - mu_c)^T S^+ (h - mu_c)`, S the covariance that all classes share. */
export const mahalanobis: Score<MahalanobisArrays> = {
  name: "mahalanobis",
  about: "minus the squared Mahalanobis distance from the nearest class mean of training features",
  needs: ["features"],
  fit: mahalanobisFit,
  score: (model, images, fit) => mahalanobisOf(featuresOf(model, images), fit),
};

/** The fit of {@linkcode mahalanobis}, over the classes that there are. */
export function mahalanobisFit(training: Training): Fit<MahalanobisArrays> {
  const basis = whitening(training, training.tied);
  const means = matrixOf(training.classMeans).subRowVector(Array.from(training.mean));
  return {
    centre: vectorOf(training.mean),
    whitening: arrayOf(basis),
    means: arrayOf(means.mmul(basis)),
  };
}

/** Features `[B, D]` to `[B]`. */
export function mahalanobisOf(h: Tensor, fit: FitTensors<MahalanobisArrays>): Tensor {
  const z = whitened(h, fit.centre, fit.whitening);
  const distances = reshape(squaredDistance(z, fit.means), [dim(z, 0), dim(fit.means, 0)]);
  return max(neg(distances));
}
