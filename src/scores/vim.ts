/**
 * The energy, less how far features lie outside of the space of training features.
 *
 * Paper: H. Wang et al., "ViM: Out-of-distribution with virtual-logit matching", CVPR 2022, eq. 6 and 7; of the
 * same order as the virtual logit's probability.
 *
 * The principal space has half as many dimensions as features have: the paper gives numbers for two widths only.
 *
 * @module
 */
import { Matrix, pseudoInverse } from "ml-matrix";
import { matmul, mul, rowNorm, sub, type Tensor } from "../nn/mod.ts";
import { arrayOf, featuresOf, logitsOf, logSumExp, vectorOf } from "./functions.ts";
import { lastLayerOf } from "./last_layer.ts";
import { eigenOf, type Head, productsOf, type Training } from "./training.ts";
import type { Fit, Score } from "./types.ts";

/**
 * `log sum_c exp(z_c) - alpha |R^T (h - o)|`: o the origin at which the last layer's logits are 0, R the
 * eigenvectors of `mean((h - o)(h - o)^T)` over training features beyond the D / 2 largest, alpha the mean of
 * their largest logits over that of their residuals' lengths.
 */
export const vim: Score<"origin" | "residual" | "alpha"> = {
  name: "vim",
  about:
    "the energy, less the length of the features' part outside of the training features' space",
  needs: ["logits", "features"],
  fit(training): Fit<"origin" | "residual" | "alpha"> {
    const { width, values } = training.features;
    const { weight, bias } = training.answers.head ?? headOf(training);
    const w = Matrix.from1DArray(bias.length, width, weight.values);
    const origin = pseudoInverse(w).mmul(Matrix.columnVector(Array.from(bias))).neg().to1DArray();
    const centred = values.map((value, i) => value - (origin[i % width] ?? NaN));
    const { vectors } = eigenOf(productsOf({ width, values: centred }), training.count);
    const residual = vectors.subMatrix(0, width - 1, Math.floor(width / 2), width - 1);
    const outside = Matrix.from1DArray(training.count, width, centred).mmul(residual);
    const lengths = outside.to2DArray().map((row) => Math.hypot(...row));
    const largest = rowsOf(training.logits).map((row) => Math.max(...row));
    const alpha = meanOf(largest) / meanOf(lengths);
    if (!(Number.isFinite(alpha) && alpha > 0)) {
      throw training.cannot(
        '"vim" finds no part of the features outside of their principal space',
        "choose other scores by --scores",
      );
    }
    return {
      origin: vectorOf(origin),
      residual: arrayOf(residual),
      alpha: vectorOf([alpha]),
    };
  },
  score(model, images, { origin, residual, alpha }): Tensor {
    const outside = rowNorm(matmul(sub(featuresOf(model, images), origin), residual));
    return sub(logSumExp(logitsOf(model, images)), mul(outside, alpha));
  },
};

/**
 * {@linkcode lastLayerOf}.
 *
 * @throws UserError when the logits are no such function of the features, or so few images cannot tell
 */
export function headOf(training: Training): Head {
  const found = lastLayerOf(training);
  if (found === "too few images") {
    throw training.cannot(
      `"vim" finds the last layer by more images than independent features and one, here by ${training.count}`,
      "give more images, or other scores by --scores",
    );
  }
  if (found === "not linear") {
    throw training.cannot(
      '"vim" needs logits that are a linear function of the features, and these are not',
      "choose other scores by --scores",
    );
  }
  return found;
}

function rowsOf({ width, values }: Training["logits"]): Float64Array[] {
  return Array.from(
    { length: values.length / width },
    (_, row) => values.subarray(row * width, (row + 1) * width),
  );
}

function meanOf(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
