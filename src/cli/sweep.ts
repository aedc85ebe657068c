/**
 * `mirage sweep`: many runs as one thing.
 *
 * @module
 */
import { resolve } from "node:path";
import { UserError } from "../base/errors.ts";
import { display, isFile, readFile } from "../base/files.ts";
import { writeAtomic } from "../base/atomic.ts";
import { duration } from "../base/lock.ts";
import type { Reporter } from "../base/reporter.ts";
import { counted } from "../measure/shown.ts";
import { bySeed, collect, csvOf, seedOf } from "../sweep/collect.ts";
import { adopt, checkState, forget, type RowStatus, statusOf } from "../sweep/state.ts";
import { type JobsResult, programLine, runJobs, tryAgain } from "../sweep/jobs.ts";
import { hoursOf } from "../sweep/hours.ts";
import { makePlan } from "../sweep/make_plan.ts";
import { type Plan, planText, readPlan, type Row, rowAt, wordsOf } from "../sweep/plan.ts";
import { readGrid } from "../sweep/grid.ts";
import { runRow } from "../sweep/row.ts";
import { sbatchScript } from "../sweep/sbatch.ts";
import type { Invocation } from "./commands.ts";
import { idleOptions } from "./effect.ts";
import { failure } from "./failure.ts";
import { checkTarget } from "./target.ts";
import { rowsRun } from "./sweep_stops.ts";

type Asked = Extract<Invocation, { command: "sweep" }>;
type Of<A extends Asked["action"]> = Extract<Asked, { action: A }>;

/** A finished command: its document, the same for people, and the exit code. */
export interface SweepAnswer {
  readonly document: unknown;
  readonly text: string;
  readonly code: number;
}

/**
 * Does what was asked of a sweep.
 *
 * @param end ends the process with a code, when a row is told to stop
 * @throws UserError for a bad grid, plan or row, and whatever a run may fail with
 */
export async function sweep(
  asked: Asked,
  reporter: Reporter,
  end: (code: number) => void,
): Promise<SweepAnswer> {
  switch (asked.action) {
    case "plan":
      return await plan(asked, reporter);
    case "run":
      return await run(asked, reporter, end);
    case "status":
      return await status(asked);
    case "retry":
      return await retry(asked);
    case "sbatch":
      return await sbatch(asked);
    case "collect":
      return await gather(asked);
    default:
      throw new Error(`Unreachable: ${asked satisfies never}`);
  }
}

async function plan(
  { grid, target, dryRun }: Of<"plan">,
  reporter: Reporter,
): Promise<SweepAnswer> {
  const planned = await makePlan(grid, await readGrid(grid), idleOptions);
  for (const note of planned.notes) reporter.note(note);
  const { rows, trainings, points, shared } = planned;
  const merged = points - (rows.length - shared);
  const facts = [
    `${rows.length} ${rows.length === 1 ? "row" : "rows"}`,
    ...trainings > 0 ? [`${trainings} of them trainings, which come first`] : [],
    ...shared > 0 ? [`${shared} of these shared by several rows`] : [],
    ...merged > 0 ? [`${merged} merged with equal ones`] : [],
  ].join(", ");
  const document = {
    hours: null,
    trainingHours: null,
    schema: "mirage/sweep-plan@1",
    plan: dryRun ? null : target,
    digest: planned.digest,
    trainings,
    shared,
    merged,
    rows,
  };
  if (dryRun) {
    const { hours, trainingHours } = await hoursOf(planned.drafts, reporter);
    const lines = rows.map((row) => `${row.index}  ${wordsOf(row)}`);
    const [all, trained] = [hours, trainingHours].map((of) => duration(3.6e6 * of));
    const time = `About ${all} on one device like this one, ${trained} of them for trainings`;
    return {
      document: { ...document, hours, trainingHours },
      text: [...lines, facts, time].join("\n"),
      code: 0,
    };
  }
  await writePlan(planned, target, grid);
  const found = await adopt(planned, target);
  const done = found > 0 ? `; ${found} finished before` : "";
  return { document, text: `${target}: ${facts}${done}`, code: 0 };
}

/** Writes a plan where none is begun, and nothing else stands. */
async function writePlan(planned: Plan, target: string, grid: string): Promise<void> {
  await checkState(planned, target);
  if (await isFile(target)) {
    const before = await readPlan(target).catch(() => undefined);
    if (!before) await checkTarget(target, "document", [grid]);
  } else await checkTarget(target, "document", [grid]);
  await writeAtomic(target, planText(planned));
}

