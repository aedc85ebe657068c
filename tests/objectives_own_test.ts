/** Objectives by what a model has of its own: scores, features and class means, and attacks by each of them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import * as mirage from "../mod.ts";
import type { ImageSet } from "../data/mod.ts";
import {
  type Attackable,
  attacks,
  directions,
  type Objective,
  objectives,
} from "../src/attack/mod.ts";
import { silent } from "../src/base/reporter.ts";
import { type AttackJob, attackSet, knownObjective } from "../src/evaluate/attack_set.ts";
import { classMeans } from "../src/evaluate/class_means.ts";
import { ResidentSet } from "../src/evaluate/resident_set.ts";
import { Classifier } from "../src/methods/classifier.ts";
import { Due } from "../src/methods/due.ts";
import {
  type MethodName,
  methods,
  type Model,
  ofLogits,
  single,
  type Subject,
} from "../src/methods/mod.ts";
import { iterationOf, procedureOf } from "../src/methods/protocol.ts";
import * as nn from "../src/nn/mod.ts";
import { checkGrads, wave } from "./check_grads.ts";
import { hyperparametersOf } from "./hyperparameters.ts";
import { inFolder, withDevice } from "./support.ts";

const digits = Float32Array.from(wave(2 * 784, 0.3), (value) => 0.5 + 0.5 * value);
const x = nn.constant(digits, [2, 1, 28, 28]);
const draws = (): nn.Draws => new nn.Draws(new nn.Random(0));

function create(mode: MethodName, seed: number): Model {
  const method = methods[mode];
  const model = method.create(method.models[0] ?? "", {
    random: new nn.Random(seed),
    procedure: procedureOf("paper", { dropoutPasses: 10 }),
    ...hyperparametersOf({ lambdaReg: 0.3, nInducingPoints: 4 }),
  });
  // Inducing points within reach and a posterior that is not the prior, as after training.
  if (model instanceof Due) {
    model.process.start([...model.process.state.values()][0]?.data ?? [], 10);
    for (const [name, { data }] of model.process.state) {
      if (name.endsWith("chol_variational_covar")) data.forEach((v, i) => data[i] = v / 2);
    }
  }
  return model;
}

/** A method's subject, an ensemble's attacked on one image. */
function subjectOf(mode: MethodName, changed: Partial<mirage.RunOptions> = {}): Subject {
  const procedure = procedureOf("paper", { ensembleAttack: "joint", ...changed });
  const seeds = methods[mode].ensemble ? [0, 1] : [0];
  return methods[mode].subject(
    seeds.map((seed) => create(mode, seed)),
    procedure,
    hyperparametersOf(),
  );
}

/** The score that is an image's own by its method, and whether it is higher where the method is surer. */
const scoreOf = {
  sngp: ["variance", -1],
  due: ["variance", -1],
  duq: ["maxLogKernel", 1],
  deep_ensemble: ["mutualInformation", -1],
  deep_ensemble_at: ["mutualInformation", -1],
  mc_dropout: ["mutualInformation", -1],
  laplace: ["variance", -1],
} as const satisfies Partial<Record<MethodName, readonly [string, number]>>;

for (const mode of Object.keys(scoreOf) as (keyof typeof scoreOf)[]) {
  Deno.test(`the native score of ${mode} is the one that it reports, higher where it is surer`, () => {
    const subject = subjectOf(mode);
    const [part = assert.fail(), ...others] = subject.attacked;
    assert.deepEqual(others, []);
    const [name, sign] = scoreOf[mode];
    const { values, higher } = subject.scores?.([x], draws())[name] ?? assert.fail();
    assert.equal(higher, sign > 0 ? "in-domain" : "out-domain");
    const native = part.native?.(x, draws()) ?? assert.fail();
    assert.deepEqual(native.shape, [2]);
    const loss = objectives.native.loss(part, x, { draws: draws() });
    const [found = [], wanted = [], lowered = []] = nn.evaluate([native, values, loss]);
    for (const b of [0, 1]) {
      assert.equal(found[b], sign * (wanted[b] ?? NaN));
      assert.equal(lowered[b], -(found[b] ?? NaN));
    }
    assert.notEqual(found[0], found[1]);
    checkGrads((x) => nn.scale(part.native?.(x, draws()) ?? x, 1e3), [[[2, 1, 28, 28], digits]], 1);
  });
}

