/**
 * Projected gradient descent (Madry et al., "Towards deep learning models resistant to adversarial
 * attacks", ICLR 2018) on a loss of confidence.
 *
 * Paper: 10 steps of epsilon / 10, unprojected start, last iterate. So small steps reach the ball's
 * border only where no sign flips; the corrected protocol takes 2.5 epsilon / steps, projects the
 * start, and keeps the best iterate.
 *
 * @module
 */
import { runOf } from "./start.ts";
import { iterate } from "./iterate.ts";
import type { Attack, AttackSettings } from "./types.ts";

/** Iterated steps inside the ball. */
export const pgd: Attack = {
  name: "pgd",
  settings(epsilon, options = {}): AttackSettings {
    const { norm = "linf", startNoise = 0, steps = 10, stepFactor = 2.5 } = options;
    const { projectStart = true, keepBest = true } = options;
    return {
      ...runOf(options),
      name: "pgd",
      norm,
      epsilon,
      steps,
      stepSize: stepFactor * epsilon / steps,
      startNoise,
      projectStart,
      keepBest,
    };
  },
  prepare: iterate,
};
