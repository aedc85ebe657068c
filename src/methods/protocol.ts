/**
 * The two protocols: the published procedure with its faults, and the one without them.
 *
 * Each difference is one entry here and one option of its own, so that its effect can be measured.
 * The command line's flags, the checks, what a result records and the table's ablation all follow
 * from this list.
 *
 * @module
 */
import { type AttackName, attacks, type IterateOptions } from "../attack/mod.ts";
import { networkOf } from "../networks/mod.ts";

/** The published procedure, or the one without its faults. */
export type Protocol = "paper" | "corrected";

/** Where a difference acts: on what a training makes, what a trained model answers, or how it is attacked. */
export type Stage = "training" | "evaluation" | "attack";

interface Difference {
  /** What it decides, for people. */
  readonly about: string;
  readonly stage: Stage;
  /** Where it acts besides, without deciding which training it is. */
  readonly also?: readonly Stage[];
  /** Modes that it concerns; all of them when not given. */
  readonly modes?: readonly string[];
  /** Whether it concerns networks alone that normalise over batches. */
  readonly batchNorm?: true;
  /** Whether it is about several members, and decides nothing where there is one. */
  readonly ofMembers?: true;
}

/** A difference between two ways of doing a thing. */
interface Alternative extends Difference {
  readonly values: readonly string[];
  readonly paper: string;
  readonly corrected: string;
}

/** A difference in a number. */
interface Quantity extends Difference {
  readonly min: number;
  readonly max: number;
  readonly whole: boolean;
  readonly paper: number;
  readonly corrected: number;
}

/** One difference between the protocols. */
export type ProtocolOption = Alternative | Quantity;

const attackNames = Object.keys(attacks) as AttackName[];
const ensembles = ["deep_ensemble", "deep_ensemble_at"] as const;

/** Every difference between the protocols, in the order of the experiment. */
export const protocolOptions = {
  selection: {
    about: "The best epoch is chosen on the test set, or on a tenth of the training set held out",
    stage: "training",
    values: ["test", "validation"],
    paper: "test",
    corrected: "validation",
  },
  epochOrder: {
    about: "DUQ sees the images in the same order in every epoch, or in a fresh one",
    stage: "training",
    modes: ["duq"],
    values: ["fixed", "fresh"],
    paper: "fixed",
    corrected: "fresh",
  },
  batchStatistics: {
    about:
      "Batch normalisation is in train mode at the first step of an epoch only, or at every step",
    stage: "training",
    modes: ["duq"],
    batchNorm: true,
    values: ["first-step", "every-step"],
    paper: "first-step",
    corrected: "every-step",
  },
  kernelArithmetic: {
    about: "DUQ's kernel values directly, so that all of them may underflow, or as logarithms",
    stage: "training",
    // The same kernel answers afterwards.
    also: ["evaluation"],
    modes: ["duq"],
    values: ["direct", "log"],
    paper: "direct",
    corrected: "log",
  },
  precision: {
    about:
      "SNGP's precision sums over the last epoch's moving weights, or over a clean pass after it",
    stage: "training",
    modes: ["sngp"],
    values: ["moving", "clean"],
    paper: "moving",
    corrected: "clean",
  },
  attack: {
    about: "The method's published attack (fgsm on ensembles, else pgd), or one for all",
    stage: "attack",
    values: ["published", ...attackNames],
    paper: "published",
    corrected: "pgd",
  },
  stepFactor: {
    about: "Length of a pgd step in units of epsilon / steps",
    stage: "attack",
    min: 0.01,
    max: 100,
    whole: false,
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
  ensembleAttack: {
    about: "Each member is attacked on its own copy of the image, or all on one image",
    stage: "attack",
    modes: ensembles,
    ofMembers: true,
    values: ["per-member", "joint"],
    paper: "per-member",
    corrected: "joint",
  },
  ensembleMean: {
    about: "An ensemble averages logits, or probabilities",
    stage: "evaluation",
    modes: ensembles,
    ofMembers: true,
    values: ["logits", "probabilities"],
    paper: "logits",
    corrected: "probabilities",
  },
  dueSamples: {
    about: "Samples of DUE's latent functions in evaluation",
    stage: "evaluation",
    // The best epoch is chosen by them.
    also: ["training"],
    modes: ["due"],
    min: 1,
    max: 100_000,
    whole: true,
    paper: 10,
    corrected: 1000,
  },
  dueAttackSamples: {
    about: "Samples of DUE's latent functions in a step of the attack",
    stage: "attack",
    modes: ["due"],
    min: 1,
    max: 100_000,
    whole: true,
    paper: 10,
    corrected: 256,
  },
  dueNoise: {
    about: "The attack on DUE draws fresh samples at every step, or keeps common random numbers",
    stage: "attack",
    modes: ["due"],
    values: ["fresh", "common"],
    paper: "fresh",
    corrected: "common",
  },
  mean: {
    about: "Figures are means of batch means, or means over samples",
    stage: "evaluation",
    values: ["batches", "samples"],
    paper: "batches",
    corrected: "samples",
  },
} as const satisfies Record<string, ProtocolOption>;

/** The name of a difference. */
export type ProtocolOptionName = keyof typeof protocolOptions;

/** What an option of {@linkcode protocolOptions} can be: one of its values, or a number. */
export type ProtocolValue<O> = O extends { readonly values: readonly (infer V)[] } ? V : number;

/** How an experiment is run: a value for every difference. */
export type Procedure = {
  readonly [K in ProtocolOptionName]: ProtocolValue<(typeof protocolOptions)[K]>;
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
