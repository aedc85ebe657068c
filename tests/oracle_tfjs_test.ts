/** Forward and first-order results against TensorFlow.js on its CPU backend. */
import assert from "node:assert/strict";
import "@tensorflow/tfjs-backend-cpu";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-layers"; // brings the derivatives of the ops
import * as nn from "../src/nn/mod.ts";
import { wave } from "./check_grads.ts";
import { withDevice } from "./support.ts";

type Named = readonly (readonly [string, ArrayLike<number>])[];

/** Output and gradients of `sum(y * weights)` by every input, on the device. */
async function ours(
  device: nn.Device,
  f: (...xs: nn.Tensor[]) => nn.Tensor,
  values: readonly { shape: number[]; data: Float32Array }[],
): Promise<Float32Array[]> {
  const xs = values.map(({ shape }) => nn.input(shape));
  const y = f(...xs);
  const weights = nn.constant(Float32Array.from(wave(nn.size(y.shape), 3)), y.shape);
  const outputs = [y, ...nn.grad(nn.mul(y, weights), xs)];
  using program = await nn.compile(device, { inputs: xs, outputs });
  program.run(values.map(({ data }) => data));
  return await Promise.all(outputs.map((t) => program.read(t)));
}

function compare(expected: Named, actual: readonly Float32Array[]): void {
  expected.forEach(([name, values], i) => {
    const got = actual[i];
    assert.equal(got?.length, values.length, name);
    const scale = Math.max(1, ...Array.from(values, Math.abs));
    for (let j = 0; j < values.length; j++) {
      const difference = Math.abs((got?.[j] ?? NaN) - (values[j] ?? NaN));
      assert.ok(
        difference <= 1e-5 * scale,
        `${name}[${j}] is ${got?.[j]}, TensorFlow.js: ${values[j]}`,
      );
    }
  });
}

const value = (shape: number[], phase: number): { shape: number[]; data: Float32Array } => ({
  shape,
  data: Float32Array.from(wave(nn.size(shape), phase)),
});

/** `[B, C, H, W]` data as the NHWC tensor TensorFlow.js wants on its CPU. */
const channelsLast = (x: tf.Tensor): tf.Tensor4D => tf.transpose(x as tf.Tensor4D, [0, 2, 3, 1]);

/** And back. */
const channelsFirst = (x: tf.Tensor): tf.Tensor => tf.transpose(x, [0, 3, 1, 2]);

for (const [stride, padding] of [[1, 0], [2, 1]] as const) {
  Deno.test(`\`conv2d()\` agrees with TensorFlow.js, stride ${stride}, padding ${padding}`, () =>
    withDevice(async (device) => {
      await tf.setBackend("cpu");
      const [x, w] = [value([2, 3, 9, 9], 1), value([5, 3, 3, 3], 2)];
      const actual = await ours(device, (a, b) => nn.conv2d(a, b, { stride, padding }), [x, w]);
      const f = (a: tf.Tensor, b: tf.Tensor): tf.Tensor =>
        channelsFirst(
          tf.conv2d(
            channelsLast(a),
            tf.transpose(b as tf.Tensor4D, [2, 3, 1, 0]),
            stride,
            padding,
          ),
        );
      compare(await theirs(f, [x, w]), actual);
    }));
}

for (const [window, stride] of [[2, 2], [3, 2]] as const) {
  Deno.test(`\`maxPool2d()\` agrees with TensorFlow.js, window ${window}, stride ${stride}`, () =>
    withDevice(async (device) => {
      await tf.setBackend("cpu");
      const x = value([2, 3, 7, 9], 1);
      const actual = await ours(device, (a) => nn.maxPool2d(a, window, stride), [x]);
      const f = (a: tf.Tensor): tf.Tensor =>
        channelsFirst(tf.maxPool(channelsLast(a), window, stride, 0));
      compare(await theirs(f, [x]), actual);
    }));
}

Deno.test("`matmul()` and `softmax()` agree with TensorFlow.js", () =>
  withDevice(async (device) => {
    await tf.setBackend("cpu");
    const values = [value([7, 13], 1), value([13, 10], 2)];
    const actual = await ours(device, (a, b) => nn.softmax(nn.matmul(a, b)), values);
    const f = (a: tf.Tensor, b: tf.Tensor): tf.Tensor => tf.softmax(tf.matMul(a, b));
    compare(await theirs(f, values), actual);
  }));

Deno.test("`matmul()` with transposed operands, bias and ReLU agrees with TensorFlow.js", () =>
  withDevice(async (device) => {
    await tf.setBackend("cpu");
    const values = [value([13, 7], 1), value([10, 13], 2), value([10], 3)];
    const flags = { transposeA: true, transposeB: true } as const;
    const actual = await ours(
      device,
      (a, b, bias) => nn.matmul(a, b, { ...flags, bias, activation: "relu" }),
      values,
    );
    const f = (a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor): tf.Tensor =>
      tf.relu(tf.add(tf.matMul(a, b, true, true), bias));
    compare(await theirs(f, values), actual);
  }));

Deno.test("`crossEntropy()` agrees with TensorFlow.js", () =>
  withDevice(async (device) => {
    await tf.setBackend("cpu");
    const logits = value([6, 10], 1);
    const labels = [3, 0, 9, 1, 1, 5];
    const actual = await ours(device, (a) => nn.crossEntropy(a, nn.constant(labels)), [logits]);
    const oneHot = tf.oneHot(tf.tensor1d(labels, "int32"), 10);
    const f = (a: tf.Tensor): tf.Tensor => tf.neg(tf.sum(tf.mul(oneHot, tf.logSoftmax(a)), -1));
    compare(await theirs(f, [logits]), actual);
  }));

/** The same output and gradients by TensorFlow.js. */
async function theirs(
  f: (...xs: tf.Tensor[]) => tf.Tensor,
  values: readonly { shape: number[]; data: Float32Array }[],
): Promise<Named> {
  const xs = values.map(({ shape, data }) => tf.tensor(data, shape));
  const y = f(...xs);
  const weights = tf.tensor(Float32Array.from(wave(y.size, 3)), y.shape);
  const gradients = tf.grads((...args: tf.Tensor[]) => tf.sum(tf.mul(f(...args), weights)))(xs);
  const named: [string, ArrayLike<number>][] = [["output", await y.data()]];
  for (const [i, g] of gradients.entries()) named.push([`gradient ${i}`, await g.data()]);
  return named;
}
