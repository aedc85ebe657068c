/**
 * The last layer of a network by what it makes of training images.
 *
 * @module
 */
import { Matrix } from "ml-matrix";
import { type Head, smallestShare, type Training } from "./training.ts";

/** Logits may differ from what a linear layer would make by this share of the largest. */
const linearWithin = 1e-3;

/**
 * The last layer by least squares, of the smallest weights where training features leave a choice; otherwise why there
 * is none: the logits are no linear function of the features, or so few images cannot tell.
 */
export function lastLayerOf(training: Training): Head | "too few images" | "not linear" {
  const { features, logits, count, mean, spread } = training;
  const [h, z] = [features, logits].map(({ width, values }) =>
    Matrix.from1DArray(count, width, values)
  );
  if (!h || !z) throw new Error("Unreachable: two matrices were made");
  const zMean = z.mean("column");
  const centred = h.clone().subRowVector(Array.from(mean));
  const largest = spread.values[0] ?? 0;
  const inverse = Array.from(
    spread.values,
    (value) => value > smallestShare * largest ? 1 / (value * count) : 0,
  );
  // With no image to spare any logits are a linear function of the features.
  const determined = inverse.filter((value) => value > 0).length + 1;
  if (count <= determined) return "too few images";
  const along = spread.vectors.transpose().mmul(
    centred.transpose().mmul(z.clone().subRowVector(zMean)),
  );
  const weight = spread.vectors.mmul(along.mulColumnVector(inverse)).transpose(); // [C, D]
  const bias = Float64Array.from(
    zMean,
    (value, c) => value - mean.reduce((sum, m, i) => sum + m * weight.get(c, i), 0),
  );
  const apart = centred.mmul(weight.transpose()).addRowVector(zMean).sub(z).abs().max();
  if (apart > linearWithin * z.clone().abs().max()) return "not linear";
  const values = Float64Array.from(weight.to1DArray());
  return { weight: { width: features.width, values }, bias };
}
