/**
 * The radial basis function kernel.
 *
 * @module
 */
import wgsl from "../../shaders/rbf.wgsl" with { type: "text" };
import { div, mul, reciprocal, square, sub } from "./elementwise.ts";
import { kernel } from "../graph/kernel.ts";
import { matmul } from "./matmul.ts";
import { sum, sumTo } from "./sum.ts";
import { reshape } from "./shape.ts";
import { dim, node, show, size, type Tensor } from "../graph/tensor.ts";

const rbfKernel = kernel("rbf", wgsl);

/**
 * `k[g, n, m] = exp(-|x_gn - z_gm|^2 / (2 l_g^2))`: x `[N, D]` or `[G, N, D]`, z `[M, D]` or
 * `[G, M, D]`, lengthScale `[1]` or `[G]`, to `[G, N, M]`. What has no batch axis is shared.
 *
 * @throws Error naming the shapes when features or batches differ
 */
export function rbf(x: Tensor, z: Tensor, lengthScale: Tensor): Tensor {
  const [n, m, d] = [dim(x, -2), dim(z, -2), dim(x, -1)];
  const batches = [
    x.shape.length > 2 ? dim(x, 0) : 1,
    z.shape.length > 2 ? dim(z, 0) : 1,
    size(lengthScale.shape),
  ];
  const groups = Math.max(...batches);
  if (dim(z, -1) !== d || batches.some((b) => b !== 1 && b !== groups)) {
    throw new Error(
      `Cannot compare ${show(x.shape)} with ${show(z.shape)} at ${show(lengthScale.shape)} scales`,
    );
  }
  const [gx = 1, gz = 1, gl = 1] = batches;
  return node("rbf", [x, z, lengthScale], [groups, n, m], {
    kind: "dispatch",
    kernel: rbfKernel,
    overrides: {
      G: groups,
      N: n,
      M: m,
      D: d,
      X_STRIDE: gx === 1 ? 0 : n * d,
      Z_STRIDE: gz === 1 ? 0 : m * d,
      L_STRIDE: gl === 1 ? 0 : 1,
    },
    threads: groups * n * m,
  }, (g, k) => {
    // A batch axis of 1 is shared, too: `matmul` shares what has none.
    const xs = gx === 1 ? reshape(x, [n, d]) : x;
    const zs = gz === 1 ? reshape(z, [m, d]) : z;
    const precision = reciprocal(square(reshape(lengthScale, [gl, 1, 1])));
    const w = mul(mul(g, k), precision); // [G, N, M]
    const dx = sub(matmul(w, zs), mul(sum(w, [2], true), xs)); // [G, N, D]
    const dz = sub(
      matmul(w, xs, { transposeA: true }),
      mul(reshape(sum(w, [1]), [groups, m, 1]), zs),
    );
    const distances = squaredDistance(x, z);
    const scaled = div(mul(w, distances), reshape(lengthScale, [gl, 1, 1]));
    return [
      sumTo(dx, [gx, n, d]),
      sumTo(dz, [gz, m, d]),
      sumTo(reshape(sum(scaled, [1, 2]), [groups]), [gl]),
    ].map((gi, i) => reshape(gi, [x, z, lengthScale][i]?.shape ?? []));
  });
}

/** `|x_n - z_m|^2` by differences, not by expansion: `[G, N, D]`, `[G, M, D]` to `[G, N, M]`. */
export function squaredDistance(x: Tensor, z: Tensor): Tensor {
  const [n, m, d] = [dim(x, -2), dim(z, -2), dim(x, -1)];
  const rows = reshape(x, [-1, n, 1, d]);
  const columns = reshape(z, [-1, 1, m, d]);
  return sum(square(sub(rows, columns)), [3]);
}
