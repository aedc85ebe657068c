/**
 * Twins in f64 and cases of `cholesky`, `triangular_solve` and `rbf`.
 *
 * @module
 */
import { at, input, number, type ReferenceKernel } from "./support.ts";
import { epsilon, type KernelCase, product, uniform } from "./case.ts";

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

/** Well-conditioned symmetric matrices `[groups, n, n]`; above the diagonal stands NaN. */
function positiveDefinite(seed: number, groups: number, n: number): Float32Array {
  const root = uniform(seed, product(groups, n, n));
  const a = new Float32Array(product(groups, n, n)).fill(NaN);
  for (let g = 0; g < groups; g++) {
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = i === j ? 1 : 0;
        for (let k = 0; k < n; k++) {
          sum += (root[(g * n + i) * n + k] ?? 0) * (root[(g * n + j) * n + k] ?? 0) / n;
        }
        a[(g * n + i) * n + j] = sum;
      }
    }
  }
  return a;
}

/** Lower triangular matrices `[groups, n, n]`, zeros above, diagonals in [1, 2). */
function lowerTriangular(seed: number, groups: number, n: number): Float32Array {
  const diagonal = uniform(seed + 1, groups * n, 1, 2);
  return uniform(seed, product(groups, n, n)).map((x, index) => {
    const [row, j] = [Math.floor(index / n), index % n];
    const i = row % n;
    return i === j ? diagonal[row] ?? 1 : i > j ? x / n : 0;
  });
}

function choleskyCase(label: string, groups: number, n: number, a: () => Float32Array): KernelCase {
  return {
    kernel: "cholesky",
    label,
    overrides: { G: groups, N: n },
    threads: 64 * groups,
    inputs: () => [a()],
    outputLength: product(groups, n, n),
    tolerance: epsilon * (8 + 2 * n),
  };
}

/** Sizes around a workgroup's 64, several matrices, and pivots that are not positive. */
export const choleskyCases: readonly KernelCase[] = [
  ...([[1, 1], [3, 2], [5, 5], [2, 17], [2, 63], [1, 64], [1, 65], [1, 130]] as const).map((
    [groups, n],
  ) => choleskyCase(`[${groups}, ${n}, ${n}]`, groups, n, () => positiveDefinite(61, groups, n))),
  choleskyCase("a negative pivot in the middle of one matrix of two", 2, 3, () => {
    return Float32Array.of(4, 0, 0, 2, 3, 0, 1, 1, 2, 4, 0, 0, 2, -3, 0, 1, 1, 2);
  }),
  choleskyCase("a pivot of zero", 1, 2, () => Float32Array.of(1, 0, 1, 1)),
  choleskyCase("NaN in the matrix", 1, 2, () => Float32Array.of(1, 0, NaN, 5)),
];

type Solve = readonly [groups: number, n: number, m: number, sharedL: boolean, sharedB: boolean];

const solves: readonly Solve[] = [
  [1, 1, 1, false, false],
  [3, 5, 1, false, false],
  [1, 17, 65, false, false],
  [4, 7, 3, true, false],
  [4, 7, 5, false, true],
  [1, 64, 64, false, false],
  [1, 67, 2, false, false],
];

/** Both triangles, shared matrices and shared right-hand sides. */
export const triangularSolveCases: readonly KernelCase[] = solves.flatMap((
  [groups, n, m, sharedL, sharedB],
) =>
  [0, 1].map((transpose) => ({
    kernel: "triangular_solve",
    label: `[${groups}, ${n}, ${n}] with ${m} columns` + (transpose ? ", transposed" : "") +
      (sharedL ? ", one l" : "") + (sharedB ? ", one b" : ""),
    overrides: {
      G: groups,
      N: n,
      M: m,
      L_STRIDE: sharedL ? 0 : n * n,
      B_STRIDE: sharedB ? 0 : n * m,
      ...(transpose ? { TRANSPOSE: 1 } : {}),
    },
    threads: groups * m,
    inputs: () => [
      lowerTriangular(62, sharedL ? 1 : groups, n),
      uniform(64, product(sharedB ? 1 : groups, n, m)),
    ],
    outputLength: product(groups, n, m),
    tolerance: epsilon * (8 + n),
  }))
);

type Points = readonly [
  groups: number,
  n: number,
  m: number,
  d: number,
  shared: readonly ("x" | "z" | "l")[],
];

const points: readonly Points[] = [
  [1, 1, 1, 1, []],
  [1, 7, 5, 3, []],
  [3, 5, 4, 2, []],
  [10, 9, 1, 8, ["x"]],
  [2, 17, 13, 4, ["z", "l"]],
  [3, 8, 8, 16, ["x", "z"]],
  [3, 8, 4, 3, ["z"]],
  [3, 8, 4, 3, ["x"]],
  [1, 65, 31, 33, ["l"]],
];

/** Kernel values between 0 and 1 in every sharing of points and length scales. */
export const rbfCases: readonly KernelCase[] = points.map(([groups, n, m, d, shared]) => {
  const [x, z, l] = (["x", "z", "l"] as const).map((name) => shared.includes(name));
  return {
    kernel: "rbf",
    label: `[${groups}, ${n}, ${d}] and [${groups}, ${m}, ${d}]` +
      (shared.length > 0 ? `, one ${shared.join(" and one ")}` : ""),
    overrides: {
      G: groups,
      N: n,
      M: m,
      D: d,
      X_STRIDE: x ? 0 : n * d,
      Z_STRIDE: z ? 0 : m * d,
      ...(l ? { L_STRIDE: 0 } : {}),
    },
    threads: product(groups, n, m),
    inputs: () => [
      uniform(65, product(x ? 1 : groups, n, d)),
      uniform(66, product(z ? 1 : groups, m, d)),
      uniform(67, l ? 1 : groups, 0.5, 2).map((scale) => scale * Math.sqrt(d)),
    ],
    outputLength: product(groups, n, m),
    tolerance: epsilon * (16 + d),
  };
});
