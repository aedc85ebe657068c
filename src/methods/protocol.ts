/**
 * The two protocols: the published procedure with its faults, and the one without them.
 *
 * Each difference is one option of its own, so that its effect can be measured: those that concern every
 * method are here, those of one method in its file. The command line's flags, the checks, what a result
 * records and the table's ablation all follow from this list.
 *
 * @module
 */
import { type AttackName, attacks, type IterateOptions } from "../attack/mod.ts";
import { networkOf } from "../networks/mod.ts";
import { methods } from "./mod.ts";
import {
  type Difference,
  type Own,
  type Stage,
  type Together,
  together,
  type ValueOf,
} from "./options.ts";

export type { Stage } from "./options.ts";

/** The published procedure, or the one without its faults. */
export type Protocol = "paper" | "corrected";

/** One difference between the protocols. */
export type ProtocolOption = Difference & {
  /** Modes that it concerns; all of them when not given. */
  readonly modes?: readonly string[];
};

const attackNames = Object.keys(attacks) as AttackName[];

/** Differences that concern every method: in training, in the steps of attacks, in figures. */
export const commonDifferences = {
  training: {
    selection: {
      about: "The best epoch is chosen on the test set, or on a tenth of the training set held out",
      stage: "training",
      values: ["test", "validation"],
      paper: "test",
      corrected: "validation",
    },
  },
  attack: {
    attack: {
      about: "The algorithm of the attack: as published, one for all, or a file of yours",
      stage: "attack",
      values: ["published", ...attackNames],
      orModule: true,
      paper: "published",
      corrected: "pgd",
    },
    stepFactor: {
      about: "Length of a pgd step in units of epsilon / steps",
      stage: "attack",
      min: 0.01,
      max: 100,
      paper: 1,
      corrected: 2.5,
    },
    start: {
      about: "The noisy start of pgd is left as it is, or projected to the ball and to [0, 1]",
      stage: "attack",
      values: ["free", "projected"],
      paper: "free",
      corrected: "projected",
    },
    keep: {
      about: "pgd returns its last iterate, or the one of lowest loss",
      stage: "attack",
      values: ["last", "best"],
      paper: "last",
      corrected: "best",
    },
  },
  figures: {
    mean: {
      about: "Figures are means of batch means, or means over samples",
      stage: "evaluation",
      values: ["batches", "samples"],
      paper: "batches",
      corrected: "samples",
    },
  },
} as const satisfies Record<string, Own["differences"]>;

/**
 * Every difference between the protocols, those of a registry's methods among those of all, in the order of
 * the experiment: how models are trained, how they are attacked, what is asked of them, what is figured.
 */
export function protocolOptionsOf(
  methods: Readonly<Record<string, Own>>,
): Readonly<Record<string, ProtocolOption>> {
  const own = Object.entries(together(methods, (own) => own.differences))
    .map(([name, { option, modes }]): [string, ProtocolOption] => [name, { ...option, modes }]);
  const part = (training: boolean): Record<string, ProtocolOption> =>
    Object.fromEntries(own.filter(([, { stage }]) => (stage === "training") === training));
  const { training, attack, figures } = commonDifferences;
  return { ...training, ...part(true), ...attack, ...part(false), ...figures };
}

/** Every difference between the protocols, in the order of the experiment. */
export const protocolOptions = protocolOptionsOf(methods) as
  & (typeof commonDifferences)["training"]
  & (typeof commonDifferences)["attack"]
  & (typeof commonDifferences)["figures"]
  & Together<typeof methods, "differences">;

/** The name of a difference. */
export type ProtocolOptionName = keyof typeof protocolOptions;

/** How an experiment is run: a value for every difference. */
export type Procedure = {
  readonly [K in ProtocolOptionName]: ValueOf<(typeof protocolOptions)[K]>;
};

/** Names of the differences, in order. */
export const protocolOptionNames = Object.keys(protocolOptions) as ProtocolOptionName[];

/** A protocol's procedure, with the options that were chosen otherwise. */
export function procedureOf(
  protocol: Protocol,
  chosen: { readonly [K in ProtocolOptionName]?: Procedure[K] | undefined } = {},
): Procedure {
  const values = protocolOptionNames.map((name) => [
    name,
    chosen[name] ?? protocolOptions[name][protocol],
  ]);
  return Object.freeze(Object.fromEntries(values) as Procedure);
}

/** How a procedure has iterated attacks step. */
export function iterationOf({ stepFactor, start, keep }: Procedure): IterateOptions {
  return { stepFactor, projectStart: start === "projected", keepBest: keep === "best" };
}

/** The part of a procedure that concerns a mode with a model, of one stage or of both. */
export function concerning(
  procedure: Procedure,
  { mode, model }: { readonly mode: string; readonly model: string },
  stage?: Stage,
): Readonly<Record<string, string | number>> {
  const names = protocolOptionNames.filter((name) => {
    const option: ProtocolOption = protocolOptions[name];
    return (option.modes?.includes(mode) ?? true) &&
      (!option.batchNorm || networkOf(model).batchNorm) &&
      (stage ?? option.stage) === option.stage;
  });
  return Object.fromEntries(names.map((name) => [name, procedure[name]]));
}
