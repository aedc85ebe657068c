/**
 * `mirage report`, and the report that every finished run leaves. What draws it is loaded only here:
 * it takes longer to load than all the rest.
 *
 * @module
 */
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { writeAtomic } from "../base/atomic.ts";
import { shortened, UserError } from "../base/errors.ts";
import { display } from "../base/files.ts";
import { commandOf } from "../base/invocation.ts";
import { readFigures, readRun } from "../runs/folder.ts";
import { failure } from "./failure.ts";

/** What `report --json` prints. */
export const reportResultSchema = z.strictObject({
  schema: z.literal("mirage/report@1"),
  /** Path of the page. */
  report: z.string(),
  /** Folders of the runs that it tells of. */
  runs: z.array(z.string()).min(1),
});

/** See {@linkcode reportResultSchema}. */
export type ReportResult = z.infer<typeof reportResultSchema>;

/** The name of a report where nobody says otherwise. */
const name = "report.html";

/** Where the page about some runs goes: into the folder of the one, or of several into the current one. */
export function pageOf(folders: readonly string[], out?: string): string {
  const [first = ""] = folders;
  const several = new Set(folders.map((folder) => resolve(folder))).size > 1;
  return out ?? (several ? name : join(first, name));
}

/**
 * Writes the page about a run into its folder, or the page that compares several into the current one. Of several,
 * those that are not finished are left out.
 *
 * @param out another place for the page
 * @param note told which runs are left out
 * @throws UserError when there is nothing to report on, or the page cannot be written
 */
export async function writeReport(
  folders: readonly string[],
  out?: string,
  note: (message: string) => void = () => {},
): Promise<ReportResult> {
  const { report } = await import("../report/mod.ts");
  const named = [...new Map(folders.map((folder) => [resolve(folder), folder])).values()];
  const runs = named.length > 1 ? await finishedOf(named, note) : named;
  const path = pageOf(named, out);
  await writeAtomic(path, await report(runs));
  return reportResultSchema.parse({ schema: "mirage/report@1", report: path, runs });
}

/** Those of several runs that are finished; `note` is told of the others, if they are not all. */
async function finishedOf(
  folders: readonly string[],
  note: (message: string) => void,
): Promise<string[]> {
  const finished: string[] = [];
  const others: string[] = [];
  for (const folder of folders) {
    (await readFigures(folder, await readRun(folder)) ? finished : others).push(folder);
  }
  const names = shortened(others.map((folder) => display(basename(folder))).join(", "), 400);
  if (finished.length === 0) {
    throw new UserError(
      `Cannot report on these ${folders.length} runs: none of them is finished (${names}); repeat their commands`,
    );
  }
  if (others.length > 0) note(`Warning: left out as not finished: ${names}`);
  return finished;
}

/** Leaves a report in the folder of a run; where that fails, says so, and costs nothing else. */
export async function leaveReport(folder: string, say: (message: string) => void): Promise<void> {
  try {
    say(`report: ${(await writeReport([folder])).report}`);
  } catch (error) {
    say(`No report on ${basename(folder)}: ${failure(error).message}`);
  }
}

/** What opens a page, by system. */
const openers: Readonly<Record<string, string>> = { darwin: "open", windows: "explorer" };

/**
 * Opens a page in the browser.
 *
 * @throws UserError when nothing opens it, or that may not be started
 */
export async function openPage(path: string): Promise<void> {
  const opener = openers[Deno.build.os] ?? "xdg-open";
  const cannot = (state: string, remedy: string): UserError =>
    new UserError(`Cannot open "${path}": ${state}; ${remedy}, or open the file yourself`);
  const { state } = await Deno.permissions.query({ name: "run", command: opener });
  if (state !== "granted") {
    throw cannot(
      `there is no ${opener} that may be started`,
      `install it and use ${commandOf("report")}`,
    );
  }
  const command = new Deno.Command(opener, { args: [resolve(path)], stdin: "null" });
  let outcome: Deno.CommandOutput;
  try {
    outcome = await command.output();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw cannot(`there is no ${opener} here`, "install it");
  }
  // Windows' own answers 1 whatever happens.
  if (!outcome.success && Deno.build.os !== "windows") {
    throw cannot(`${opener} failed`, "set a browser for it");
  }
}
