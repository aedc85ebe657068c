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
import type { AttackChecks, Check, CheckName } from "../measure/check.ts";
import { percent, round } from "../measure/shown.ts";
import { finite } from "../measure/evidence.ts";
import type { ChecksResult } from "../measure/schema.ts";
import { type Attack, attacks, type AttackSettings, type Norm, norms } from "../attack/mod.ts";
import { chosen, evenSample, ResidentSet } from "./resident_set.ts";
import { separation } from "../measure/detection.ts";
import { guesses, type Hits, knows } from "../measure/guessing.ts";
import { confidences, entropies } from "../measure/metrics.ts";
import { mul, release, size, sum } from "../nn/mod.ts";
import { type Attacked, type AttackJob, attackSet } from "./attack_set.ts";
import { thoroughChecks } from "./thorough_checks.ts";
import { type Answers } from "../measure/answers.ts";
import type { Reporter } from "../base/reporter.ts";

/** A checks check's verdict, and the attack with half the radius that it made on its sample. */
export interface CheckedAttack {
  readonly checks: AttackChecks;
  /** Which images of the set the sample is. */
  readonly index: ArrayLike<number>;
  readonly half: Attacked;
}

/** Images of the sample. */
const sampleSize = 200;

/** Differences of effects below this are put down to the noise of sampled predictions. */
const slack = 0.01;

/** What a stronger attack may do more, in nats of entropy or of loss, and in AUROC. */
const converged = { effect: 0.05, auroc: 0.02 } as const;

/** Rounding of a pixel in f32. */
const hair = 1e-6;

/**
 * Examines an attack that was made.
 *
 * @param job as it was given to `attackSet`
 * @param attacked what came of it
 * @param inDomain answers to in-domain images, for AUROC; without them that is left out
 */
export async function checkAttack(
  job: AttackJob,
  attacked: Attacked,
  inDomain?: Answers,
): Promise<CheckedAttack> {
  const { settings, set, device, target } = job;
  const index = evenSample(set.count, sampleSize);
  const sample = new ResidentSet(chosen(set.set, index), index);
  const surer = job.direction !== "under";
  const effect = target === undefined && surer ? "entropy" : "loss";
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
    const strong = stronger(settings, job.attack);
    const further = await again({
      attack: strong.attack,
      settings: strong.settings,
      title: "check: a stronger attack",
    });
    const noise = await again({
      attack: attacks.fgsm,
      settings: { ...settings, ...oneStep(settings.epsilon) },
      // The sign of this loss's gradient is that of the noise.
      follow: (x, _copy, { draws }) => sum(mul(x, draws.normal(x.shape)), [1, 2, 3]),
      title: "check: noise",
    });
    const dropped = dropsOf[effect];
    const drop = (of: Attacked, index?: ArrayLike<number>): number => mean(dropped(of, index));
    const full = drop(attacked, index);
    const auroc = (of: Answers, index?: ArrayLike<number>): number =>
      inDomain && surer
        ? separation(confidences(inDomain.predictions), sure(of, index)).auroc
        : NaN;
    const found = { effect: full, auroc: auroc(attacked.adversarial, index) };
    const results = {
      ...onImages(attacked, settings, size(set.set.shape)),
      control: control(dropped(attacked, index), dropped(noise), effect),
      epsilon: growth(full, drop(half), effect, "Half the radius does"),
      convergence: convergence(
        found,
        { effect: drop(further), auroc: auroc(further.adversarial) },
        strong,
        effect,
      ),
      ...job.thorough ? await thoroughChecks(common, { clean: half.clean }) : {},
    };
    return { checks: { images: index.length, effect, results }, index, half };
  } finally {
    release(device, sample.parameters);
  }
}

/** The warnings of the checks that do not hold, each once; first of a model whose answers mean nothing. */
export function warningsOf({ results: { accuracy, ...others } }: AttackChecks): string[] {
  const all = [...(accuracy ? [accuracy] : []), ...Object.values(others)];
  return [...new Set(all.flatMap(({ warning }) => warning ?? []))];
}

/** The same attack with half the radius. */
function halved(settings: AttackSettings): AttackSettings {
  return { ...settings, epsilon: settings.epsilon / 2, stepSize: settings.stepSize / 2 };
}

