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

/** The mean and the biased variance, `[C]`, by which the layer of a name normalises `[B, C, H, W]`. */
type Moments = (h: JaxArray, name: string) => { mean: JaxArray; variance: JaxArray };

/** ResNet-18 in evaluation: `[B, 3, 32, 32]` to logits `[B, 10]`. */
export function resNet18(w: Arrays, x: JaxArray): JaxArray {
  return resNet18By(w, x, (h, name) => {
    h.dispose();
    return { mean: take(w, `${name}.running_mean`), variance: take(w, `${name}.running_var`) };
  });
}

/** ResNet-18 in training, by the batch's moments; the running ones follow them. */
export function resNet18Training(
  w: Arrays,
  running: Arrays,
  x: JaxArray,
): { logits: JaxArray; running: Arrays } {
  const moved: Arrays = {};
  const follow = (key: string, value: JaxArray): void => {
    moved[key] = take(running, key).mul(0.9).add(lax.stopGradient(value).mul(0.1));
  };
  const logits = resNet18By(w, x, (h, name) => {
    const [b = 1, , height = 1, width = 1] = h.shape;
    const n = b * height * width;
    const mean = np.mean(h.ref, [0, 2, 3]);
    const centred = h.sub(mean.ref.reshape([-1, 1, 1]));
    const variance = np.mean(np.square(centred), [0, 2, 3]);
    follow(`${name}.running_mean`, mean.ref);
    follow(`${name}.running_var`, variance.ref.mul(n / (n - 1)));
    return { mean, variance };
  });
  return { logits, running: moved };
}

function resNet18By(w: Arrays, x: JaxArray, moments: Moments): JaxArray {
  const norm = (h: JaxArray, name: string): JaxArray => {
    const part = (key: string): JaxArray => take(w, `${name}.${key}`).reshape([-1, 1, 1]);
    const { mean, variance } = moments(h.ref, name);
    const scale = part("weight").div(np.sqrt(variance.reshape([-1, 1, 1]).add(1e-5)));
    return h.sub(mean.reshape([-1, 1, 1])).mul(scale).add(part("bias"));
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
