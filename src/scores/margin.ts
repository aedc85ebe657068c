/**
 * The gap between the two largest logits: the logarithm of how much likelier the first class is than the second.
 *
 * @module
 */
import { argmax, constant, dim, max, oneHot, sub, type Tensor, where } from "../nn/mod.ts";
import { logProbabilitiesOf } from "./functions.ts";
import type { Score } from "./types.ts";

/** `z_1 - z_2 = log p_1 - log p_2`, of the two largest. */
export const margin: Score = {
  name: "margin",
  about: "the gap between the two largest logits",
  score(model, images): Tensor {
    const l = logProbabilitiesOf(model, images);
    const first = oneHot(argmax(l), dim(l, 1));
    return sub(max(l), max(where(first, constant(-3e38, l.shape), l)));
  },
};
