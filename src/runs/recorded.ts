/**
 * An experiment whose run is kept in a folder.
 *
 * @module
 */
import type { Reporter } from "../reporter.ts";
import { openRunFolder, type RunResults } from "./folder.ts";
import { type RunPlace, runSpec } from "./identity.ts";

/**
 * Makes a run and keeps what came out.
 *
 * @param work makes it, and tells the reporter it is given
 * @throws UserError when another process makes the same run, or it cannot be kept
 */
export async function recorded<T extends RunResults>(
  command: "train" | "eval" | "attack",
  place: RunPlace,
  reporter: Reporter,
  work: (reporter: Reporter) => Promise<T>,
): Promise<T> {
  const spec = await runSpec(command, place);
  await using folder = await openRunFolder(place.config.savePath, spec, reporter);
  const results = await work(folder.reporter);
  await folder.finish(results);
  reporter.note(`The run is kept in ${folder.path}`);
  reporter.kept?.(folder.path);
  return results;
}