async function run(
  asked: Of<"run">,
  reporter: Reporter,
  end: (code: number) => void,
): Promise<SweepAnswer> {
  const plan = await readPlan(asked.plan);
  const index = asked.index ?? indexGiven();
  const gpus = asked.gpus.map(gpuOf);
  if (index !== undefined && asked.jobs !== undefined) {
    throw new UserError(
      "Cannot run several rows and one: leave out --jobs or --index (SLURM_ARRAY_TASK_ID and " +
        "JOB_COMPLETION_INDEX are an index too)",
    );
  }
  if (index === undefined && asked.offset > 0) {
    throw new UserError("Cannot add --offset to no index: name a row by --index, or leave it out");
  }
  const row = index === undefined ? undefined : rowAt(plan, index + asked.offset, asked.plan);
  if (row && gpus.length === 0) return await runOne(plan, row, asked, reporter, end);
  rowsRun("rows", end);
  if (!row) await adopt(plan, asked.plan);
  const failedBefore = new Set(row ? [] : await failedRows(plan, asked.plan));
  const rows = row ? [row] : plan.rows.filter((of) => !failedBefore.has(of));
  const result = await runJobs(plan, rows, {
    path: asked.plan,
    jobs: asked.jobs ?? 1,
    gpus,
    firstGpu: numberIn("SLURM_LOCALID") ?? 0,
    say: reporter.note,
  });
  return answerOf(result, [...failedBefore]);
}

async function runOne(
  plan: Plan,
  row: Row,
  { plan: path }: Of<"run">,
  reporter: Reporter,
  end: (code: number) => void,
): Promise<SweepAnswer> {
  // Modules of the user's own, which a row may load, start no programs.
  Deno.permissions.revokeSync({ name: "run" });
  rowsRun("row", end);
  const told = (error: unknown): string => failure(error).message;
  const { run, before } = await runRow(plan, row, { path, reporter, told });
  const document = { schema: "mirage/sweep-run@1", row: row.index, run, before };
  const text = `Row ${row.index} ${before ? "was finished before" : "is finished"}: ${run}`;
  return { document, text, code: 0 };
}

async function failedRows(plan: Plan, path: string): Promise<readonly Row[]> {
  return (await statusOf(plan, path)).filter(({ state }) => state === "failed")
    .map(({ row }) => row);
}

function answerOf(result: JobsResult, failedBefore: readonly Row[]): SweepAnswer {
  const { finished, before, failed, stopped } = result;
  const text = [
    `${finished.length} finished`,
    ...before.length > 0 ? [`${before.length} finished before`] : [],
    ...failed.length > 0 ? [`${failed.length} failed`] : [],
    ...failedBefore.length > 0
      ? [`${failedBefore.length} failed before: sweep retry has them run again`]
      : [],
    ...stopped.length > 0 ? [`${stopped.length} stopped: the same command goes on`] : [],
  ].join(", ");
  const document = {
    schema: "mirage/sweep-jobs@1",
    ...result,
    failedBefore: failedBefore.map(({ index }) => index),
  };
  const code = failed.length + failedBefore.length > 0 ? 1 : stopped.length > 0 ? tryAgain : 0;
  return { document, text, code };
}

/** The index that a scheduler has given: Slurm's of an array, or Kubernetes' of an indexed job. */
function indexGiven(): number | undefined {
  return numberIn("SLURM_ARRAY_TASK_ID") ?? numberIn("JOB_COMPLETION_INDEX");
}

function numberIn(variable: string): number | undefined {
  const { state } = Deno.permissions.querySync({ name: "env", variable });
  const text = state === "granted" ? Deno.env.get(variable) : undefined;
  if (text === undefined || text === "") return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new UserError(`Cannot run a row: ${variable} is no number from 0 on; name it by --index`);
}

/** `NAME=VALUE`. */
function gpuOf(text: string): readonly [string, string] {
  const [, name, value] = /^([A-Za-z_]\w*)=(.*)$/s.exec(text) ?? [];
  if (name !== undefined && value !== undefined) return [name, value];
  throw new UserError(
    "Cannot choose a GPU: --gpu takes a variable of the driver's and its value, such as " +
      "MESA_VK_DEVICE_SELECT=10de:2330",
  );
}

