/**
 * What a method declares as its own: hyper-parameters, and where its two protocols differ.
 *
 * Flags, help, the configuration's check, what checkpoints say, folders' names and documents follow from
 * these declarations.
 *
 * @module
 */
import type { Network } from "../networks/mod.ts";

/** Where a difference acts: on what a training makes, what a trained model answers, or how it is attacked. */
export type Stage = "training" | "evaluation" | "attack";

/** What an option may be: one of a few words, or a number in a range. */
export type Domain = { readonly values: readonly string[] } | {
  readonly min: number;
  /** Unbounded when not given. */
  readonly max?: number;
  /** Whether it counts something. */
  readonly whole?: boolean;
  /** Of a distance between pixels in 0 to 1, which people also write as a fraction of bytes: `8/255`. */
  readonly unit?: "pixels";
};

/** What an option can be: one of its values, or a number. */
export type ValueOf<O> = O extends { readonly values: readonly (infer V)[] } ? V : number;

/** A value for each of some options. */
export type ValuesOf<D> = { readonly [K in keyof D]: ValueOf<D[K]> };

/** A number or a word that decides how a model is built or trained. */
export type Hyperparameter = Domain & {
  /** What it is, for people. */
  readonly about: string;
  /** What a training takes where nobody says: one for all networks, or each network's. */
  readonly default: string | number | ((network: Network) => string | number);
  /** What an evaluation or an attack takes where nothing was trained; as a training where not given. */
  readonly defaultInUse?: string | number;
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

/** Declarations of all methods of a registry, by the options' names. */
export type Together<M extends Readonly<Record<string, Own>>, Part extends keyof Own> =
  { [K in keyof M]: (all: M[K][Part]) => void }[keyof M] extends (all: infer All) => void ? All
    : never;

/** A declaration, and the methods that make it. */
export interface Declared<O> {
  readonly option: O;
  /** Names of methods. */
  readonly modes: readonly string[];
}

/**
 * Puts together what the methods of a registry declare, in its order.
 *
 * @returns each option by its name, with the methods that share it
 * @throws Error where two methods declare an option of one name in two ways
 */
export function together<O>(
  methods: Readonly<Record<string, Own>>,
  part: (own: Own) => Readonly<Record<string, O>>,
): Readonly<Record<string, Declared<O>>> {
  const found: Record<string, Declared<O>> = {};
  for (const [mode, own] of Object.entries(methods)) {
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
