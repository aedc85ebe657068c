/**
 * Means over seeds, and how far they can be trusted.
 *
 * @module
 */
import { mean, sampleStandardDeviation } from "simple-statistics";

export { mean };

/**
 * Student's t at 97.5 % for 1 to 30 degrees of freedom (R. A. Fisher and F. Yates, "Statistical tables
 * for biological, agricultural and medical research", 1963, table III).
 */
// deno-fmt-ignore
const t975 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
  2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048,
  2.045, 2.042,
];

/**
 * The lower end of the interval of a share (E. B. Wilson, "Probable inference, the law of succession, and
 * statistical inference", 1927).
 *
 * @param hits of `count` trials, at least one
 * @param z standard deviations: 2.576 for 99 %
 */
export function wilsonLow(hits: number, count: number, z: number): number {
  const share = hits / count;
  const margin = z * Math.sqrt(share * (1 - share) / count + z * z / (4 * count * count));
  return (share + z * z / (2 * count) - margin) / (1 + z * z / count);
}

/**
 * Half the width of the 95 % confidence interval of a mean of normal values: `t s / sqrt(n)`.
 *
 * @returns null for fewer than two values
 */
export function halfWidth95(values: readonly number[]): number | null {
  const n = values.length;
  if (n < 2) return null;
  const t = t975[n - 2] ?? 1.96;
  return t * sampleStandardDeviation([...values]) / Math.sqrt(n);
}
