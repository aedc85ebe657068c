/** The checks of an attack hold for a sound one, and each fails for the fault that it is there for. */
import assert from "node:assert/strict";
import type { ImageSet } from "../data/mod.ts";
import { attacks } from "../src/attack/mod.ts";
import { chosen, ResidentSet, spread } from "../src/dataset.ts";
import type { Subject } from "../src/methods/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { type AttackJob, attackSet } from "../src/predict.ts";
import { entropy } from "../src/metrics.ts";
import { procedureOf } from "../src/protocol.ts";
import { silent } from "../src/reporter.ts";
import { type CheckName, examine, type Sanity, warningsOf, withAccuracy } from "../src/sanity.ts";
import { wave } from "./check_grads.ts";
import { withDevice } from "./support.ts";

const count = 250;
const set: ImageSet = {
  name: "waves",
  images: Uint8Array.from(wave(count * 16, 0.7), (value) => 128 + 100 * value),
  labels: new Uint8Array(count),
  count,
  shape: [1, 4, 4],
  sha256: "",
  source: "test",
};
const weights = nn.constant(Float32Array.from(wave(160, 2), (w) => 4 * w), [16, 10]);

/** A linear softmax model, whose loss is what `of` makes of its own. */
function subjectOf(of: (loss: nn.Tensor, x: nn.Tensor) => nn.Tensor): Subject {
  const logits = (x: nn.Tensor): nn.Tensor => nn.matmul(nn.reshape(x, [-1, 16]), weights);
  return {
    copies: 1,
    logProbabilities: ([x = weights]) => nn.logSoftmax(logits(x)),
    readings: () => ({}),
    scores: () => ({}),
    confidenceLoss(x, _copy, { target }): nn.Tensor {
      const z = logits(x);
      const label = target === undefined ? nn.argmax(z) : nn.constant(target, [nn.dim(z, 0)]);
      return of(nn.crossEntropy(z, label), x);
    },
  };
}

const pgd = attacks.pgd.settings(0.1, { procedure: procedureOf("paper"), startNoise: 0.001 });

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

async function sanityOf(device: nn.Device, changed: Partial<AttackJob>): Promise<Sanity> {
  const job = jobOf(device, changed);
  const { sanity, half } = await examine(job, await attackSet(job));
  assert.equal(half.linf.length, sanity.images);
  return sanity;
}

function failing({ checks }: Sanity): string[] {
  return Object.entries(checks).filter(([, { holds }]) => !holds).map(([name]) => name);
}

Deno.test("every check of a sound attack holds, with both protocols, steered or not", () =>
  withDevice(async (device) => {
    for (const protocol of ["paper", "corrected"] as const) {
      const options = { procedure: procedureOf(protocol), startNoise: 0.001 };
      for (const target of [undefined, 3]) {
        const settings = attacks.pgd.settings(0.1, options);
        const sanity = await sanityOf(device, { target, settings });
        assert.deepEqual(failing(sanity), [], warningsOf(sanity).join());
        assert.deepEqual(warningsOf(sanity), []);
        assert.equal(sanity.images, 200);
        assert.equal(sanity.effect, target === undefined ? "entropy" : "loss");
        const { control, epsilon, loss } = sanity.checks;
        assert.ok((loss?.figures["after"] ?? NaN) < (loss?.figures["before"] ?? NaN));
        assert.equal(control?.figures["attack"], epsilon?.figures["full"]);
        assert.ok(Math.abs(control?.figures["noise"] ?? NaN) < (control?.figures["attack"] ?? NaN));
      }
    }
  }));

Deno.test("the checks find an attack that has not converged, and say what a stronger one reaches", () =>
  withDevice(async (device) => {
    const fgsm = attacks.fgsm.settings(0.1, { procedure: procedureOf("paper") });
    assert.equal(Object.keys((await sanityOf(device, { settings: fgsm })).checks).length, 8);
    // Two steps that reach a fifth of the radius.
    const short = { ...pgd, steps: 2, stepSize: 0.01 };
    const job = jobOf(device, { settings: short });
    const attacked = await attackSet(job);
    const { sanity } = await examine(job, attacked, attacked.clean);
    assert.ok(failing(sanity).includes("convergence"));
    const { full = NaN, stronger = NaN, auroc = NaN, aurocStronger = NaN } =
      sanity.checks.convergence?.figures ?? {};
    assert.ok(stronger > full + 0.05 && aurocStronger < auroc, `${stronger} ${full}`);
    assert.match(
      sanity.checks.convergence?.warning ?? "",
      /^The attack has not converged: in 10 steps of 0\.025 the entropy falls by \d\.\d+ instead of \d\.\d+, and AUROC is \d\.\d+ instead of \d\.\d+$/,
    );
  }));

Deno.test("a model that is no better than guessing is told, whatever its attack does", () => {
  const examined = {
    sanity: { images: 1, effect: "entropy", checks: {} },
    half: {} as never,
  } as const;
  const of = (right: number, wrong: number, classes: number): Sanity =>
    withAccuracy(
      examined,
      Float64Array.from({ length: right + wrong }, (_, i) => i < right ? 1 : 0),
      classes,
    ).sanity;
  assert.deepEqual(failing(of(100, 900, 10)), ["accuracy"]);
  assert.deepEqual(failing(of(120, 880, 10)), ["accuracy"]);
  assert.deepEqual(failing(of(140, 860, 10)), []);
  assert.deepEqual(failing(of(140, 860, 2)), ["accuracy"]);
  assert.deepEqual(failing(of(20, 0, 10)), []);
  assert.match(
    warningsOf(of(100, 900, 10)).join(),
    /^The model is no better than guessing in-domain: 10.0 % of 1000 images are right, guessing has 10.0 %/,
  );
});

