/** MC dropout, Laplace and the evidential network against their formulas, written out plainly in f64. */
import assert from "node:assert/strict";
import {
  digamma,
  divergenceFromUniform,
  Evidential,
  expectedSquaredError,
  logGamma,
} from "../src/methods/evidential.ts";
import { Classifier } from "../src/methods/classifier.ts";
import { Laplace } from "../src/methods/laplace.ts";
import { McDropout } from "../src/methods/mc_dropout.ts";
import { type ModelOptions } from "../src/methods/mod.ts";
import { type Procedure, procedureOf } from "../src/methods/protocol.ts";
import * as nn from "../src/nn/mod.ts";
import { checkGrads, wave } from "./check_grads.ts";
import { hyperparametersOf } from "./hyperparameters.ts";
import { withDevice } from "./support.ts";

const classes = 10;
const draws = (seed = 0): nn.Draws => new nn.Draws(new nn.Random(seed));

function options(
  own: Parameters<typeof hyperparametersOf>[0] = {},
  chosen: Partial<Procedure> = {},
): ModelOptions {
  return {
    random: new nn.Random(5),
    procedure: procedureOf("paper", chosen),
    ...hyperparametersOf(own),
  };
}

/** Pictures of waves, in [0, 1]. */
function pictures(count: number): Float32Array {
  return Float32Array.from(wave(count * 784, 0.3), (value) => 0.5 + 0.5 * value);
}

const images = (count: number): nn.Tensor => nn.constant(pictures(count), [count, 1, 28, 28]);

/** The values of one node in f64. */
function valueOf(node: nn.Tensor): Float64Array {
  return Float64Array.from(nn.evaluate([node])[0] ?? []);
}

function near(found: number, wanted: number, tolerance: number, what = ""): void {
  assert.ok(Math.abs(found - wanted) <= tolerance, `${what}: ${found}, ${wanted}`);
}

Deno.test("a logit of MC dropout has the mean of the plain network, and the variance that its masks give", () => {
  const [rate, passes] = [0.3, 1000];
  const model = new McDropout("LeNet_MCDropout", options({ dropoutRate: rate }));
  const plain = new McDropout("LeNet_MCDropout", options({ dropoutRate: 0 }));
  const x = images(1);
  const each = valueOf(model.logEach(x, draws(), passes));
  const whole = valueOf(plain.logEach(x, draws(), 1));
  const phi = valueOf(model.features(x));
  const weight = model.state.get("linear.weight")?.data ?? [];
  for (let a = 1; a < classes; a++) {
    // Differences of log-probabilities are those of logits, which are linear in the masks.
    const at = (l: Float64Array, t: number): number =>
      (l[t * classes + a] ?? NaN) - (l[t * classes] ?? NaN);
    const sample = Array.from({ length: passes }, (_, t) => at(each, t));
    const mean = sample.reduce((s, v) => s + v, 0) / passes;
    const variance = sample.reduce((s, v) => s + (v - mean) ** 2, 0) / (passes - 1);
    const wanted = phi.reduce((s, f, d) => {
      const w = (weight[a * phi.length + d] ?? NaN) - (weight[d] ?? NaN);
      return s + rate / (1 - rate) * (w * f) ** 2;
    }, 0);
    near(mean, at(whole, 0), 4 * Math.sqrt(wanted / passes), `mean of logit ${a}`);
    near(variance / wanted, 1, 4 * Math.sqrt(2 / passes), `variance of logit ${a}`);
  }
});

