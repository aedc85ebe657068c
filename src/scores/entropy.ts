/**
 * The entropy of the answer.
 *
 * @module
 */
import { exp, mul, sum, type Tensor } from "../nn/mod.ts";
import { logProbabilitiesOf } from "./functions.ts";
import type { Score } from "./types.ts";

/** `-H(p) = sum_c p_c log p_c`, in nats. */
export const entropy: Score = {
  name: "entropy",
  about: "minus the entropy of the answer",
  score(model, images): Tensor {
    const l = logProbabilitiesOf(model, images);
    return sum(mul(exp(l), l), [1]);
  },
};
