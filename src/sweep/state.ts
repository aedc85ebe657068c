/**
 * What became of the rows of a plan, in a folder beside its file:
 *
 *     sweep.jsonl
 *     sweep.state/plan.json             whose rows these are
 *     sweep.state/DIGEST/.lock          held while the row runs
 *     sweep.state/DIGEST/outcome.json   how it ended
 *     sweep.state/DIGEST/log.txt        what it said, where `run` made several
 *
 * Every process writes into the folder of the row that it holds alone, and by renaming.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import { makeFolder, removeFile, writeAtomic } from "../base/atomic.ts";
import { digestOf } from "../base/digest.ts";
import { UserError } from "../base/errors.ts";
import { display, explain, isFile } from "../base/files.ts";
import { isHeld } from "../base/lock.ts";
import { versions } from "../base/version.ts";
import { sourceDigests } from "../experiment/source_digests.ts";
import { readFigures, readRunFile, runsFolder } from "../runs/folder.ts";
import type { Run } from "../runs/schema.ts";
import { configOf, type Plan, type Row } from "./plan.ts";
import { digestOfRun } from "./survey.ts";

const outcomeSchema = z.discriminatedUnion("state", [
  z.strictObject({ state: z.literal("finished"), run: z.string(), seconds: z.number() }),
  z.strictObject({ state: z.literal("failed"), sentence: z.string(), seconds: z.number() }),
]);

/** How a row ended: the folder of its run, or the sentence that it failed with; and how long it took. */
export type Outcome = z.infer<typeof outcomeSchema>;

/** How far a row is. */
export type RowState = "finished" | "running" | "failed" | "missing";

/** What is known of a row. */
export interface RowStatus {
  readonly row: Row;
  readonly state: RowState;
  readonly outcome: Outcome | undefined;
  /** What it failed with: its own sentence, or that of the training that it needs. */
  readonly sentence?: string;
}

/** The folder of a plan's states. */
export function stateFolder(plan: string): string {
  return `${plan.replace(/\.jsonl$/, "")}.state`;
}

/** The folder of a row. */
export function rowFolder(plan: string, { digest }: Pick<Row, "digest">): string {
  return join(stateFolder(plan), digest.slice(0, 16));
}

const headSchema = z.object({ digest: z.string() });

/**
 * Makes the folder of a plan's states, or finds it.
 *
 * @throws UserError when it is another plan's, or cannot be made
 */
export async function openState(plan: Pick<Plan, "digest">, path: string): Promise<void> {
  const folder = stateFolder(path);
  await checkState(plan, path);
  await makeFolder(folder);
  const head = join(folder, "plan.json");
  if (!await isFile(head)) await writeAtomic(head, `${JSON.stringify({ digest: plan.digest })}\n`);
}

/**
 * Holds a plan against the folder of states that is there.
 *
 * @throws UserError when that is another plan's
 */
export async function checkState({ digest }: Pick<Plan, "digest">, path: string): Promise<void> {
  const folder = stateFolder(path);
  const before = await textOf(join(folder, "plan.json"));
  if (before === undefined) return;
  const parsed = parsedBy(headSchema, before);
  if (parsed?.digest === digest) return;
  throw new UserError(
    `Cannot use "${display(path)}": "${display(folder)}" is of another plan, begun under this ` +
      "name; write this one to another file, or move that folder away",
  );
}

/**
 * How a row ended; undefined where it has not, or where its run is gone.
 *
 * @throws UserError when that cannot be read
 */
export async function outcomeOf(plan: string, row: Row): Promise<Outcome | undefined> {
  const text = await textOf(join(rowFolder(plan, row), "outcome.json"));
  const outcome = text === undefined ? undefined : parsedBy(outcomeSchema, text);
  if (outcome?.state !== "finished") return outcome;
  return await isFile(join(outcome.run, "metrics.json")) ? outcome : undefined;
}

