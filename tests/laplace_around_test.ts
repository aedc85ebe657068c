/** Laplace around models that are trained already: baselines and files, on the images that they learned from. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { limit, loadEmbedded } from "../data/mod.ts";
import { UserError } from "../src/base/errors.ts";
import { loadCheckpoint } from "../src/checkpoint/checkpoint.ts";
import { encodeSafetensors, readSafetensors } from "../src/checkpoint/safetensors.ts";
import { showRuns } from "../src/cli/show_runs.ts";
import { showEval } from "../src/cli/show.ts";
import { laplaceAround } from "../src/evaluate/fit_posterior.ts";
import { trainingAnswers } from "../src/evaluate/fit_scores.ts";
import { jobOf } from "../src/evaluate/predict.ts";
import { ResidentSet } from "../src/evaluate/resident_set.ts";
import { attack } from "../src/experiment/attack.ts";
import { runConfig, type RunOptions } from "../src/experiment/config.ts";
import type { EvalResult } from "../src/experiment/documents.ts";
import { evaluate } from "../src/experiment/evaluate.ts";
import { verify } from "../src/experiment/verify.ts";
import { type Reporter, silent } from "../src/base/reporter.ts";
import { Classifier } from "../src/methods/classifier.ts";
import { Laplace } from "../src/methods/laplace.ts";
import { single } from "../src/methods/mod.ts";
import { report } from "../src/report/mod.ts";
import { subjectTitle, title } from "../src/report/words.ts";
import { listRuns } from "../src/runs/list.ts";
import { LeNet } from "../src/networks/mod.ts";
import * as nn from "../src/nn/mod.ts";
import type { ImageSet } from "../data/mod.ts";
import type { Rows } from "../src/scores/mod.ts";
import { npy } from "./npy_writer.ts";
import { lenetFile, node, tensor, value, writeGraph } from "./onnx_writer.ts";
import { inFolder, withDevice } from "./support.ts";
import { zip } from "./torch_writer.ts";
import { trained } from "./trained.ts";

const [classes, width] = [10, 84];
const size = width + 1;

/** An evaluation and the folder that it is kept in. */
async function evaluated(options: RunOptions): Promise<{ result: EvalResult; folder: string }> {
  let folder = "";
  const keeping: Reporter = { ...silent, kept: (path) => folder = path };
  return { result: await evaluate(runConfig(options), keeping), folder };
}

/** What a network makes of images, by the device. */
async function answersOf(
  device: nn.Device,
  model: Classifier,
  set: ImageSet,
): Promise<{ readonly features: Rows; readonly logits: Rows }> {
  const job = jobOf({ device, subject: single([model]), set: new ResidentSet(set) });
  return await trainingAnswers(job, model, set);
}

/** Rows of features and a 1, and of probabilities, in f64. */
function rowsOf(
  { features, logits }: { readonly features: Rows; readonly logits: Rows },
): { phi: number[]; z: number[]; p: number[] }[] {
  return Array.from({ length: logits.values.length / classes }, (_, n) => {
    const z = [...logits.values.subarray(n * classes, (n + 1) * classes)];
    const e = z.map((v) => Math.exp(v - Math.max(...z)));
    const total = e.reduce((a, b) => a + b);
    const phi = [...features.values.subarray(n * width, (n + 1) * width), 1];
    return { phi, z, p: e.map((v) => v / total) };
  });
}

/** `phi^T P^-1 phi` by elimination in f64, P a row-major `[85, 85]`. */
function variance(precision: ArrayLike<number>, phi: readonly number[]): number {
  const rows = phi.map((f, i) => [
    ...Array.from({ length: size }, (_, j) => precision[i * size + j] ?? NaN),
    f,
  ]);
  for (const [i, pivot] of rows.entries()) {
    for (const row of rows.slice(i + 1)) {
      const factor = (row[i] ?? NaN) / (pivot[i] ?? NaN);
      for (let j = i; j <= size; j++) row[j] = (row[j] ?? NaN) - factor * (pivot[j] ?? NaN);
    }
  }
  // P = L D L^T, so that phi^T P^-1 phi sums squares of L^-1 phi over D.
  return rows.reduce((sum, row, i) => sum + (row[size] ?? NaN) ** 2 / (row[i] ?? NaN), 0);
}

