/**
 * Mirage as it trains and attacks.
 *
 * @module
 */
import { attacks, iterate } from "../../src/attack/mod.ts";
import { Classifier } from "../../src/methods/classifier.ts";
import {
  compile,
  constant,
  crossEntropy,
  type Device,
  openDevice,
  Parameter,
  Random,
  release,
  type State,
  sum,
  type Tensor,
} from "../../src/nn/mod.ts";
import { iterationOf, procedureOf } from "../../src/methods/protocol.ts";
import { useTuning } from "../../src/nn/device/tuning.ts";
import { versions } from "../../src/base/version.ts";
import { modelOf } from "../models.ts";
import { compileTraining } from "../programs.ts";
import {
  attackSteps,
  type Contender,
  type Runner,
  training,
  type Weights,
  type Workload,
  workloads,
} from "../workload.ts";

/** Opens the GPU. */
export async function mirage(): Promise<
  Contender & { readonly device: Device; prepare(workload: Workload): Promise<Runner> }
> {
  const device = await openDevice();
  await useTuning(device);
  return {
    device,
    name: "Mirage",
    version: versions().mirage,
    where: device.adapter.description,
    prepare: (workload) =>
      workload.epsilon > 0 ? attack(device, workload) : train(device, workload),
    close: () => device[Symbol.dispose](),
  };
}

/** Fills a model's state with given weights, by name. */
export function load(state: State, weights: Weights | undefined): void {
  for (const [name, parameter] of state) {
    const given = weights?.get(name);
    if (given) parameter.data.set(given.data);
  }
}

/** One program for all models, and one for what a method does after each step. */
async function train(device: Device, workload: Workload): Promise<Runner> {
  const { mode, network } = workloads[workload.name];
  const models = workload.models.map((weights) => {
    const model = modelOf(mode, network);
    load(model.state, weights);
    return model;
  });
  const data = new Parameter(workload.shape, workload.images);
  const labels = constant(workload.labels);
  const { program, block } = await compileTraining(device, models, data.tensor, labels);
  const updates = models[0]?.afterStep?.(data.tensor, labels);
  const after = updates && await compile(device, { name: "after the step", updates });
  return {
    async run(steps): Promise<number[]> {
      for (let i = 0; i < steps; i++) {
        program.run([Float32Array.of(training.lr), Float32Array.of(0)]);
        after?.run();
      }
      const [losses = new Float32Array()] = await program.drain();
      return meansOf(losses, models.length);
    },
    close(): void {
      program[Symbol.dispose]();
      after?.[Symbol.dispose]();
      release(device, [block, data, ...models.flatMap(({ state }) => [...state.values()])]);
    },
  };
}

async function attack(device: Device, workload: Workload): Promise<Runner> {
  const { shape, images, labels, epsilon } = workload;
  const [batch] = shape;
  const { network } = workloads[workload.name];
  const model = new Classifier(network, { random: new Random(0) });
  load(model.state, workload.models[0]);
  const data = new Parameter(shape, images);
  const loss = (x: Tensor): Tensor => crossEntropy(model.logits(x), constant(labels));
  const settings = attacks.pgd.settings(epsilon, {
    ...iterationOf(procedureOf("paper", {})),
    steps: attackSteps,
  });
  const state = iterate({ loss, shape: data.shape }, settings);
  const start = await compile(device, {
    name: "attack start",
    updates: state.start(data.tensor, new Random(0)),
  });
  const step = await compile(device, {
    name: "attack step",
    updates: state.step().updates,
    records: [sum(loss(state.current.tensor))],
  });
  return {
    async run(steps): Promise<number[]> {
      for (let done = 0; done < steps; done += attackSteps) {
        start.run();
        step.run([], Math.min(attackSteps, steps - done));
      }
      const [losses = []] = await step.drain();
      return Array.from(losses, (total) => total / batch);
    },
    close(): void {
      start[Symbol.dispose]();
      step[Symbol.dispose]();
      release(device, [...state.parameters, data, ...model.state.values()]);
    },
  };
}

/** The mean of every run of `count` values. */
function meansOf(values: Float32Array, count: number): number[] {
  return Array.from(
    { length: values.length / count },
    (_, i) => values.subarray(i * count, (i + 1) * count).reduce((a, b) => a + b) / count,
  );
}
