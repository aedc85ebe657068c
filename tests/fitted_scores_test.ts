/** The scores of src/scores by hand, by differences, on the device, and what they refuse. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { uniform } from "../src/nn/check/case.ts";
import * as nn from "../src/nn/mod.ts";
import { scoreName, shortScoreName } from "../src/report/words.ts";
import {
  energyAt,
  fittedScore,
  type FitTensors,
  type Score,
  type Scored,
  scores,
  Training,
} from "../src/scores/mod.ts";
import { checkGrads } from "./check_grads.ts";
import { apart, onHost } from "./scored.ts";
import { inFolder, withDevice } from "./support.ts";

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
    for (const value of [score.score, score.surrogate ?? score.score]) {
      checkGrads(
        (x) => nn.scale(value.call(score, small, x, constants()), by),
        [[shape, images]],
        1,
      );
    }
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
    () => scores.vim.fit?.(of([1, 2, 3, 4, 5, 7], [0, 1, 0])),
    /: "vim" finds the last layer by more images than independent features and one, here by 3; /,
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

Deno.test("docs/scores.md has a row for every score, and for no other", async () => {
  const text = await Deno.readTextFile(new URL("../docs/scores.md", import.meta.url));
  const rows = [...text.matchAll(/^\| `(\w+)` \| (.*?) \| (.*?) \| /gm)];
  assert.deepEqual(rows.map(([, name]) => name), Object.keys(scores));
  for (const [, name = "", short, long] of rows) {
    assert.equal(short, shortScoreName(name));
    assert.equal(long === "the same" ? short : long, scoreName(name));
  }
});

Deno.test("the score that docs/extending.md adds has its types and its value", () =>
  inFolder(async (cwd) => {
    const page = await Deno.readTextFile(new URL("../docs/extending.md", import.meta.url));
    const [, text = assert.fail()] =
      /```ts ignore\n([^]*?from "\.\/functions\.ts"[^]*?)```/.exec(page) ??
        [];
    const path = join(cwd, "feature_norm.ts");
    const from = new URL("../src/scores/", import.meta.url);
    await Deno.writeTextFile(
      path,
      text.replaceAll(/from "(\..*?)"/g, (_, target: string) => `from "${new URL(target, from)}"`),
    );
    const config = fileURLToPath(new URL("../deno.json", import.meta.url));
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--config", config, path],
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const { featureNorm } = await import(pathToFileURL(path).href) as { featureNorm: Score };
    const model: Scored = { ...bare, features: (x) => x };
    assert.deepEqual([...onHost(featureNorm, {}, model, [[2, 3], [1, 2, 3, 0, -4, 0.5]])], [
      14,
      16.25,
    ]);
  }));
