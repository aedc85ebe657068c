/**
 * How options are described: each schema with what it is, what it is where nobody says, and where it acts.
 *
 * @module
 */
import { z } from "zod";
import { isModulePath } from "../base/module.ts";
import { type Hyperparameter, type Network, networks } from "../methods/mod.ts";
import { chosenScores, scores } from "../scores/mod.ts";
import type { ProtocolOption, Stage } from "../methods/protocol.ts";

/** What is known of an option besides what its schema says. */
export interface OptionFacts {
  /** What it is where nobody says, in words: in a training, and where a model is used. */
  readonly otherwise?: { readonly train: string; readonly use: string };
  /** Where it acts; everywhere when not given. */
  readonly acts?: readonly Stage[];
  /** Of a distance between pixels in 0 to 1. */
  readonly unit?: "pixels";
}

/** What is known of the options, by their schemas; what they are is each schema's description. */
export const optionFacts = z.registry<OptionFacts>();

/** Describes an option, for people and for the command line. */
export function told<S extends z.ZodType>(schema: S, about: string, facts: OptionFacts = {}): S {
  const described = schema.describe(about);
  optionFacts.add(described, facts);
  return described;
}

/** A whole number, 1 or more. */
export const count = z.int().min(1);
/** Images in a step. */
export const batch = z.int().min(1).max(65536);
/** What an option is where nobody says, in a training and where a model is used. */
export const same = (words: string): { train: string; use: string } => ({
  train: words,
  use: words,
});
/** Of options that act in a training alone. */
export const training = { acts: ["training"] } as const;
/** Of options that act in an attack alone. */
export const attacking = { acts: ["attack"] } as const;
/** A value of each network, in words. */
export const ofNetworks = (value: (network: Network) => string | number): string =>
  Object.values<Network>(networks).map((of) => `${of.name}: ${value(of)}`).join(", ");

/** One of the names, or a path that is told from a name; what is neither is a name that there is not. */
export function nameOr<N extends string, P extends string>(
  names: readonly N[],
  isPath: (value: unknown) => value is P,
): z.ZodType<N | P, N | P> {
  const name = z.enum(names);
  const path = z.string().refine(isPath, { abort: true });
  const wrong = (value: unknown): string | undefined =>
    name.safeParse(value).error?.issues[0]?.message;
  const both = z.union([name, path], { error: ({ input }) => wrong(input) });
  return both as z.ZodType<unknown> as z.ZodType<N | P, N | P>;
}

/** A number's or a word's schema, as a method declares it. */
function domain(option: Hyperparameter | ProtocolOption): z.ZodType {
  if ("values" in option) {
    return option.orModule ? nameOr(option.values, isModulePath) : z.enum(option.values);
  }
  const { min, max, whole } = option;
  const number = (whole ? z.int() : z.number()).min(min);
  return max === undefined ? number : number.max(max);
}

/** The entry of a hyper-parameter, which is settled later where nobody chooses it. */
export function hyperparameterEntry(option: Hyperparameter): z.ZodType {
  const { about, default: usual, defaultInUse = usual, stage = "training" } = option;
  const words = (of: typeof usual): string =>
    typeof of === "function" ? ofNetworks(of) : String(of);
  const trained = { train: words(usual), use: `what was trained, else ${words(defaultInUse)}` };
  return told(domain(option).optional(), about, {
    ...stage === "training"
      ? { otherwise: trained }
      : { otherwise: same(words(usual)), acts: [stage] },
    ..."unit" in option && option.unit ? { unit: option.unit } : {},
  });
}

/** The entry of a difference between the protocols, which follows the protocol where nobody chooses it. */
export function differenceEntry(option: ProtocolOption): z.ZodType {
  const { about, modes, ofMembers, stage, also = [], paper, corrected } = option;
  // A text about ensembles says itself whom it concerns.
  const concerned = modes && !ofMembers ? ` (${modes.join(", ")})` : "";
  return told(domain(option).optional(), about + concerned, {
    otherwise: same(`paper: ${paper}, corrected: ${corrected}`),
    acts: [stage, ...also],
  });
}

/** The entries of what is told of an answer besides, and of what is done to it first. */
export const answerEntries = {
  scores: told(
    z.string().refine((of) => chosenScores(of) !== undefined, {
      error: `choose all, or of ${Object.keys(scores).join(",")}, with commas between them`,
    }).optional(),
    "Tell images apart by these scores too, and attack each by itself: all, or names with commas between them (docs/scores.md)",
    { otherwise: same("the method's own"), acts: ["evaluation", "attack"] },
  ),
  temperatureScaling: told(
    z.boolean().default(false),
    "Calibrate the answer by a temperature, fitted on half of the in-domain test images, which figures leave out (docs/scores.md)",
    { acts: ["evaluation", "attack"] },
  ),
};
