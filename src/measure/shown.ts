/**
 * Figures for people: one rounding everywhere.
 *
 * @module
 */

/** A share, 0 to 1, in percent. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** Three digits behind the point; what they cannot show, of either sign, as less than they can. */
export function round(value: number): string {
  if (!Number.isFinite(value)) return "no number";
  if (value === 0) return "0.000";
  return Math.abs(value) < 0.0005 ? "less than 0.001" : value.toFixed(3);
}
