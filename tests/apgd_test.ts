/** Auto-PGD: its rule in f64 against a plain account of it, and its figures against its authors' code. */
import assert from "node:assert/strict";
import { attacks, type NormName } from "../src/attack/mod.ts";
import { decisions } from "../src/attack/apgd.ts";
import { objectiveOf, runConfig, type RunOptions } from "../src/experiment/config.ts";
import { attackSettings } from "../src/experiment/attack.ts";
import { stepsText } from "../src/report/words.ts";
import { readSafetensors } from "../src/checkpoint/safetensors.ts";
import { loadCheckpoint } from "../src/checkpoint/checkpoint.ts";
import { methods } from "../src/methods/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";
import * as nn from "../src/nn/mod.ts";
import { hyperparametersOf } from "./hyperparameters.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { withDevice } from "./support.ts";

Deno.test("lengths are decided on after the published steps, also of few", () => {
  const at = (steps: number): number[] =>
    decisions(steps).flatMap((interval, i) => interval > 0 ? [i] : []);
  assert.deepEqual(at(100), [22, 41, 57, 70, 80, 87, 93, 99]);
  assert.deepEqual(at(20), [4, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
  assert.deepEqual(at(1), [1]);
});

Deno.test("`--attack apgd` makes 100 steps down the log-probability, unless told otherwise", () => {
  const chosen = (options: RunOptions): unknown[] => {
    const config = runConfig(options);
    const { name, steps, stepSize, norm } = attackSettings(config);
    return [name, steps, stepSize, norm, objectiveOf(config)];
  };
  const options = { mode: "sngp", epsilonAttack: 0.5 } as const;
  assert.deepEqual(chosen(options), ["pgd", 10, 0.05, "linf", "published"]);
  assert.deepEqual(chosen({ ...options, attack: "apgd" }), [
    "apgd",
    100,
    1,
    "linf",
    "logProbability",
  ]);
  assert.deepEqual(
    chosen({ ...options, attack: "apgd", steps: 20, norm: "l2", objective: "entropy" }),
    ["apgd", 20, 1, "l2", "entropy"],
  );
  assert.equal(stepsText({ name: "apgd", steps: 100, stepSize: 1 }), "100 steps of at most 1");
  assert.equal(stepsText({ name: "pgd", steps: 1, stepSize: 0.05 }), "1 step of 0.05");
});

const [images, pixels, classes, steps] = [7, 12, 3, 40];
const numbers = (n: number, seed: number): Float32Array => new nn.Random(seed).uniform(n);

/** Two layers with a smooth bend: enough for steps to overshoot. */
const [inner, outer] = [
  numbers(pixels * 8, 1).map((v) => 6 * v - 3),
  numbers(8 * classes, 2).map((v) => 6 * v - 3),
];

/** Cross-entropy `[B]` against class 0, lowered. */
function lossOf(x: nn.Tensor): nn.Tensor {
  const hidden = nn.tanh(nn.matmul(x, nn.constant(inner, [pixels, 8])));
  return nn.crossEntropy(
    nn.matmul(hidden, nn.constant(outer, [8, classes])),
    nn.constant(0, [x.shape[0] ?? 1]),
  );
}

/** The loss of one image and its slope, in plain loops. */
function lossAndSlope(x: readonly number[]): { loss: number; slope: number[] } {
  const hidden = Array.from(
    { length: 8 },
    (_, j) => Math.tanh(x.reduce((sum, v, i) => sum + v * (inner[i * 8 + j] ?? 0), 0)),
  );
  const logits = Array.from(
    { length: classes },
    (_, c) => hidden.reduce((sum, v, j) => sum + v * (outer[j * classes + c] ?? 0), 0),
  );
  const top = Math.max(...logits);
  const total = logits.reduce((sum, z) => sum + Math.exp(z - top), 0);
  const upstream = logits.map((z, c) => Math.exp(z - top) / total - (c === 0 ? 1 : 0));
  const back = hidden.map((h, j) =>
    (1 - h * h) * upstream.reduce((sum, u, c) => sum + u * (outer[j * classes + c] ?? 0), 0)
  );
  return {
    loss: Math.log(total) + top - (logits[0] ?? 0),
    slope: x.map((_, i) => back.reduce((sum, b, j) => sum + b * (inner[i * 8 + j] ?? 0), 0)),
  };
}

/** Algorithm 1 for one image, step by step as its text has it; the loss is lowered. */
function plainly(
  clean: readonly number[],
  norm: NormName,
  epsilon: number,
): { best: number[]; lengths: number[] } {
  const size = (v: readonly number[]): number => Math.hypot(...v);
  const project = (x: readonly number[]): number[] => {
    const change = x.map((v, i) => v - (clean[i] ?? 0));
    const shorter = Math.min(1, epsilon / Math.max(size(change), 1e-12));
    const inBall = norm === "linf"
      ? change.map((d) => Math.min(epsilon, Math.max(-epsilon, d)))
      : change.map((d) => d * shorter);
    return inBall.map((d, i) => Math.min(1, Math.max(0, (clean[i] ?? 0) + d)));
  };
  const towards = (slope: readonly number[]): number[] =>
    norm === "linf" ? slope.map(Math.sign) : slope.map((v) => v / size(slope));
  let [x, before] = [[...clean], [...clean]];
  let { loss, slope } = lossAndSlope(x);
  let best = { x, loss, slope };
  let [length, interval, since, paid] = [2 * epsilon, Math.trunc(0.22 * steps), 0, 0];
  let [last, shortened, bestThen] = [0, true, loss];
  const lengths: number[] = [];
  for (let step = 0; step < steps; step++) {
    const ahead = project(x.map((v, i) => v - length * (towards(slope)[i] ?? 0)));
    const share = step === 0 ? 1 : 0.75;
    const next = project(
      x.map((v, i) => v + share * ((ahead[i] ?? 0) - v) + (1 - share) * (v - (before[i] ?? 0))),
    );
    [before, x] = [x, next];
    ({ loss, slope } = lossAndSlope(x));
    if (loss < best.loss) best = { x, loss, slope };
    paid += loss < last ? 1 : 0;
    last = loss;
    if (++since === interval) {
      const halve = paid <= 0.75 * interval || (!shortened && bestThen <= best.loss);
      [shortened, bestThen, since, paid] = [halve, best.loss, 0, 0];
      if (halve) [length, x, slope] = [length / 2, best.x, best.slope];
      interval = Math.max(
        interval - Math.max(1, Math.trunc(0.03 * steps)),
        Math.max(1, Math.trunc(0.06 * steps)),
      );
    }
    lengths.push(length);
  }
  return { best: best.x, lengths };
}

for (const norm of ["linf", "l2"] as const) {
  Deno.test(`\`apgd\` in ${norm} is the published rule in f64, halvings and restarts included`, () => {
    const epsilon = norm === "linf" ? 0.25 : 0.625;
    const clean = Float64Array.from(numbers(images * pixels, 3));
    const settings = attacks.apgd.settings(epsilon, { norm, steps });
    const state = attacks.apgd.prepare({ loss: lossOf, shape: [images, pixels] }, settings);
    const x0 = nn.input([images, pixels]);
    const values = new Map<nn.Parameter, Float64Array>();
    const move = (updates: nn.Updates, leaves: ReadonlyMap<nn.Tensor, Float64Array>): void => {
      const next = nn.evaluate([...updates.values()], leaves);
      [...updates.keys()].forEach((p, i) => values.set(p, next[i] ?? new Float64Array()));
    };
    move(state.start(x0, new nn.Random(0)), new Map([[x0, clean]]));
    const { updates } = state.step();
    const lengths: Float64Array[] = [];
    for (let step = 0; step < state.repeats; step++) {
      move(updates, new Map([...values].map(([p, value]) => [p.tensor, value])));
      assert.ok(state.lengths);
      lengths.push(Float64Array.from(values.get(state.lengths) ?? []));
    }
    let halvings = 0;
    for (let image = 0; image < images; image++) {
      const own = Array.from(clean.subarray(image * pixels, (image + 1) * pixels));
      const expected = plainly(own, norm, epsilon);
      const made = lengths.slice(1).map((all) => all[image]);
      assert.deepEqual(made, expected.lengths, `lengths of image ${image}`);
      halvings += Math.log2(2 * epsilon / (expected.lengths.at(-1) ?? NaN));
      const best = values.get(state.result)?.subarray(image * pixels, (image + 1) * pixels) ?? [];
      expected.best.forEach((v, i) =>
        assert.ok(Math.abs(v - (best[i] ?? NaN)) < 1e-9, `pixel ${i}`)
      );
    }
    assert.ok(halvings > 2 * images, `${halvings} halvings`);
  });
}

/** A run of the authors' code: its file, its arrays, and what of the model it lowers or raises. */
const runs = [
  {
    file: "de_seed0_linf",
    name: "apgd_ce_from_x.loss_best_steps",
    sizes: "apgd_ce_from_x.step_size_final",
    norm: "linf",
    epsilon: 0.1,
    label: "y",
    sign: -1,
    mean: 0.005,
  },
  {
    file: "de_seed0_l2",
    name: "apgd_ce_from_x.loss_best_steps",
    sizes: "apgd_ce_from_x.step_size_final",
    norm: "l2",
    epsilon: 1.5,
    label: "y",
    sign: -1,
    mean: 0.005,
  },
  {
    file: "de_seed0_overconfidence",
    name: "linf.log_p_best_steps",
    sizes: "linf.step_size_final",
    norm: "linf",
    epsilon: 0.1,
    label: "label",
    sign: 1,
    mean: 5e-4,
  },
  {
    file: "de_seed0_overconfidence",
    name: "l2.log_p_best_steps",
    sizes: "l2.step_size_final",
    norm: "l2",
    epsilon: 1.5,
    label: "label",
    sign: 1,
    mean: 5e-4,
  },
] as const;

for (const { file, name, sizes, norm, epsilon, label, sign, mean } of runs) {
  const archive = `reference/attacks/${file}.safetensors`;
  const checkpoint = "reference/checkpoints/de_seed0.checkpoint";
  testWithShared(
    `\`apgd\` reaches the losses and lengths of its authors' code: ${name} of ${file}`,
    [archive, checkpoint],
    () =>
      withDevice(async (device) => {
        const { tensors } = await readSafetensors(sharedPath(archive));
        const array = (key: string): Float32Array =>
          Float32Array.from(tensors.get(key)?.data ?? []);
        const model = methods.baseline.create("LeNet", {
          ...hyperparametersOf({}),
          random: new nn.Random(0),
          procedure: procedureOf("paper"),
        });
        await loadCheckpoint(model, sharedPath(checkpoint));
        const labels = nn.constant(array(label));
        const draws = new nn.Draws(new nn.Random(0));
        // The authors' code raises the cross-entropy of a digit's label, and the log-probability of a letter's.
        const loss = (x: nn.Tensor): nn.Tensor =>
          nn.scale(nn.negativeLogLikelihood(model.logProbabilities(x, draws), labels), sign);
        const state = attacks.apgd.prepare(
          { loss, shape: [200, 1, 28, 28] },
          attacks.apgd.settings(epsilon, { norm }),
        );
        const x0 = nn.constant(array("x").map((byte) => byte / 255), [200, 1, 28, 28]);
        const found = loss(state.result.tensor);
        using start = await nn.compile(device, { updates: state.start(x0, new nn.Random(0)) });
        using step = await nn.compile(device, { updates: state.step().updates });
        using judge = await nn.compile(device, { outputs: [found] });
        const reached = async (): Promise<Float32Array> => {
          judge.run();
          return (await judge.read(found)).map((v) => -v);
        };
        start.run();
        step.run([], 2);
        const [first, expected] = [await reached(), array(name)];
        const far = first.map((v, i) => Math.abs(v - (expected[200 + i] ?? NaN))).toSorted();
        assert.ok((far[179] ?? NaN) < 1e-4, `after a step nine in ten are off by ${far[179]}`);
        step.run([], state.repeats - 2);
        const last = await reached();
        const average = (v: ArrayLike<number>): number =>
          Array.from(v).reduce((a, b) => a + b, 0) / v.length;
        const difference = average(last) - average(expected.subarray(100 * 200));
        assert.ok(Math.abs(difference) < mean, `the mean differs by ${difference}`);
        assert.ok(state.lengths);
        await nn.pull(device, [state.lengths]);
        const own = state.lengths.data;
        // Where rounding decides whether a step paid, so it does whether the next ones are half as long.
        const halvings = (v: number): number => Math.log2(2 * epsilon / v);
        const expectedLengths = array(sizes);
        const apart = expectedLengths.map((v, i) => halvings(own[i] ?? NaN) - halvings(v));
        const alike = apart.filter((d) => Math.abs(d) < 1e-3).length;
        const [most, whole] = [apart.filter((d) => Math.abs(d) < 1.001).length, average(apart)];
        assert.ok(
          alike >= 120 && most >= 180,
          `${alike} lengths of 200 are the same, ${most} within one halving`,
        );
        assert.ok(Math.abs(whole) < 0.2, `${whole} halvings more on average`);
        nn.release(device, [...state.parameters, ...model.state.values()]);
      }),
  );
}
