/**
 * The flags of the command line, in the groups that help shows them in.
 *
 * @module
 */
import { object } from "@optique/core/constructs";
import { message, text } from "@optique/core/message";
import { map, multiple, optional, withDefault } from "@optique/core/modifiers";
import type { Parser } from "@optique/core/parser";
import { flag, option } from "@optique/core/primitives";
import { choice, float, type ValueParser, type ValueParserResult } from "@optique/core/valueparser";
import { path } from "@optique/run/valueparser";
import { setNames } from "../../data/mod.ts";
import { shortened } from "../base/errors.ts";
import { modes, runConfigSchema } from "../experiment/config.ts";
import { gpKernels, methods, type Network, networks } from "../methods/mod.ts";
import { paperTables } from "../experiment/paper.ts";
import {
  type Procedure,
  type ProtocolOption,
  type ProtocolOptionName,
  protocolOptions,
} from "../methods/protocol.ts";
import { whole } from "./whole.ts";

const attackModes = modes.map((m) => `attack_${m}`);
const models = [
  ...new Set(Object.values(methods).flatMap((m): readonly string[] => m.models)),
];
/** A misspelt value gets a guess. */
export const near = { suggest: "nearest" } as const;
const defaults = runConfigSchema.parse({ mode: modes[0] });
const radii = text(
  Object.values<Network>(networks).map(({ name, epsilon }) => `${name}: ${epsilon}`).join(", "),
);

/** What every command takes. */
export const output = {
  json: withDefault(
    flag("--json", { description: message`Print one JSON document on stdout, all else on stderr` }),
    false,
  ),
};

/** A run to repeat. */
export const repeated = object({
  config: optional(option("--config", path({ metavar: "FILE" }), {
    description: message`Repeat the run of this run.json; only where things are may differ`,
  })),
});

