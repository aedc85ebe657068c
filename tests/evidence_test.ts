/** Detectors, calibration and curves of predictions made by hand, and that the schemas take them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  calibrationOf,
  confidentShares,
  detectionOf,
  epsilonPoint,
  scoresOf,
  tauCurve,
} from "../src/measure/evidence.ts";
import { checksResult } from "../src/evaluate/checks.ts";
import {
  attackedDetectionSchema,
  attackEvidence,
  calibrationSchema,
  checksSchema,
  detectionSchema,
  epsilonSchema,
  evalEvidence,
} from "../src/measure/schema.ts";
import { showAttack, showEval } from "../src/cli/show.ts";
import { runConfig } from "../src/experiment/config.ts";
import type { Predictions } from "../src/measure/metrics.ts";
import { type Answers, answersAt } from "../src/measure/answers.ts";
import { attackPage } from "../src/report/attack.ts";
import { readContent } from "../src/report/content.ts";
import { attack } from "../src/experiment/attack.ts";
import { evaluate } from "../src/experiment/evaluate.ts";
import { inFolder } from "./support.ts";

/** Two classes, the first of the given probability; a distance that falls with it. */
function answers(...p: readonly number[]): Answers {
  const logProbabilities = Float32Array.from(p.flatMap((a) => [a, 1 - a]), Math.log);
  return {
    predictions: { logProbabilities, classes: 2 },
    readings: {},
    scores: { distance: { values: p.map((a) => 1 - a), higher: "out-domain" } },
  };
}

const inDomain = answers(0.95, 0.99, 0.7, 0.9375);
const clean = answers(0.5, 0.6, 0.8);
const attacked = answers(0.97, 0.98, 0.96);

Deno.test("every score says where higher values belong, and its threshold is in its own unit", () => {
  assert.deepEqual(Object.keys(scoresOf(clean)), ["maxProbability", "entropy", "distance"]);
  const document = attackedDetectionSchema.parse(detectionOf(inDomain, { clean, attacked }, 3));
  assert.equal(document.positive, "in-domain");
  assert.equal(document.inDomain, 4);
  assert.deepEqual(document.bootstrap, { resamples: 1000, confidence: 0.95, seed: 3 });
  const { maxProbability, entropy, distance } = document.scores;
  assert.deepEqual([maxProbability?.higher, entropy?.higher], ["in-domain", "out-domain"]);
  // All four must be kept, the one at 0.7 too.
  assert.ok(Math.abs((maxProbability?.threshold ?? NaN) - 0.7) < 1e-6);
  assert.ok(Math.abs((distance?.threshold ?? NaN) - 0.3) < 1e-12);
  for (const score of [maxProbability, entropy, distance]) {
    assert.equal(score?.kept, 1);
    // Of 12 pairs all are in order but 0.7 against 0.8; after the attack 3 are.
    assert.equal(score.clean.auroc.value, 11 / 12);
    assert.equal(score.attacked.auroc.value, 3 / 12);
    assert.equal(score.clean.rejected, 2 / 3);
    assert.equal(score.clean.fprAt95Tpr.value, 1 / 3);
    assert.equal(score.attacked.rejected, 0);
  }
  assert.ok(detectionSchema.parse(detectionOf(inDomain, { clean }, 3)).scores["distance"]);
});

Deno.test("shares above 0.9 and the curves against tau count images", () => {
  assert.deepEqual(confidentShares(inDomain, { clean, attacked }), {
    inDomain: 0.75,
    clean: 0,
    attacked: 1,
  });
  const curve = attackEvidence.curves.shape.tau.parse(tauCurve(inDomain, { clean, attacked }));
  assert.equal(curve.length, 20);
  const at = curve.find(({ tau }) => tau === 0.75);
  assert.equal(at?.inDomain?.rejected, 0.25);
  assert.equal(at.clean.rejected, 2 / 3);
  assert.equal(at.attacked.rejected, 0);
  assert.equal(at.clean.auroc, (1 + 2 / 3 - 1 / 4) / 2);
  // Of the clean ones 0.8 is left.
  const h = -(0.8 * Math.log(0.8) + 0.2 * Math.log(0.2));
  assert.ok(Math.abs((at.clean.entropy ?? NaN) - h) < 1e-6);
  assert.equal(curve.at(-1)?.clean.entropy, null);
  assert.ok(evalEvidence.curves.parse({ tau: tauCurve(inDomain, { clean }) }));
});