Deno.test("around a baseline's checkpoint it is the dense formula over the images that this learned from", () =>
  inFolder(async (savePath) => {
    const count = 150;
    const training = { limit: count, epochs: 3, lr: 0.1 } as const;
    const checkpoint = await trained(savePath, training);
    const few = { mode: "laplace", checkpoint, savePath, batchSize: 64 } as const;
    const { result, folder } = await evaluated({ ...few, limit: 6 });
    const { posterior } = result;
    assert.deepEqual(posterior?.training, [{ name: "embedded digits train", count }]);
    const { tensors } = await readSafetensors(join(folder, "posterior.safetensors"));
    const { shape, data } = tensors.get("member_1.precision") ?? assert.fail();
    assert.deepEqual(shape, [classes, size, size]);
    const [learned, letters] = await withAnswers(checkpoint, [
      limit(await loadEmbedded("train"), count),
      limit(await loadEmbedded("letters"), 6),
    ]);
    const dense = denseOf(rowsOf(learned), 1);
    const largest = dense.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    assert.ok(largest > 2, "the images say something beside the prior");
    dense.forEach((v, i) => near(data[i], v, 1e-4 * largest, `precision ${i}`));
    const { tensors: told } = await readSafetensors(join(folder, "predictions.safetensors"));
    const { data: l } = told.get("clean") ?? assert.fail();
    for (const [n, { z, phi }] of rowsOf(letters).entries()) {
      const e = z.map((v, k) => {
        const own = dense.subarray(k * size ** 2, (k + 1) * size ** 2);
        return Math.exp(v / Math.sqrt(1 + Math.PI * variance(own, phi) / 8));
      });
      const total = e.reduce((a, b) => a + b);
      e.forEach((v, k) => near(Math.exp(l[n * classes + k] ?? NaN), v / total, 1e-4, `p ${k}`));
    }
    // However few images are looked at, the posterior is over the same ones.
    const more = await evaluated({ ...few, limit: 9 });
    assert.deepEqual(more.result.posterior, posterior);

    // Whatever the prior is, the training is the baseline's, which is there.
    const { result: found, folder: other } = await evaluated({
      mode: "laplace",
      savePath,
      batchSize: 64,
      priorPrecision: 10,
      ...training,
    });
    assert.deepEqual(found.checkpoints, [checkpoint]);
    assert.deepEqual(found.posterior?.training, posterior.training);
    assert.equal(found.hyperparameters["priorPrecision"], 10);
    const again = await readSafetensors(join(other, "posterior.safetensors"));
    const stronger = again.tensors.get("member_1.precision")?.data ?? [];
    for (let i = 0; i < size ** 2; i++) {
      near(stronger[i], (data[i] ?? NaN) + (i % (size + 1) === 0 ? 9 : 0), 1e-4 * largest);
    }
    const once = await verify(other);
    assert.deepEqual([once.differences, once.verified], [[], true]);
  }));

Deno.test("on other images than a model learned from it takes all that are there, and says so", () =>
  inFolder(async (folder) => {
    const training = { limit: 60, epochs: 1, selection: "validation" } as const;
    const checkpoint = await trained(folder, training);
    const { images, labels } = limit(await loadEmbedded("test"), 40);
    const inDomain = join(folder, "others.npz") as `./${string}`;
    const parts = ["train", "test"].flatMap((part): [string, Uint8Array][] => [
      [`x_${part}.npy`, npy("|u1", [40, 28, 28], [...images])],
      [`y_${part}.npy`, npy("|u1", [40], [...labels])],
    ]);
    await Deno.writeFile(inDomain, zip(parts));
    const notes: string[] = [];
    const used = { mode: "laplace", checkpoint, savePath: folder, limit: 5 } as const;
    const counts = async (options: Partial<RunOptions>): Promise<number[] | undefined> => {
      const noting: Reporter = { ...silent, note: (message) => notes.push(message) };
      const { posterior } = await evaluate(runConfig({ ...used, ...options }), noting);
      return posterior?.training.map(({ count }) => count);
    };
    // A tenth of the images that it learned from chose its epoch.
    assert.deepEqual(await counts({}), [54]);
    assert.equal(notes.filter((note) => note.includes("posterior")).length, 0);
    assert.deepEqual(await counts({ inDomain, outDomain: "notmnist" }), [40]);
    assert.match(
      notes.join(),
      /fitted on 40 images of .*, not the 60 of .* that the model learned/,
    );
  }));

/** What a checkpoint's network makes of sets. */
async function withAnswers(
  checkpoint: string,
  sets: readonly [ImageSet, ImageSet],
): Promise<[Awaited<ReturnType<typeof answersOf>>, Awaited<ReturnType<typeof answersOf>>]> {
  const model = new Classifier("LeNet", { random: new nn.Random(0) });
  await loadCheckpoint(model, checkpoint);
  const found: Awaited<ReturnType<typeof answersOf>>[] = [];
  await withDevice(async (device) => {
    nn.push(device, model.state.values());
    for (const set of sets) found.push(await answersOf(device, model, set));
  });
  const [first, second] = found;
  return first && second ? [first, second] : assert.fail();
}

