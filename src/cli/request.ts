/**
 * From what was typed to the configuration of a run.
 *
 * @module
 */
import {
  optionEntries,
  type RunConfig,
  runConfig,
  runConfigSchema,
  type RunOptions,
} from "../experiment/config.ts";
import { UserError } from "../base/errors.ts";
import { display } from "../base/files.ts";
import { commandOf } from "../base/invocation.ts";
import { defaultMethod } from "../methods/mod.ts";
import { protocolOptionNames } from "../methods/protocol.ts";
import { partsOf, withoutModules } from "../experiment/parts.ts";
import { modeOfFiles } from "../experiment/model_files.ts";
import { ownMode } from "../experiment/verify.ts";
import { checkRun } from "../experiment/identity.ts";
import { readRunFile } from "../runs/folder.ts";
import { ablatable, type TableOptions } from "../experiment/table.ts";
import type { Invocation } from "./commands.ts";
import { checkEffects } from "./effect.ts";
import { flagOf, nameOf } from "./flags.ts";
import { checkTableEffects } from "./table_effect.ts";

/** An experiment to run. */
export interface Request {
  readonly command: "train" | "eval" | "attack";
  readonly config: RunConfig;
}

/** Flags that may stand beside `--config`: where things are, and what is shown. */
const besides =
  /^--(config|checkpoint|model-file|data-path|save-path|save-images|out|explain|time|json)(=|$)/;

/**
 * The run of a `run.json`, made again.
 *
 * @param args what was typed
 * @throws UserError for a flag that would change the run, or a file of another command
 */
export async function fromFile(
  invocation: Extract<Invocation, { command: Request["command"] }>,
  args: readonly string[],
): Promise<Request> {
  const { command, config: file = "", dataPath, savePath, saveImages, explain, time } = invocation;
  const { checkpoint, modelFile }: Pick<RunOptions, "checkpoint" | "modelFile"> =
    command === "train" ? {} : invocation;
  const other = args.find((arg) => arg.startsWith("--") && !besides.test(arg));
  if (other) {
    throw new UserError(
      `Cannot repeat "${
        display(file)
      }" with ${other}: the file says how the run is made; leave out one of them`,
    );
  }
  const run = await readRunFile(file);
  // A battery is asked for by a flag of attack.
  const made = run.command === "battery" ? "attack" : run.command;
  if (made !== command) {
    const remedy = run.command === "table"
      ? `type ${commandOf("table")} with the options that it names, as table takes no --config`
      : `use ${commandOf(`${made} --config ${display(file)}`)}`;
    throw new UserError(
      `Cannot repeat "${display(file)}" by ${command}: it is of ${made}; ${remedy}`,
    );
  }
  if (run.config["mode"] === ownMode) {
    throw new UserError(
      `Cannot repeat "${
        display(file)
      }": its model is a function of a program of yours, which the file does not hold; run that program`,
    );
  }
  const typed = (name: string): boolean => args.some((arg) => arg.split("=")[0] === name);
  const options = {
    ...run.config,
    ...(dataPath === undefined ? {} : { dataPath }),
    ...(checkpoint === undefined ? {} : { checkpoint }),
    ...(modelFile === undefined ? {} : { modelFile }),
    ...(typed("--save-path") ? { savePath } : {}),
    saveImages,
    explain,
    time,
  };
  const config = runConfig(options as unknown as RunOptions);
  await checkRun(run, config, file);
  return { command, config };
}

/**
 * Resolves the original's `attack_X` modes.
 *
 * @param args what was typed
 * @throws UserError for an attack that is to be trained, a value out of range, a module that is none, or an option
 * without effect
 */
export async function toRun(
  invocation: Extract<Invocation, { command: Request["command"] }>,
  args: readonly string[],
): Promise<Request> {
  const attacks = invocation.mode.startsWith("attack_");
  const files = "modelFile" in invocation ? invocation.modelFile : undefined;
  const typed = args.some((arg) => arg.split("=")[0] === "--mode");
  const named = attacks ? invocation.mode.slice("attack_".length) : invocation.mode;
  const mode = files && !typed ? modeOfFiles(files) : named;
  if (attacks && invocation.command === "train") {
    throw new UserError(
      `Cannot train the mode "${invocation.mode}": it is an attack; run attack --mode ${mode}`,
    );
  }
  const { command, batchSize, config: _, ...rest } = invocation;
  const batch = command === "train" ? { trainBatchSize: batchSize } : { batchSize };
  const asked = {
    command: attacks ? "attack" as const : command,
    config: runConfig(checkedOptions(command, { ...rest, ...batch, mode })),
  };
  // What an attack out of a module has a use for, it alone knows.
  const parts = asked.command === "attack" ? await partsOf(asked.config) : undefined;
  checkEffects(asked.command, asked.config, args, parts?.attack);
  return asked;
}

/**
 * The table that was asked for.
 *
 * @param args what was typed
 * @throws UserError for a value out of range, or one without effect
 */
export function toTable(
  invocation: Extract<Invocation, { command: "table" }>,
  args: readonly string[],
): TableOptions {
  const { pair, seeds, ensembles, modes, ablate, ablateOnly, ...run } = invocation;
  const { mode: _, ...checked } = checkedOptions("table", { ...run, mode: defaultMethod });
  const named = protocolOptionNames.filter((name) => ablateOnly.includes(nameOf(name)));
  withoutModules(checked);
  const table: TableOptions = {
    pair,
    run: checked,
    seeds,
    ensembles,
    modes: [...modes],
    ablate: ablate ? ablatable(modes) : named,
  };
  checkTableEffects(table, args);
  return table;
}

/** The options of a run among what was typed, with messages that name flags. */
function checkedOptions(command: string, given: Readonly<Record<string, unknown>>): RunOptions {
  const known = Object.keys(optionEntries);
  const options = Object.fromEntries(
    Object.entries(given).filter(([key, value]) => known.includes(key) && value !== undefined),
  );
  const checked = runConfigSchema.safeParse(options);
  const [issue] = checked.error?.issues ?? [];
  const key = String(issue?.path[0] ?? "");
  if (issue && key in options) {
    throw new UserError(
      `Cannot run with ${flagOf(key)} ${options[key]}: ${issue.message}; see ${
        commandOf(`${command} --help-all`)
      }`,
    );
  }
  return options as object as RunOptions;
}
