/** The scores of src/scores: against reference figures, by hand, by differences, and on the device. */
import assert from "node:assert/strict";
import { type Archive, readSafetensors } from "../src/checkpoint/safetensors.ts";
import { separation } from "../src/measure/detection.ts";
import { uniform } from "../src/nn/check/case.ts";
import * as nn from "../src/nn/mod.ts";
import {
  dduOf,
  energyAt,
  type Fit,
  fittedScore,
  type FitTensors,
  type Score,
  type Scored,
  scores,
  temperatureOf,
  Training,
} from "../src/scores/mod.ts";
import { Classifier } from "../src/methods/classifier.ts";
import { checkGrads } from "./check_grads.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { withDevice } from "./support.ts";

const folder = "reference/scores";
const archive = `${folder}/de_seed0.safetensors`;
const figures = `${folder}/de_seed0_expected.json`;

/** A model whose images are features and logits side by side, `[B, D + C]`. */
function stored(features: number, classes: number): Scored {
  const part = (x: nn.Tensor, start: number, width: number): nn.Tensor =>
    nn.slice(x, [0, start], [x.shape[0] ?? 0, width]);
  const logits = (x: nn.Tensor): nn.Tensor => part(x, features, classes);
  return {
    logits,
    logProbabilities: (x) => nn.logSoftmax(logits(x)),
    features: (x) => part(x, 0, features),
  };
}

/** The arrays of a fit as inputs of a graph, and their values. */
function inputsOf(fit: Fit): { tensors: FitTensors; leaves: [nn.Tensor, Float64Array][] } {
  const made = Object.entries(fit).map(([name, { shape, values }]) =>
    [name, nn.input(shape), values] as const
  );
  return {
    tensors: Object.fromEntries(made.map(([name, tensor]) => [name, tensor])),
    leaves: made.map(([, tensor, values]) => [tensor, values]),
  };
}

/** A score of images, in f64 on the host. */
function onHost(
  score: Score,
  fit: Fit,
  model: Scored,
  [shape, images]: readonly [nn.Shape, ArrayLike<number>],
): Float64Array {
  const { tensors, leaves } = inputsOf(fit);
  const x = nn.input(shape);
  const [found] = nn.evaluate(
    [score.score(model, x, tensors)],
    new Map<nn.Tensor, ArrayLike<number>>([...leaves, [x, images]]),
  );
  return found ?? assert.fail();
}

/** Rows of two arrays side by side. */
function joined(a: ArrayLike<number>, b: ArrayLike<number>, rows: number): Float32Array {
  const [m, n] = [a.length / rows, b.length / rows];
  return Float32Array.from({ length: rows * (m + n) }, (_, i) => {
    const [row, column] = [Math.floor(i / (m + n)), i % (m + n)];
    return (column < m ? a[row * m + column] : b[row * n + column - m]) ?? NaN;
  });
}

/** What the reference holds. */
class Reference {
  readonly training: Training;

  constructor(readonly archive: Archive, readonly expected: Expected) {
    const rows = (name: string): { width: number; values: Float64Array } => ({
      width: archive.tensors.get(name)?.shape[1] ?? NaN,
      values: Float64Array.from(this.of(name)),
    });
    this.training = new Training({
      name: "the reference",
      labels: this.of("train_label"),
      features: rows("train_features"),
      logits: rows("train_logits"),
      head: { weight: rows("last_weight"), bias: Float64Array.from(this.of("last_bias")) },
    });
  }

  static async read(): Promise<Reference> {
    return new Reference(
      await readSafetensors(sharedPath(archive)),
      JSON.parse(await Deno.readTextFile(sharedPath(figures))),
    );
  }

  of(name: string): ArrayLike<number> {
    return this.archive.tensors.get(name)?.data ?? assert.fail(name);
  }

  images(set: "digit" | "letter"): Float32Array {
    return joined(this.of(`${set}_features`), this.of(`${set}_logits`), 500);
  }
}

interface Expected {
  readonly scores: Record<
    string,
    { readonly auroc: number; readonly fpr95_digits_positive: number }
  >;
  readonly temperature_scaling: { readonly T: number };
}

/** Our scores by the reference's names. */
const named: Readonly<Record<string, Score>> = {
  msp: scores.maxProbability,
  neg_entropy: scores.entropy,
  max_logit: scores.maxLogit,
  energy: scores.energy,
  gen: scores.gen,
  mahalanobis: scores.mahalanobis,
  relative_mahalanobis: scores.relativeMahalanobis,
  knn_squared: scores.knn,
  vim: scores.vim,
  "gmm_jitter_1e-3": scores.ddu,
  "gmm_jitter_1e-5": dduOf(1e-5),
};

