/**
 * Functions of neural networks made of other ops.
 *
 * @module
 */
import crossEntropyWgsl from "../../shaders/cross_entropy.wgsl" with { type: "text" };
import logSoftmaxWgsl from "../../shaders/log_softmax.wgsl" with { type: "text" };
import { add, div, exp, log, maximum, mul, neg, sqrt, square, sub } from "./elementwise.ts";
import { kernel } from "../graph/kernel.ts";
import { max, mean, oneHot } from "./reduce.ts";
import { sum } from "./sum.ts";
import { reshape } from "./shape.ts";
import {
  dim,
  node,
  sameShape,
  show,
  size,
  stopGradient,
  type Tensor,
  withVjp,
} from "../graph/tensor.ts";

const crossEntropyKernel = kernel("cross_entropy", crossEntropyWgsl);
const logSoftmaxKernel = kernel("log_softmax", logSoftmaxWgsl);

/** Where a softmax is taken. */
export interface SoftmaxOptions {
  /** Its axis, a negative one counted from the end; the last when not given. */
  readonly axis?: number;
}

/**
 * `log(softmax(x))` over one axis, stable.
 *
 * @throws Error when x has no such axis
 */
export function logSoftmax(x: Tensor, { axis = -1 }: SoftmaxOptions = {}): Tensor {
  const classes = dim(x, axis);
  const rows = size(x.shape) / classes;
  const inner = axis === -1 ? 1 : size(x.shape.slice(axis)) / classes;
  return node("logSoftmax", [x], x.shape, {
    kind: "dispatch",
    kernel: logSoftmaxKernel,
    overrides: { N: rows, C: classes, ...(inner > 1 ? { INNER: inner } : {}) },
    threads: rows,
  }, (g, y) => [sub(g, mul(exp(y), sum(g, [axis], true)))]);
}

/**
 * `softmax(x)` over one axis.
 *
 * @throws Error when x has no such axis
 */
export function softmax(x: Tensor, options: SoftmaxOptions = {}): Tensor {
  return exp(logSoftmax(x, options));
}

/** Cross-entropy of each row: logits `[B, C]`, class indices `[B]`, to `[B]` nats. */
export function crossEntropy(logits: Tensor, label: Tensor): Tensor {
  const [rows, classes] = [dim(logits, 0), dim(logits, 1)];
  return node("crossEntropy", [logits, label, label], [rows], {
    kind: "dispatch",
    kernel: crossEntropyKernel,
    overrides: { OP: "loss", N: rows, C: classes },
    threads: rows,
  }, (g) => [crossEntropyGradient(logits, label, g), null, null]);
}

/** `(softmax(x) - onehot(label)) g` of each row: g `[B]` to `[B, C]`. */
function crossEntropyGradient(logits: Tensor, label: Tensor, g: Tensor): Tensor {
  const [rows, classes] = [dim(logits, 0), dim(logits, 1)];
  return node("crossEntropyGradient", [logits, label, g], logits.shape, {
    kind: "dispatch",
    kernel: crossEntropyKernel,
    overrides: { OP: "gradient", N: rows, C: classes },
    threads: rows,
  }, (h) => {
    const p = softmax(logits);
    const along = sum(mul(h, p), [-1], true);
    const bySlope = sum(mul(h, sub(p, oneHot(label, classes))), [-1]);
    return [mul(reshape(g, [rows, 1]), mul(p, sub(h, along))), null, bySlope];
  });
}

/** `-l[b, label_b]` of each row: log-probabilities `[B, C]`, class indices `[B]`, to `[B]` nats. */
export function negativeLogLikelihood(l: Tensor, label: Tensor): Tensor {
  return neg(sum(mul(oneHot(label, dim(l, -1)), l), [-1]));
}

/**
 * Binary cross-entropy of each element of p in [0, 1] against targets of the same shape, in nats.
 *
 * Logarithms are taken of no less than 2^-126, the smallest normal f32. The derivative is PyTorch's,
 * `(p - t) / max(p (1 - p), 1e-12)`: it fades where p is within 1e-12 of 0 or 1. No gradient flows
 * to the targets.
 */
export function binaryCrossEntropy(p: Tensor, target: Tensor): Tensor {
  const bounded = (x: Tensor): Tensor => log(maximum(x, 2 ** -126));
  const loss = neg(add(mul(target, bounded(p)), mul(sub(1, target), bounded(sub(1, p)))));
  return withVjp(loss, [p], (g) => [
    mul(g, div(sub(p, target), maximum(mul(p, sub(1, p)), 1e-12))),
  ]);
}

/**
 * As {@linkcode binaryCrossEntropy}, of probabilities given by their logarithms l <= 0: exact however
 * small they are.
 */
export function logBinaryCrossEntropy(l: Tensor, target: Tensor): Tensor {
  const other = log(maximum(sub(1, exp(l)), 2 ** -24));
  return neg(add(mul(target, l), mul(sub(1, target), other)));
}

/** `log(mean(exp(x)))` over the first axis, stable: `[S, ...]` to `[...]`. */
export function logMeanExp(x: Tensor): Tensor {
  const top = stopGradient(max(x, 0, true));
  const total = mean(exp(sub(x, top)), [0], true);
  return reshape(add(log(total), top), x.shape.slice(1));
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

/**
 * Layer normalisation over the last `axes` axes (Ba et al. 2016): `scale (x - mean) / sqrt(variance + epsilon) + bias`,
 * the variance that of the differences to the mean.
 *
 * @param axes how many; 1 or more
 * @param scale of those axes' shape, or one that broadcasts to x; 1 when not given
 * @param bias likewise; 0 when not given
 * @throws Error when x has fewer axes, or scale and bias more
 */
export function layerNorm(
  x: Tensor,
  axes: number,
  scale?: Tensor,
  bias?: Tensor,
  epsilon = 1e-5,
): Tensor {
  if (!Number.isInteger(axes) || axes < 1 || axes > x.shape.length) {
    throw new Error(`Cannot normalise the last ${axes} axes of ${show(x.shape)}`);
  }
  const kept = x.shape.slice(0, -axes);
  const rows = axes === 1 ? x : reshape(x, [...kept, size(x.shape.slice(-axes))]);
  const normal = reshape(normalizeRows(rows, epsilon), x.shape);
  const scaled = scale ? mul(normal, scale) : normal;
  const y = bias ? add(scaled, bias) : scaled;
  if (!sameShape(y.shape, x.shape)) {
    throw new Error(
      `Cannot normalise ${show(x.shape)} by a scale or bias that makes it ${show(y.shape)}`,
    );
  }
  return y;
}

/** `x / max(|x|, epsilon)` over all elements: the normalisation of a power iteration. */
export function unit(x: Tensor, epsilon = 1e-12): Tensor {
  return div(x, maximum(sqrt(sum(square(x))), epsilon));
}
