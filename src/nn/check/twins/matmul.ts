/**
 * References of `matmul` and `random_features`.
 *
 * @module
 */
import { activation, at, choice, input, number, type ReferenceKernel } from "./support.ts";

/** a[BATCH,M,K], b[BATCH,K,N], bias[N] -> y[BATCH,M,N] = act(a b + bias), either operand transposed. */
export const matmul: ReferenceKernel = (inputs, o, length) => {
  const [a, b] = [input(inputs, 0), input(inputs, 1)];
  const [m, k, n] = [number(o, "M"), number(o, "K"), number(o, "N")];
  const batch = number(o, "BATCH", 1);
  const [aRow, aColumn] = number(o, "TRANSPOSE_A", 0) ? [1, m] : [k, 1];
  const [bRow, bColumn] = number(o, "TRANSPOSE_B", 0) ? [1, k] : [n, 1];
  const bias = number(o, "HAS_BIAS", 0) ? input(inputs, 2) : undefined;
  const [aStride, bStride] = [strideOf(o, "A_STRIDE", batch), strideOf(o, "B_STRIDE", batch)];
  const biasStride = number(o, "BIAS_STRIDE", 0);
  const act = activation(choice(o, "ACTIVATION", "none"));
  const y = new Float64Array(length);
  for (let g = 0; g < batch; g++) {
    for (let i = 0; i < m; i++) {
      const row = (g * m + i) * n;
      for (let p = 0; p < k; p++) {
        const value = at(a, g * aStride + i * aRow + p * aColumn);
        const from = g * bStride + p * bRow;
        for (let j = 0; j < n; j++) y[row + j] = at(y, row + j) + value * at(b, from + j * bColumn);
      }
      for (let j = 0; j < n; j++) {
        y[row + j] = act(at(y, row + j) + (bias ? at(bias, g * biasStride + j) : 0));
      }
    }
  }
  return y;
};

/** x[N,K], w[K,D], b[D] -> y[N,D] = SCALE cos(x w + b). */
export const randomFeatures: ReferenceKernel = (inputs, o, length) => {
  const [n, k, d] = [number(o, "N"), number(o, "K"), number(o, "D")];
  const phase = matmul(inputs, { M: n, K: k, N: d, HAS_BIAS: 1 }, length);
  const scale = number(o, "SCALE");
  return phase.map((value) => scale * Math.cos(value));
};

/** One matrix has no next one, so its stride may be left out. */
function strideOf(
  o: Readonly<Record<string, number | string>>,
  name: string,
  batch: number,
): number {
  return batch === 1 ? number(o, name, 0) : number(o, name);
}