Deno.test("masks of MC dropout are the same on the device as on the host, others at every step", () =>
  withDevice(async (device) => {
    const model = new McDropout("LeNet_MCDropout", options({}, { dropoutPasses: 7 }));
    const x = nn.input([2, 1, 28, 28]);
    const count = nn.input([1]);
    const supply = (): nn.Draws => new nn.Draws(new nn.Random(3), count);
    const answer = model.logProbabilities(x, supply());
    const scores = model.scores(x, supply())["mutualInformation"]?.values ?? assert.fail();
    using program = await nn.compile(device, { inputs: [x, count], outputs: [answer, scores] });
    const found: Float32Array[] = [];
    for (const step of [0, 1]) {
      program.run([pictures(2), Float32Array.of(step)]);
      const leaves = new Map<nn.Tensor, ArrayLike<number>>([[x, pictures(2)], [count, [step]]]);
      const wanted = nn.evaluate([answer, scores], leaves);
      for (const [i, node] of [answer, scores].entries()) {
        const values = await program.read(node);
        values.forEach((v, j) => near(v, wanted[i]?.[j] ?? NaN, 1e-5));
        found.push(values);
      }
    }
    assert.notDeepEqual(found[0], found[2]);
  }));

Deno.test("where nothing is dropped, passes say the same and have no mutual information", () => {
  const model = new McDropout("LeNet_MCDropout", options({ dropoutRate: 0 }));
  const [l, many] = [1, 9].map((n) => valueOf(model.logEach(images(2), draws(), n)));
  for (let t = 0; t < 9; t++) assert.deepEqual(many?.subarray(20 * t, 20 * t + 20), l);
  valueOf(model.scores(images(2), draws())["mutualInformation"]?.values ?? assert.fail())
    .forEach((v) => near(v, 0, 1e-12));
  const dropping = new McDropout("LeNet_MCDropout", options());
  const { values } = dropping.scores(images(2), draws())["mutualInformation"] ?? assert.fail();
  assert.ok(valueOf(values).every((v) => v > 0));
});

/** The inverse of `[n, n]` by Gauss and Jordan. */
function inverse(matrix: readonly (readonly number[])[]): number[][] {
  const n = matrix.length;
  const rows = matrix.map((row, i) => [...row, ...row.map((_, j) => Number(i === j))]);
  for (let i = 0; i < n; i++) {
    const pivot = rows[i] ?? [];
    const scale = pivot[i] ?? NaN;
    pivot.forEach((v, j) => pivot[j] = v / scale);
    rows.forEach((row, k) => {
      const factor = row[i] ?? NaN;
      if (k !== i) row.forEach((v, j) => row[j] = v - factor * (pivot[j] ?? NaN));
    });
  }
  return rows.map((row) => row.slice(n));
}

