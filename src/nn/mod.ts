/**
 * The neural-net layer: a symbolic graph over hand-written WGSL kernels, its gradients to any order,
 * and programs that replay it on the GPU.
 *
 * @example
 * ```ts
 * import { compile, grad, input, openDevice, square, sum } from "./mod.ts";
 * using device = await openDevice();
 * const x = input([3]);
 * const [dx] = grad(sum(square(x)), [x]);
 * if (!dx) throw new Error("Unreachable: one gradient was asked for");
 * using program = await compile(device, { inputs: [x], outputs: [dx] });
 * program.run([Float32Array.of(1, 2, 3)]);
 * const values = await program.read(dx);
 * if (values.join() !== "2,4,6") throw new Error(`Unreachable: the gradient is ${values}`);
 * ```
 *
 * @module
 */
export type { Binding, Kernel, Overrides, TexelFormat } from "./graph/kernel.ts";
export { Random } from "./graph/random.ts";
export {
  constant,
  type Data,
  dim,
  type Dispatch,
  input,
  type PackedParameters,
  Parameter,
  type Shape,
  show,
  size,
  type Source,
  type SparsePlanes,
  stopGradient,
  type Tensor,
  type Vjp,
  withVjp,
} from "./graph/tensor.ts";
export { type TileProfile, tileProfiles } from "./graph/tiles.ts";
export {
  batchNorm,
  type BatchNormResult,
  channelAffine,
  type ChannelAffineOptions,
  channelMoments,
  channelProducts,
  normalizeChannels,
  type NormOptions,
} from "./ops/batch_norm.ts";
export { concat } from "./ops/concat.ts";
export { conv2d, conv2dInput, type Conv2dOptions, conv2dWeight } from "./ops/conv2d.ts";
export type { Activation } from "./ops/epilogue.ts";
export type { ConvOptions } from "./ops/geometry.ts";
export { cropAndFlip } from "./ops/crop.ts";
export {
  abs,
  add,
  ceil,
  clip,
  cos,
  div,
  equal,
  erf,
  exp,
  floor,
  greater,
  log,
  log1p,
  maximum,
  minimum,
  mul,
  neg,
  nonFinite,
  type Operand,
  reciprocal,
  relu,
  scale,
  shift,
  sigmoid,
  sign,
  sin,
  softplus,
  sqrt,
  square,
  step,
  sub,
  tanh,
  where,
} from "./ops/elementwise.ts";
export {
  binaryCrossEntropy,
  crossEntropy,
  layerNorm,
  logBinaryCrossEntropy,
  logMeanExp,
  logSoftmax,
  negativeLogLikelihood,
  normalizeRows,
  rowNorm,
  softmax,
  type SoftmaxOptions,
  unit,
} from "./ops/functions.ts";
export { gatherImages, gatherRows } from "./ops/gather.ts";
export { cholesky, diagonal, identity, lowerTriangle, triangularSolve } from "./ops/linalg.ts";
export { matmul, type MatmulOptions } from "./ops/matmul.ts";
export { Draws, noise, type NoiseKey } from "./ops/noise.ts";
export { flatGradient, sgd, type SgdOptions, stepDecay } from "./ops/optim.ts";
export {
  avgPool2d,
  type AvgPoolOptions,
  maxPool2d,
  type MaxPoolOptions,
  type PoolOptions,
} from "./ops/pool2d.ts";
export { pow } from "./ops/pow.ts";
export { randomFeatures } from "./ops/random_features.ts";
export { rbf, squaredDistance } from "./ops/rbf.ts";
export { argmax, max, mean, min, oneHot } from "./ops/reduce.ts";
export { kthLargest, projectL1 } from "./ops/rows.ts";
export {
  flip,
  pack,
  pad,
  permute,
  reshape,
  slice,
  strided,
  type Strides,
  transpose,
  view,
} from "./ops/shape.ts";
export { broadcastTo, sum, sumParts, sumTo } from "./ops/sum.ts";
export { take } from "./ops/take.ts";
export { grad, topologicalOrder } from "./compile/grad.ts";
export {
  type AdapterFacts,
  type Convolutions,
  convolutionsOf,
  type Device,
  openDevice,
  type Pipeline,
  useExactConvolutions,
} from "./device/device.ts";
export { Pace } from "./device/pace.ts";
export { describeTimes, type StepTime } from "./device/profile.ts";
export {
  compile,
  drainAll,
  type Program,
  type ProgramSpec,
  type Stats,
  type Updates,
} from "./device/program.ts";
export { type CopiedResource, Recorder } from "./device/recorder.ts";
export { halving } from "./device/shrink_to_fit.ts";
export { pull, push, release, type Resource } from "./device/storage.ts";
export {
  type Cuts,
  type ProfileName,
  type ProfileTimes,
  type TileTable,
  tileTablePath,
  tune,
  type TunedKind,
  type TunedLayer,
  type TuneResult,
  tuneResultSchema,
  useTuning,
} from "./device/tuning.ts";
export {
  Conv2d,
  type ConvLayerOptions,
  defaultInit,
  type Layer,
  LayerNorm,
  type LayerOptions,
  Linear,
  nest,
  type Operator,
  Pass,
  SpectralConv2d,
  type SpectralConvOptions,
  SpectralLinear,
  type SpectralWeight,
  type State,
} from "./layers/layers.ts";
export { BatchNorm2d, type BatchNorm2dOptions } from "./layers/norms.ts";
export { orthogonal } from "./layers/orthogonal.ts";
export { evaluate, type Leaves } from "./check/evaluate.ts";
export { kernels } from "./check/kernels.ts";
