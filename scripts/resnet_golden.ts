/**
 * Compares ResNet-18 with the original's golden arrays in f64 on the CPU, to 1e-5: minutes a mode, so
 * not a part of the tests.
 *
 *     ./denow run --allow-read scripts/resnet_golden.ts sngp duq
 *
 * @module
 */
import * as nn from "../src/nn/mod.ts";
import {
  type Comparison,
  evalComparison,
  goldenModes,
  goldenResNet,
  sample,
  trainComparison,
} from "../tests/resnet_golden.ts";
import { relativeError } from "../tests/support.ts";

/** Largest relative error, and where. */
function worst({ inputs, nodes, gradients }: Comparison): string {
  const all = [...nodes, ...gradients];
  const values = nn.evaluate(all.map(([, node]) => node), inputs);
  const errors = all.map(([name, , wanted], i): [number, string] => {
    const ours = values[i] ?? new Float64Array();
    const compared = i < nodes.length ? ours : sample(ours, wanted.length);
    return [relativeError(compared, wanted), name];
  });
  const [error, name] = errors.reduce((a, b) => b[0] > a[0] ? b : a);
  return `${all.length} arrays, largest relative error ${error.toExponential(1)} in ${name}`;
}

using device = await nn.openDevice();
for (const mode of goldenModes.filter((name) => Deno.args.includes(name))) {
  const golden = await goldenResNet(device, mode);
  console.log(`${mode} in evaluation: ${worst(evalComparison(golden))}`);
  console.log(`${mode} in training: ${worst(trainComparison(golden, mode))}`);
}
