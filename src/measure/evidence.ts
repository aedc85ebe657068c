/**
 * What predictions tell beyond mean entropy and rejection: detectors, calibration, curves. Means are over
 * images, under either protocol.
 *
 * @module
 */
import { calibration } from "./calibration.ts";
import {
  bootstrap,
  type BootstrapOptions,
  type Estimate,
  estimate,
  shareBelow,
  thresholdKeeping,
} from "./detection.ts";
import type { CalibrationResult, EpsilonPoint, SeparationResult } from "./schema.ts";
import { meanEstimate, shareEstimate } from "./intervals.ts";
import {
  confidences,
  entropies,
  type Predictions,
  rejectedRows,
  rejectionRate,
} from "./metrics.ts";
import type { Answers, ScoreValues } from "./answers.ts";

/** The threshold of the paper's tables. */
export const tau = 0.9;

/** Thresholds of the curves against tau. */
const taus = [...Array.from({ length: 19 }, (_, i) => (i + 1) / 20), 0.99];

/** Answers to out-domain images by name: as they were, and as an attack made them. */
export type OutDomain = Readonly<Record<string, Answers>>;

/** A detector by every score: what the schemas of detection check. */
export interface Detection {
  readonly positive: "in-domain";
  readonly negative: "out-domain";
  readonly inDomain: number;
  readonly bootstrap: BootstrapOptions;
  readonly scores: Readonly<Record<string, unknown>>;
}

/** Every score of a set: those of its probabilities, and the method's own. */
export function scoresOf({ predictions, scores }: Answers): Record<string, ScoreValues> {
  return {
    maxProbability: { values: confidences(predictions), higher: "in-domain" },
    entropy: { values: entropies(predictions), higher: "out-domain" },
    ...scores,
  };
}

/** A detector by every score, with intervals whose resamples follow from the seed. */
export function detectionOf(inDomain: Answers, outDomain: OutDomain, seed: number): Detection {
  const options = { ...bootstrap, seed };
  const sets = Object.entries(outDomain).map(([name, answers]) =>
    [name, scoresOf(answers)] as const
  );
  const scores = Object.entries(scoresOf(inDomain)).map(([name, score]) => {
    const own = upright(score);
    const threshold = thresholdKeeping(own);
    const against = (other: ScoreValues | undefined): SeparationResult => {
      const values = other ? upright(other) : new Float64Array();
      const { auroc, auprIn, auprOut, fprAt95Tpr } = estimate(own, values, options);
      const rejected = shareBelow(values, threshold);
      return { auroc, auprIn, auprOut, fprAt95Tpr, rejected };
    };
    return [name, {
      higher: score.higher,
      threshold: finite(score.higher === "in-domain" ? threshold : -threshold),
      kept: 1 - shareBelow(own, threshold),
      ...Object.fromEntries(sets.map(([set, others]) => [set, against(others[name])])),
    }];
  });
  return {
    positive: "in-domain",
    negative: "out-domain",
    inDomain: rowsOf(inDomain.predictions),
    bootstrap: options,
    scores: Object.fromEntries(scores),
  };
}

/**
 * How one score tells two sets apart, with intervals whose resamples follow from the seed; `rejected` is the share of
 * out-domain images below the threshold that keeps 95 % of these in-domain ones.
 */
export function apartBy(
  name: string,
  inDomain: Answers,
  outDomain: Answers,
  seed: number,
): SeparationResult {
  const [own, other] = [inDomain, outDomain].map((of) => {
    const score = scoresOf(of)[name];
    return score ? upright(score) : new Float64Array();
  });
  const [a, b] = [own ?? new Float64Array(), other ?? new Float64Array()];
  const { auroc, auprIn, auprOut, fprAt95Tpr } = estimate(a, b, { ...bootstrap, seed });
  return { auroc, auprIn, auprOut, fprAt95Tpr, rejected: shareBelow(b, thresholdKeeping(a)) };
}

/** Attacked in-domain images by one score. */
export interface AttackedScore {
  /** Share that is still kept at the threshold that keeps 95 % of the clean ones, 0 to 1. */
  readonly kept: number;
  /** How they are told from clean out-domain images. */
  readonly clean: SeparationResult;
  /** The same of attacked ones; none where these are not attacked. */
  readonly attacked?: SeparationResult | undefined;
}