Deno.test("a classifier by itself has no score of its own, nor has each that is attacked on its own copy", () => {
  const parts = [
    ...subjectOf("baseline").attacked,
    ...subjectOf("deep_ensemble", { ensembleAttack: "per-member" }).attacked,
  ];
  assert.equal(parts.length, 3);
  for (const part of parts) {
    assert.throws(
      () => knownObjective(objectives.native, part, undefined, 10),
      /^UserError: Cannot attack by the objective "native": the model has no score of its own; choose published, /,
    );
  }
});

Deno.test("features are what the last layer takes, of an ensemble those of all members side by side", () => {
  const [a, b] = [0, 1].map((seed) => create("deep_ensemble", seed));
  assert.ok(a instanceof Classifier && b instanceof Classifier);
  const of = (name: string): nn.Tensor => a.state.get(name)?.tensor ?? assert.fail();
  const h = a.features(x);
  const again = nn.matmul(h, of("fc_2.0.weight"), { transposeB: true, bias: of("fc_2.0.bias") });
  const [part = assert.fail()] = subjectOf("deep_ensemble").attacked;
  const both = part.features?.(x) ?? assert.fail();
  assert.deepEqual(both.shape, [2, 168]);
  const [logits = [], wanted = [], first = [], second = [], all = []] = nn.evaluate([
    again,
    a.logits(x),
    h,
    b.features(x),
    both,
  ]);
  assert.deepEqual(logits, wanted);
  const row = (of: ArrayLike<number>, i: number, n: number): number[] =>
    Array.from(of).slice(i * n, (i + 1) * n);
  for (const i of [0, 1]) {
    assert.deepEqual(row(all, i, 168), [...row(first, i, 84), ...row(second, i, 84)]);
  }
  for (const [mode, model] of [["sngp", 84], ["due", 84], ["duq", 84], ["baseline", 84]] as const) {
    const [part = assert.fail()] = subjectOf(mode).attacked;
    assert.deepEqual(part.features?.(x).shape, [2, model], mode);
  }
  const resnet = new Classifier("ResNet-18", { random: new nn.Random(0), width: 2 });
  assert.deepEqual(resnet.features(nn.input([3, 3, 32, 32])).shape, [3, 16]);
});

const pixels = 16;

function setOf(count: number, phase: number, classes: number): ImageSet {
  return {
    name: "waves",
    images: Uint8Array.from(wave(count * pixels, phase), (value) => 128 + 100 * value),
    labels: Uint16Array.from({ length: count }, (_, i) => (i * i + 1) % classes),
    count,
    shape: [1, 4, 4],
    sha256: "",
    source: "test",
  };
}

const weights = (n: number, phase: number, factor: number): nn.Tensor =>
  nn.constant(Float32Array.from(wave(n, phase), (w) => factor * w), [n]);

/** Two layers, with all that an objective may need; its score is higher the shorter the features are. */
function tiny(classes: number): Attackable {
  const [first, second] = [
    nn.reshape(weights(pixels * 8, 2, 1), [pixels, 8]),
    nn.reshape(weights(8 * classes, 5, 2), [8, classes]),
  ];
  const features = (x: nn.Tensor): nn.Tensor =>
    nn.tanh(nn.matmul(nn.reshape(x, [-1, pixels]), first));
  return {
    ...ofLogits((x) => nn.matmul(features(x), second)),
    features,
    native: (x) => nn.neg(nn.sum(nn.square(features(x)), [1])),
  };
}

function jobOf(device: nn.Device, model: Attackable): Omit<AttackJob, "set" | "settings"> {
  return {
    device,
    subject: single([model]),
    seed: 0,
    batchSize: 7,
    reporter: silent,
    explain: { explain: false, time: false },
  };
}

