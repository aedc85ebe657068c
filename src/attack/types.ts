/**
 * What an attack is, and what it is given.
 *
 * @module
 */
import type { NoiseKey, Parameter, Tensor, Updates } from "../nn/mod.ts";
import type { InitName } from "./inits.ts";
import type { NormName } from "./norms.ts";
import type { ObjectiveName } from "./objectives.ts";

/** An attack, ready to be traced. Images are in [0, 1]. */
export interface AttackSettings {
  /** The attack's name. */
  readonly name: string;
  /** Norm of the ball around the clean image. */
  readonly norm: NormName;
  /** Radius of the ball, 0 or more; 1 reaches every image in L-infinity. */
  readonly epsilon: number;
  /** Steps, 1 or more. */
  readonly steps: number;
  /** Length of one step, in the norm. */
  readonly stepSize: number;
  /** Standard deviation of the normal noise that the first iterate starts with; 0 starts at the image. */
  readonly startNoise: number;
  /** Whether the noisy start is projected to the ball and to [0, 1] before the first step. */
  readonly projectStart: boolean;
  /** Whether the iterate of lowest loss is kept, image by image, rather than the last. */
  readonly keepBest: boolean;
  /** The start that was chosen, projected; as the three above say when not given. */
  readonly init?: InitName | undefined;
  /** Further runs over every image from random points of the ball, of which the best counts; none when not given. */
  readonly restarts?: number | undefined;
}

/** What may be chosen about an attack, where it leaves a choice. */
export interface IterateOptions {
  /** Norm of the ball; L-infinity when not given. */
  readonly norm?: NormName | undefined;
  /** Standard deviation of the noise that the first iterate starts with; 0 when not given. */
  readonly startNoise?: number;
  /** Iterations; the attack's own number when not given. */
  readonly steps?: number | undefined;
  /** Length of a step in units of epsilon / steps; 2.5 when not given. */
  readonly stepFactor?: number;
  /** Whether the noisy start is projected to the ball and to [0, 1]; so it is when not given. */
  readonly projectStart?: boolean;
  /** Whether the iterate of lowest loss is kept, not the last; so it is when not given. */
  readonly keepBest?: boolean;
  /** A start, projected to the ball and to [0, 1]; noise of `startNoise` when not given. */
  readonly init?: InitName | undefined;
  /** Further runs from random points of the ball; none when not given. */
  readonly restarts?: number | undefined;
}

/** Which images of a set a batch holds, and which run over them it is. */
export interface Which {
  /** `[B]`, the images' numbers in their set: what is drawn by them is the same in batches of any size. */
  readonly index: Tensor;
  /** `[1]`, 0 for the first run; restarts go on from there. */
  readonly run: Tensor;
}

/** What an attack works on: it knows neither model nor method. */
export interface Problem {
  /**
   * The loss `[B]` of images `[B, ...]`, image by image, which the attack lowers. Its second argument `[1]`
   * counts the steps, for a loss that draws noise afresh at each.
   */
  readonly loss: (images: Tensor, count: Tensor) => Tensor;
  /** `[B, ...]` of the images. */
  readonly shape: readonly number[];
  /** Of an attack's random numbers at its steps; the same as of its start. */
  readonly key?: NoiseKey | undefined;
}

/** An attack. */
export interface Attack {
  /** Its name; of those in `attacks`, its key. */
  readonly name: string;
  /** What it lowers where nobody says; the published loss when not given. */
  readonly objective?: ObjectiveName;
  /** Whether it finds its steps' lengths by itself: a stronger one makes more of them. */
  readonly adaptive?: true;
  /** Whether it looks at losses alone, and never at a gradient. */
  readonly gradientFree?: true;
  /** The settings for a radius; options about which the attack leaves no choice are passed over. */
  settings(epsilon: number, options?: IterateOptions): AttackSettings;
  /** Prepares the attack on a batch of images. */
  prepare(problem: Problem, settings: AttackSettings): Iterate;
}

/** The state of images under attack, on the device between steps. */
export interface Iterate {
  /** The clean images `[B, ...]`. */
  readonly clean: Parameter;
  /** The current iterate `[B, ...]`. */
  readonly current: Parameter;
  /** The adversarial images so far: the iterate of lowest loss where it is kept, else the current one. */
  readonly result: Parameter;
  /**
   * Updates that start the attack on a batch of clean images.
   *
   * @param key of its random numbers
   * @param which images they are; the first ones in a first run when not given
   */
  start(images: Tensor, key: NoiseKey, which?: Which): Updates;
  /** Length of each image's next step, `[B]`, where an attack finds it by itself. */
  readonly lengths?: Parameter;
  /** How many steps were made: `[1]`. */
  readonly count: Parameter;
  /** One step, to be run `repeats` times: what it changes, and the loss's gradient `[B, ...]` where it follows one. */
  step(): {
    readonly updates: Updates;
    readonly gradient?: Tensor;
    /** The loss `[B]` of the iterate that the step started from. */
    readonly losses?: Tensor;
  };
  /** How often to run the step: once more than `steps` where the last iterate must still be judged. */
  readonly repeats: number;
  /** Everything above that holds memory on the device. */
  readonly parameters: readonly Parameter[];
}
