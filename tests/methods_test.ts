/** What the methods promise, without golden arrays: gradients, ensembles, underflow, noise. */
import assert from "node:assert/strict";
import { Due } from "../src/methods/due.ts";
import {
  type MethodName,
  methods,
  type Model,
  type ModelOptions,
  networkOf,
} from "../src/methods/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { type Procedure, procedureOf } from "../src/methods/protocol.ts";
import { hyperparametersOf } from "./hyperparameters.ts";
import { wave } from "./check_grads.ts";
import { withDevice } from "./support.ts";

function options(changed: Partial<ModelOptions> = {}): ModelOptions {
  return {
    random: new nn.Random(5),
    procedure: procedureOf("paper"),
    ...hyperparametersOf({ lambdaReg: 0.3, nInducingPoints: 4 }),
    ...changed,
  };
}

function create(mode: MethodName, changed: Partial<ModelOptions> = {}): Model {
  const method = methods[mode];
  return method.create(method.models[0] ?? "", options(changed));
}

/** Pictures of waves, in [0, 1]. */
function pictures(count: number): Float32Array {
  return Float32Array.from(wave(count * 784, 0.3), (value) => 0.5 + 0.5 * value);
}

for (const mode of Object.keys(methods) as MethodName[]) {
  Deno.test(`the training loss of ${mode} has the gradient that differences have, in f64`, () => {
    const model = create(mode);
    const count = 3;
    const [x, y] = [nn.input([count, 1, 28, 28]), nn.input([count])];
    const pass = new nn.Pass(true, new nn.Draws(new nn.Random(2)));
    const { loss } = model.train(x, y, { pass, trainCount: 100 });
    const trainable = [...model.state].filter(([, p]) => p.trainable);
    const gradients = nn.grad(loss, trainable.map(([, p]) => p.tensor));
    const data: [nn.Tensor, ArrayLike<number>][] = [[x, pictures(count)], [y, [3, 1, 4]]];
    const slopes = nn.evaluate(gradients, new Map(data));
    for (const [i, [name, parameter]] of trainable.entries()) {
      const n = nn.size(parameter.shape);
      const direction = wave(n, i + 1);
      const h = 1e-6 / Math.sqrt(n);
      const at = (shift: number): number => {
        const moved = Float64Array.from(parameter.data, (w, j) => w + shift * (direction[j] ?? 0));
        const leaves = new Map([...data, [parameter.tensor, moved] as const]);
        return nn.evaluate([loss], leaves)[0]?.[0] ?? NaN;
      };
      const numeric = (at(h) - at(-h)) / (2 * h);
      const analytic = [...slopes[i] ?? []].reduce((s, g, j) => s + g * (direction[j] ?? 0), 0);
      assert.ok(
        Math.abs(numeric - analytic) <= 1e-4 * Math.abs(analytic) + 1e-6,
        `${name}: ${analytic}, by differences ${numeric}`,
      );
    }
  });
}

for (const mode of Object.keys(methods) as MethodName[]) {
  Deno.test(`a targeted step on ${mode} raises the target's probability`, () => {
    const target = 7;
    const models = [0, 1].map((seed) => create(mode, { random: new nn.Random(seed) }));
    for (const model of models.filter((m) => m instanceof Due)) {
      // As if it had been trained: inducing points within reach, and values that differ.
      const [points, mean] = [...model.process.state.values()];
      assert.ok(points && mean);
      model.process.start(points.data.slice(), 10);
      mean.data.set(wave(mean.data.length, 3));
    }
    const subject = methods[mode].subject(
      methods[mode].ensemble ? models : models.slice(0, 1),
      procedureOf("paper", { dueSamples: 500, dueAttackSamples: 500, dueNoise: "common" }),
      hyperparametersOf(),
    );
    const x = nn.input([2, 1, 28, 28]);
    const pixels = pictures(2);
    const images = subject.attacked.map(() => x);
    const slopes = subject.attacked.map((part) => {
      const loss = part.confidenceLoss(x, { draws: draws(), target });
      return nn.grad(loss, [x])[0] ?? loss;
    });
    const answer = nn.exp(subject.logProbabilities(images, draws()));
    const before = nn.evaluate([answer, ...slopes], new Map([[x, pixels]]));
    const [slope = new Float64Array()] = before.slice(1);
    const moved = Float64Array.from(pixels, (v, i) => v - 1e-3 * Math.sign(slope[i] ?? 0));
    const [after = new Float64Array()] = nn.evaluate([answer], new Map([[x, moved]]));
    for (const row of [0, 1]) {
      const [p, q] = [before[0]?.[10 * row + target] ?? NaN, after[10 * row + target] ?? NaN];
      assert.ok(q > p, `row ${row}: ${p} to ${q}`);
    }
  });
}

