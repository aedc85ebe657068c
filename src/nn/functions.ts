/**
 * Functions of neural networks made of other ops.
 *
 * @module
 */
import wgsl from "../shaders/log_softmax.wgsl" with { type: "text" };
import { add, div, exp, log, maximum, mul, neg, sqrt, square, sub } from "./elementwise.ts";
import { kernel } from "./kernel.ts";
import { mean, oneHot, sum } from "./reduce.ts";
import { dim, node, size, type Tensor } from "./tensor.ts";

const logSoftmaxKernel = kernel("log_softmax", wgsl);

/** `log(softmax(x))` over the last axis, stable. */
export function logSoftmax(x: Tensor): Tensor {
  const classes = dim(x, -1);
  const rows = size(x.shape) / classes;
  return node("logSoftmax", [x], x.shape, {
    kind: "dispatch",
    kernel: logSoftmaxKernel,
    overrides: { N: rows, C: classes },
    threads: rows,
  }, (g, y) => [sub(g, mul(exp(y), sum(g, [-1], true)))]);
}

/** `softmax(x)` over the last axis. */
export function softmax(x: Tensor): Tensor {
  return exp(logSoftmax(x));
}

/** Cross-entropy of each row: logits `[B, C]`, class indices `[B]`, to `[B]` nats. */
export function crossEntropy(logits: Tensor, label: Tensor): Tensor {
  return neg(sum(mul(oneHot(label, dim(logits, -1)), logSoftmax(logits)), [-1]));
}

/**
 * Binary cross-entropy of each element of p in [0, 1] against targets of the same shape, in nats.
 * Logarithms are taken of no less than 2^-126, the smallest normal f32; below it the gradient is 0.
 */
export function binaryCrossEntropy(p: Tensor, target: Tensor): Tensor {
  const bounded = (x: Tensor): Tensor => log(maximum(x, 2 ** -126));
  return neg(add(mul(target, bounded(p)), mul(sub(1, target), bounded(sub(1, p)))));
}

/** Euclidean norm of each row: `[B, ...]` to `[B]`; its derivative at 0 is 0. */
export function rowNorm(x: Tensor): Tensor {
  return sqrt(sum(square(x), x.shape.map((_, i) => i).slice(1)));
}

/** Layer normalisation over the last axis, without scale and offset (Ba et al. 2016). */
export function normalizeRows(x: Tensor, epsilon = 1e-5): Tensor {
  const centred = sub(x, mean(x, [-1], true));
  const variance = mean(square(centred), [-1], true);
  return div(centred, sqrt(add(variance, epsilon)));
}

/** `x / max(|x|, epsilon)` over all elements: the normalisation of a power iteration. */
export function unit(x: Tensor, epsilon = 1e-12): Tensor {
  return div(x, maximum(sqrt(sum(square(x))), epsilon));
}
