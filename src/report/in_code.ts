/**
 * What programs ask about their runs: the verdict in words, and the page.
 *
 * @module
 */
import type { AttackResult } from "../experiment/documents.ts";
import { verdict as verdictOn } from "./verdicts.ts";

/**
 * What an attack's figures mean, in a sentence or two, as `attack` prints it: the share of images that is rejected,
 * the mean entropy and the AUROC, before and after, and the largest change.
 */
export function verdict(result: AttackResult): string {
  return verdictOn(result);
}

/**
 * The page about one run, or about several side by side: self-contained, without a script and without the network.
 * What draws it is loaded only now.
 *
 * @param folders of finished trainings, evaluations and attacks, or of one table
 * @returns the page as HTML
 * @throws UserError when a folder is none of such a run
 */
export async function report(folders: readonly string[]): Promise<string> {
  const pages = await import("./mod.ts");
  return await pages.report(folders);
}