/** Largest difference, relative where values are above 1. */
function apart(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  assert.equal(found.length, wanted.length);
  return Array.from(found).reduce((most, value, i) => {
    const right = wanted[i] ?? NaN;
    return Math.max(most, Math.abs(value - right) / Math.max(1, Math.abs(right)));
  }, 0);
}

for (const [name, score] of Object.entries(named)) {
  testWithShared(
    `"${name}" is the reference's on its features and logits`,
    [archive, figures],
    async () => {
      const reference = await Reference.read();
      const fit = score.fit?.(reference.training) ?? {};
      const [digits, letters] = (["digit", "letter"] as const).map((set) => {
        const found = onHost(score, fit, stored(84, 10), [[500, 94], reference.images(set)]);
        const error = apart(found, reference.of(`score.${name}.${set}s`));
        assert.ok(error <= 1e-5, `${set}s differ by ${error}`);
        return found;
      });
      const { auroc, fprAt95Tpr } = separation(digits ?? [], letters ?? []);
      const wanted = reference.expected.scores[name] ?? assert.fail();
      assert.ok(Math.abs(auroc - wanted.auroc) <= 1e-4, `AUROC ${auroc}, not ${wanted.auroc}`);
      assert.ok(Math.abs(fprAt95Tpr - wanted.fpr95_digits_positive) <= 1e-4);
    },
  );
}

testWithShared(
  "every score is the reference's on the device, within 1e-3, and as good a detector",
  [archive, figures],
  () =>
    withDevice(async (device) => {
      const reference = await Reference.read();
      const images = nn.input([500, 94]);
      const fitted = Object.entries(named).filter(([name]) => name !== "gmm_jitter_1e-5")
        .map(([name, score]) => ({
          name,
          score: fittedScore(score, score.fit?.(reference.training) ?? {}),
        }));
      const outputs = fitted.map(({ score }) => score.values(stored(84, 10), images));
      using program = await nn.compile(device, { name: "scores", inputs: [images], outputs });
      const found: Float32Array[][] = [];
      for (const set of ["digit", "letter"] as const) {
        program.run([reference.images(set)]);
        const values: Float32Array[] = [];
        for (const output of outputs) values.push((await program.read(output)).slice());
        found.push(values);
      }
      fitted.forEach(({ name }, i) => {
        const [digits = new Float32Array(), letters = new Float32Array()] = found.map((set) =>
          set[i] ?? assert.fail()
        );
        // What is left of two distances of hundreds is as exact as they are.
        const within = name === "relative_mahalanobis" ? 5e-3 : 1e-3;
        const error = Math.max(
          apart(digits, reference.of(`score.${name}.digits`)),
          apart(letters, reference.of(`score.${name}.letters`)),
        );
        assert.ok(error <= within, `${name} differs by ${error}`);
        const wanted = reference.expected.scores[name]?.auroc ?? NaN;
        const { auroc } = separation(digits, letters);
        assert.ok(Math.abs(auroc - wanted) <= 1e-4, `AUROC of ${name} is ${auroc}, not ${wanted}`);
      });
      fitted.forEach(({ score }) => nn.release(device, score.parameters));
    }),
);

testWithShared(
  "the single Gaussian is what relative Mahalanobis takes off",
  [archive],
  async () => {
    const reference = await Reference.read();
    const gaussian: Score = scores.gaussian;
    const fit = gaussian.fit?.(reference.training) ?? assert.fail();
    for (const set of ["digit", "letter"] as const) {
      const found = onHost(gaussian, fit, stored(84, 10), [[500, 94], reference.images(set)]);
      const [whole, relative] = ["mahalanobis", "relative_mahalanobis"].map((name) =>
        reference.of(`score.${name}.${set}s`)
      );
      const wanted = Array.from(found, (_, i) => (whole?.[i] ?? NaN) - (relative?.[i] ?? NaN));
      assert.ok(apart(found, wanted) <= 1e-5);
    }
  },
);

testWithShared("the temperature is the reference's, within 1e-3", [archive, figures], async () => {
  const reference = await Reference.read();
  const logits = { width: 10, values: Float64Array.from(reference.of("temperature_logits")) };
  const labels = reference.of("temperature_label");
  const found = temperatureOf(new Training({ name: "digits", labels, logits }));
  assert.ok(Math.abs(found - reference.expected.temperature_scaling.T) <= 1e-3, `${found}`);
});

