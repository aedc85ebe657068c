/**
 * What several scores are made of.
 *
 * @module
 */
import { Matrix } from "ml-matrix";
import {
  add,
  div,
  Draws,
  exp,
  log,
  matmul,
  max,
  maximum,
  Random,
  reshape,
  rowNorm,
  stopGradient,
  sub,
  sum,
  type Tensor,
} from "../nn/mod.ts";
import type { FitArray, Scored } from "./types.ts";

/** A matrix as an array of a fit. */
export function arrayOf(matrix: Matrix): FitArray {
  return {
    shape: [matrix.rows, matrix.columns],
    values: Float64Array.from(matrix.to1DArray()),
  };
}

/** Numbers as an array of a fit, `[n]`. */
export function vectorOf(values: ArrayLike<number>): FitArray {
  return { shape: [values.length], values: Float64Array.from(values) };
}

/** Rows of a matrix from arrays. */
export function matrixOf(rows: readonly Float64Array[]): Matrix {
  return new Matrix(rows.map((row) => Array.from(row)));
}

/** Log-probabilities `[B, C]`; where a method samples them, always by the same draws. */
export function logProbabilitiesOf(model: Scored, images: Tensor): Tensor {
  return model.logProbabilities(images, new Draws(new Random(0).fork("scores")));
}

/** Logits `[B, C]` of a model that has them. */
export function logitsOf(model: Scored, images: Tensor): Tensor {
  return model.logits?.(images) ?? missing("logits");
}

/** Features `[B, D]` of a model that has them. */
export function featuresOf(model: Scored, images: Tensor): Tensor {
  return model.features?.(images) ?? missing("features");
}

/** `log sum_c exp(z_c)` of each row, stable: `[B, C]` to `[B]`. */
export function logSumExp(z: Tensor): Tensor {
  const top = stopGradient(max(z, -1, true)); // [B, 1]
  return reshape(add(log(sum(exp(sub(z, top)), [1], true)), top), [-1]);
}

/** Rows `[B, D]` less a centre `[D]`, by a whitening `[D, R]`: `[B, R]`. */
export function whitened(h: Tensor, centre: Tensor, whitening: Tensor): Tensor {
  return matmul(sub(h, centre), whitening);
}

/** Rows scaled to length 1: `[B, D]`. A row of zeros stays one. */
export function unitRows(h: Tensor): Tensor {
  return div(h, reshape(maximum(rowNorm(h), shortest), [-1, 1]));
}

/** Below it a row is not made longer. */
export const shortest = 1e-10;

function missing(what: string): never {
  throw new Error(`Unreachable: a score of a model without ${what}`);
}