/** An attack, and how it is made. */
interface Strong {
  readonly attack: Attack;
  readonly settings: AttackSettings;
}

/**
 * A stronger attack in the same ball: more steps of pgd, or of one that finds their lengths by itself; after a
 * search without a gradient one that follows it.
 */
function stronger(
  settings: AttackSettings,
  given: Attack | undefined,
): Strong {
  const all = Object.values<Attack>(attacks);
  const own = given ?? all.find(({ name }) => name === settings.name);
  const steps = Math.max(10, 5 * settings.steps);
  if (own?.gradientFree) {
    const { name } = attacks.apgd;
    return {
      attack: attacks.apgd,
      settings: {
        ...settings,
        name,
        steps: 100,
        stepSize: attacks.apgd.settings(settings.epsilon, { norm: settings.norm }).stepSize,
      },
    };
  }
  if (own?.adaptive) return { attack: own, settings: { ...settings, steps } };
  const { name } = attacks.pgd;
  const stepSize = Math.max(2.5 * settings.epsilon / steps, settings.stepSize / 5);
  return {
    attack: attacks.pgd,
    settings: { ...settings, name, steps, stepSize, keepBest: true, projectStart: true },
  };
}

/** Largest probabilities of some images, or of all. */
function sure({ predictions }: Answers, index?: ArrayLike<number>): Float64Array {
  const all = confidences(predictions);
  return index ? Float64Array.from(index, (i) => all[i] ?? NaN) : all;
}

function oneStep(epsilon: number): Partial<AttackSettings> {
  const { name } = attacks.fgsm;
  const alone = { init: undefined, restarts: undefined };
  return { name, steps: 1, stepSize: epsilon, startNoise: 0, keepBest: false, ...alone };
}

/** What is to be seen on the attacked images themselves. */
function onImages(
  { distance, outside, gradient, losses }: Attacked,
  { norm: name, epsilon, startNoise, projectStart, keepBest }: AttackSettings,
  pixels: number,
): Readonly<Partial<Record<CheckName, Check>>> {
  // Every step ends with a projection; only a best iterate may be the noisy start itself.
  const noise = keepBest && !projectStart ? startNoise : 0;
  const norm: Norm = norms[name];
  const radius = Math.max(epsilon, norm.noiseBound(pixels) * noise);
  const [before, after] = [mean(losses.clean), mean(losses.adversarial)];
  return {
    ...gradient && {
      zeroGradient: none(gradient.slope, (v) => v === 0, "had a zero gradient at the first step"),
      finiteGradient: none(
        gradient.blindSteps,
        (steps) => steps > 0,
        "had no finite gradient at some step; pixels without one stayed as they were",
      ),
    },
    ball: within(
      distance,
      { radius, rounding: norm.rounding(pixels) },
      "of the images left the ball of radius epsilon",
    ),
    box: within(
      outside,
      { radius: norms.linf.noiseBound(pixels) * noise, rounding: hair },
      "of the attacked images left [0, 1]",
    ),
    loss: check(
      after < before,
      { before, after },
      `The attack does not lower its loss: ${round(before)} before, ${round(after)} after`,
    ),
  };
}

function none(
  values: Float32Array | Uint32Array,
  bad: (v: number) => boolean,
  what: string,
): Check {
  const images = values.filter(bad).length;
  const share = images / values.length;
  return check(
    images === 0,
    { share, images },
    `${images} of ${values.length} images (${percent(share)}) ${what}`,
  );
}

function within(
  values: Float32Array,
  { radius: allowed, rounding }: { readonly radius: number; readonly rounding: number },
  what: string,
): Check {
  const share = values.filter((v) => !(v <= allowed + rounding)).length / values.length;
  const largest = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return check(share === 0, { largest, allowed, share }, `${percent(share)} ${what}`);
}

function control(
  attack: readonly number[],
  noise: readonly number[],
  effect: AttackChecks["effect"],
): Check {
  const differences = attack.map((drop, i) => drop - (noise[i] ?? NaN)).filter(Number.isFinite);
  const difference = mean(differences);
  const variance = mean(differences.map((d) => (d - difference) ** 2));
  const margin = Math.max(slack, 2 * Math.sqrt(variance / differences.length));
  const figures = { attack: mean(attack), noise: mean(noise), margin };
  if (Number.isNaN(difference)) return unmeasured(figures, effect);
  return check(
    difference > margin,
    figures,
    `Random noise of the same size lowers the ${effect} nearly as much: by ${
      round(figures.noise)
    }, ` +
      `the attack by ${round(figures.attack)}, which should be more by ${round(margin)}`,
  );
}

