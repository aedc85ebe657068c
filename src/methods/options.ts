/**
 * What a method declares as its own: hyper-parameters, and where its two protocols differ.
 *
 * Flags, help, the configuration's check, what checkpoints say, folders' names and documents follow from
 * these declarations.
 *
 * @module
 */
import type { Domain, Network } from "../networks/mod.ts";

export type { Domain, Together, ValueOf, ValuesOf } from "../networks/mod.ts";

/** Where a difference acts: on what a training makes, what a trained model answers, or how it is attacked. */
export type Stage = "training" | "evaluation" | "attack";

/** A number or a word that decides how a model is built or trained. */
export type Hyperparameter = Domain & {
  /** What it is, for people. */
  readonly about: string;
  /** What a training takes where nobody says: one for all networks, or each network's. */
  readonly default: string | number | ((network: Network) => string | number);
  /** What an evaluation or an attack takes where nothing was trained; as a training where not given. */
  readonly defaultInUse?: string | number;
  /** Where it acts: on what a training makes, or on what a trained model answers; on a training when not given. */
  readonly stage?: "training" | "evaluation";
  /** What its value follows in the path of a training: `eps` for `eps_0.1`; it is not there when not given. */
  readonly folder?: string;
};

/** A difference between the protocols. */
export type Difference =
  & Domain
  & {
    /** What it decides, for people. */
    readonly about: string;
    readonly stage: Stage;
    /** Where it acts besides, without deciding which training it is. */
    readonly also?: readonly Stage[];
    /** Whether it concerns networks alone that normalise over batches. */
    readonly batchNorm?: true;
    /** Whether it is about several members, and decides nothing where there is one. */
    readonly ofMembers?: true;
    /** The value of another difference without which it decides nothing. */
    readonly onlyWith?: { readonly difference: string; readonly value: string };
    /** The published way. */
    readonly paper: string | number;
    /** The right one. */
    readonly corrected: string | number;
  };

/** What is one method's own. */
export interface Own {
  /** Its hyper-parameters by name. */
  readonly hyperparameters: Readonly<Record<string, Hyperparameter>>;
  /** Where its protocols differ, by the options' names. */
  readonly differences: Readonly<Record<string, Difference>>;
}

/** Of a method that has nothing of its own. */
export interface NothingOwn extends Own {
  /** None. */
  readonly hyperparameters: Readonly<Record<never, Hyperparameter>>;
  /** Nowhere. */
  readonly differences: Readonly<Record<never, Difference>>;
}

/** A declaration, and what makes it. */
export interface Declared<O> {
  readonly option: O;
  /** Names of the methods that it concerns. */
  readonly modes: readonly string[];
  /** Names of the networks that it concerns; all of them when not given. */
  readonly networks?: readonly string[];
}

/**
 * Puts together what the entries of a registry declare, in its order.
 *
 * @returns each option by its name, with the entries that share it, as modes
 * @throws Error where two of them declare an option of one name in two ways
 */
export function together<T, O>(
  registry: Readonly<Record<string, T>>,
  part: (own: T) => Readonly<Record<string, O>>,
): Readonly<Record<string, Declared<O>>> {
  const found: Record<string, Declared<O>> = {};
  for (const [mode, own] of Object.entries(registry)) {
    for (const [name, option] of Object.entries(part(own))) {
      const { option: other = option, modes = [] } = found[name] ?? {};
      if (other !== option) {
        throw new Error(`Unreachable: ${[...modes, mode].join(" and ")} declare ${name} otherwise`);
      }
      found[name] = { option, modes: [...modes, mode] };
    }
  }
  return found;
}

/** What a hyper-parameter is where nobody says, in a training or where a model is used. */
export function defaultOf(
  { default: usual, defaultInUse }: Hyperparameter,
  network: Network,
  purpose: "train" | "use",
): string | number {
  if (purpose === "use" && defaultInUse !== undefined) return defaultInUse;
  return typeof usual === "function" ? usual(network) : usual;
}
