/** A narrow ResNet-18 on small images through every path: train and eval, both orders, the device. */
import assert from "node:assert/strict";
import * as nn from "../src/nn/mod.ts";
import { wave } from "./check_grads.ts";
import { relativeError, withDevice } from "./support.ts";
import { LeNet, ResNet18, ResNet18Features, SpectralLeNet } from "../src/networks/mod.ts";

const small = { width: 8, imageShape: [3, 8, 8] } as const;
const kinds = {
  plain: small,
  spectral: { ...small, coeff: 3, branch: "downsample" },
} as const;

/** Six images of 8 x 8 pixels: the last stage normalises by six values of a channel. */
const pixels = Float32Array.from(wave(6 * 3 * 64, 1), (v) => 0.5 + 0.5 * v);

interface Traced {
  readonly network: ResNet18Features;
  readonly x: nn.Tensor;
  readonly loss: nn.Tensor;
  readonly pass: nn.Pass;
}

/** A loss of the features, and DUQ's gradient penalty on them: a gradient of second order. */
function trace(kind: keyof typeof kinds, train: boolean): Traced {
  const network = new ResNet18Features(new nn.Random(4), kinds[kind]);
  const x = nn.input([6, 3, 8, 8]);
  const pass = new nn.Pass(train);
  const features = network.forward(x, pass);
  const weights = nn.constant(Float32Array.from(wave(features.shape[1] ?? 0, 2)));
  const scores = nn.sum(nn.mul(nn.square(features), weights), [1]);
  const [slope = x] = nn.grad(scores, [x]);
  const penalty = nn.mean(nn.square(nn.sub(nn.rowNorm(slope), 1)));
  return { network, x, pass, loss: nn.add(nn.mean(scores), penalty) };
}

for (const kind of ["plain", "spectral"] as const) {
  for (const train of [true, false]) {
    const mode = train ? "train" : "eval";
    Deno.test(`a ${kind} ResNet-18 in ${mode} has right gradients of its gradient penalty, in f64`, () => {
      const { network, x, loss } = trace(kind, train);
      const names = ["conv1", "layer1.0.conv2", "layer2.0.conv1", "layer4.1.bn2", "layer3.0"];
      const chosen = [...network.state].filter(([name, p]) =>
        p.trainable && names.some((prefix) => name.startsWith(prefix))
      );
      assert.ok(chosen.length >= 8);
      const gradients = nn.grad(loss, chosen.map(([, p]) => p.tensor));
      const slopes = nn.evaluate(gradients, new Map([[x, pixels]]));
      for (const [i, [name, parameter]] of chosen.entries()) {
        const direction = wave(nn.size(parameter.shape), i + 1);
        // So small a step that hardly a ReLU flips, where the penalty's gradient would jump.
        const h = 1e-9;
        const at = (shift: number): number => {
          const moved = Float64Array.from(
            parameter.data,
            (w, j) => w + shift * (direction[j] ?? 0),
          );
          const leaves = new Map<nn.Tensor, ArrayLike<number>>([
            [x, pixels],
            [parameter.tensor, moved],
          ]);
          return nn.evaluate([loss], leaves)[0]?.[0] ?? NaN;
        };
        const numeric = (at(h) - at(-h)) / (2 * h);
        const analytic = [...slopes[i] ?? []].reduce((s, g, j) => s + g * (direction[j] ?? 0), 0);
        assert.ok(
          Math.abs(numeric - analytic) <= 1e-3 * Math.abs(analytic) + 1e-6 * Math.abs(at(0)),
          `${name}: ${analytic}, by differences ${numeric}`,
        );
      }
    });

    Deno.test(`a ${kind} ResNet-18 in ${mode} computes on the device what it computes in f64`, () =>
      withDevice(async (device) => {
        const { network, x, loss, pass } = trace(kind, train);
        const trainable = [...network.state].filter(([, p]) => p.trainable);
        const gradients = nn.grad(loss, trainable.map(([, p]) => p.tensor));
        const statistics = [...pass.updates.values()];
        assert.equal(statistics.length > 0, train);
        const nodes = [loss, ...gradients, ...statistics];
        const exact = nn.evaluate(nodes, new Map([[x, pixels]]));
        using program = await nn.compile(device, { inputs: [x], outputs: nodes });
        program.run([pixels]);
        let [difference, norm] = [0, 0];
        for (const [i, node] of nodes.entries()) {
          const values = await program.read(node);
          const wanted = exact[i] ?? new Float64Array();
          if (i === 0 || i > gradients.length) {
            const error = relativeError(values, wanted);
            assert.ok(error <= 1e-3, `${i === 0 ? "the loss" : "a statistic"}: ${error}`);
          } else {
            values.forEach((g, j) => difference += (g - (wanted[j] ?? NaN)) ** 2);
            wanted.forEach((g) => norm += g ** 2);
          }
        }
        const error = Math.sqrt(difference / norm);
        assert.ok(error <= 2e-2, `gradients: relative error ${error}`);
      }));
  }
}

