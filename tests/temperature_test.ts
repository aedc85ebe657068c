/** `--temperature-scaling`: the temperature, the scaled answer, what an attack sees of it, and runs of the program. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type ImageSet, limit } from "../data/mod.ts";
import { showAttack } from "../src/cli/show.ts";
import type { Attackable } from "../src/attack/mod.ts";
import { silent } from "../src/base/reporter.ts";
import { predict } from "../src/evaluate/predict.ts";
import { batteryOnly } from "../src/experiment/battery.ts";
import { calibratedBench, halvesOf } from "../src/experiment/calibrated.ts";
import { job } from "../src/experiment/common.ts";
import { runConfig } from "../src/experiment/config.ts";
import { attackResultSchema, evalResultSchema } from "../src/experiment/documents.ts";
import { evaluateOnly } from "../src/experiment/evaluate.ts";
import { findOrTrain, openWorkbench } from "../src/experiment/workbench.ts";
import { Clock } from "../src/base/clock.ts";
import { calibration } from "../src/measure/calibration.ts";
import { accuracy, nll, type Predictions } from "../src/measure/metrics.ts";
import type { FitResult } from "../src/measure/results.ts";
import {
  type MethodName,
  methods,
  ofLogits,
  single,
  type Subject,
  temperatureScaled,
} from "../src/methods/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";
import * as nn from "../src/nn/mod.ts";
import { temperatureOf } from "../src/scores/mod.ts";
import { checkGrads, wave } from "./check_grads.ts";
import { hyperparametersOf } from "./hyperparameters.ts";
import { task } from "./program.ts";
import { inFolder, onlyRun } from "./support.ts";
import { trained } from "./trained.ts";

/** `log softmax(l / T)` of one row, plainly. */
function cooled(row: readonly number[], temperature: number): number[] {
  const scaled = row.map((l) => l / temperature);
  const top = Math.max(...scaled);
  const all = Math.log(scaled.reduce((sum, l) => sum + Math.exp(l - top), 0)) + top;
  return scaled.map((l) => l - all);
}

/** Rows of three log-probabilities that are too sure of their labels, of which a fifth are wrong. */
const [rows, labels] = overconfident(40);

function overconfident(count: number): [rows: number[][], labels: number[]] {
  const noise = wave(3 * count, 0.7);
  const labels = Array.from({ length: count }, (_, i) => i % 3);
  const rows = labels.map((label, i) => {
    const top = i % 5 === 0 ? (label + 1) % 3 : label;
    return cooled([0, 1, 2].map((c) => 2 * (noise[3 * i + c] ?? 0) + (c === top ? 6 : 0)), 1);
  });
  return [rows, labels];
}

/** The mean negative log-likelihood of the labels at a temperature. */
function lossAt(temperature: number): number {
  const each = rows.map((row, i) => -(cooled(row, temperature)[labels[i] ?? NaN] ?? NaN));
  return each.reduce((a, b) => a + b, 0) / each.length;
}

/** Where a function of one number is lowest, by golden sections. */
function lowest(f: (x: number) => number, low: number, high: number): number {
  const golden = (Math.sqrt(5) - 1) / 2;
  let [a, b] = [low, high];
  for (let i = 0; i < 80; i++) {
    const [x, y] = [b - golden * (b - a), a + golden * (b - a)];
    if (f(x) < f(y)) b = y;
    else a = x;
  }
  return (a + b) / 2;
}

Deno.test("the temperature is where golden sections find the lowest NLL, within 1e-6", () => {
  const values = Float64Array.from(rows.flat());
  const found = temperatureOf({ width: 3, values }, labels) ?? NaN;
  const wanted = lowest(lossAt, 0.1, 20);
  assert.ok(wanted > 1.5, `${wanted}: the rows are too sure`);
  assert.ok(Math.abs(found - wanted) <= 1e-6 * wanted, `${found}, ${wanted}`);
  const logits = values.map((l, i) => l + 3 * Math.floor(i / 3));
  const same = temperatureOf({ width: 3, values: logits }, labels) ?? NaN;
  assert.ok(Math.abs(same - found) <= 1e-9, "of logits it is the same");
  const without = temperatureOf(
    { width: 4, values: Float64Array.from(rows.flatMap((row) => [...row, -Infinity])) },
    labels,
  );
  assert.equal(without, found, "a class that is impossible everywhere changes nothing");
  const right = Float64Array.from([2, 0, 0, 3]);
  assert.equal(temperatureOf({ width: 2, values: right }, [0, 1]), undefined);
  assert.equal(temperatureOf({ width: 2, values: right }, [1, 0]), undefined);
  assert.equal(temperatureOf({ width: 2, values: Float64Array.of(NaN, 0) }, [0]), undefined);
});

