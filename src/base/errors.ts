/**
 * The error class for mistakes that a person can mend.
 *
 * @module
 */

/**
 * A mistake of the user's or of the surroundings (bad input, missing data, no GPU), told in one
 * sentence: what failed, the state, the remedy. The command line prints the message alone, without
 * a stack trace, and exits with code 1.
 *
 * @example
 * ```ts
 * import { UserError } from "./errors.ts";
 * const error = new UserError("Cannot read \"x.gz\": no such file; run ./denow task data mnist");
 * if (!(error instanceof Error)) throw new Error("Unreachable: UserError is an Error");
 * ```
 */
export class UserError extends Error {
  /** `UserError`: its stack trace begins with it. */
  override name = "UserError";
}

/** What the GPU cannot hold: smaller pieces may still do. */
export class MemoryError extends UserError {
  /** `MemoryError`: its stack trace begins with it. */
  override name = "MemoryError";
}

/** Characters of a text that comes from outside, such as a path or a name in a file, that a sentence quotes. */
const quoted = 160;

/** A value from outside as it may stand in a sentence: what is no text or number by its kind alone. */
export function shownValue(value: unknown): string {
  // Lists may hold themselves a thousand times: written out they have no end.
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" && value !== null ? "an object" : shortened(String(value));
}

/** A text from outside as it may stand in a sentence: on one line, its middle left out where it is long. */
export function shortened(text: string, most: number = quoted): string {
  // deno-lint-ignore no-control-regex -- that is what is to be kept from the terminal
  const line = text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ");
  if (line.length <= most) return line;
  const half = Math.floor((most - 3) / 2);
  return `${line.slice(0, half)}...${line.slice(-half)}`;
}
