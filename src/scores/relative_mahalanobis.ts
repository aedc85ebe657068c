/**
 * The Mahalanobis distance to the nearest class mean, less that to the mean of all.
 *
 * Paper: J. Ren et al., "A simple fix to Mahalanobis distance for improving near-OOD detection", 2021, eq. 3.
 *
 * @module
 */
import { sub, type Tensor } from "../nn/mod.ts";
import { featuresOf } from "./functions.ts";
import { type GaussianArrays, gaussianFit, gaussianOf } from "./gaussian.ts";
import { type MahalanobisArrays, mahalanobisFit, mahalanobisOf } from "./mahalanobis.ts";
import type { Score } from "./types.ts";

/** What {@linkcode mahalanobis} gives, less what {@linkcode gaussian} gives. */
export const relativeMahalanobis: Score<MahalanobisArrays | GaussianArrays> = {
  name: "relativeMahalanobis",
  about: "minus how much further the nearest class mean is than the mean of all training features",
  needs: ["features"],
  fit: (training) => ({ ...gaussianFit(training), ...mahalanobisFit(training) }),
  score(model, images, fit): Tensor {
    const h = featuresOf(model, images);
    return sub(mahalanobisOf(h, fit), gaussianOf(h, fit));
  },
};
