/**
 * The methods: one line each.
 *
 * @module
 */
import { type Network } from "../networks/mod.ts";
import { baseline } from "./baseline.ts";
import { deepEnsemble } from "./deep_ensemble.ts";
import { deepEnsembleAt } from "./deep_ensemble_at.ts";
import { due } from "./due.ts";
import { duq } from "./duq.ts";
import { sngp } from "./sngp.ts";
import {
  type Declared,
  defaultOf,
  type Hyperparameter,
  type Together,
  together,
  type ValuesOf,
} from "./options.ts";
import type { MethodFacts, MethodOf, ModelOptionsOf } from "./types.ts";

export type {
  Answering,
  InitialiseContext,
  MethodFacts,
  MethodOf,
  Model,
  ModelOptionsOf,
  NetworkOptions,
  Reading,
  Schedule,
  Score,
  Subject,
  TrainContext,
  TrainStep,
} from "./types.ts";
export type {
  Difference,
  Domain,
  Hyperparameter,
  NothingOwn,
  Own,
  Together,
  ValueOf,
  ValuesOf,
} from "./options.ts";
export { type ImageShape, type Network, networkOf, networks } from "../networks/mod.ts";
export { type GpKernel, gpKernels } from "./gp_kernels.ts";
export { ofLogits, single } from "./single.ts";

/** Every method by its name on the command line. */
export const methods = {
  baseline,
  deep_ensemble: deepEnsemble,
  deep_ensemble_at: deepEnsembleAt,
  duq,
  due,
  sngp,
} as const satisfies Record<string, MethodFacts>;

/** The name of a method. */
export type MethodName = keyof typeof methods;

/** The method where nobody says which. */
export const defaultMethod: MethodName = "sngp";

/** What all methods declare. */
export interface AllOwn {
  /** Their hyper-parameters. */
  readonly hyperparameters: Together<typeof methods, "hyperparameters">;
  /** Where their protocols differ. */
  readonly differences: Together<typeof methods, "differences">;
}

/** Any method: it takes what its own ask for among the hyper-parameters and the choices of all. */
export interface Method
  extends MethodFacts, Pick<MethodOf<AllOwn>, "create" | "subject" | "schedule"> {}

/** What determines a model of any method before it is trained. */
export type ModelOptions = ModelOptionsOf<AllOwn>;

/** Hyper-parameters that belong to one method or another. */
export type Hyperparameters = ValuesOf<AllOwn["hyperparameters"]>;

/** Every hyper-parameter by its name, with the methods that have it. */
export const hyperparameters = together(methods, (own) => own.hyperparameters);

/** Names of the hyper-parameters, in order. */
export const hyperparameterNames = Object.keys(hyperparameters) as (keyof Hyperparameters)[];

/** The hyper-parameters that are a method's own, out of those of all. */
export function ownOf(
  method: MethodFacts,
  values: Hyperparameters,
): Record<string, string | number> {
  const chosen = new Map<string, string | number>(Object.entries(values));
  return Object.fromEntries(
    Object.keys(method.hyperparameters).map((name) => {
      const value = chosen.get(name);
      if (value === undefined) throw new Error(`Unreachable: ${name} is not settled`);
      return [name, value];
    }),
  );
}

/** Every hyper-parameter: as chosen, else its default for a network, in a training or where a model is used. */
export function settledHyperparameters(
  chosen: { readonly [K in keyof Hyperparameters]?: Hyperparameters[K] | undefined },
  network: Network,
  purpose: "train" | "use",
): Hyperparameters {
  const known = new Map<string, string | number | undefined>(Object.entries(chosen));
  const values = Object.entries<Declared<Hyperparameter>>(hyperparameters)
    .map(([name, { option }]) => [name, known.get(name) ?? defaultOf(option, network, purpose)]);
  return Object.fromEntries(values) as Hyperparameters;
}
