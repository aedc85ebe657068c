/**
 * Twins in f64 and cases of `matmul` and `random_features`.
 *
 * @module
 */
import { activation, at, choice, input, number, type ReferenceKernel } from "./support.ts";
import { matmulThreads, randomFeaturesThreads } from "../graph/tiles.ts";
import { epsilon, type KernelCase, product, sumTolerance, uniform } from "./case.ts";

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

interface Product {
  readonly m: number;
  readonly k: number;
  readonly n: number;
  readonly batch?: number;
  readonly ta?: true;
  readonly tb?: true;
  readonly shared?: "a" | "b";
  readonly bias?: "shared" | "own";
  readonly relu?: true;
}

/** One, primes, around tiles of 8, 16 and 64; every layout, batch and epilogue. */
const products: readonly Product[] = [
  { m: 1, k: 1, n: 1 },
  { m: 7, k: 5, n: 3 },
  { m: 3, k: 4, n: 8 },
  { m: 8, k: 8, n: 8 },
  { m: 9, k: 7, n: 15 },
  { m: 16, k: 16, n: 16 },
  { m: 17, k: 12, n: 17 },
  { m: 65, k: 64, n: 63 },
  { m: 130, k: 9, n: 133 },
  { m: 2, k: 1025, n: 5 },
  { m: 1, k: 37, n: 40 },
  { m: 40, k: 37, n: 1 },
  { m: 17, k: 13, n: 11, ta: true },
  { m: 17, k: 13, n: 11, tb: true },
  { m: 17, k: 13, n: 11, ta: true, tb: true },
  { m: 16, k: 32, n: 24, ta: true },
  { m: 24, k: 16, n: 32, tb: true },
  { m: 16, k: 24, n: 16, ta: true, tb: true },
  { m: 9, k: 11, n: 10, batch: 3 },
  { m: 9, k: 11, n: 10, batch: 3, shared: "a" },
  { m: 9, k: 11, n: 10, batch: 3, shared: "b", tb: true },
  { m: 8, k: 12, n: 16, batch: 5, shared: "a", ta: true },
  { m: 33, k: 20, n: 10, bias: "shared" },
  { m: 33, k: 20, n: 12, bias: "shared", relu: true },
  { m: 5, k: 6, n: 7, batch: 3, bias: "own", relu: true },
  { m: 7, k: 9, n: 18, relu: true },
];

function label(p: Product): string {
  const transposed = [p.ta ? "a" : "", p.tb ? "b" : ""].join("");
  return `[${p.m}, ${p.k}] by [${p.k}, ${p.n}]` +
    (p.batch ? `, batch ${p.batch}` : "") +
    (transposed ? `, transposed ${transposed}` : "") +
    (p.shared ? `, one ${p.shared}` : "") +
    (p.bias ? `, ${p.bias} bias` : "") +
    (p.relu ? ", relu" : "");
}

function matmulCase(p: Product): KernelCase {
  const { m, k, n, batch = 1 } = p;
  const biases = p.bias === "own" ? batch : 1;
  return {
    kernel: "matmul",
    label: label(p),
    overrides: {
      M: m,
      K: k,
      N: n,
      A_STRIDE: p.shared === "a" ? 0 : m * k,
      B_STRIDE: p.shared === "b" ? 0 : k * n,
      ...(p.batch ? { BATCH: p.batch } : {}),
      ...(p.ta ? { TRANSPOSE_A: 1 } : {}),
      ...(p.tb ? { TRANSPOSE_B: 1 } : {}),
      ...(p.bias ? { HAS_BIAS: 1 } : {}),
      ...(p.bias === "own" ? { BIAS_STRIDE: n } : {}),
      ...(p.relu ? { ACTIVATION: "relu" } : {}),
    },
    threads: matmulThreads({ batch, m, n }),
    inputs: () => [
      uniform(71, product(p.shared === "a" ? 1 : batch, m, k)),
      uniform(72, product(p.shared === "b" ? 1 : batch, k, n)),
      p.bias ? uniform(73, biases * n) : Float32Array.of(NaN),
    ],
    outputLength: product(batch, m, n),
    tolerance: sumTolerance(k + 1),
  };
}

/** Every product, and NaN through a ReLU. */
export const matmulCases: readonly KernelCase[] = [
  ...products.map(matmulCase),
  {
    ...matmulCase({ m: 5, k: 3, n: 6, relu: true }),
    label: "NaN in a row of a, relu",
    inputs: () => [
      uniform(74, 15).map((x, i) => i === 7 ? NaN : x),
      uniform(75, 18),
      Float32Array.of(0),
    ],
  },
];

function randomFeaturesCase(n: number, k: number, d: number, series = 0): KernelCase {
  return {
    kernel: "random_features",
    label: `[${n}, ${k}] by [${k}, ${d}]${series ? ", by the cosine's series" : ""}`,
    overrides: {
      N: n,
      K: k,
      D: d,
      SCALE: Math.fround(Math.sqrt(2 / d)),
      ...(series ? { SERIES: series } : {}),
    },
    threads: randomFeaturesThreads({ n, d }),
    inputs: () => [uniform(76, n * k), uniform(77, k * d), uniform(78, d, 0, 2 * Math.PI)],
    outputLength: n * d,
    tolerance: sumTolerance(k) + 64 * epsilon,
  };
}

/** Sizes around tiles, features up to LeNet's. */
export const randomFeaturesCases: readonly KernelCase[] = [
  randomFeaturesCase(1, 1, 1),
  randomFeaturesCase(7, 5, 3),
  randomFeaturesCase(16, 16, 16),
  randomFeaturesCase(17, 84, 65),
  randomFeaturesCase(9, 128, 31),
  randomFeaturesCase(3, 120, 256),
  randomFeaturesCase(70, 20, 130),
  randomFeaturesCase(17, 84, 65, 1),
];
