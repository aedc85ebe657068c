/**
 * Temperature scaling: any score of the logits, after they are divided by the temperature that fits labels best.
 *
 * Paper: C. Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2.
 *
 * @module
 */
import { logSoftmax, mul, reciprocal, type Tensor } from "../nn/mod.ts";
import { logitsOf, vectorOf } from "./functions.ts";
import type { Rows, Training } from "./training.ts";
import type { FitTensors, Score, Scored } from "./types.ts";

/** Temperatures that are looked at. */
const [coldest, hottest] = [1e-3, 1e3];

/**
 * A score of logits over the temperature that is fitted on the labels of its training images.
 *
 * @param inner takes log-probabilities or logits, and is fitted on nothing
 * @param name of the score
 */
export function tempered(inner: Score, name: string): Score<"temperature"> {
  return {
    name,
    about: `${inner.about}, after temperature scaling`,
    needs: ["logits"],
    fit: (training) => ({ temperature: vectorOf([fitted(training)]) }),
    score: (model, images, fit) => inner.score(cooled(model, fit), images, {}),
    surrogate: (model, images, fit) =>
      (inner.surrogate ?? inner.score).call(inner, cooled(model, fit), images, {}),
  };
}

/** A model whose logits are over the temperature. */
function cooled(model: Scored, { temperature }: FitTensors<"temperature">): Scored {
  const logits = (x: Tensor): Tensor => mul(logitsOf(model, x), reciprocal(temperature));
  return { logits, logProbabilities: (x) => logSoftmax(logits(x)) };
}

/** The temperature of training images. */
function fitted(training: Training): number {
  const temperature = temperatureOf(training.logits, training.answers.labels);
  if (temperature !== undefined) return temperature;
  throw training.cannot(
    "no temperature makes its labels likeliest, as where every image is classified rightly",
    "give images that the model did not learn from, or other scores by --scores",
  );
}

/**
 * The temperature T at which `softmax(z / T)` has the smallest negative log-likelihood of the labels. That is
 * convex in 1 / T, so that its derivative `mean(E_p[z] - z_y)` is 0 there alone.
 *
 * @param rows `[N, C]`, logits or log-probabilities; of another class than the label one may be minus infinity
 * @param labels `[N]`
 * @returns T from 0.001 to 1000; undefined where there is none: where every image is classified rightly, or by
 * chance
 */
export function temperatureOf(rows: Rows, labels: ArrayLike<number>): number | undefined {
  const slope = (inverse: number): number => slopeAt(rows, labels, inverse);
  // The slope rises with 1 / T.
  let [low, high] = [Math.log(1 / hottest), Math.log(1 / coldest)];
  if (!(slope(Math.exp(low)) < 0 && slope(Math.exp(high)) > 0)) return undefined;
  for (let i = 0; i < 48; i++) {
    const middle = (low + high) / 2;
    if (slope(Math.exp(middle)) < 0) low = middle;
    else high = middle;
  }
  return Math.exp(-(low + high) / 2);
}

/** The derivative of the negative log-likelihood in 1 / T, summed over the images. */
function slopeAt({ width, values }: Rows, labels: ArrayLike<number>, inverse: number): number {
  let total = 0;
  for (let row = 0, start = 0; start < values.length; row++, start += width) {
    let top = -Infinity;
    for (let c = 0; c < width; c++) top = Math.max(top, values[start + c] ?? NaN);
    let [mean, all] = [0, 0];
    for (let c = 0; c < width; c++) {
      const z = values[start + c] ?? NaN;
      const weight = Math.exp((z - top) * inverse);
      // What has no weight may be minus infinity.
      if (weight > 0) mean += weight * z;
      all += weight;
    }
    total += mean / all - (values[start + (labels[row] ?? NaN)] ?? NaN);
  }
  return total;
}
