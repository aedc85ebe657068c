/**
 * The fast gradient sign method (Goodfellow et al., "Explaining and harnessing adversarial examples",
 * ICLR 2015): one full step of the same iteration, from the image itself.
 *
 * @module
 */
import type { Attack } from "./types.ts";

/** One sign step of length epsilon. */
export const fgsm: Attack = {
  name: "fgsm",
  settings: (epsilon) => ({
    name: "fgsm",
    epsilon,
    steps: 1,
    stepSize: epsilon,
    startNoise: 0,
    projectStart: false,
    keepBest: false,
  }),
};
