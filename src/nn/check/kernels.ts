/**
 * All kernels by name.
 *
 * @module
 */
import { type Kernel, kernel } from "../graph/kernel.ts";
import binary from "../../shaders/binary.wgsl" with { type: "text" };
import channelAffine from "../../shaders/channel_affine.wgsl" with { type: "text" };
import channelSums from "../../shaders/channel_sums.wgsl" with { type: "text" };
import cholesky from "../../shaders/cholesky.wgsl" with { type: "text" };
import concat from "../../shaders/concat.wgsl" with { type: "text" };
import conv2d from "../../shaders/conv2d.wgsl" with { type: "text" };
import conv2dGeneral from "../../shaders/conv2d_general.wgsl" with { type: "text" };
import conv2dGeneralWeight from "../../shaders/conv2d_general_weight.wgsl" with { type: "text" };
import conv2dTexels from "../../shaders/conv2d_texels.wgsl" with { type: "text" };
import conv2dWeight from "../../shaders/conv2d_weight.wgsl" with { type: "text" };
import conv2dWeightTexels from "../../shaders/conv2d_weight_texels.wgsl" with { type: "text" };
import crossEntropy from "../../shaders/cross_entropy.wgsl" with { type: "text" };
import crop from "../../shaders/crop.wgsl" with { type: "text" };
import gatherBytes from "../../shaders/gather_bytes.wgsl" with { type: "text" };
import gatherRows from "../../shaders/gather_rows.wgsl" with { type: "text" };
import gatherSum from "../../shaders/gather_sum.wgsl" with { type: "text" };
import kthLargest from "../../shaders/kth_largest.wgsl" with { type: "text" };
import l1Project from "../../shaders/l1_project.wgsl" with { type: "text" };
import logSoftmax from "../../shaders/log_softmax.wgsl" with { type: "text" };
import matmul from "../../shaders/matmul.wgsl" with { type: "text" };
import pad from "../../shaders/pad.wgsl" with { type: "text" };
import philox from "../../shaders/philox.wgsl" with { type: "text" };
import pool2dMax from "../../shaders/pool2d_max.wgsl" with { type: "text" };
import pool2dGather from "../../shaders/pool2d_gather.wgsl" with { type: "text" };
import pool2dScatter from "../../shaders/pool2d_scatter.wgsl" with { type: "text" };
import randomFeatures from "../../shaders/random_features.wgsl" with { type: "text" };
import rbf from "../../shaders/rbf.wgsl" with { type: "text" };
import reduce from "../../shaders/reduce.wgsl" with { type: "text" };
import sgd from "../../shaders/sgd.wgsl" with { type: "text" };
import strided from "../../shaders/strided.wgsl" with { type: "text" };
import texels from "../../shaders/texels.wgsl" with { type: "text" };
import triangularSolve from "../../shaders/triangular_solve.wgsl" with { type: "text" };
import unary from "../../shaders/unary.wgsl" with { type: "text" };
import winogradFilters from "../../shaders/winograd_filters.wgsl" with { type: "text" };
import winogradPixels from "../../shaders/winograd_pixels.wgsl" with { type: "text" };
import winogradProducts from "../../shaders/winograd_products.wgsl" with { type: "text" };
import winogradTiles from "../../shaders/winograd_tiles.wgsl" with { type: "text" };
import winogradWeight from "../../shaders/winograd_weight.wgsl" with { type: "text" };
import winogradWeightProducts from "../../shaders/winograd_weight_products.wgsl" with {
  type: "text",
};
import where from "../../shaders/where.wgsl" with { type: "text" };

const sources: Readonly<Record<string, string>> = {
  binary,
  channel_affine: channelAffine,
  channel_sums: channelSums,
  cholesky,
  concat,
  conv2d,
  conv2d_general: conv2dGeneral,
  conv2d_general_weight: conv2dGeneralWeight,
  conv2d_texels: conv2dTexels,
  conv2d_weight: conv2dWeight,
  conv2d_weight_texels: conv2dWeightTexels,
  crop,
  cross_entropy: crossEntropy,
  gather_bytes: gatherBytes,
  gather_rows: gatherRows,
  gather_sum: gatherSum,
  kth_largest: kthLargest,
  l1_project: l1Project,
  log_softmax: logSoftmax,
  matmul,
  pad,
  philox,
  pool2d_max: pool2dMax,
  pool2d_gather: pool2dGather,
  pool2d_scatter: pool2dScatter,
  random_features: randomFeatures,
  rbf,
  reduce,
  sgd,
  strided,
  texels,
  triangular_solve: triangularSolve,
  unary,
  where,
  winograd_filters: winogradFilters,
  winograd_pixels: winogradPixels,
  winograd_products: winogradProducts,
  winograd_tiles: winogradTiles,
  winograd_weight: winogradWeight,
  winograd_weight_products: winogradWeightProducts,
};

/** Every kernel of `src/shaders`, by file name without `.wgsl`. */
export const kernels: ReadonlyMap<string, Kernel> = new Map(
  Object.entries(sources).map(([name, source]) => [name, kernel(name, source)]),
);
