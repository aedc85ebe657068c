/**
 * Elementwise functions of one, two and three tensors, with NumPy broadcasting.
 *
 * @module
 */
import binaryWgsl from "../../shaders/binary.wgsl" with { type: "text" };
import unaryWgsl from "../../shaders/unary.wgsl" with { type: "text" };
import whereWgsl from "../../shaders/where.wgsl" with { type: "text" };
import { kernel } from "../graph/kernel.ts";
import { broadcastTo, sumTo } from "./sum.ts";
import {
  broadcastShapes,
  constant,
  node,
  sameShape,
  type Shape,
  size,
  type Tensor,
  type Vjp,
} from "../graph/tensor.ts";

const unaryKernel = kernel("unary", unaryWgsl);
const binaryKernel = kernel("binary", binaryWgsl);
const whereKernel = kernel("where", whereWgsl);

/** A tensor, or a number that broadcasts. */
export type Operand = Tensor | number;

/** `-x` */
export function neg(x: Tensor): Tensor {
  return unary("neg", x, (g) => [neg(g)]);
}

/** `|x|`; derivative 0 at 0 */
export function abs(x: Tensor): Tensor {
  return unary("abs", x, (g) => [mul(g, sign(x))]);
}

/** -1, 0 or 1; no gradient */
export function sign(x: Tensor): Tensor {
  return unary("sign", x, () => [null]);
}

/** 1 where `x > 0`, else 0; no gradient */
export function step(x: Tensor): Tensor {
  return unary("step", x, () => [null]);
}

/** `max(x, 0)`; derivative 0 at 0, as PyTorch */
export function relu(x: Tensor): Tensor {
  return unary("relu", x, (g, y) => [mul(g, step(y))]);
}

/** `e^x` */
export function exp(x: Tensor): Tensor {
  return unary("exp", x, (g, y) => [mul(g, y)]);
}

/** natural logarithm */
export function log(x: Tensor): Tensor {
  return unary("log", x, (g) => [div(g, x)]);
}

/** `log(1 + x)` */
export function log1p(x: Tensor): Tensor {
  return unary("log1p", x, (g) => [div(g, add(x, 1))]);
}

/** `sqrt(x)`; derivative 0 at 0, the subgradient PyTorch takes for a norm */
export function sqrt(x: Tensor): Tensor {
  return unary("sqrt", x, (g, y) => {
    const positive = step(y);
    const safe = where(positive, y, constant(1, y.shape));
    return [mul(mul(g, positive), div(0.5, safe))];
  });
}

/** `1 / x` */
export function reciprocal(x: Tensor): Tensor {
  return unary("reciprocal", x, (g, y) => [neg(mul(g, square(y)))]);
}

/** `x^2` */
export function square(x: Tensor): Tensor {
  return unary("square", x, (g) => [mul(g, scale(x, 2))]);
}

/** cosine, radians */
export function cos(x: Tensor): Tensor {
  return unary("cos", x, (g) => [neg(mul(g, sin(x)))]);
}

/** sine, radians */
export function sin(x: Tensor): Tensor {
  return unary("sin", x, (g) => [mul(g, cos(x))]);
}

/** hyperbolic tangent */
export function tanh(x: Tensor): Tensor {
  return unary("tanh", x, (g, y) => [mul(g, sub(1, square(y)))]);
}

/** `1 / (1 + e^-x)` */
export function sigmoid(x: Tensor): Tensor {
  return unary("sigmoid", x, (g, y) => [mul(g, mul(y, sub(1, y)))]);
}

/** `log(1 + e^x)`, stable for large |x| */
export function softplus(x: Tensor): Tensor {
  return unary("softplus", x, (g) => [mul(g, sigmoid(x))]);
}

/** the error function `2 / sqrt(pi)` times the integral of `e^-t^2` from 0 to x; a device's is off by 1e-6 at most */
export function erf(x: Tensor): Tensor {
  return unary("erf", x, (g) => [mul(g, scale(exp(neg(square(x))), 2 / Math.sqrt(Math.PI)))]);
}

/** largest integer not above x; no gradient */
export function floor(x: Tensor): Tensor {
  return unary("floor", x, () => [null]);
}

/** smallest integer not below x; no gradient */
export function ceil(x: Tensor): Tensor {
  return neg(floor(neg(x)));
}

/** `factor * x` */
export function scale(x: Tensor, factor: number): Tensor {
  return unary("scale", x, (g) => [scale(g, factor)], factor);
}

/** `x + amount` */
export function shift(x: Tensor, amount: number): Tensor {
  return unary("shift", x, (g) => [g], amount);
}

/** 1 where x is NaN or infinite, found by its bits; no gradient */
export function nonFinite(x: Tensor): Tensor {
  return unary("nonfinite", x, () => [null]);
}

/** `a + b` */
export function add(a: Operand, b: Operand): Tensor {
  if (typeof b === "number" && typeof a !== "number") return shift(a, b);
  if (typeof a === "number" && typeof b !== "number") return shift(b, a);
  return binary("add", a, b, (g) => [g, g]);
}