/** Writes down how a row ended. */
export async function writeOutcome(plan: string, row: Row, outcome: Outcome): Promise<void> {
  const folder = rowFolder(plan, row);
  await makeFolder(folder);
  await writeAtomic(join(folder, "outcome.json"), `${JSON.stringify(outcome)}\n`);
}

/** Forgets that a row failed. */
export async function forget(plan: string, row: Row): Promise<void> {
  await removeFile(join(rowFolder(plan, row), "outcome.json"));
}

/** How far every row of a plan is. */
export async function statusOf(plan: Plan, path: string): Promise<RowStatus[]> {
  await checkState(plan, path);
  const begun = await namesIn(stateFolder(path));
  const statuses: RowStatus[] = [];
  for (const row of plan.rows) {
    if (!begun.has(row.digest.slice(0, 16))) {
      statuses.push({ row, state: "missing", outcome: undefined });
      continue;
    }
    const outcome = await outcomeOf(path, row);
    const state = outcome?.state === "finished"
      ? "finished"
      : await isHeld(rowFolder(path, row))
      ? "running"
      : outcome?.state ?? "missing";
    const sentence = state === "failed" && outcome?.state === "failed"
      ? { sentence: outcome.sentence }
      : {};
    statuses.push({ row, state, outcome, ...sentence });
  }
  return withTrainings(statuses);
}

/** Rows whose training failed have failed with it: none of them runs before that is tried again. */
function withTrainings(statuses: readonly RowStatus[]): RowStatus[] {
  const failed = new Map<string, RowStatus>();
  // Trainings come before the rows that need them.
  return statuses.map((status): RowStatus => {
    const { row, state } = status;
    const needed = row.needs.map((digest) => failed.get(digest)).find((of) => of !== undefined);
    const found: RowStatus = state !== "missing" || !needed ? status : {
      ...status,
      state: "failed",
      sentence: `It needs row ${needed.row.index}, a training, which failed: ${needed.sentence}`,
    };
    if (found.state === "failed") failed.set(row.digest, found);
    return found;
  });
}

/**
 * Finds runs of rows that were made otherwise before, by the same program, and writes down that these are finished.
 *
 * @returns how many were found
 */
export async function adopt(plan: Plan, path: string): Promise<number> {
  const statuses = await statusOf(plan, path);
  const isOpen = ({ state, outcome }: RowStatus): boolean =>
    state === "missing" || state === "failed" && outcome === undefined;
  const open = statuses.filter(isOpen).map(({ row }) => row);
  const taken = new Set(
    statuses.flatMap(({ outcome }) => outcome?.state === "finished" ? [outcome.run] : []),
  );
  const places = Map.groupBy(open, (row) => configOf(row).savePath);
  let found = 0;
  for (const [savePath, rows] of places) {
    const runs = await finishedRuns(savePath, taken);
    for (const row of rows) {
      const run = runs.get(row.digest);
      if (run === undefined) continue;
      await writeOutcome(path, row, { state: "finished", run, seconds: 0 });
      found++;
    }
  }
  return found;
}

/** Finished runs of this program, by the digest of the row that each is. */
async function finishedRuns(
  savePath: string,
  taken: ReadonlySet<string>,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  const folder = runsFolder(savePath);
  const ours = digestOf([await sourceDigests(), versions()]);
  for (const name of await namesIn(folder)) {
    const path = join(folder, name);
    if (taken.has(path)) continue;
    const run = await finishedRun(path);
    if (!run || digestOf([run.identity["source"], run.versions]) !== ours) continue;
    const digest = digestOfRun(run);
    if (digest !== undefined) found.set(digest, path);
  }
  return found;
}

/** The run of a folder, where it is whole. */
async function finishedRun(folder: string): Promise<Run | undefined> {
  try {
    const run = await readRunFile(join(folder, "run.json"));
    return await readFigures(folder, run) ? run : undefined;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

async function namesIn(folder: string): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      if (isDirectory) names.add(name);
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw explain(error, "read", folder);
  }
  return names;
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw explain(error, "read", path);
  }
}

function parsedBy<T>(schema: z.ZodType<T>, text: string): T | undefined {
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}
