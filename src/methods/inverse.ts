/**
 * Inversion of positive definite matrices on the host, in f64: once an evaluation, not a step.
 *
 * @module
 */
import { UserError } from "../base/errors.ts";
import { cholesky, evaluate, identity, type Tensor, triangularSolve } from "../nn/mod.ts";

/**
 * The inverse `L^-T L^-1` of a symmetric positive definite matrix `[N, N]` by its Cholesky factor, in f64.
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
  const factor = cholesky(matrix);
  const whitening = triangularSolve(factor, identity(n));
  const [l = [], inverse = new Float64Array()] = evaluate([
    factor,
    triangularSolve(factor, whitening, true),
  ]);
  for (let j = 0; j < n; j++) {
    if ((l[j * n + j] ?? NaN) > 0) continue;
    throw new UserError(`Cannot invert "${name}": pivot ${j} is not positive; ${otherwise}`);
  }
  return inverse;
}
