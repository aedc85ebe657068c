/**
 * The methods: one line each.
 *
 * @module
 */
import { sngp } from "./sngp.ts";
import type { Method } from "./types.ts";

export type { Method, Model, ModelOptions, TrainStep } from "./types.ts";

/** Every method by its name on the command line. */
export const methods = { sngp } as const satisfies Record<string, Method>;

/** The name of a method. */
export type MethodName = keyof typeof methods;