Deno.test("class means are plain means of the features, over at most 5,000 images that are evenly spread", () =>
  withDevice(async (device) => {
    const model: Attackable = { ...tiny(5), features: (x) => nn.reshape(x, [-1, pixels]) };
    for (const count of [1, 33, 12_000]) {
      // Squares leave out classes 3 and 4 of 5 and more.
      const set = setOf(count, 0.7, 5);
      const job = { ...jobOf(device, model), batchSize: 400 };
      const [found = assert.fail(), ...others] = await classMeans(job, set);
      assert.deepEqual(others, []);
      const every = Math.max(1, count / 5000);
      const rows = Array.from({ length: Math.min(count, 5000) }, (_, i) => Math.floor(i * every));
      const classes = [...new Set(rows.map((row) => set.labels[row] ?? NaN))].sort();
      assert.ok(!classes.includes(3) && !classes.includes(4));
      assert.deepEqual(found.tensor.shape, [classes.length, pixels]);
      classes.forEach((label, m) => {
        const own = rows.filter((row) => set.labels[row] === label);
        for (let k = 0; k < pixels; k++) {
          const sum = own.reduce(
            (sum, row) => sum + (set.images[row * pixels + k] ?? NaN) / 255,
            0,
          );
          assert.ok(Math.abs((found.data[m * pixels + k] ?? NaN) - sum / own.length) < 1e-6);
        }
      });
    }
    const refused = (model: Attackable, set: ImageSet): Promise<unknown> =>
      classMeans(jobOf(device, model), set);
    await assert.rejects(
      refused(model, setOf(0, 0, 5)),
      /^UserError: Cannot take class means of waves: it has no images; give a set with at least one$/,
    );
    await assert.rejects(
      refused(ofLogits((x) => nn.reshape(x, [-1, pixels])), setOf(3, 0, 5)),
      /^UserError: Cannot take class means of a model without features: give one row an image$/,
    );
    await assert.rejects(
      refused({ ...model, features: (x) => x }, setOf(3, 0, 5)),
      /^UserError: Cannot take class means of features \[3, 1, 4, 4\] of 3 images: /,
    );
  }));

for (const [name, objective] of Object.entries<Objective>(objectives)) {
  Deno.test(`an attack by \`${name}\` lowers it, over and under, in the ball`, () =>
    withDevice(async (device) => {
      const classes = 4;
      const job = jobOf(device, tiny(classes));
      const means = objective.means && await classMeans(job, setOf(200, 0.7, classes));
      const settings = attacks.apgd.settings(0.1, { steps: 20 });
      const set = new ResidentSet(setOf(20, 1.9, classes));
      for (const direction of directions) {
        const of = { ...job, set, settings, objective, direction, means };
        const { losses, distance } = await attackSet(of);
        const drops = losses.clean.map((clean, i) => clean - (losses.adversarial[i] ?? NaN));
        // Some images may stand in a valley.
        assert.ok(drops.every((drop) => drop >= 0), `${direction}: ${drops}`);
        assert.ok(drops.filter((drop) => drop > 1e-5).length > 15, `${direction}: ${drops}`);
        assert.ok(distance.every((d) => d <= 0.1 + 1e-6));
      }
    }));
}

/** Methods by what is attacked of them: every part has features, and one that is alone a score of its own. */
const attackedAs = {
  "a deep ensemble, member by member": ["deep_ensemble", "per-member", ["feature"]],
  "a deep ensemble on one image": ["deep_ensemble", "joint", ["feature", "native", "target"]],
  DUQ: ["duq", "joint", ["feature", "native", "target"]],
  // Its latent functions have no mean before they learn one, so that there is no class to steer to.
  DUE: ["due", "joint", ["feature", "native"]],
} as const satisfies Record<
  string,
  readonly [MethodName, string, readonly (keyof typeof objectives)[]]
>;

for (const [title, [mode, ensembleAttack, names]] of Object.entries(attackedAs)) {
  Deno.test(`an attack on ${title} lowers ${names.join(", ")}`, () =>
    withDevice(async (device) => {
      const [training, letters] = await Promise.all(
        (["train", "letters"] as const).map(async (split) =>
          mirage.limit(await mirage.loadEmbedded(split), 20)
        ),
      );
      assert.ok(training && letters);
      const subject = subjectOf(mode, { ensembleAttack });
      const job = { ...jobOf(device, tiny(10)), subject };
      const means = await classMeans(job, training);
      assert.equal(means.length, ensembleAttack === "per-member" ? 2 : 1);
      const set = new ResidentSet(letters);
      const settings = attacks.apgd.settings(0.1, { steps: 5 });
      for (const name of names) {
        const { losses } = await attackSet({
          ...job,
          set,
          settings,
          means,
          objective: objectives[name],
        });
        const drops = losses.clean.map((clean, i) => clean - (losses.adversarial[i] ?? NaN));
        assert.ok(drops.every((drop) => drop > 0), `${name}: ${drops}`);
      }
    }));
}

