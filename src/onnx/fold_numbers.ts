/**
 * Rules for operators that compute elements, each in its own type: floats are rounded after every step, and an
 * integer that its type does not hold is refused.
 *
 * @module
 */
import { elements } from "../base/refusal.ts";
import { bfloat16Round, elementKinds, elementType, unreadElements } from "./elements.ts";
import {
  broadcastTo,
  type HostCall,
  type HostRule,
  strided,
  stridesOf,
  zeros,
} from "./fold_call.ts";
import type { ElementType, HostTensor } from "./model.ts";

/** A number from two. */
type Binary = (a: number, b: number) => number;

/** The rules by operator. */
export const numberRules: Readonly<Record<string, HostRule>> = {
  Add: arithmetic((a, b) => a + b),
  Sub: arithmetic((a, b) => a - b),
  Mul: arithmetic((a, b) => a * b),
  Div: (call) => isFloat(call.tensor(0)) ? binary(call, (a, b) => a / b) : quotient(call),
  Mod: modulo,
  Pow: power,
  Min: (call) => call.alike().reduce((a, b) => pairwise(call, a, b, Math.min)),
  Max: (call) => call.alike().reduce((a, b) => pairwise(call, a, b, Math.max)),
  Neg: unary((x) => -x),
  Abs: unary(Math.abs),
  Sqrt: unary(Math.sqrt),
  Floor: unary(Math.floor),
  Ceil: unary(Math.ceil),
  Equal: comparison((a, b) => a === b),
  Less: comparison((a, b) => a < b),
  LessOrEqual: comparison((a, b) => a <= b),
  Greater: comparison((a, b) => a > b),
  GreaterOrEqual: comparison((a, b) => a >= b),
  And: logic((a, b) => a & b),
  Or: logic((a, b) => a | b),
  Xor: logic((a, b) => a ^ b),
  Not: (call) => mapped(truth(call, 0), "bool", (x) => 1 - x),
  Where: where,
  Cast: cast,
  Range: range,
  ReduceProd: reduction((a, b) => a * b, 18, 1),
  ReduceSum: reduction((a, b) => a + b, 13, 0),
  ReduceMin: reduction(Math.min, 18),
  ReduceMax: reduction(Math.max, 18),
};

function isFloat({ type }: HostTensor): boolean {
  return !elementKinds[type].range;
}

/** Makes a computed number one of a type; refuses an integer beyond it. */
function rounding(call: HostCall, type: ElementType): (value: number) => number {
  const { range } = elementKinds[type];
  if (range) {
    return (value) => {
      // Adding 0 makes a 0 of -0, which integers do not have.
      if (Number.isInteger(value) && value >= range[0] && value <= range[1]) return value + 0;
      throw call.refused(`it makes ${value}, and ${type} is whole and in [${range}] here`);
    };
  }
  if (type === "float16") return Math.f16round;
  if (type === "bfloat16") return bfloat16Round;
  return type === "float32" ? Math.fround : (value) => value;
}

/** The array of a function of each element. */
function mapped(x: HostTensor, type: ElementType, f: (value: number) => number): HostTensor {
  const result = zeros(type, x.shape);
  for (let i = 0; i < result.data.length; i++) result.data[i] = f(x.data[i] ?? 0);
  return result;
}

/** The array of a function of each pair of elements of two, which are broadcast, in the type of the first. */
function pairwise(
  call: HostCall,
  a: HostTensor,
  b: HostTensor,
  f: Binary,
  type: ElementType = a.type,
): HostTensor {
  const shape = call.broadcast([a.shape, b.shape]);
  const [x, y] = [a, b].map((tensor) => broadcastTo(tensor, shape).data);
  const result = zeros(type, shape);
  for (let i = 0; i < result.data.length; i++) result.data[i] = f(x?.[i] ?? 0, y?.[i] ?? 0);
  return result;
}

/** Of two numbers of one type, rounded to it. */
function binary(call: HostCall, f: Binary): HostTensor {
  const [a, b = a] = call.alike([0, 1]);
  if (a.type === "bool") throw call.refused("it computes with truth values");
  const round = rounding(call, a.type);
  return pairwise(call, a, b, (x, y) => round(f(x, y)));
}

function arithmetic(f: Binary): HostRule {
  return (call) => binary(call, f);
}

/** Integers are divided towards zero. */
function quotient(call: HostCall): HostTensor {
  return binary(call, (a, b) => {
    if (b === 0) throw call.refused("it divides by 0");
    // Both steps are exact, where a / b may be rounded up to the next integer.
    return (a - a % b) / b;
  });
}

/** The remainder with the sign of the divisor, or with `fmod` that of the dividend. */
function modulo(call: HostCall): HostTensor {
  const truncated = call.number("fmod", 0) !== 0;
  const floats = isFloat(call.tensor(0));
  if (floats && !truncated) throw call.refused("remainders of floats need its attribute fmod");
  return binary(call, (a, b) => {
    if (b === 0 && !floats) throw call.refused("it divides by 0");
    const rest = a % b;
    return truncated || rest === 0 || rest < 0 === b < 0 ? rest : rest + b;
  });
}

