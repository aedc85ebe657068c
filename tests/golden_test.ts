/**
 * Every method against golden arrays that the original PyTorch code computed in f64: on the device to
 * 1e-4, in the f64 reference to 1e-5, norm-wise. The arrays, not a generator, carry the randomness.
 */
import assert from "node:assert/strict";
import { attacks, iterate } from "../src/attack/mod.ts";
import { Due } from "../src/methods/due.ts";
import type { MethodName } from "../src/methods/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { type NamedArray, readSafetensors } from "../src/checkpoint/safetensors.ts";
import { iterationOf, procedureOf } from "../src/methods/protocol.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { compare, draws, type Golden, goldenModel } from "./golden.ts";
import { relativeError, withDevice } from "./support.ts";

const trainCount = 60_000;

function fileOf(mode: MethodName): string {
  return `reference/golden/${mode}.safetensors`;
}

async function load(mode: MethodName): Promise<Golden> {
  const { tensors } = await readSafetensors(sharedPath(fileOf(mode)));
  return (name) => {
    const array: NamedArray | undefined = tensors.get(name);
    assert.ok(array, `no "${name}" among the golden arrays`);
    return Float32Array.from(array.data);
  };
}

for (const mode of ["baseline", "sngp", "duq"] as const) {
  testWithShared(
    `\`${mode}\` evaluates as the original: probabilities, label, loss, input gradient`,
    [fileOf(mode)],
    () =>
      withDevice(async (device) => {
        const golden = await load(mode);
        const model = await goldenModel(device, mode, golden);
        const x = nn.input([20, 1, 28, 28]);
        const loss = nn.mean(model.confidenceLoss(x, { draws: draws() }));
        const [dx = loss] = nn.grad(loss, [x]);
        const answer = model.logProbabilities(x, draws());
        const kernel = model.readings?.(x, new nn.Draws(new nn.Random(0)))["kernel"]
          ?.logConfidences;
        await compare(device, new Map([[x, golden("ood_x")]]), [
          ["probabilities", nn.exp(answer), golden("eval_prob")],
          kernel
            ? ["kernel", nn.exp(kernel), golden("eval_out")]
            : ["log-probabilities", answer, logSoftmax(golden("eval_out"), 10)],
          ["label", nn.argmax(answer), golden("eval_label")],
          ["loss", loss, golden("eval_loss")],
          ["input gradient", dx, golden("eval_dx")],
        ]);
      }),
  );

  testWithShared(
    `\`${mode}\` trains as the original: output, loss, every gradient, every updated statistic`,
    [fileOf(mode)],
    () =>
      withDevice(async (device) => {
        const golden = await load(mode);
        const model = await goldenModel(device, mode, golden);
        model.beginEpoch?.(device);
        const [x, y] = [nn.input([32, 1, 28, 28]), nn.input([32])];
        const pass = new nn.Pass(true);
        const { loss, logits } = model.train(x, y, { pass, trainCount });
        const trainable = [...model.state].filter(([, p]) => p.trainable);
        assert.equal(trainable.length, { baseline: 8, sngp: 10, duq: 7 }[mode]);
        const gradients = nn.grad(loss, trainable.map(([, p]) => p.tensor));
        const after = new Map([...pass.updates, ...model.afterStep?.(x, y) ?? []]);
        const updated = [...model.state].flatMap(([name, p]) => {
          const value = after.get(p);
          return value ? [[`after.${name}`, value, golden(`after.${name}`)] as const] : [];
        });
        // SNGP: u, v, sigma of three layers, and the precision; DUQ: counts and sums.
        assert.equal(updated.length, { baseline: 0, sngp: 10, duq: 2 }[mode]);
        await compare(device, new Map([[x, golden("train_x")], [y, golden("train_y")]]), [
          ["loss", loss, golden("train_loss")],
          ["output", mode === "duq" ? nn.exp(logits) : logits, golden("train_out")],
          ...trainable.map(([name], i) =>
            [`grad.${name}`, gradients[i] ?? loss, golden(`grad.${name}`)] as const
          ),
          ...updated,
        ]);
      }),
  );

  for (const name of ["fgsm", "pgd"] as const) {
    testWithShared(
      `\`${name}\` moves the images under \`${mode}\` as the original does`,
      [fileOf(mode)],
      () =>
        withDevice(async (device) => {
          const golden = await load(mode);
          const model = await goldenModel(device, mode, golden);
          const shape = [20, 1, 28, 28];
          const settings = attacks[name].settings(0.1, { ...iterationOf(procedureOf("paper")) });
          const loss = (x: nn.Tensor): nn.Tensor => model.confidenceLoss(x, { draws: draws() });
          const state = iterate({ loss, shape }, settings);
          const images = nn.input(shape);
          using start = await nn.compile(device, {
            inputs: [images],
            updates: state.start(images, new nn.Random(0)),
          });
          using step = await nn.compile(device, { updates: state.step().updates });
          const { tensor } = state.result;
          const kernel = model.readings?.(tensor, new nn.Draws(new nn.Random(0)))["kernel"]
            ?.logConfidences;
          const output = nn.exp(kernel ?? model.logProbabilities(tensor, draws()));
          using judge = await nn.compile(device, { outputs: [tensor, output] });
          start.run([golden("ood_x")]);
          step.run([], state.repeats);
          judge.run();
          const moved = relativeError(await judge.read(tensor), golden(`${name}_x`));
          assert.ok(moved <= 1e-2, `images: relative error ${moved}`);
          const raw = golden(`${name}_out`);
          const expected = kernel ? raw : logSoftmax(raw, 10).map(Math.exp);
          const answered = relativeError(await judge.read(output), expected);
          assert.ok(answered <= 5e-3, `outputs: relative error ${answered}`);
        }),
    );
  }
}