for (const classes of [2, 3, 5, 26, 300]) {
  Deno.test(`a model of ${classes} classes has as many answers as its images`, () =>
    withDevice(async (device) => {
      const own = Float32Array.from(wave(16 * classes, 2), (w) => 4 * w);
      const logits = (x: nn.Tensor): nn.Tensor =>
        nn.matmul(nn.reshape(x, [-1, 16]), nn.constant(own, [16, classes]));
      const subject: Subject = {
        ...subjectOf((loss) => loss),
        logProbabilities: ([x]) => nn.logSoftmax(logits(x ?? assert.fail())),
        confidenceLoss: (x) => nn.crossEntropy(logits(x), nn.argmax(logits(x))),
      };
      const { clean, adversarial } = await attackSet(jobOf(device, { subject }));
      assert.equal(clean.predictions.classes, classes);
      assert.equal(clean.predictions.logProbabilities.length, count * classes);
      // By hand, in f64.
      const exact = Array.from({ length: count }, (_, i) => {
        const z = Array.from({ length: classes }, (_, c) =>
          own.reduce(
            (sum, w, at) =>
              at % classes === c
                ? sum + w * (set.images[16 * i + Math.floor(at / classes)] ?? 0) / 255
                : sum,
            0,
          ));
        const [most, total] = [
          Math.max(...z),
          (shift: number) => z.reduce((sum, v) => sum + Math.exp(v - shift), 0),
        ];
        return z.reduce((h, v) => {
          const p = Math.exp(v - most) / total(most);
          return p === 0 ? h : h - p * Math.log(p);
        }, 0);
      });
      const wanted = exact.reduce((a, b) => a + b, 0) / count;
      const got = entropy(clean.predictions);
      assert.ok(Math.abs(got - wanted) < 1e-4 && got <= Math.log(classes), `${got} ${wanted}`);
      assert.ok(entropy(adversarial.predictions) < got);
      await assert.rejects(
        attackSet(jobOf(device, { subject, target: classes })),
        new RegExp(`Cannot steer to class ${classes}: the model has ${classes} classes`),
      );
    }));
}

const faults: Record<string, [Partial<AttackJob>, CheckName[], RegExp]> = {
  "a loss without a gradient": [
    { subject: subjectOf((loss) => nn.stopGradient(loss)) },
    ["zeroGradient", "loss", "control"],
    /^100.0 % of the images had a zero gradient at the first step$/m,
  ],
  "a gradient that is no number": [
    { subject: subjectOf((loss) => nn.mul(loss, nn.constant(NaN))) },
    ["finiteGradient", "loss"],
    /^100.0 % of the images had no finite gradient$/m,
  ],
  "an attack uphill": [
    { follow: (x, copy, options) => nn.neg(subjectOf((l) => l).confidenceLoss(x, copy, options)) },
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
      const sanity = await sanityOf(device, changed);
      const found = failing(sanity);
      for (const name of names) assert.ok(found.includes(name), `${name} is not in ${found}`);
      assert.match(warningsOf(sanity).join("\n"), message);
    }));
}

Deno.test("the checks find a step that overshoots: half the radius does more", () =>
  withDevice(async (device) => {
    // Every pixel is 128 / 255; the loss has its valley 0.03 above.
    const grey = { ...set, images: new Uint8Array(count * 16).fill(128) };
    const valley = (x: nn.Tensor): nn.Tensor => nn.sum(nn.square(nn.sub(x, 0.53)), [1, 2, 3]);
    const sanity = await sanityOf(device, {
      set: new ResidentSet(grey),
      target: 0,
      subject: { ...subjectOf((loss) => loss), confidenceLoss: valley },
      settings: { ...pgd, steps: 1, stepSize: 0.1, startNoise: 0 },
    });
    assert.ok(failing(sanity).includes("loss"));
    const { full, half } = sanity.checks.epsilon?.figures ?? {};
    assert.ok(failing(sanity).includes("epsilon"), `${half} ${full}`);
    assert.match(warningsOf(sanity).join("\n"), /^Half the radius does more than the whole: /m);
  }));

Deno.test("images that left ball or box are told, but for a noisy start that the protocol allows", () =>
  withDevice(async (device) => {
    const still = (x: nn.Tensor): nn.Tensor => nn.sum(nn.mul(x, 0), [1, 2, 3]);
    // A free start whose best iterate is the first: 0.05 n of noise in a ball of 0.01.
    const free = { ...pgd, epsilon: 0.01, startNoise: 0.05, keepBest: true };
    const job = jobOf(device, { follow: still, settings: free });
    const attacked = await attackSet(job);
    const { ball, box } = (await examine(job, attacked)).sanity.checks;
    assert.ok((ball?.figures["largest"] ?? NaN) > 0.05);
    assert.ok(ball?.holds && box?.holds);
    assert.ok(Math.abs((ball.figures["allowed"] ?? NaN) - 0.29) < 1e-9);
    // The same images under a protocol that projects.
    const strict = { ...job, settings: { ...free, projectStart: true } };
    const { sanity } = await examine(strict, attacked);
    assert.ok(failing(sanity).includes("ball"));
    assert.match(warningsOf(sanity).join("\n"), /% of the images left the ball of radius epsilon/);
  }));

Deno.test("`spread()` and `chosen()` take images evenly, all of them where there are few", () => {
  assert.deepEqual([...spread(10, 4)], [0, 2, 5, 7]);
  assert.deepEqual([...spread(3, 4)], [0, 1, 2]);
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
