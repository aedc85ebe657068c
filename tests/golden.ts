/** Golden arrays: models that have their state, and comparisons with them on the device and in f64. */
import assert from "node:assert/strict";
import { type Hyperparameters, type MethodName, methods, type Model } from "../src/methods/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";
import * as nn from "../src/nn/mod.ts";
import { hyperparametersOf } from "./hyperparameters.ts";
import { relativeError } from "./support.ts";

/** Golden arrays by name. */
export type Golden = (name: string) => Float32Array;

/** The model with the golden state, as `finish` leaves it. */
export async function goldenModel(
  device: nn.Device,
  mode: MethodName,
  golden: Golden,
  changed: Partial<Hyperparameters> = {},
): Promise<Model> {
  const method = methods[mode];
  const model = method.create(method.models[0] ?? "", {
    ...hyperparametersOf(changed),
    random: new nn.Random(0),
    procedure: procedureOf("paper"),
  });
  for (const [name, parameter] of model.state) parameter.data.set(golden(`state.${name}`));
  await model.finish?.(device);
  return model;
}

/** A supply of noise, for what draws none. */
export const draws = (): nn.Draws => new nn.Draws(new nn.Random(0));

/** A node, and what its value should be. */
export type Expected = readonly [name: string, node: nn.Tensor, value: Float32Array];

/** How far nodes are from golden arrays. */
export async function errorsOf(
  device: nn.Device,
  inputs: ReadonlyMap<nn.Tensor, Float32Array>,
  expected: readonly Expected[],
): Promise<{ readonly name: string; readonly onDevice: number; readonly inDouble: number }[]> {
  const nodes = expected.map(([, node]) => node);
  using program = await nn.compile(device, { inputs: [...inputs.keys()], outputs: nodes });
  program.run([...inputs.values()]);
  const exact = nn.evaluate(nodes, inputs);
  const errors = [];
  for (const [i, [name, node, value]] of expected.entries()) {
    const onDevice = relativeError(await program.read(node), value);
    errors.push({ name, onDevice, inDouble: relativeError(exact[i] ?? [], value) });
  }
  return errors;
}

/** Compares nodes with golden arrays: on the device to 1e-4, in f64 to 1e-5. */
export async function compare(
  device: nn.Device,
  inputs: ReadonlyMap<nn.Tensor, Float32Array>,
  expected: readonly Expected[],
): Promise<void> {
  for (const { name, onDevice, inDouble } of await errorsOf(device, inputs, expected)) {
    assert.ok(onDevice <= 1e-4, `${name} on the device: relative error ${onDevice}`);
    assert.ok(inDouble <= 1e-5, `${name} in f64: relative error ${inDouble}`);
  }
}
