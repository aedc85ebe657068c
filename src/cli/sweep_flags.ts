/**
 * The flags of `sweep`.
 *
 * @module
 */
import { object, or } from "@optique/core/constructs";
import { message, text } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import { argument, command, constant, flag, option } from "@optique/core/primitives";
import { string } from "@optique/core/valueparser";
import { path } from "@optique/run/valueparser";
import { output } from "./flags.ts";
import { whole } from "./whole.ts";

const ofSweep = { command: constant("sweep"), ...output };

const plan = {
  plan: argument(path({ metavar: "PLAN" }), {
    description: message`File that sweep plan has made`,
  }),
};

/** A text of Slurm's, handed on as it is. */
const handedOn = (name: `--${string}`, metavar: Uppercase<string>, about: string) =>
  optional(option(name, string({ metavar: metavar as "TEXT" }), {
    description: message`${text(about)}, as sbatch takes it`,
  }));

/** Commands of a sweep. */
export const sweepCommands = {
  plan: command(
    "plan",
    object({
      ...ofSweep,
      action: constant("plan"),
      grid: argument(path({ metavar: "GRID" }), {
        description:
          message`JSON of a command, a grid over its options, and others; or a list of such`,
      }),
      target: withDefault(
        option("--out", path({ metavar: "FILE" }), { description: message`The plan` }),
        "sweep.jsonl",
      ),
      dryRun: withDefault(
        flag("--dry-run", {
          description:
            message`Write nothing: print the rows, and the hours by a step that is measured`,
        }),
        false,
      ),
    }),
    { description: message`Check every run of a grid, and write them down` },
  ),
  run: command(
    "run",
    object({
      ...ofSweep,
      ...plan,
      action: constant("run"),
      index: optional(option("--index", whole({ min: 0, metavar: "N" }), {
        description:
          message`Only this row [SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX, else all rows]`,
      })),
      offset: withDefault(
        option("--offset", whole({ min: 0, metavar: "N" }), {
          description: message`What is added to the index, where arrays are divided`,
        }),
        0,
      ),
      jobs: optional(option("--jobs", whole({ min: 1, metavar: "N" }), {
        description: message`Rows at once on this machine, a process each [1]`,
      })),
      gpus: multiple(option("--gpu", string({ metavar: "TEXT" }), {
        description:
          message`NAME=VALUE by which a driver shows a process one GPU; once a GPU, taken in turn`,
      })),
    }),
    { description: message`Run one row of a plan, or all of them on this machine` },
  ),
  sbatch: command(
    "sbatch",
    object({
      ...ofSweep,
      ...plan,
      action: constant("sbatch"),
      time: handedOn("--time", "TIME", "Time limit of a row"),
      partition: handedOn("--partition", "NAME", "Partition"),
      account: handedOn("--account", "NAME", "Account"),
      gres: handedOn("--gres", "LIST", "Generic resources"),
      mem: handedOn("--mem", "SIZE", "Memory"),
      cpus: handedOn("--cpus", "N", "Processors a row (--cpus-per-task)"),
      parallel: optional(option("--parallel", whole({ min: 1, metavar: "N" }), {
        description: message`Rows at once [as many as Slurm starts]`,
      })),
      setup: multiple(option("--setup", string({ metavar: "LINE" }), {
        description: message`Line of bash before each row, such as module load; may be given again`,
      })),
      maxArraySize: withDefault(
        option("--max-array-size", whole({ min: 1, metavar: "N" }), {
          description: message`The cluster's MaxArraySize (scontrol show config)`,
        }),
        1001,
      ),
      missing: withDefault(
        flag("--missing", { description: message`Only rows that are not finished` }),
        false,
      ),
    }),
    { description: message`Print a script for Slurm that runs a plan` },
  ),
  status: command(
    "status",
    object({ ...ofSweep, ...plan, action: constant("status") }),
    { description: message`Say how far the rows of a plan are` },
  ),
  retry: command(
    "retry",
    object({ ...ofSweep, ...plan, action: constant("retry") }),
    { description: message`Forget which rows failed, so that they run again` },
  ),
  collect: command(
    "collect",
    object({
      ...ofSweep,
      ...plan,
      action: constant("collect"),
      csv: optional(option("--csv", path({ metavar: "FILE" }), {
        description: message`The table [the plan's name with .csv]`,
      })),
      page: optional(option("--page", path({ metavar: "FILE" }), {
        description: message`The page [the plan's name with .html]`,
      })),
    }),
    { description: message`Put the figures of all rows into one table and one page` },
  ),
} as const;

/** `sweep` with all that it does. */
export const sweepCommand = command(
  "sweep",
  or(
    sweepCommands.plan,
    sweepCommands.run,
    sweepCommands.sbatch,
    sweepCommands.status,
    sweepCommands.retry,
    sweepCommands.collect,
  ),
  { description: message`Plan, run and collect many runs, on one machine or a cluster` },
);
