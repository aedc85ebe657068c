/** The checks of an attack hold for a sound one, and each fails for the fault that it is there for. */
import assert from "node:assert/strict";
import type { ImageSet } from "../data/mod.ts";
import { attacks } from "../src/attack/mod.ts";
import { chosen, evenSample, ResidentSet } from "../src/evaluate/resident_set.ts";
import { ofLogits, single, type Subject } from "../src/methods/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { type AttackJob, attackSet } from "../src/evaluate/attack_set.ts";
import { iterationOf, procedureOf } from "../src/methods/protocol.ts";
import { silent } from "../src/base/reporter.ts";
import { checkAttack, warningsOf, withAccuracy } from "../src/evaluate/checks.ts";
import { type AttackChecks, type CheckName } from "../src/measure/check.ts";
import { round } from "../src/measure/shown.ts";
import { wave } from "./check_grads.ts";
import { withDevice } from "./support.ts";

const count = 250;
const set: ImageSet = {
  name: "waves",
  images: Uint8Array.from(wave(count * 16, 0.7), (value) => 128 + 100 * value),
  labels: new Uint16Array(count),
  count,
  shape: [1, 4, 4],
  sha256: "",
  source: "test",
};
const weights = nn.constant(Float32Array.from(wave(160, 2), (w) => 4 * w), [16, 10]);

/** A linear softmax model, whose loss is what `of` makes of its own. */
function subjectOf(of: (loss: nn.Tensor, x: nn.Tensor) => nn.Tensor): Subject {
  return single([{ ...linear, confidenceLoss: (x, o) => of(linear.confidenceLoss(x, o), x) }]);
}

const linear = ofLogits((x) => nn.matmul(nn.reshape(x, [-1, 16]), weights));

const pgd = attacks.pgd.settings(0.1, { ...iterationOf(procedureOf("paper")), startNoise: 0.001 });

function jobOf(device: nn.Device, changed: Partial<AttackJob>): AttackJob {
  return {
    device,
    subject: subjectOf((loss) => loss),
    set: new ResidentSet(set),
    seed: 0,
    batchSize: 100,
    reporter: silent,
    explain: { explain: false, time: false },
    settings: pgd,
    ...changed,
  };
}

async function checksOf(device: nn.Device, changed: Partial<AttackJob>): Promise<AttackChecks> {
  const job = jobOf(device, changed);
  const { checks, half } = await checkAttack(job, await attackSet(job));
  assert.equal(half.distance.length, checks.images);
  return checks;
}

function failing({ results }: AttackChecks): string[] {
  return Object.entries(results).filter(([, { holds }]) => !holds).map(([name]) => name);
}

Deno.test("every check of a sound attack holds, with both protocols, steered or not", () =>
  withDevice(async (device) => {
    for (const protocol of ["paper", "corrected"] as const) {
      const options = { ...iterationOf(procedureOf(protocol)), startNoise: 0.001 };
      for (const target of [undefined, 3]) {
        const settings = attacks.pgd.settings(0.1, options);
        const checks = await checksOf(device, { target, settings });
        assert.deepEqual(failing(checks), [], warningsOf(checks).join());
        assert.deepEqual(warningsOf(checks), []);
        assert.equal(checks.images, 200);
        assert.equal(checks.effect, target === undefined ? "entropy" : "loss");
        const { control, epsilon, loss } = checks.results;
        assert.ok((loss?.figures["after"] ?? NaN) < (loss?.figures["before"] ?? NaN));
        assert.equal(control?.figures["attack"], epsilon?.figures["full"]);
        assert.ok(Math.abs(control?.figures["noise"] ?? NaN) < (control?.figures["attack"] ?? NaN));
      }
    }
  }));

Deno.test("the checks find an attack that has not converged, and say what a stronger one reaches", () =>
  withDevice(async (device) => {
    const fgsm = attacks.fgsm.settings(0.1, { ...iterationOf(procedureOf("paper")) });
    assert.equal(Object.keys((await checksOf(device, { settings: fgsm })).results).length, 8);
    // Two steps that reach a fifth of the radius.
    const short = { ...pgd, steps: 2, stepSize: 0.01 };
    const job = jobOf(device, { settings: short });
    const attacked = await attackSet(job);
    const { checks } = await checkAttack(job, attacked, attacked.clean);
    assert.ok(failing(checks).includes("convergence"));
    const { full = NaN, stronger = NaN, auroc = NaN, aurocStronger = NaN } =
      checks.results.convergence?.figures ?? {};
    assert.ok(stronger > full + 0.05 && aurocStronger < auroc, `${stronger} ${full}`);
    assert.match(
      checks.results.convergence?.warning ?? "",
      /^The attack has not converged: in 10 steps of 0\.025 the entropy falls by \d\.\d+ instead of \d\.\d+, and AUROC is \d\.\d+ instead of \d\.\d+$/,
    );
  }));

