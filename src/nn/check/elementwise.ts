/**
 * Twins in f64 and cases of `unary`, `binary` and `where`.
 *
 * @module
 */
import { at, choice, input, number, type ReferenceKernel, relu } from "./support.ts";
import { epsilon, type KernelCase, ties, uniform, withSpecials } from "./case.ts";

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
  erf,
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

/** erf x = 2 / sqrt(pi) e^(-x x) times the sum of 2^n x^(2n+1) / (2n+1)!!, whose terms have one sign (DLMF, 7.6.2). */
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let [term, sum] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= 2 * x * x / (2 * n + 1);
    sum += term;
  }
  return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
}

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

/** Where each operation is tried, and how exact the hardware's function must be there. */
const unaryDomains: Readonly<Record<string, readonly [low: number, high: number, ulps: number]>> = {
  neg: [-3, 3, 0],
  abs: [-3, 3, 0],
  sign: [-1, 1, 0],
  step: [-1, 1, 0],
  relu: [-1, 1, 0],
  exp: [-30, 30, 80],
  log: [0.001, 100, 8],
  log1p: [-0.9, 10, 16],
  sqrt: [0, 100, 4],
  reciprocal: [0.1, 10, 4],
  square: [-3, 3, 1],
  cos: [-10, 10, 64],
  sin: [-10, 10, 64],
  tanh: [-5, 5, 64],
  sigmoid: [-20, 20, 16],
  softplus: [-20, 20, 16],
  floor: [-10, 10, 0],
  scale: [-3, 3, 1],
  shift: [-3, 3, 1],
  nonfinite: [-3, 3, 0],
  erf: [-5, 5, 4],
};

const parameters: Readonly<Record<string, number>> = { scale: -2.5, shift: 0.75 };

/** Numbers that a careless `max(x, 0)` or `x != x` gets wrong. */
const special = Float32Array.of(
  NaN,
  -1,
  2,
  0,
  -0,
  Infinity,
  -Infinity,
  3.4e38,
  -3.4e38,
  1e-30,
  NaN,
);

/** Numbers that have no root or logarithm, those at the edge, and some that have. */
const below = Float32Array.of(-1.5, -2, 1, -30, -Infinity, 4, -3.4e38, 0, -0, -1);

/** Numbers at which a careless formula overflows. */
const large = Float32Array.of(-100, -60, -30, 0, 30, 60, 100);

function unaryCase(op: string, label: string, x: Float32Array, tolerance: number): KernelCase {
  const p = parameters[op];
  return {
    kernel: "unary",
    label: `${op} ${label}`,
    overrides: p === undefined ? { OP: op } : { OP: op, P: p },
    threads: Math.ceil(x.length / 4),
    inputs: () => [x],
    outputLength: x.length,
    tolerance,
  };
}

/** Every operation over its domain, odd lengths, special and large numbers. */
export const unaryCases: readonly KernelCase[] = [
  ...Object.entries(unaryDomains).map(([op, [low, high, ulps]]) =>
    unaryCase(op, `on [${low}, ${high})`, uniform(1, 37, low, high), ulps * epsilon)
  ),
  // By their series too, which drivers are given whose own may be off.
  ...["cos", "sin"].flatMap((op) =>
    [[10, 3], [1000, 512]].map(([most = 0, ulps = 0]) => {
      const x = uniform(1, 257, -most, most);
      const of = unaryCase(op, `on [-${most}, ${most}) by its series`, x, ulps * epsilon);
      return { ...of, overrides: { ...of.overrides, SERIES: 1 } };
    })
  ),
  ...["sign", "step", "relu", "abs", "floor"].map((op) => unaryCase(op, "of ties", ties(2, 29), 0)),
  ...[1, 3, 4, 255, 256, 257, 1021].map((n) =>
    unaryCase("square", `of ${n}`, uniform(n, n, -3, 3), epsilon)
  ),
  unaryCase("erf", "near 0 and 1/2", uniform(2, 257, -0.6, 0.6), 4 * epsilon),
  unaryCase("erf", "of NaN and infinity", special, 4 * epsilon),
  ...["relu", "nonfinite"].map((op) => unaryCase(op, "of NaN and infinity", special, 0)),
  ...["log", "log1p", "sqrt"].map((op) =>
    unaryCase(op, "at the edge of its domain", below, 4 * epsilon)
  ),
  ...["tanh", "sigmoid", "softplus"].map((op) =>
    unaryCase(op, "of large numbers", large, 8 * epsilon)
  ),
];

