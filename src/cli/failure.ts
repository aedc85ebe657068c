/**
 * From whatever was thrown to one sentence and an exit code.
 *
 * @module
 */
import { shortened, UserError } from "../errors.ts";

/** How a failed run ends. */
export interface Failure {
  readonly message: string;
  /** 1: the user can mend it; 70: a fault of Mirage. */
  readonly code: 1 | 70;
}

/** Characters of a sentence. */
const longest = 1000;

type Mended = readonly [is: (error: Error) => boolean, state: string, remedy: string];

/** Troubles of the surroundings that reach the top as Deno reports them. */
const mended: readonly Mended[] = [
  [
    (e) => e instanceof Deno.errors.NotCapable,
    "Deno was not allowed to",
    "start Mirage by its task, and name no file below /dev, /proc or /sys, which Deno keeps back",
  ],
  [
    (e) => /ENAMETOOLONG|name too long/i.test(e.message),
    "a name is too long",
    "shorten it",
  ],
  [
    (e) => e instanceof Deno.errors.FilesystemLoop || /ELOOP/i.test(e.message),
    "links lead in a circle",
    "name the file or folder itself",
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
  if (error instanceof UserError) return { message: shortened(error.message, longest), code: 1 };
  if (error instanceof Error) {
    const found = mended.find(([is]) => is(error));
    if (found) {
      const [, state, remedy] = found;
      const what = error.message.replace(/^.*\(os error \d+\):? ?/, "") || error.message;
      return { message: `Cannot go on: ${state} (${shortened(what)}); ${remedy}`, code: 1 };
    }
  }
  const state = shortened(error instanceof Error ? error.message : String(error), 400);
  return {
    message:
      `Cannot go on: ${state}; this is a fault of Mirage, MIRAGE_DEBUG=1 shows where it happened`,
    code: 70,
  };
}
