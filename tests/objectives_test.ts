/** Objectives: their values by hand, their slopes by differences, and what they refuse. */
import assert from "node:assert/strict";
import {
  type Attackable,
  type Objective,
  type ObjectiveName,
  objectives,
} from "../src/attack/mod.ts";
import { knownObjective } from "../src/evaluate/attack_set.ts";
import { ofLogits } from "../src/methods/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { attack } from "../src/experiment/attack.ts";
import { runConfig } from "../src/experiment/config.ts";
import { checkGrads, wave } from "./check_grads.ts";
import { inFolder } from "./support.ts";

const [batch, pixels, classes] = [3, 5, 4];
const weights = Float32Array.from(wave(pixels * classes, 2), (w) => 3 * w);
const linear = ofLogits((x) =>
  nn.matmul(nn.reshape(x, [-1, pixels]), nn.constant(weights, [pixels, classes]))
);
/** The same with features, the pixels themselves, and a score, the first of them. */
const model: Attackable = {
  ...linear,
  features: (x) => nn.reshape(x, [-1, pixels]),
  native: (x) => nn.reshape(nn.slice(x, [0, 0, 0, 0], [batch, 1, 1, 1]), [-1]),
};
/** Class means, of one class less than there are. */
const centres = Array.from({ length: classes - 1 }, (_, c) => [...wave(pixels, 4 + c)]);
const means = nn.constant(Float32Array.from(centres.flat()), [classes - 1, pixels]);
const images = Float32Array.from(wave(batch * pixels, 0.7));
const draws = (): nn.Draws => new nn.Draws(new nn.Random(0));

/** Logits and log-probabilities of each image, by hand. */
const answers = Array.from({ length: batch }, (_, b) => {
  const z = Array.from({ length: classes }, (_, c) => {
    let sum = 0;
    for (let k = 0; k < pixels; k++) {
      sum += (images[b * pixels + k] ?? NaN) * (weights[k * classes + c] ?? NaN);
    }
    return sum;
  });
  const total = Math.log(z.reduce((sum, v) => sum + Math.exp(v), 0));
  const x = Array.from(images.subarray(b * pixels, (b + 1) * pixels));
  return { x, z, total, l: z.map((v) => v - total) };
});

type Answer = typeof answers[number];

const sorted = (z: readonly number[]): number[] => z.toSorted((a, b) => b - a);

/** Every objective's value, by hand. */
const wanted: Record<ObjectiveName, (answer: Answer) => number> = {
  published: ({ l }) => -Math.max(...l),
  logProbability: ({ l }) => -Math.max(...l),
  target: ({ l }) => -(sorted(l)[1] ?? NaN),
  entropy: ({ l }) => -l.reduce((sum, v) => sum + Math.exp(v) * v, 0),
  margin: ({ z: [...z] }) => (sorted(z)[1] ?? NaN) - (sorted(z)[0] ?? NaN),
  energy: ({ total }) => -total,
  maxLogit: ({ z }) => -Math.max(...z),
  // -KL(u || p) = -sum_c u log(u / p_c).
  uniform: ({ l }) => -l.reduce((sum, v) => sum + (Math.log(1 / classes) - v) / classes, 0),
  ratio({ z }): number {
    const [first = NaN, second = NaN, , last = NaN] = sorted(z);
    return (second - first) / (first - last);
  },
  native: ({ x }) => -(x[0] ?? NaN),
  feature: ({ x }) =>
    Math.min(...centres.map((mu) => x.reduce((sum, v, k) => sum + (v - (mu[k] ?? NaN)) ** 2, 0))),
};

/** Objectives without curvature on a linear model. */
const straight: readonly string[] = ["margin", "maxLogit", "native"];

for (const [name, objective] of Object.entries<Objective>(objectives)) {
  const loss = (x: nn.Tensor): nn.Tensor => objective.loss(model, x, { draws: draws(), means });

  Deno.test(`\`${name}\` has the value that it has by hand, and a slope`, () => {
    const x = nn.constant(images, [batch, 1, 1, pixels]);
    const [found = []] = nn.evaluate([loss(x)]);
    assert.equal(found.length, batch);
    answers.forEach((answer, b) => {
      const value = wanted[name as ObjectiveName](answer);
      assert.ok(Math.abs((found[b] ?? NaN) - value) < 1e-5, `${found[b]} is not ${value}`);
    });
    checkGrads(loss, [[[batch, 1, 1, pixels], images]], straight.includes(name) ? 1 : 2);
  });
}

Deno.test("`logProbability` keeps the class of the clean image, `published` takes that of each step", () => {
  const clean = nn.constant(images, [batch, 1, 1, pixels]);
  const moved = nn.neg(clean);
  const { logProbability, published } = objectives;
  const kept = logProbability.keep?.(model, clean, { draws: draws() });
  const [fixed = [], fresh = []] = nn.evaluate([
    logProbability.loss(model, moved, { draws: draws() }, kept),
    published.loss(model, moved, { draws: draws() }),
  ]);
  const [l = []] = nn.evaluate([model.logProbabilities(moved, draws())]);
  answers.forEach(({ z }, b) => {
    const row = Array.from({ length: classes }, (_, c) => l[b * classes + c] ?? NaN);
    const label = z.indexOf(Math.max(...z));
    assert.ok(Math.abs((fixed[b] ?? NaN) + (row[label] ?? NaN)) < 1e-5);
    assert.ok(Math.abs((fresh[b] ?? NaN) + Math.max(...row)) < 1e-5);
  });
});

