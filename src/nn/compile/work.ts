/**
 * How much arithmetic a dispatch is.
 *
 * @module
 */
import type { Dispatch } from "../graph/tensor.ts";

/**
 * Useful floating-point operations of a dispatch: a multiplication and an addition for each product.
 * Work that only grows with the number of elements does not count, and a convolution counts as what it would be
 * by itself, however it is computed.
 */
export function flopOf({ kernel, overrides, flop }: Dispatch): number {
  if (flop !== undefined) return flop;
  const o = (name: string): number => Number(overrides[name] ?? 1);
  const taps = o("CI") * o("KH") * o("KW");
  switch (kernel.name) {
    case "matmul":
      return 2 * o("BATCH") * o("M") * o("N") * o("K");
    case "random_features":
      return 2 * o("N") * o("K") * o("D");
    case "conv2d":
      // Folded filters are three rows taller, with zeros there.
      return 2 * o("B") * o("CO") * o("OH") * o("OW") *
        (o("FOLD") === 4 ? taps - 3 * o("CI") * o("KW") : taps);
    case "conv2d_texels":
    case "conv2d_weight_texels":
    case "conv2d_weight":
      return 2 * o("B") * o("CO") * o("OH") * o("OW") * taps;
    default:
      return 0;
  }
}