testWithShared(
  "`duq` has the original's cross-entropy and gradient penalty",
  [fileOf("duq")],
  () =>
    withDevice(async (device) => {
      const golden = await load("duq");
      const [x, y] = [nn.input([32, 1, 28, 28]), nn.input([32])];
      const losses = [];
      for (const lambdaReg of [0, 1]) {
        const model = await goldenModel(device, "duq", golden, { lambdaReg });
        losses.push(model.train(x, y, { pass: new nn.Pass(true), trainCount }).loss);
      }
      const [bce = nn.constant(0), both = nn.constant(0)] = losses;
      await compare(device, new Map([[x, golden("train_x")], [y, golden("train_y")]]), [
        ["cross-entropy", bce, golden("train_bce")],
        ["penalty", nn.sub(both, bce), golden("train_penalty")],
      ]);
    }),
);

testWithShared(
  "`due` has the original's marginals and divergence in evaluation, and its predictions by sampling",
  [fileOf("due")],
  () =>
    withDevice(async (device) => {
      const golden = await load("due");
      const model = await goldenModel(device, "due", golden);
      assert.ok(model instanceof Due);
      const x = nn.input([20, 1, 28, 28]);
      const pass = new nn.Pass(false);
      const features = model.encode(x, pass);
      const { mean, variance } = model.process.posterior(features, pass);
      await compare(device, new Map([[x, golden("ood_x")]]), [
        ["features", features, golden("ood_features")],
        ["mean", mean, golden("eval_mean")],
        ["variance", variance, golden("eval_variance")],
        ["divergence", model.process.divergence(pass), golden("kl")],
      ]);
    }),
);

testWithShared(
  "`due` trains as the original: marginals, both parts of the loss, every gradient",
  [fileOf("due")],
  () =>
    withDevice(async (device) => {
      const golden = await load("due");
      const model = await goldenModel(device, "due", golden);
      assert.ok(model instanceof Due);
      const [x, y] = [nn.input([32, 1, 28, 28]), nn.input([32])];
      const pass = new nn.Pass(true);
      const features = model.encode(x, pass);
      const marginals = model.process.posterior(features, pass);
      const noise = nn.constant(golden("train_eps"), [10, 32, 10]);
      const loss = model.negativeElbo(marginals, y, noise, pass, trainCount);
      const divergence = model.process.divergence(pass);
      const trainable = [...model.state].filter(([, p]) => p.trainable);
      assert.equal(trainable.length, 12);
      const gradients = nn.grad(loss, trainable.map(([, p]) => p.tensor));
      const expected = nn.sub(nn.scale(divergence, 1 / trainCount), loss);
      await compare(device, new Map([[x, golden("train_x")], [y, golden("train_y")]]), [
        ["features", features, golden("train_features")],
        ["mean", marginals.mean, golden("train_mean")],
        ["variance", marginals.variance, golden("train_variance")],
        ["expected log-likelihood", expected, golden("train_ell")],
        ["divergence", divergence, golden("train_kl")],
        ["loss", loss, golden("train_loss")],
        ...trainable.map(([name], i) =>
          [`grad.${name}`, gradients[i] ?? loss, golden(`grad.${name}`)] as const
        ),
      ]);
    }),
);

function logSoftmax(logits: Float32Array, classes: number): Float32Array {
  return logits.map((value, i) => {
    const row = logits.subarray(i - i % classes, i - i % classes + classes);
    const max = Math.max(...row);
    return value - max - Math.log(row.reduce((s, v) => s + Math.exp(v - max), 0));
  });
}
