/**
 * Refusals of a model's file: one sentence of at most 300 characters, whatever the file holds.
 *
 * @module
 */
import { shortened, UserError } from "./errors.ts";

/** Characters of a path and of a name in a file: with the longest sentence around them below 300. */
const [ofPath, ofName] = [110, 60];

/** A file that cannot be read: its state and what to do about it, as clauses. */
export function cannotRead(name: string, state: string, remedy: string, cause?: Error): UserError {
  return new UserError(
    `Cannot read "${shortened(name, ofPath)}": ${state}; ${remedy}`,
    cause && { cause },
  );
}

/** A name from inside a file, as a sentence quotes it. */
export function quote(name: string): string {
  return `"${shortened(name, ofName)}"`;
}

/** Axes that an array may have: NumPy's and PyTorch's own limit. */
export const mostAxes = 64;

/** Elements of a shape; NaN where they, or those of its first axes, are more than can be counted. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((count, n) => Number.isSafeInteger(count * n) ? count * n : NaN, 1);
}
