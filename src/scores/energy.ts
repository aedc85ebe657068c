/**
 * The free energy of the logits.
 *
 * Paper: W. Liu et al., "Energy-based out-of-distribution detection", NeurIPS 2020, eq. 4; minus the energy
 * there.
 *
 * @module
 */
import { scale } from "../nn/mod.ts";
import { logitsOf, logSumExp } from "./functions.ts";
import type { Score } from "./types.ts";

/**
 * `T log sum_c exp(z_c / T)`.
 *
 * @param temperature T, above 0
 */
export function energyAt(temperature: number): Score {
  return {
    name: "energy",
    about: "the logarithm of the sum of exp of the logits",
    needs: ["logits"],
    score: (model, images) =>
      scale(logSumExp(scale(logitsOf(model, images), 1 / temperature)), temperature),
  };
}

/** At the temperature of the paper, 1. */
export const energy: Score = energyAt(1);