async function status({ plan: path }: Of<"status">): Promise<SweepAnswer> {
  const statuses = await statusOf(await readPlan(path), path);
  const of = (state: RowStatus["state"]): RowStatus[] =>
    statuses.filter((status) => status.state === state);
  const failed = of("failed");
  const running = of("running").map(({ row }) => row);
  const counts = {
    finished: of("finished").length,
    running: running.length,
    failed: failed.length,
    missing: of("missing").length,
  };
  const lines = [
    ...running.map((row) => `row ${row.index} runs: ${wordsOf(row)}`),
    ...failed.map(({ row, sentence }) => `row ${row.index} failed: ${sentence}`),
    Object.entries(counts).map(([state, count]) => `${count} ${state}`).join(", "),
  ];
  const document = {
    schema: "mirage/sweep-status@1",
    ...counts,
    rows: statuses.map(({ row, state, outcome, sentence = null }) => ({
      index: row.index,
      state,
      run: outcome?.state === "finished" ? outcome.run : null,
      sentence,
    })),
  };
  return { document, text: lines.join("\n"), code: 0 };
}

async function retry({ plan: path }: Of<"retry">): Promise<SweepAnswer> {
  const plan = await readPlan(path);
  const failed = await failedRows(plan, path);
  for (const row of failed) await forget(path, row);
  const indices = failed.map(({ index }) => index);
  const document = { schema: "mirage/sweep-retry@1", rows: indices };
  const text = indices.length === 0
    ? "No row has failed"
    : `${indices.length} ${
      indices.length === 1 ? "row runs" : "rows run"
    } again when the plan does`;
  return { document, text, code: 0 };
}

async function sbatch(asked: Of<"sbatch">): Promise<SweepAnswer> {
  const { plan: path, time, partition, account, gres, mem, cpus } = asked;
  const plan = await readPlan(path);
  const statuses = await statusOf(plan, path);
  const rows = asked.missing
    ? statuses.filter(({ state }) => state !== "finished").map(({ row }) => row)
    : plan.rows;
  if (rows.length === 0) throw new UserError("Cannot submit a row: all of them are finished");
  const named = { time, partition, account, gres, mem, "cpus-per-task": cpus };
  const script = sbatchScript(plan, rows, {
    path,
    program: programLine(),
    flags: Object.entries(named).flatMap(([flag, value]) =>
      value === undefined ? [] : [[`--${flag}`, value] as const]
    ),
    parallel: asked.parallel,
    setup: asked.setup,
    maxArraySize: asked.maxArraySize,
  });
  return { document: { schema: "mirage/sweep-sbatch@1", script }, text: script, code: 0 };
}

async function gather({ plan: path, csv, page }: Of<"collect">): Promise<SweepAnswer> {
  const plain = path.replace(/\.jsonl$/, "");
  const [table, pagePath] = [csv ?? `${plain}.csv`, page ?? `${plain}.html`];
  if (resolve(table) === resolve(pagePath)) {
    throw new UserError(
      `Cannot write table and page to "${display(table)}": give --csv and --page a file each`,
    );
  }
  const statuses = (await statusOf(await readPlan(path), path)).filter(({ row }) =>
    row.command !== "train"
  );
  const collected = await collect(statuses);
  const groups = bySeed(collected);
  const unfinished = statuses.length - collected.length;
  await checkCsv(table);
  await checkTarget(pagePath, "page", [path]);
  const { sweepPage } = await import("../report/mod.ts");
  const shownGroups = groups.map((group) => ({
    ...group,
    runs: group.runs.map(({ row, run, figures }) => ({ seed: String(seedOf(row)), run, figures })),
  }));
  await writeAtomic(table, csvOf(groups));
  await writeAtomic(pagePath, await sweepPage(shownGroups, unfinished));
  const document = {
    schema: "mirage/sweep-collect@1",
    csv: table,
    page: pagePath,
    runs: collected.length,
    unfinished,
  };
  const are = unfinished === 1 ? "is" : "are";
  const missing = unfinished > 0 ? `; ${unfinished} ${are} not finished` : "";
  const runs = counted(collected.length, "run");
  return { document, text: `${table}, ${pagePath}: ${runs}${missing}`, code: 0 };
}

/** Refuses to write a table over what is none. */
async function checkCsv(path: string): Promise<void> {
  if (!await isFile(path)) return await checkTarget(path, "document");
  const text = new TextDecoder().decode(await readFile(path));
  if (text === "" || text.startsWith("kind,row,seed,run,command")) return;
  throw new UserError(
    `Cannot write "${
      display(path)
    }": what stands there is no table of a sweep; name another by --csv`,
  );
}
