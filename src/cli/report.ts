/**
 * `mirage report`, and the report that every finished run leaves. What draws it is loaded only here:
 * it takes longer to load than all the rest.
 *
 * @module
 */
import { basename, join, resolve } from "node:path";
import { z } from "zod";
import { writeAtomic } from "../base/atomic.ts";
import { UserError } from "../base/errors.ts";
import { commandOf } from "../base/invocation.ts";
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
 * Writes the page about a run into its folder, or the page that compares several into the current one.
 *
 * @param out another place for the page
 * @throws UserError when there is nothing to report on, or the page cannot be written
 */
export async function writeReport(
  folders: readonly string[],
  out?: string,
): Promise<ReportResult> {
  const { report } = await import("../report/mod.ts");
  const runs = [...new Map(folders.map((folder) => [resolve(folder), folder])).values()];
  const path = pageOf(runs, out);
  await writeAtomic(path, await report(runs));
  return reportResultSchema.parse({ schema: "mirage/report@1", report: path, runs });
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