Deno.test("an objective is refused that the model cannot give, or that steers to no class, with those that can", () => {
  const { logits: _, ...bare } = linear;
  const refusals = {
    energy: "the model has no logits",
    native: "the model has no score of its own",
    feature: "the model has no features",
  } as const;
  for (const [name, state] of Object.entries(refusals)) {
    assert.throws(
      () => knownObjective(objectives[name as keyof typeof refusals], bare, undefined),
      new RegExp(
        `^UserError: Cannot attack by the objective "${name}": ${state}; ` +
          "choose published, logProbability, target, entropy, uniform$",
      ),
    );
  }
  assert.throws(
    () => knownObjective(objectives.entropy, model, 3),
    /^UserError: Cannot attack by the objective "entropy": it steers to no class; choose published, logProbability$/,
  );
  assert.throws(
    () => knownObjective(objectives.target, model, 3),
    /^UserError: Cannot attack by the objective "target": it chooses the classes to steer to itself; choose published, logProbability$/,
  );
  assert.throws(
    () => knownObjective(objectives.ratio, linear, undefined, 2),
    /^UserError: Cannot attack by the objective "ratio": the model has too few classes for the objective, 2 instead of 3 or more; choose published, logProbability, target, entropy, uniform, margin, energy, maxLogit$/,
  );
  for (const objective of Object.values<Objective>(objectives)) {
    for (const known of [undefined, 3, 10]) knownObjective(objective, model, undefined, known);
  }
});

Deno.test("`target` steers to each other class by rank at the clean image, and to as many as it runs", () => {
  const { target } = objectives;
  const objective: Objective = target;
  for (const classes of [2, 3, 5, 10, 12]) {
    const table = Float32Array.from(wave(6 * classes, 3), (w) => 4 * w);
    // Rows with classes of probability 0, and with ties.
    for (let c = 1; c < classes; c++) table[c] = -Infinity;
    for (let c = 0; c < classes; c++) table[classes + c] = -Math.log(classes);
    const l = nn.constant(table, [6, classes]);
    const answering: Attackable = { ...linear, logProbabilities: () => l };
    const runs = objective.runs?.(classes) ?? 0;
    assert.equal(runs, Math.min(9, classes - 1));
    const ranks = Array.from(
      { length: runs },
      (_, rank) =>
        objective.keep?.(answering, l, { draws: draws(), rank: nn.constant([rank]) }) ?? l,
    );
    const first = objective.keep?.(answering, l, { draws: draws() }) ?? l;
    const found = nn.evaluate([...ranks, first]);
    assert.deepEqual(found.at(-1), found[0]);
    for (const row of [0, 1, 2, 3, 4, 5]) {
      const values = Array.from(table.subarray(row * classes, (row + 1) * classes));
      const order = values.map((_, c) => c)
        .toSorted((a, b) => (values[b] ?? NaN) - (values[a] ?? NaN) || a - b);
      const chosen = found.slice(0, runs).map((labels) => labels[row]);
      assert.deepEqual(chosen, order.slice(1, 1 + runs), `${classes} classes, row ${row}`);
    }
  }
  const x = nn.constant(images, [batch, 1, 1, pixels]);
  const kept = nn.constant([1, 0, 3]);
  const [over = [], under = [], l = []] = nn.evaluate([
    objective.loss(model, x, { draws: draws() }, kept),
    objective.under?.(model, x, { draws: draws() }, kept) ?? x,
    model.logProbabilities(x, draws()),
  ]);
  assert.deepEqual(over, under, "another class is steered to in both directions");
  [1, 0, 3].forEach((c, b) => assert.equal(over[b], -(l[b * classes + c] ?? NaN)));
});

Deno.test("`feature` keeps the class that is nearest at the clean image", () => {
  const { feature } = objectives;
  const options = { draws: draws(), means };
  const clean = nn.constant(images, [batch, 1, 1, pixels]);
  const kept = feature.keep?.(model, clean, options) ?? assert.fail();
  const moved = nn.neg(clean);
  const [index = [], found = []] = nn.evaluate([kept, feature.loss(model, moved, options, kept)]);
  answers.forEach(({ x }, b) => {
    const to = (x: readonly number[]): number[] =>
      centres.map((mu) => x.reduce((sum, v, k) => sum + (v - (mu[k] ?? NaN)) ** 2, 0));
    assert.equal(index[b], to(x).indexOf(Math.min(...to(x))));
    const wanted = to(x.map((v) => -v))[index[b] ?? NaN] ?? NaN;
    assert.ok(Math.abs((found[b] ?? NaN) - wanted) < 1e-5);
  });
});

Deno.test("`ratio` does not depend on the logits' scale, and is 0 where they are all the same", () => {
  const { ratio } = objectives;
  const [once = [], often = [], none = []] = nn.evaluate(
    [1, 1e6, 0].map((factor) => {
      const x = nn.constant(images.map((v) => v * factor), [batch, 1, 1, pixels]);
      return ratio.loss(model, x, { draws: draws() });
    }),
  );
  once.forEach((value, b) => assert.ok(Math.abs(value - (often[b] ?? NaN)) < 1e-5));
  assert.ok(Array.from(none).every((value) => Math.abs(value) === 0));
});

Deno.test("an objective that a method cannot give is refused before a model is trained or a run begun", () =>
  inFolder(async (savePath) => {
    await assert.rejects(
      attack(runConfig({ mode: "due", objective: "energy", limit: 20, epochs: 1, savePath })),
      /^UserError: Cannot attack by the objective "energy": the model has no logits; /,
    );
    assert.deepEqual(await Array.fromAsync(Deno.readDir(savePath)), []);
  }));
