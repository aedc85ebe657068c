/**
 * References of `cholesky`, `triangular_solve` and `rbf`.
 *
 * @module
 */
import { at, input, number, type ReferenceKernel } from "./support.ts";

/** a[G,N,N], lower part read -> l[G,N,N] with l l^T = a; from a non-positive pivot on columns are NaN. */
export const cholesky: ReferenceKernel = (inputs, o, length) => {
  const a = input(inputs, 0);
  const [groups, n] = [number(o, "G"), number(o, "N")];
  const l = new Float64Array(length);
  for (let g = 0; g < groups; g++) {
    const start = g * n * n;
    for (let j = 0; j < n; j++) {
      for (let i = j; i < n; i++) {
        let rest = at(a, start + i * n + j);
        for (let k = 0; k < j; k++) rest -= at(l, start + i * n + k) * at(l, start + j * n + k);
        if (i === j) l[start + j * n + j] = rest > 0 ? Math.sqrt(rest) : NaN;
        else l[start + i * n + j] = rest / at(l, start + j * n + j);
      }
    }
  }
  return l;
};

/** l[G,N,N] lower, b[G,N,M] -> x[G,N,M] with l x = b, or l^T x = b when TRANSPOSE is 1. */
export const triangularSolve: ReferenceKernel = (inputs, o, length) => {
  const [l, b] = [input(inputs, 0), input(inputs, 1)];
  const [groups, n, m] = [number(o, "G"), number(o, "N"), number(o, "M")];
  const transpose = number(o, "TRANSPOSE", 0) === 1;
  const [lStride, bStride] = [number(o, "L_STRIDE"), number(o, "B_STRIDE")];
  const x = new Float64Array(length);
  for (let g = 0; g < groups; g++) {
    for (let column = 0; column < m; column++) {
      for (let step = 0; step < n; step++) {
        const i = transpose ? n - 1 - step : step;
        let rest = at(b, g * bStride + i * m + column);
        for (let done = 0; done < step; done++) {
          const k = transpose ? n - 1 - done : done;
          const factor = at(l, g * lStride + (transpose ? k * n + i : i * n + k));
          rest -= factor * at(x, (g * n + k) * m + column);
        }
        x[(g * n + i) * m + column] = rest / at(l, g * lStride + i * n + i);
      }
    }
  }
  return x;
};

/** x[G,N,D], z[G,M,D], l[G] -> k[G,N,M] = exp(-|x - z|^2 / (2 l^2)). */
export const rbf: ReferenceKernel = (inputs, o, length) => {
  const [x, z, scale] = [input(inputs, 0), input(inputs, 1), input(inputs, 2)];
  const [groups, n, m, d] = [number(o, "G"), number(o, "N"), number(o, "M"), number(o, "D")];
  const [xStride, zStride] = [number(o, "X_STRIDE"), number(o, "Z_STRIDE")];
  const lStride = number(o, "L_STRIDE", 1);
  const y = new Float64Array(length);
  for (let g = 0; g < groups; g++) {
    const l = at(scale, g * lStride);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < m; j++) {
        let squares = 0;
        for (let k = 0; k < d; k++) {
          const difference = at(x, g * xStride + i * d + k) - at(z, g * zStride + j * d + k);
          squares += difference * difference;
        }
        y[(g * n + i) * m + j] = Math.exp(-squares / (2 * l * l));
      }
    }
  }
  return y;
};
