/**
 * The methods: one line each.
 *
 * @module
 */
import {
  type Network,
  type NetworkHyperparameter,
  type NetworkHyperparameters,
  networks,
} from "../networks/mod.ts";
import { baseline } from "./baseline.ts";
import { deepEnsemble, ensembleOf } from "./deep_ensemble.ts";
import { deepEnsembleAt } from "./deep_ensemble_at.ts";
import { due } from "./due.ts";
import { duq } from "./duq.ts";
import { evidential } from "./evidential.ts";
import { laplace } from "./laplace.ts";
import { mcDropout } from "./mc_dropout.ts";
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
  Posterior,
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
export { temperatureScaled } from "./temperature_scaled.ts";
export { type ImportedFor, type ImportedModel, importedModel } from "./imported.ts";
export { importedEnding, isImported } from "../networks/mod.ts";

/** Every method by its name on the command line. */
export const methods = {
  baseline,
  deep_ensemble: deepEnsemble,
  deep_ensemble_at: deepEnsembleAt,
  duq,
  due,
  sngp,
  mc_dropout: mcDropout,
  laplace,
  evidential,
  duq_ensemble: ensembleOf(duq, "duq_ensemble", "Ensemble of DUQs"),
  due_ensemble: ensembleOf(due, "due_ensemble", "Ensemble of DUEs"),
  sngp_ensemble: ensembleOf(sngp, "sngp_ensemble", "Ensemble of SNGPs"),
  laplace_ensemble: ensembleOf(laplace, "laplace_ensemble", "Ensemble of last-layer Laplaces"),
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

/** Hyper-parameters that belong to one method or network or another. */
export type Hyperparameters = ValuesOf<AllOwn["hyperparameters"]> & NetworkHyperparameters;

/** Every hyper-parameter by its name, with the methods and networks that have it. */
export const hyperparameters: Readonly<Record<string, Declared<Hyperparameter>>> = {
  ...together<Method, Hyperparameter>(methods, (own) => own.hyperparameters),
  ...ofNetworks(),
};

/** The hyper-parameters of networks, which any method goes with. */
function ofNetworks(): Record<string, Declared<NetworkHyperparameter>> {
  const declared = together<Network, NetworkHyperparameter>(networks, (own) => own.hyperparameters);
  return Object.fromEntries(
    Object.entries(declared).map(([name, { option, modes }]) => [name, {
      option,
      modes: Object.keys(methods),
      networks: modes,
    }]),
  );
}

/** Names of the hyper-parameters, in order. */
export const hyperparameterNames = Object.keys(hyperparameters) as (keyof Hyperparameters)[];

/** The hyper-parameters that are a method's own or its network's, out of those of all. */
export function ownOf(
  method: MethodFacts,
  network: Network,
  values: Hyperparameters,
): Record<string, string | number> {
  const chosen = new Map<string, string | number>(Object.entries(values));
  const names = [...Object.keys(method.hyperparameters), ...Object.keys(network.hyperparameters)];
  return Object.fromEntries(
    names.map((name) => {
      const value = chosen.get(name);
      if (value === undefined) throw new Error(`Unreachable: ${name} is not settled`);
      return [name, value];
    }),
  );
}

/**
 * The hyper-parameters that tell a trained model from others of its name, out of `ownOf()`: those of its network
 * only where they are not as published, and none that act where it is used.
 */
export function distinguishing<T>(
  network: Pick<Network, "hyperparameters">,
  own: Readonly<Record<string, T>>,
): Record<string, T> {
  return Object.fromEntries(
    Object.entries(own).filter(([name, value]) =>
      network.hyperparameters[name]?.default !== value && isOfTraining(name)
    ),
  );
}

/** Those that act on what a trained model answers, and decide no training, out of `ownOf()`. */
export function ofUse<T>(own: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(own).filter(([name]) => !isOfTraining(name)));
}

function isOfTraining(name: string): boolean {
  return hyperparameters[name]?.option.stage !== "evaluation";
}

/** What a network has of its own otherwise than published, in words, out of `ownOf()`: `width 16`. */
export function unpublished(own: Readonly<Record<string, string | number>>): readonly string[] {
  return Object.entries(own).filter(([name, value]) => {
    const { option, networks } = hyperparameters[name] ?? {};
    return networks && option?.default !== value;
  }).map((of) => of.join(" "));
}

/** The same behind a model's name: `ResNet-18_SNGP, width 16`. */
export function modelTitle(model: string, own: Readonly<Record<string, string | number>>): string {
  return [model, ...unpublished(own)].join(", ");
}

/** Those that a method declares, out of `ownOf()`. */
export function ofMethod<T>(own: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(own).filter(([name]) => !hyperparameters[name]?.networks),
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
