/**
 * The attacks: one line each. An attack sees a loss, an image and a radius, never a method.
 *
 * @module
 */
import { fgsm } from "./fgsm.ts";
import { pgd } from "./pgd.ts";
import type { Attack } from "./types.ts";

export type { Attack, AttackSettings, IterateOptions } from "./types.ts";
export { type Iterate, iterate } from "./iterate.ts";

/** Every attack by its name. */
export const attacks = { fgsm, pgd } as const satisfies Record<string, Attack>;

/** The name of an attack. */
export type AttackName = keyof typeof attacks;
