/**
 * What the checks of an attack say.
 *
 * @module
 */

/** What a check measured, and what it makes of it. */
export interface Check {
  /** Whether what was measured is as it should be. */
  readonly holds: boolean;
  /**
   * Counts, shares from 0 to 1, nats or differences of pixels by name: see {@linkcode CheckName}. NaN where
   * it was not measured.
   */
  readonly figures: Readonly<Record<string, number>>;
  /** A sentence where it does not hold. */
  readonly warning: string | null;
}

/** All checks of an attack. */
export interface AttackChecks {
  /** Images of the sample that the further attacks were made on. */
  readonly images: number;
  /**
   * What an attack's effect is taken as: the fall of the mean entropy in nats, or, of one to make less sure and of one that
   * steers to a class, of the mean loss.
   */
  readonly effect: "entropy" | "loss";
  /** Those that were made, by name. */
  readonly results: Readonly<Partial<Record<CheckName, Check>>>;
}

/**
 * - `zeroGradient`: images whose loss has no slope at the first step, and their share.
 * - `finiteGradient`: images that have, at any step, a pixel whose slope is no finite number, and their
 *   share. Where it is no number the pixel stays as it is.
 * - `ball`, `box`: longest change by the norm of the attack, largest excess of a pixel over [0, 1], and what is allowed.
 * - `loss`: mean loss of the clean and of the attacked images.
 * - `control`: effect of the attack, and of a random step of length epsilon, as far as the attack
 *   can go: in L-infinity every pixel moves by epsilon, up or down at random. The attack's must be larger by two standard errors of the
 *   difference, image by image, and by 0.01.
 * - `epsilon`: effect of the attack, and of one with half the radius.
 * - `convergence`: effect of the attack, and of a stronger one in the same ball: five times the steps, ten
 *   at least, each of 2.5 epsilon / steps at least, the best iterate kept. It must not do more by 0.05, nor
 *   bring AUROC by MSP down by more than 0.02.
 * - `randomAnswers`: largest difference of an image's largest probability between two draws, and what is allowed.
 * - `atRest`: share of the whole way of the mean lowest loss that lies in the last tenth of the steps, at most 5 %, and
 *   that loss before and after it.
 * - `unbounded`: fall of the mean loss by the attack, and in a ball that holds every image, which must be no less.
 * - `maskedGradient`: the same by the attack, and by as many queries of square, which must not be more by 0.2 %. These
 *   four are made where thorough checks are asked for.
 * - `accuracy`: share of in-domain images that are right, and that of guessing: see `knows()`.
 *
 * An effect that no image has, since its answers or its losses are no finite numbers, is not measured: then
 * `control`, `epsilon` and `convergence` do not hold.
 */
export type CheckName =
  | "zeroGradient"
  | "finiteGradient"
  | "ball"
  | "box"
  | "loss"
  | "control"
  | "epsilon"
  | "convergence"
  | "accuracy"
  | "randomAnswers"
  | "unbounded"
  | "maskedGradient"
  | "atRest";
