/** The scores of src/scores against reference figures, in f64 and on the device. */
import assert from "node:assert/strict";
import { loadMnist, loadNotMnist } from "../data/mod.ts";
import { loadCheckpoint } from "../src/checkpoint/checkpoint.ts";
import { type Archive, readSafetensors } from "../src/checkpoint/safetensors.ts";
import { separation } from "../src/measure/detection.ts";
import { Classifier } from "../src/methods/classifier.ts";
import * as nn from "../src/nn/mod.ts";
import {
  dduOf,
  fittedScore,
  type Score,
  type Scored,
  scores,
  temperatureOf,
  Training,
} from "../src/scores/mod.ts";
import { apart, onHost } from "./scored.ts";
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
  const found = temperatureOf(logits, labels) ?? NaN;
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

const checkpoint = "reference/checkpoints/de_seed0.checkpoint";

testWithShared(
  "ODIN and the features of the reference's network are the reference's on images",
  [
    archive,
    figures,
    checkpoint,
    "data/MNIST/raw/t10k-images-idx3-ubyte.gz",
    "data/notMNIST_small.tar.gz",
  ],
  () =>
    withDevice(async (device) => {
      const reference = await Reference.read();
      const model = new Classifier("LeNet", { random: new nn.Random(0) });
      await loadCheckpoint(model, sharedPath(checkpoint));
      const images = nn.input([500, 1, 28, 28]);
      const outputs = [scores.odin.score(model, images, {}), model.features(images)];
      const [odin = images, features = images] = outputs;
      using program = await nn.compile(device, { name: "odin", inputs: [images], outputs });
      const found: Float32Array[] = [];
      for (const set of ["digit", "letter"] as const) {
        const { images: bytes } = set === "digit"
          ? await loadMnist(sharedPath("data"), "test")
          : await loadNotMnist(sharedPath("data"), { perLetter: 50 });
        program.run([Float32Array.from(bytes.subarray(0, 500 * 28 * 28), (byte) => byte / 255)]);
        const values = (await program.read(odin)).slice();
        found.push(values);
        const wanted = reference.of(`score.odin.${set}s`);
        const far = values.reduce(
          (most, v, i) => Math.max(most, Math.abs(v - (wanted[i] ?? NaN))),
          0,
        );
        assert.ok(far <= 1e-6, `${set}s differ by ${far}`);
        assert.ok(apart(await program.read(features), reference.of(`${set}_features`)) <= 1e-4);
      }
      const [digits = new Float32Array(), letters = new Float32Array()] = found;
      const wanted = reference.expected.scores["odin"];
      const { auroc, fprAt95Tpr } = separation(digits, letters);
      assert.ok(Math.abs(auroc - (wanted?.auroc ?? NaN)) <= 1e-4, `${auroc}`);
      assert.ok(Math.abs(fprAt95Tpr - (wanted?.fpr95_digits_positive ?? NaN)) <= 1e-4);
    }),
);