/** Attacked in-domain images against out-domain ones, by every score. */
export function attackedScores(
  inDomain: { readonly clean: Answers; readonly attacked: Answers },
  outDomain: { readonly clean: Answers; readonly attacked?: Answers | undefined },
  seed: number,
): Record<string, AttackedScore> {
  const of = (answers: Answers | undefined, name: string): Float64Array => {
    const score = answers && scoresOf(answers)[name];
    return score ? upright(score) : new Float64Array();
  };
  return Object.fromEntries(
    Object.keys(scoresOf(inDomain.clean)).map((name) => {
      const threshold = thresholdKeeping(of(inDomain.clean, name));
      const own = of(inDomain.attacked, name);
      const against = (answers: Answers): SeparationResult => {
        const out = of(answers, name);
        const found = estimate(own, out, { ...bootstrap, seed });
        const { auroc, auprIn, auprOut, fprAt95Tpr } = found;
        return { auroc, auprIn, auprOut, fprAt95Tpr, rejected: shareBelow(out, threshold) };
      };
      return [name, {
        kept: 1 - shareBelow(own, threshold),
        clean: against(outDomain.clean),
        ...outDomain.attacked && { attacked: against(outDomain.attacked) },
      }];
    }),
  );
}

/** The reliability diagram, with null for what an empty bin has none of. */
export function calibrationOf(
  predictions: Predictions,
  labels: ArrayLike<number>,
): CalibrationResult {
  const { ece, bins } = calibration(predictions, labels);
  return {
    ece: finite(ece),
    bins: bins.map((bin) => ({
      ...bin,
      confidence: finite(bin.confidence),
      accuracy: finite(bin.accuracy),
    })),
  };
}

/** Shares of images that the paper's threshold accepts; null in-domain where there are no such images. */
export function confidentShares(
  inDomain: Answers | undefined,
  outDomain: OutDomain,
): Record<string, number | null> {
  const sets = Object.entries({ inDomain, ...outDomain });
  return Object.fromEntries(
    sets.map(([set, of]) => [set, of ? 1 - rejectionRate(of.predictions, tau) : null]),
  );
}

/** What rejecting at each tau leaves; null in-domain, and in AUROC, where there are no such images. */
export function tauCurve(
  inDomain: Answers | undefined,
  outDomain: OutDomain,
): readonly object[] {
  return taus.map((at) => {
    const own = inDomain ? leftAt(inDomain, at) : null;
    const others = Object.entries(outDomain).map(([set, answers]) => {
      const left = leftAt(answers, at);
      const auroc = own && finite((1 + left.rejected - own.rejected) / 2);
      return [set, { ...left, auroc }];
    });
    return { tau: at, inDomain: own, ...Object.fromEntries(others) };
  });
}

function leftAt(
  { predictions }: Answers,
  at: number,
): { readonly rejected: number; readonly entropy: number | null } {
  const p = confidences(predictions);
  const accepted = entropies(predictions).filter((_, i) => Math.fround(p[i] ?? NaN) > at);
  return {
    rejected: rejectionRate(predictions, at),
    entropy: finite(accepted.reduce((a, b) => a + b, 0) / accepted.length),
  };
}

/**
 * A point of the curves against the radius.
 *
 * @param inDomain without such images its AUROC is null
 * @param seed of the bootstrap
 * @param attacked answers to the images whose entropy and rejection it is, those out-domain when not given
 */
export function epsilonPoint(
  inDomain: Answers | undefined,
  outDomain: Answers,
  epsilon: number,
  seed: number,
  attacked: Answers = outDomain,
): EpsilonPoint {
  const { predictions } = attacked;
  const [images, others] = [rowsOf(predictions), scoresOf(outDomain)];
  const areas = inDomain && Object.entries(scoresOf(inDomain)).map(([name, score]) => {
    const other = others[name];
    const values = other ? upright(other) : new Float64Array();
    return [name, finiteEnds(estimate(upright(score), values, { ...bootstrap, seed }).auroc)];
  });
  return {
    epsilon,
    images,
    entropy: finiteEnds(meanEstimate(entropies(predictions), Math.log(predictions.classes))),
    rejected: finiteEnds(shareEstimate(rejectedRows(predictions, tau), images)),
    auroc: areas ? Object.fromEntries(areas) : null,
  };
}

/** A figure and its interval with null for what no valid row gave. */
export function finiteEnds({ value, low, high }: Estimate): EpsilonPoint["entropy"] {
  return { value: finite(value), low: finite(low), high: finite(high) };
}

/** Scores turned so that higher is more in-domain. */
function upright({ values, higher }: ScoreValues): Float64Array {
  return Float64Array.from(values, (v) => higher === "in-domain" ? v : -v);
}

function rowsOf({ logProbabilities, classes }: Predictions): number {
  return logProbabilities.length / classes;
}

/** JSON has no NaN: null stands for a figure that no valid row gave. */
export function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
