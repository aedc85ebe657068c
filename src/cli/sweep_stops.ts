/**
 * How rows of a sweep end when they are told to: what a scheduler starts again has to be able to go on.
 *
 * @module
 */
import { kept, whenKept } from "../base/stopping.ts";
import { tryAgain } from "../sweep/jobs.ts";

/** What runs: one row in this process, several in others, or no row. */
let running: "none" | "row" | "rows" = "none";

/** Seconds that a row may go on until its next checkpoint, by what it was told: SIGUSR1 comes two minutes ahead. */
const patience: ReadonlyMap<Deno.Signal, number> = new Map([["SIGUSR1", 100], ["SIGTERM", 20]]);

let told = false;

/** Says that rows run from here on; one in this process minds SIGUSR1. */
export function rowsRun(where: "row" | "rows", end: (code: number) => void): void {
  running = where;
  if (where === "row" && Deno.build.os !== "windows") {
    Deno.addSignalListener("SIGUSR1", () => void stopsRow("SIGUSR1", end));
  }
}

/**
 * Ends a row after a signal: at its next checkpoint, or when it has been waited for long enough, or at once where the
 * signal comes again; with the exit code that says that it goes on.
 *
 * @returns whether the signal was a row's to mind
 */
export function stopsRow(signal: Deno.Signal, end: (code: number) => void): boolean {
  // Processes of rows are told by who started them, who waits for them.
  if (running === "rows") return true;
  const seconds = patience.get(signal);
  if (running === "none" || seconds === undefined) return false;
  const stop = (): void => end(tryAgain);
  if (told || kept() === "models" || kept() === "attacks") stop();
  told = true;
  whenKept(stop);
  setTimeout(stop, seconds * 1000);
  return true;
}
