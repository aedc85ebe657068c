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
export * from "./ops/batch_norm.ts";
export * from "./ops/conv2d.ts";
export * from "./ops/crop.ts";
export * from "./device/device.ts";
export * from "./ops/elementwise.ts";
export * from "./check/evaluate.ts";
export * from "./ops/functions.ts";
export * from "./ops/gather.ts";
export * from "./compile/grad.ts";
export * from "./layers/layers.ts";
export * from "./ops/linalg.ts";
export * from "./ops/matmul.ts";
export * from "./ops/noise.ts";
export * from "./layers/norms.ts";
export * from "./ops/optim.ts";
export * from "./layers/orthogonal.ts";
export * from "./ops/pool2d.ts";
export { describeTimes, type StepTime } from "./device/profile.ts";
export * from "./device/program.ts";
export * from "./graph/random.ts";
export * from "./ops/random_features.ts";
export * from "./ops/rbf.ts";
export * from "./ops/reduce.ts";
export * from "./ops/shape.ts";
export { broadcastTo, sum, sumParts, sumTo } from "./ops/sum.ts";
export { pull, push, release } from "./device/storage.ts";
export { type TileProfile, tileProfiles } from "./graph/tiles.ts";
export {
  constant,
  type Data,
  dim,
  input,
  type PackedParameters,
  Parameter,
  type Shape,
  show,
  size,
  stopGradient,
  type Tensor,
  withVjp,
} from "./graph/tensor.ts";
