/**
 * SNGP against golden arrays that the original PyTorch code computed in f64: on the device to 1e-4,
 * in the f64 reference to 1e-5, norm-wise. Files without a GPU of their own: the arrays, not a RNG,
 * carry the randomness.
 */
import assert from "node:assert/strict";
import { attacks, iterate } from "../src/attack/mod.ts";
import { methods, type Model } from "../src/methods/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { type NamedArray, readSafetensors } from "../src/checkpoint/safetensors.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { withDevice } from "./support.ts";

const file = "reference/golden/sngp.safetensors";

type Golden = (name: string) => Float32Array;

async function load(): Promise<Golden> {
  const { tensors } = await readSafetensors(sharedPath(file));
  return (name) => {
    const array: NamedArray | undefined = tensors.get(name);
    assert.ok(array, `no "${name}" among the golden arrays`);
    return Float32Array.from(array.data);
  };
}

/** The model with the golden state, as `finish` leaves it. */
async function goldenModel(device: nn.Device, golden: Golden): Promise<Model> {
  const random = new nn.Random(0);
  const model = methods.sngp.create("LeNet_SNGP", { random, protocol: "paper" });
  for (const [name, parameter] of model.state) parameter.data.set(golden(`state.${name}`));
  await model.finish?.(device);
  return model;
}

/** `|a - b| / |b|` */
function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  let [difference, norm] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    difference += ((a[i] ?? NaN) - (b[i] ?? NaN)) ** 2;
    norm += (b[i] ?? NaN) ** 2;
  }
  return Math.sqrt(difference / norm);
}

/** Compares nodes with golden arrays, on the device and in f64. */
async function compare(
  device: nn.Device,
  inputs: ReadonlyMap<nn.Tensor, Float32Array>,
  expected: readonly (readonly [name: string, node: nn.Tensor, value: Float32Array])[],
): Promise<void> {
  const nodes = expected.map(([, node]) => node);
  using program = await nn.compile(device, { inputs: [...inputs.keys()], outputs: nodes });
  program.run([...inputs.values()]);
  const exact = nn.evaluate(nodes, inputs);
  for (const [i, [name, node, value]] of expected.entries()) {
    const onDevice = relativeError(await program.read(node), value);
    assert.ok(onDevice <= 1e-4, `${name} on the device: relative error ${onDevice}`);
    const inDouble = relativeError(exact[i] ?? [], value);
    assert.ok(inDouble <= 1e-5, `${name} in f64: relative error ${inDouble}`);
  }
}

testWithShared(
  "`sngp` evaluates as the original: probabilities, loss, input gradient",
  [file],
  () =>
    withDevice(async (device) => {
      const golden = await load();
      const model = await goldenModel(device, golden);
      const x = nn.input([20, 1, 28, 28]);
      const loss = nn.mean(model.confidenceLoss(x));
      const [dx = loss] = nn.grad(loss, [x]);
      await compare(device, new Map([[x, golden("ood_x")]]), [
        ["probabilities", nn.exp(model.logProbabilities(x)), golden("eval_prob")],
        ["log-probabilities", model.logProbabilities(x), logSoftmax(golden("eval_out"), 10)],
        ["label", nn.argmax(model.logProbabilities(x)), golden("eval_label")],
        ["loss", loss, golden("eval_loss")],
        ["input gradient", dx, golden("eval_dx")],
      ]);
    }),
);

testWithShared(
  "`sngp` trains as the original: logits, loss, every gradient, every updated statistic",
  [file],
  () =>
    withDevice(async (device) => {
      const golden = await load();
      const model = await goldenModel(device, golden);
      model.beginEpoch?.(device);
      const [x, y] = [nn.input([32, 1, 28, 28]), nn.input([32])];
      const pass = new nn.Pass(true);
      const { loss, logits } = model.train(x, y, pass);
      const trainable = [...model.state].filter(([, p]) => p.trainable);
      assert.equal(trainable.length, 10);
      const gradients = nn.grad(loss, trainable.map(([, p]) => p.tensor));
      const updated = [...model.state].flatMap(([name, p]) => {
        const value = pass.updates.get(p);
        return value ? [[`after.${name}`, value, golden(`after.${name}`)] as const] : [];
      });
      assert.equal(updated.length, 10, "u, v, sigma of three layers, and the precision");
      await compare(device, new Map([[x, golden("train_x")], [y, golden("train_y")]]), [
        ["loss", loss, golden("train_loss")],
        ["logits", logits, golden("train_out")],
        ...trainable.map(([name], i) =>
          [`grad.${name}`, gradients[i] ?? loss, golden(`grad.${name}`)] as const
        ),
        ...updated,
      ]);
    }),
);

for (const name of ["fgsm", "pgd"] as const) {
  testWithShared(
    `\`${name}\` moves the images as the original does`,
    [file],
    () =>
      withDevice(async (device) => {
        const golden = await load();
        const model = await goldenModel(device, golden);
        const shape = [20, 1, 28, 28];
        const settings = attacks[name].settings(0.1, { protocol: "paper" });
        const state = iterate((x) => model.confidenceLoss(x), shape, settings);
        const images = nn.input(shape);
        using start = await nn.compile(device, {
          inputs: [images],
          updates: state.start(images, new nn.Random(0)),
        });
        using step = await nn.compile(device, { updates: state.step().updates });
        const { tensor } = state.result;
        const output = nn.exp(model.logProbabilities(tensor));
        using judge = await nn.compile(device, { outputs: [tensor, output] });
        start.run([golden("ood_x")]);
        step.run([], state.repeats);
        judge.run();
        const moved = relativeError(await judge.read(tensor), golden(`${name}_x`));
        assert.ok(moved <= 1e-2, `images: relative error ${moved}`);
        const expected = logSoftmax(golden(`${name}_out`), 10).map(Math.exp);
        const answered = relativeError(await judge.read(output), expected);
        assert.ok(answered <= 5e-3, `outputs: relative error ${answered}`);
      }),
  );
}

function logSoftmax(logits: Float32Array, classes: number): Float32Array {
  return logits.map((value, i) => {
    const row = logits.subarray(i - i % classes, i - i % classes + classes);
    const max = Math.max(...row);
    return value - max - Math.log(row.reduce((s, v) => s + Math.exp(v - max), 0));
  });
}
