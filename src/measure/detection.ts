/**
 * How well a score tells in-domain from out-domain images, in f64 on the host.
 *
 * Every function takes the scores of in-domain and of out-domain images, `[P]` and `[N]`, **higher for
 * more in-domain**. In-domain images are the positive class, out-domain images the negative one. A NaN
 * ranks below every number: a model without an answer takes the image for out-domain.
 *
 * @module
 */
import { philox } from "../nn/graph/philox.ts";
import { xoshiro } from "./xoshiro.ts";

/** Scores, higher for more in-domain. */
export type Scores = ArrayLike<number>;

/** How far apart two sets of scores lie: shares from 0 to 1. */
export interface Separation {
  /**
   * Area under the ROC curve: the probability that an in-domain image scores higher than an out-domain
   * one, ties counted half (Mann and Whitney's U / (P N)). 0.5 tells nothing, 1 everything.
   */
  readonly auroc: number;
  /**
   * Average precision with in-domain images as positives, `sum_k (recall_k - recall_k-1) precision_k`
   * over the distinct scores from the highest down, without interpolation.
   */
  readonly auprIn: number;
  /** The same with out-domain images as positives, from the lowest score up. */
  readonly auprOut: number;
  /**
   * Share of out-domain images at or above the highest score that keeps at least 95 % of the in-domain
   * images (D. Hendrycks and K. Gimpel, ICLR 2017; S. Liang et al., ICLR 2018): those that a detector
   * set so lets through.
   */
  readonly fprAt95Tpr: number;
}

/** A figure with the ends of its interval. */
export interface Estimate {
  /** Of the sets as they are, 0 to 1; NaN where one is empty. */
  readonly value: number;
  /** Lower end of the interval, 0 to 1. */
  readonly low: number;
  /** Upper end of the interval, 0 to 1. */
  readonly high: number;
}

/** How intervals are found. */
export interface BootstrapOptions {
  /** Resamples of both sets. */
  readonly resamples: number;
  /** Share of the resamples' figures between the ends, 0 to 1. */
  readonly confidence: number;
  /** Integer, 0 to 2^53 - 1. The same seed resamples sets of the same sizes alike. */
  readonly seed: number;
}

/** What the results hold: a thousand resamples, 95 %. */
export const bootstrap: Omit<BootstrapOptions, "seed"> = { resamples: 1000, confidence: 0.95 };

/** Share of in-domain images that a detector is set to keep. */
export const kept = 0.95;

const figures = ["auroc", "auprIn", "auprOut", "fprAt95Tpr"] as const;

/** All figures at once, in O((P + N) log (P + N)); NaN where a set is empty. */
export function separation(inDomain: Scores, outDomain: Scores): Separation {
  const ranked = rank(inDomain, outDomain);
  const [p, n] = [ranked.inDomain.length, ranked.outDomain.length];
  return measure(walkOf(ranked), new Uint8Array(p + n).fill(1), [p, n]);
}

/**
 * The figures with intervals by the percentile bootstrap (B. Efron, 1979): in-domain and out-domain
 * images are each drawn again with replacement, as many as there are.
 */
export function estimate(
  inDomain: Scores,
  outDomain: Scores,
  { resamples, confidence, seed }: BootstrapOptions,
): Record<keyof Separation, Estimate> {
  const ranked = rank(inDomain, outDomain);
  const whole = separation(inDomain, outDomain);
  const [p, n] = [ranked.inDomain.length, ranked.outDomain.length];
  const walk = walkOf(ranked);
  const drawn = figures.map(() => new Float64Array(resamples));
  let i = 0;
  for (const times of drawnTimes(p, n, resamples, seed)) {
    const found = measure(walk, times, [p, n]);
    figures.forEach((name, k) => (drawn[k] ?? new Float64Array())[i] = found[name]);
    i++;
  }
  const estimates = figures.map((name, k) => [
    name,
    { value: whole[name], ...endsOf(drawn[k] ?? new Float64Array(), confidence) },
  ]);
  return Object.fromEntries(estimates);
}

/** The ends of the percentile interval of resampled figures, which are sorted in place. */
export function endsOf(drawn: Float64Array, confidence: number): Omit<Estimate, "value"> {
  const [sorted, tail] = [drawn.sort(), (1 - confidence) / 2];
  return { low: quantile(sorted, tail), high: quantile(sorted, 1 - tail) };
}

/**
 * The highest score that at least `share` of the images reach: a detector that rejects what lies below
 * it keeps them. More are kept where scores are tied.
 *
 * @param share 0 to 1
 * @returns -Infinity where only images without a number would fill up the share; NaN without an image
 */
export function thresholdKeeping(scores: Scores, share: number = kept): number {
  const sorted = ordered(scores).sort();
  const n = sorted.length;
  for (let reached = 1; reached <= n; reached++) {
    if (reached / n >= share) return sorted[n - reached] ?? NaN;
  }
  return NaN;
}

/** Share of the images that score below a threshold, 0 to 1, and are rejected; NaN without an image. */
export function shareBelow(scores: Scores, threshold: number): number {
  return ordered(scores).filter((score) => score < threshold).length / scores.length;
}

/** Scores as ranks among the distinct values of both sets, 0 the highest. */
interface Ranked {
  readonly groups: number;
  readonly inDomain: Uint32Array;
  readonly outDomain: Uint32Array;
}

