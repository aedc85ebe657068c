/** Scores that were attacked by themselves, as pages and text show them. */
import assert from "node:assert/strict";
import type * as mirage from "../mod.ts";
import { showScoreAttacks } from "../src/cli/show_evidence.ts";
import { worstCases } from "../src/measure/score_attacks.ts";
import { detectionSection, evidenceOf } from "../src/report/evidence.ts";
import { scoresSection } from "../src/report/scores.ts";

Deno.test("a page shows the matrix of each side that is attacked, and of an older run what scores were fitted on", async () => {
  const estimate = (value: number) => ({ value, low: value - 0.1, high: value + 0.1 });
  const cell = (value: number): mirage.ToldResult => ({
    auroc: estimate(value),
    fprAt95Tpr: estimate(1 - value),
  });
  const row = { clean: cell(0.8), transfer: cell(0.7), gaussian: cell(0.125) };
  const apart = {
    ...cell(0.8),
    auprIn: estimate(0.5),
    auprOut: estimate(0.5),
    rejected: 0.5,
  };
  const fitted = { training: { name: "digits", count: 60 }, digest: "0".repeat(64), leftOut: [] };
  const attacks: mirage.ScoreAttacks = {
    images: { in: 0, out: 200 },
    on: "out",
    results: { gaussian: { clean: apart, adaptive: apart } },
    matrix: { out: { entropy: row, gaussian: row }, in: null, both: null },
  };
  const page = async (figures: Record<string, unknown>): Promise<string> =>
    (await scoresSection(evidenceOf({ scores: { ...fitted, ...figures } })))?.text ??
      assert.fail();
  const text = await page({ attacks });
  assert.match(text, /on 200 out-domain images, evenly spread/);
  // Twice in either figure's matrix, twice where its score is attacked by itself: adaptive, and as the worst.
  assert.equal(text.split(">0.125").length - 1, 4);
  assert.equal(text.split(">0.875").length - 1, 4);
  assert.match(
    text,
    /At its worst Gaussian is left with most: an AUROC of 0\.125 under the attack on/,
  );
  assert.equal(text.split("<details>").length - 1, 1);
  const both = await page({
    attacks: { ...attacks, on: "both", matrix: { ...attacks.matrix, both: {} } },
  });
  assert.equal(both.split("<details>").length - 1, 2);
  const detection = {
    scores: { gaussian: { clean: apart, attacked: apart } },
    bootstrap: { confidence: 0.95 },
  };
  const detectors = (figures: Record<string, unknown>): string =>
    detectionSection(evidenceOf({ detection, ...figures }), 2000)?.text ?? assert.fail();
  assert.match(
    detectors({ scores: { ...fitted, attacks } }),
    /all 2000 images<.*AUROC clean<.*FPR95 attacked<[^]*<details><summary>AUPR by every/,
  );
  // Of a run that asked for no scores a row a figure, as ever.
  assert.match(detectors({}), /: AUPR-in</);
  assert.doesNotMatch(detectors({}), /<details>/);
  const older = await page({ attacks: { images: 200, on: "out", results: {} } });
  assert.match(older, /fitted on 60 images of digits/);
  assert.doesNotMatch(older, /AUROC/);
});

Deno.test("scores stand by what is left of them at their worst, in a table of 80 columns", () => {
  const cell = (value: number): mirage.ToldResult => ({
    auroc: { value, low: value - 0.125, high: value + 0.125 },
    fprAt95Tpr: { value: 1 - value, low: null, high: null },
  });
  const row = (clean: number, transfer: number, knn: number, relative: number) => ({
    clean: cell(clean),
    transfer: cell(transfer),
    knn: cell(knn),
    relativeMahalanobis: cell(relative),
  });
  const matrix: mirage.ScoreMatrix = {
    entropy: row(0.9, 0.125, 0.5, 0.5),
    // Neither by transfer nor by its own slope, but by the slope of another.
    relativeMahalanobis: row(0.875, 0.75, 0.375, 0.625),
    knn: row(0.9, 0.75, 0.7, 0.875),
  };
  const names = ["relativeMahalanobis", "knn"];
  const worst = worstCases(matrix, names);
  assert.deepEqual(worst.map(({ name, attack }) => [name, attack]), [
    ["knn", "knn"],
    ["relativeMahalanobis", "knn"],
  ]);
  assert.deepEqual(worst.map(({ auroc }) => auroc.value), [0.7, 0.375]);
  assert.deepEqual(worst.map(({ fprAt95Tpr }) => fprAt95Tpr.value), [1 - 0.7, 0.625]);
  assert.deepEqual(worstCases(matrix).at(-1)?.name, "entropy");
  const apart = { ...cell(0.9), auprIn: cell(0.5).auroc, auprOut: cell(0.5).auroc, rejected: 0.5 };
  const scores = {
    ...{ training: { name: "digits", count: 60 }, digest: "0".repeat(64), leftOut: [] },
    attacks: {
      images: { in: 0, out: 200 },
      on: "out" as const,
      results: Object.fromEntries(names.map((name) => [name, { clean: apart, adaptive: apart }])),
      matrix: { out: matrix, in: null, both: null },
    },
  };
  const lines = showScoreAttacks({ scores }, 80).flatMap((text) => text.split("\n"));
  assert.match(
    lines[2] ?? "",
    /^│ AUROC of 200 +│ clean │ transfer │ adaptive │ +worst │ FPR95 │$/,
  );
  assert.match(lines[4] ?? "", /^│ KNN .* 0\.700 │ 0\.700 \[0\.575, 0\.825\] │ 0\.300 │$/);
  assert.match(
    lines[5] ?? "",
    /^│ relative Mah\. .* 0\.625 │ 0\.375 \[0\.250, 0\.500\] │ 0\.625 │$/,
  );
  assert.match(
    lines.at(-1) ?? "",
    /^At its worst KNN .* Of 2 scores attacked, 2 keep at most 0\.7 and 1 at most 0\.5/,
  );
});
