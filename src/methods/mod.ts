/**
 * The methods: one line each.
 *
 * @module
 */
import { baseline } from "./baseline.ts";
import { deepEnsemble } from "./deep_ensemble.ts";
import { deepEnsembleAt } from "./deep_ensemble_at.ts";
import { due } from "./due.ts";
import { duq } from "./duq.ts";
import { sngp } from "./sngp.ts";
import type { Method } from "./types.ts";

export type {
  Answering,
  GpKernel,
  Hyperparameters,
  InitialiseContext,
  Method,
  Model,
  ModelOptions,
  Reading,
  Score,
  Subject,
  TrainContext,
  TrainStep,
} from "./types.ts";
export { type ImageShape, type Network, networkOf, networks } from "../networks/mod.ts";
export { gpKernels } from "./types.ts";
export { ofLogits, single } from "./single.ts";

/** Every method by its name on the command line. */
export const methods = {
  baseline,
  deep_ensemble: deepEnsemble,
  deep_ensemble_at: deepEnsembleAt,
  duq,
  due,
  sngp,
} as const satisfies Record<string, Method>;

/** The name of a method. */
export type MethodName = keyof typeof methods;
