/**
 * One row of a sweep, run in this process as its command would.
 *
 * @module
 */
import { UserError } from "../base/errors.ts";
import { silentAfter } from "../base/claim.ts";
import { type Held, hold, isHeld } from "../base/lock.ts";
import type { Reporter } from "../base/reporter.ts";
import { attack } from "../experiment/attack.ts";
import { battery } from "../experiment/battery.ts";
import type { RunConfig } from "../experiment/config.ts";
import { evaluate } from "../experiment/evaluate.ts";
import { train } from "../experiment/train.ts";
import { configOf, lowered, type Plan, type Row, wordsOf } from "./plan.ts";
import { openState, outcomeOf, rowFolder, writeOutcome } from "./state.ts";

/** A row that ran, or had run before. */
export interface RowResult {
  /** The folder of its run. */
  readonly run: string;
  /** Whether it was finished before. */
  readonly before: boolean;
}

/** How a row is run. */
export interface RowSettings {
  /** Path of the plan's file. */
  readonly path: string;
  readonly reporter: Reporter;
  /** Whatever was thrown as a sentence. */
  readonly told: (error: unknown) => string;
}

/** Milliseconds between two looks at a training that another process makes. */
const pause = 2000;

/**
 * Runs a row, unless it is finished: after the trainings that it needs, which are waited for where another
 * process makes them, and made here where none does.
 *
 * @throws UserError when it cannot be run, or a training that it needs has failed; that is written down
 */
export async function runRow(plan: Plan, row: Row, settings: RowSettings): Promise<RowResult> {
  const { path, reporter } = settings;
  await openState(plan, path);
  const before = await finished(path, row);
  if (before) return before;
  for (const digest of row.needs) await trained(plan, row, digest, settings);
  await using _ = await holdRow(rowFolder(path, row), reporter);
  // Another process may have finished it meanwhile.
  const meanwhile = await finished(path, row);
  if (meanwhile) return meanwhile;
  const started = Date.now();
  const seconds = (): number => (Date.now() - started) / 1000;
  try {
    const run = await make(row, reporter);
    await writeOutcome(path, row, { state: "finished", run, seconds: seconds() });
    return { run, before: false };
  } catch (error) {
    const sentence = settings.told(error);
    await writeOutcome(path, row, { state: "failed", sentence, seconds: seconds() });
    throw error;
  }
}

/**
 * Takes the folder of a row. One that was ended with its machine leaves a claim, which looks alive for a while: so long
 * it is waited for.
 */
async function holdRow(folder: string, reporter: Reporter): Promise<Held> {
  const until = Date.now() + 1.5 * silentAfter;
  while (true) {
    try {
      return await hold(folder, (message) => reporter.note(message));
    } catch (error) {
      if (Date.now() > until || !await isHeld(folder)) throw error;
    }
    await new Promise((wake) => setTimeout(wake, pause));
  }
}

async function finished(path: string, row: Row): Promise<RowResult | undefined> {
  const outcome = await outcomeOf(path, row);
  return outcome?.state === "finished" ? { run: outcome.run, before: true } : undefined;
}

/** Sees that a training is there. */
async function trained(
  plan: Plan,
  row: Row,
  digest: string,
  settings: RowSettings,
): Promise<void> {
  const needed = plan.rows.find((other) => other.digest === digest);
  if (!needed) throw new Error("Unreachable: a row needs one that the plan has not");
  const { path, reporter } = settings;
  let told = false;
  while (true) {
    const outcome = await outcomeOf(path, needed);
    if (outcome?.state === "finished") return;
    if (!await isHeld(rowFolder(path, needed))) {
      if (outcome) throw failedBefore(row, needed, outcome.sentence);
      reporter.note(`Row ${row.index} needs row ${needed.index} first: ${wordsOf(needed)}`);
      try {
        await runRow(plan, needed, settings);
        return;
      } catch (error) {
        // Another process may have been quicker.
        if (!await isHeld(rowFolder(path, needed))) throw error;
      }
    }
    if (!told) {
      reporter.note(`Row ${row.index} waits for row ${needed.index}, which another process makes`);
    }
    told = true;
    await new Promise((wake) => setTimeout(wake, pause));
  }
}

/** What is said of a row whose training failed. */
export function failedBefore(row: Row, needed: Row, sentence: string): UserError {
  return new UserError(
    `Cannot run row ${row.index}: row ${needed.index}, the training that it needs, failed (${
      lowered(sentence)
    }); mend that and try again by sweep retry`,
  );
}

/** Makes the run, and returns its folder. */
async function make(row: Row, reporter: Reporter): Promise<string> {
  let kept: string | undefined;
  await makeRun(row.command, configOf(row), { ...reporter, kept: (folder) => kept = folder });
  if (kept === undefined) throw new Error("Unreachable: a run that is kept nowhere");
  return kept;
}

/**
 * Runs a command as it is typed.
 *
 * @returns the seconds that its parts took, those of `setup` and `train` among them
 */
export async function makeRun(
  command: Row["command"],
  config: RunConfig,
  reporter: Reporter,
): Promise<Readonly<Record<string, number>>> {
  switch (command) {
    case "train":
      return (await train(config, reporter)).seconds;
    case "eval":
      return (await evaluate(config, reporter)).seconds;
    case "attack":
      return config.battery === undefined
        ? (await attack(config, reporter)).seconds
        : (await battery(config, reporter)).seconds;
    default:
      throw new Error(`Unreachable: ${command satisfies never}`);
  }
}
