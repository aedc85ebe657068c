/**
 * Whether an attack's figures can be believed: the checks that N. Carlini et al., "On evaluating
 * adversarial robustness", 2019, and F. Croce and M. Hein, "Reliable evaluation of adversarial
 * robustness", ICML 2020, ask for before a number is reported.
 *
 * An attack that never left the images, followed no gradient, or does no more than noise says nothing of
 * the model. The checks on the images look at all of them; those that need further attacks make them
 * on a sample.
 *
 * @module
 */
import type { AttackSettings } from "./attack/mod.ts";
import { chosen, ResidentSet, spread } from "./dataset.ts";
import { entropies } from "./metrics.ts";
import { mul, release, sum } from "./nn/mod.ts";
import { type Attacked, type AttackJob, attackSet } from "./predict.ts";
import type { Reporter } from "./reporter.ts";

/** What a check measured, and what it makes of it. */
export interface Check {
  /** Whether what was measured is as it should be. */
  readonly holds: boolean;
  readonly figures: Readonly<Record<string, number>>;
  /** A sentence where it does not hold. */
  readonly warning: string | null;
}

/** All checks of an attack. */
export interface Sanity {
  /** Images of the sample that the further attacks were made on. */
  readonly images: number;
  /**
   * What an attack's effect is taken as: the fall of the mean entropy in nats, or, of an attack that
   * steers to a class, of the mean loss.
   */
  readonly effect: "entropy" | "loss";
  readonly checks: Readonly<Partial<Record<CheckName, Check>>>;
}

/**
 * - `zeroGradient`, `finiteGradient`: share of images whose loss has no slope at the first step, or one
 *   that is no number.
 * - `ball`, `box`: largest change of a pixel, largest excess over [0, 1], and what is allowed.
 * - `loss`: mean loss of the clean and of the attacked images.
 * - `control`: effect of the attack, and of noise that moves every pixel by epsilon up or down at
 *   random: as far as the attack can.
 * - `epsilon`, `steps`: effect of the attack, and of one with half the radius, or stopped half-way;
 *   a single step has no half.
 */
export type CheckName =
  | "zeroGradient"
  | "finiteGradient"
  | "ball"
  | "box"
  | "loss"
  | "control"
  | "epsilon"
  | "steps";

/** A sanity check's verdict, and the attack with half the radius that it made on its sample. */
export interface Examined {
  readonly sanity: Sanity;
  readonly half: Attacked;
}

/** Images of the sample. */
const sampleSize = 200;

/** Differences of effects below this are put down to the noise of sampled predictions. */
const slack = 0.01;

/** Rounding of f32. */
const hair = 1e-6;

/** Standard deviations beyond which no normal number of the generator lies. */
const normalBound = 5.8;

/**
 * Examines an attack that was made.
 *
 * @param job as it was given to `attackSet`
 * @param attacked what came of it
 */
export async function examine(job: AttackJob, attacked: Attacked): Promise<Examined> {
  const { settings, set, device, target } = job;
  const index = spread(set.count, sampleSize);
  const sample = new ResidentSet(chosen(set.set, index));
  const effect = target === undefined ? "entropy" : "loss";
  // What is recorded of the attack itself ends with it.
  const reporter: Reporter = {
    note: (text) => job.reporter.note(text),
    progress: (...bar) => job.reporter.progress(...bar),
  };
  const explain = { explain: false, time: false };
  const common = { ...job, reporter, explain, set: sample, keep: 0 };
  const again = (changed: Partial<AttackJob>): Promise<Attacked> =>
    attackSet({ ...common, ...changed });
  try {
    const half = await again({ settings: halved(settings), title: "check: half the radius" });
    const short = settings.steps > 1
      ? await again({
        settings: { ...settings, steps: Math.floor(settings.steps / 2) },
        title: "check: half the steps",
      })
      : undefined;
    const noise = await again({
      settings: { ...settings, ...oneStep(settings.epsilon) },
      // The sign of this loss's gradient is that of the noise.
      follow: (x, _copy, { draws }) => sum(mul(x, draws.normal(x.shape)), [1, 2, 3]),
      title: "check: noise",
    });
    const drop = dropOf[effect];
    const full = drop(attacked, index);
    const checks = {
      ...onImages(attacked, settings),
      control: control(full, drop(noise), effect),
      epsilon: growth(full, drop(half), effect, "Half the radius does"),
      ...(short ? { steps: growth(full, drop(short), effect, "Half of the steps do") } : {}),
    };
    return { sanity: { images: index.length, effect, checks }, half };
  } finally {
    release(device, sample.parameters);
  }
}

