/**
 * Models of every method as they are before training.
 *
 * @module
 */
import {
  type Method,
  type MethodName,
  methods,
  type Model,
  networkOf,
  settledHyperparameters,
} from "../src/methods/mod.ts";
import { Random } from "../src/nn/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";

/** A model of a method with the weights of a seed. */
export function modelOf(mode: MethodName, network: string, seed = 0): Model {
  const procedure = procedureOf("paper", {});
  const method: Method = methods[mode];
  const own = settledHyperparameters({}, networkOf(network), "train");
  return method.create(network, { ...own, procedure, random: new Random(seed) });
}