const x = nn.input([2, 1, 28, 28]);
const pixels = Float32Array.from(wave(2 * 784, 0.3), (value) => 0.5 + 0.5 * value);
const draws = (): nn.Draws => new nn.Draws(new nn.Random(0));
const temperature = 1.6;

/** Two untrained models of a method, or one, as they are attacked. */
function subjectOf(mode: MethodName, chosen: Parameters<typeof procedureOf>[1] = {}): Subject {
  const procedure = procedureOf("paper", chosen);
  const method = methods[mode];
  const models = [0, 1].map((seed) =>
    method.create(method.models[0] ?? "", {
      random: new nn.Random(seed),
      procedure,
      ...hyperparametersOf(),
    })
  );
  return method.subject(
    method.ensemble ? models : models.slice(0, 1),
    procedure,
    hyperparametersOf(),
  );
}

/** Rows of ten of a node, in f64. */
function rowsOf(node: nn.Tensor): number[][] {
  const [values = []] = nn.evaluate([node], new Map([[x, pixels]]));
  return [0, 1].map((row) => Array.from(values).slice(10 * row, 10 * row + 10));
}

function alike(found: readonly number[][], wanted: readonly number[][], within = 1e-12): void {
  found.flat().forEach((value, i) => {
    const by = wanted.flat()[i] ?? NaN;
    assert.ok(Math.abs(value - by) <= within * Math.max(1, Math.abs(by)), `${i}: ${value}, ${by}`);
  });
}

Deno.test("an ensemble's answer is pooled, then scaled; what it had besides stays", () => {
  for (const ensembleMean of ["logits", "probabilities"] as const) {
    const subject = subjectOf("sngp_ensemble", { ensembleMean, ensembleAttack: "per-member" });
    const each = subject.attacked.map((part) => rowsOf(part.logProbabilities(x, draws())));
    const pooled = [0, 1].map((row) =>
      cooled(
        Array.from({ length: 10 }, (_, c) => {
          const of = each.map((l) => l[row]?.[c] ?? NaN);
          const mean = of.map((l) => ensembleMean === "logits" ? l : Math.exp(l))
            .reduce((a, b) => a + b) / 2;
          return ensembleMean === "logits" ? mean : Math.log(mean);
        }),
        temperature,
      )
    );
    const scaled = temperatureScaled(subject, temperature);
    alike(rowsOf(scaled.logProbabilities([x, x], draws())), pooled, 1e-6);
    assert.equal(scaled.attacked, subject.attacked, "members stay as they are");
    const [before, after] = [subject, scaled].map((of) => of.readings?.([x, x], draws()) ?? {});
    assert.ok(before && after);
    for (const [name, { logConfidences }] of Object.entries(before)) {
      alike(rowsOf(after[name]?.logConfidences ?? x), rowsOf(logConfidences));
    }
  }
});

Deno.test("an attack sees the scaled answer of any family, and the method's own features and score", () => {
  for (const mode of ["baseline", "deep_ensemble", "duq", "mc_dropout"] as const) {
    const subject = subjectOf(mode, { ensembleAttack: "joint" });
    const [own] = subject.attacked;
    const [part] = temperatureScaled(subject, temperature).attacked;
    assert.ok(own && part);
    const wanted = rowsOf(own.logProbabilities(x, draws())).map((row) => cooled(row, temperature));
    alike(rowsOf(part.logProbabilities(x, draws())), wanted, 1e-6);
    const losses = nn.evaluate(
      [undefined, 3].map((target) => part.confidenceLoss(x, { draws: draws(), target })),
      new Map([[x, pixels]]),
    );
    alike(
      losses.map((loss) => Array.from(loss)),
      [wanted.map((row) => -Math.max(...row)), wanted.map((row) => -(row[3] ?? NaN))],
      1e-6,
    );
    for (const name of ["logits", "features", "native"] as const) {
      assert.equal(part[name] === undefined, own[name] === undefined, `${mode} ${name}`);
    }
    if (part.logits && own.logits) {
      alike(
        rowsOf(part.logits(x)),
        rowsOf(own.logits(x)).map((row) => row.map((z) => z / 1.6)),
        1e-6,
      );
    }
    const values = (of: Attackable): number[] =>
      Array.from(nn.evaluate([of.native?.(x, draws()) ?? x], new Map([[x, pixels]]))[0] ?? []);
    assert.deepEqual(values(part), values(own));
  }
});

Deno.test("the scaled loss has the slope that differences give, with logits and without", () => {
  const weight = nn.constant(Float32Array.from(wave(12, 0.2), (v) => 2 * v), [4, 3]);
  const model = ofLogits((images) => nn.matmul(nn.reshape(images, [2, 4]), weight));
  const { logits: _, ...bare } = model;
  for (const answering of [model, bare]) {
    const [part] = temperatureScaled(single([answering]), 0.7).attacked;
    checkGrads(
      (images) => part?.confidenceLoss(images, { draws: draws() }) ?? assert.fail(),
      [[[2, 1, 2, 2], wave(8, 0.9)]],
      1,
    );
  }
});

