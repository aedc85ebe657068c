/**
 * The largest probability at a high temperature, of an image that was first moved towards it.
 *
 * Paper: S. Liang et al., "Enhancing the reliability of out-of-distribution image detection in neural networks",
 * ICLR 2018, eq. 1 and 2, with the temperature 1000 and the step 0.0014 of its experiments. The moved image is
 * not clipped, and a slope of 0 counts as positive, as in the published code.
 *
 * @module
 */
import {
  argmax,
  constant,
  crossEntropy,
  exp,
  grad,
  greater,
  logSoftmax,
  max,
  scale,
  stopGradient,
  sub,
  sum,
  type Tensor,
  where,
} from "../nn/mod.ts";
import { logitsOf } from "./functions.ts";
import type { Score, Scored } from "./types.ts";

const temperature = 1000;
const length = 0.0014;

/**
 * `max_c softmax(f(x') / T)_c`, `x' = x - e sign(d CE(f(x) / T, argmax f(x)) / dx)`. A sign has no slope, so that
 * an attack sees the move as fixed; it raises the logarithm.
 */
export const odin: Score = {
  name: "odin",
  about: "the largest probability at temperature 1000, of the image moved by 0.0014 towards it",
  needs: ["logits"],
  score: (model, images) => exp(logLargest(model, images)),
  surrogate: logLargest,
};

/** The logarithm of the score. */
function logLargest(model: Scored, images: Tensor): Tensor {
  return max(logSoftmax(scale(logitsOf(model, moved(model, images)), 1 / temperature)));
}

/** Images after the step. */
function moved(model: Scored, images: Tensor): Tensor {
  const z = scale(logitsOf(model, images), 1 / temperature);
  const loss = sum(crossEntropy(z, argmax(z)));
  const [slope = images] = grad(loss, [images]);
  const step = where(
    greater(0, slope),
    constant(-length, images.shape),
    constant(length, images.shape),
  );
  return sub(images, stopGradient(step));
}