interface Operands {
  readonly label: string;
  readonly n: number;
  /** Length, divisor, modulus of each operand. */
  readonly a: readonly [length: number, div: number, mod: number];
  readonly b: readonly [length: number, div: number, mod: number];
}

const broadcasts: readonly Operands[] = [
  { label: "1", n: 1, a: [1, 1, 0], b: [1, 1, 0] },
  { label: "257", n: 257, a: [257, 1, 0], b: [257, 1, 0] },
  { label: "[5, 7] and [7]", n: 35, a: [35, 1, 0], b: [7, 1, 7] },
  { label: "[5, 8] and [8]", n: 40, a: [40, 1, 0], b: [8, 1, 8] },
  { label: "[5, 7] and [5, 1]", n: 35, a: [35, 1, 0], b: [5, 7, 0] },
  { label: "[3, 4] and [3, 1]", n: 12, a: [12, 1, 0], b: [3, 4, 0] },
  { label: "[2, 3, 5] and [3, 1]", n: 30, a: [30, 1, 0], b: [3, 5, 3] },
  { label: "[4, 1] and [5]", n: 20, a: [4, 5, 0], b: [5, 1, 5] },
  { label: "[24, 1] and [24, 3]", n: 72, a: [24, 3, 0], b: [72, 1, 0] },
  { label: "[12] and [5, 12]", n: 60, a: [12, 1, 12], b: [60, 1, 0] },
  { label: "[2, 3, 8] and [3, 1], swapped", n: 48, a: [3, 8, 3], b: [48, 1, 0] },
  { label: "a scalar by its modulus and [9]", n: 9, a: [1, 1, 1], b: [9, 1, 0] },
  { label: "[9] and a scalar by its modulus", n: 9, a: [9, 1, 0], b: [1, 1, 1] },
  { label: "a scalar and [13]", n: 13, a: [1, 13, 0], b: [13, 1, 0] },
  { label: "[29] and a scalar", n: 29, a: [29, 1, 0], b: [1, 29, 0] },
];

function binaryCase(op: string, operands: Operands, a: Float32Array, b: Float32Array): KernelCase {
  const { label, n } = operands;
  return {
    kernel: "binary",
    label: `${op} of ${label}`,
    overrides: {
      OP: op,
      N: n,
      A_DIV: operands.a[1],
      A_MOD: operands.a[2],
      B_DIV: operands.b[1],
      B_MOD: operands.b[2],
    },
    threads: Math.ceil(n / 4),
    inputs: () => [a, b],
    outputLength: n,
    tolerance: op === "div" ? 3 * epsilon : 0.5 * epsilon,
  };
}

/** Every operation, and every way in which an operand is repeated. */
export const binaryCases: readonly KernelCase[] = [
  ...broadcasts.flatMap((o) =>
    ["add", "sub"].map((op) => binaryCase(op, o, uniform(3, o.a[0]), uniform(4, o.b[0])))
  ),
  ...["add", "sub", "mul", "max", "min", "greater", "equal"].map((op) =>
    binaryCase(op, { label: "ties", n: 37, a: [37, 1, 0], b: [37, 1, 0] }, ties(5, 37), ties(6, 37))
  ),
  ...["add", "mul", "max", "min", "greater", "equal"].map((op) =>
    binaryCase(
      op,
      { label: "NaN and infinity", n: 37, a: [37, 1, 0], b: [37, 1, 0] },
      withSpecials(5, 37, 3),
      withSpecials(6, 37, 4),
    )
  ),
  binaryCase(
    "div",
    { label: "[37]", n: 37, a: [37, 1, 0], b: [37, 1, 0] },
    uniform(7, 37),
    uniform(8, 37, 0.5, 4),
  ),
  {
    ...binaryCase(
      "mul",
      { label: "[33] and [33], defaults", n: 33, a: [33, 1, 0], b: [33, 1, 0] },
      uniform(9, 33),
      uniform(10, 33),
    ),
    overrides: { OP: "mul", N: 33 },
  },
];

/** Conditions other than 0 and 1, odd lengths. */
export const whereCases: readonly KernelCase[] = [1, 4, 33, 257].map((n) => ({
  kernel: "where",
  label: `of ${n}`,
  overrides: {},
  threads: Math.ceil(n / 4),
  inputs: () => [ties(n, n), uniform(11, n), uniform(12, n)],
  outputLength: n,
  tolerance: 0,
}));
