/**
 * How Mirage was started, for sentences that tell a user what to run next.
 *
 * @module
 */

/** What the start of a program can be told by; {@linkcode Deno.build} and a module's own address. */
export interface Start {
  /** Whether it is an executable of `deno compile`. */
  readonly standalone: boolean;
  /** Where this module's code lies: a source file, or the one file that everything was bundled into. */
  readonly module: string;
  readonly os: typeof Deno.build.os;
}

/**
 * The command line that starts a command of Mirage where the user stands: the task of a clone, or the
 * binary, which is called `mirage`.
 *
 * @param command with its arguments, such as `data mnist`
 *
 * @example
 * ```ts
 * import { commandOf } from "./invocation.ts";
 * const clone = { standalone: false, module: "file:///m/src/base/invocation.ts", os: "linux" } as const;
 * const command = commandOf("data mnist", clone);
 * if (command !== "./denow task data mnist") throw new Error("Unreachable: a clone has denow");
 * ```
 */
export function commandOf(command: string, start: Start = thisStart()): string {
  if (inOneFile(start)) return `mirage ${command}`;
  return `${start.os === "windows" ? ".\\denow" : "./denow"} task ${command}`;
}

/** Whether all of Mirage is in one file, of `compile` or of `pack`. */
export function inOneFile(start: Start = thisStart()): boolean {
  // A packed file bundles all of Mirage into one script, so that no module is a source file there.
  return start.standalone || start.module.endsWith(".js");
}

function thisStart(): Start {
  const { standalone, os } = Deno.build;
  return { standalone, os, module: import.meta.url };
}
