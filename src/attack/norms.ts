/**
 * The norms that a change of an image is measured in: each says which way is steepest by it, and what lies in
 * its ball. One line each in `norms`.
 *
 * @module
 */
import {
  abs,
  add,
  broadcastTo,
  clip,
  constant,
  div,
  equal,
  greater,
  kthLargest,
  max,
  maximum,
  minimum,
  mul,
  nonFinite,
  projectL1,
  reciprocal,
  reshape,
  rowNorm,
  scale,
  sign,
  size,
  sub,
  sum,
  type Tensor,
  where,
} from "../nn/mod.ts";

/** A norm of changes `[B, ...]`, image by image. */
export interface Norm {
  /** Its key in `norms`. */
  readonly name: string;
  /** Its name in prose. */
  readonly title: string;
  /**
   * The direction `[B, ...]` of length 1 in which a loss of this gradient rises fastest. Pixels whose slope is
   * no finite number have no part in it; an image without a slope has the direction 0.
   *
   * @param step of which length, and from which images `[B, ...]` in [0, 1], a step is made against it: where pixels
   * share its length, those have no part that it would push out of [0, 1], and so many have that none need change by
   * more than 1
   */
  steepest(
    gradient: Tensor,
    step?: { readonly from: Tensor; readonly length: number },
  ): Tensor;
  /**
   * The images of the ball around `center` that are next to `images`, `[B, ...]`; where cutting those to [0, 1]
   * afterwards would leave others than the next in both, of ball and [0, 1].
   */
  project(images: Tensor, center: Tensor, radius: number): Tensor;
  /** Changes `[B, ...]` of noise of that shape that are anywhere in the ball once projected: where restarts begin. */
  anywhere(draw: (distribution: "uniform" | "normal") => Tensor, radius: number): Tensor;
  /** Length of each image's change: `[B, ...]` to `[B]`. */
  lengthOf(change: Tensor): Tensor;
  /** Largest length that any change of `pixels` pixels by at most 1 has. */
  largest(pixels: number): number;
  /** A length that normal noise of deviation 1 on `pixels` pixels does not pass. */
  noiseBound(pixels: number): number;
  /** By how much a length may seem larger than it is, as f32 rounds it. */
  rounding(pixels: number): number;
}

/** Standard deviations beyond which no normal number of the generator lies. */
const normalBound = 5.8;

/** Rounding of a pixel, with some room. */
const hair = 1e-6;

/** Every pixel by itself: the largest change counts. */
const linf: Norm = {
  name: "linf",
  title: "L-infinity",
  steepest(gradient): Tensor {
    const direction = sign(gradient);
    return where(nonFinite(direction), constant(0, gradient.shape), direction);
  },
  project: (images, center, radius) => clip(images, sub(center, radius), add(center, radius)),
  anywhere: (draw, radius) => add(scale(draw("uniform"), 2 * radius), -radius),
  lengthOf: (change) => max(reshape(abs(change), [change.shape[0] ?? 1, -1])),
  largest: () => 1,
  noiseBound: () => normalBound,
  rounding: () => hair,
};

/** Euclidean length. */
const l2: Norm = {
  name: "l2",
  title: "L2",
  steepest(gradient): Tensor {
    const finite = where(nonFinite(gradient), constant(0, gradient.shape), gradient);
    // Squares of slopes as small as a saturated model's would be 0 in f32: the largest slope is made 1 first.
    const top = linf.lengthOf(finite); // [B]
    const unscaled = div(finite, rows(where(top, top, constant(1, top.shape)), finite));
    return div(unscaled, rows(maximum(rowNorm(unscaled), 1e-12), finite));
  },
  project(images, center, radius): Tensor {
    const change = sub(images, center);
    const length = maximum(rowNorm(change), 1e-12);
    return add(center, mul(change, rows(minimum(scale(reciprocal(length), radius), 1), change)));
  },
  // A random direction, of the whole radius: nearly all of a ball of many dimensions lies at its border.
  anywhere: (draw, radius) => scale(l2.steepest(draw("normal")), radius),
  lengthOf: rowNorm,
  largest: Math.sqrt,
  noiseBound: (pixels) => Math.sqrt(pixels) + normalBound,
  rounding: (pixels) => hair * Math.sqrt(pixels),
};

/** Of all pixels those that a step in L1 changes. */
const sparsity = 0.01;

/**
 * The sum of all changes. The one steepest pixel alone would make steps that are soon held by its borders: steps
 * are shared by the steepest hundredth of all pixels that can still be moved (F. Tramer and D. Boneh, "Adversarial
 * training and robustness for multiple perturbations", NeurIPS 2019). Its projection is that to ball and [0, 1].
 */
const l1: Norm = {
  name: "l1",
  title: "L1",
  steepest(gradient, step): Tensor {
    const [count = 1, ...rest] = gradient.shape;
    const pixels = size(rest);
    const most = Math.min(pixels, Math.ceil(Math.max(sparsity * pixels, step?.length ?? 0)));
    const stays = step && equal(clip(sub(step.from, sign(gradient)), 0, 1), step.from);
    const free = stays ? where(stays, constant(0, gradient.shape), gradient) : gradient;
    return sparseSign(free, constant(most, [count]));
  },
  project: (images, center, radius) =>
    projectL1(images, center, constant(radius, [center.shape[0] ?? 1])),
  // Normal noise, of which the projection leaves the largest changes.
  anywhere: (draw) => draw("normal"),
  lengthOf: (change) => sum(reshape(abs(change), [change.shape[0] ?? 1, -1]), [1]),
  largest: (pixels) => pixels,
  noiseBound: (pixels) => Math.sqrt(2 / Math.PI) * pixels + normalBound * Math.sqrt(pixels),
  rounding: (pixels) => hair * pixels,
};

/**
 * The signs `[B, ...]` of each image's steepest pixels, divided by how many they are, and 0 at all others: of L1
 * length 1. Pixels as steep as the last of them count too, those whose slope is no finite number never do; an image
 * without a slope has 0.
 *
 * @param most `[B]`, how many pixels, from 1 to all
 */
export function sparseSign(gradient: Tensor, most: Tensor): Tensor {
  const none = constant(0, gradient.shape);
  const slope = where(nonFinite(gradient), none, gradient);
  const kept = where(greater(rows(kthLargest(slope, most), slope), abs(slope)), none, sign(slope));
  return div(kept, rows(maximum(l1.lengthOf(kept), 1), gradient));
}

/** One number an image, `[B]`, for each of its pixels. */
export function rows(values: Tensor, like: Tensor): Tensor {
  return broadcastTo(reshape(values, [-1, ...like.shape.slice(1).map(() => 1)]), like.shape);
}

/** Every norm by its name. */
export const norms = { linf, l2, l1 } as const satisfies Record<string, Norm>;

/** The name of a norm. */
export type NormName = keyof typeof norms;
