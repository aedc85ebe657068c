/**
 * Optimisation: stochastic gradient descent over one flat parameter buffer.
 *
 * @module
 */
import wgsl from "../../shaders/sgd.wgsl" with { type: "text" };
import { kernel } from "../graph/kernel.ts";
import { pack } from "./shape.ts";
import { node, type PackedParameters, type Tensor } from "../graph/tensor.ts";

const sgdKernel = kernel("sgd", wgsl);

/** Hyper-parameters of `sgd`. */
export interface SgdOptions {
  /** Share of the last velocity that is kept, 0 to 1. */
  readonly momentum: number;
  /** L2 penalty on every parameter, added to the gradient. */
  readonly weightDecay: number;
}

/**
 * One step of SGD as PyTorch defines it: `v <- momentum v + g + weightDecay w`, `w <- w - lr v`.
 *
 * @param packed weights and velocities: a block of two rows
 * @param gradient of the packed parameters, as `flatGradient` lays them out
 * @param lr `[1]`
 * @returns the block's new values
 */
export function sgd(
  packed: PackedParameters,
  gradient: Tensor,
  lr: Tensor,
  { momentum, weightDecay }: SgdOptions,
): Tensor {
  const { block, length } = packed;
  return node("sgd", [block.tensor, gradient, lr], block.shape, {
    kind: "dispatch",
    kernel: sgdKernel,
    overrides: { P: length, MOMENTUM: momentum, WEIGHT_DECAY: weightDecay },
    threads: Math.ceil(length / 4),
  });
}

/** Gradients of packed parameters side by side, in the block's layout. */
export function flatGradient(packed: PackedParameters, gradients: readonly Tensor[]): Tensor {
  return pack(gradients, packed.offsets, packed.length);
}

/**
 * Learning rate of an epoch under step decay.
 *
 * @param milestones epochs from which on the rate is multiplied by `factor` once more
 */
export function stepDecay(
  lr: number,
  epoch: number,
  milestones: readonly number[],
  factor = 0.1,
): number {
  return lr * factor ** milestones.filter((m) => epoch >= m).length;
}
