/**
 * The generalised entropy.
 *
 * Paper: X. Liu et al., "GEN: Pushing the limits of softmax-based out-of-distribution detection", CVPR 2023,
 * eq. 3, with gamma = 0.1 and the M = 100 largest probabilities, or all where there are fewer.
 *
 * @module
 */
import {
  add,
  argmax,
  constant,
  dim,
  div,
  equal,
  exp,
  greater,
  kthLargest,
  log1p,
  minimum,
  mul,
  neg,
  oneHot,
  reshape,
  scale,
  sub,
  sum,
  type Tensor,
  where,
} from "../nn/mod.ts";
import { logProbabilitiesOf, logSumExp } from "./functions.ts";
import type { Score } from "./types.ts";

const gamma = 0.1;
const most = 100;

/**
 * `-sum_c p_c^gamma (1 - p_c)^gamma` over the M largest p_c. `1 - p` of the largest is the sum of the others,
 * taken by its logarithm: where p rounds to 1, `1 - p` would round to 0, and its power fall from a tenth to 0.
 */
export const gen: Score = {
  name: "gen",
  about: "minus the generalised entropy of the answer",
  score(model, images): Tensor {
    const l = logProbabilitiesOf(model, images); // [B, C]
    const classes = dim(l, 1);
    const first = oneHot(argmax(l), classes);
    const others = logSumExp(where(first, constant(-1e30, l.shape), l));
    const log1mP = where(
      first,
      add(reshape(others, [-1, 1]), constant(0, l.shape)),
      // None of these is above a half; the bound keeps the first, which is not taken, from making NaN.
      log1p(neg(minimum(exp(l), 0.75))),
    );
    const terms = exp(scale(add(l, log1mP), gamma));
    return neg(sum(classes > most ? mul(terms, largest(l)) : terms, [1]));
  },
};

/** 1 at the M largest of each row and 0 elsewhere; where several are the M-th, each has its share: `[B, C]`. */
function largest(l: Tensor): Tensor {
  const p = exp(l);
  const last = reshape(kthLargest(p, constant(most, [dim(l, 0)])), [-1, 1]);
  const [above, at] = [greater(p, last), equal(p, last)];
  const share = div(sub(most, sum(above, [1], true)), sum(at, [1], true));
  return add(above, mul(at, share));
}
