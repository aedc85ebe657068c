/**
 * Matrix products.
 *
 * @module
 */
import wgsl from "../../shaders/matmul.wgsl" with { type: "text" };
import { mul, step } from "./elementwise.ts";
import { kernel } from "../graph/kernel.ts";
import { sum, sumTo } from "./sum.ts";
import { dim, node, show, type Tensor } from "../graph/tensor.ts";
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
 * `act(a b + bias)`: a `[M, K]` or `[batch, M, K]`, b `[K, N]` or `[batch, K, N]`. A matrix without
 * a batch axis is shared by the whole batch.
 *
 * @throws Error naming both shapes when the inner sizes or the batches differ
 */
export function matmul(a: Tensor, b: Tensor, options: MatmulOptions = {}): Tensor {
  const { transposeA: ta = false, transposeB: tb = false, bias, activation = "none" } = options;
  const m = dim(a, ta ? -1 : -2);
  const k = dim(a, ta ? -2 : -1);
  const n = dim(b, tb ? -2 : -1);
  const inner = dim(b, tb ? -1 : -2);
  const what = `Cannot multiply ${show(a.shape)} by ${show(b.shape)}`;
  if (k !== inner) throw new Error(`${what}: inner sizes are ${k} and ${inner}`);
  const batchA = a.shape.length > 2 ? dim(a, -3) : undefined;
  const batchB = b.shape.length > 2 ? dim(b, -3) : undefined;
  const batch = batchA ?? batchB;
  if (a.shape.length > 3 || b.shape.length > 3 || (batchA ?? batch) !== (batchB ?? batch)) {
    throw new Error(`${what}: batches differ`);
  }
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
    const g = activation === "relu" ? mul(upstream, step(y)) : upstream;
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
