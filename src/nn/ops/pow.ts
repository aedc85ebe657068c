/**
 * Powers.
 *
 * @module
 */
import {
  abs,
  add,
  equal,
  exp,
  floor,
  greater,
  log,
  mul,
  neg,
  type Operand,
  reciprocal,
  scale,
  square,
  step,
  sub,
  where,
} from "./elementwise.ts";
import { sumTo } from "./sum.ts";
import { constant, size, type Tensor, withVjp } from "../graph/tensor.ts";

/** Up to this whole exponent a power is made of products. */
const mostProducts = 64;

/**
 * `x^exponent`, NaN where x is finite, below 0 and the exponent is no whole number; 1 where the exponent is 0. Whole
 * numbers up to 64 in magnitude are made of products; others, and tensors, are `e^(exponent log|x|)` with its sign.
 *
 * Infinity and zero have the powers that IEEE 754 (`pow`) gives them: -infinity to 1/2 is +infinity, and to -1/2 is 0,
 * as of PyTorch with a tensor as exponent (with the number 1/2 it takes the square root, NaN). The sign of a zero is
 * left aside, but where the power is made of products.
 *
 * The derivative by x is `exponent x^(exponent - 1)`, at x = 0 too. That by an exponent which is a tensor is
 * `x^exponent log x`: NaN where x is below 0, and 0 where x is 0 and the exponent is not below it, as PyTorch has it.
 *
 * @throws Error when a number as exponent is not finite
 */
export function pow(x: Tensor, exponent: Operand): Tensor {
  if (typeof exponent !== "number") {
    const { source, shape } = exponent;
    const single = size(shape) === 1 && shape.length <= x.shape.length;
    return single && source.kind === "constant"
      ? pow(x, source.data[0] ?? NaN)
      : tensorPower(x, exponent);
  }
  if (!Number.isFinite(exponent)) throw new Error(`Cannot raise to the power of ${exponent}`);
  if (exponent === 0) return constant(1, x.shape);
  if (exponent === 1) return x;
  const whole = Number.isInteger(exponent);
  const value = whole && Math.abs(exponent) <= mostProducts
    ? wholePower(x, exponent)
    : realPower(x, exponent, whole);
  return withVjp(value, [x], (g) => [mul(g, scale(pow(x, exponent - 1), exponent))]);
}

/** `x^n` by squares: of n = 13 it is x^8 x^4 x. */
function wholePower(x: Tensor, n: number): Tensor {
  if (n < 0) return reciprocal(wholePower(x, -n));
  if (n === 1) return x;
  const even = square(wholePower(x, Math.floor(n / 2)));
  return n % 2 === 0 ? even : mul(even, x);
}

/** By logarithms; x below 0 has powers of whole exponents only, but for -infinity, whose powers are +infinity's. */
function realPower(x: Tensor, exponent: number, whole: boolean): Tensor {
  const base = whole ? abs(x) : where(equal(x, -Infinity), constant(Infinity), x);
  const magnitude = exp(scale(log(base), exponent));
  // Not by the sign of x: 0 has powers below 0, which are infinite.
  return whole && exponent % 2 !== 0 ? where(step(neg(x)), neg(magnitude), magnitude) : magnitude;
}

function tensorPower(x: Tensor, exponent: Tensor): Tensor {
  const half = scale(exponent, 0.5);
  const whole = equal(floor(exponent), exponent);
  const odd = mul(whole, sub(1, equal(floor(half), half)));
  const broken = where(equal(x, -Infinity), constant(1), constant(NaN));
  const negative = where(whole, sub(1, scale(odd, 2)), broken);
  const signed = where(step(neg(x)), negative, constant(1));
  // 1 has the powers 1, that of an infinite exponent, too.
  const one = equal(abs(x), 1);
  const magnitude = where(one, constant(1), exp(mul(exponent, log(abs(x)))));
  const value = where(equal(exponent, 0), constant(1), mul(signed, magnitude));
  return withVjp(value, [x, exponent], (g, y) => {
    const zero = equal(x, 0);
    // Where both are 0 the derivative by x is 0 times 0^0, not 0 times 0^-1.
    const less = sub(add(exponent, mul(zero, equal(exponent, 0))), 1);
    const byBase = mul(g, mul(exponent, pow(x, less)));
    const logarithm = log(add(x, mul(zero, sub(1, greater(0, exponent)))));
    const byExponent = mul(g, mul(y, logarithm));
    return [sumTo(byBase, x.shape), sumTo(byExponent, exponent.shape)];
  });
}
