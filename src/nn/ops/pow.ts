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
  sign,
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
 * `x^exponent`, NaN where x is below 0 and the exponent is no whole number; 1 where the exponent is 0. Whole numbers
 * up to 64 in magnitude are made of products; others, and tensors, are `e^(exponent log|x|)` with its sign.
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

/** By logarithms; x below 0 has powers of whole exponents only. */
function realPower(x: Tensor, exponent: number, whole: boolean): Tensor {
  const magnitude = exp(scale(log(whole ? abs(x) : x), exponent));
  return whole && exponent % 2 !== 0 ? mul(sign(x), magnitude) : magnitude;
}

function tensorPower(x: Tensor, exponent: Tensor): Tensor {
  const half = scale(exponent, 0.5);
  const whole = equal(floor(exponent), exponent);
  const odd = mul(whole, sub(1, equal(floor(half), half)));
  const negative = where(whole, sub(1, scale(odd, 2)), constant(NaN));
  const signed = where(step(neg(x)), negative, constant(1));
  const magnitude = exp(mul(exponent, log(abs(x))));
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