/** `a - b` */
export function sub(a: Operand, b: Operand): Tensor {
  if (typeof b === "number" && typeof a !== "number") return shift(a, -b);
  return binary("sub", a, b, (g) => [g, neg(g)]);
}

/** `a * b` */
export function mul(a: Operand, b: Operand): Tensor {
  if (typeof b === "number" && typeof a !== "number") return scale(a, b);
  if (typeof a === "number" && typeof b !== "number") return scale(b, a);
  return binary("mul", a, b, (g) => [mul(g, b), mul(g, a)]);
}

/** `a / b` */
export function div(a: Operand, b: Operand): Tensor {
  if (typeof b === "number" && typeof a !== "number") return scale(a, 1 / b);
  return binary("div", a, b, (g, y) => [div(g, b), neg(mul(g, div(y, b)))]);
}

/** The larger of both; where they are equal the gradient goes to `a`. */
export function maximum(a: Operand, b: Operand): Tensor {
  return binary("max", a, b, (g) => split(greater(b, a), g));
}

/** The smaller of both; where they are equal the gradient goes to `a`. */
export function minimum(a: Operand, b: Operand): Tensor {
  return binary("min", a, b, (g) => split(greater(a, b), g));
}

/** 1 where `a > b`, else 0; no gradient */
export function greater(a: Operand, b: Operand): Tensor {
  return binary("greater", a, b, () => [null, null]);
}

/** 1 where `a = b`, else 0; no gradient */
export function equal(a: Operand, b: Operand): Tensor {
  return binary("equal", a, b, () => [null, null]);
}

/** `a` where `condition` is not 0, else `b` */
export function where(condition: Tensor, a: Tensor, b: Tensor): Tensor {
  const others = broadcastShapes("choose between", a.shape, b.shape);
  const shape = broadcastShapes("choose by", condition.shape, others);
  const c = broadcastTo(condition, shape);
  const [x, y] = [broadcastTo(a, shape), broadcastTo(b, shape)];
  const source = {
    kind: "dispatch",
    kernel: whereKernel,
    overrides: {},
    threads: Math.ceil(size(shape) / 4),
  } as const;
  return node("where", [c, x, y], shape, source, (g) => {
    const zero = constant(0, shape);
    return [null, where(c, g, zero), where(c, zero, g)];
  });
}

/** `x` clamped to `[low, high]`; the gradient passes inside */
export function clip(x: Tensor, low: Operand, high: Operand): Tensor {
  return minimum(maximum(x, low), high);
}

/** The gradient to `a`, or to `b` where it was taken; no product, for an infinite one would make NaN. */
function split(takesB: Tensor, g: Tensor): [Tensor, Tensor] {
  const zero = constant(0, g.shape);
  return [where(takesB, zero, g), where(takesB, g, zero)];
}

function unary(op: string, x: Tensor, vjp: Vjp, p = 0): Tensor {
  const overrides = p === 0 ? { OP: op } : { OP: op, P: p };
  const threads = Math.ceil(size(x.shape) / 4);
  return node(op, [x], x.shape, { kind: "dispatch", kernel: unaryKernel, overrides, threads }, vjp);
}

function binary(op: string, left: Operand, right: Operand, vjp: Vjp): Tensor {
  const a = typeof left === "number" ? constant(left) : left;
  const b = typeof right === "number" ? constant(right) : right;
  const shape = broadcastShapes(op, a.shape, b.shape);
  const ia = broadcastIndex(a.shape, shape);
  const ib = broadcastIndex(b.shape, shape);
  const n = size(shape);
  return node(
    op,
    [ia ? a : broadcastTo(a, shape), ib ? b : broadcastTo(b, shape)],
    shape,
    {
      kind: "dispatch",
      kernel: binaryKernel,
      overrides: {
        OP: op,
        N: n,
        A_DIV: ia?.div ?? 1,
        A_MOD: ia?.mod ?? 0,
        B_DIV: ib?.div ?? 1,
        B_MOD: ib?.mod ?? 0,
      },
      threads: Math.ceil(n / 4),
    },
    (g, y) => {
      const [ga, gb] = vjp(g, y);
      return [
        ga ? sumTo(ga, ia ? a.shape : shape) : null,
        gb ? sumTo(gb, ib ? b.shape : shape) : null,
      ];
    },
  );
}

/**
 * The map from a result's flat index to an operand's, `(i / div) % mod`, which exists where the
 * operand's broadcast axes all lead or trail. `mod` 0 means no modulo.
 */
function broadcastIndex(from: Shape, to: Shape): { div: number; mod: number } | undefined {
  if (sameShape(from, to)) return { div: 1, mod: 0 };
  const padded = [...Array<number>(to.length - from.length).fill(1), ...from];
  const held = to.map((n, i) => padded[i] === n && n !== 1);
  const first = held.indexOf(true);
  const last = held.lastIndexOf(true);
  if (first < 0) return { div: size(to), mod: 0 };
  for (let i = first; i <= last; i++) if (padded[i] !== to[i]) return undefined;
  const leads = size(to.slice(0, first)) > 1;
  return { div: size(to.slice(last + 1)), mod: leads ? size(to.slice(first, last + 1)) : 0 };
}
