/**
 * The flags of the command line, in the groups that help shows them in. What an option is, its range and its
 * default are those of its schema in `src/experiment/config.ts`.
 *
 * @module
 */
import { object } from "@optique/core/constructs";
import { message, text } from "@optique/core/message";
import { map, multiple, optional, withDefault } from "@optique/core/modifiers";
import type { NonEmptyString } from "@optique/core/nonempty";
import type { Parser } from "@optique/core/parser";
import { flag, option } from "@optique/core/primitives";
import { choice, float, type ValueParser, type ValueParserResult } from "@optique/core/valueparser";
import { path } from "@optique/run/valueparser";
import { z } from "zod";
import { shortened } from "../base/errors.ts";
import { evalBatch, modes, optionEntries, optionFacts, trainBatch } from "../experiment/config.ts";
import {
  defaultMethod,
  hyperparameterNames,
  type Hyperparameters,
  type Method,
  methods,
} from "../methods/mod.ts";
import { paperTables } from "../experiment/paper.ts";
import { type Procedure, protocolOptionNames } from "../methods/protocol.ts";
import { whole } from "./whole.ts";

const attackModes = modes.map((m) => `attack_${m}`);
const models = [
  ...new Set(Object.values<Method>(methods).flatMap((m): readonly string[] => m.models)),
];
/** A misspelt value gets a guess. */
export const near = { suggest: "nearest" } as const;

/** What a command does with models: its defaults follow. */
export type Purpose = "train" | "use";

/** What the schema does not say of a flag. */
interface Typed {
  /** What stands for its value; `N` for whole numbers, `NUMBER` for others, `NAME` for words when not given. */
  readonly metavar?: NonEmptyString;
  readonly purpose?: Purpose;
  /** What is said of it where the schema's description is of more than the command takes. */
  readonly about?: string;
  /** The largest value, where only the command line has one. */
  readonly max?: number;
  /** The default, where the schema has none. */
  readonly otherwise?: number;
}

/** `epsilonAttack` as it is typed: `epsilon-attack`. */
export function nameOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `epsilonAttack` as a flag: `--epsilon-attack`. */
export function flagOf(name: string): `--${string}` {
  return `--${nameOf(name)}`;
}

/**
 * The flag of an option, made of its schema: `--name VALUE`, or `--name` where it is yes or no, `--no-name`
 * where yes is the default.
 */
export function flagFrom(
  name: string,
  schema: z.ZodType,
  { metavar, purpose = "use", about: said = schema.description ?? "", max, otherwise }: Typed = {},
): Parser<"sync", unknown> {
  const about = text(said);
  const facts = optionFacts.get(schema) ?? {};
  const fallback = schema instanceof z.ZodDefault ? schema.def.defaultValue : otherwise;
  const inner = unwrapped(schema);
  if (inner instanceof z.ZodBoolean) {
    const [first = "", ...rest] = schema.description ?? "";
    const without = [text(`Without ${first.toLowerCase()}${rest.join("")}`)];
    return fallback === true
      ? withDefault(map(flag(`--no-${nameOf(name)}`, { description: without }), () => false), true)
      : withDefault(flag(flagOf(name), { description: [about] }), false);
  }
  const usual = fallback === undefined && facts.otherwise?.[purpose];
  const range = facts.unit === "pixels"
    ? ", as 0.1 or 8/255; pixels are in 0 to 1"
    : rangeOf(inner, max);
  const description = message`${about}${text(range)}${text(usual ? ` [${usual}]` : "")}`;
  const made = option(flagOf(name), valueOf(inner, facts.unit, { metavar, max }), { description });
  return fallback === undefined ? optional(made) : withDefault(made, fallback);
}

/** A schema without what it is where nobody says. */
function unwrapped(schema: z.ZodType): z.ZodType {
  let inner: unknown = schema;
  while (inner instanceof z.ZodOptional || inner instanceof z.ZodDefault) inner = inner.unwrap();
  if (!(inner instanceof z.ZodType)) throw new Error("Unreachable: a schema of nothing");
  return inner;
}

