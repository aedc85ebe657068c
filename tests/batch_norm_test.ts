/** Batch normalisation in evaluation: a convolution before it becomes one with scaled filters. */
import assert from "node:assert/strict";
import * as nn from "../src/nn/mod.ts";
import { plan } from "../src/nn/compile/plan.ts";
import { ResNet18 } from "../src/networks/resnet18.ts";
import { wave } from "./check_grads.ts";
import { relativeError, withDevice } from "./support.ts";

const evaluation = new nn.Pass(false);
const random = new nn.Random(4);

function values(...shape: number[]): nn.Tensor {
  return nn.constant(Float32Array.from(wave(nn.size(shape), 3)), shape);
}

/** A normalisation that has seen something. */
function norm(channels: number, options: nn.BatchNorm2dOptions = {}): nn.BatchNorm2d {
  const layer = new nn.BatchNorm2d(channels, options);
  const fill = (p: nn.Parameter, phase: number): void =>
    p.data.set(wave(channels, phase).map((v) => 1.5 + v));
  [layer.weight, layer.bias, layer.runningMean, layer.runningVariance].forEach(fill);
  return layer;
}

/** Names of what a program computes. */
function computed(...outputs: nn.Tensor[]): string[] {
  return plan({ outputs, fuse: false }).steps.map(({ tensor }) => tensor.name);
}

const convolutions: Readonly<Record<string, nn.Layer>> = {
  "with a bias": new nn.Conv2d(random, 3, 5, 3, { padding: 1 }),
  "with a stride": new nn.Conv2d(random, 3, 5, 3, { stride: 2, padding: 1, bias: false }),
  "of single pixels": new nn.Conv2d(random, 3, 5, 1, { stride: 2, bias: false }),
  "under spectral normalisation": new nn.SpectralConv2d(random, 3, 5, 3, {
    padding: 1,
    coeff: 0.1,
    imageSize: [8, 8],
  }),
};

for (const [name, conv] of Object.entries(convolutions)) {
  Deno.test(`a convolution ${name} and its normalisation are one convolution in evaluation`, () => {
    const layer = norm(5, { coeff: 0.5 });
    const convolved = conv.forward(values(2, 3, 8, 8), evaluation);
    const residual = values(...convolved.shape);
    const options = { residual, activation: "relu" } as const;
    const folded = layer.forward(convolved, evaluation, options);
    // Of what is no bare convolution nothing is folded.
    const plain = layer.forward(nn.scale(convolved, 1), evaluation, options);
    const [a = [], b = []] = nn.evaluate([folded, plain]);
    assert.ok(relativeError(a, b) < 1e-12);
    assert.ok(b.some((v) => v > 0) && b.some((v) => v === 0));
    assert.ok(!computed(folded).includes("channelAffine"));
    assert.ok(computed(plain).includes("channelAffine"));
  });
}

Deno.test("a normalised convolution is pooled by its own kernel", () => {
  const conv = new nn.Conv2d(random, 3, 5, 3, { padding: 1 });
  const y = norm(5).forward(conv.forward(values(2, 3, 8, 8), evaluation), evaluation);
  assert.ok(computed(nn.maxPool2d(y, 2)).includes("conv2dMaxPool"));
});

Deno.test("an activation between a convolution and its normalisation stays there", () => {
  const conv = new nn.Conv2d(random, 3, 5, 3, { activation: "relu" });
  const convolved = conv.forward(values(2, 3, 8, 8), evaluation);
  const layer = norm(5);
  const [a = [], b = []] = nn.evaluate([
    layer.forward(convolved, evaluation),
    layer.forward(nn.scale(convolved, 1), evaluation),
  ]);
  assert.deepEqual(a, b);
});

Deno.test("the gradient by what is normalised is there where it is asked for", () => {
  const conv = new nn.Conv2d(random, 3, 5, 3);
  const layer = norm(5);
  const x = values(2, 3, 8, 8);
  const gradients = (hidden: (c: nn.Tensor) => nn.Tensor): nn.Tensor[] => {
    const convolved = conv.forward(x, evaluation);
    const y = layer.forward(hidden(convolved), evaluation, { activation: "relu" });
    return nn.grad(nn.square(y), [convolved, x, layer.weight.tensor, conv.weight.tensor]);
  };
  const ours = nn.evaluate(gradients((c) => c));
  const wanted = nn.evaluate(gradients((c) => nn.scale(c, 1)));
  wanted.forEach((g, i) => assert.ok(relativeError(ours[i] ?? [], g) < 1e-12));
});

Deno.test("two normalisations one after the other hand the gradient on to what the first has normalised", () => {
  const conv = new nn.Conv2d(random, 3, 5, 3);
  const layers = [norm(5), norm(5)];
  const x = values(2, 3, 8, 8);
  const gradients = (hidden: (c: nn.Tensor) => nn.Tensor): nn.Tensor[] => {
    const convolved = conv.forward(x, evaluation);
    const y = layers.reduce((t, layer) => layer.forward(hidden(t), evaluation), convolved);
    return nn.grad(nn.square(y), [convolved, x, conv.weight.tensor]);
  };
  const ours = nn.evaluate(gradients((c) => c));
  const wanted = nn.evaluate(gradients((c) => nn.scale(c, 1)));
  wanted.forEach((g, i) => assert.ok(relativeError(ours[i] ?? [], g) < 1e-12, `${i}`));
});

Deno.test("an attack scales and packs the filters once, whatever its steps", () => {
  const x = new nn.Parameter([2, 3, 8, 8], 0.5);
  for (const coeff of [undefined, 3]) {
    const net = new ResNet18(random, { width: 4, imageShape: [3, 8, 8], coeff });
    const [g = x.tensor] = nn.grad(net.forward(x.tensor, evaluation), [x.tensor]);
    const { steps, invariant } = plan({ updates: new Map([[x, nn.add(x.tensor, g)]]) });
    const names = steps.map(({ tensor }) => tensor.name);
    assert.ok(names.slice(0, invariant).includes("packChannels"));
    assert.ok(!names.slice(invariant).includes("packChannels"));
    assert.ok(!names.includes("channelAffine"));
  }
});

Deno.test("a device computes a normalised convolution as f64 does, by either kind of operands", () =>
  withDevice(async (device) => {
    const conv = new nn.Conv2d(random, 6, 9, 3, { padding: 1 });
    const convolved = conv.forward(values(2, 6, 8, 8), evaluation);
    const residual = values(2, 9, 8, 8);
    const y = norm(9).forward(convolved, evaluation, { residual, activation: "relu" });
    const [wanted = []] = nn.evaluate([y]);
    for (const tiles of Object.values(nn.tileProfiles)) {
      using program = await nn.compile(device, { outputs: [y], tiles });
      program.run();
      assert.ok(relativeError(await program.read(y), wanted) < 1e-6, tiles.name);
    }
  }));