/** In the type of the base, whatever that of the exponent is. */
function power(call: HostCall): HostTensor {
  const [base, exponent] = [call.tensor(0), call.tensor(1)];
  if (base.type === "bool" || exponent.type === "bool") {
    throw call.refused("it computes with truth values");
  }
  const round = rounding(call, base.type);
  if (isFloat(base)) {
    return pairwise(call, base, exponent, (a, b) => round(hasPowersOne(a, b) ? 1 : a ** b));
  }
  return pairwise(call, base, exponent, (a, b) => {
    // Of large numbers a ** b may be rounded; and beyond 64 bits no integer type holds it.
    if (Math.abs(a) <= 1 || b < 0 || b > 64) return round(a ** b);
    return round(Number.isInteger(b) ? Number(BigInt(a) ** BigInt(b)) : a ** b);
  });
}

/** Where IEEE 754 has 1, and JavaScript has NaN. */
function hasPowersOne(base: number, exponent: number): boolean {
  return base === 1 || base === -1 && Math.abs(exponent) === Infinity;
}

function unary(f: (value: number) => number): HostRule {
  return (call) => {
    const x = call.tensor(0);
    if (x.type === "bool") throw call.refused("it computes with truth values");
    const round = rounding(call, x.type);
    return mapped(x, x.type, (value) => round(f(value)));
  };
}

function comparison(f: (a: number, b: number) => boolean): HostRule {
  return (call) => {
    const [a, b = a] = call.alike([0, 1]);
    return pairwise(call, a, b, (x, y) => f(x, y) ? 1 : 0, "bool");
  };
}

function logic(f: Binary): HostRule {
  return (call) => pairwise(call, truth(call, 0), truth(call, 1), f);
}

/** An input of truth values. */
function truth(call: HostCall, at: number): HostTensor {
  const found = call.tensor(at);
  if (found.type === "bool") return found;
  throw call.refused(`its input ${at + 1} is ${found.type}, truth values are needed`);
}

function where(call: HostCall): HostTensor {
  const condition = truth(call, 0);
  const parts = call.alike([1, 2]);
  const shape = call.broadcast([condition, ...parts].map((tensor) => tensor.shape));
  const [choice, yes, no] = [condition, ...parts].map((tensor) => broadcastTo(tensor, shape));
  if (!choice || !yes || !no) throw new Error("Unreachable: three inputs are there");
  yes.data.forEach((_, i) => {
    if (choice.data[i] === 0) yes.data[i] = no.data[i] ?? 0;
  });
  return yes;
}

/** Floats are cut off towards zero to integers, and rounded to the nearest float. */
function cast(call: HostCall): HostTensor {
  const x = call.tensor(0);
  const to = call.number("to");
  const type = elementType(to);
  if (!type) throw call.refused(`${unreadElements(to)} cannot be made`);
  if (type === x.type) return x;
  if (type === "bool") return mapped(x, type, (value) => value === 0 ? 0 : 1);
  const round = rounding(call, type);
  const whole = elementKinds[type].range !== undefined;
  return mapped(x, type, (value) => round(whole ? Math.trunc(value) : value));
}

/** `start`, `start + delta`, ... before `limit`. */
function range(call: HostCall): HostTensor {
  const inputs = call.alike([0, 1, 2]);
  const [from = 0, to = 0, step = 0] = inputs.map(({ data }) => data[0]);
  const [{ type }] = inputs;
  if (step === 0) throw call.refused("its delta is 0");
  const round = rounding(call, type);
  const result = zeros(type, [Math.max(0, Math.ceil((to - from) / step))]);
  for (let i = 0; i < result.data.length; i++) result.data[i] = round(from + round(i * step));
  return result;
}

/**
 * A reduction over axes, all of them where none are named.
 *
 * @param since opset from which on axes are an input
 * @param empty what it is of no elements; undefined where it is nothing
 */
function reduction(f: Binary, since: number, empty?: number): HostRule {
  return (call) => {
    const x = call.tensor(0);
    const rank = x.shape.length;
    const asked = call.either("axes", 1, since) ?? [];
    if (asked.length === 0 && call.number("noop_with_empty_axes", 0) !== 0) return x;
    const axes = call.axes(asked.length > 0 ? asked : [...x.shape.keys()], rank);
    const kept = [...x.shape.keys()].filter((axis) => !axes.includes(axis));
    const of = (values: readonly number[], order: readonly number[]): number[] =>
      order.map((axis) => values[axis] ?? 0);
    // What is reduced lies side by side then.
    const order = [...kept, ...axes];
    const sorted = strided(x, of(x.shape, order), of(stridesOf(x.shape), order));
    const length = elements(of(x.shape, axes));
    const round = rounding(call, x.type);
    const keeps = call.number("keepdims", 1) !== 0;
    const shape = keeps ? x.shape.map((n, axis) => axes.includes(axis) ? 1 : n) : of(x.shape, kept);
    const result = zeros(x.type, shape);
    for (let i = 0; i < result.data.length; i++) {
      const [first = empty, ...others] = sorted.data.subarray(i * length, (i + 1) * length);
      if (first === undefined) throw call.refused("it reduces no elements");
      result.data[i] = others.reduce((a, b) => round(f(a, b)), first);
    }
    return result;
  };
}