/** `tau I + sum_n p_nk (1 - p_nk) phi_n phi_n^T` of each class, one behind the other. */
function denseOf(rows: ReturnType<typeof rowsOf>, tau: number): Float64Array {
  const found = new Float64Array(classes * size ** 2);
  for (let k = 0; k < classes; k++) {
    for (let i = 0; i < size; i++) {
      for (let j = 0; j < size; j++) {
        found[(k * size + i) * size + j] = rows.reduce((sum, { p, phi }) => {
          const odds = p[k] ?? NaN;
          return sum + odds * (1 - odds) * (phi[i] ?? NaN) * (phi[j] ?? NaN);
        }, i === j ? tau : 0);
      }
    }
  }
  return found;
}

function near(found: number | undefined, wanted: number, tolerance: number, what = ""): void {
  assert.ok(Math.abs((found ?? NaN) - wanted) <= tolerance, `${what}: ${found}, ${wanted}`);
}

/** A file of digits, 120 to train on and 40 to test on, and LeNets that say something of them. */
async function ownDigits(folder: string): Promise<string> {
  const part = async (split: "train" | "test", n: number): Promise<[string, Uint8Array][]> => {
    const { images, labels } = limit(await loadEmbedded(split), n);
    return [
      [`x_${split}.npy`, npy("|u1", [n, 28, 28], [...images])],
      [`y_${split}.npy`, npy("|u1", [n], [...labels])],
    ];
  };
  const path = join(folder, "digits.npz");
  await Deno.writeFile(path, zip([...await part("train", 120), ...await part("test", 40)]));
  return path;
}

/** A LeNet of a seed as a checkpoint that says nothing of itself, and as an ONNX file. */
async function drawn(folder: string, seed: number): Promise<{ checkpoint: string; file: string }> {
  const tensors = new Map(
    Array.from(new LeNet(new nn.Random(seed)).state, ([name, { shape, data }]) => [
      name,
      // Wider than what training starts with, so that probabilities are of many sizes.
      { shape, data: Float32Array.from(data, (v) => 2.5 * v) },
    ]),
  );
  const [checkpoint, file] = ["safetensors", "onnx"].map((kind) => join(folder, `${seed}.${kind}`));
  if (!checkpoint || !file) return assert.fail();
  await Deno.writeFile(checkpoint, encodeSafetensors({ tensors, metadata: {} }));
  await Deno.writeFile(file, lenetFile(tensors));
  return { checkpoint, file };
}

Deno.test("around an ONNX file it has the figures that it has around the same network's checkpoint, and so have several", () =>
  inFolder(async (folder) => {
    const sets = {
      inDomain: await ownDigits(folder) as `./${string}`,
      outDomain: "notmnist",
    } as const;
    const lenets = [await drawn(folder, 0), await drawn(folder, 1)];
    const options = { ...sets, savePath: folder, limit: 20 } as const;
    for (const mode of ["laplace", "laplace_ensemble"] as const) {
      const used = lenets.slice(0, mode === "laplace" ? 1 : 2);
      const { result: byFile, folder: run } = await evaluated({
        ...options,
        mode,
        modelFile: used.map(({ file }) => file),
      });
      const { result: byCheckpoint } = await evaluated({
        ...options,
        mode,
        checkpoint: used.map(({ checkpoint }) => checkpoint),
        ...mode === "laplace" ? {} : { ensembleAttack: "joint" },
      });
      await checkNamed(byFile, run);
      const { runs } = await listRuns(folder, { sort: "started", mode });
      const list = showRuns({ schema: "mirage/runs@5", folder, runs }, 400);
      assert.ok(list.includes(subjectTitle(byFile)), list);
      const { posterior } = byFile;
      assert.equal(posterior?.training.length, used.length);
      assert.ok(posterior?.training.every(({ count }) => count === 120));
      assert.deepEqual(byCheckpoint.posterior?.training, posterior?.training);
      const [a, b] = [figures(byFile), figures(byCheckpoint)];
      assert.deepEqual(a.map(([name]) => name), b.map(([name]) => name));
      a.forEach(([name, v], i) => near(v, b[i]?.[1] ?? NaN, 5e-4, name));
      if (mode === "laplace") continue;
      const verified = await verify(run);
      assert.deepEqual([verified.differences, verified.verified], [[], true]);
    }
  }));

/** Heading and page of a run name what is put around which files, and no seeds of files, which have none. */
async function checkNamed(result: EvalResult, run: string): Promise<void> {
  const { mode, model } = result;
  const subject = `${title(mode)} around ${model}`;
  assert.match(subject, /^(Last-layer Laplace|Ensemble of last-layer Laplaces) around /);
  const text = showEval(result);
  assert.ok(text.startsWith(`${subject} (protocol paper, prior-precision 1`), text);
  assert.match(text, /, seed 0\)\ntrained: not known \(model file\)\n/);
  assert.ok((await report([run])).includes(`<h1>${subject} evaluated, seed 0</h1>`));
}

