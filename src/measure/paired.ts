/**
 * AUROC and FPR95 of many pairs of sets at once, to the same bits as one by one: all are of the same images, so
 * that a resample is drawn once for all, and every set is sorted once.
 *
 * A resample gives each image a weight, the number of times that it was drawn. With the weights of the larger set
 * summed up from its highest score down, a pair takes a walk over the smaller one alone.
 *
 * @module
 */
import {
  type BootstrapOptions,
  drawnTimes,
  endsOf,
  type Estimate,
  kept,
  ordered,
  type Scores,
  type Separation,
} from "./detection.ts";

/** What is figured of a pair. */
export type PairFigure = "auroc" | "fprAt95Tpr";

const figures = ["auroc", "fprAt95Tpr"] as const;

/** In-domain scores `[P]` and out-domain ones `[N]`, higher for more in-domain. */
export type Pair = readonly [inDomain: Scores, outDomain: Scores];

/**
 * What `estimate` of `detection.ts` gives for every pair.
 *
 * @param pairs of the same P and the same N; a set that several have is best the same array
 */
export function estimatePairs(
  pairs: readonly Pair[],
  { resamples, confidence, seed }: BootstrapOptions,
): Record<PairFigure, Estimate>[] {
  const [[own, other] = [[], []]] = pairs;
  const images = [new Places(own.length), new Places(other.length)] as const;
  const cells = pairs.map(([a, b]) => new Cell(images[0].sorted(a), images[1].sorted(b)));
  const whole = cells.map((cell) => cell.figures());
  const drawn = cells.map(() => figures.map(() => new Float64Array(resamples)));
  const [p, n] = [own.length, other.length];
  let i = 0;
  for (const times of drawnTimes(p, n, resamples, seed)) {
    images[0].take(times.subarray(0, p));
    images[1].take(times.subarray(p));
    cells.forEach((cell, k) => {
      const found = cell.figures();
      figures.forEach((name, at) => (drawn[k]?.[at] ?? new Float64Array())[i] = found[name]);
    });
    i++;
  }
  return cells.map((_, k) => {
    const estimated = (name: PairFigure): Estimate => ({
      value: whole[k]?.[name] ?? NaN,
      ...endsOf(drawn[k]?.[figures.indexOf(name)] ?? new Float64Array(), confidence),
    });
    return { auroc: estimated("auroc"), fprAt95Tpr: estimated("fprAt95Tpr") };
  });
}

/** The images of one side: their weights, and every set of their scores. */
class Places {
  readonly #weights: Uint8Array;
  readonly #sets = new Map<Scores, Sorted>();

  constructor(readonly count: number) {
    this.#weights = new Uint8Array(count).fill(1);
  }

  sorted(scores: Scores): Sorted {
    if (scores.length !== this.count) throw new Error("Unreachable: sets of different images");
    const made = this.#sets.get(scores) ?? new Sorted(scores, this.#weights);
    this.#sets.set(scores, made);
    return made;
  }

  /** Takes the weights of a resample. */
  take(weights: Uint8Array): void {
    this.#weights.set(weights);
    for (const set of this.#sets.values()) set.sum();
  }
}

/** A set from its highest score down, NaN last. */
class Sorted {
  /** `[n]` */
  readonly scores: Float64Array;
  /** `[n]`, the weight at each place. */
  readonly weights: Uint32Array;
  /** `[n + 1]`, the weight of all places before. */
  readonly before: Uint32Array;
  /** The place at which 95 % of the weight is reached; n where there is none. */
  last = 0;
  readonly #image: Uint32Array;
  readonly #drawn: Uint8Array;

  constructor(scores: Scores, drawn: Uint8Array) {
    const values = ordered(scores);
    this.#drawn = drawn;
    this.#image = Uint32Array.from(values.keys()).sort((a, b) =>
      compared(values[b] ?? 0, values[a] ?? 0)
    );
    this.scores = Float64Array.from(this.#image, (image) => values[image] ?? 0);
    this.weights = new Uint32Array(values.length);
    this.before = new Uint32Array(values.length + 1);
    this.sum();
  }

  /** Sums up the weights that were taken. */
  sum(): void {
    const n = this.weights.length;
    let sum = 0;
    this.last = n;
    for (let i = 0; i < n; i++) {
      const weight = this.#drawn[this.#image[i] ?? 0] ?? 0;
      this.weights[i] = weight;
      sum += weight;
      this.before[i + 1] = sum;
      if (this.last === n && sum / n >= kept) this.last = i;
    }
  }

  /** How many places are above a score, and how many above or at it. */
  around(score: number): readonly [above: number, through: number] {
    return [this.#first((at) => at <= score), this.#first((at) => at < score)];
  }

  #first(is: (score: number) => boolean): number {
    let [low, high] = [0, this.scores.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (is(this.scores[middle] ?? NaN)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** Without a difference, which infinities have none of. */
function compared(a: number, b: number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A pair of sets: where the scores of the smaller one lie in the larger. */
class Cell {
  /** `[n]` of the smaller set: places of the larger one above each score, and above or at it. */
  readonly #above: Uint32Array;
  readonly #through: Uint32Array;
  readonly #walksOut: boolean;

  constructor(readonly own: Sorted, readonly other: Sorted) {
    this.#walksOut = other.scores.length <= own.scores.length;
    const [few, many] = this.#walksOut ? [other, own] : [own, other];
    const around = Array.from(few.scores, (score) => many.around(score));
    this.#above = Uint32Array.from(around, ([above]) => above);
    this.#through = Uint32Array.from(around, ([, through]) => through);
  }

  /** By the weights of the last draw. */
  figures(): Pick<Separation, PairFigure> {
    const { own, other } = this;
    const [p, n] = [own.scores.length, other.scores.length];
    const [few, many] = this.#walksOut ? [other, own] : [own, other];
    /** Twice the weight of the larger set above each of the smaller one, ties counted half. */
    let twice = 0;
    for (let i = 0; i < few.weights.length; i++) {
      const around = (many.before[this.#above[i] ?? 0] ?? 0) +
        (many.before[this.#through[i] ?? 0] ?? 0);
      twice += (few.weights[i] ?? 0) * around;
    }
    const pairs = this.#walksOut ? twice / 2 : p * n - twice / 2;
    return { auroc: pairs / (p * n), fprAt95Tpr: own.last < p ? this.#wrong() / n : NaN };
  }

  /** The weight of out-domain images at or above the score that keeps 95 % of the weight in-domain. */
  #wrong(): number {
    const { own: { last }, other } = this;
    if (!this.#walksOut) return other.before[this.#through[last] ?? 0] ?? 0;
    let wrong = 0;
    for (let i = 0; i < other.weights.length; i++) {
      if ((this.#above[i] ?? 0) > last) break;
      wrong += other.weights[i] ?? 0;
    }
    return wrong;
  }
}
