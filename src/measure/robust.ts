/**
 * What a battery of attacks leaves of a detector: of every image the worst score among all attacks, in f64 on
 * the host. The worst is judged by the score that is reported, never by what an attack lowered.
 *
 * @module
 */
import { bootstrap, type Estimate, estimate, shareBelow, thresholdKeeping } from "./detection.ts";
import type { ScoreValues } from "./answers.ts";

/** Scores of one image set by one attack or by none, turned so that higher is more in-domain. */
export interface Attempt {
  /** Whose they are: `clean`, or an attack's name. */
  readonly name: string;
  /** `[N]`, higher for more in-domain; an image that was not attacked has its clean score. */
  readonly scores: Float64Array;
}

/** The worst of several attempts. */
export interface Worst {
  /** `[N]`, the worst score of each image. */
  readonly scores: Float64Array;
  /** Shares of images that each attempt was the worst of, by name, 0 to 1; of equal ones the first counts. */
  readonly won: Readonly<Record<string, number>>;
}

/** Scores turned so that higher is more in-domain; an image without a number ranks below all. */
export function turned({ values, higher }: ScoreValues): Float64Array {
  return Float64Array.from(values, (v) => {
    const score = higher === "in-domain" ? v : -v;
    return Number.isNaN(score) ? -Infinity : score;
  });
}

/**
 * The worst score of each image.
 *
 * @param attempts the clean one first
 * @param side whose images they are: those out-domain are worst where they look most in-domain, those in-domain
 * where they look least
 */
export function worstOf(attempts: readonly Attempt[], side: "in" | "out"): Worst {
  const [clean] = attempts;
  if (!clean) throw new Error("Unreachable: the clean images are always there");
  const scores = clean.scores.slice();
  const winner = new Uint32Array(scores.length);
  attempts.forEach((attempt, k) => {
    attempt.scores.forEach((score, i) => {
      const best = scores[i] ?? NaN;
      if (side === "out" ? score <= best : score >= best) return;
      scores[i] = score;
      winner[i] = k;
    });
  });
  const won = attempts.map(({ name }, k): [string, number] => [
    name,
    winner.filter((by) => by === k).length / winner.length,
  ]);
  return { scores, won: Object.fromEntries(won) };
}

/** AUROC and FPR95 of two sets, with intervals. */
export interface Told {
  readonly auroc: Estimate;
  readonly fprAt95Tpr: Estimate;
}

/** A detector before and after: which images are attacked. */
export interface Columns {
  readonly clean: Told;
  /** In-domain images attacked. */
  readonly in: Told;
  /** Out-domain images attacked. */
  readonly out: Told;
  /** Both. */
  readonly both: Told;
}

/** Scores of both sets, higher for more in-domain, clean and worst. */
export interface Detected {
  readonly inDomain: Readonly<Record<"clean" | "worst", Float64Array>>;
  readonly outDomain: Readonly<Record<"clean" | "worst", Float64Array>>;
}

/**
 * The four columns, with intervals by the bootstrap over images.
 *
 * @param seed of the resamples
 */
export function columnsOf({ inDomain, outDomain }: Detected, seed: number): Columns {
  const told = (own: Float64Array, other: Float64Array): Told => {
    const { auroc, fprAt95Tpr } = estimate(own, other, { ...bootstrap, seed });
    return { auroc, fprAt95Tpr };
  };
  return {
    clean: told(inDomain.clean, outDomain.clean),
    in: told(inDomain.worst, outDomain.clean),
    out: told(inDomain.clean, outDomain.worst),
    both: told(inDomain.worst, outDomain.worst),
  };
}

/** What the threshold that keeps 95 % of the clean in-domain images makes of the attacked ones. */
export interface AtThreshold {
  /** Share of out-domain images that are rejected, clean and at their worst, 0 to 1. */
  readonly rejected: Readonly<Record<"clean" | "worst", number>>;
  /** Share of in-domain images that are kept, clean and at their worst, 0 to 1. */
  readonly kept: Readonly<Record<"clean" | "worst", number>>;
}

/** Robust rejection: see {@linkcode AtThreshold}. */
export function atThreshold({ inDomain, outDomain }: Detected): AtThreshold {
  const threshold = thresholdKeeping(inDomain.clean);
  const below = (scores: Float64Array): number => shareBelow(scores, threshold);
  return {
    rejected: { clean: below(outDomain.clean), worst: below(outDomain.worst) },
    kept: { clean: 1 - below(inDomain.clean), worst: 1 - below(inDomain.worst) },
  };
}
