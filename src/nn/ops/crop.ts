/**
 * Random crops and flips, made on the device: the augmentation of CIFAR-10.
 *
 * @module
 */
import wgsl from "../../shaders/crop.wgsl" with { type: "text" };
import { kernel } from "../graph/kernel.ts";
import { dim, node, show, size, type Tensor } from "../graph/tensor.ts";

const cropKernel = kernel("crop", wgsl);

/**
 * Each image shifted by up to `padding` pixels on zeros, then mirrored or not: x `[B, C, H, W]`. No
 * gradient.
 *
 * @param draws uniform in [0, 1), `[B, 3]`: vertical and horizontal shift, mirrored below one half
 */
export function cropAndFlip(x: Tensor, draws: Tensor, padding: number): Tensor {
  const [B, C, H, W] = [dim(x, 0), dim(x, 1), dim(x, 2), dim(x, 3)];
  if (size(draws.shape) !== 3 * B) {
    throw new Error(`Cannot crop ${show(x.shape)} by draws ${show(draws.shape)}: three an image`);
  }
  return node("cropAndFlip", [x, draws], x.shape, {
    kind: "dispatch",
    kernel: cropKernel,
    overrides: { B, C, H, W, PAD: padding },
    threads: size(x.shape),
  }, () => [null, null]);
}
