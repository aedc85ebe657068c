/**
 * From whatever was thrown to one sentence and an exit code.
 *
 * @module
 */
import { UserError } from "../errors.ts";

/** How a failed run ends. */
export interface Failure {
  readonly message: string;
  /** 1: the user can mend it; 70: a fault of Mirage. */
  readonly code: 1 | 70;
}

type Mended = readonly [is: (error: Error) => boolean, state: string, remedy: string];

/** Troubles of the surroundings that reach the top as Deno reports them. */
const mended: readonly Mended[] = [
  [
    (e) => e instanceof Deno.errors.NotCapable,
    "Deno was not allowed to",
    "start it by deno task, or add the flag that is named",
  ],
  [(e) => e instanceof Deno.errors.NotFound, "it is not there", "check the path"],
  [
    (e) => e instanceof Deno.errors.PermissionDenied,
    "access is denied",
    "name a file or folder of your own",
  ],
  [
    (e) => /ENOSPC|no space left/i.test(e.message),
    "the disk is full",
    "free some space and run the command again",
  ],
  [
    (e) => e instanceof Deno.errors.AddrInUse,
    "the address is in use",
    "end the program that uses it",
  ],
];

/** Words what was thrown for people, without a stack trace. */
export function failure(error: unknown): Failure {
  if (error instanceof UserError) return { message: error.message, code: 1 };
  if (error instanceof Error) {
    const found = mended.find(([is]) => is(error));
    if (found) {
      const [, state, remedy] = found;
      const what = error.message.replace(/^.*\(os error \d+\):? ?/, "") || error.message;
      return { message: `Cannot go on: ${state} (${what}); ${remedy}`, code: 1 };
    }
  }
  const state = error instanceof Error ? error.message : String(error);
  return {
    message:
      `Cannot go on: ${state}; this is a fault of Mirage, MIRAGE_DEBUG=1 shows where it happened`,
    code: 70,
  };
}