function rank(inDomain: Scores, outDomain: Scores): Ranked {
  const [a, b] = [ordered(inDomain), ordered(outDomain)];
  const all = new Float64Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  all.sort();
  const distinct = all.filter((score, i) => i === 0 || score !== all[i - 1]);
  const rank = (score: number): number => {
    let [low, high] = [0, distinct.length - 1];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((distinct[middle] ?? 0) < score) low = middle + 1;
      else high = middle;
    }
    return distinct.length - 1 - low;
  };
  return {
    groups: distinct.length,
    inDomain: Uint32Array.from(a, rank),
    outDomain: Uint32Array.from(b, rank),
  };
}

/** Scores in f64 with a rank for every one: NaN below all, both zeros equal. */
export function ordered(scores: Scores): Float64Array {
  return Float64Array.from(scores, (score) => Number.isNaN(score) ? -Infinity : score + 0);
}

/** Both sets in the order of their scores, the highest first. */
interface Walk {
  /** Numbers of the images, those out-domain counted on from those in-domain. */
  readonly order: Uint32Array;
  /** 1 at the last image of each score. */
  readonly last: Uint8Array;
}

function walkOf({ inDomain, outDomain, groups }: Ranked): Walk {
  const ranks = new Uint32Array(inDomain.length + outDomain.length);
  ranks.set(inDomain);
  ranks.set(outDomain, inDomain.length);
  const next = new Uint32Array(groups + 1);
  for (const rank of ranks) next[rank + 1] = (next[rank + 1] ?? 0) + 1;
  const last = new Uint8Array(ranks.length);
  for (let rank = 0; rank < groups; rank++) {
    next[rank + 1] = (next[rank + 1] ?? 0) + (next[rank] ?? 0);
    last[(next[rank + 1] ?? 0) - 1] = 1;
  }
  const order = new Uint32Array(ranks.length);
  ranks.forEach((rank, image) => {
    const at = next[rank] ?? 0;
    order[at] = image;
    next[rank] = at + 1;
  });
  return { order, last };
}

/** What was drawn last: scores of the same images are told apart by the same resamples. */
let lastDrawn: { readonly of: string; readonly times: Uint8Array } | undefined;

/** Bytes of resamples that are kept for the next score of the same images, at most. */
const mostKept = 2 ** 27;

/**
 * How often each image is drawn in resamples of p and n images with replacement, `[p + n]` of one after the other, which
 * holds until the next is asked for. The draws' bias, p / 2^32, is beyond notice, and so is a chance of one image being
 * drawn 256 times.
 */
export function* drawnTimes(
  p: number,
  n: number,
  resamples: number,
  seed: number,
): Generator<Uint8Array, void> {
  const of = `${p} ${n} ${resamples} ${seed}`;
  const size = p + n;
  const before = lastDrawn?.of === of ? lastDrawn.times : undefined;
  const isKept = before !== undefined || size * resamples <= mostKept;
  const times = before ?? new Uint8Array(isKept ? size * resamples : size);
  const word = xoshiro(philox([seed >>> 0, Math.floor(seed / 2 ** 32)], [0, 0, 0, 0]));
  for (let i = 0; i < resamples; i++) {
    const own = isKept ? times.subarray(i * size, (i + 1) * size) : times.fill(0);
    if (!before) {
      draw(own.subarray(0, p), word);
      draw(own.subarray(p), word);
    }
    yield own;
  }
  if (isKept) lastDrawn = { of, times };
}

/** Counts as many draws with replacement as there are places. */
function draw(times: Uint8Array, word: () => number): void {
  for (let k = 0; k < times.length; k++) {
    const at = Math.floor(word() * times.length / 2 ** 32);
    times[at] = (times[at] ?? 0) + 1;
  }
}

/** One walk from the highest score down, each of the p and n images counted as often as `times` says. */
function measure(
  { order, last }: Walk,
  times: Uint8Array,
  [p, n]: readonly [number, number],
): Separation {
  /** Positives and negatives at or above the rank, and of the rank alone. */
  let [above, wrong] = [0, 0];
  let a = 0;
  let b = 0;
  let [pairs, auprIn, auprOut] = [0, 0, 0];
  let fprAt95Tpr = NaN;
  for (let at = 0; at < order.length; at++) {
    const image = order[at] ?? 0;
    const drawn = times[image] ?? 0;
    if (image < p) a += drawn;
    else b += drawn;
    if (last[at] === 0) continue;
    if (b > 0) {
      pairs += b * (above + a / 2);
      auprOut += b * (n - wrong) / (n - wrong + p - above);
      wrong += b;
    }
    if (a > 0) {
      above += a;
      auprIn += a * above / (above + wrong);
      if (Number.isNaN(fprAt95Tpr) && above / p >= kept) fprAt95Tpr = wrong / n;
    }
    a = 0;
    b = 0;
  }
  return { auroc: pairs / (p * n), auprIn: auprIn / p, auprOut: auprOut / n, fprAt95Tpr };
}

/** The quantile of sorted values by linear interpolation between the nearest two. */
function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)] ?? NaN;
  const high = sorted[Math.ceil(at)] ?? NaN;
  return low + (high - low) * (at - Math.floor(at));
}
