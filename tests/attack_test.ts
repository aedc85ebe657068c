/** The attacks' own promises, on models whose answer is known. */
import assert from "node:assert/strict";
import {
  type Attack,
  type AttackName,
  attacks,
  type AttackSettings,
  iterate,
} from "../src/attack/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { iterationOf, procedureOf } from "../src/methods/protocol.ts";
import { withDevice } from "./support.ts";

const shape = [4, 6];
const images = Float32Array.from({ length: 24 }, (_, i) => (i * 7 % 11) / 10);

/** Weights `[6, 3]` without a zero. */
const weights = Float32Array.from({ length: 18 }, (_, i) => Math.sin(3 * i + 1));

/** Linear in x: loss = x . slope. */
const slope = Float32Array.of(1, -2, 0.5, -0.1, 3, -1);
function linear(x: nn.Tensor): nn.Tensor {
  return nn.reshape(nn.matmul(x, nn.constant(slope, [6, 1])), [4]);
}

/** Cross-entropy of a linear softmax model against its own prediction. */
function selfTraining(x: nn.Tensor): nn.Tensor {
  const logits = nn.matmul(x, nn.constant(weights, [6, 3]));
  return nn.crossEntropy(logits, nn.argmax(logits));
}

async function run(
  device: nn.Device,
  loss: (x: nn.Tensor) => nn.Tensor,
  settings: AttackSettings,
): Promise<{ x: Float32Array; before: Float32Array; after: Float32Array }> {
  const of: Attack | undefined = Object.values(attacks).find(({ name }) => name === settings.name);
  const state = (of?.prepare ?? iterate)({ loss, shape }, settings);
  const x = nn.input(shape);
  using start = await nn.compile(device, {
    inputs: [x],
    updates: state.start(x, new nn.Random(0)),
  });
  using step = await nn.compile(device, { updates: state.step().updates });
  const nodes = [state.result.tensor, loss(state.clean.tensor), loss(state.result.tensor)];
  using judge = await nn.compile(device, { outputs: nodes });
  start.run([images]);
  step.run([], state.repeats);
  judge.run();
  const [result, before, after] = await Promise.all(nodes.map((node) => judge.read(node)));
  nn.release(device, state.parameters);
  assert.ok(result && before && after);
  return { x: result, before, after };
}

const epsilon = 0.1;
// Random search starts away from the image, and need not find its way back.
const descending = Object.entries<Attack>(attacks).filter(([, { gradientFree }]) => !gradientFree);
for (const [name, attack] of descending) {
  for (const protocol of ["paper", "corrected"] as const) {
    Deno.test(`\`${name}\` (${protocol}) stays in the ball and the box and lowers the loss`, () =>
      withDevice(async (device) => {
        const settings = attack.settings(epsilon, {
          ...iterationOf(procedureOf(protocol)),
          startNoise: 0.001,
        });
        const { x, before, after } = await run(device, selfTraining, settings);
        x.forEach((v, i) => {
          assert.ok(v >= 0 && v <= 1, `pixel ${i} is ${v}`);
          assert.ok(Math.abs(v - (images[i] ?? 0)) <= epsilon + 1e-6, `pixel ${i} moved to ${v}`);
        });
        after.forEach((v, i) => assert.ok(v < (before[i] ?? 0), `loss ${i}: ${before[i]} -> ${v}`));
      }));
  }
}

Deno.test("`fgsm` reaches the exact optimum of a linear loss, and `pgd` of one step equals it", () =>
  withDevice(async (device) => {
    const options = { ...iterationOf(procedureOf("paper")), steps: 1 } as const;
    const expected = images.map((v, i) =>
      Math.min(1, Math.max(0, v - epsilon * Math.sign(slope[i % 6] ?? 0)))
    );
    for (const name of ["fgsm", "pgd"] satisfies AttackName[]) {
      const { x } = await run(device, linear, attacks[name].settings(epsilon, options));
      x.forEach((v, i) =>
        assert.ok(Math.abs(v - (expected[i] ?? 0)) < 1e-6, `${name}, pixel ${i}`)
      );
    }
  }));

Deno.test("the best iterate is never worse than the last one, image by image", () =>
  withDevice(async (device) => {
    // A loss with a narrow valley, which steps of 0.1 jump over again and again.
    const valley = (x: nn.Tensor): nn.Tensor => nn.sum(nn.square(nn.sub(x, 0.42)), [1]);
    const last = {
      ...attacks.pgd.settings(0.5, { ...iterationOf(procedureOf("paper")), steps: 5 }),
      steps: 6,
    };
    const best = { ...last, keepBest: true };
    const a = await run(device, valley, last);
    const b = await run(device, valley, best);
    b.after.forEach((v, i) => assert.ok(v <= (a.after[i] ?? 0) + 1e-6));
    assert.ok(b.after.some((v, i) => v < (a.after[i] ?? 0) - 1e-4), "it helps somewhere");
  }));

Deno.test("settings of both protocols are those of the paper and of its correction", () => {
  const paper = attacks.pgd.settings(0.2, {
    ...iterationOf(procedureOf("paper")),
    startNoise: 0.001,
  });
  assert.deepEqual(paper, {
    name: "pgd",
    norm: "linf",
    epsilon: 0.2,
    steps: 10,
    stepSize: 0.02,
    startNoise: 0.001,
    projectStart: false,
    keepBest: false,
  });
  const corrected = attacks.pgd.settings(0.2, { ...iterationOf(procedureOf("corrected")) });
  assert.equal(corrected.stepSize, 0.05);
  assert.ok(corrected.keepBest && corrected.projectStart);
});

Deno.test("pixels whose gradient is no number stay where they are, in the ball and finite", () =>
  withDevice(async (device) => {
    const shape = [2, 1, 2, 2];
    const images = nn.constant(Float32Array.from({ length: 8 }, (_, i) => 0.1 + 0.1 * i), shape);
    // The second image's loss and gradient are no numbers.
    const poison = nn.constant(Float32Array.of(1, 1, 1, 1, NaN, NaN, NaN, NaN), shape);
    for (const keep of ["last", "best"] as const) {
      const settings = attacks.pgd.settings(0.1, {
        ...iterationOf({ ...procedureOf("paper"), keep }),
        startNoise: 0,
      });
      const loss = (x: nn.Tensor): nn.Tensor => nn.sum(nn.mul(x, poison), [1, 2, 3]);
      const state = iterate({ loss, shape }, settings);
      using start = await nn.compile(device, {
        name: "start",
        updates: state.start(images, new nn.Random(0)),
      });
      using step = await nn.compile(device, { name: "step", updates: state.step().updates });
      start.run();
      step.run([], state.repeats);
      await nn.pull(device, [state.result]);
      const moved = [...state.result.data].map((v) => Math.round(1000 * v) / 1000);
      assert.deepEqual(moved, [0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8]);
      nn.release(device, state.parameters);
    }
  }));
