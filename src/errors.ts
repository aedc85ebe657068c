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
 * const error = new UserError("Cannot read \"x.gz\": no such file; run deno task data mnist");
 * if (!(error instanceof Error)) throw new Error("Unreachable: UserError is an Error");
 * ```
 */
export class UserError extends Error {
  override name = "UserError";
}

/** What the GPU cannot hold: smaller pieces may still do. */
export class MemoryError extends UserError {
  override name = "MemoryError";
}
