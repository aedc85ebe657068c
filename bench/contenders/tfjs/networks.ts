/**
 * The networks, on images `[B, H, W, C]`.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Weights, Workload } from "../../workload.ts";

/** Tensors by PyTorch's names. */
export type Tensors = Record<string, tf.Tensor>;

/** A network: images to logits `[B, 10]`. In training it gets what is not trained, too, to move it. */
export type Network = (x: tf.Tensor, w: Tensors, moving?: Moving) => tf.Tensor;

/** Running statistics by PyTorch's names. */
export type Moving = Readonly<Record<string, tf.Variable>>;

/** PyTorch's layouts to TensorFlow's: filters [KH, KW, CI, CO], matrices [in, out]. */
export function tensorsOf(weights: Weights): Tensors {
  const found: Tensors = {};
  for (const [name, { shape, data }] of weights) {
    const t = tf.tensor(data, [...shape]);
    found[name] = shape.length === 4
      ? tf.transpose(t, [2, 3, 1, 0])
      : shape.length === 2
      ? tf.transpose(t)
      : t;
  }
  return found;
}

/** Images `[B, H, W, C]` and labels one-hot, `[B, 10]`. */
export function inputs({ images, labels, shape }: Workload): { x: tf.Tensor; y: tf.Tensor } {
  const x = tf.transpose(tf.tensor(images, [...shape]), [0, 2, 3, 1]);
  return { x, y: tf.oneHot(tf.tensor1d(labels, "int32"), 10) };
}

/** Cross-entropy of each row of logits against one-hot: `[B]`. */
export function crossEntropy(logits: tf.Tensor, y: tf.Tensor): tf.Tensor {
  return tf.neg(tf.sum(tf.mul(y, tf.logSoftmax(logits)), -1));
}

/** LeNet. */
export const leNet: Network = (x, w) => {
  const layer = (h: tf.Tensor, name: string, pad: number | "valid"): tf.Tensor => {
    const y = tf.add(convolve(h, get(w, `${name}.weight`), 1, pad), get(w, `${name}.bias`));
    return tf.maxPool(tf.relu(y) as tf.Tensor4D, 2, 2, "valid");
  };
  const b = layer(layer(x, "conv1.0", 2), "conv2.0", "valid");
  // PyTorch flattens channels first.
  const flat = tf.reshape(tf.transpose(b, [0, 3, 1, 2]), [-1, 400]);
  return dense(tf.relu(dense(flat, w, "fc_1.0")), w, "fc_2.0");
};

/** ResNet-18; in training by the batch's moments, which the running ones follow. */
export const resNet18: Network = (x, w, moving) => {
  const norm = (h: tf.Tensor, name: string): tf.Tensor => {
    const part = (key: string): tf.Tensor1D => get(w, `${name}.${key}`) as tf.Tensor1D;
    const { mean, variance } = moving
      ? batchMoments(h, name, moving)
      : { mean: part("running_mean"), variance: part("running_var") };
    return tf.batchNorm(h, mean, variance, part("bias"), part("weight"), 1e-5);
  };
  const block = (h: tf.Tensor, name: string, stride: number): tf.Tensor => {
    const layer = (h: tf.Tensor, conv: string, bn: string, pad: number, stride: number) =>
      norm(convolve(h, get(w, `${name}.${conv}.weight`), stride, pad), `${name}.${bn}`);
    const inner = tf.relu(layer(h, "conv1", "bn1", 1, stride));
    const outer = layer(inner, "conv2", "bn2", 1, 1);
    const branched = `${name}.shortcut.0.weight` in w;
    return tf.relu(tf.add(outer, branched ? layer(h, "shortcut.0", "shortcut.1", 0, stride) : h));
  };
  let h = tf.relu(norm(convolve(x, get(w, "conv1.weight"), 1, 1), "bn1"));
  for (const stage of [1, 2, 3, 4]) {
    h = block(h, `layer${stage}.0`, stage === 1 ? 1 : 2);
    h = block(h, `layer${stage}.1`, 1);
  }
  return dense(tf.mean(h, [1, 2]), w, "linear");
};

function batchMoments(h: tf.Tensor, name: string, moving: Moving): {
  mean: tf.Tensor1D;
  variance: tf.Tensor1D;
} {
  const { mean, variance } = tf.moments(h, [0, 1, 2]);
  const n = h.size / mean.size;
  const follow = (key: string, value: tf.Tensor): void => {
    const running = moving[`${name}.${key}`];
    running?.assign(tf.add(tf.mul(running, 0.9), tf.mul(value, 0.1)));
  };
  follow("running_mean", mean);
  follow("running_var", tf.mul(variance, n / (n - 1)));
  return { mean: mean as tf.Tensor1D, variance: variance as tf.Tensor1D };
}

function get(w: Tensors, name: string): tf.Tensor {
  const found = w[name];
  if (!found) throw new Error(`Unreachable: no weight ${name}`);
  return found;
}

function convolve(
  h: tf.Tensor,
  filter: tf.Tensor,
  stride: number,
  pad: number | "valid",
): tf.Tensor {
  return tf.conv2d(h as tf.Tensor4D, filter as tf.Tensor4D, stride, pad);
}

function dense(h: tf.Tensor, w: Tensors, name: string): tf.Tensor {
  return tf.add(tf.matMul(h, get(w, `${name}.weight`)), get(w, `${name}.bias`));
}