Deno.test("a model that is no better than guessing is told, whatever its attack does", () => {
  const checked = {
    checks: { images: 1, effect: "entropy", results: {} },
    index: [],
    half: {} as never,
  } as const;
  const of = (right: number, wrong: number, classes: number): AttackChecks =>
    withAccuracy(checked, { right, count: right + wrong, classes }).checks;
  assert.deepEqual(failing(of(100, 900, 10)), ["accuracy"]);
  assert.deepEqual(failing(of(120, 880, 10)), ["accuracy"]);
  assert.deepEqual(failing(of(140, 860, 10)), []);
  assert.deepEqual(failing(of(140, 860, 2)), ["accuracy"]);
  assert.deepEqual(failing(of(20, 0, 10)), []);
  assert.match(
    warningsOf(of(100, 900, 10)).join(),
    /^The model is no better than guessing in-domain: 100 of 1000 images are right \(10.0 %\), guessing has 10.0 %; its uncertainty means nothing yet$/,
  );
  assert.equal(
    warningsOf(of(8, 32, 10)).join(),
    "The model is not clearly better than guessing in-domain: 8 of 40 images are right (20.0 %), " +
      "guessing has 10.0 %, too little apart for so few images; its uncertainty may mean nothing",
  );
});

Deno.test("of a model that only guesses that is told first; figures have no sign where they have no size", () => {
  const failed = { holds: false, figures: {}, warning: "Noise does as much" };
  const checks: AttackChecks = { images: 1, effect: "entropy", results: { control: failed } };
  const checked = withAccuracy({ checks, index: [], half: {} as never }, {
    right: 1,
    count: 40,
    classes: 10,
  });
  assert.match(
    warningsOf(checked.checks).join(),
    /^The model is no better .*,Noise does as much$/,
  );
  assert.deepEqual(
    [-0, 0.0004, -0.0004, 0.0005, -0.0312, NaN].map(round),
    ["0.000", "less than 0.001", "less than 0.001", "0.001", "-0.031", "no number"],
  );
});

const faults: Record<string, [Partial<AttackJob>, CheckName[], RegExp]> = {
  "a loss without a gradient": [
    { subject: subjectOf((loss) => nn.stopGradient(loss)) },
    ["zeroGradient", "loss", "control"],
    /^250 of 250 images \(100.0 %\) had a zero gradient at the first step$/m,
  ],
  "a gradient that is no number": [
    { subject: subjectOf((loss) => nn.mul(loss, nn.constant(NaN))) },
    ["finiteGradient", "loss"],
    /^250 of 250 images \(100.0 %\) had no finite gradient at some step; /m,
  ],
  "an attack uphill": [
    { follow: (x, _copy, options) => nn.neg(linear.confidenceLoss(x, options)) },
    ["loss", "control"],
    /^The attack does not lower its loss: \d\.\d+ before, \d\.\d+ after$/m,
  ],
  "an attack on other images": [
    { follow: (x, _copy, { draws }) => nn.sum(nn.mul(x, draws.uniform(x.shape)), [1, 2, 3]) },
    ["control"],
    /^Random noise of the same size lowers the entropy nearly as much: by -?\d/m,
  ],
};

for (const [what, [changed, names, message]] of Object.entries(faults)) {
  Deno.test(`the checks find ${what}`, () =>
    withDevice(async (device) => {
      const checks = await checksOf(device, changed);
      const found = failing(checks);
      for (const name of names) assert.ok(found.includes(name), `${name} is not in ${found}`);
      assert.match(warningsOf(checks).join("\n"), message);
    }));
}

Deno.test("the checks count images whose gradient is no number at a later step only", () =>
  withDevice(async (device) => {
    const grey = { ...set, images: new Uint8Array(count * 16).fill(128) };
    // The slope, ln(x - 0.45) + x / (x - 0.45), is positive above 0.45 and no number below: after six steps
    // down from 0.502 each pixel is there.
    const abyss = (x: nn.Tensor): nn.Tensor =>
      nn.sum(nn.mul(x, nn.log(nn.sub(x, 0.45))), [1, 2, 3]);
    const job = jobOf(device, {
      set: new ResidentSet(grey),
      subject: subjectOf((_, x) => abyss(x)),
      settings: { ...pgd, startNoise: 0 },
    });
    const attacked = await attackSet(job);
    assert.ok(attacked.gradient?.slope.every(Number.isFinite));
    assert.deepEqual([...new Set(attacked.gradient?.blindSteps ?? [])], [4]);
    assert.ok(
      attacked.distance.every((v) => Math.abs(v - 0.06) < 1e-6),
      "they stay where they were",
    );
    const { finiteGradient } = (await checkAttack(job, attacked)).checks.results;
    assert.deepEqual(finiteGradient?.figures, { share: 1, images: count });
    assert.equal(
      finiteGradient.warning,
      "250 of 250 images (100.0 %) had no finite gradient at some step; pixels without one stayed as " +
        "they were",
    );
  }));

