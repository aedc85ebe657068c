/**
 * Every kernel of `src/shaders` once more in plain f64 loops, with the same inputs, overrides and
 * output. Written from the kernels' contract, never from their text, so that agreement means something:
 * the tests, `mirage doctor` and the CPU evaluation of graphs all compare against it.
 *
 * @module
 */
import type { Kernel, Overrides } from "../graph/kernel.ts";
import type { ReferenceKernel } from "./support.ts";
import { binary, unary, where } from "./elementwise.ts";
import { channelAffine, channelSums, crop } from "./channels.ts";
import { concat, gatherBytes, gatherRows, gatherSum, pad, strided } from "./movement.ts";
import { crossEntropy, logSoftmax, reduce } from "./reduce.ts";
import { matmul, randomFeatures } from "./matmul.ts";
import { conv2d, conv2dWeight } from "./conv2d.ts";
import { conv2dGeneral, conv2dGeneralWeight } from "./general.ts";
import { pool2dGather, pool2dMax, pool2dScatter } from "./pool2d.ts";
import { cholesky, rbf, triangularSolve } from "./linalg.ts";
import { conv2dTexels, conv2dWeightTexels, texels } from "./texels.ts";
import { kthLargest, l1Project } from "./rows.ts";
import { philox, sgd } from "./state.ts";
import {
  winogradFilters,
  winogradPixels,
  winogradProducts,
  winogradTiles,
  winogradWeight,
  winogradWeightProducts,
} from "./winograd.ts";

export type { ReferenceKernel } from "./support.ts";

/** Numbers of one binding in f64; `u32` bindings are given as their integers. */
export type Values = Float64Array;

/** The reference of each kernel, by file name without `.wgsl`. */
export const referenceKernels: Readonly<Record<string, ReferenceKernel>> = {
  unary,
  binary,
  where,
  strided,
  pad,
  concat,
  reduce,
  gather_rows: gatherRows,
  gather_bytes: gatherBytes,
  gather_sum: gatherSum,
  matmul,
  random_features: randomFeatures,
  conv2d,
  conv2d_general: conv2dGeneral,
  conv2d_general_weight: conv2dGeneralWeight,
  conv2d_texels: conv2dTexels,
  texels,
  conv2d_weight_texels: conv2dWeightTexels,
  conv2d_weight: conv2dWeight,
  winograd_tiles: winogradTiles,
  winograd_filters: winogradFilters,
  winograd_products: winogradProducts,
  winograd_pixels: winogradPixels,
  winograd_weight_products: winogradWeightProducts,
  winograd_weight: winogradWeight,
  pool2d_max: pool2dMax,
  pool2d_gather: pool2dGather,
  pool2d_scatter: pool2dScatter,
  channel_sums: channelSums,
  channel_affine: channelAffine,
  crop,
  log_softmax: logSoftmax,
  cross_entropy: crossEntropy,
  cholesky,
  triangular_solve: triangularSolve,
  rbf,
  kth_largest: kthLargest,
  l1_project: l1Project,
  philox,
  sgd,
};

/**
 * Runs one kernel's reference.
 *
 * @param name kernel name, with or without `.wgsl`
 * @param inputs one array a binding, in the kernel's order
 * @param overrides as the host passes them: enumerations as strings; what is missing takes the
 *   default of `kernel` if given, else the contract's
 * @param outputLength elements of the output
 * @param kernel the parsed file, for its defaults and for enumerations passed as numbers
 * @throws Error when there is no reference of this name, an override is missing or an index is out
 *   of range
 */
export function reference(
  name: string,
  inputs: readonly Values[],
  overrides: Overrides,
  outputLength: number,
  kernel?: Kernel,
): Values {
  const run = referenceKernels[name.replace(/\.wgsl$/, "")];
  if (!run) throw new Error(`Cannot evaluate "${name}": it has no reference`);
  return run(inputs, kernel ? withDefaults(kernel, overrides) : overrides, outputLength);
}

function withDefaults(kernel: Kernel, overrides: Overrides): Overrides {
  const filled: Record<string, number | string> = {};
  for (const [key, fallback] of kernel.overrides) {
    const value = overrides[key] ?? fallback;
    if (value !== undefined) filled[key] = enumerationName(kernel, key, value);
  }
  return filled;
}

function enumerationName(kernel: Kernel, key: string, value: number | string): number | string {
  for (const [constant, number] of kernel.constants) {
    if (constant.startsWith(`${key}_`) && number === value) return constant.slice(key.length + 1);
  }
  return value;
}
