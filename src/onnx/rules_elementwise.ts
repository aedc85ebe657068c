/**
 * ONNX's elementwise operators.
 *
 * @module
 */
import {
  abs,
  add,
  clip,
  constant,
  cos,
  div,
  equal,
  erf,
  exp,
  floor,
  greater,
  log,
  maximum,
  minimum,
  mul,
  neg,
  pow,
  reciprocal,
  relu,
  scale,
  shift,
  sigmoid,
  sign,
  sin,
  softplus,
  sqrt,
  step,
  sub,
  tanh,
  type Tensor,
  where,
} from "../nn/mod.ts";
import { withActivation, withBranch } from "./fusing.ts";
import type { Rule, Site } from "./value.ts";

/** `x` where it is above 0, and what `below` makes of its lower part elsewhere. */
function split(x: Tensor, below: (x: Tensor) => Tensor): Tensor {
  return where(step(x), x, below(minimum(x, 0)));
}

/** `e^x - 1`; of x at most 0. */
function expm1(x: Tensor): Tensor {
  // exp(x) - 1 loses digits near 0, tanh does not: e^x - 1 = 2 t / (1 - t) with t = tanh(x / 2).
  const t = tanh(scale(x, 0.5));
  return div(scale(t, 2), sub(1, t));
}

function hardSigmoid(x: Tensor, alpha: number, beta: number): Tensor {
  return clip(shift(scale(x, alpha), beta), 0, 1);
}

/** `x Phi(x)` (D. Hendrycks and K. Gimpel, "Gaussian error linear units", 2016). */
function gelu(x: Tensor): Tensor {
  return mul(scale(x, 0.5), shift(erf(scale(x, Math.SQRT1_2)), 1));
}

/** The same with the approximation of that paper. */
function geluTanh(x: Tensor): Tensor {
  const cube = mul(x, mul(x, x));
  const inner = scale(add(x, scale(cube, 0.044715)), Math.sqrt(2 / Math.PI));
  return mul(scale(x, 0.5), shift(tanh(inner), 1));
}

function clipped(site: Site): Tensor {
  const x = site.tensor(0);
  const bound = (name: string, at: number): number | undefined => {
    const [written] = site.integers(at) ?? [];
    return site.opset < 11
      ? site.node.attributes.has(name) ? site.number(name, 0) : undefined
      : written;
  };
  const [low, high] = [bound("min", 1), bound("max", 2)];
  const fused = low === 0 && high === 6 && site.readHereOnly(0) && withActivation(x, "relu6");
  if (fused) return fused;
  const above = low === undefined ? x : low === 0 ? relu(x) : maximum(x, low);
  return high === undefined ? above : minimum(above, high);
}

const each = (of: (x: Tensor, site: Site) => Tensor): Rule => (site) => of(site.tensor(0), site);

const both = (of: (a: Tensor, b: Tensor) => Tensor): Rule => (site) =>
  of(site.tensor(0), site.tensor(1));

const all = (of: (a: Tensor, b: Tensor) => Tensor): Rule => (site) =>
  site.tensors().reduce((a, b) => of(a, b));

/** A sum, together with what makes one of its terms where nobody else reads that. */
const sumOf: Rule = (site) => {
  const [a, b] = [site.tensor(0), site.tensor(1)];
  return (site.readHereOnly(0) ? withBranch(a, b) : undefined) ??
    (site.readHereOnly(1) ? withBranch(b, a) : undefined) ?? add(a, b);
};

/** 1 where not. */
const not = (x: Tensor): Tensor => sub(1, x);

/** By the operators' names. */
export const elementwise: Readonly<Record<string, Rule>> = {
  Abs: each(abs),
  Add: sumOf,
  And: both(mul),
  Celu: each((x, site) => {
    const alpha = site.number("alpha", 1);
    return split(x, (low) => scale(expm1(scale(low, 1 / alpha)), alpha));
  }),
  Clip: clipped,
  Cos: each(cos),
  Div: both(div),
  Elu: each((x, site) => split(x, (low) => scale(expm1(low), site.number("alpha", 1)))),
  Equal: both(equal),
  Erf: each(erf),
  Exp: each(exp),
  Floor: each(floor),
  Gelu: each((x, site) => {
    const by = site.word("approximate", "none");
    if (by === "none") return gelu(x);
    if (by === "tanh") return geluTanh(x);
    throw site.refused(`its approximate is ${by}`);
  }),
  Greater: both(greater),
  GreaterOrEqual: both((a, b) => not(greater(b, a))),
  HardSigmoid: each((x, site) =>
    hardSigmoid(x, site.number("alpha", 0.2), site.number("beta", 0.5))
  ),
  HardSwish: each((x) => mul(x, hardSigmoid(x, 1 / 6, 0.5))),
  LeakyRelu: each((x, site) => split(x, (low) => scale(low, site.number("alpha", 0.01)))),
  Less: both((a, b) => greater(b, a)),
  LessOrEqual: both((a, b) => not(greater(a, b))),
  Log: each(log),
  Max: all(maximum),
  Mean: (site) => scale(all(add)(site) as Tensor, 1 / site.inputs.length),
  Min: all(minimum),
  Mish: each((x) => mul(x, tanh(softplus(x)))),
  Mul: both(mul),
  Neg: each(neg),
  Not: each(not),
  Or: both(maximum),
  PRelu: both((x, slope) => split(x, (low) => mul(slope, low))),
  Pow: (site) => {
    const exponent = site.inputs[1];
    const base = site.tensor(0);
    const known = exponent?.kind === "host" && exponent.array.data.length === 1 &&
      exponent.array.shape.length <= base.shape.length;
    return pow(base, known ? Number(exponent.array.data[0]) : site.tensor(1));
  },
  Reciprocal: each(reciprocal),
  Relu: each((x, site) =>
    (site.readHereOnly(0) ? withActivation(x, "relu") : undefined) ?? relu(x)
  ),
  Selu: each((x, site) => {
    const alpha = site.number("alpha", 1.6732632423543772);
    return scale(
      split(x, (low) => scale(expm1(low), alpha)),
      site.number("gamma", 1.0507009873554805),
    );
  }),
  Sigmoid: each(sigmoid),
  Sign: each(sign),
  Sin: each(sin),
  Softplus: each(softplus),
  Softsign: each((x) => div(x, shift(abs(x), 1))),
  Sqrt: each(sqrt),
  Sub: both(sub),
  Sum: all(add),
  Tanh: each(tanh),
  ThresholdedRelu: each((x, site) => mul(x, greater(x, constant(site.number("alpha", 1))))),
  Where: (site) => {
    const [condition, a, b] = [site.tensor(0), site.tensor(1), site.tensor(2)];
    // One shape for all three, by the rule of every other operator.
    const shape = add(add(condition, a), b).shape;
    const wide = add(condition, constant(0, shape));
    return where(wide, a, b);
  },
};
