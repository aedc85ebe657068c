/**
 * What scores are fitted on: features and logits of training images, and what several scores take from them.
 *
 * @module
 */
import { CholeskyDecomposition, EigenvalueDecomposition, Matrix } from "ml-matrix";
import { shortened, UserError } from "../base/errors.ts";

/** Rows of numbers, row-major. */
export interface Rows {
  /** How many numbers a row has. */
  readonly width: number;
  /** All of them. */
  readonly values: Float64Array;
}

/** A linear last layer, `logits = weight h + bias`. */
export interface Head {
  /** `[C, D]` */
  readonly weight: Rows;
  /** `[C]` */
  readonly bias: Float64Array;
}

/** What a model makes of N training images. */
export interface TrainingAnswers {
  /** Name of their set, for messages. */
  readonly name: string;
  /** `[N]`, their classes. */
  readonly labels: ArrayLike<number>;
  /** `[N, D]`, where the model has them. */
  readonly features?: Rows | undefined;
  /** `[N, C]`, where the model has them. */
  readonly logits?: Rows | undefined;
  /** The model's last layer, where it is known. */
  readonly head?: Head | undefined;
}

/** Eigenvalues from the largest down, and their eigenvectors as the columns of `[D, D]`. */
export interface Eigen {
  /** `[D]` */
  readonly values: Float64Array;
  /** `[D, D]` */
  readonly vectors: Matrix;
}

/**
 * Directions in which training features spread less than this share of the largest variance do not count. They
 * are those of dead units, and rounding; the smallest real ones are orders of magnitude above.
 */
export const smallestShare = 1e-10;

/** Features and logits of training images, with their moments, each of which is found when it is first asked for. */
export class Training {
  readonly #made = new Map<string, unknown>();

  /**
   * Takes what a model made of training images.
   *
   * @throws UserError when it is not finite everywhere
   */
  constructor(readonly answers: TrainingAnswers) {
    const { features, logits, labels } = answers;
    for (const [what, rows] of Object.entries({ features, logits })) {
      if (!rows) continue;
      if (rows.values.length !== rows.width * labels.length) {
        throw new Error(`Unreachable: ${what} of another number of images`);
      }
      const at = rows.values.findIndex((value) => !Number.isFinite(value));
      if (at >= 0) {
        throw this.cannot(
          `the ${what} of image ${Math.floor(at / rows.width)} are not finite`,
          "train the model again",
        );
      }
    }
  }

  /** N. */
  get count(): number {
    return this.answers.labels.length;
  }

  /** `[N, D]` */
  get features(): Rows {
    return this.answers.features ?? missing("features");
  }

  /** `[N, C]` */
  get logits(): Rows {
    return this.answers.logits ?? missing("logits");
  }

  /** Numbers of the images of each class that there is, in the classes' order. */
  get classes(): ReadonlyMap<number, readonly number[]> {
    return this.#once("classes", () => {
      const found = new Map<number, number[]>();
      Array.from(this.answers.labels).forEach((label, i) => {
        found.set(label, [...found.get(label) ?? [], i]);
      });
      return new Map([...found].sort(([a], [b]) => a - b));
    });
  }

  /** The mean of all features, `[D]`. */
  get mean(): Float64Array {
    return this.#once("mean", () => meanOf(this.features));
  }

  /** The mean features of each class that there is, `[K, D]`. */
  get classMeans(): Float64Array[] {
    return this.#once(
      "classMeans",
      () => [...this.classes.values()].map((rows) => meanOf(this.features, rows)),
    );
  }

  /** Of all features' covariance, divided by N. */
  get spread(): Eigen {
    return this.#once("spread", () => {
      const all = this.features.values.map((v, i) => v - (this.mean[i % this.mean.length] ?? NaN));
      return eigenOf(productsOf({ ...this.features, values: all }), this.count);
    });
  }

  /** Of the covariance that all classes share: of deviations from the class means, divided by N. */
  get tied(): Eigen {
    return this.#once("tied", () => {
      const { width, values } = this.features;
      const deviations = values.slice();
      [...this.classes.values()].forEach((rows, k) => {
        const mean = this.classMeans[k] ?? this.mean;
        for (const row of rows) {
          for (let i = 0; i < width; i++) {
            deviations[row * width + i] = (values[row * width + i] ?? NaN) - (mean[i] ?? NaN);
          }
        }
      });
      return eigenOf(productsOf({ width, values: deviations }), this.count);
    });
  }

  /** A refusal of these images. */
  cannot(state: string, remedy: string): UserError {
    const { name } = this.answers;
    return new UserError(`Cannot fit a score on ${shortened(name)}: ${state}; ${remedy}`);
  }

  #once<T>(name: string, make: () => T): T {
    if (!this.#made.has(name)) this.#made.set(name, make());
    return this.#made.get(name) as T;
  }
}

