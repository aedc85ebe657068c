/**
 * Inversion of positive definite matrices on the host, in f64: once an evaluation, not a step.
 *
 * @module
 */
import { UserError } from "../base/errors.ts";

/**
 * The inverse of a symmetric positive definite `[n, n]` matrix by Cholesky factorisation.
 *
 * @param name what the matrix is, for the message
 * @throws UserError when a pivot is not positive
 */
export function inversePositiveDefinite(
  matrix: ArrayLike<number>,
  n: number,
  name: string,
): Float32Array {
  const l = Float64Array.from(matrix);
  const at = (i: number, j: number): number => l[i * n + j] ?? 0;
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let s = at(i, j);
      for (let k = 0; k < j; k++) s -= at(i, k) * at(j, k);
      if (i === j && !(s > 0)) {
        throw new UserError(
          `Cannot invert "${name}": pivot ${j} is ${s}; the model is damaged or was not trained, ` +
            "train it again",
        );
      }
      l[i * n + j] = i === j ? Math.sqrt(s) : s / at(j, j);
    }
  }
  const inverse = new Float32Array(n * n);
  const x = new Float64Array(n);
  for (let c = 0; c < n; c++) {
    for (let i = 0; i < n; i++) {
      let s = i === c ? 1 : 0;
      for (let k = c; k < i; k++) s -= at(i, k) * (x[k] ?? 0);
      x[i] = i < c ? 0 : s / at(i, i);
    }
    for (let i = n - 1; i >= 0; i--) {
      let s = x[i] ?? 0;
      for (let k = i + 1; k < n; k++) s -= at(k, i) * (x[k] ?? 0);
      x[i] = s / at(i, i);
      inverse[i * n + c] = x[i] ?? 0;
    }
  }
  return inverse;
}
