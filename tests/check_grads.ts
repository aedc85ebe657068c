/**
 * Checks derivatives in f64, without a GPU: the gradient of any graph against central differences, and
 * by recursion the gradient of its gradient (after HIPS/autograd's check_grads).
 */
import assert from "node:assert/strict";
import {
  add,
  constant,
  evaluate,
  grad,
  input,
  mul,
  type Shape,
  size,
  sum,
  type Tensor,
} from "../src/nn/mod.ts";

/** A function of tensors under test. */
export type Fn = (...xs: Tensor[]) => Tensor;

/** A deterministic stand-in for a random direction. */
export function wave(n: number, phase: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * phase));
}

/**
 * Checks the vector-Jacobian products of `f` at the given values, to `order` 1 or 2.
 *
 * @param values of each argument, with its shape
 */
export function checkGrads(
  f: Fn,
  values: readonly (readonly [Shape, ArrayLike<number>])[],
  order = 2,
): void {
  const xs = values.map(([shape]) => input(shape));
  const at = values.map(([, value]) => Float64Array.from(value));
  check(f, xs, at, order, "f");
}

function check(
  f: Fn,
  xs: readonly Tensor[],
  at: Float64Array[],
  order: number,
  what: string,
): void {
  const y = f(...xs);
  const weights = constant(Float32Array.from(wave(size(y.shape), 0.5)), y.shape);
  const scalar = sum(mul(y, weights));
  const gradients = grad(scalar, xs);
  const directions = xs.map((x, i) => wave(size(x.shape), i + 1));
  const direction = (i: number, j: number): number => directions[i]?.[j] ?? 0;
  const leaves = (shift: number): Map<Tensor, Float64Array> =>
    new Map(
      xs.map((
        x,
        i,
      ) => [x, (at[i] ?? new Float64Array()).map((v, j) => v + shift * direction(i, j))]),
    );

  const h = 1e-5;
  const value = (shift: number): number => evaluate([scalar], leaves(shift))[0]?.[0] ?? NaN;
  const numeric = (value(h) - value(-h)) / (2 * h);
  const analytic = evaluate(gradients, leaves(0)).reduce(
    (total, g, i) => total + g.reduce((s, v, j) => s + v * direction(i, j), 0),
    0,
  );
  const scale = Math.max(1, Math.abs(numeric), Math.abs(analytic));
  assert.ok(
    Math.abs(numeric - analytic) <= 1e-6 * scale,
    `the gradient of ${what} along a direction is ${analytic}, by differences ${numeric}`,
  );
  if (order > 1) {
    const slope: Fn = (...args) => {
      const inner = f(...args);
      const gs = grad(sum(mul(inner, weights)), args);
      return gs.map((g, i) =>
        sum(mul(g, constant(Float32Array.from(wave(size(g.shape), i + 7)), g.shape)))
      )
        .reduce((a, b) => add(a, b));
    };
    check(slope, xs, at, order - 1, `the gradient of ${what}`);
  }
}
