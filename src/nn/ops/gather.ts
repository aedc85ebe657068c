/**
 * Rows of a table by index: batches of a data set that stays on the device.
 *
 * @module
 */
import bytesWgsl from "../../shaders/gather_bytes.wgsl" with { type: "text" };
import rowsWgsl from "../../shaders/gather_rows.wgsl" with { type: "text" };
import { kernel } from "../graph/kernel.ts";
import { matmul } from "./matmul.ts";
import { oneHot } from "./reduce.ts";
import { reshape } from "./shape.ts";
import { dim, node, size, type Tensor } from "../graph/tensor.ts";

const rowsKernel = kernel("gather_rows", rowsWgsl);
const bytesKernel = kernel("gather_bytes", bytesWgsl);

/** `x[index]`: x `[M, ...]`, index `[N]` (integers in f32, clamped to the table) to `[N, ...]`. */
export function gatherRows(x: Tensor, index: Tensor): Tensor {
  const [rows, n] = [dim(x, 0), dim(index, 0)];
  const width = size(x.shape) / rows;
  const source = {
    kind: "dispatch",
    kernel: rowsKernel,
    overrides: { N: n, W: width, M: rows },
    threads: n * width,
  } as const;
  return node("gatherRows", [x, index], [n, ...x.shape.slice(1)], source, (g) => {
    const back = matmul(oneHot(index, rows), reshape(g, [n, width]), { transposeA: true });
    return [reshape(back, x.shape), null];
  });
}

/**
 * Images by index, as pixels in [0, 1]: `bytes` holds four 8-bit values a word, index `[N]`, to
 * `[N, ...imageShape]`. No gradient.
 */
export function gatherImages(
  bytes: Tensor,
  index: Tensor,
  imageShape: readonly number[],
): Tensor {
  const n = dim(index, 0);
  const width = size(imageShape);
  return node("gatherImages", [bytes, index], [n, ...imageShape], {
    kind: "dispatch",
    kernel: bytesKernel,
    overrides: { N: n, W: width },
    threads: Math.ceil(n * width / 4),
  }, () => [null, null]);
}
