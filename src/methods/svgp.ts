/**
 * Sparse variational Gaussian processes, one a class, over shared inducing points.
 *
 * Papers: J. Hensman et al., "Scalable variational Gaussian process classification", AISTATS 2015;
 * the whitened form is that of A. Matthews, "Scalable Gaussian process inference using variational
 * methods", 2016.
 *
 * With `K_ZZ + 1e-3 I = L L^T` and `A = L^-1 K_Zx`, the inducing values are `L v` with
 * `q(v) = N(m, S S^T)`, and the posterior at x has mean `A^T m + b` and variance
 * `k(x, x) + 1e-4 + |S^T A|^2 - |A|^2`. Names of the state are gpytorch's.
 *
 * @module
 */
import {
  add,
  cholesky,
  constant,
  type Device,
  diagonal,
  evaluate,
  identity,
  log,
  lowerTriangle,
  matmul,
  maximum,
  mul,
  Parameter,
  type Pass,
  pull,
  push,
  type Random,
  reshape,
  scale,
  softplus,
  square,
  type State,
  sub,
  sum,
  type Tensor,
  transpose,
  triangularSolve,
} from "../nn/mod.ts";
import { covarianceFunctions, type GpKernel } from "./gp_kernels.ts";

/** Numbers added to diagonals, as gpytorch adds them. */
const jitter = { inducing: 1e-3, data: 1e-4, smallest: 1e-6 } as const;

/** Sizes and kernel of a process. */
export interface SvgpOptions {
  readonly classes: number;
  readonly features: number;
  readonly inducingPoints: number;
  readonly kernel: GpKernel;
}

/** Marginals of the latent functions at each row: `[B, C]` each. */
export interface Marginals {
  readonly mean: Tensor;
  readonly variance: Tensor;
}

/** One process a class. */
export class SparseGaussianProcess {
  readonly state: State;
  readonly #options: SvgpOptions;
  /** Z, `[M, D]` */
  readonly #points: Parameter;
  /** m, `[C, M]` */
  readonly #mean: Parameter;
  /** S, `[C, M, M]`, of which the lower triangle counts */
  readonly #factor: Parameter;
  /** b, `[C, 1]` */
  readonly #constant: Parameter;
  readonly #rawOutputScale: Parameter;
  readonly #rawLengthScale: Parameter;
  readonly #rawAlpha: Parameter | undefined;
  /** `L^-1`, `[C, M, M]`: made in f64 on the host, once an evaluation. */
  readonly #whitening: Parameter;

  constructor(random: Random, options: SvgpOptions) {
    const { classes: c, features: d, inducingPoints: m, kernel } = options;
    this.#options = options;
    this.#points = new Parameter([m, d], random.normal(m * d), true);
    this.#mean = new Parameter([c, m], random.normal(c * m).map((n) => 1e-3 * n), true);
    const eye = Float32Array.from({ length: c * m * m }, (_, i) => i % (m * m) % (m + 1) ? 0 : 1);
    this.#factor = new Parameter([c, m, m], eye, true);
    this.#constant = new Parameter([c, 1], 0, true);
    this.#rawOutputScale = new Parameter([c], 0, true);
    this.#rawLengthScale = new Parameter([c, 1, 1], 0, true);
    this.#rawAlpha = kernel === "RQ" ? new Parameter([c, 1], 0, true) : undefined;
    this.#whitening = new Parameter([c, m, m], eye.slice());
    const strategy = "variational_strategy.base_variational_strategy";
    this.state = new Map([
      [`${strategy}.inducing_points`, this.#points],
      [`${strategy}._variational_distribution.variational_mean`, this.#mean],
      [`${strategy}._variational_distribution.chol_variational_covar`, this.#factor],
      ["mean_module.constant", this.#constant],
      ["covar_module.raw_outputscale", this.#rawOutputScale],
      ["covar_module.base_kernel.raw_lengthscale", this.#rawLengthScale],
      ...(this.#rawAlpha ? [["covar_module.base_kernel.raw_alpha", this.#rawAlpha] as const] : []),
    ]);
  }

  /** Starts from the given inducing points `[M, D]` and length scale. */
  start(points: ArrayLike<number>, lengthScale: number): void {
    this.#points.data.set(points);
    // Softplus of the raw value is the length scale.
    this.#rawLengthScale.data.fill(lengthScale + Math.log(-Math.expm1(-lengthScale)));
  }

  /**
   * The posterior at features `[B, D]`. In train mode the factorisation is part of the graph, with its
   * derivative; in evaluation it is what `finish` left.
   */
  posterior(features: Tensor, pass: Pass): Marginals {
    const points = pass.get(this.#points);
    const kzx = this.#covariance(points, features, pass); // [C, M, B]
    const a = pass.train
      ? triangularSolve(cholesky(this.#inducingCovariance(pass)), kzx)
      : matmul(pass.get(this.#whitening), kzx);
    const m = reshape(pass.get(this.#mean), [this.#options.classes, -1, 1]);
    const s = lowerTriangle(pass.get(this.#factor));
    const mean = add(sum(mul(a, m), [1]), pass.get(this.#constant)); // [C, B]
    const prior = add(reshape(this.#outputScale(pass), [-1, 1]), jitter.data);
    const learned = sum(square(matmul(s, a, { transposeA: true })), [1]);
    const variance = add(prior, sub(learned, sum(square(a), [1])));
    return { mean: transpose(mean), variance: transpose(maximum(variance, jitter.smallest)) };
  }

  /** `KL(q(v) || N(0, I))`, summed over the classes: a scalar in nats. */
  divergence(pass: Pass): Tensor {
    const [m, s] = [pass.get(this.#mean), lowerTriangle(pass.get(this.#factor))];
    const logDeterminant = sum(log(square(diagonal(s))));
    const traces = add(sum(square(s)), sum(square(m)));
    const { classes, inducingPoints } = this.#options;
    return scale(sub(sub(traces, logDeterminant), classes * inducingPoints), 0.5);
  }

  /** Factorises the inducing points' covariance for evaluation. */
  async finish(device: Device, pass: Pass): Promise<void> {
    await pull(device, this.state.values());
    const factor = cholesky(this.#inducingCovariance(pass));
    const { inducingPoints: m } = this.#options;
    const [inverse = []] = evaluate([triangularSolve(factor, identity(m))]);
    this.#whitening.data.set(inverse);
    push(device, [this.#whitening]);
  }

  #inducingCovariance(pass: Pass): Tensor {
    const points = pass.get(this.#points);
    const extra = mul(identity(this.#options.inducingPoints), constant(jitter.inducing));
    return add(this.#covariance(points, points, pass), extra);
  }

  /** `[C, N, M]` */
  #covariance(a: Tensor, b: Tensor, pass: Pass): Tensor {
    const lengthScale = softplus(reshape(pass.get(this.#rawLengthScale), [-1]));
    const alpha = this.#rawAlpha && softplus(reshape(pass.get(this.#rawAlpha), [-1]));
    const k = covarianceFunctions[this.#options.kernel](a, b, { lengthScale, alpha });
    return mul(reshape(this.#outputScale(pass), [-1, 1, 1]), k);
  }

  /** `[C]` */
  #outputScale(pass: Pass): Tensor {
    return softplus(pass.get(this.#rawOutputScale));
  }
}
