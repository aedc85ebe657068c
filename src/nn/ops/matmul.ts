/**
 * Matrix products.
 *
 * @module
 */
import wgsl from "../../shaders/matmul.wgsl" with { type: "text" };
import { throughActivation } from "./epilogue.ts";
import { kernel } from "../graph/kernel.ts";
import { reshape } from "./shape.ts";
import { broadcastTo, sum, sumTo } from "./sum.ts";
import { broadcastShapes, dim, node, show, size, type Tensor } from "../graph/tensor.ts";
import { matmulThreads } from "../graph/tiles.ts";

const matmulKernel = kernel("matmul", wgsl);

/** What `matmul` can do on the way. */
export interface MatmulOptions {
  /** Read `a` as `[..., K, M]`. */
  readonly transposeA?: boolean;
  /** Read `b` as `[..., N, K]`. */
  readonly transposeB?: boolean;
  /** `[N]`, added to every row. */
  readonly bias?: Tensor;
  /** Function of the result, relu being `max(x, 0)`; none when not given. */
  readonly activation?: "none" | "relu";
}

/**
 * `act(a b + bias)` by NumPy's rule: a `[..., M, K]`, b `[..., K, N]`, the axes before the last two broadcast. A
 * vector `[K]` is a row on the left and a column on the right, and leaves no axis behind. A matrix is shared by all.
 *
 * @throws Error naming both shapes when the inner sizes or the batches differ, or a vector is to be transposed
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const what = `multiply ${show(a.shape)} by ${show(b.shape)}`;
  const [rankA, rankB] = [a.shape.length, b.shape.length];
  if ((rankA < 2 && options.transposeA) || (rankB < 2 && options.transposeB)) {
    throw new Error(`Cannot ${what}: what is no matrix has no transpose`);
  }
  if (rankA === 0 || rankB === 0) throw new Error(`Cannot ${what}: a scalar is no matrix`);
  const row = rankA > 1 ? a : reshape(a, [1, -1]);
  const column = rankB > 1 ? b : reshape(b, [-1, 1]);
  const y = batched(row, column, options, what);
  const [m = 1, n = 1] = y.shape.slice(-2);
  const last = [...(rankA > 1 ? [m] : []), ...(rankB > 1 ? [n] : [])];
  return reshape(y, [...y.shape.slice(0, -2), ...last]);
}

/** Products of matrices whose leading axes are made one. */
function batched(a: Tensor, b: Tensor, options: MatmulOptions, what: string): Tensor {
  const [leadA, leadB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const single = leadA.length < 2 && leadB.length < 2;
  if (single && (leadA.length === 0 || leadB.length === 0 || leadA[0] === leadB[0])) {
    return product(a, b, options, what);
  }
  const lead = broadcastShapes(`${what} with batches`, leadA, leadB);
  const batch = size(lead);
  const matrices = (x: Tensor): Tensor => {
    const [own, last] = [x.shape.slice(0, -2), x.shape.slice(-2)];
    if (size(own) === 1) return reshape(x, last);
    return reshape(broadcastTo(x, [...lead, ...last]), [batch, ...last]);
  };
  const [left, right] = [matrices(a), matrices(b)];
  // Rows of all matrices by a single one are the rows of one matrix.
  const tall = left.shape.length > 2 && right.shape.length === 2 && !options.transposeA;
  const y = product(tall ? reshape(left, [-1, dim(left, -1)]) : left, right, options, what);
  return reshape(y, [...lead, tall ? dim(left, -2) : dim(y, -2), dim(y, -1)]);
}

/** a `[M, K]` or `[batch, M, K]`, b `[K, N]` or `[batch, K, N]`: one dispatch. */
function product(a: Tensor, b: Tensor, options: MatmulOptions, what: string): Tensor {
  const { transposeA: ta = false, transposeB: tb = false, bias, activation = "none" } = options;
  const m = dim(a, ta ? -1 : -2);
  const k = dim(a, ta ? -2 : -1);
  const n = dim(b, tb ? -2 : -1);
  const inner = dim(b, tb ? -1 : -2);
  if (k !== inner) throw new Error(`Cannot ${what}: inner sizes are ${k} and ${inner}`);
  const batchA = a.shape.length > 2 ? dim(a, -3) : undefined;
  const batchB = b.shape.length > 2 ? dim(b, -3) : undefined;
  const batch = batchA ?? batchB;
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== n)) {
    throw new Error(`Cannot add a bias ${show(bias.shape)} to rows of ${n}`);
  }
  const source = {
    kind: "dispatch",
    kernel: matmulKernel,
    overrides: {
      M: m,
      N: n,
      K: k,
      BATCH: batch ?? 1,
      TRANSPOSE_A: Number(ta),
      TRANSPOSE_B: Number(tb),
      A_STRIDE: batchA === undefined ? 0 : m * k,
      B_STRIDE: batchB === undefined ? 0 : k * n,
      HAS_BIAS: bias ? 1 : 0,
      ACTIVATION: activation,
    },
    threads: matmulThreads({ batch: batch ?? 1, m, n }),
  } as const;
  const shape = batch === undefined ? [m, n] : [batch, m, n];
  return node("matmul", [a, b, bias ?? b], shape, source, (upstream, y) => {
    const g = throughActivation(activation, upstream, y);
    const da = ta
      ? matmul(b, g, { transposeA: tb, transposeB: true })
      : matmul(g, b, { transposeB: !tb });
    const db = tb
      ? matmul(g, a, { transposeA: true, transposeB: ta })
      : matmul(a, g, { transposeA: !ta });
    return [
      sumTo(da, a.shape),
      sumTo(db, b.shape),
      bias ? sum(g, g.shape.map((_, i) => i).slice(0, -1)) : null,
    ];
  });
}