interface Reached {
  readonly effect: number;
  readonly auroc: number;
}

function convergence(
  full: Reached,
  further: Reached,
  { attack, settings: { steps, stepSize } }: Strong,
  effect: AttackChecks["effect"],
): Check {
  if (Number.isNaN(further.effect - full.effect)) {
    return unmeasured({ full: full.effect, stronger: further.effect }, effect);
  }
  const more = further.effect - full.effect > converged.effect;
  const lower = full.auroc - further.auroc > converged.auroc;
  const areas = Number.isFinite(full.auroc)
    ? `, and AUROC is ${round(further.auroc)} instead of ${round(full.auroc)}`
    : "";
  return check(
    !more && !lower,
    {
      full: full.effect,
      stronger: further.effect,
      ...(Number.isFinite(full.auroc) ? { auroc: full.auroc, aurocStronger: further.auroc } : {}),
    },
    `The attack has not converged: in ${steps} steps of ${attack.adaptive ? "at most " : ""}${
      Number(stepSize.toPrecision(3))
    } the ${effect} falls by ` +
      `${round(further.effect)} instead of ${round(full.effect)}${areas}`,
  );
}

/**
 * The checks with that of the model itself: whether it knows the images that it was trained for.
 *
 * @param counted the in-domain images; without labels nothing is known of them, and the check is not made
 */
export function withAccuracy(
  { checks, ...sample }: CheckedAttack,
  { right, count, classes }: Omit<Hits, "right"> & { readonly right: number | null },
): CheckedAttack {
  if (right === null) return { checks, ...sample };
  const hits = { right, count, classes };
  const figures = { accuracy: right / count, chance: 1 / classes, images: count };
  const accuracy = check(knows(hits), figures, guesses(hits));
  return { checks: { ...checks, results: { ...checks.results, accuracy } }, ...sample };
}

function growth(full: number, half: number, effect: AttackChecks["effect"], what: string): Check {
  if (Number.isNaN(half - full)) return unmeasured({ full, half }, effect);
  return check(
    !(half > full + slack),
    { full, half },
    `${what} more than the whole: the ${effect} falls by ${round(half)}, else by ${round(full)}`,
  );
}

/** What was not measured does not hold: the same sentence for every check that it concerns. */
function unmeasured(figures: Record<string, number>, effect: AttackChecks["effect"]): Check {
  const warning = `The attack's effect cannot be told: no image has ${
    effect === "entropy" ? "an entropy" : "a loss"
  } that is a number both before and after`;
  return check(false, figures, warning);
}

function check(holds: boolean, figures: Record<string, number>, warning: string): Check {
  return { holds, figures, warning: holds ? null : warning };
}

type Drops = (attacked: Attacked, index?: ArrayLike<number>) => number[];

/** Falls of an image's entropy or loss, of some images or of all; NaN where one has no figure. */
const dropsOf: Record<AttackChecks["effect"], Drops> = {
  entropy: ({ clean, adversarial }, index) =>
    falls(entropies(clean.predictions), entropies(adversarial.predictions), index),
  loss: ({ losses }, index) => falls(losses.clean, losses.adversarial, index),
};

function falls(
  before: ArrayLike<number>,
  after: ArrayLike<number>,
  index: ArrayLike<number> = Array.from(before, (_, i) => i),
): number[] {
  return Array.from(index, (i) => (before[i] ?? NaN) - (after[i] ?? NaN));
}

/** Mean of the finite values; NaN without one. */
function mean(values: ArrayLike<number>): number {
  const finite = Array.from(values).filter(Number.isFinite);
  return finite.reduce((a, b) => a + b, 0) / finite.length;
}

/** The checks, with null for figures that are no numbers. */
export function checksResult({ images, effect, results }: AttackChecks): ChecksResult {
  const shown = Object.entries(results).map(([name, check]) => {
    const figures = Object.entries(check.figures).map(([key, value]) => [key, finite(value)]);
    return [name, { ...check, figures: Object.fromEntries(figures) }];
  });
  return { images, effect, results: Object.fromEntries(shown) };
}