function ensemble(
  changed: Partial<Record<keyof Procedure, Procedure[keyof Procedure]>>,
): ReturnType<typeof methods.deep_ensemble.subject> {
  const procedure = { ...procedureOf("paper"), ...changed } as Procedure;
  const members = [0, 1, 2].map((seed) => create("baseline", { random: new nn.Random(seed) }));
  return methods.deep_ensemble.subject(members, procedure, {});
}

const draws = (): nn.Draws => new nn.Draws(new nn.Random(0));

Deno.test("an ensemble averages logits or probabilities, and offers the other as a reading", () => {
  const x = nn.constant(pictures(2), [2, 1, 28, 28]);
  const members = [0, 1, 2].map((seed) => create("baseline", { random: new nn.Random(seed) }));
  const logits = nn.evaluate(members.map((m) => m.logProbabilities(x, draws())));
  const mean = (f: (l: number) => number): number[] =>
    Array.from({ length: 20 }, (_, i) => logits.reduce((s, l) => s + f(l[i] ?? NaN), 0) / 3);
  const softmax = (row: number[]): number[] => {
    const total = row.reduce((s, l) => s + Math.exp(l), 0);
    return row.map((l) => Math.exp(l) / total);
  };
  const byLogits = [0, 10].flatMap((at) => softmax(mean((l) => l).slice(at, at + 10)));
  const byProbabilities = mean(Math.exp);
  for (const ensembleMean of ["logits", "probabilities"] as const) {
    const subject = ensemble({ ensembleMean, ensembleAttack: "joint" });
    const [reading] = Object.values(subject.readings?.([x], draws()) ?? {});
    assert.ok(reading?.normalised);
    const [own = [], other = []] = nn.evaluate([
      nn.exp(subject.logProbabilities([x], draws())),
      nn.exp(reading.logConfidences),
    ]);
    const wanted = ensembleMean === "logits"
      ? [byLogits, byProbabilities]
      : [byProbabilities, byLogits];
    [own, other].forEach((values, k) =>
      values.forEach((p, i) => assert.ok(Math.abs(p - (wanted[k]?.[i] ?? NaN)) < 1e-12))
    );
  }
});

Deno.test("a joint attack descends the ensemble's own loss on one image, else each member its own", () => {
  const x = nn.constant(pictures(2), [2, 1, 28, 28]);
  const joint = ensemble({ ensembleAttack: "joint", ensembleMean: "probabilities" });
  const [together = assert.fail()] = joint.attacked;
  assert.equal(joint.attacked.length, 1);
  const answer = joint.logProbabilities([x], draws());
  const [losses = [], l = []] = nn.evaluate([
    together.confidenceLoss(x, { draws: draws() }),
    answer,
  ]);
  losses.forEach((loss, row) => {
    const best = Math.max(...l.slice(10 * row, 10 * row + 10));
    assert.ok(Math.abs(loss + best) < 1e-12, `${loss}, ${-best}`);
  });
  const [steered = []] = nn.evaluate([
    together.confidenceLoss(x, { draws: draws(), target: 7 }),
  ]);
  steered.forEach((loss, row) => assert.ok(Math.abs(loss + (l[10 * row + 7] ?? NaN)) < 1e-12));

  const apart = ensemble({});
  assert.equal(apart.attacked.length, 3);
  const own = [0, 1, 2].map((seed) => create("baseline", { random: new nn.Random(seed) }));
  const member = own.map((m) => m.confidenceLoss(x, { draws: draws() }));
  const copies = apart.attacked.map((part) => part.confidenceLoss(x, { draws: draws() }));
  const values = nn.evaluate([...member, ...copies]);
  for (const i of [0, 1, 2]) assert.deepEqual(values[i + 3], values[i]);
});

