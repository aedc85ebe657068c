/** The sparse Gaussian process against the dense formulas, worked out here in plain f64. */
import assert from "node:assert/strict";
import { covarianceFunctions } from "../src/methods/gp_kernels.ts";
import { type GpKernel, gpKernels } from "../src/methods/mod.ts";
import { SparseGaussianProcess } from "../src/methods/svgp.ts";
import * as nn from "../src/nn/mod.ts";
import { checkGrads, positive, v, wave } from "./check_grads.ts";
import { withDevice } from "./support.ts";

type Matrix = number[][];

/** Kernels by their definition in the literature; r is the distance, l the length scale. */
const definitions: Readonly<Record<GpKernel, (r: number, l: number, alpha: number) => number>> = {
  RBF: (r, l) => Math.exp(-(r ** 2) / (2 * l ** 2)),
  Matern12: (r, l) => Math.exp(-r / l),
  Matern32: (r, l) => (1 + Math.sqrt(3) * r / l) * Math.exp(-Math.sqrt(3) * r / l),
  Matern52: (r, l) =>
    (1 + Math.sqrt(5) * r / l + 5 * r ** 2 / (3 * l ** 2)) * Math.exp(-Math.sqrt(5) * r / l),
  RQ: (r, l, alpha) => (1 + r ** 2 / (2 * alpha * l ** 2)) ** -alpha,
};

const [classes, features, points, rows] = [3, 4, 5, 6];

/** A process whose every parameter is set, and the same numbers as plain arrays. */
function example(kernel: GpKernel): {
  readonly process: SparseGaussianProcess;
  readonly values: (name: string) => Float32Array;
} {
  const options = { classes, features, inducingPoints: points, kernel };
  const process = new SparseGaussianProcess(new nn.Random(1), options);
  let phase = 1;
  for (const parameter of process.state.values()) {
    const n = nn.size(parameter.shape);
    parameter.data.set(wave(n, phase++).map((x) => 0.7 * x + 0.2));
  }
  return {
    process,
    values: (name) => Float32Array.from(process.state.get(name)?.data ?? []),
  };
}

const strategy = "variational_strategy.base_variational_strategy";
const x = wave(rows * features, 9).map(Math.fround);

for (const kernel of gpKernels) {
  Deno.test(`the posterior under ${kernel} is that of the dense formula`, async () => {
    const { process, values } = example(kernel);
    const input = nn.input([rows, features]);
    const pass = new nn.Pass(true);
    const { mean, variance } = process.posterior(input, pass);
    const leaves = new Map([[input, x]]);
    const exact = nn.evaluate([mean, variance, process.divergence(pass)], leaves);
    const dense = denseFormulas(kernel, values);
    closeTo(exact[0] ?? [], dense.mean, 1e-9, "mean");
    closeTo(exact[1] ?? [], dense.variance, 1e-9, "variance");
    closeTo(exact[2] ?? [], [dense.divergence], 1e-9, "divergence");

    await withDevice(async (device) => {
      // In evaluation the factor was inverted on the host.
      await process.finish(device, new nn.Pass(false));
      const evaluated = process.posterior(input, new nn.Pass(false));
      const outputs = [mean, variance, evaluated.mean, evaluated.variance];
      using program = await nn.compile(device, { inputs: [input], outputs });
      program.run([Float32Array.from(x)]);
      for (const [i, node] of outputs.entries()) {
        const wanted = i % 2 === 0 ? dense.mean : dense.variance;
        closeTo(await program.read(node), wanted, 1e-4, `output ${i} on the device`);
      }
    });
  });

  Deno.test(`the covariance function ${kernel} has right gradients of order 1`, () => {
    const k = covarianceFunctions[kernel];
    checkGrads(
      (a, b, lengthScale, alpha) => k(a, b, { lengthScale, alpha }),
      [v(3, 4), v(2, 4), positive(3), positive(3)],
      kernel === "RQ" ? 2 : 1,
    );
  });
}

Deno.test("`start()` sets the inducing points and the length scale", () => {
  const { process, values } = example("RBF");
  const centres = wave(points * features, 4);
  for (const lengthScale of [0.01, 1, 7.5, 200]) {
    process.start(centres, lengthScale);
    closeTo(values(`${strategy}.inducing_points`), centres, 1e-7, "points");
    for (const raw of values("covar_module.base_kernel.raw_lengthscale")) {
      const made = raw > 20 ? raw : Math.log1p(Math.exp(raw));
      assert.ok(Math.abs(made / lengthScale - 1) < 1e-5, `${made} for ${lengthScale}`);
    }
  }
});

