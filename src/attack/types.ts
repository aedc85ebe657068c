/**
 * What an attack is.
 *
 * @module
 */
/** An attack, ready to be traced. Images are in [0, 1]. */
export interface AttackSettings {
  /** The attack's key in `attacks`. */
  readonly name: string;
  /** Radius of the L-infinity ball around the clean image, 0 to 1. */
  readonly epsilon: number;
  /** Sign steps, 1 or more. */
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
  /** Its key in `attacks`. */
  readonly name: string;
  /** The settings for a radius, 0 to 1; options about which the attack leaves no choice are passed over. */
  settings(epsilon: number, options?: IterateOptions): AttackSettings;
}

/** What may be chosen about an attack, where it leaves a choice. */
export interface IterateOptions {
  /** Standard deviation of the noise that the first iterate starts with; 0 when not given. */
  readonly startNoise?: number;
  /** Iterations; 10 when not given. */
  readonly steps?: number | undefined;
  /** Length of a step in units of epsilon / steps; 2.5 when not given. */
  readonly stepFactor?: number;
  /** Whether the noisy start is projected to the ball and to [0, 1]; so it is when not given. */
  readonly projectStart?: boolean;
  /** Whether the iterate of lowest loss is kept, not the last; so it is when not given. */
  readonly keepBest?: boolean;
}
