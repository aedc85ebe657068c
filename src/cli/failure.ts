/**
 * From whatever was thrown to one sentence and an exit code.
 *
 * @module
 */
import { shortened, UserError } from "../base/errors.ts";
import { refusalOf } from "../base/files.ts";

/** How a failed run ends. */
export interface Failure {
  readonly message: string;
  /** 1: the user can mend it; 70: a fault of Mirage. */
  readonly code: 1 | 70;
}

/** Characters of a sentence. */
const longest = 600;

type Words = readonly [state: string, remedy: string];

/** Troubles of the surroundings that name no file, or whatever they name. */
const unnamed: readonly (readonly [of: new (...args: never[]) => Error, words: Words])[] = [
  [Deno.errors.AddrInUse, ["the address is in use", "end the program that uses it"]],
  [Deno.errors.NotFound, ["it is not there", "check the path"]],
];

/** Words what was thrown for people, without a stack trace. */
export function failure(error: unknown): Failure {
  if (error instanceof UserError) return { message: shortened(error.message, longest), code: 1 };
  const refusal = unnamed.find(([of]) => error instanceof of)?.[1] ?? refusalOf(error, "read");
  if (refusal && error instanceof Error) {
    const [state, remedy] = refusal;
    const what = error.message.replace(/^.*\(os error \d+\):? ?/, "") || error.message;
    return { message: `Cannot go on: ${state} (${shortened(what)}); ${remedy}`, code: 1 };
  }
  const state = shortened(error instanceof Error ? error.message : String(error), 400);
  return {
    message:
      `Cannot go on: ${state}; this is a fault of Mirage, MIRAGE_DEBUG=1 shows where it happened`,
    code: 70,
  };
}
