/** Hyper-parameters of every method, for tests that make models themselves. */
import { type Hyperparameters, networkOf, settledHyperparameters } from "../src/methods/mod.ts";

/** Those that a use of models has where nobody says, but for what is changed. */
export function hyperparametersOf(
  changed: Partial<Hyperparameters> = {},
  network = "LeNet",
): Hyperparameters {
  return settledHyperparameters(changed, networkOf(network), "use");
}
