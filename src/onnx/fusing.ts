/**
 * Chains of nodes that become one kernel: a convolution, the batch normalisation after it, a sum with a branch
 * and a ReLU or a ReLU6. What a later node makes of an earlier one's result is made anew as a whole; what is then read by
 * nobody is not computed.
 *
 * @module
 */
import { show, type Tensor } from "../nn/mod.ts";

/** What can be done to a result on the way. */
export interface Epilogue {
  /** Added before the activation, of the result's shape. */
  readonly residual?: Tensor;
  /** Function of the result. */
  readonly activation?: "relu" | "relu6";
}

/** How tensors were made, and can be made with more; of a sum with a branch, without a further one. */
const makers = new WeakMap<Tensor, {
  readonly make: (epilogue: Epilogue) => Tensor;
  readonly hasBranch: boolean;
}>();

/** A tensor that can be made with an epilogue. */
export function fusing(make: (epilogue: Epilogue) => Tensor): Tensor {
  const made = make({});
  makers.set(made, { make, hasBranch: false });
  return made;
}

/** `max(x, 0)`, or `min(max(x, 0), 6)`, made together with x; undefined where it cannot be. */
export function withActivation(x: Tensor, activation: "relu" | "relu6"): Tensor | undefined {
  return makers.get(x)?.make({ activation });
}

/** `a + b` made together with a; undefined where it cannot be. */
export function withBranch(a: Tensor, b: Tensor): Tensor | undefined {
  const maker = makers.get(a);
  if (!maker || maker.hasBranch || show(a.shape) !== show(b.shape)) return undefined;
  const sum = maker.make({ residual: b });
  makers.set(sum, {
    make: (epilogue) => maker.make({ ...epilogue, residual: b }),
    hasBranch: true,
  });
  return sum;
}