Deno.test("Laplace is the dense formula: its precision, variances and probit answer", () =>
  withDevice(async (device) => {
    const [count, tau] = [30, 0.5];
    const classifier = new Classifier("LeNet", options());
    const { procedure: { laplaceSamples } } = options();
    const chosen = { priorPrecision: tau, laplaceSamples };
    const model = new Laplace(classifier, { ...chosen, laplacePrediction: "probit" });
    // Logits that tell classes apart, so that p (1 - p) is of many sizes.
    const weight = classifier.state.get("fc_2.0.weight") ?? assert.fail();
    weight.data.set(weight.data.map((w) => 20 * w));
    const x = images(count);
    model.begin(device);
    for (const part of [[0, 20], [20, 10]] as const) {
      const rows = nn.slice(x, [part[0], 0, 0, 0], [part[1], 1, 28, 28]);
      using program = await nn.compile(device, { inputs: [], updates: model.gather(rows) });
      program.run([]);
    }
    await model.finish(device);
    const z = valueOf(model.means(x));
    const phi = Array.from(
      { length: count },
      (_, n) => [...valueOf(model.features(x)).subarray(84 * n, 84 * n + 84), 1],
    );
    const odds = Array.from({ length: count }, (_, n) => {
      const e = [...z.subarray(classes * n, classes * n + classes)].map(Math.exp);
      return e.map((v) => v / e.reduce((a, b) => a + b));
    });
    const variance = Array.from({ length: classes }, (_, k) => {
      const precision = phi[0]?.map((_, i) =>
        phi[0]?.map((_, j) =>
          phi.reduce((s, f, n) => {
            const p = odds[n]?.[k] ?? NaN;
            return s + p * (1 - p) * (f[i] ?? NaN) * (f[j] ?? NaN);
          }, i === j ? tau : 0)
        ) ?? []
      ) ?? [];
      const covariance = inverse(precision);
      return phi.map((f) =>
        f.reduce(
          (s, a, i) => s + f.reduce((t, b, j) => t + a * b * (covariance[i]?.[j] ?? NaN), 0),
          0,
        )
      );
    });
    const score = model.scores(x)["variance"]?.values ?? assert.fail();
    const answer = model.logProbabilities(x, draws());
    using program = await nn.compile(device, { inputs: [], outputs: [score, answer] });
    program.run([]);
    const [scores, l] = [await program.read(score), await program.read(answer)];
    for (let n = 0; n < count; n++) {
      const own = variance.map((of) => of[n] ?? NaN);
      const mean = own.reduce((a, b) => a + b) / classes;
      near((scores[n] ?? NaN) / mean, 1, 1e-3, `variance of image ${n}`);
      const e = own.map((v, k) =>
        Math.exp((z[n * classes + k] ?? NaN) / Math.sqrt(1 + Math.PI * v / 8))
      );
      const total = e.reduce((a, b) => a + b);
      e.forEach((v, k) =>
        near(Math.exp(l[n * classes + k] ?? NaN), v / total, 1e-4, `p ${k} of ${n}`)
      );
    }
    // By samples: the mean of softmax over normal logits of that mean and variance.
    const samples = 4000;
    const sampling = new Laplace(classifier, {
      priorPrecision: tau,
      laplacePrediction: "samples",
      laplaceSamples: samples,
    });
    sampling.precision.data.set(model.precision.data);
    await sampling.finish(device);
    const p = valueOf(nn.exp(sampling.logProbabilities(images(1), draws())));
    const normal = new nn.Random(77).normal(samples * classes);
    const sum = new Float64Array(classes);
    for (let s = 0; s < samples; s++) {
      const e = Array.from({ length: classes }, (_, k) =>
        Math.exp(
          (z[k] ?? NaN) + Math.sqrt(variance[k]?.[0] ?? NaN) * (normal[s * classes + k] ?? NaN),
        ));
      const total = e.reduce((a, b) => a + b);
      e.forEach((v, k) => sum[k] = (sum[k] ?? 0) + v / total / samples);
    }
    sum.forEach((v, k) =>
      near(p[k] ?? NaN, v, 4 * Math.sqrt(2 * 0.25 / samples), `sampled p ${k}`)
    );
  }));

Deno.test("log Gamma and digamma are right from 1 on, and so are their derivatives", () => {
  const euler = 0.5772156649015329;
  const at = [1, 2, 3, 7, 30, 171, 1000];
  const n = nn.input([at.length]);
  const [gamma = [], psi = [], slope = []] = nn.evaluate(
    [logGamma(n), digamma(n), ...nn.grad(nn.sum(logGamma(n)), [n])],
    new Map([[n, at]]),
  );
  at.forEach((m, i) => {
    let [factorial, harmonic] = [0, 0];
    for (let k = 1; k < m; k++) [factorial, harmonic] = [factorial + Math.log(k), harmonic + 1 / k];
    near(gamma[i] ?? NaN, factorial, 1e-9 * Math.max(1, factorial), `log Gamma(${m})`);
    near(psi[i] ?? NaN, harmonic - euler, 1e-9, `digamma(${m})`);
    near(slope[i] ?? NaN, harmonic - euler, 1e-9, `slope of log Gamma at ${m}`);
  });
  // Gamma(n + 1/2) = (2 n)! sqrt(pi) / (4^n n!), here of n = 1 and 2.
  const half = valueOf(logGamma(nn.constant(Float32Array.of(1.5, 2.5), [2])));
  near(half[0] ?? NaN, Math.log(Math.sqrt(Math.PI) / 2), 1e-9);
  near(half[1] ?? NaN, Math.log(3 * Math.sqrt(Math.PI) / 4), 1e-9);
  const one = nn.input([1]);
  const trigamma = nn.evaluate(nn.grad(nn.sum(digamma(one)), [one]), new Map([[one, [1]]]));
  near(trigamma[0]?.[0] ?? NaN, Math.PI ** 2 / 6, 1e-8);
  checkGrads((x) => logGamma(nn.add(nn.square(x), 1)), [[[5], wave(5, 0.7)]]);
  checkGrads((x) => digamma(nn.add(nn.square(x), 1)), [[[5], wave(5, 0.7)]]);
});