/** The warnings of the checks that do not hold. */
export function warningsOf({ checks }: Sanity): string[] {
  return Object.values(checks).flatMap(({ warning }) => warning ?? []);
}

/** The same attack with half the radius. */
function halved(settings: AttackSettings): AttackSettings {
  return { ...settings, epsilon: settings.epsilon / 2, stepSize: settings.stepSize / 2 };
}

function oneStep(epsilon: number): Partial<AttackSettings> {
  return { steps: 1, stepSize: epsilon, startNoise: 0, keepBest: false };
}

/** What is to be seen on the attacked images themselves. */
function onImages(
  { linf, outside, slope, losses }: Attacked,
  { epsilon, startNoise, projectStart, keepBest }: AttackSettings,
): Record<"zeroGradient" | "finiteGradient" | "ball" | "box" | "loss", Check> {
  // Every step ends with a projection; only a best iterate may be the noisy start itself.
  const free = keepBest && !projectStart ? normalBound * startNoise : 0;
  const radius = Math.max(epsilon, free);
  const [before, after] = [mean(losses.clean), mean(losses.adversarial)];
  return {
    zeroGradient: none(
      slope,
      (v) => v === 0,
      "of the images had a zero gradient at the first step",
    ),
    finiteGradient: none(
      slope,
      (v) => !Number.isFinite(v),
      "of the images had no finite gradient",
    ),
    ball: within(linf, radius, "of the images left the ball of radius epsilon"),
    box: within(outside, free, "of the attacked images left [0, 1]"),
    loss: check(
      after < before,
      { before, after },
      `The attack does not lower its loss: ${round(before)} before, ${round(after)} after`,
    ),
  };
}

function none(values: Float32Array, bad: (v: number) => boolean, what: string): Check {
  const share = values.filter(bad).length / values.length;
  return check(share === 0, { share }, `${percent(share)} ${what}`);
}

function within(values: Float32Array, allowed: number, what: string): Check {
  const share = values.filter((v) => !(v <= allowed + hair)).length / values.length;
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return check(share === 0, { largest, allowed, share }, `${percent(share)} ${what}`);
}

function control(attack: number, noise: number, effect: Sanity["effect"]): Check {
  return check(
    attack > noise,
    { attack, noise },
    `Random noise of the same size lowers the ${effect} as much: by ${round(noise)}, ` +
      `the attack by ${round(attack)}`,
  );
}

function growth(full: number, half: number, effect: Sanity["effect"], what: string): Check {
  return check(
    half <= full + slack,
    { full, half },
    `${what} more than the whole: the ${effect} falls by ${round(half)}, else by ${round(full)}`,
  );
}

function check(holds: boolean, figures: Record<string, number>, warning: string): Check {
  return { holds, figures, warning: holds ? null : warning };
}

type Drop = (attacked: Attacked, index?: ArrayLike<number>) => number;

/** Falls of an image's entropy or loss, as means over those images that have both figures. */
const dropOf: Record<Sanity["effect"], Drop> = {
  entropy: ({ clean, adversarial }, index) =>
    meanDrop(entropies(clean.predictions), entropies(adversarial.predictions), index),
  loss: ({ losses }, index) => meanDrop(losses.clean, losses.adversarial, index),
};

function meanDrop(
  before: ArrayLike<number>,
  after: ArrayLike<number>,
  index: ArrayLike<number> = Array.from(before, (_, i) => i),
): number {
  return mean(Array.from(index, (i) => (before[i] ?? NaN) - (after[i] ?? NaN)));
}

/** Mean of the finite values; NaN without one. */
function mean(values: ArrayLike<number>): number {
  const finite = Array.from(values).filter(Number.isFinite);
  return finite.reduce((a, b) => a + b, 0) / finite.length;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function round(value: number): string {
  return Number.isFinite(value) ? value.toFixed(3) : "no number";
}