Deno.test("checks that measured nothing do not hold, and one sentence says why", () =>
  withDevice(async (device) => {
    const subject = {
      ...subjectOf((loss) => loss),
      logProbabilities: ([x = weights]: readonly nn.Tensor[]) =>
        nn.mul(nn.matmul(nn.reshape(x, [-1, 16]), weights), nn.constant(NaN)),
    };
    const checks = await checksOf(device, { subject });
    assert.deepEqual(failing(checks), ["control", "epsilon", "convergence"]);
    assert.deepEqual(warningsOf(checks), [
      "The attack's effect cannot be told: no image has an entropy that is a number both before and after",
    ]);
  }));

Deno.test("the control's margin is two standard errors of the difference, and at least 0.01", () =>
  withDevice(async (device) => {
    const { control } = (await checksOf(device, {})).results;
    const { attack = NaN, noise = NaN, margin = NaN } = control?.figures ?? {};
    assert.ok(margin >= 0.01 && attack - noise > margin, `${attack} ${noise} ${margin}`);
    // An attack on other images is ahead of noise by chance only, if at all.
    const other = (await checksOf(device, {
      follow: (x, _copy, { draws }) => nn.sum(nn.mul(x, draws.uniform(x.shape)), [1, 2, 3]),
    })).results.control;
    assert.ok(!other?.holds);
    assert.match(other?.warning ?? "", /which should be more by 0\.\d{3}$/);
  }));

Deno.test("the checks find a step that overshoots: half the radius does more", () =>
  withDevice(async (device) => {
    // Every pixel is 128 / 255; the loss has its valley 0.03 above.
    const grey = { ...set, images: new Uint8Array(count * 16).fill(128) };
    const valley = (x: nn.Tensor): nn.Tensor => nn.sum(nn.square(nn.sub(x, 0.53)), [1, 2, 3]);
    const checks = await checksOf(device, {
      set: new ResidentSet(grey),
      target: 0,
      subject: subjectOf((_, x) => valley(x)),
      settings: { ...pgd, steps: 1, stepSize: 0.1, startNoise: 0 },
    });
    assert.ok(failing(checks).includes("loss"));
    const { full, half } = checks.results.epsilon?.figures ?? {};
    assert.ok(failing(checks).includes("epsilon"), `${half} ${full}`);
    assert.match(warningsOf(checks).join("\n"), /^Half the radius does more than the whole: /m);
  }));

Deno.test("images that left ball or box are told, but for a noisy start that the protocol allows", () =>
  withDevice(async (device) => {
    const still = (x: nn.Tensor): nn.Tensor => nn.sum(nn.mul(x, 0), [1, 2, 3]);
    // A free start whose best iterate is the first: 0.05 n of noise in a ball of 0.01.
    const free = { ...pgd, epsilon: 0.01, startNoise: 0.05, keepBest: true };
    const job = jobOf(device, { follow: still, settings: free });
    const attacked = await attackSet(job);
    const { ball, box } = (await checkAttack(job, attacked)).checks.results;
    assert.ok((ball?.figures["largest"] ?? NaN) > 0.05);
    assert.ok(ball?.holds && box?.holds);
    assert.ok(Math.abs((ball.figures["allowed"] ?? NaN) - 0.29) < 1e-9);
    // The same images under a protocol that projects.
    const strict = { ...job, settings: { ...free, projectStart: true } };
    const { checks } = await checkAttack(strict, attacked);
    assert.ok(failing(checks).includes("ball"));
    assert.match(warningsOf(checks).join("\n"), /% of the images left the ball of radius epsilon/);
  }));

Deno.test("`evenSample()` and `chosen()` take images evenly, all of them where there are few", () => {
  assert.deepEqual([...evenSample(10, 4)], [0, 2, 5, 7]);
  assert.deepEqual([...evenSample(3, 4)], [0, 1, 2]);
  const some = chosen(set, [7, 1]);
  assert.equal(some.count, 2);
  assert.deepEqual(
    some.images,
    new Uint8Array([
      ...set.images.subarray(7 * 16, 8 * 16),
      ...set.images.subarray(16, 32),
    ]),
  );
});
