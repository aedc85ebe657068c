/**
 * From what was typed to the configuration of a run.
 *
 * @module
 */
import {
  modes,
  plannedModes,
  type RunConfig,
  runConfig,
  runConfigSchema,
  type RunOptions,
} from "../config.ts";
import { UserError } from "../errors.ts";
import { type Invocation, plannedModels } from "./flags.ts";

/** An experiment to run. */
export interface Request {
  readonly command: "train" | "eval" | "attack";
  readonly config: RunConfig;
}

/**
 * Resolves the original's `attack_X` modes, and turns away what is not there yet.
 *
 * @throws UserError for a mode or model that is planned, or a value out of range
 */
export function toRun(
  invocation: Exclude<Invocation, { command: "data" | "doctor" }>,
): Request {
  const attacks = invocation.mode.startsWith("attack_");
  const mode = attacks ? invocation.mode.slice("attack_".length) : invocation.mode;
  if (attacks && invocation.command === "train") {
    throw new UserError(
      `Cannot train the mode "${invocation.mode}": it is an attack; run attack --mode ${mode}`,
    );
  }
  refusePlanned("mode", mode, plannedModes, modes.join(", "));
  refusePlanned("model", invocation.model, plannedModels, "LeNet_SNGP");
  const { command, batchSize, ...rest } = invocation;
  const batch = command === "train" ? { trainBatchSize: batchSize } : { batchSize };
  const known = Object.keys(runConfigSchema.shape);
  const options = Object.fromEntries(
    Object.entries({ ...rest, ...batch, mode })
      .filter(([key, value]) => known.includes(key) && value !== undefined),
  );
  const checked = runConfigSchema.safeParse(options);
  const [issue] = checked.error?.issues ?? [];
  const key = String(issue?.path[0] ?? "");
  if (issue && key in options) {
    const flag = key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    throw new UserError(
      `Cannot run with --${flag} ${options[key]}: ${issue.message}; see mirage ${command} --help`,
    );
  }
  return {
    command: attacks ? "attack" : command,
    config: runConfig(options as RunOptions),
  };
}

function refusePlanned(
  what: string,
  name: string | undefined,
  planned: readonly string[],
  there: string,
): void {
  if (name === undefined || !planned.includes(name)) return;
  throw new UserError(
    `Cannot run the ${what} "${name}": it is not there yet; there is ${there}`,
  );
}
