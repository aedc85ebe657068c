/**
 * Mirage as it trains and attacks.
 *
 * @module
 */
import { attacks, iterate } from "../../src/attack/mod.ts";
import {
  compile,
  constant,
  crossEntropy,
  type Device,
  flatGradient,
  grad,
  input,
  LeNet,
  mean,
  openDevice,
  Parameter,
  Pass,
  Random,
  release,
  sgd,
  sum,
  type Tensor,
} from "../../src/nn/mod.ts";
import { procedureOf } from "../../src/protocol.ts";
import { useTuning } from "../../src/tuning.ts";
import { versions } from "../../src/version.ts";
import { attackSteps, type Contender, type Runner, training, type Workload } from "../workload.ts";

/** Opens the GPU. */
export async function mirage(): Promise<Contender & { readonly device: Device }> {
  const device = await openDevice();
  await useTuning(device);
  return {
    device,
    name: "Mirage",
    version: versions().mirage,
    where: device.adapter.description,
    prepare: (workload) =>
      workload.name === "train" ? train(device, workload) : attack(device, workload),
    close: () => device[Symbol.dispose](),
  };
}

function network({ weights }: Workload): LeNet {
  const net = new LeNet(new Random(0));
  for (const [name, parameter] of net.state) {
    const given = weights.get(name);
    if (given) parameter.data.set(given.data);
  }
  return net;
}

async function train(device: Device, workload: Workload): Promise<Runner> {
  const { images, labels, batch } = workload;
  const net = network(workload);
  const packed = Parameter.pack([...net.state.values()].filter((p) => p.trainable), 2);
  const data = new Parameter([batch, 1, 28, 28], images);
  const logits = net.forward(data.tensor, new Pass(true));
  const loss = mean(crossEntropy(logits, constant(labels)));
  const gradient = flatGradient(packed, grad(loss, packed.parameters.map((p) => p.tensor)));
  const lr = input([1]);
  const program = await compile(device, {
    name: "train step",
    inputs: [lr],
    updates: new Map([[packed.block, sgd(packed, gradient, lr, training)]]),
    records: [loss],
  });
  return {
    async run(steps): Promise<number[]> {
      for (let i = 0; i < steps; i++) program.run([Float32Array.of(training.lr)]);
      const [losses = []] = await program.drain();
      return [...losses];
    },
    close(): void {
      program[Symbol.dispose]();
      release(device, [packed.block, data]);
    },
  };
}

async function attack(device: Device, workload: Workload): Promise<Runner> {
  const { images, labels, batch, epsilon } = workload;
  const net = network(workload);
  const data = new Parameter([batch, 1, 28, 28], images);
  const loss = (x: Tensor): Tensor =>
    crossEntropy(net.forward(x, new Pass(false)), constant(labels));
  const settings = attacks.pgd.settings(epsilon, {
    procedure: procedureOf("paper", {}),
    steps: attackSteps,
  });
  const state = iterate(loss, data.shape, settings);
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
      release(device, [...state.parameters, data, ...net.state.values()]);
    },
  };
}
