/**
 * Inversion of positive definite matrices on the host, in f64: once an evaluation, not a step.
 *
 * @module
 */
import { CholeskyDecomposition, Matrix } from "ml-matrix";
import { UserError } from "../base/errors.ts";
import { evaluate, type Tensor } from "../nn/mod.ts";

/**
 * The inverse of a symmetric positive definite matrix `[N, N]` by its Cholesky factor, in f64; its lower triangle is
 * taken, from which the upper one may differ by rounding.
 *
 * @param name what the matrix is, for the message
 * @param otherwise what it means that it is not positive definite, and what helps
 * @throws UserError when it is not positive definite
 */
export function inversePositiveDefinite(
  matrix: Tensor,
  name: string,
  otherwise = "the model is damaged or was not trained, train it again",
): Float64Array {
  const n = matrix.shape[0] ?? 0;
  const notPositive = (pivot: number): UserError =>
    new UserError(`Cannot invert "${name}": pivot ${pivot} is not positive; ${otherwise}`);
  const [values = []] = evaluate([matrix]);
  const lower = Matrix.zeros(n, n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const value = values[i * n + j] ?? NaN;
      if (!Number.isFinite(value)) throw notPositive(i);
      lower.set(i, j, value).set(j, i, value);
    }
  }
  const factorised = new CholeskyDecomposition(lower);
  const pivots = factorised.lowerTriangularMatrix.diagonal();
  const bad = pivots.findIndex((pivot) => !(pivot > 0));
  if (bad >= 0) throw notPositive(bad);
  return Float64Array.from(factorised.solve(Matrix.eye(n)).to1DArray());
}
