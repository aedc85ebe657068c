/**
 * Random Fourier features.
 *
 * @module
 */
import wgsl from "../../shaders/random_features.wgsl" with { type: "text" };
import { add, mul, scale, sin } from "./elementwise.ts";
import { kernel } from "../graph/kernel.ts";
import { matmul } from "./matmul.ts";
import { sum } from "./sum.ts";
import { dim, node, show, type Tensor } from "../graph/tensor.ts";
import { randomFeaturesThreads } from "../graph/tiles.ts";

const featuresKernel = kernel("random_features", wgsl);

/**
 * `amplitude cos(x w + b)`: x `[N, K]`, w `[K, D]`, b `[D]` to `[N, D]`
 * (Rahimi and Recht, "Random features for large-scale kernel machines", 2007, eq. 3).
 *
 * @throws Error naming the shapes when they do not fit
 */
export function randomFeatures(x: Tensor, w: Tensor, b: Tensor, amplitude: number): Tensor {
  const [n, k, d] = [dim(x, 0), dim(x, 1), dim(w, 1)];
  if (dim(w, 0) !== k || dim(b, 0) !== d) {
    throw new Error(
      `Cannot make features of ${show(x.shape)} with ${show(w.shape)} and ${show(b.shape)}`,
    );
  }
  return node("randomFeatures", [x, w, b], [n, d], {
    kind: "dispatch",
    kernel: featuresKernel,
    overrides: { N: n, K: k, D: d, SCALE: amplitude },
    threads: randomFeaturesThreads({ n, d }),
  }, (g) => {
    const slope = scale(sin(add(matmul(x, w), b)), -amplitude);
    const h = mul(g, slope);
    return [
      matmul(h, w, { transposeB: true }),
      matmul(x, h, { transposeA: true }),
      sum(h, [0]),
    ];
  });
}
