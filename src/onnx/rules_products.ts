/**
 * ONNX's products, reductions, normalisations and softmax.
 *
 * @module
 */
import {
  abs,
  add,
  constant,
  dim,
  div,
  exp,
  layerNorm,
  log,
  logSoftmax,
  matmul,
  max,
  mean,
  mul,
  neg,
  normalizeChannels,
  reshape,
  scale,
  size,
  softmax,
  sqrt,
  square,
  sub,
  sum,
  type Tensor,
} from "../nn/mod.ts";
import { fusing } from "./fusing.ts";
import type { Rule, Site } from "./value.ts";

const gemm: Rule = (site) => {
  const [a, b, c] = [site.tensor(0), site.tensor(1), site.optional(2)];
  const [alpha, beta] = [site.number("alpha", 1), site.number("beta", 1)];
  const transposeA = site.number("transA", 0) === 1;
  const transposeB = site.number("transB", 0) === 1;
  const n = dim(b, transposeB ? 0 : 1);
  const whole = c && beta !== 1 ? scale(c, beta) : c;
  const bias = whole && alpha === 1 && size(whole.shape) === n && (whole.shape.at(-1) ?? 1) === n
    ? reshape(whole, [n])
    : undefined;
  const y = matmul(a, b, { transposeA, transposeB, ...bias && { bias } });
  const scaled = alpha === 1 ? y : scale(y, alpha);
  return bias || !whole ? scaled : add(scaled, whole);
};

/** Axes that a reduction takes: of an attribute or an input, all where none are named. */
function reduced(site: Site, x: Tensor): number[] {
  const rank = x.shape.length;
  const written = site.either("axes", 1) ?? [];
  if (written.length > 0) return site.axes(written, rank);
  return site.number("noop_with_empty_axes", 0) === 1 ? [] : x.shape.map((_, axis) => axis);
}

/**
 * A reduction over several axes.
 *
 * @param changes whether it makes of a single element another: of no axes ONNX then has it one way, its runtimes another
 */
function over(of: (x: Tensor, axes: readonly number[]) => Tensor, changes = false): Rule {
  return (site) => {
    const x = site.tensor(0);
    const axes = reduced(site, x);
    if (changes && axes.length === 0) throw site.refused("it reduces no axes");
    const y = axes.length === 0 ? x : of(x, axes);
    const kept = site.number("keepdims", 1) === 1;
    const shape = x.shape.flatMap((n, axis) => !axes.includes(axis) ? [n] : kept ? [1] : []);
    return reshape(y, shape);
  };
}

/** Largest over axes, one after the other. */
function largest(x: Tensor, axes: readonly number[]): Tensor {
  return axes.reduce((y, axis) => max(y, axis, true), x);
}

/** `log sum exp`, without overflow. */
function logSumExp(x: Tensor, axes: readonly number[]): Tensor {
  const top = largest(x, axes);
  return add(log(sum(exp(sub(x, top)), axes, true)), top);
}

const batchNormalization: Rule = (site) => {
  // Until opset 13 moments as further outputs say it, as the attribute does since.
  const hasMoments = site.opset < 14 && site.node.outputs.slice(1).some((name) => name !== "");
  if (site.number("training_mode", 0) !== 0 || hasMoments) {
    throw site.refused("it is in training mode; export the model after model.eval()");
  }
  const [x, gamma, beta, mean, variance] = [0, 1, 2, 3, 4].map((at) => site.tensor(at));
  if (!x || !gamma || !beta || !mean || !variance) throw site.refused("it has too few inputs");
  const epsilon = site.number("epsilon", 1e-5);
  const moments = { mean, variance, epsilon };
  if (x.shape.length === 4) {
    return fusing((epilogue) => normalizeChannels(x, gamma, beta, { ...moments, ...epilogue }));
  }
  const [b = 1, c = 1] = x.shape;
  return reshape(normalizeChannels(reshape(x, [b, c, -1, 1]), gamma, beta, moments), x.shape);
};

const layerNormalization: Rule = (site) => {
  const x = site.tensor(0);
  const axis = site.axis(site.number("axis", -1), x.shape.length);
  const epsilon = site.number("epsilon", 1e-5);
  return layerNorm(x, x.shape.length - axis, site.tensor(1), site.optional(2), epsilon);
};

/** Rows of `[B, C, ...]` normalised by their own moments, `groups` of them an image. */
function byGroups(site: Site, groups: number): Tensor {
  const [x, gamma, beta] = [site.tensor(0), site.tensor(1), site.tensor(2)];
  const [b = 1, c = 1] = x.shape;
  if (c % groups !== 0) throw site.refused(`it makes ${groups} groups of ${c} channels`);
  const rows = reshape(x, [b * groups, -1]);
  const centred = sub(rows, mean(rows, [1], true));
  const deviation = sqrt(add(mean(square(centred), [1], true), site.number("epsilon", 1e-5)));
  const normal = reshape(div(centred, deviation), x.shape);
  // Until opset 21 one factor a group, after it one a channel.
  const wide = (t: Tensor): Tensor => {
    const spread = x.shape.slice(2).map(() => 1);
    if (size(t.shape) === c) return reshape(t, [1, c, ...spread]);
    const each = mul(reshape(t, [groups, 1]), constant(1, [1, c / groups]));
    return reshape(each, [1, c, ...spread]);
  };
  return add(mul(normal, wide(gamma)), wide(beta));
}

/** Softmax over one axis; before opset 13 over all axes from one on. */
function soft(of: typeof softmax): Rule {
  return (site) => {
    const x = site.tensor(0);
    const rank = x.shape.length;
    const axis = site.axis(site.number("axis", site.opset < 13 ? 1 : -1), rank);
    if (site.opset >= 13) return of(x, { axis });
    const rows = reshape(x, [size(x.shape.slice(0, axis)), -1]);
    return reshape(of(rows), x.shape);
  };
}

/** By the operators' names. */
export const products: Readonly<Record<string, Rule>> = {
  BatchNormalization: batchNormalization,
  Gemm: gemm,
  GroupNormalization: (site) => byGroups(site, site.number("num_groups", 1)),
  InstanceNormalization: (site) => byGroups(site, dim(site.tensor(0), 1)),
  LayerNormalization: layerNormalization,
  LogSoftmax: soft(logSoftmax),
  MatMul: (site) => matmul(site.tensor(0), site.tensor(1)),
  ReduceL1: over((x, axes) => sum(abs(x), axes), true),
  ReduceL2: over((x, axes) => sqrt(sum(square(x), axes)), true),
  ReduceLogSumExp: over(logSumExp),
  ReduceMax: over(largest),
  ReduceMean: over((x, axes) => mean(x, axes)),
  ReduceMin: over((x, axes) => neg(largest(neg(x), axes))),
  ReduceSum: over((x, axes) => sum(x, axes)),
  ReduceSumSquare: over((x, axes) => sum(square(x), axes), true),
  Softmax: soft(softmax),
};
