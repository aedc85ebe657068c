/**
 * Batched small dense factorisations.
 *
 * @module
 */
import choleskyWgsl from "../../shaders/cholesky.wgsl" with { type: "text" };
import solveWgsl from "../../shaders/triangular_solve.wgsl" with { type: "text" };
import { add, mul, neg } from "./elementwise.ts";
import { kernel } from "../graph/kernel.ts";
import { matmul } from "./matmul.ts";
import { sumTo } from "./sum.ts";
import { reshape, transpose } from "./shape.ts";
import { constant, dim, node, show, type Tensor } from "../graph/tensor.ts";

const choleskyKernel = kernel("cholesky", choleskyWgsl);
const solveKernel = kernel("triangular_solve", solveWgsl);

/** Beyond it some drivers cut the kernel's loops short: lavapipe after 65,535 turns a thread. */
const largestFactor = 512;

/**
 * Lower L with `L L^T = a` for positive definite matrices `[N, N]` or `[G, N, N]`; only the lower
 * part of `a` is read, and only it has a gradient. A pivot that is not positive makes NaN. A device takes N up
 * to 512, the host any.
 *
 * The derivative is that of I. Murray, "Differentiation of the Cholesky decomposition" (2016).
 */
export function cholesky(a: Tensor): Tensor {
  const n = dim(a, -1);
  const groups = a.shape.length > 2 ? dim(a, 0) : 1;
  if (a.shape.length > 3 || dim(a, -2) !== n) {
    throw new Error(`Cannot factorise ${show(a.shape)}: needs square matrices`);
  }
  return node("cholesky", [a], a.shape, {
    kind: "dispatch",
    kernel: choleskyKernel,
    overrides: { G: groups, N: n },
    threads: 64 * groups,
    ...(n > largestFactor ? { hostOnly: `a device factorises at most ${largestFactor} rows` } : {}),
  }, (g, l) => {
    const phi = mul(matmul(l, g, { transposeA: true }), lowerMask(n, 0.5));
    const left = triangularSolve(l, phi, true);
    const s = triangularSolve(l, transpose(left), true);
    return [mul(add(s, transpose(s)), lowerMask(n, 0.5))];
  });
}

/**
 * x with `L x = b`, or `L^T x = b` when transposed: L lower `[N, N]` or `[G, N, N]`, b `[N, M]` or
 * `[G, N, M]`. What has no batch axis is shared.
 */
export function triangularSolve(l: Tensor, b: Tensor, transposed = false): Tensor {
  const [n, m] = [dim(l, -1), dim(b, -1)];
  const batchL = l.shape.length > 2 ? dim(l, 0) : undefined;
  const batchB = b.shape.length > 2 ? dim(b, 0) : undefined;
  const batch = batchL ?? batchB;
  if (dim(b, -2) !== n || (batchL ?? batch) !== (batchB ?? batch)) {
    throw new Error(`Cannot solve ${show(l.shape)} x = ${show(b.shape)}`);
  }
  const shape = batch === undefined ? [n, m] : [batch, n, m];
  return node("triangularSolve", [l, b], shape, {
    kind: "dispatch",
    kernel: solveKernel,
    overrides: {
      G: batch ?? 1,
      N: n,
      M: m,
      TRANSPOSE: Number(transposed),
      L_STRIDE: batchL === undefined ? 0 : n * n,
      B_STRIDE: batchB === undefined ? 0 : n * m,
    },
    threads: (batch ?? 1) * m,
  }, (g, x) => {
    const db = triangularSolve(l, g, !transposed);
    const outer = transposed
      ? matmul(x, db, { transposeB: true })
      : matmul(db, x, { transposeB: true });
    return [sumTo(mul(neg(outer), lowerMask(n, 1)), l.shape), sumTo(db, b.shape)];
  });
}

/** The diagonal `[..., N]` of matrices `[..., N, N]`. */
export function diagonal(l: Tensor): Tensor {
  const n = dim(l, -1);
  const picked = matmul(reshape(mul(l, identity(n)), [-1, n]), constant(1, [n, 1]));
  return reshape(picked, l.shape.slice(0, -1));
}

/** Matrices `[..., N, N]` with zeros above the diagonal. */
export function lowerTriangle(a: Tensor): Tensor {
  return mul(a, lowerMask(dim(a, -1), 1));
}

/** The identity matrix `[N, N]`. */
export function identity(n: number): Tensor {
  return constant(Float32Array.from({ length: n * n }, (_, i) => i % (n + 1) === 0 ? 1 : 0), [
    n,
    n,
  ]);
}

/** 1 below the diagonal, `onDiagonal` on it, 0 above. */
function lowerMask(n: number, onDiagonal: number): Tensor {
  const data = Float32Array.from({ length: n * n }, (_, i) => {
    const below = Math.floor(i / n) - i % n;
    return below > 0 ? 1 : below === 0 ? onDiagonal : 0;
  });
  return constant(data, [n, n]);
}
