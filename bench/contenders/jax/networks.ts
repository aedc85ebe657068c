/**
 * The networks. Every function here consumes its arguments.
 *
 * @module
 */
import { lax, nn, numpy as np } from "@jax-js/jax";
import { type Arrays, type JaxArray, take } from "./arrays.ts";

/** Halves both sides of `[B, C, H, W]`. */
export type Pool = (h: JaxArray) => JaxArray;

/**
 * The largest of each square; where there are several, they share the gradient. The library's own
 * `reduceWindow` is no faster, and `vmap` has no rule for it.
 */
export const maxPool: Pool = (h) => {
  const [b = 1, c = 1, height = 2, width = 2] = h.shape;
  return np.max(h.reshape([b, c, height / 2, 2, width / 2, 2]), [3, 5]);
};

/** Cross-correlation without an offset. */
export function convolve(h: JaxArray, w: JaxArray, pad = 0, stride = 1): JaxArray {
  return lax.convGeneralDilated(h, w, [stride, stride], [[pad, pad], [pad, pad]]);
}

/** `h w^T + b` */
export function dense(h: JaxArray, w: JaxArray, b: JaxArray): JaxArray {
  return np.matmul(h, w.transpose()).add(b);
}

/** LeNet up to its 84 features, with or without padding: weights by `conv1.0.weight` and so on. */
export function leNetFeatures(w: Arrays, x: JaxArray, pad = 2, pool = maxPool): JaxArray {
  const layer = (h: JaxArray, name: string, pad: number): JaxArray => {
    const y = convolve(h, take(w, `${name}.weight`), pad);
    return pool(nn.relu(y.add(take(w, `${name}.bias`).reshape([-1, 1, 1]))));
  };
  const b = layer(layer(x, "conv1.0", pad), "conv2.0", 0);
  const flat = b.reshape([x.shape[0] ?? 1, -1]);
  return nn.relu(dense(flat, take(w, "fc_1.0.weight"), take(w, "fc_1.0.bias")));
}

/** LeNet: `[B, 1, 28, 28]` to logits `[B, 10]`. */
export function leNet(w: Arrays, x: JaxArray): JaxArray {
  return dense(leNetFeatures(w, x), take(w, "fc_2.0.weight"), take(w, "fc_2.0.bias"));
}

/** ResNet-18 in evaluation: `[B, 3, 32, 32]` to logits `[B, 10]`. */
export function resNet18(w: Arrays, x: JaxArray): JaxArray {
  const norm = (h: JaxArray, name: string): JaxArray => {
    const get = (part: string): JaxArray => take(w, `${name}.${part}`).reshape([-1, 1, 1]);
    const scale = get("weight").div(np.sqrt(get("running_var").add(1e-5)));
    return h.sub(get("running_mean")).mul(scale).add(get("bias"));
  };
  const block = (h: JaxArray, name: string, stride: number): JaxArray => {
    const layer = (h: JaxArray, conv: string, bn: string, pad: number, stride: number): JaxArray =>
      norm(convolve(h, take(w, `${name}.${conv}.weight`), pad, stride), `${name}.${bn}`);
    const inner = nn.relu(layer(h.ref, "conv1", "bn1", 1, stride));
    const outer = layer(inner, "conv2", "bn2", 1, 1);
    const branched = `${name}.shortcut.0.weight` in w;
    return nn.relu(outer.add(branched ? layer(h, "shortcut.0", "shortcut.1", 0, stride) : h));
  };
  let h = nn.relu(norm(convolve(x, take(w, "conv1.weight"), 1), "bn1"));
  for (const stage of [1, 2, 3, 4]) {
    h = block(h, `layer${stage}.0`, stage === 1 ? 1 : 2);
    h = block(h, `layer${stage}.1`, 1);
  }
  return dense(np.mean(h, [2, 3]), take(w, "linear.weight"), take(w, "linear.bias"));
}

/** Sum over the images of the cross-entropy of logits against one-hot `[B, 10]`. */
export function crossEntropy(logits: JaxArray, y: JaxArray): JaxArray {
  return nn.logSoftmax(logits).mul(y).sum().mul(-1);
}
