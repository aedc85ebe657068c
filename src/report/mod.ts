/**
 * Pages about runs: one about a run, or one that compares several. Made from the folders of runs alone,
 * self-contained, without a script and without the network.
 *
 * @module
 */
import { UserError } from "../base/errors.ts";
import { attackPage } from "./attack.ts";
import { batteryPage } from "./battery.ts";
import { readBattery } from "./battery_content.ts";
import { comparePage } from "./compare.ts";
import { readContent, type RunContent } from "./content.ts";
import { evalPage } from "./eval.ts";
import { readRun } from "../runs/folder.ts";
import { tablesPage } from "./tables.ts";
import { trainPage } from "./train.ts";

export { readContent, type RunContent } from "./content.ts";
export { sweepPage } from "./sweep.ts";

/**
 * The page about one run, or about several side by side.
 *
 * @param folders of finished trainings, evaluations and attacks, or of one table
 * @returns the page as HTML
 * @throws UserError when a folder is none of such a run
 */
export async function report(folders: readonly string[]): Promise<string> {
  const [first] = folders;
  if (first === undefined) throw new UserError("Cannot report on no run; name a run's folder");
  const { command } = await readRun(first);
  if (folders.length === 1 && command === "table") return await tablesPage(first);
  if (folders.length === 1 && command === "battery") {
    return await batteryPage(await readBattery(first));
  }
  return await reportOn(await Promise.all(folders.map(readContent)));
}

/** As {@linkcode report}, of what was read. */
export async function reportOn(contents: readonly RunContent[]): Promise<string> {
  const [content] = contents;
  if (!content || contents.length > 1) return await comparePage(contents);
  switch (content.command) {
    case "attack":
      return await attackPage(content);
    case "eval":
      return await evalPage(content);
    case "train":
      return await trainPage(content);
  }
}
