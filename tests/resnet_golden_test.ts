/**
 * ResNet-18 at full width against golden arrays that the original PyTorch code computed in f64, eight
 * images on the device: outputs and losses to 1e-3, gradients to 2e-2 over all parameters, since ReLUs
 * flip in f32.
 */
import assert from "node:assert/strict";
import * as nn from "../src/nn/mod.ts";
import {
  type Comparison,
  evalComparison,
  filesOf,
  goldenModes,
  goldenResNet,
  sample,
  trainComparison,
} from "./resnet_golden.ts";
import { testWithShared } from "./shared.ts";
import { relativeError, withDevice } from "./support.ts";

async function compare(device: nn.Device, comparison: Comparison): Promise<void> {
  const { inputs, nodes, gradients } = comparison;
  const outputs = [...nodes, ...gradients].map(([, node]) => node);
  using program = await nn.compile(device, { inputs: [...inputs.keys()], outputs });
  program.run([...inputs.values()]);
  for (const [name, node, value] of nodes) {
    const error = relativeError(await program.read(node), value);
    const tolerance = name === "input gradient" ? 2e-2 : 1e-3;
    assert.ok(error <= tolerance, `${name}: relative error ${error}`);
  }
  let [difference, norm] = [0, 0];
  for (const [name, node, value] of gradients) {
    const ours = sample(await program.read(node), value.length);
    const error = relativeError(ours, value);
    assert.ok(error <= 5e-2, `gradient of ${name}: relative error ${error}`);
    ours.forEach((g, i) => difference += (g - (value[i] ?? NaN)) ** 2);
    value.forEach((g) => norm += g ** 2);
  }
  if (norm > 0) assert.ok(Math.sqrt(difference / norm) <= 2e-2, `${Math.sqrt(difference / norm)}`);
}

for (const mode of goldenModes) {
  testWithShared(
    `ResNet-18 under ${mode} evaluates as the original`,
    filesOf(mode),
    () =>
      withDevice(async (device) => {
        await compare(device, evalComparison(await goldenResNet(device, mode)));
      }),
  );

  testWithShared(
    `ResNet-18 under ${mode} trains as the original`,
    filesOf(mode),
    () =>
      withDevice(async (device) => {
        await compare(device, trainComparison(await goldenResNet(device, mode), mode));
      }),
  );
}