/** `count` images of one pixel, each with its number as label and pixel. */
function numbered(count: number): ImageSet {
  return {
    name: "numbers",
    count,
    shape: [1, 1, 1],
    images: Uint8Array.from({ length: count }, (_, i) => i),
    labels: Uint16Array.from({ length: count }, (_, i) => i),
    source: "here",
    sha256: "",
  };
}

Deno.test("the halves are disjoint, cover the set in its order, and are the seed's", () => {
  const set = numbered(101);
  const { fit, rest } = halvesOf(set, 3);
  assert.deepEqual([fit.count, rest.count], [50, 51]);
  const [a, b] = [fit, rest].map(({ labels }) => Array.from(labels));
  assert.ok(a && b);
  assert.deepEqual([...a, ...b].toSorted((x, y) => x - y), Array.from(set.labels));
  for (const half of [a, b]) assert.deepEqual(half, half.toSorted((x, y) => x - y));
  assert.deepEqual(Array.from(fit.images), a);
  assert.deepEqual(halvesOf(set, 3), { fit, rest });
  assert.notDeepEqual(Array.from(halvesOf(set, 4).fit.labels), a);
});

Deno.test("an ensemble of SNGPs is calibrated in `eval` and `attack`, by half of the images, and verified", () =>
  inFolder(async (savePath) => {
    const flags = [
      ...["--mode", "sngp_ensemble", "--limit", "60", "--epochs", "8", "--lr", "0.05"],
      ...["--save-path", savePath, "--temperature-scaling"],
    ];
    const made = async (command: string, ...more: string[]): Promise<string> => {
      const { code, stdout, stderr } = await task(command, [...flags, ...more], { cwd: savePath });
      assert.equal(code, 0, stderr);
      return stdout;
    };
    const out = join(savePath, "eval.json");
    assert.match(
      await made("eval", "--out", out),
      /\ntemperature [\d.]+ \((below|above) 1: \w[a-z ]+\), fitted on 30 images of embedded digits test, which the figures leave out: on the other 30 NLL went from [\d.]+ to [\d.]+, ECE from [\d.]+ to [\d.]+, means over images\n/,
    );
    const { temperature, inDomain } = evalResultSchema.parse(
      JSON.parse(await Deno.readTextFile(out)),
    );
    assert.deepEqual(temperature?.set, { name: "embedded digits test", count: 30 });
    assert.equal(inDomain.count, 30);
    const attacked = attackResultSchema.parse(
      JSON.parse(await made("attack", "--json", "--on", "both", "--steps", "2")),
    );
    assert.deepEqual(attacked.temperature, temperature);
    assert.match(showAttack(attacked), /mean of probabilities \(not scaled\): rejected at 0\.9/);
    assert.deepEqual(attacked.inDomain, inDomain);
    assert.ok((attacked.adversarial.entropy ?? NaN) < (attacked.clean.entropy ?? NaN));
    for (const command of ["eval", "attack"]) {
      const page = await Deno.readTextFile(join(await onlyRun(savePath, command), "report.html"));
      assert.match(
        page,
        /temperature [\d.]+ \(.*\), fitted on 30 images of .* on the other 30 NLL /,
      );
      assert.match(page, /mean of probabilities \(not scaled\): share rejected at 0\.9/);
    }
    const verified = await task("verify", [await onlyRun(savePath, "attack")], { cwd: savePath });
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
  }));

/** How well answers fit a set's labels. */
function fitOf(predictions: Predictions, { labels }: ImageSet): FitResult {
  return { nll: nll(predictions, labels), ece: calibration(predictions, labels).ece };
}

/** Within what f32 leaves of log-probabilities. */
function near(found: FitResult, wanted: FitResult): void {
  for (const name of ["nll", "ece"] as const) {
    const by = Math.abs((found[name] ?? NaN) - (wanted[name] ?? NaN));
    assert.ok(by <= 1e-5, `${name}: ${found[name]}, ${wanted[name]}`);
  }
}

