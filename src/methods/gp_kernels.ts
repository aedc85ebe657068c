/**
 * Covariance functions of a Gaussian process, one length scale a class.
 *
 * @module
 */
import {
  add,
  constant,
  div,
  exp,
  log1p,
  mul,
  neg,
  rbf,
  reshape,
  scale,
  sqrt,
  square,
  squaredDistance,
  type Tensor,
} from "../nn/mod.ts";

/** The name of a kernel of DUE's Gaussian process. */
export type GpKernel = "RBF" | "Matern12" | "Matern32" | "Matern52" | "RQ";

/** All of them. */
export const gpKernels = [
  "RBF",
  "Matern12",
  "Matern32",
  "Matern52",
  "RQ",
] as const satisfies readonly GpKernel[];

/** What a covariance function depends on besides its arguments. */
export interface KernelParameters {
  /** l, `[C]` */
  readonly lengthScale: Tensor;
  /** Mixture parameter of the rational quadratic kernel, `[C]`. */
  readonly alpha?: Tensor | undefined;
}

/** `k_c(a_n, b_m)` with `k_c(a, a) = 1`: a `[N, D]`, b `[M, D]` to `[C, N, M]`. */
export type CovarianceFunction = (a: Tensor, b: Tensor, parameters: KernelParameters) => Tensor;

/** Every kernel by its name; r is the distance in length scales. */
export const covarianceFunctions: Readonly<Record<GpKernel, CovarianceFunction>> = {
  /** `exp(-r^2 / 2)` */
  RBF: (a, b, { lengthScale }) => rbf(a, b, lengthScale),
  /** `exp(-r)` */
  Matern12: (a, b, parameters) => exp(neg(distance(a, b, parameters))),
  /** `(1 + sqrt(3) r) exp(-sqrt(3) r)` */
  Matern32: (a, b, parameters) => {
    const r = scale(distance(a, b, parameters), Math.sqrt(3));
    return mul(add(r, 1), exp(neg(r)));
  },
  /** `(1 + sqrt(5) r + 5 r^2 / 3) exp(-sqrt(5) r)` */
  Matern52: (a, b, parameters) => {
    const r = scale(distance(a, b, parameters), Math.sqrt(5));
    return mul(add(add(r, 1), scale(square(r), 1 / 3)), exp(neg(r)));
  },
  /** `(1 + r^2 / (2 alpha))^-alpha` */
  RQ: (a, b, parameters) => {
    const { alpha = constant(1, parameters.lengthScale.shape) } = parameters;
    const each = reshape(alpha, [-1, 1, 1]);
    const r2 = squaredScaledDistance(a, b, parameters);
    return exp(neg(mul(each, log1p(div(r2, scale(each, 2))))));
  },
};

/** r; its derivative at 0 is 0. `[C, N, M]` */
function distance(a: Tensor, b: Tensor, parameters: KernelParameters): Tensor {
  return sqrt(squaredScaledDistance(a, b, parameters));
}

/** `r^2 = |a_n - b_m|^2 / l_c^2`: `[C, N, M]` */
function squaredScaledDistance(
  a: Tensor,
  b: Tensor,
  { lengthScale }: KernelParameters,
): Tensor {
  return div(squaredDistance(a, b), square(reshape(lengthScale, [-1, 1, 1])));
}
