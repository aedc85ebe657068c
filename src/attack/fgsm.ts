/**
 * The fast gradient sign method (Goodfellow et al., "Explaining and harnessing adversarial examples",
 * ICLR 2015): one full step of the same iteration, from the image itself. In L2 the step is along the gradient.
 *
 * @module
 */
import { runOf } from "./start.ts";
import { iterate } from "./iterate.ts";
import type { Attack } from "./types.ts";

/** One step of length epsilon. */
export const fgsm: Attack = {
  name: "fgsm",
  settings: (epsilon, { norm = "linf", ...run } = {}) => ({
    ...runOf(run),
    name: "fgsm",
    norm,
    epsilon,
    steps: 1,
    stepSize: epsilon,
    startNoise: 0,
    projectStart: false,
    keepBest: false,
  }),
  prepare: iterate,
};
