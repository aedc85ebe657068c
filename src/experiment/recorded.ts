/**
 * An experiment whose run is kept in a folder.
 *
 * @module
 */
import { UserError } from "../base/errors.ts";
import type { Reporter } from "../base/reporter.ts";
import type { LoadedModel } from "./workbench.ts";
import {
  openRunFolder,
  type RunFolder,
  type RunResults,
  type RunSpec,
  type UsedModel,
} from "../runs/folder.ts";
import type { RunCommand } from "../runs/schema.ts";
import { type RunSetup, runSpec } from "./identity.ts";

/** An experiment in two parts: the models that it is made with are a part of what determines it. */
export interface Experiment<T extends RunResults> {
  /** Finds or trains the models; none where they are what the experiment makes. */
  readonly models: (reporter: Reporter) => Promise<LoadedModel[]>;
  /** What comes after; the folder is the run's. */
  readonly work: (
    reporter: Reporter,
    models: readonly LoadedModel[],
    folder: string,
  ) => Promise<T>;
}

/**
 * Makes a run and keeps what came out.
 *
 * @throws UserError when another process makes the same run, or it cannot be kept and the reporter has no
 * `lost` to be told so
 */
export async function recorded<T extends RunResults>(
  command: Exclude<RunCommand, "table">,
  setup: RunSetup,
  reporter: Reporter,
  { models: find, work }: Experiment<T>,
): Promise<T> {
  // The folder is named by the models too: what is told while they are made waits for it.
  const { lines, noting } = remembering(reporter);
  const models = await find(noting);
  const spec = await runSpec(command, setup, models.map(({ digest }) => digest));
  await using folder = await openRunFolder(setup.config.savePath, spec, reporter);
  folder.catchUp(lines);
  let results: T;
  try {
    results = await work(folder.reporter, models, folder.path);
  } catch (error) {
    // The error is what is told, whatever becomes of the folder.
    if (error instanceof UserError) await folder.refuse().catch(() => {});
    throw error;
  }
  await keep(folder, results, models, reporter);
  return results;
}

type Lines = Readonly<Record<string, string | number>>[];

/** A reporter that keeps the lines of the log until there is one. */
function remembering(reporter: Reporter): { readonly lines: Lines; readonly noting: Reporter } {
  const lines: Lines = [];
  const noting = {
    ...reporter,
    note: (message: string): void => {
      lines.push({ event: "note", message });
      reporter.note(message);
    },
    record: (line: Lines[number]): void => {
      lines.push(line);
      reporter.record?.(line);
    },
  };
  return { lines, noting };
}

/**
 * Makes a run whose folder is named by what came out too, and keeps it.
 *
 * @param specOf what determines it
 * @throws UserError when it cannot be kept and the reporter has no `lost`
 */
export async function recordedByOutcome<T extends RunResults>(
  savePath: string,
  reporter: Reporter,
  work: (reporter: Reporter) => Promise<T>,
  specOf: (results: T) => Promise<RunSpec>,
): Promise<T> {
  const { lines, noting } = remembering(reporter);
  const results = await work(noting);
  try {
    await using folder = await openRunFolder(savePath, await specOf(results), reporter);
    folder.catchUp(lines);
    await keep(folder, results, [], reporter);
  } catch (error) {
    if (!(error instanceof UserError) || !reporter.lost) throw error;
    reporter.lost(error);
  }
  return results;
}

/**
 * Keeps a finished run, and tells the reporter where, or why it could not.
 *
 * @throws UserError when it cannot be kept and the reporter has no `lost`
 */
export async function keep(
  folder: RunFolder,
  results: RunResults,
  used: readonly UsedModel[],
  reporter: Reporter,
): Promise<void> {
  try {
    await folder.finish(results, used);
  } catch (error) {
    if (!(error instanceof UserError) || !reporter.lost) throw error;
    return reporter.lost(error);
  }
  reporter.note(`The run is kept in ${folder.path}`);
  reporter.kept?.(folder.path);
}
