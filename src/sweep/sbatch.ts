/**
 * A script for Slurm that runs a plan: one array of the trainings that rows share, and after it one of all other rows.
 *
 * @module
 */
import { join } from "node:path";
import type { Plan, Row } from "./plan.ts";
import { stateFolder } from "./state.ts";

/** What is handed to `sbatch`, as it was typed, and how arrays are cut. */
export interface SbatchSettings {
  /** Path of the plan's file. */
  readonly path: string;
  /** The command line that starts this program, up to `sweep`. */
  readonly program: readonly string[];
  /** Flags of sbatch with their values: `--time`, `--mem` and others. */
  readonly flags: readonly (readonly [flag: string, value: string])[];
  /** Rows at once; as many as Slurm starts when not given. */
  readonly parallel?: number | undefined;
  /** Lines of bash before each row. */
  readonly setup: readonly string[];
  /** The cluster's MaxArraySize: the largest index is one less. */
  readonly maxArraySize: number;
}

/** Seconds before the end of its time at which a row is told to write its checkpoint. */
const notice = 120;

/** An array of jobs: what is added to its indices, and these as Slurm reads them. */
interface Chunk {
  readonly offset: number;
  readonly array: string;
}

/**
 * The script.
 *
 * @param rows of the plan, those to run
 */
export function sbatchScript(
  plan: Plan,
  rows: readonly Row[],
  settings: SbatchSettings,
): string {
  const { path, flags } = settings;
  const logs = join(stateFolder(path), "slurm");
  const options = [
    ["--job-name", "mirage"],
    ["--requeue"],
    ["--signal", `B:USR1@${notice}`],
    ["--open-mode", "append"],
    // Of the folder, a percent sign is one.
    ["--output", join(logs.replaceAll("%", "%%"), "%A_%a.out")],
    ...flags,
  ].map(([flag = "", value]) => `  ${value === undefined ? flag : `${flag}=${quoted(value)}`}`);
  return `#!/bin/bash
# ${rows.length} of the ${plan.rows.length} rows of a sweep. Keep this in a file and start it by bash where the plan's
# paths start from: it submits itself. The trainings that rows share are arrays of their own, and the other rows
# start when these have ended (afterany): where one failed, its rows say so and all others run.
#
# ${notice} s before its time is over a row is told by SIGUSR1 to end at its next checkpoint; it then exits with 75, and
# is put into the queue again, where it goes on. Logs are ${shownPath(logs)}/JOB_INDEX.out.
set -euo pipefail

plan=${quoted(path)}

${rowPart(settings)}
if [ "\${1-}" = row ]; then run_row "$2"; fi

if [ ! -f "$0" ] || [ -n "\${SLURM_JOB_ID-}" ]; then
  echo "Cannot submit: start this script from a file, by bash, outside of a job" >&2
  exit 1
fi

options=(
${options.join("\n")}
)
mkdir -p ${quoted(logs)}
after=
submit() {
  local id
  id=$(sbatch --parsable "\${options[@]}" --array="$1" \${3:+--dependency="$3"} "$0" row "$2")
  id=\${id%%;*}
  after=$after:$id
  echo "Submitted $1 from row $2 on as job $id"
}
${submissions(plan, rows, settings).join("\n")}
`;
}

/** What an array's task does: it hands signals on to the row, waits for it, and has itself requeued where that goes on. */
function rowPart({ setup, program }: SbatchSettings): string {
  return `run_row() {
  # Lines of a cluster's own may mind no variable that is not set.
  set +u
${['export DENO_WEBGPU_BACKEND="${DENO_WEBGPU_BACKEND:-vulkan}"', ...setup].join("\n")}
  ${[...program, "sweep", "run"].map(quoted).join(" ")} \\
    "$plan" --index "$SLURM_ARRAY_TASK_ID" --offset "$1" &
  local child=$! code=0 again=1
  # A trap ends a wait before the row has ended.
  trap 'again=1; kill -USR1 "$child" 2>/dev/null || true' USR1
  trap 'again=1; kill -TERM "$child" 2>/dev/null || true' TERM
  while [ "$again" = 1 ]; do
    again=0 code=0
    wait "$child" || code=$?
  done
  if [ "$code" = 75 ]; then
    # The job of an array's last task has the number of the array: the task is named in full.
    scontrol requeue "\${SLURM_ARRAY_JOB_ID}_\${SLURM_ARRAY_TASK_ID}" || true
  fi
  exit "$code"
}
`;
}

/** Calls of `submit`: the trainings, and the other rows after them. */
function submissions(
  { trainings }: Plan,
  rows: readonly Row[],
  { parallel, maxArraySize }: SbatchSettings,
): string[] {
  const atOnce = parallel === undefined ? "" : `%${parallel}`;
  const calls = (of: readonly Row[], after: string): string[] =>
    chunksOf(of.map(({ index }) => index), maxArraySize).map(({ array, offset }) =>
      `submit ${array}${atOnce} ${offset}${after}`
    );
  const first = calls(rows.filter(({ index }) => index < trainings), "");
  const rest = rows.filter(({ index }) => index >= trainings);
  if (first.length === 0) return calls(rest, "");
  if (rest.length === 0) return first;
  return [...first, "trainings=$after", ...calls(rest, ' "afterany$trainings"')];
}

/** Indices in arrays, whose own indices are below the cluster's bound. */
export function chunksOf(indices: readonly number[], maxArraySize: number): Chunk[] {
  const groups = Map.groupBy(indices, (index) => Math.floor(index / maxArraySize) * maxArraySize);
  return [...groups].map(([offset, group]) => ({
    offset,
    array: rangesOf(group.map((index) => index - offset)),
  }));
}

/** `0-3,7` of 0, 1, 2, 3, 7. */
function rangesOf(indices: readonly number[]): string {
  const ranges: [first: number, last: number][] = [];
  for (const index of indices) {
    const last = ranges.at(-1);
    if (last && last[1] === index - 1) last[1] = index;
    else ranges.push([index, index]);
  }
  return ranges.map(([first, last]) => first === last ? `${first}` : `${first}-${last}`).join(",");
}

/** A text as one word of bash, whatever it holds. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A path as it may stand in a comment. */
function shownPath(path: string): string {
  return path.replaceAll(/\s+/g, " ");
}
