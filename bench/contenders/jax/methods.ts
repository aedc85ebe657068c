/**
 * What is trained. Every function here consumes its arguments.
 *
 * @module
 */
import { grad, lax, numpy as np } from "@jax-js/jax";
import { type Arrays, type JaxArray, keep, take, within } from "./arrays.ts";
import {
  convolve,
  crossEntropy,
  dense,
  leNet,
  leNetFeatures,
  type Pool,
  resNet18Training,
} from "./networks.ts";
import type { Method } from "./train.ts";

/** LeNet under cross-entropy. */
export const classifier: Method = {
  loss: (w, state, x, y) => [meanCrossEntropy(leNet(w, x), y), state],
};

/** ResNet-18 under cross-entropy. */
export const residual: Method = {
  loss(w, state, x, y): [JaxArray, Arrays] {
    const { logits, running } = resNet18Training(w, state, x);
    return [meanCrossEntropy(logits, y), running];
  },
};

/** Spectral normalisation, fixed projection, layer norm, random Fourier features, sum of the precision. */
export const sngp: Method = {
  loss(w, state, x, y): [JaxArray, Arrays] {
    const { z, vectors } = encode(w, state, x);
    const k = np.matmul(z, take(state, "random_matrix").ref.transpose());
    const centred = k.ref.sub(np.mean(k, -1, { keepdims: true }));
    const variance = np.mean(np.square(centred.ref), -1, { keepdims: true });
    const normal = centred.div(np.sqrt(variance.add(1e-5)));
    const h = normal.mul(take(w, "normalize.weight")).add(take(w, "normalize.bias"));
    const [frequencies, phases] = [take(state, "rff.W").ref, take(state, "rff.b").ref];
    const phi = np.cos(np.matmul(h, frequencies).add(phases)).mul(0.5);
    const fixed = lax.stopGradient(phi.ref);
    const precision = take(state, "precision_matrix").add(np.matmul(fixed.ref.transpose(), fixed));
    const logits = dense(phi, take(w, "beta.weight"), take(w, "beta.bias"));
    return [meanCrossEntropy(logits, y), { ...state, ...vectors, precision_matrix: precision }];
  },
};

/** Images to features; and the vectors after the power iterations. */
function encode(w: Arrays, state: Arrays, x: JaxArray): { z: JaxArray; vectors: Arrays } {
  const prefix = "feature_extractor.";
  const plain: Arrays = {};
  const vectors: Arrays = {};
  for (const layer of ["conv1.0", "conv2.0", "fc_1.0"]) {
    const name = `${prefix}${layer}.weight`;
    const weight = take(w, `${name}_orig`);
    const made = spectral(weight, take(state, `${name}_u`), take(state, `${name}_v`));
    vectors[`${name}_u`] = made.u;
    vectors[`${name}_v`] = made.v;
    plain[`${layer}.weight`] = made.weight;
    plain[`${layer}.bias`] = take(w, `${prefix}${layer}.bias`);
  }
  return { z: leNetFeatures(plain, x, 0), vectors };
}

/** `w / max(1, sigma / 3)` after one power iteration on the convolution, or the matrix, that w is. */
function spectral(
  w: JaxArray,
  u: JaxArray,
  old: JaxArray,
): { weight: JaxArray; u: JaxArray; v: JaxArray } {
  const matrix = w.ndim === 2;
  const apply = (v: JaxArray, w: JaxArray): JaxArray =>
    matrix ? np.matmul(v, w.transpose()) : convolve(v, w);
  const adjoint = (u: JaxArray, w: JaxArray): JaxArray =>
    matrix ? np.matmul(u, w) : lax.convTranspose(u, w, [1, 1], "VALID", { transposeKernel: true });
  old.dispose();
  const fixed = lax.stopGradient(w.ref);
  const v = unit(adjoint(u, fixed.ref));
  const next = unit(apply(v.ref, fixed));
  const sigma = next.ref.mul(apply(v.ref, w.ref)).sum();
  return { weight: w.div(np.maximum(sigma.mul(1 / 3), 1)), u: next, v };
}

function unit(t: JaxArray): JaxArray {
  return t.ref.div(np.maximum(np.sqrt(np.square(t).sum()), 1e-12));
}

/** Hyper-parameters of DUQ. */
const settings = { gamma: 0.999, lambda: 0.3, lengthScale: 0.5 } as const;

/** Kernel values of ten centroids under binary cross-entropy, with the gradient penalty. */
export const duq: Method = {
  loss(w, state, x, y): [JaxArray, Arrays] {
    const centroids = take(state, "m").ref.div(take(state, "N").ref); // [K, C]
    // Weights are closed over: the library stops the gradient of what `grad` is not taken by.
    const total = (x: JaxArray): JaxArray => kernel(keep(w), centroids.ref, x).sum();
    const norm = np.sqrt(np.square(grad(total)(x.ref)).sum([1, 2, 3]));
    const penalty = np.mean(np.square(norm.sub(1)));
    const k = kernel(w, centroids, x);
    const right = np.log(k.ref).mul(y.ref);
    const wrong = np.log(np.subtract(1, k)).mul(np.subtract(1, y));
    const bce = np.mean(right.add(wrong)).mul(-1);
    return [bce.add(penalty.mul(settings.lambda)), state];
  },
  after(w, state, x, y): Arrays {
    const sums = np.einsum("bkc,bc->kc", embed(w, x), y.ref);
    const blend = (name: string, batch: JaxArray): JaxArray =>
      take(state, name).mul(settings.gamma).add(batch.mul(1 - settings.gamma));
    return { N: blend("N", y.sum(0)), m: blend("m", sums) };
  },
};

/** Images to `[B, C]`. */
function kernel(w: Arrays, centroids: JaxArray, x: JaxArray): JaxArray {
  const distances = np.mean(np.square(embed(w, x).sub(centroids)), 1);
  return np.exp(distances.mul(-1 / (2 * settings.lengthScale ** 2)));
}

/** Images to `[B, K, C]`. */
function embed(w: Arrays, x: JaxArray): JaxArray {
  const z = leNetFeatures(within(w, "feature_extractor."), x, 2, firstMax);
  return np.einsum("bf,kcf->bkc", z, take(w, "W"));
}

/** The first of the largest has the whole gradient, which the penalty is about. */
const firstMax: Pool = (h) => firstOfPairs(firstOfPairs(h, 3), 2);

/** The larger of every two elements along an axis, the first where they are equal. */
function firstOfPairs(h: JaxArray, axis: number): JaxArray {
  const shape = h.shape.flatMap((n, i) => i === axis ? [n / 2, 2] : [n]);
  const [first, second] = np.split(h.reshape(shape), 2, axis + 1);
  if (!first || !second) throw new Error("Unreachable: two halves");
  const larger = np.where(first.ref.greaterEqual(second.ref), first, second);
  return larger.reshape(h.shape.map((n, i) => i === axis ? n / 2 : n));
}

function meanCrossEntropy(logits: JaxArray, y: JaxArray): JaxArray {
  return crossEntropy(logits, y).mul(1 / (y.shape[0] ?? 1));
}