/** A radius from 0 to 1, as a number or, as people write it, a fraction of bytes: `8/255`. */
function radius(): ValueParser<"sync", number> {
  const written = /^\s*((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*(?:\/\s*(\d+\.?\d*|\.\d+)\s*)?$/i;
  return {
    mode: "sync",
    metavar: "NUMBER",
    placeholder: 0,
    parse(input): ValueParserResult<number> {
      const [, over, under = "1"] = written.exec(input) ?? [];
      const value = over === undefined ? NaN : Number(over) / Number(under);
      if (value >= 0 && value <= 1) return { success: true, value };
      const why = value > 1 && value < Infinity ? `, which is ${Number(value.toPrecision(3))}` : "";
      return {
        success: false,
        error: message`Expected a number from 0 to 1, such as 0.1 or 8/255, but got ${
          shortened(input)
        }${text(why)}.`,
      };
    },
    format: (value) => String(value),
  };
}

/** Where runs are. */
export const runsIn = {
  savePath: withDefault(
    option("--save-path", path({ metavar: "DIR" }), {
      description: message`Folder of the checkpoints and runs`,
    }),
    defaults.savePath,
  ),
};

/** Which experiment. */
export const experiment = object("Experiment", {
  mode: withDefault(
    option("--mode", choice([...modes, ...attackModes], near), {
      description: message`Method; ${text("attack_X")} means ${text("attack --mode X")}`,
    }),
    "sngp",
  ),
  model: optional(option("--model", choice(models, near), {
    description: message`Network; the method's own when not given`,
  })),
  seed: withDefault(
    option("--seed", whole({ min: 0, metavar: "N" }), {
      description:
        message`Seed of every random number of the run; models that it trains count up from it`,
    }),
    defaults.seed,
  ),
});

const published = (which: "inDomain" | "outDomain"): string =>
  Object.values<Network>(networks).map((of) => `${of.name}: ${of[which]}`).join(", ");

const inDomain = {
  inDomain: optional(option("--in-domain", choice(setNames, near), {
    description: message`Set that models are trained and tested on [${
      text(published("inDomain"))
    }]`,
  })),
};

/** What a model is taught. */
export const taught = object("Data sets", inDomain);

/** What a model is taught, and what it is evaluated on and attacked with besides. */
export const domains = object("Data sets", {
  ...inDomain,
  outDomain: optional(option("--out-domain", choice(setNames, near), {
    description: message`Set of what models do not know, which is attacked [${
      text(published("outDomain"))
    }]`,
  })),
});

/** Where things are, and what is said. */
export const shared = object("Data and output", {
  dataPath: optional(option("--data-path", path({ metavar: "DIR" }), {
    description: message`Folder of the data sets; the embedded data when ./Data has none`,
  })),
  savePath: withDefault(
    option("--save-path", path({ metavar: "DIR" }), {
      description: message`Folder of the checkpoints and runs`,
    }),
    defaults.savePath,
  ),
  limit: optional(option("--limit", whole({ min: 1, metavar: "N" }), {
    description:
      message`The first N images of each set (N/10 of each folder), the training set too; attack and eval use a model of all images where there is one`,
  })),
  out: optional(option("--out", path({ metavar: "FILE" }), {
    description: message`Write the JSON document to a file as well`,
  })),
  saveImages: withDefault(
    flag("--save-images", { description: message`Keep every attacked image with the run` }),
    false,
  ),
  explain: withDefault(
    flag("--explain", { description: message`List the programs' dispatches, buffers and bytes` }),
    false,
  ),
  time: withDefault(
    flag("--time", {
      description: message`Time the programs' dispatches on the device, the longest first`,
    }),
    false,
  ),
  ...output,
});

/** What determines a training. */
export const training = object("Training", {
  epochs: optional(option("--epochs", whole({ min: 1 }), {
    description: message`Passes over the training set [train: 80; else 10, or 20 on embedded data]`,
  })),
  lr: withDefault(
    option("--lr", float({ min: 0 }), {
      description: message`Learning rate; a tenth of it from epoch 30, of that from epoch 60 on`,
    }),
    defaults.lr,
  ),
  momentum: withDefault(
    option("--momentum", float({ min: 0, max: 1 }), { description: message`Momentum, 0 to 1` }),
    defaults.momentum,
  ),
  weightDecay: withDefault(
    option("--weight-decay", float({ min: 0 }), { description: message`L2 penalty` }),
    defaults.weightDecay,
  ),
  numEnsembles: optional(
    option("--num-ensembles", whole({ min: 1 }), {
      description:
        message`Members of an ensemble [10; on embedded data 3, adversarially trained 2]`,
    }),
  ),
  microBatch: optional(
    option("--micro-batch", whole({ min: 1, max: 65536 }), {
      description:
        message`Images that go through the network at once in training [as many as the GPU holds]`,
    }),
  ),
  augmentation: withDefault(
    map(
      flag("--no-augmentation", {
        description: message`ResNet-18 learns from the images as they are, not from crops of them`,
      }),
      () => false,
    ),
    defaults.augmentation,
  ),
  nInducingPoints: optional(
    option("--n-inducing-points", whole({ min: 1, max: 512 }), {
      description: message`Inducing points of DUE [what the checkpoint has, else 10]`,
    }),
  ),
  kernel: optional(
    option("--kernel", choice(gpKernels, near), {
      description: message`Kernel of DUE's GP [what the checkpoint has, else RBF]`,
    }),
  ),
});

/** Adversarial training; a table's rows have their own. */
export const epsilon = object({
  epsilon: optional(
    option("--epsilon", radius(), {
      description:
        message`Radius of adversarial training, as 0.1 or 8/255; pixels are in 0 to 1 [${radii}]`,
    }),
  ),
});

/** The original's default weight of the penalty differs between training and evaluation. */
export const lambdaReg = (otherwise: string) => ({
  lambdaReg: optional(
    option("--lambda-reg", float({ min: 0 }), {
      description: message`Weight of DUQ's gradient penalty [${text(otherwise)}]`,
    }),
  ),
});

export const batchSize = (value: number) => ({
  batchSize: withDefault(
    option("--batch-size", whole({ min: 1, max: 65536 }), {
      description: message`Images in one step`,
    }),
    value,
  ),
});

export const checkpoint = object({
  checkpoint: map(
    multiple(option("--checkpoint", path({ metavar: "FILE" }), {
      description:
        message`Model to use: a .safetensors, or a .checkpoint of PyTorch; once a member, or with ${
          text("{seed}")
        } in its path`,
    })),
    (paths) => paths.length === 0 ? undefined : [...paths],
  ),
});

export const attacking = object("Attack", {
  epsilonAttack: optional(
    option("--epsilon-attack", radius(), {
      description: message`Radius of the attack, as 0.1 or 8/255; pixels are in 0 to 1 [${radii}]`,
    }),
  ),
  steps: withDefault(
    option("--steps", whole({ min: 1, max: 10_000, metavar: "N" }), {
      description: message`Iterations of pgd`,
    }),
    defaults.steps,
  ),
  targeted: optional(option("--targeted", whole({ min: 0, metavar: "CLASS" }), {
    description: message`Steer to this class instead of the model's own prediction`,
  })),
});

/** `epsilonAttack` as it is typed: `epsilon-attack`. */
export function nameOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `epsilonAttack` as a flag: `--epsilon-attack`. */
export function flagOf(name: string): `--${string}` {
  return `--${nameOf(name)}`;
}

/** Modes that the paper's tables have a row of. */
export const tableModes = [
  ...new Set(Object.values(paperTables).flatMap(({ rows }) => rows.map(({ mode }) => mode))),
];

/** One flag for each difference between the protocols. */
function differences(): { [K in ProtocolOptionName]: Parser<"sync", Procedure[K] | undefined> } {
  const flags = Object.entries<ProtocolOption>(protocolOptions).map(([name, difference]) => {
    const { about, paper, corrected, modes } = difference;
    const values: ValueParser<"sync", string | number> = "values" in difference
      ? choice(difference.values, near)
      : difference.whole
      ? whole({ min: difference.min, max: difference.max, metavar: "N" })
      : float({ min: difference.min, max: difference.max });
    const whom = modes ? ` (${modes.join(", ")})` : "";
    const description = message`${text(about)}${text(whom)} [paper: ${
      text(String(paper))
    }, corrected: ${text(String(corrected))}]`;
    return [name, optional(option(flagOf(name), values, { description }))];
  });
  return Object.fromEntries(flags);
}

/** The published procedure or the corrected one, and every difference by itself. */
export const protocol = object("Protocol", {
  protocol: withDefault(
    option("--protocol", choice(["paper", "corrected"], near), {
      description: message`The published procedure with its faults, or without them`,
    }),
    defaults.protocol,
  ),
  ...differences(),
});

/** Flags in the original's snake_case, as ours: `--batch_size 8` means `--batch-size 8`. */
export function normalise(args: readonly string[]): string[] {
  return args.map((arg) => {
    const [, name, rest = ""] = /^(--[a-z_]+)(=.*)?$/s.exec(arg) ?? [];
    return name === undefined ? arg : name.replaceAll(/(?<=[a-z])_/g, "-") + rest;
  });
}
