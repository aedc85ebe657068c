/**
 * What may be chosen: the forms that a declared option has, and those of a network's own.
 *
 * @module
 */
import type { ModulePath } from "../base/module.ts";

/** What an option may be: one of a few words, or a number in a range. */
export type Domain = {
  readonly values: readonly string[];
  /** Whether it may also be the path of a module of the user's own, which makes another. */
  readonly orModule?: true;
} | {
  readonly min: number;
  /** Unbounded when not given. */
  readonly max?: number;
  /** Whether it counts something. */
  readonly whole?: boolean;
  /** Of a distance between pixels in 0 to 1, which people also write as a fraction of bytes: `8/255`. */
  readonly unit?: "pixels";
};

/** What an option can be: one of its values, or a module's path where that is one too; or a number. */
export type ValueOf<O> = O extends { readonly values: readonly (infer V)[] }
  ? V | (O extends { readonly orModule: true } ? ModulePath : never)
  : number;

/** A value for each of some options. */
export type ValuesOf<D> = { readonly [K in keyof D]: ValueOf<D[K]> };

/** One part of what every entry of a registry declares, put together by the options' names. */
export type Together<
  M extends Readonly<Record<string, { readonly [P in Part]: unknown }>>,
  Part extends string,
> = { [K in keyof M]: (all: M[K][Part]) => void }[keyof M] extends (all: infer All) => void ? All
  : never;

/** A number or a word that decides how a network is built. */
export type NetworkHyperparameter = Domain & {
  /** What it is, for people. */
  readonly about: string;
  /** What it was published with, which needs no saying: names and checkpoints say what differs from it. */
  readonly default: string | number;
  /** What its value follows in the path of a training: `width` for `width_16`. */
  readonly folder?: string;
  /** Where a checkpoint that does not say it shows it: the length of an axis of one of the features' arrays. */
  readonly shownBy?: { readonly parameter: string; readonly axis: number };
};
