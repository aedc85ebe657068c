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
const model = ofLogits((x) =>
  nn.matmul(nn.reshape(x, [-1, pixels]), nn.constant(weights, [pixels, classes]))
);
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
  return { z, total, l: z.map((v) => v - total) };
});

type Answer = typeof answers[number];

const sorted = (z: readonly number[]): number[] => z.toSorted((a, b) => b - a);

/** Every objective's value, by hand. */
const wanted: Record<ObjectiveName, (answer: Answer) => number> = {
  published: ({ l }) => -Math.max(...l),
  logProbability: ({ l }) => -Math.max(...l),
  entropy: ({ l }) => -l.reduce((sum, v) => sum + Math.exp(v) * v, 0),
  margin: ({ z: [...z] }) => (sorted(z)[1] ?? NaN) - (sorted(z)[0] ?? NaN),
  energy: ({ total }) => -total,
  maxLogit: ({ z }) => -Math.max(...z),
};

for (const [name, objective] of Object.entries<Objective>(objectives)) {
  const loss = (x: nn.Tensor): nn.Tensor => objective.loss(model, x, { draws: draws() });

  Deno.test(`\`${name}\` has the value that it has by hand, and a slope`, () => {
    const x = nn.constant(images, [batch, 1, 1, pixels]);
    const [found = []] = nn.evaluate([loss(x)]);
    assert.equal(found.length, batch);
    answers.forEach((answer, b) => {
      const value = wanted[name as ObjectiveName](answer);
      assert.ok(Math.abs((found[b] ?? NaN) - value) < 1e-5, `${found[b]} is not ${value}`);
    });
    // A linear model has no curvature in its logits themselves.
    const order = name === "margin" || name === "maxLogit" ? 1 : 2;
    checkGrads(loss, [[[batch, 1, 1, pixels], images]], order);
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
  const { logits: _, ...bare } = model;
  const other: Attackable = bare;
  assert.throws(
    () => knownObjective(objectives.energy, other, undefined),
    /^UserError: Cannot attack by the objective "energy": the model has no logits; choose published, logProbability, entropy$/,
  );
  assert.throws(
    () => knownObjective(objectives.entropy, model, 3),
    /^UserError: Cannot attack by the objective "entropy": it steers to no class; choose published, logProbability$/,
  );
  for (const objective of Object.values<Objective>(objectives)) {
    knownObjective(objective, model, undefined);
  }
});

Deno.test("an objective that a method cannot give is refused before a model is trained or a run begun", () =>
  inFolder(async (savePath) => {
    await assert.rejects(
      attack(runConfig({ mode: "due", objective: "energy", limit: 20, epochs: 1, savePath })),
      /^UserError: Cannot attack by the objective "energy": the model has no logits; /,
    );
    assert.deepEqual(await Array.fromAsync(Deno.readDir(savePath)), []);
  }));
