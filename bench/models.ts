/**
 * Models of every method as they are before training.
 *
 * @module
 */
import { type MethodName, methods, type Model } from "../src/methods/mod.ts";
import { Random } from "../src/nn/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";

/** Hyper-parameters of the methods that have some. */
const options = { epsilon: 0.1, lambdaReg: 0.3, nInducingPoints: 10, kernel: "RBF" } as const;

/** A model of a method with the weights of a seed. */
export function modelOf(mode: MethodName, network: string, seed = 0): Model {
  const procedure = procedureOf("paper", {});
  return methods[mode].create(network, { ...options, procedure, random: new Random(seed) });
}
