/** The scores that methods offer: what they are, and that they cost no second walk through the network. */
import assert from "node:assert/strict";
import { Due } from "../src/methods/due.ts";
import { type MethodName, methods, type Model, type Subject } from "../src/methods/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";
import { hyperparametersOf } from "./hyperparameters.ts";
import { wave } from "./check_grads.ts";
import { withDevice } from "./support.ts";

const x = nn.input([3, 1, 28, 28]);
const pixels = Float32Array.from(wave(3 * 784, 0.3), (value) => 0.5 + 0.5 * value);
const draws = (): nn.Draws => new nn.Draws(new nn.Random(0));

function create(mode: MethodName, seed: number): Model {
  const method = methods[mode];
  const model = method.create(method.models[0] ?? "", {
    random: new nn.Random(seed),
    procedure: procedureOf("paper"),
    ...hyperparametersOf({ lambdaReg: 0.3, nInducingPoints: 4 }),
  });
  // Inducing points within reach, as after training.
  if (model instanceof Due) {
    model.process.start([...model.process.state.values()][0]?.data ?? [], 10);
  }
  return model;
}

function subjectOf(mode: MethodName, seeds: readonly number[] = [0, 1]): Subject {
  const models = seeds.map((seed) => create(mode, seed));
  return methods[mode].subject(
    methods[mode].ensemble ? models : models.slice(0, 1),
    procedureOf("paper"),
    hyperparametersOf(),
  );
}

function imagesOf({ attacked }: Subject): nn.Tensor[] {
  return attacked.map(() => x);
}

/** Values of nodes in f64. */
function valuesOf(nodes: readonly nn.Tensor[]): ArrayLike<number>[] {
  return nn.evaluate(nodes, new Map([[x, pixels]]));
}

/** Scores of methods that have some of their own. */
const expected: Readonly<Partial<Record<MethodName, readonly string[]>>> = {
  baseline: [],
  deep_ensemble: ["mutualInformation"],
  deep_ensemble_at: ["mutualInformation"],
  duq: ["maxKernel", "maxLogKernel"],
  due: ["variance"],
  sngp: ["variance"],
  mc_dropout: ["mutualInformation"],
  laplace: ["variance"],
  evidential: ["vacuity"],
  duq_ensemble: ["mutualInformation"],
  due_ensemble: ["mutualInformation"],
  sngp_ensemble: ["mutualInformation"],
  laplace_ensemble: ["mutualInformation"],
};

for (const mode of Object.keys(methods) as MethodName[]) {
  Deno.test(`${mode} offers its scores, one number an image, from the same walk through the network`, () =>
    withDevice(async (device) => {
      const subject = subjectOf(mode);
      const scores = subject.scores?.(imagesOf(subject), draws()) ?? {};
      assert.deepEqual(Object.keys(scores), expected[mode] ?? []);
      for (const { values } of Object.values(scores)) assert.deepEqual(values.shape, [3]);
      const answer = subject.logProbabilities(imagesOf(subject), draws());
      const walks = async (outputs: nn.Tensor[]): Promise<number> => {
        using program = await nn.compile(device, { inputs: [x], outputs });
        return program.toString().match(/conv2d/g)?.length ?? 0;
      };
      const alone = await walks([answer]);
      assert.ok(alone > 0);
      assert.equal(await walks([answer, ...Object.values(scores).map((s) => s.values)]), alone);
    }));
}

Deno.test("variances of SNGP and DUE are positive", () => {
  for (const mode of ["sngp", "due"] as const) {
    const { variance } = subjectOf(mode).scores?.([x], draws()) ?? {};
    assert.equal(variance?.higher, "out-domain");
    const [values = []] = valuesOf([variance.values]);
    assert.ok(Array.from(values).every((v) => v > 0), `${values}`);
    // Before training SNGP's is |phi|^2 of 256 features cos(.) / 2.
    if (mode === "sngp") assert.ok(Array.from(values).every((v) => v <= 64), `${values}`);
  }
});

Deno.test("DUQ's scores are its largest kernel value and the logarithm", () => {
  const model = create("duq", 0);
  const { maxKernel, maxLogKernel } = model.scores?.(x, draws()) ?? {};
  const kernel = model.readings?.(x, draws())["kernel"];
  assert.ok(maxKernel && maxLogKernel && kernel);
  const [k = [], l = [], all = []] = valuesOf([
    maxKernel.values,
    maxLogKernel.values,
    kernel.logConfidences,
  ]);
  for (const row of [0, 1, 2]) {
    const top = Math.max(...Array.from(all).slice(10 * row, 10 * row + 10));
    assert.equal(l[row], top);
    assert.ok(Math.abs((k[row] ?? NaN) - Math.exp(top)) < 1e-12);
  }
});

Deno.test("mutual information is the entropy of the mean less the mean entropy, 0 where all agree", () => {
  const h = (row: readonly number[]): number => -row.reduce((s, p) => s + p * Math.log(p), 0);
  const members = [0, 1].map((seed) => create("deep_ensemble", seed));
  const each = valuesOf(members.map((m) => nn.exp(m.logProbabilities(x, draws()))));
  const subject = subjectOf("deep_ensemble");
  const score = subject.scores?.(imagesOf(subject), draws())["mutualInformation"];
  assert.equal(score?.higher, "out-domain");
  const [values = []] = valuesOf([score.values]);
  for (const row of [0, 1, 2]) {
    const [a = [], b = []] = each.map((p) => Array.from(p).slice(10 * row, 10 * row + 10));
    const mixture = a.map((p, c) => (p + (b[c] ?? NaN)) / 2);
    const wanted = h(mixture) - (h(a) + h(b)) / 2;
    assert.ok(wanted > 0 && Math.abs((values[row] ?? NaN) - wanted) < 1e-12, `${values}`);
  }
  const twins = subjectOf("deep_ensemble", [0, 0]);
  const [none = []] = valuesOf(
    Object.values(twins.scores?.(imagesOf(twins), draws()) ?? {}).map((s) => s.values),
  );
  Array.from(none).forEach((v) => assert.ok(Math.abs(v) < 1e-12, `${v}`));
});
