/**
 * What an attack is.
 *
 * @module
 */
import type { Procedure } from "../methods/protocol.ts";

/** An attack, ready to be traced. Images are in [0, 1]. */
export interface AttackSettings {
  readonly name: string;
  /** Radius of the L-infinity ball around the clean image, 0 to 1. */
  readonly epsilon: number;
  readonly steps: number;
  /** Length of one sign step. */
  readonly stepSize: number;
  /** Standard deviation of the normal noise that the first iterate starts with; 0 starts at the image. */
  readonly startNoise: number;
  /** Whether the noisy start is projected to the ball and to [0, 1] before the first step. */
  readonly projectStart: boolean;
  /** Whether the iterate of lowest loss is kept, image by image, rather than the last. */
  readonly keepBest: boolean;
}

/** An attack: how its settings follow from the radius. */
export interface Attack {
  readonly name: string;
  settings(epsilon: number, options: IterateOptions): AttackSettings;
}

/** What a method or a user may choose about an attack. */
export interface IterateOptions {
  readonly procedure: Procedure;
  /** See {@linkcode AttackSettings.startNoise}. */
  readonly startNoise?: number;
  /** Iterations, where the attack leaves a choice. */
  readonly steps?: number | undefined;
}