Deno.test("a point of the curve against epsilon has mean entropy, rejection and AUROC by score", () => {
  const point = epsilonSchema.parse(epsilonPoint(inDomain, attacked, 0.1, 0));
  assert.equal(point.images, 3);
  assert.equal(point.rejected.value, 0);
  assert.equal(point.rejected.low, 0);
  // Wilson's upper end for none of three: z^2 / (n + z^2).
  assert.ok(Math.abs((point.rejected.high ?? NaN) - 1.96 ** 2 / (3 + 1.96 ** 2)) < 1e-12);
  assert.equal(point.auroc?.["distance"]?.value, 0.25);
  for (
    const { value, low, high } of [
      point.entropy,
      point.rejected,
      ...Object.values(point.auroc ?? {}),
    ]
  ) {
    assert.ok(value !== null && low !== null && high !== null && low <= value && value <= high);
  }
  const one = epsilonPoint(inDomain, answersAt(attacked, [1]), 0.1, 0);
  assert.equal(one.images, 1);
  const h = -(0.98 * Math.log(0.98) + 0.02 * Math.log(0.02));
  assert.ok(Math.abs((one.entropy.value ?? NaN) - h) < 1e-6);
  assert.deepEqual([one.entropy.low, one.entropy.high], [null, null]);
});

Deno.test("what no image gave is null", () => {
  const none = answers(NaN, NaN);
  assert.equal(epsilonPoint(inDomain, none, 0, 0).entropy.value, null);
  assert.equal(epsilonPoint(inDomain, none, 0, 0).rejected.value, 1);
  const { ece, bins } = calibrationSchema.parse(calibrationOf(none.predictions, [0, 0]));
  assert.equal(ece, null);
  assert.equal(bins.length, 15);
  const { scores } = detectionSchema.parse(detectionOf(none, { clean }, 0));
  assert.equal(scores["maxProbability"]?.threshold, null);
  assert.equal(scores["maxProbability"]?.clean.auroc.value, 0);
  const checks = checksSchema.parse(checksResult({
    images: 1,
    effect: "entropy",
    results: { loss: { holds: false, figures: { before: NaN, after: 1 }, warning: "No" } },
  }));
  assert.deepEqual(checks.results["loss"]?.figures, { before: null, after: 1 });
});

Deno.test("`attack()` and `evaluate()` tell the same of clean images, and show it in 80 columns", () =>
  inFolder(async (savePath) => {
    const config = runConfig({ mode: "sngp", epochs: 1, limit: 64, savePath, targeted: 3 });
    const attacked = await attack(config);
    const evaluated = await evaluate(config);
    assert.deepEqual(Object.keys(attacked.detection?.scores ?? {}), [
      "maxProbability",
      "entropy",
      "variance",
    ]);
    for (const [name, { clean }] of Object.entries(evaluated.detection.scores)) {
      assert.deepEqual(clean, attacked.detection?.scores[name]?.clean);
      assert.deepEqual(attacked.curves.epsilon[0]?.auroc?.[name], clean.auroc);
    }
    assert.deepEqual(attacked.calibration, evaluated.calibration);
    assert.equal(attacked.calibration?.bins.reduce((n, bin) => n + bin.count, 0), 64);
    assert.deepEqual(attacked.curves.epsilon.map(({ epsilon }) => epsilon), [0, 0.05, 0.1]);
    assert.deepEqual(attacked.curves.epsilon.map(({ images }) => images), [64, 64, 64]);
    assert.equal(attacked.checks.effect, "loss");
    const { results } = attacked.checks;
    assert.equal(Object.keys(results).length, 9);
    assert.deepEqual(
      attacked.warnings,
      Object.values(results).flatMap(({ warning }) => warning ?? []),
    );
    const [run] = [...Deno.readDirSync(join(savePath, "runs"))].filter(({ name }) =>
      name.startsWith("attack-")
    );
    const content = await readContent(join(savePath, "runs", run?.name ?? ""));
    assert.ok(content.command === "attack");
    const inClass = ({ logProbabilities, classes }: Predictions): number =>
      Array.from(
        { length: 64 },
        (_, i) => logProbabilities.subarray(i * classes, (i + 1) * classes),
      )
        .filter((row) => row.indexOf(Math.max(...row)) === 3).length;
    assert.equal(attacked.clean.targeted, inClass(content.clean));
    assert.equal(attacked.adversarial.targeted, inClass(content.attacked));
    const page = await attackPage(content);
    assert.match(page, /<th[^>]*>share taken for digit 3<\/th>/);
    assert.ok(page.includes("The attack, steered to digit 3, "));
    const shown = showAttack(attacked);
    assert.match(shown, /│ taken for digit 3 +│/);
    assert.match(shown, /│ variance +│ \d\.\d{3} \[/);
    assert.match(
      shown,
      /checks: \d of 9 hold(, not "[^;]+)?; on 64 images the loss (falls|rises) by/,
    );
    assert.match(showEval(evaluated), /│ score +│ +AUROC │ AUPR-in │ AUPR-out │ FPR95 │/);
    for (const line of `${shown}\n${showEval(evaluated)}`.split("\n")) {
      if (/^[│┌├└]/.test(line)) assert.ok(line.length <= 80, line);
    }
  }));