for (const mode of ["mc_dropout", "duq"] as const) {
  Deno.test(`calibrated answers of ${mode} fit better, and no class changes`, () =>
    inFolder(async (savePath) => {
      const options = { mode, limit: 60, epochs: 10, lr: 0.03, savePath } as const;
      await trained(savePath, options);
      const config = runConfig({ ...options, temperatureScaling: true });
      using bench = await openWorkbench(config, "use", silent);
      await findOrTrain(bench, silent, new Clock());
      const halves = halvesOf(limit(await bench.sets.inDomain.images("test"), 60), config.seed);
      const calibrated = await calibratedBench(bench, silent);
      assert.deepEqual(await calibrated.test(), halves.rest);
      for (const [half, set] of Object.entries(halves)) {
        const before = await predict(job(bench, set, silent));
        const after = await predict(job(calibrated.bench, set, silent));
        const figures = [before, after].map(({ predictions }) => ({
          accuracy: accuracy(predictions, set.labels),
          nll: nll(predictions, set.labels),
        }));
        const [was, is] = figures;
        assert.ok(was && is);
        assert.equal(is.accuracy, was.accuracy);
        if (half === "fit") assert.ok(is.nll < was.nll, `${is.nll}, ${was.nll}`);
        assert.deepEqual(after.scores, before.scores, "scores of its own stay");
      }
      const { temperature, inDomain } = await evaluateOnly(config, silent);
      const { unscaled, scaled, ...fitted } = temperature ?? assert.fail();
      assert.deepEqual(fitted, calibrated.temperature);
      const plain = (await predict(job(bench, halves.rest, silent))).predictions;
      near(unscaled, fitOf(plain, halves.rest));
      const wanted = (await predict(job(calibrated.bench, halves.rest, silent))).predictions;
      assert.equal(inDomain.accuracy, accuracy(wanted, halves.rest.labels));
      assert.equal(inDomain.nll, nll(wanted, halves.rest.labels));
      assert.deepEqual(scaled, fitOf(wanted, halves.rest));
    }));
}

Deno.test("a battery and scores on top are of the calibrated answer and of the other half", () =>
  inFolder(async (savePath) => {
    const options = { mode: "baseline", limit: 60, epochs: 2, savePath } as const;
    await trained(savePath, options);
    const asked = { ...options, temperatureScaling: true, scores: "energy" } as const;
    const made = await batteryOnly(
      runConfig({ ...asked, battery: "fast", on: "out" }),
      silent,
    );
    assert.deepEqual([made.inDomain.count, made.attacked.in, made.attacked.out], [30, 30, 60]);
    const { temperature, inDomain, detection } = await evaluateOnly(runConfig(asked), silent);
    assert.deepEqual(made.temperature, temperature);
    assert.deepEqual(made.inDomain, inDomain);
    for (const name of ["maxProbability", "entropy", "energy"]) {
      assert.equal(
        made.scores[name]?.columns.clean.auroc.value,
        detection.scores[name]?.clean.auroc.value,
      );
    }
  }));

Deno.test("what no temperature can be fitted on is refused before a model is trained", async () => {
  const images = numbered(60);
  assert.throws(
    () => halvesOf({ ...images, labelled: false }, 0),
    /^UserError: Cannot fit a temperature on numbers: nothing says what its images show; give a set with labels, or leave out --temperature-scaling$/,
  );
  assert.throws(
    () => halvesOf(numbered(39), 0),
    /: half of its 39 images is less than 20; take more images, or leave out --temperature-scaling$/,
  );
  assert.equal(halvesOf(numbered(40), 0).fit.count, 20);
  await inFolder(async (savePath) => {
    const few = { mode: "baseline", limit: 30, savePath, temperatureScaling: true } as const;
    await assert.rejects(
      evaluateOnly(runConfig(few), silent),
      /Cannot fit a temperature on embedded digits test: half of its 30 images is less than 20/,
    );
    assert.deepEqual([...Deno.readDirSync(savePath)], [], "nothing was trained");
    const none = [
      "--checkpoint",
      "any.safetensors",
      "--in-domain",
      "none",
      "--temperature-scaling",
    ];
    const { code, stderr } = await task("attack", none, { cwd: savePath });
    assert.equal(code, 1);
    assert.match(
      stderr,
      /Cannot fit a temperature without in-domain images: it is fitted on half of/,
    );
    using bench = await openWorkbench(runConfig({ ...few, limit: 60 }), "use", silent);
    /** Of every class the same logit, or something that is no number. */
    const always = (value: number): Subject =>
      single([
        ofLogits((images) =>
          nn.mul(nn.reshape(nn.sum(images, [1, 2, 3]), [-1, 1]), nn.constant(value, [1, 10]))
        ),
      ]);
    const answering = (value: number): Promise<unknown> => {
      const subject = always(value);
      return calibratedBench({ ...bench, subject }, silent);
    };
    await assert.rejects(
      answering(1),
      /: no temperature makes its labels likeliest, as where every image is classified rightly or by chance; take other images, or a better model, or leave out --temperature-scaling$/,
    );
    await assert.rejects(
      answering(NaN),
      /: to 30 labels the model gives a probability of exactly 0, or no number; /,
    );
  });
});