Deno.test("the evidential loss has the values that one gets by hand, and by integrating", () => {
  const alpha = nn.constant(Float32Array.of(2, 1, 1, 1, 1, 1), [2, 3]);
  const targets = nn.constant(Float32Array.of(1, 0, 0, 0, 1, 0), [2, 3]);
  const error = valueOf(expectedSquaredError(alpha, targets));
  // p = (1/2, 1/4, 1/4), S = 4; and p = (1/3, 1/3, 1/3), S = 3.
  near(error[0] ?? NaN, 1 / 4 + 2 / 16 + (1 / 4 + 2 * 3 / 16) / 5, 1e-12);
  near(error[1] ?? NaN, 4 / 9 + 2 / 9 + 3 * (2 / 9) / 4, 1e-12);
  near(valueOf(divergenceFromUniform(alpha))[1] ?? NaN, 0, 1e-9);
  // Of a beta distribution, by the middle of 200,000 strips: density and divergence.
  const [a, b, strips] = [3.5, 1.25, 200_000];
  let [mass, integral] = [0, 0];
  for (let i = 0; i < strips; i++) {
    const p = (i + 0.5) / strips;
    const q = p ** (a - 1) * (1 - p) ** (b - 1) / strips;
    [mass, integral] = [mass + q, integral + q * Math.log(q * strips)];
  }
  const wanted = integral / mass - Math.log(mass);
  const beta = nn.constant(Float32Array.of(a, b), [1, 2]);
  near(valueOf(divergenceFromUniform(beta))[0] ?? NaN, wanted, 1e-5);
  const positive = (x: nn.Tensor): nn.Tensor => nn.add(nn.square(x), 1);
  checkGrads((x) => divergenceFromUniform(positive(x)), [[[2, 3], wave(6, 0.4)]]);
  checkGrads((x) => expectedSquaredError(positive(x), targets), [[[2, 3], wave(6, 0.4)]]);
});

Deno.test("the divergence counts nothing at first, a tenth after 60,000 images, all after ten times as many", () =>
  withDevice((device) => {
    const model = new Evidential("LeNet_Evidential", options({ evidence: "softplus" }));
    const [x, y] = [images(3), nn.constant(Float32Array.of(3, 1, 4), [3])];
    const context = { pass: new nn.Pass(true, draws()), trainCount: 30_000 };
    const alpha = model.alpha(x);
    const targets = nn.oneHot(y, classes);
    const rest = nn.add(targets, nn.mul(nn.sub(1, targets), alpha));
    const mean = (node: nn.Tensor): number => valueOf(nn.mean(node))[0] ?? NaN;
    const [error, divergence] = [
      mean(expectedSquaredError(alpha, targets)),
      mean(divergenceFromUniform(rest)),
    ];
    for (let epoch = 0; epoch < 23; epoch++) {
      model.beginEpoch(device);
      const loss = valueOf(model.train(x, y, context).loss)[0] ?? NaN;
      near(loss, error + Math.min(1, epoch / 20) * divergence, 1e-6, `epoch ${epoch}`);
    }
    const { vacuity } = model.scores(x);
    const [u, s] = [valueOf(vacuity?.values ?? assert.fail()), valueOf(model.native(x))];
    u.forEach((v, i) => near(v, classes / Math.exp(s[i] ?? NaN), 1e-9));
    return Promise.resolve();
  }));