testWithShared(
  "ViM without the last layer finds it by least squares, and the same detector",
  [archive, figures],
  async () => {
    const reference = await Reference.read();
    const { head: _, ...answers } = reference.training.answers;
    const fit = scores.vim.fit?.(new Training(answers)) ?? assert.fail();
    const [digits = [], letters = []] = (["digit", "letter"] as const).map((set) =>
      onHost(scores.vim, fit, stored(84, 10), [[500, 94], reference.images(set)])
    );
    const { auroc } = separation(digits, letters);
    assert.ok(
      Math.abs(auroc - (reference.expected.scores["vim"]?.auroc ?? NaN)) <= 1e-3,
      `${auroc}`,
    );
  },
);

const [width, classes, batch, count] = [5, 3, 4, 60];
const pixels = 6;

/** A model with a bend in it, whose logits are a linear function of its features. */
const small: Required<Scored> = (() => {
  const weights = uniform(2, pixels * width);
  const last = uniform(5, width * classes).map((w) => 2 * w);
  const features = (x: nn.Tensor): nn.Tensor =>
    nn.tanh(nn.matmul(nn.reshape(x, [-1, pixels]), nn.constant(weights, [pixels, width])));
  const logits = (x: nn.Tensor): nn.Tensor =>
    nn.matmul(features(x), nn.constant(last, [width, classes]), {
      bias: nn.constant([0.3, -0.2, 0.1]),
    });
  return { features, logits, logProbabilities: (x) => nn.logSoftmax(logits(x)) };
})();

/** Images for it, and what it makes of those it is fitted on, which it does not all classify rightly. */
const images = uniform(7, batch * pixels);
const training = ((): Training => {
  const x = nn.constant(uniform(3, count * pixels), [count, pixels]);
  const [features = assert.fail(), logits = assert.fail()] = nn.evaluate([
    small.features(x),
    small.logits(x),
  ]);
  const rows = Array.from(
    { length: count },
    (_, i) => Array.from(logits.subarray(i * classes, (i + 1) * classes)),
  );
  return new Training({
    name: "the small set",
    labels: rows.map((z, i) => i % 4 === 0 ? i % classes : z.indexOf(Math.max(...z))),
    features: { width, values: features },
    logits: { width: classes, values: logits },
  });
})();

for (const [name, score] of Object.entries<Score>(scores)) {
  const fit = score.fit?.(training) ?? {};

  Deno.test(`"${name}" has its derivatives in the image, and its name`, () => {
    assert.equal(score.name, name);
    const constants = (): FitTensors =>
      Object.fromEntries(
        Object.entries(fit).map(([key, { shape, values }]) => [
          key,
          nn.constant(Float32Array.from(values), shape),
        ]),
      );
    const shape = [batch, 1, 2, 3];
    // A move by a sign has no curvature, nor has what is the largest of several.
    const by = name === "odin" ? 1000 : 1; // At its temperature all is small.
    checkGrads((x) => nn.scale(score.score(small, x, constants()), by), [[shape, images]], 1);
    const { surrogate } = score;
    if (surrogate) checkGrads((x) => surrogate(small, x, constants()), [[shape, images]], 1);
  });
}

Deno.test("scores and their slopes in the image are the same on the device", () =>
  withDevice(async (device) => {
    const shape = [batch, 1, 2, 3];
    const x = nn.input(shape);
    const fitted = Object.values<Score>(scores).map((score) => ({
      score,
      made: fittedScore(score, score.fit?.(training) ?? {}),
    }));
    const outputs = fitted.flatMap(({ made }) => {
      const values = made.values(small, x);
      const draws = new nn.Draws(new nn.Random(0));
      const loss = made.objective.loss(
        { ...small, confidenceLoss: () => assert.fail() },
        x,
        { draws },
      );
      return [values, ...nn.grad(nn.sum(loss), [x])];
    });
    using program = await nn.compile(device, { name: "scores", inputs: [x], outputs });
    program.run([images]);
    const exact = nn.evaluate(outputs, new Map([[x, images]]));
    for (const [i, output] of outputs.entries()) {
      const error = apart(await program.read(output), exact[i] ?? []);
      const name = fitted[i >> 1]?.score.name;
      assert.ok(
        error <= (name === "relativeMahalanobis" ? 5e-3 : 1e-3),
        `${name} differs by ${error}`,
      );
    }
    fitted.forEach(({ made }) => nn.release(device, made.parameters));
  }));

