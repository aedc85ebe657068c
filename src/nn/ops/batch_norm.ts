/**
 * Batch normalisation (S. Ioffe and C. Szegedy, ICML 2015): two passes over the data forward, two
 * backward, complete to the second order.
 *
 * @module
 */
import affineWgsl from "../../shaders/channel_affine.wgsl" with { type: "text" };
import sumsWgsl from "../../shaders/channel_sums.wgsl" with { type: "text" };
import { add, div, mul, scale, sqrt, square, sub } from "./elementwise.ts";
import { type Activation, throughActivation } from "./epilogue.ts";
import { scaledConvolution } from "./conv2d.ts";
import { kernel } from "../graph/kernel.ts";
import { sum } from "./sum.ts";
import { reshape, slice, view } from "./shape.ts";
import { broadcastTo } from "./sum.ts";
import {
  alignment,
  constant,
  dim,
  node,
  show,
  size,
  stopGradient,
  type Tensor,
  withVjp,
} from "../graph/tensor.ts";

const affineKernel = kernel("channel_affine", affineWgsl);
const sumsKernel = kernel("channel_sums", sumsWgsl);

/** Threads that keep a device busy. */
const fewestThreads = 4096;

/** What `channelAffine` can do besides. */
export interface ChannelAffineOptions {
  /** A second tensor of x's shape, and its factor of each channel, `[C]`. */
  readonly second?: readonly [z: Tensor, factor: Tensor];
  /** Function of the result; none when not given. */
  readonly activation?: Activation;
}

/**
 * `act(x a + z k + d)` by channel: x and z `[B, C, H, W]`, a, k and d `[C]`.
 *
 * @throws Error naming the shapes when channels differ
 */
export function channelAffine(
  x: Tensor,
  a: Tensor,
  d: Tensor,
  { second, activation = "none" }: ChannelAffineOptions = {},
): Tensor {
  const c = dim(x, 1);
  const [z, k] = second ?? [x, a];
  if (x.shape.length !== 4 || [a, k, d].some((t) => size(t.shape) !== c)) {
    throw new Error(`Cannot scale ${show(x.shape)} by ${show(a.shape)} and ${show(d.shape)}`);
  }
  const [n, pixels] = [size(x.shape), dim(x, 2) * dim(x, 3)];
  // Factors are read once for several elements of a plane, where enough threads are left.
  const each = [8, 4, 2].find((e) => pixels % (4 * e) === 0 && n >= 4 * e * fewestThreads) ?? 1;
  const source = {
    kind: "dispatch",
    kernel: affineKernel,
    overrides: {
      N: n,
      C: c,
      P: pixels,
      EACH: each,
      HAS_Z: second ? 1 : 0,
      ACTIVATION: activation,
    },
    threads: Math.ceil(n / (4 * each)),
  } as const;
  return node("channelAffine", [x, z, a, k, d], x.shape, source, (upstream, y) => {
    const g = throughActivation(activation, upstream, y);
    const { total, product } = channelProducts(g, x);
    return [
      mul(g, perChannel(a)),
      second ? mul(g, perChannel(k)) : null,
      reshape(product, a.shape),
      second ? reshape(channelProducts(g, z).product, k.shape) : null,
      reshape(total, d.shape),
    ];
  });
}

/** Sums by channel of g, and of g x: `[B, C, H, W]` each to `[C]`, in one pass over both. */
export function channelProducts(g: Tensor, x: Tensor): { total: Tensor; product: Tensor } {
  const [total, product] = channelSums("products", g, x);
  return {
    total: withVjp(total, [g], (h) => [broadcastTo(perChannel(h), g.shape)]),
    product: withVjp(product, [g, x], (h) => [mul(x, perChannel(h)), mul(g, perChannel(h))]),
  };
}

/** Mean and biased variance by channel: `[B, C, H, W]` to `[C]`, in one pass. */
export function channelMoments(x: Tensor): { mean: Tensor; variance: Tensor } {
  const c = dim(x, 1);
  const n = size(x.shape) / c;
  const [first, second] = channelSums("moments", x, x);
  const shift = reshape(slice(x, [0, 0, 0, 0], [1, c, 1, 1]), [c]);
  const offset = scale(first, 1 / n);
  const mean = withVjp(add(offset, shift), [x], (h) => [
    broadcastTo(perChannel(scale(h, 1 / n)), x.shape),
  ]);
  const variance = withVjp(sub(scale(second, 1 / n), square(offset)), [x], (h) => [
    mul(sub(x, perChannel(mean)), perChannel(scale(h, 2 / n))),
  ]);
  return { mean, variance };
}