/** What a flag's value may be. */
function valueOf(
  schema: z.ZodType,
  unit: "pixels" | undefined,
  { metavar, max }: {
    readonly metavar: NonEmptyString | undefined;
    readonly max: number | undefined;
  },
): ValueParser<"sync", string | number> {
  if (schema instanceof z.ZodUnion) {
    const [names, path] = schema.options;
    if (names instanceof z.ZodEnum && path instanceof z.ZodType) {
      return nameOrPath(valueOf(names, unit, { metavar, max }), path);
    }
  }
  if (schema instanceof z.ZodEnum) {
    return choice(schema.options.map(String), { ...near, metavar: metavar ?? "NAME" });
  }
  if (schema instanceof z.ZodString) return path({ metavar: metavar ?? "FILE" });
  if (!(schema instanceof z.ZodNumber)) throw new Error("Unreachable: a flag of no kind");
  const [low, high] = bounds(schema, max);
  if (unit === "pixels") return radius(high ?? Infinity);
  const range = {
    ...low === undefined ? {} : { min: low },
    ...high === undefined ? {} : { max: high },
  };
  return schema.isInt
    ? whole({ ...range, min: low ?? 0, metavar: metavar ?? "N" })
    : float({ ...range, metavar: metavar ?? "NUMBER" });
}

/** A name, or what its schema tells from one as a path. */
function nameOrPath(
  names: ValueParser<"sync", string | number>,
  path: z.ZodType,
): ValueParser<"sync", string | number> {
  return {
    ...names,
    parse: (input, ...rest) =>
      path.safeParse(input).success ? { success: true, value: input } : names.parse(input, ...rest),
  };
}

/** A number's bounds, where there are any that are smaller than what a number holds. */
function bounds(
  schema: z.ZodNumber,
  max?: number,
): readonly [low: number | undefined, high: number | undefined] {
  const bound = (value: number | null | undefined): number | undefined =>
    value == null || Math.abs(value) >= Number.MAX_SAFE_INTEGER ? undefined : value;
  return [bound(schema.minValue), max ?? bound(schema.maxValue)];
}

/** A number's range in words, where it has two ends. */
function rangeOf(schema: z.ZodType, max?: number): string {
  if (!(schema instanceof z.ZodNumber)) return "";
  const [low, high] = bounds(schema, max);
  return low === undefined || high === undefined ? "" : `, ${low} to ${high}`;
}

type Entries = typeof optionEntries;

/** As {@linkcode flagFrom}, of an option of a run. */
function of<K extends keyof Entries>(
  name: K,
  typed: Typed = {},
): Parser<"sync", z.output<Entries[K]>> {
  return flagFrom(name, optionEntries[name], typed) as Parser<"sync", z.output<Entries[K]>>;
}

/** What every command takes. */
export const output = {
  json: withDefault(
    flag("--json", { description: message`Print one JSON document on stdout, all else on stderr` }),
    false,
  ),
};

/** A run to repeat. */
export const repeated = object("A run again", {
  config: optional(option("--config", path({ metavar: "FILE" }), {
    description: message`Repeat the run of this run.json; only where things are may differ`,
  })),
});

