/**
 * What compiled programs do and cost, for `--explain` and `--time`.
 *
 * @module
 */
import { describeTimes, type Program } from "../nn/mod.ts";
import type { Reporter } from "../base/reporter.ts";

/** What is to be told of programs. */
export interface Explain {
  /** Their dispatches, buffers and bytes. */
  readonly explain: boolean;
  /** What each dispatch takes, measured once. */
  readonly time: boolean;
}

/**
 * Tells what was asked for.
 *
 * @throws UserError when times are asked for and the adapter has no timestamps
 */
export async function explainPrograms(
  programs: readonly Program[],
  { explain, time }: Explain,
  reporter: Reporter,
): Promise<void> {
  for (const program of programs) {
    if (explain) reporter.note(program.toString());
    if (time) reporter.note(describeTimes(program.name, await program.time()));
  }
}
