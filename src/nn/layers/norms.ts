/**
 * Batch normalisation as layers: parameters, running statistics, train and eval.
 *
 * @module
 */
import { batchNorm, normalizeChannels, type NormOptions } from "../ops/batch_norm.ts";
import { abs, add, div, maximum, scale, sqrt } from "../ops/elementwise.ts";
import type { Pass, State } from "./layers.ts";
import { max } from "../ops/reduce.ts";
import { dim, Parameter, size, type Tensor } from "../graph/tensor.ts";

/** Momentum and bound of a batch normalisation. */
export interface BatchNorm2dOptions {
  /** Share of a batch in the running statistics: PyTorch's 0.1 when not given. */
  readonly momentum?: number;
  /** Bound on the scale of every channel, as a soft spectral normalisation; none when not given. */
  readonly coeff?: number | undefined;
}

/**
 * Batch normalisation of `[B, C, H, W]`: by the batch's moments in train mode, by the running ones in
 * evaluation, where it scales the filters of a convolution before it. Running variances are unbiased, as PyTorch's.
 *
 * With `coeff` the scale is divided by `max(1, max_c |gamma_c| / sqrt(var_c + eps) / coeff)`, var that
 * of the mode (H. Gouk et al., "Regularisation of neural networks by enforcing Lipschitz continuity",
 * Machine Learning 2021, eq. 28).
 */
export class BatchNorm2d {
  /** gamma, `[C]` */
  readonly weight: Parameter;
  /** beta, `[C]` */
  readonly bias: Parameter;
  /** Mean by channel, moved by `momentum` at every batch, `[C]`; 0 at first. */
  readonly runningMean: Parameter;
  /** Unbiased variance by channel, moved likewise, `[C]`; 1 at first. */
  readonly runningVariance: Parameter;
  /** As `weight`, `bias`, `running_mean` and `running_var`. */
  readonly state: State;

  /**
   * Scale 1, offset 0, running mean 0, running variance 1.
   *
   * @param channels C, those of the images
   */
  constructor(channels: number, readonly options: BatchNorm2dOptions = {}) {
    this.weight = new Parameter([channels], 1, true);
    this.bias = new Parameter([channels], 0, true);
    this.runningMean = new Parameter([channels], 0);
    this.runningVariance = new Parameter([channels], 1);
    this.state = new Map([
      ["weight", this.weight],
      ["bias", this.bias],
      ["running_mean", this.runningMean],
      ["running_var", this.runningVariance],
    ]);
  }

  /**
   * Maps `[B, C, H, W]` to as many values, with the residual and the activation that are asked for; in train
   * mode the pass takes the new running statistics.
   *
   * @throws Error naming the shapes when the channels are not C
   */
  forward(x: Tensor, pass: Pass, options: Omit<NormOptions, "epsilon"> = {}): Tensor {
    const { momentum = 0.1, coeff } = this.options;
    const beta = pass.get(this.bias);
    const gamma = pass.get(this.weight);
    if (!pass.train) {
      const [mean, variance] = [pass.get(this.runningMean), pass.get(this.runningVariance)];
      const bounded = coeff === undefined ? gamma : boundScale(gamma, variance, coeff);
      return normalizeChannels(x, bounded, beta, { ...options, mean, variance });
    }
    const { y, mean, variance } = batchNorm(
      x,
      (variance) => coeff === undefined ? gamma : boundScale(gamma, variance, coeff),
      beta,
      options,
    );
    const n = size(x.shape) / dim(x, 1);
    const blend = (p: Parameter, value: Tensor): void =>
      pass.set(p, add(scale(pass.get(p), 1 - momentum), scale(value, momentum)));
    blend(this.runningMean, mean);
    blend(this.runningVariance, scale(variance, n / Math.max(1, n - 1)));
    return y;
  }
}

function boundScale(gamma: Tensor, variance: Tensor, coeff: number): Tensor {
  const largest = max(abs(div(gamma, sqrt(add(variance, 1e-5)))));
  return div(gamma, maximum(scale(largest, 1 / coeff), 1));
}
