/**
 * The checks of an attack that cost as much as the attack itself, made where they are asked for: whether the
 * model answers twice the same, whether the loss has come to rest, and whether a gradient is masked (A.
 * Athalye et al., "Obfuscated gradients give a false sense of security", ICML 2018).
 *
 * @module
 */
import type { Check, CheckName } from "../measure/check.ts";
import { confidences } from "../measure/metrics.ts";
import { percent, round } from "../measure/shown.ts";
import { attacks, type Norm, norms } from "../attack/mod.ts";
import { size } from "../nn/mod.ts";
import { type Attacked, type AttackJob, attackSet } from "./attack_set.ts";
import { predict } from "./predict.ts";

/** By how much the largest probability of an image may differ between two draws. */
const sameAnswer = 0.01;

/** Queries of the search without a gradient. */
const queries = 300;

/** By how much more that may lower the loss, as a share of what the attack does. */
const won = 0.002;

/** A fall of the loss below this is none. */
const least = 1e-3;

/** Share of the loss's whole way that the last tenth of the steps may make. */
const atRest = 0.05;

/**
 * The checks on a sample.
 *
 * @param job the attack on the sample
 * @param clean answers to its images as they are
 */
export async function thoroughChecks(
  job: AttackJob,
  { clean }: Pick<Attacked, "clean">,
): Promise<Readonly<Partial<Record<CheckName, Check>>>> {
  const again = await predict({ ...job, seed: job.seed + 1 });
  const apart = largest(confidences(clean.predictions), confidences(again.predictions));
  const traced = await attackSet({
    ...job,
    traced: true,
    title: "check: the loss, step by step",
  });
  return {
    randomAnswers: {
      holds: apart <= sameAnswer,
      figures: { apart, allowed: sameAnswer },
      warning: apart <= sameAnswer ? null : randomWarning(apart),
    },
    // Of apgd in L1 the first steps are in larger balls, whose losses are not to be compared.
    ...traced.steps && job.settings.norm !== "l1" &&
      { atRest: restOf(traced.steps, job.set.count) },
    ...await unmasked(job, traced),
  };
}

/**
 * Whether the gradient leads anywhere: a search without one must not do better, and a ball without bound must
 * suffice.
 */
async function unmasked(
  job: AttackJob,
  attacked: Attacked,
): Promise<Readonly<Partial<Record<CheckName, Check>>>> {
  const { settings, set } = job;
  const { epsilon } = settings;
  // Far iterates of an attack that keeps its last one, or the class, say nothing of the gradient.
  if (!attacked.gradient || epsilon === 0 || !settings.keepBest || job.keepLabel) return {};
  const own = fallOf(attacked);
  const norm: Norm = norms[settings.norm];
  const most = norm.largest(size(set.set.shape));
  const free = await attackSet({
    ...job,
    settings: { ...settings, epsilon: most, stepSize: settings.stepSize * most / epsilon },
    title: "check: a ball without bound",
  });
  const reached = fallOf(free);
  const suffices = reached > least && reached >= own - least;
  const unbounded = {
    holds: suffices,
    figures: { attack: own, unbounded: reached },
    warning: suffices
      ? null
      : `Even without a bound the loss falls by ${round(reached)}, within it by ${
        round(own)
      }: the gradient leads nowhere, so that the attack says nothing of the model; use --battery standard`,
  };
  const searched = await attackSet({
    ...job,
    attack: attacks.square,
    settings: attacks.square.settings(epsilon, { norm: settings.norm, steps: queries }),
    title: "check: a search without a gradient",
  });
  const found = fallOf(searched);
  const holds = found <= own + Math.max(least, won * Math.abs(own));
  return {
    unbounded,
    maskedGradient: {
      holds,
      figures: { attack: own, square: found, queries },
      warning: holds
        ? null
        : `A search without a gradient does better: in ${queries} queries of square the loss falls by ${
          round(found)
        } instead of ${
          round(own)
        }: the gradient is masked, or the attack too weak; use --battery standard`,
    },
  };
}

/** Mean fall of the loss. */
function fallOf({ losses: { clean, adversarial } }: Attacked): number {
  const falls = Array.from(clean, (loss, i) => loss - (adversarial[i] ?? NaN))
    .filter(Number.isFinite);
  return falls.reduce((a, b) => a + b, 0) / falls.length;
}

function randomWarning(apart: number): string {
  return `The answers are random: between two draws the largest probability of an image differs by ${
    round(apart)
  }; attack the mean of several draws by --eot or --battery rand, and take more samples to answer`;
}

/** The largest difference, of values that are numbers. */
function largest(a: Float64Array, b: Float64Array): number {
  return a.reduce((most, value, i) => {
    const apart = Math.abs(value - (b[i] ?? NaN));
    return apart > most ? apart : most;
  }, 0);
}

/** Whether the lowest loss so far, as the mean over the images, falls little in the last tenth of the steps. */
function restOf(steps: readonly Float32Array[], count: number): Check {
  const lowest = new Float64Array(count).fill(Infinity);
  const means = steps.map((losses) => {
    losses.forEach((loss, i) => {
      // What is no number, or stands for an image that changed its class, is no loss.
      if (loss < (lowest[i] ?? NaN) && loss < 1e29) lowest[i] = loss;
    });
    const known = lowest.filter(Number.isFinite);
    return known.length < count && known.length === 0
      ? NaN
      : known.reduce((sum, loss) => sum + loss, 0) / known.length;
  });
  const [first = NaN, last = NaN] = [means[0], means.at(-1)];
  const before = means[Math.floor(0.9 * (means.length - 1))] ?? NaN;
  const share = first > last ? (before - last) / (first - last) : 0;
  const holds = !(share > atRest);
  return {
    holds,
    figures: { share, allowed: atRest, before, after: last },
    warning: holds
      ? null
      : `The loss still falls: ${percent(share)} of its whole way lies in the last tenth of ${
        steps.length - 1
      } steps; use more --steps`,
  };
}
