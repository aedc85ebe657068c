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
export * from "./batch_norm.ts";
export * from "./conv2d.ts";
export * from "./crop.ts";
export * from "./device.ts";
export * from "./elementwise.ts";
export * from "./evaluate.ts";
export * from "./functions.ts";
export * from "./gather.ts";
export * from "./grad.ts";
export * from "./layers.ts";
export * from "./linalg.ts";
export * from "./matmul.ts";
export * from "./networks.ts";
export * from "./noise.ts";
export * from "./norm_layers.ts";
export * from "./optim.ts";
export * from "./orthogonal.ts";
export * from "./pool2d.ts";
export { describeTimes, type StepTime } from "./profile.ts";
export * from "./program.ts";
export * from "./random.ts";
export * from "./random_features.ts";
export * from "./rbf.ts";
export * from "./reduce.ts";
export * from "./resnet.ts";
export * from "./shape.ts";
export { pull, push, release } from "./storage.ts";
export { type TileProfile, tileProfiles } from "./tiles.ts";
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
} from "./tensor.ts";