Deno.test("ResNet-18 has the paper's number of parameters, LeNet too", () => {
  const count = (state: nn.State): number =>
    [...state.values()].filter((p) => p.trainable).reduce((n, p) => n + nn.size(p.shape), 0);
  assert.equal(count(new ResNet18(new nn.Random(0)).state), 11_173_962);
  assert.equal(count(new LeNet(new nn.Random(0)).state), 37_106);
  assert.equal(count(new SpectralLeNet(new nn.Random(0)).state), 24_160);
});

Deno.test("running statistics blend in the batch's mean and unbiased variance", () => {
  const layer = new nn.BatchNorm2d(2);
  const x = nn.constant([1, 2, 3, 4, 10, 10, 10, 14], [1, 2, 2, 2]);
  const pass = new nn.Pass(true);
  layer.forward(x, pass);
  const [mean = [], variance = []] = nn.evaluate(
    [layer.runningMean, layer.runningVariance].map((p) => pass.get(p)),
  );
  // 0.9 of (0, 1) and 0.1 of (2.5, 5/3) and (11, 4).
  [0.25, 1.1].forEach((wanted, i) => assert.ok(Math.abs((mean[i] ?? NaN) - wanted) < 1e-6));
  [0.9 + 1 / 6, 1.3].forEach((wanted, i) =>
    assert.ok(Math.abs((variance[i] ?? NaN) - wanted) < 1e-6)
  );
});

Deno.test("spectral batch normalisation bounds the largest scale by the coefficient", () => {
  const layer = new nn.BatchNorm2d(2, { coeff: 3 });
  layer.weight.data.set([8, 1]);
  const x = nn.constant([1, -1, 0.5, -0.5], [1, 2, 2, 1]);
  const [y = []] = nn.evaluate([layer.forward(x, new nn.Pass(false))]);
  // gamma / (8 / sqrt(1 + 1e-5) / 3)
  const scales = [3, 3 / 8];
  [1, -1, 0.5, -0.5].forEach((v, i) => {
    const wanted = v * (scales[Math.floor(i / 2)] ?? NaN);
    assert.ok(Math.abs((y[i] ?? NaN) - wanted) < 1e-5, `${y[i]}, ${wanted}`);
  });
});

Deno.test("augmentation mirrors half of the images, shifts them evenly, and repeats by its seed", () =>
  withDevice(async (device) => {
    const count = 2000;
    const image = Float32Array.from({ length: 81 }, (_, i) => i === 40 ? 1 : 0);
    const x = nn.broadcastTo(nn.constant(image, [1, 1, 9, 9]), [count, 1, 9, 9]);
    const draws = (): nn.Draws => new nn.Draws(new nn.Random(8));
    const cropped = (d: nn.Draws): nn.Tensor => nn.cropAndFlip(x, d.uniform([count, 3]), 4);
    const nodes = [cropped(draws()), cropped(draws())];
    using program = await nn.compile(device, { outputs: nodes });
    program.run();
    const [a = x, b = x] = nodes;
    const values = await program.read(a);
    assert.deepEqual(values, await program.read(b));
    const seen = new Array<number>(81).fill(0);
    for (let i = 0; i < count; i++) {
      const at = values.subarray(81 * i, 81 * i + 81).indexOf(1);
      seen[at] = (seen[at] ?? 0) + 1;
    }
    // The one white pixel lands on each of the 81 places about 25 times.
    seen.forEach((n, at) => assert.ok(n > 5 && n < 55, `place ${at}: ${n} times`));
  }));
