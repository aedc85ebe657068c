/**
 * Measures of predictions, in f64 on the host.
 *
 * Every function takes log-probabilities `[N, C]`, row-major, natural logarithm. A row with a NaN
 * counts as rejected and is left out of the other means. Means are over samples, or, with
 * `batchSize`, means of batch means: what the paper's tables hold.
 *
 * @module
 */

/** Log-probabilities of a set. */
export interface Predictions {
  /** `[N, C]` */
  readonly logProbabilities: Float32Array;
  /** C, the length of a row. */
  readonly classes: number;
}

/** How rows are averaged. */
export interface MeanOptions {
  /** Averages batches of this many rows first; samples alike when not given. */
  readonly batchSize?: number | undefined;
}

/** Mean entropy `-sum p log p` in nats, from 0 to log C, with `0 log 0 = 0`; NaN without a valid row. */
export function entropy(predictions: Predictions, options: MeanOptions = {}): number {
  return meanOfRows(predictions, options, entropyOf);
}

/** Share of rows whose largest probability is at most tau, 0 to 1. */
export function rejectionRate(
  predictions: Predictions,
  tau: number,
  options: MeanOptions = {},
): number {
  return meanOfRows(
    predictions,
    options,
    (row) => Math.fround(Math.exp(max(row))) <= tau ? 1 : 0,
    1,
  );
}

/** Number of rows whose largest probability is at most tau; one with a NaN is among them. */
export function rejectedRows(predictions: Predictions, tau: number): number {
  return confidences(predictions).reduce((n, p) => n + (Math.fround(p) > tau ? 0 : 1), 0);
}

/**
 * Number of rows without a NaN whose label has a probability of exactly 0, so that its log-likelihood is
 * infinite, and with it the mean.
 */
export function infiniteRows(predictions: Predictions, labels: ArrayLike<number>): number {
  return countRows(predictions, (row, i) => row[labels[i] ?? 0] === -Infinity);
}

/** Number of rows without a NaN whose every log-probability is minus infinity: none is the largest. */
export function infiniteConfidences(predictions: Predictions): number {
  return countRows(predictions, (row) => max(row) === -Infinity);
}

/** Mean of each row's largest log-probability, in nats, at most 0. */
export function logConfidence(predictions: Predictions, options: MeanOptions = {}): number {
  return meanOfRows(predictions, options, max);
}

/** Share of rows whose most probable class is the label, 0 to 1. */
export function accuracy(
  predictions: Predictions,
  labels: ArrayLike<number>,
  options: MeanOptions = {},
): number {
  return meanOfRows(
    predictions,
    options,
    (row, i) => row.indexOf(max(row)) === labels[i] ? 1 : 0,
    0,
  );
}

/** Brier score as mean over classes of `(p - onehot)^2`: the usual score divided by C. */
export function brier(
  predictions: Predictions,
  labels: ArrayLike<number>,
  options: MeanOptions = {},
): number {
  return meanOfRows(predictions, options, (row, i) => {
    let s = 0;
    row.forEach((l, c) => s += (Math.exp(l) - (c === labels[i] ? 1 : 0)) ** 2);
    return s / row.length;
  });
}

/** Mean negative log-likelihood of the labels in nats. */
export function nll(
  predictions: Predictions,
  labels: ArrayLike<number>,
  options: MeanOptions = {},
): number {
  return meanOfRows(predictions, options, (row, i) => -(row[labels[i] ?? 0] ?? NaN));
}

/** Each row's largest probability, 0 to 1: `[N]`; NaN where the row holds one. */
export function confidences(predictions: Predictions): Float64Array {
  return eachRow(predictions, (row) => Math.exp(max(row)));
}

/** Each row's entropy in nats, 0 to log C: `[N]`; NaN where the row holds one. */
export function entropies(predictions: Predictions): Float64Array {
  return eachRow(predictions, entropyOf);
}

/** 1 for each row whose most probable class is the label, else 0: `[N]`; NaN where the row holds one. */
export function rightRows(predictions: Predictions, labels: ArrayLike<number>): Float64Array {
  return eachRow(predictions, (row, i) => row.indexOf(max(row)) === labels[i] ? 1 : 0);
}

/** Number of rows without a NaN whose most probable class is this one. */
export function classRows(predictions: Predictions, wanted: number): number {
  return countRows(predictions, (row) => row.indexOf(max(row)) === wanted);
}

/** Number of rows that hold a NaN. */
export function nanRows(predictions: Predictions): number {
  return eachRow(predictions, () => 0).filter(Number.isNaN).length;
}

/**
 * @param nanValue what a row with a NaN counts as; such rows are left out when not given
 */
function meanOfRows(
  { logProbabilities, classes }: Predictions,
  { batchSize }: MeanOptions,
  score: (row: Float32Array, index: number) => number,
  nanValue?: number,
): number {
  const rows = logProbabilities.length / classes;
  const size = batchSize ?? rows;
  let [sum, batches] = [0, 0];
  for (let start = 0; start < rows; start += size) {
    let [batchSum, batchCount] = [0, 0];
    for (let i = start; i < Math.min(start + size, rows); i++) {
      const row = logProbabilities.subarray(i * classes, (i + 1) * classes);
      const invalid = row.some(Number.isNaN);
      if (invalid && nanValue === undefined) continue;
      batchSum += invalid ? nanValue ?? 0 : score(row, i);
      batchCount++;
    }
    if (batchCount === 0) continue;
    sum += batchSum / batchCount;
    batches++;
  }
  return sum / batches;
}

function eachRow(
  { logProbabilities, classes }: Predictions,
  score: (row: Float32Array, index: number) => number,
): Float64Array {
  return Float64Array.from({ length: logProbabilities.length / classes }, (_, i) => {
    const row = logProbabilities.subarray(i * classes, (i + 1) * classes);
    return row.some(Number.isNaN) ? NaN : score(row, i);
  });
}

function countRows(
  predictions: Predictions,
  counts: (row: Float32Array, index: number) => boolean,
): number {
  return eachRow(predictions, (row, i) => counts(row, i) ? 1 : 0).filter((one) => one === 1).length;
}

function entropyOf(row: Float32Array): number {
  let h = 0;
  for (const l of row) h -= l === -Infinity ? 0 : Math.exp(l) * l;
  return h;
}

function max(row: Float32Array): number {
  return row.reduce((a, b) => Math.max(a, b), -Infinity);
}
