/** The scores of src/scores: against reference figures, by hand, by differences, and on the device. */
import assert from "node:assert/strict";
import { type Archive, readSafetensors } from "../src/checkpoint/safetensors.ts";
import { estimate, separation } from "../src/measure/detection.ts";
import * as nn from "../src/nn/mod.ts";
import {
  dduOf,
  energyAt,
  type Fit,
  type FitTensors,
  type Score,
  type Scored,
  scores,
  temperatureOf,
  Training,
} from "../src/scores/mod.ts";
import { checkGrads, wave } from "./check_grads.ts";
import { sharedPath, testWithShared } from "./shared.ts";

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
        console.log(name, set, error);
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