/** A model whose images are logits. */
const bare: Scored = { logits: (x) => x, logProbabilities: (x) => nn.logSoftmax(x) };

Deno.test("the margin, the energy at a temperature and the generalised entropy are those by hand", () => {
  const z = [[2, -1, 0.5], [0, 0, 0], [100, 3, 3], [-4, -4, 5]];
  const given = [[4, 3], z.flat()] as const;
  const margins = onHost(scores.margin, {}, bare, given);
  const energies = onHost(energyAt(2.5), {}, bare, given);
  const entropies = onHost(scores.gen, {}, bare, given);
  z.forEach((row, b) => {
    const [first = NaN, second = NaN] = row.toSorted((a, b) => b - a);
    assert.ok(Math.abs((margins[b] ?? NaN) - (first - second)) < 1e-12);
    const energy = 2.5 * Math.log(row.reduce((sum, v) => sum + Math.exp(v / 2.5), 0));
    assert.ok(Math.abs((energies[b] ?? NaN) - energy) < 1e-12);
    const weights = row.map((v) => Math.exp(v - first));
    const total = weights.reduce((a, b) => a + b);
    const terms = weights.map((w, c) => {
      const others = weights.reduce((sum, v, k) => k === c ? sum : sum + v, 0);
      return (w / total) ** 0.1 * (others / total) ** 0.1;
    });
    assert.ok(Math.abs((entropies[b] ?? NaN) + terms.reduce((a, b) => a + b)) < 1e-9);
  });
});

Deno.test("of more than 100 classes the generalised entropy takes the 100 likeliest, where several tie their share", () => {
  const [rows, width] = [3, 130];
  const z = uniform(11, rows * width, -3, 3);
  z.fill(-1, 2 * width + 20); // The third row has 20 classes above and 110 alike.
  const found = onHost(scores.gen, {}, bare, [[rows, width], z]);
  for (let b = 0; b < rows; b++) {
    const weights = Array.from(z.subarray(b * width, (b + 1) * width), Math.exp);
    const total = weights.reduce((a, b) => a + b);
    const p = weights.map((w) => w / total).sort((a, b) => b - a).slice(0, 100);
    const wanted = -p.reduce((sum, v) => sum + (v * (1 - v)) ** 0.1, 0);
    assert.ok(Math.abs((found[b] ?? NaN) - wanted) < 1e-9 * Math.abs(wanted), `row ${b}`);
  }
});

Deno.test("a fit is refused in a sentence where images do not determine it", () => {
  const rows = (
    width: number,
    values: readonly number[],
  ): { width: number; values: Float64Array } => ({
    width,
    values: Float64Array.from(values),
  });
  const of = (features: readonly number[], labels: readonly number[]): Training =>
    new Training({
      name: "a set",
      labels,
      features: rows(features.length / labels.length, features),
      logits: rows(2, labels.flatMap((label) => [-label, label])),
    });
  const few = of([1, 2, 3, 4], [0, 1]);
  const refusals = {
    knn: /^UserError: Cannot fit a score on a set: "knn" looks for the 50th nearest of 2 images; /,
    ddu: /: "ddu" needs two images of every class, and there is one of class 0; /,
    mahalanobis: /: its features are the same for all images of a class; /,
    scaledProbability: /: no temperature makes its labels likeliest, as where every image is /,
  } as const;
  for (const [name, sentence] of Object.entries(refusals)) {
    const score: Score = scores[name as keyof typeof refusals];
    assert.throws(() => score.fit?.(few), sentence);
  }
  assert.throws(
    () => scores.vim.fit?.(of([1, 2, 3, 4, 5, 7, -1, 3], [0, 1, 0, 1])),
    /: "vim" needs logits that are a linear function of the features, and these are not; /,
  );
  assert.throws(
    () => of([1, 2, NaN, 4], [0, 1]),
    /^UserError: Cannot fit a score on a set: the features of image 1 are not finite; /,
  );
  // A class that no image shows is no class of the fit.
  const { means } = scores.mahalanobis.fit?.(of([1, 2, 3, 4.5, 0, 1, 2, 7], [0, 0, 2, 2])) ??
    assert.fail();
  assert.deepEqual(means.shape[0], 2);
});
