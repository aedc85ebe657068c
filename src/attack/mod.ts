/**
 * The attacks, what they lower and the norms they are bounded in: one line each. An attack sees a loss, an
 * image and a radius, never a method.
 *
 * @module
 */
import { apgd } from "./apgd.ts";
import { fgsm } from "./fgsm.ts";
import { pgd } from "./pgd.ts";
import { square } from "./square.ts";
import type { Attack } from "./types.ts";

export type { Attack, AttackSettings, Iterate, IterateOptions, Problem, Which } from "./types.ts";
export { type Init, type InitName, type InitPlace, inits } from "./inits.ts";
export { iterate } from "./iterate.ts";
export { runOf, startOf } from "./start.ts";
export { type Norm, type NormName, norms } from "./norms.ts";
export { loadAttack, loadObjective, type Own } from "./own.ts";
export {
  type Attackable,
  type Direction,
  directions,
  labelOf,
  type LossOptions,
  type Need,
  type Objective,
  type ObjectiveName,
  objectives,
  type Side,
  sides,
} from "./objectives.ts";

/** Every attack by its name. */
export const attacks = { fgsm, pgd, apgd, square } as const satisfies Record<string, Attack>;

/** The name of an attack. */
export type AttackName = keyof typeof attacks;