/** What both normalisations can do besides. */
export interface NormOptions {
  /** Added to the variance before its root is taken; 1e-5 when not given. */
  readonly epsilon?: number;
  /** Added before the activation, of x's shape. */
  readonly residual?: Tensor | undefined;
  /** Function of the result; none when not given. */
  readonly activation?: Activation;
}

/** What a normalisation by the batch's own moments gives. */
export interface BatchNormResult {
  /** The normalised batch, `[B, C, H, W]`. */
  readonly y: Tensor;
  /** Of the batch, `[C]`. */
  readonly mean: Tensor;
  /** Of the batch, biased, `[C]`. */
  readonly variance: Tensor;
}

/**
 * `act((x - mean) gamma / sqrt(variance + epsilon) + beta + residual)` by the moments of the batch
 * itself: x `[B, C, H, W]`, gamma and beta `[C]`. Gamma may depend on the batch's variance `[C]`.
 */
export function batchNorm(
  x: Tensor,
  scaleOf: Tensor | ((variance: Tensor) => Tensor),
  beta: Tensor,
  { epsilon = 1e-5, residual, activation = "none" }: NormOptions = {},
): BatchNormResult {
  const n = size(x.shape) / dim(x, 1);
  const { mean, variance } = channelMoments(x);
  const gamma = typeof scaleOf === "function" ? scaleOf(variance) : scaleOf;
  const inverse = div(1, sqrt(add(variance, epsilon)));
  const a = mul(gamma, inverse);
  const d = sub(beta, mul(mean, a));
  const second = residual && [residual, constant(1, gamma.shape)] as const;
  const value = channelAffine(x, stopGradient(a), stopGradient(d), {
    activation,
    ...(second ? { second } : {}),
  });
  const operands = [x, gamma, beta, ...(residual ? [residual] : [])];
  const y = withVjp(value, operands, (upstream, y) => {
    const g = throughActivation(activation, upstream, y);
    const { total, product } = channelProducts(g, x);
    // d gamma = sum g (x - mean) / deviation; dx = a (g - mean(g) - normalised x mean(g normalised x)).
    const dGamma = mul(inverse, sub(product, mul(mean, total)));
    const k = scale(mul(mul(a, inverse), dGamma), -1 / n);
    const rest = sub(scale(mul(a, total), -1 / n), mul(k, mean));
    return [channelAffine(g, a, rest, { second: [x, k] }), dGamma, total, g];
  });
  return { y, mean, variance };
}

/**
 * `act((x - mean) gamma / sqrt(variance + epsilon) + beta + residual)` by given moments `[C]`. Of a
 * convolution that does nothing besides it makes one convolution with scaled filters: x itself is computed
 * only where something else reads it.
 */
export function normalizeChannels(
  x: Tensor,
  gamma: Tensor,
  beta: Tensor,
  { mean, variance, epsilon = 1e-5, residual, activation = "none" }: NormOptions & {
    readonly mean: Tensor;
    readonly variance: Tensor;
  },
): Tensor {
  const a = div(gamma, sqrt(add(variance, epsilon)));
  const d = sub(beta, mul(mean, a));
  const second = residual && [residual, constant(1, gamma.shape)] as const;
  const normalized = channelAffine(x, a, d, { activation, ...(second ? { second } : {}) });
  // Of what is folded already the derivative by what it stands for would be lost.
  const folded = x.apart ? undefined : scaledConvolution(x, [a, d], { residual, activation });
  return folded ? { ...folded, apart: { first: x, second: normalized } } : normalized;
}

/** `[C]` as `[1, C, 1, 1]`. */
function perChannel(t: Tensor): Tensor {
  return reshape(t, [1, size(t.shape), 1, 1]);
}

/** Both sums of the kernel, `[C]` each, without a derivative. */
function channelSums(op: "products" | "moments", x: Tensor, z: Tensor): [Tensor, Tensor] {
  const [b, c, h, w] = [dim(x, 0), dim(x, 1), dim(x, 2), dim(x, 3)];
  const parts = node("channelSums", [x, z], [b, 2 * c], {
    kind: "dispatch",
    kernel: sumsKernel,
    overrides: { OP: op, B: b, C: c, P: h * w },
    threads: b * c,
  });
  const whole = sum(stopGradient(parts), [0]);
  // Where they lie on the borders that can be bound, nothing is copied.
  const part = (i: number): Tensor =>
    c % alignment === 0 ? view(whole, i * c, [c]) : slice(whole, [i * c], [c]);
  return [part(0), part(1)];
}
