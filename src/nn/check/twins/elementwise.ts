/**
 * References of `unary`, `binary` and `where`.
 *
 * @module
 */
import { at, choice, input, number, type ReferenceKernel, relu } from "./support.ts";

const unaryOperations: Readonly<Record<string, (x: number, p: number) => number>> = {
  neg: (x) => -x,
  abs: Math.abs,
  sign: Math.sign,
  step: (x) => x > 0 ? 1 : 0,
  relu,
  exp: Math.exp,
  log: Math.log,
  log1p: Math.log1p,
  sqrt: Math.sqrt,
  reciprocal: (x) => 1 / x,
  square: (x) => x * x,
  cos: Math.cos,
  sin: Math.sin,
  tanh: Math.tanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  floor: Math.floor,
  scale: (x, p) => p * x,
  shift: (x, p) => x + p,
  nonfinite: (x) => Number.isFinite(x) ? 0 : 1,
};

const binaryOperations: Readonly<Record<string, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: Math.max,
  min: Math.min,
  greater: (a, b) => a > b ? 1 : 0,
  equal: (a, b) => a === b ? 1 : 0,
};

/** Names of the operations of `unary`. */
export const unaryNames: readonly string[] = Object.keys(unaryOperations);

/** Names of the operations of `binary`. */
export const binaryNames: readonly string[] = Object.keys(binaryOperations);

/** x[n] -> y[n] = f(x, P). */
export const unary: ReferenceKernel = (inputs, o, length) => {
  const x = input(inputs, 0);
  const name = choice(o, "OP");
  const operation = unaryOperations[name];
  if (!operation) throw new Error(`Cannot evaluate "unary": no operation "${name}"`);
  const p = number(o, "P", 0);
  const y = new Float64Array(length);
  for (let i = 0; i < length; i++) y[i] = operation(at(x, i), p);
  return y;
};

/** a, b -> y[N] = f(a[(i / A_DIV) % A_MOD], b[(i / B_DIV) % B_MOD]); a modulus of 0 means none. */
export const binary: ReferenceKernel = (inputs, o, length) => {
  const a = input(inputs, 0);
  const b = input(inputs, 1);
  const name = choice(o, "OP");
  const operation = binaryOperations[name];
  if (!operation) throw new Error(`Cannot evaluate "binary": no operation "${name}"`);
  const [aDiv, aMod] = [number(o, "A_DIV", 1), number(o, "A_MOD", 0)];
  const [bDiv, bMod] = [number(o, "B_DIV", 1), number(o, "B_MOD", 0)];
  const index = (i: number, div: number, mod: number): number => {
    const quotient = Math.floor(i / div);
    return mod === 0 ? quotient : quotient % mod;
  };
  const y = new Float64Array(length);
  for (let i = 0; i < length; i++) {
    y[i] = operation(at(a, index(i, aDiv, aMod)), at(b, index(i, bDiv, bMod)));
  }
  return y;
};

/** c, a, b -> y[n] = c != 0 ? a : b. */
export const where: ReferenceKernel = (inputs, _, length) => {
  const [c, a, b] = [input(inputs, 0), input(inputs, 1), input(inputs, 2)];
  const y = new Float64Array(length);
  for (let i = 0; i < length; i++) y[i] = at(c, i) !== 0 ? at(a, i) : at(b, i);
  return y;
};