function figures({ outDomain, inDomain, detection }: EvalResult): [string, number][] {
  return [
    ["entropy", outDomain.entropy ?? NaN],
    ["nll", inDomain.nll ?? NaN],
    ["brier", inDomain.brier ?? NaN],
    ...Object.entries(detection.scores)
      .map(([name, { clean }]): [string, number] => [name, clean.auroc.value ?? NaN]),
  ];
}

Deno.test("models around which there is no posterior are refused in a sentence", () =>
  inFolder(async (folder) => {
    const { file, checkpoint } = await drawn(folder, 0);
    const own = await ownDigits(folder) as `./${string}`;
    const sets = { inDomain: own, outDomain: "notmnist", savePath: folder, limit: 5 } as const;
    const bare = join(folder, "bare.onnx");
    await Deno.writeFile(
      bare,
      writeGraph({
        input: [value("image", ["batch", 1, 28, 28])],
        output: [value("logits", ["batch", 10])],
        initializer: [
          tensor("w", "float32", [10, 1, 28, 28], Array.from({ length: 7840 }, (_, i) => i % 7)),
        ],
        node: [node("Conv", ["image", "w"], ["maps"]), node("Flatten", ["maps"], ["logits"])],
      }),
    );
    const refused = [
      [{ modelFile: bare }, /"bare.onnx": it has no features; name the node .* --features, or use/],
      [{ modelFile: file, features: "h" }, /"0.onnx": its logits are no linear function of its/],
      [
        { modelFile: file, features: "g" },
        /120 images cannot tell whether its logits are a linear/,
      ],
    ] as const;
    for (const [options, sentence] of refused) {
      await assert.rejects(evaluated({ mode: "laplace", ...sets, ...options }), (error) => {
        assert.ok(error instanceof UserError);
        assert.match(error.message, sentence);
        return true;
      });
    }
    assert.throws(
      () => runConfig({ ...sets, mode: "laplace", modelFile: [file, checkpoint] }),
      UserError,
    );
    assert.throws(
      () => runConfig({ ...sets, mode: "laplace", modelFile: [file, file] }),
      /several files are a deep_ensemble or a laplace_ensemble, not laplace/,
    );
    const without = { mode: "laplace", modelFile: file, inDomain: "none", outDomain: own } as const;
    await assert.rejects(
      attack(runConfig(without)),
      /Cannot use laplace without in-domain images: its posterior is over images that/,
    );
  }));

Deno.test("around functions of one's own it is the same as around their network, and is refused where these are not linear", () =>
  withDevice(async (device) => {
    const classifier = new Classifier("LeNet", { random: new nn.Random(3) });
    for (const { data } of classifier.state.values()) data.forEach((v, i) => data[i] = 2.5 * v);
    nn.push(device, classifier.state.values());
    const training = limit(await loadEmbedded("train"), 120);
    const [logits, features] = [
      (images: nn.Tensor) => classifier.logits(images),
      (images: nn.Tensor) => classifier.features(images),
    ];
    const model = await laplaceAround({ device, logits, features, training, priorPrecision: 2 });
    assert.ok(model instanceof Laplace);
    const dense = denseOf(rowsOf(await answersOf(device, classifier, training)), 2);
    const largest = dense.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
    dense.forEach((v, i) => near(model.precision.data[i], v, 1e-4 * largest));
    const squared = (images: nn.Tensor): nn.Tensor => nn.square(features(images));
    await assert.rejects(
      laplaceAround({ device, logits, features: squared, training, name: "mine" }),
      /"mine": its logits are no linear function of its features; give what its last linear layer/,
    );
    const refused = [
      [{ priorPrecision: 0 }, "priorPrecision 0: give a number from 0.000001 to 1000000"],
      [{ laplaceSamples: 1.5 }, "laplaceSamples 1.5: give a whole number from 1 to 100000"],
      [
        { laplacePrediction: "mean" as "samples" },
        "laplacePrediction mean: give probit or samples",
      ],
    ] as const;
    for (const [options, why] of refused) {
      await assert.rejects(laplaceAround({ device, logits, features, training, ...options }), {
        name: "UserError",
        message: `Cannot put a Laplace approximation around "own model" with ${why}`,
      });
    }
    await assert.rejects(
      laplaceAround({ device, logits, features: undefined, training }),
      /"own model": it has no features; give a model that has both/,
    );
  }));