/** A radius from 0 to `largest`, as a number or, as people write it, a fraction of bytes: `8/255`. */
function radius(largest: number): ValueParser<"sync", number> {
  const written = /^\s*((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(?:\/\s*(\d+\.?\d*|\.\d+)\s*)?$/i;
  return {
    mode: "sync",
    metavar: "NUMBER",
    placeholder: 0,
    parse(input): ValueParserResult<number> {
      const [, over, under = "1"] = written.exec(input) ?? [];
      const value = over === undefined ? NaN : Number(over) / Number(under);
      if (value >= 0 && value <= largest) return { success: true, value };
      const why = value > largest && value < Infinity
        ? `, which is ${Number(value.toPrecision(3))}`
        : "";
      return {
        success: false,
        error: message`Expected a number from 0 to ${
          text(String(largest))
        }, such as 0.1 or 8/255, but got ${shortened(input)}${text(why)}.`,
      };
    },
    format: (value) => String(value),
  };
}

/** Where runs are. */
export const runsIn = { savePath: of("savePath", { metavar: "DIR" }) };

const which = {
  mode: withDefault(
    option("--mode", choice([...modes, ...attackModes], { ...near, metavar: "NAME" }), {
      description: message`Method, also as ${text("attack_X")}`,
    }),
    defaultMethod,
  ),
  model: optional(option("--model", choice(models, { ...near, metavar: "NAME" }), {
    description: [text(optionEntries.model.description ?? "")],
  })),
  seed: of("seed"),
};

/** Which model to train. */
export const experiment = object("Experiment", which);

/** Which model to use. */
export const used = object("Experiment", {
  ...which,
  modelFile: map(
    multiple(option("--model-file", path({ metavar: "FILE" }), {
      description: [text(optionEntries.modelFile.description ?? "")],
    })),
    (paths) => paths.length === 0 ? undefined : [...paths],
  ),
  input: of("input", { metavar: "NAME" }),
  output: of("output", { metavar: "NAME" }),
  features: of("features", { metavar: "NAME" }),
  preprocess: of("preprocess", { metavar: "TEXT" }),
  checkpoint: map(
    multiple(option("--checkpoint", path({ metavar: "FILE" }), {
      description: [text(optionEntries.checkpoint.description ?? "")],
    })),
    (paths) => paths.length === 0 ? undefined : [...paths],
  ),
});

/** How images of the user's own are taken. */
const own = { labels: of("labels"), resize: of("resize") };

/** What a model is taught. */
export const taught = object("Data sets", { inDomain: of("inDomain"), ...own });

/** What a model is taught, and what it is evaluated on and attacked with besides. */
export const domains = object("Data sets", {
  inDomain: of("inDomain"),
  outDomain: of("outDomain"),
  ...own,
});

/** Where things are, and what is said. */
export const shared = object("Data and output", {
  dataPath: of("dataPath", { metavar: "DIR" }),
  ...runsIn,
  limit: of("limit"),
  out: optional(option("--out", path({ metavar: "FILE" }), {
    description: message`Write the JSON document to a file as well`,
  })),
  saveImages: of("saveImages"),
  exactConvolutions: of("exactConvolutions"),
  explain: of("explain"),
  time: of("time"),
  ...output,
});

/** What determines a training, and how many images there are in a step. */
export const training = (purpose: Purpose) =>
  object("Training", {
    epochs: of("epochs", { purpose }),
    lr: of("lr"),
    momentum: of("momentum"),
    weightDecay: of("weightDecay"),
    // Only `train` takes --batch-size for training steps.
    batchSize: purpose === "train"
      ? (flagFrom("batchSize", optionEntries.trainBatchSize, { otherwise: trainBatch }) as Batch)
      : (flagFrom("batchSize", optionEntries.batchSize, { otherwise: evalBatch }) as Batch),
    microBatch: of("microBatch"),
    augmentation: of("augmentation"),
    numEnsembles: of("numEnsembles"),
  });
type Batch = Parser<"sync", number>;

/** Hyper-parameters of the methods and networks, but for those that the rows of the paper's tables have of their own. */
export const owned = (purpose: Purpose, rows = false) => {
  const ofRows = Object.values(paperTables).flatMap((of) => of.rows.flatMap(Object.keys));
  return object(
    "Hyper-parameters of one method or network",
    Object.fromEntries(
      hyperparameterNames.filter((name) => !rows || !ofRows.includes(name))
        .map((name) => [name, of(name, { purpose })]),
    ) as { [K in keyof Hyperparameters]: Parser<"sync", Hyperparameters[K] | undefined> },
  );
};

export const attacking = object("Attack", {
  objective: of("objective"),
  direction: of("direction"),
  norm: of("norm"),
  epsilonAttack: of("epsilonAttack"),
  steps: of("steps"),
  init: of("init"),
  restarts: of("restarts"),
  eot: of("eot"),
  keepLabel: of("keepLabel"),
  thorough: of("thorough"),
  targeted: of("targeted", { metavar: "CLASS" }),
});

/** By what images are told apart besides. */
export const scored = object("Scores", { scores: of("scores", { metavar: "NAMES" }) });

/** What a table, whose rows are set beside published ones, leaves as it was published. */
export const calibrated = object("Calibration", { temperatureScaling: of("temperatureScaling") });

/** What a table, whose rows are attacks out-domain, leaves no choice of. */
export const attackingOn = object("Attack", {
  on: of("on"),
  battery: of("battery"),
  batteryMode: of("batteryMode"),
});

/** Modes that the paper's tables have a row of. */
export const tableModes = [
  ...new Set(Object.values(paperTables).flatMap(({ rows }) => rows.map(({ mode }) => mode))),
];

const procedures = {
  protocol: of("protocol"),
  ...Object.fromEntries(
    protocolOptionNames.map((name) => [name, of(name)]),
  ) as { [K in keyof Procedure]: Parser<"sync", Procedure[K] | undefined> },
};

/** The published procedure or the corrected one, and every difference by itself. */
export const protocol = object("Protocol", procedures);

/** The same of a table, which is made of Mirage's own attacks alone. */
export const tableProtocol = object("Protocol", {
  ...procedures,
  attack: of("attack", { about: "The algorithm of the attack: as published, or one for all" }),
});

/** Flags in the original's snake_case, as ours: `--batch_size 8` means `--batch-size 8`. */
export function normalise(args: readonly string[]): string[] {
  return args.map((arg) => {
    const [, name, rest = ""] = /^(--[a-z_]+)(=.*)?$/s.exec(arg) ?? [];
    return name === undefined ? arg : name.replaceAll(/(?<=[a-z])_/g, "-") + rest;
  });
}