Deno.test("DUQ's rows whose kernel values all underflow are no numbers, but not by logarithms", () =>
  withDevice(async (device) => {
    const x = nn.input([2, 1, 28, 28]);
    for (const kernelArithmetic of ["direct", "log"] as const) {
      const model = create("duq", { procedure: procedureOf("paper", { kernelArithmetic }) });
      // Centroids so far away that exp(-d) is 0 in f32.
      model.state.get("m")?.data.fill(2000);
      const l = model.logProbabilities(x, draws());
      using program = await nn.compile(device, { inputs: [x], outputs: [l] });
      program.run([pictures(2)]);
      const values = await program.read(l);
      if (kernelArithmetic === "direct") {
        assert.ok(values.every(Number.isNaN), `${values}`);
      } else {
        const sums = [0, 10].map((at) =>
          values.subarray(at, at + 10).reduce((s, v) => s + Math.exp(v), 0)
        );
        sums.forEach((sum) => assert.ok(Math.abs(sum - 1) < 1e-5, `${values}`));
      }
    }
  }));

Deno.test("both arithmetics of DUQ agree where nothing underflows, in loss and gradient", () => {
  const x = nn.constant(pictures(2), [2, 1, 28, 28]);
  const [direct, log] = (["direct", "log"] as const).map((kernelArithmetic) => {
    const model = create("duq", { procedure: procedureOf("paper", { kernelArithmetic }) });
    const loss = model.confidenceLoss(x, { draws: draws() });
    return nn.evaluate([loss, ...nn.grad(loss, [x]), model.logProbabilities(x, draws())]);
  });
  direct?.forEach((values, k) =>
    values.forEach((value, i) => {
      const other = log?.[k]?.[i] ?? NaN;
      assert.ok(Math.abs(value - other) <= 1e-6 * Math.abs(value) + 1e-12, `${value}, ${other}`);
    })
  );
});

Deno.test("the attack on DUE draws afresh at every step, or the same numbers again", () => {
  const x = nn.constant(pictures(2), [2, 1, 28, 28]);
  for (const dueNoise of ["fresh", "common"] as const) {
    const model = create("due", { procedure: procedureOf("paper", { dueNoise }) });
    const at = (count: number): Float64Array => {
      const supply = new nn.Draws(new nn.Random(3), nn.constant(count, [1]));
      return nn.evaluate([model.confidenceLoss(x, { draws: supply })])[0] ?? new Float64Array();
    };
    const [first, second] = [at(0), at(1)];
    if (dueNoise === "common") assert.deepEqual(first, second);
    else assert.ok(first.some((value, i) => value !== second[i]));
  }
});

Deno.test("DUE's predictions become exact as samples grow", () => {
  const x = nn.constant(pictures(1), [1, 1, 28, 28]);
  const answer = (dueSamples: number, seed: number): Float64Array => {
    const model = create("due", { procedure: procedureOf("paper", { dueSamples }) });
    const l = model.logProbabilities(x, new nn.Draws(new nn.Random(seed)));
    return nn.evaluate([nn.exp(l)])[0] ?? new Float64Array();
  };
  const spread = (samples: number): number => {
    const [a, b] = [answer(samples, 1), answer(samples, 2)];
    return a.reduce((s, p, i) => s + Math.abs(p - (b[i] ?? 0)), 0);
  };
  assert.ok(spread(10_000) < 0.05, `${spread(10_000)}`);
  assert.ok(spread(10_000) < spread(10));
});

Deno.test("a network of an unknown name is an error, not another network", () => {
  for (const name of ["", "VGG", "LeNet5", "resnet-18", "ResNet-180"]) {
    assert.throws(() => networkOf(name), /there is none of that name; choose LeNet or ResNet-18/);
  }
  assert.equal(networkOf("LeNet_DUE").name, "LeNet");
  assert.equal(networkOf("ResNet-18").name, "ResNet-18");
});