Deno.test("`target` keeps the best of all classes but the predicted one, and works with two", () =>
  withDevice(async (device) => {
    const settings = attacks.pgd.settings(0.1, { ...iterationOf(procedureOf("corrected")) });
    for (const classes of [2, 3, 12]) {
      const set = setOf(20, 1.9, classes);
      const job = { ...jobOf(device, tiny(classes)), set: new ResidentSet(set), settings };
      const { losses, clean } = await attackSet({ ...job, objective: objectives.target });
      const steered = await Promise.all(Array.from({ length: classes }, async (_, target) => {
        const of = { ...job, target, objective: objectives.logProbability };
        return (await attackSet(of)).losses.adversarial;
      }));
      const { logProbabilities: l } = clean.predictions;
      losses.adversarial.forEach((found, i) => {
        const row = Array.from(l.subarray(i * classes, (i + 1) * classes));
        const others = row.map((_, c) => c).toSorted((a, b) => (row[b] ?? NaN) - (row[a] ?? NaN));
        const wanted = Math.min(
          ...others.slice(1, 10).map((c) => steered[c]?.[i] ?? NaN),
        );
        assert.ok(Math.abs(found - wanted) < 1e-5, `${classes} classes, image ${i}`);
      });
    }
  }));

Deno.test("an attack by `feature` without means, or by `ratio` on two classes, is refused", () =>
  withDevice(async (device) => {
    const set = new ResidentSet(setOf(3, 1.9, 2));
    const job = { ...jobOf(device, tiny(2)), set, settings: attacks.pgd.settings(0.1) };
    await assert.rejects(
      attackSet({ ...job, objective: objectives.feature }),
      /^UserError: Cannot attack by the objective "feature": it needs class means of training features; give those of each part of the subject as `means`, by classMeans\(\)$/,
    );
    await assert.rejects(
      attackSet({ ...job, objective: objectives.ratio }),
      /^UserError: Cannot attack by the objective "ratio": the model has too few classes for the objective, 2 instead of 3 or more; choose /,
    );
  }));

Deno.test("a run by a model's own score or features lowers its loss, names what means are of, and is verified", () =>
  inFolder(async (savePath) => {
    for (const objective of ["native", "feature", "target"] as const) {
      let folder = "";
      const config = mirage.runConfig({
        mode: "sngp",
        objective,
        attack: "apgd",
        steps: 5,
        limit: 20,
        epochs: 1,
        savePath,
      });
      const { attack, checks } = await mirage.attack(config, {
        ...silent,
        kept: (path) => folder = path,
      });
      assert.equal(attack.objective, objective);
      assert.ok(checks.results["loss"]?.holds);
      const { identity } = JSON.parse(await Deno.readTextFile(join(folder, "run.json")));
      const { train, classMeans } = identity.data;
      assert.deepEqual(classMeans, objective === "feature" ? train : undefined);
      assert.equal(train.count, 20);
      const { verified, differences } = await mirage.verify(folder);
      assert.ok(verified, JSON.stringify(differences));
    }
  }));

Deno.test("an own model is attacked by `feature` where its training images are given, and refused without", () =>
  inFolder(async (savePath) => {
    using device = await nn.openDevice();
    const [training, inDomain, outDomain] = await Promise.all(
      (["train", "test", "letters"] as const).map(async (split) =>
        mirage.limit(await mirage.loadEmbedded(split), 30)
      ),
    );
    assert.ok(training && inDomain && outDomain);
    const linear = new nn.Linear(new nn.Random(0), 784, 10);
    const flat = (x: nn.Tensor): nn.Tensor => nn.reshape(x, [-1, 784]);
    const model: Attackable = {
      ...ofLogits((x) => nn.scale(linear.forward(flat(x), new nn.Pass(false)), 20)),
      features: flat,
    };
    const common = { device, savePath, model, inDomain, outDomain, epsilon: 0.1 };
    const options = { ...common, objective: "feature" as const };
    await assert.rejects(
      mirage.attackModel(options),
      /^UserError: Cannot attack by the objective "feature": it needs images that the model learned from; give them as `training`$/,
    );
    const bare = ofLogits((x) => linear.forward(flat(x), new nn.Pass(false)));
    await assert.rejects(
      mirage.attackModel({ ...options, model: bare, training }),
      /^UserError: Cannot attack by the objective "feature": the model has no features; choose /,
    );
    await assert.rejects(
      mirage.attackModel({ ...options, training: { ...training, count: 0 } }),
      /^UserError: Cannot attack with .*: it has no images; /,
    );
    const { result, folder } = await mirage.attackModel({ ...options, training });
    assert.ok(result.checks.results["loss"]?.holds);
    assert.ok((await mirage.verifyModel(folder, { ...options, training })).verified);
    await assert.rejects(
      mirage.verifyModel(folder, { ...options, training: inDomain }),
      /it was made with other options or data/,
    );
    // Where nothing asks for them, training images are no part of a run.
    const plain = await mirage.attackModel(common);
    const same = await mirage.attackModel({ ...common, training });
    assert.equal(same.folder, plain.folder);
  }));