/** Mean, variance and divergence by inverses and determinants, class by class. */
function denseFormulas(
  kernel: GpKernel,
  values: (name: string) => Float32Array,
): { mean: number[]; variance: number[]; divergence: number } {
  const z = values(`${strategy}.inducing_points`);
  const m = values(`${strategy}._variational_distribution.variational_mean`);
  const s = values(`${strategy}._variational_distribution.chol_variational_covar`);
  const offset = values("mean_module.constant");
  const softplus = (t = 0): number => Math.log1p(Math.exp(t));
  const mean = new Array<number>(rows * classes);
  const variance = new Array<number>(rows * classes);
  let divergence = 0;
  for (let c = 0; c < classes; c++) {
    const scale = softplus(values("covar_module.raw_outputscale")[c]);
    const l = softplus(values("covar_module.base_kernel.raw_lengthscale")[c]);
    const alpha = softplus(values("covar_module.base_kernel.raw_alpha")[c]);
    const k = (a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number): number => {
      let squared = 0;
      for (let d = 0; d < features; d++) {
        squared += ((a[i * features + d] ?? 0) - (b[j * features + d] ?? 0)) ** 2;
      }
      return scale * definitions[kernel](Math.sqrt(squared), l, alpha);
    };
    const kzz = square(points, (i, j) => k(z, i, z, j) + (i === j ? 1e-3 : 0));
    const root = choleskyByHand(kzz);
    const factor = square(points, (i, j) => j > i ? 0 : s[(c * points + i) * points + j] ?? 0);
    const inverse = invert(kzz);
    // q(u): mean L m, covariance L S S^T L^T.
    const mu = times(root, square(points, (i, j) => j === 0 ? m[c * points + i] ?? 0 : 0));
    const sigma = times(times(root, times(factor, transposed(factor))), transposed(root));
    for (let r = 0; r < rows; r++) {
      const kx = Array.from({ length: points }, (_, i) => k(x, r, z, i));
      const w = inverse.map((row) => dot(row, kx)); // K_ZZ^-1 k
      const at = r * classes + c;
      mean[at] = (offset[c] ?? 0) + w.reduce((sum, wi, i) => sum + wi * (mu[i]?.[0] ?? 0), 0);
      const prior = kzz.map((row) => dot(row, w));
      const learned = sigma.map((row) => dot(row, w));
      variance[at] = scale + 1e-4 - dot(w, prior) + dot(w, learned);
    }
    const covariance = times(factor, transposed(factor));
    const trace = covariance.reduce((sum, row, i) => sum + (row[i] ?? 0), 0);
    const norm = Array.from({ length: points }, (_, i) => (m[c * points + i] ?? 0) ** 2)
      .reduce((a, b) => a + b, 0);
    divergence += 0.5 * (trace + norm - points - Math.log(determinant(covariance)));
  }
  return { mean, variance, divergence };
}

function square(n: number, f: (i: number, j: number) => number): Matrix {
  return Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => f(i, j)));
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, ai, i) => sum + ai * (b[i] ?? 0), 0);
}

function transposed(a: Matrix): Matrix {
  return square(a.length, (i, j) => a[j]?.[i] ?? 0);
}

function times(a: Matrix, b: Matrix): Matrix {
  const columns = transposed(b);
  return square(a.length, (i, j) => dot(a[i] ?? [], columns[j] ?? []));
}

/** Gauss and Jordan; also gives the determinant. */
function eliminate(a: Matrix): { inverse: Matrix; determinant: number } {
  const n = a.length;
  const work = a.map((row, i) => [...row, ...square(n, (p, q) => p === q ? 1 : 0)[i] ?? []]);
  let product = 1;
  for (let c = 0; c < n; c++) {
    const best = work.map((row, i) => [Math.abs(row[c] ?? 0), i] as const)
      .slice(c).reduce((p, q) => q[0] > p[0] ? q : p)[1];
    const [upper = [], lower = []] = [work[c], work[best]];
    if (best !== c) product = -product;
    work[c] = lower;
    work[best] = upper;
    const pivot = work[c]?.[c] ?? 0;
    product *= pivot;
    work[c] = (work[c] ?? []).map((value) => value / pivot);
    for (let r = 0; r < n; r++) {
      const factor = work[r]?.[c] ?? 0;
      if (r !== c) {
        work[r] = (work[r] ?? []).map((value, j) => value - factor * (work[c]?.[j] ?? 0));
      }
    }
  }
  return { inverse: work.map((row) => row.slice(n)), determinant: product };
}

function invert(a: Matrix): Matrix {
  return eliminate(a).inverse;
}

function determinant(a: Matrix): number {
  return eliminate(a).determinant;
}

function choleskyByHand(a: Matrix): Matrix {
  const l = square(a.length, () => 0);
  a.forEach((row, i) => {
    for (let j = 0; j <= i; j++) {
      const rest = (row[j] ?? 0) - dot((l[i] ?? []).slice(0, j), (l[j] ?? []).slice(0, j));
      (l[i] ?? [])[j] = i === j ? Math.sqrt(rest) : rest / (l[j]?.[j] ?? 0);
    }
  });
  return l;
}

function closeTo(
  ours: ArrayLike<number>,
  theirs: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  assert.equal(ours.length, theirs.length, what);
  for (let i = 0; i < theirs.length; i++) {
    const [a, b] = [ours[i] ?? NaN, theirs[i] ?? NaN];
    assert.ok(Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b)), `${what} ${i}: ${a}, ${b}`);
  }
}
