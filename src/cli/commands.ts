/**
 * The commands, each with its flags; help, suggestions and shell completions follow from them.
 *
 * @module
 */
import { merge, object, or } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { multiple, optional, withDefault } from "@optique/core/modifiers";
import type { InferValue } from "@optique/core/parser";
import { argument, command, constant, flag, option } from "@optique/core/primitives";
import { choice } from "@optique/core/valueparser";
import { path } from "@optique/run/valueparser";
import { setNames } from "../../data/mod.ts";
import { modes } from "../experiment/config.ts";
import { type PairName, paperTables } from "../experiment/paper.ts";
import { protocolOptionNames } from "../methods/protocol.ts";
import { runCommands } from "../runs/schema.ts";
import { runStates, sortKeys } from "../runs/list.ts";
import {
  attacking,
  attackingOn,
  calibrated,
  domains,
  experiment,
  nameOf,
  near,
  output,
  owned,
  protocol,
  repeated,
  runsIn,
  scored,
  shared,
  tableModes,
  tableProtocol,
  taught,
  training,
  used,
} from "./flags.ts";
import { sweepCommand } from "./sweep_flags.ts";
import { whole } from "./whole.ts";

/** Each command alone: a misspelt flag is then compared with the command's own. */
export const commands = {
  attack: command(
    "attack",
    merge(
      object({ command: constant("attack") }),
      repeated,
      used,
      domains,
      scored,
      calibrated,
      attacking,
      attackingOn,
      protocol,
      training("use"),
      owned("use"),
      shared,
    ),
    { description: message`Attack a model's uncertainty; trains the model where there is none` },
  ),
  eval: command(
    "eval",
    merge(
      object({ command: constant("eval") }),
      repeated,
      used,
      domains,
      scored,
      calibrated,
      attacking,
      protocol,
      training("use"),
      owned("use"),
      shared,
    ),
    { description: message`Evaluate a model in-domain and out-domain` },
  ),
  train: command(
    "train",
    merge(
      object({ command: constant("train") }),
      repeated,
      experiment,
      taught,
      protocol,
      training("train"),
      owned("train"),
      shared,
    ),
    { description: message`Train a model, or go on with its training` },
  ),
  table: command(
    "table",
    merge(
      object({ command: constant("table") }),
      object("Table", {
        pair: argument(
          choice(Object.keys(paperTables) as PairName[], { ...near, metavar: "PAIR" }),
          {
            description: message`Data sets of the tables`,
          },
        ),
        modes: multiple(option("--mode", choice(tableModes, { ...near, metavar: "NAME" }), {
          description: message`Only the rows of this method; may be given again`,
        })),
        seeds: withDefault(
          option("--seeds", whole({ min: 1, metavar: "N" }), {
            description: message`Seeds of the methods of one model: 0 to N - 1`,
          }),
          1,
        ),
        ensembles: withDefault(
          option("--ensembles", whole({ min: 1, metavar: "N" }), {
            description: message`Ensembles, without a member in common`,
          }),
          1,
        ),
        ablate: withDefault(
          flag("--ablate", {
            description: message`The table again with every protocol option changed, one at a time`,
          }),
          false,
        ),
        ablateOnly: multiple(
          option(
            "--ablate-only",
            choice(protocolOptionNames.map(nameOf), { ...near, metavar: "NAME" }),
            {
              description: message`The same, with this option only; may be given again`,
            },
          ),
        ),
      }),
      tableProtocol,
      training("use"),
      owned("use", true),
      scored,
      shared,
    ),
    { description: message`Make the paper's tables anew: train, attack, compare` },
  ),
  sweep: sweepCommand,
  runs: command(
    "runs",
    object({
      command: constant("runs"),
      ...runsIn,
      mode: optional(option("--mode", choice(modes, { ...near, metavar: "NAME" }), {
        description: message`Only runs of this method`,
      })),
      of: optional(option("--of", choice(runCommands, { ...near, metavar: "NAME" }), {
        description: message`Only runs of this command`,
      })),
      state: optional(option("--state", choice(runStates, { ...near, metavar: "NAME" }), {
        description: message`Only runs in this state`,
      })),
      sort: withDefault(
        option("--sort", choice(sortKeys.map(nameOf), { ...near, metavar: "NAME" }), {
          description: message`What to sort by: the newest, or the smallest figure first`,
        }),
        "started",
      ),
      ...output,
    }),
    { description: message`List the runs that were made` },
  ),
  verify: command(
    "verify",
    object({
      command: constant("verify"),
      run: argument(path({ metavar: "RUN" }), { description: message`Folder of a run` }),
      dataPath: optional(option("--data-path", path({ metavar: "DIR" }), {
        description: message`Folder of the data sets, if not where the run had them`,
      })),
      ...output,
    }),
    { description: message`Make a run's evaluation again and compare every figure` },
  ),
  report: command(
    "report",
    object({
      command: constant("report"),
      runs: multiple(
        argument(path({ metavar: "RUN" }), {
          description: message`Folders of runs; several are compared in one page`,
        }),
        { min: 1, errors: { tooFew: message`Expected the folder of a run.` } },
      ),
      page: optional(option("--out", path({ metavar: "FILE" }), {
        description:
          message`The page [report.html in the folder of the run; of several in the current one]`,
      })),
      open: withDefault(
        flag("--open", { description: message`Open the page in the browser` }),
        false,
      ),
      ...output,
    }),
    { description: message`Make a page with the pictures of a run, or compare several` },
  ),
  data: command(
    "data",
    object({
      command: constant("data"),
      names: multiple(
        argument(choice(setNames, { ...near, metavar: "SET" }), {
          description: message`Data sets to download; none shows what is there`,
        }),
      ),
      dataPath: withDefault(
        option("--data-path", path({ metavar: "DIR" }), {
          description: message`Folder of the data sets`,
        }),
        "Data",
      ),
      ...output,
    }),
    { description: message`Show which data is there, or download it` },
  ),
  doctor: command(
    "doctor",
    object({
      command: constant("doctor"),
      dataPath: withDefault(
        option("--data-path", path({ metavar: "DIR" }), {
          description: message`Folder of the data sets`,
        }),
        "Data",
      ),
      ...output,
    }),
    { description: message`Check the GPU, its driver, every kernel and the data` },
  ),
  tune: command("tune", object({ command: constant("tune"), ...output }), {
    description: message`Measure how this GPU likes convolutions cut, and keep it`,
  }),
} as const;

/** The whole command line. */
export const commandLine = or(
  commands.attack,
  commands.eval,
  commands.train,
  commands.table,
  commands.sweep,
  commands.runs,
  commands.verify,
  commands.report,
  commands.data,
  commands.doctor,
  commands.tune,
);

/** What was asked for. */
export type Invocation = InferValue<typeof commandLine>;