/** The mean of some rows, of all when not given. */
function meanOf({ width, values }: Rows, rows?: readonly number[]): Float64Array {
  const of = rows ?? Array.from({ length: values.length / width }, (_, i) => i);
  const mean = new Float64Array(width);
  for (const row of of) {
    for (let i = 0; i < width; i++) mean[i] = (mean[i] ?? 0) + (values[row * width + i] ?? NaN);
  }
  return mean.map((total) => total / of.length);
}

/** `X^T X`, `[D, D]`, of rows `[N, D]`. */
export function productsOf({ width, values }: Rows): Float64Array {
  const products = new Float64Array(width * width);
  for (let start = 0; start < values.length; start += width) {
    const row = values.subarray(start, start + width);
    for (let i = 0; i < width; i++) {
      const a = row[i] ?? NaN;
      if (a === 0) continue;
      for (let j = 0, at = i * width; j <= i; j++, at++) {
        products[at] = (products[at] ?? 0) + a * (row[j] ?? NaN);
      }
    }
  }
  for (let i = 0; i < width; i++) {
    for (let j = 0; j < i; j++) products[j * width + i] = products[i * width + j] ?? NaN;
  }
  return products;
}

/** Of a symmetric matrix `[D, D]` over a number, from the largest eigenvalue down. */
export function eigenOf(products: Float64Array, count: number): Eigen {
  const n = Math.sqrt(products.length);
  const matrix = Matrix.from1DArray(n, n, products.map((value) => value / count));
  const found = new EigenvalueDecomposition(matrix, { assumeSymmetric: true });
  const order = found.realEigenvalues.map((_, i) => i)
    .sort((a, b) => (found.realEigenvalues[b] ?? 0) - (found.realEigenvalues[a] ?? 0));
  return {
    values: Float64Array.from(order, (i) => found.realEigenvalues[i] ?? NaN),
    vectors: found.eigenvectorMatrix.subMatrixColumn(order),
  };
}

/**
 * `[D, R]` whose product with a row is as long as the row is by the pseudo-inverse of a covariance: its
 * eigenvectors over the roots of their eigenvalues, without the directions that do not count.
 *
 * @throws UserError when none counts
 */
export function whitening(training: Training, { values, vectors }: Eigen): Matrix {
  const largest = values[0] ?? 0;
  const rank = values.filter((value) => value > smallestShare * largest).length;
  if (!(largest > 0) || rank === 0) {
    throw training.cannot(
      "its features are the same for all images of a class",
      "take more images, or scores of the logits",
    );
  }
  const kept = vectors.subMatrix(0, vectors.rows - 1, 0, rank - 1);
  return kept.mulRowVector(Array.from(values.subarray(0, rank), (value) => 1 / Math.sqrt(value)));
}

/**
 * The lower factor `L` of `L L^T = A`, its inverse, and the logarithm of A's determinant.
 *
 * @returns nothing where A is not positive definite
 */
export function factorOf(a: Matrix): { inverse: Matrix; logDeterminant: number } | undefined {
  const found = new CholeskyDecomposition(a);
  if (!found.isPositiveDefinite()) return undefined;
  const lower = found.lowerTriangularMatrix;
  const n = lower.rows;
  const inverse = Matrix.zeros(n, n);
  let logDeterminant = 0;
  for (let i = 0; i < n; i++) {
    const pivot = lower.get(i, i);
    logDeterminant += 2 * Math.log(pivot);
    for (let j = 0; j <= i; j++) {
      let sum = i === j ? 1 : 0;
      for (let k = j; k < i; k++) sum -= lower.get(i, k) * inverse.get(k, j);
      inverse.set(i, j, sum / pivot);
    }
  }
  return { inverse, logDeterminant };
}

function missing(what: string): never {
  throw new Error(`Unreachable: a score is fitted without ${what}`);
}
