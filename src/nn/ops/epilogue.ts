/**
 * What every way of computing a correlation takes besides its image: filters in some order, and what is done
 * with the sums.
 *
 * @module
 */
import { mul, neg, shift, step } from "./elementwise.ts";
import type { Overrides } from "../graph/kernel.ts";
import type { Tensor } from "../graph/tensor.ts";
import { strided, type Strides } from "./shape.ts";

/** What is done to a result last: nothing, `max(x, 0)`, or `min(max(x, 0), 6)`. */
export type Activation = "none" | "relu" | "relu6";

/**
 * The gradient of what an activation is given; 0 at its bends, as PyTorch's.
 *
 * @param upstream the gradient of its result
 * @param y its result
 */
export function throughActivation(activation: Activation, upstream: Tensor, y: Tensor): Tensor {
  if (activation === "none") return upstream;
  // Between the bends y (6 - y) is above 0.
  return mul(upstream, step(activation === "relu" ? y : mul(y, shift(neg(y), 6))));
}

/** Filters, and where in w `[CI, KH, KW, CO]` of them lie. */
export interface Filters {
  readonly w: Tensor;
  readonly order: Strides;
}

/** What a correlation's kernel does with its sums before it stores them: `act(sum + bias + residual)`. */
export interface Epilogue {
  /** `[CO]`; none when not given. */
  readonly bias?: Tensor | undefined;
  /** `[B, CO, OH, OW]`; none when not given. */
  readonly residual?: Tensor | undefined;
  /** Function of the result; none when not given. */
  readonly activation?: Activation | undefined;
}

/** The epilogue as a kernel is told of it. */
export function epilogueOverrides({ bias, residual, activation = "none" }: Epilogue): Overrides {
  return {
    HAS_BIAS: bias ? 1 : 0,
    HAS_RESIDUAL: residual ? 1 : 0,
    ACTIVATION: activation,
  };
}

/**
 * The elements of w that `[..., CO]` picks, CO filled up to a multiple of four with zeros: vectors that are
 * loaded at once.
 */
export function packChannels(w: Tensor, channelsLast: Strides): Tensor {
  const channels = channelsLast.shape.at(-1) ?? 1;
  return strided("packChannels", w, { ...channelsLast, width: 4 * Math.ceil(channels / 4) });
}
