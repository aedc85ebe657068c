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
import { type Attacked, type AttackJob, attackSet } from "./attack_set.ts";
import { predict } from "./predict.ts";

/** By how much the largest probability of an image may differ between two draws. */
const sameAnswer = 0.01;

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
    ...traced.steps && { atRest: restOf(traced.steps, job.set.count) },
  };
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
    losses.forEach((loss, i) => lowest[i] = Math.min(lowest[i] ?? NaN, loss));
    return lowest.reduce((sum, loss) => sum + loss, 0) / count;
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
