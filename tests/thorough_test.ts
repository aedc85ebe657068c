/** The checks that cost as much as the attack: what provokes each, and what does not. */
import assert from "node:assert/strict";
import type { ImageSet } from "../data/mod.ts";
import { attacks, type AttackSettings, objectives } from "../src/attack/mod.ts";
import { silent } from "../src/base/reporter.ts";
import { type AttackJob, attackSet } from "../src/evaluate/attack_set.ts";
import { checkAttack } from "../src/evaluate/checks.ts";
import { ResidentSet } from "../src/evaluate/resident_set.ts";
import type { CheckName } from "../src/measure/check.ts";
import { type Answering, ofLogits, single } from "../src/methods/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { withDevice } from "./support.ts";

const [side, classes, count] = [6, 3, 24];
const pixels = side * side;
const numbers = (n: number, seed: number): Float32Array => new nn.Random(seed).uniform(n);

const set: ImageSet = {
  name: "noise",
  source: "nowhere",
  sha256: "",
  shape: [1, side, side],
  images: Uint8Array.from(numbers(count * pixels, 5), (v) => 255 * v),
  labels: new Uint16Array(count),
  count,
};

const weights = numbers(pixels * classes, 6).map((v) => 2 * v - 1);
const logits = (x: nn.Tensor): nn.Tensor =>
  nn.matmul(nn.reshape(x, [-1, pixels]), nn.constant(weights, [pixels, classes]));

/** What the thorough checks say of an attack by 20 steps, or by others. */
async function failing(
  model: Answering,
  settings: AttackSettings = attacks.apgd.settings(0.1, { steps: 40 }),
  direction: "over" | "under" = "over",
): Promise<readonly string[]> {
  let failed: string[] = [];
  await withDevice(async (device) => {
    const job: AttackJob = {
      device,
      subject: single([model]),
      set: new ResidentSet(set),
      seed: 3,
      batchSize: count,
      reporter: silent,
      explain: { explain: false, time: false },
      settings,
      objective: objectives.logProbability,
      direction,
      thorough: true,
    };
    const { checks } = await checkAttack(job, await attackSet(job));
    const thorough: readonly CheckName[] = [
      "randomAnswers",
      ...settings.norm === "l1" ? [] : ["atRest"] as const,
      "unbounded",
      "maskedGradient",
    ];
    failed = thorough.filter((name) => {
      const check = checks.results[name];
      assert.ok(check, `${name} was made`);
      assert.equal(check.holds, check.warning === null);
      return !check.holds;
    });
  });
  return failed;
}

Deno.test("a linear model under apgd fails no thorough check", async () => {
  assert.deepEqual(await failing(ofLogits(logits)), []);
});

Deno.test("in L1 a search without a gradient is made too: it does not beat apgd, and beats too few steps", async () => {
  const settings = attacks.apgd.settings(2, { norm: "l1", steps: 40 });
  assert.deepEqual(await failing(ofLogits(logits), settings), []);
  const short = { ...attacks.pgd.settings(2, { norm: "l1", steps: 3 }), stepSize: 0.02 };
  assert.deepEqual(await failing(ofLogits(logits), short), ["maskedGradient"]);
});

Deno.test("dropout left on is told: the model does not answer twice the same", async () => {
  const model: Answering = {
    ...ofLogits(logits),
    logProbabilities(x, draws): nn.Tensor {
      const kept = nn.greater(draws.uniform(x.shape), 0.5);
      return nn.logSoftmax(logits(nn.mul(x, nn.scale(kept, 2))));
    },
  };
  assert.deepEqual(await failing(model), ["randomAnswers"]);
});

Deno.test("too few steps are told: the loss has not come to rest, and a search does better", async () => {
  const settings = { ...attacks.pgd.settings(0.3, { steps: 10 }), stepSize: 0.005 };
  assert.deepEqual(await failing(ofLogits(logits), settings), ["atRest", "maskedGradient"]);
});

Deno.test("a saturated softmax is told: the gradient is masked, and a search without one gets further", async () => {
  const saturated = ofLogits((x) => nn.scale(logits(x), 1e4));
  const failed = await failing(saturated, attacks.pgd.settings(0.2, { steps: 40 }), "under");
  assert.ok(failed.includes("maskedGradient"), failed.join());
});

Deno.test("a quantised input is told: no gradient goes through it", async () => {
  const coarse = ofLogits((x) => logits(nn.scale(nn.floor(nn.scale(x, 8)), 1 / 8)));
  const failed = await failing(coarse);
  assert.deepEqual(failed.filter((name) => name !== "atRest"), ["unbounded", "maskedGradient"]);
});
