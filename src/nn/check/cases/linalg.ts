/**
 * Cases of `cholesky`, `triangular_solve` and `rbf`.
 *
 * @module
 */
import { epsilon, type KernelCase, product, uniform } from "./case.ts";

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
