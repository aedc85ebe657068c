/**
 * Mirage's own training and attack steps as compiled programs, for any method and batch.
 *
 * @module
 */
import { attacks, iterate } from "../src/attack/mod.ts";
import { familyOf, type MethodName, methods, type Model } from "../src/methods/mod.ts";
import {
  compile,
  constant,
  type Device,
  Draws,
  flatGradient,
  grad,
  input,
  Parameter,
  Pass,
  type Program,
  push,
  Random,
  release,
  sgd,
} from "../src/nn/mod.ts";
import { procedureOf } from "../src/protocol.ts";
import { training } from "./workload.ts";

/** A program and what it takes to run it once. */
export interface Step extends Disposable {
  readonly program: Program;
  run(times?: number): void;
}

/** Hyper-parameters that no timing depends on. */
const options = { epsilon: 0.1, lambdaReg: 0.1, nInducingPoints: 10, kernel: "RBF" } as const;

/** A model of a method as it is before training. */
export function modelOf(mode: MethodName, network: string): Model {
  const procedure = procedureOf("paper", {});
  return methods[mode].create(network, { ...options, procedure, random: new Random(0) });
}

/** Images of noise and labels in turns: no timing depends on what is in them. */
function images(model: Model, batch: number): { x: Parameter; labels: Float32Array } {
  const shape = [batch, ...model.imageShape];
  const length = shape.reduce((a, b) => a * b);
  return {
    x: new Parameter(shape, new Random(1).uniform(length)),
    labels: Float32Array.from({ length: batch }, (_, i) => i % 10),
  };
}

/** A whole training step: forward, backward, SGD; of one model, or of equal ones side by side. */
export async function trainingStep(
  device: Device,
  mode: MethodName,
  network: string,
  batch: number,
  members = 1,
): Promise<Step> {
  const models = Array.from({ length: members }, () => modelOf(mode, network));
  const [model] = models;
  if (!model) throw new Error("Unreachable: a step without a model");
  const states = models.map(({ state }) => [...state.values()]);
  const packed = Parameter.packCopies(states.map((all) => all.filter((p) => p.trainable)), 2);
  const { x, labels } = images(model, batch);
  const count = input([1]);
  const pass = new Pass(true, new Draws(new Random(2), count));
  const { loss } = model.train(x.tensor, constant(labels), { pass, trainCount: 50_000 });
  const gradient = flatGradient(packed, grad(loss, packed.parameters.map((p) => p.tensor)));
  const lr = input([1]);
  const program = await compile(device, {
    name: `${network} training step, batch ${batch}`,
    inputs: [lr, count],
    updates: new Map([...pass.updates, [packed.block, sgd(packed, gradient, lr, training)]]),
    records: [loss],
    copies: members,
  });
  return stepOf(program, [Float32Array.of(1e-6), Float32Array.of(0)], () => {
    release(device, [packed.block, x, ...states.flat()]);
  });
}

/** A step of the attack by ten steps on one model. */
export async function attackStep(
  device: Device,
  mode: MethodName,
  network: string,
  batch: number,
): Promise<Step> {
  const model = modelOf(mode, network);
  push(device, model.state.values());
  const { x } = images(model, batch);
  const procedure = procedureOf("paper", {});
  const epsilon = familyOf(network) === "LeNet" ? 0.1 : 0.016;
  const state = iterate(
    (at, count) => model.confidenceLoss(at, { draws: new Draws(new Random(3), count) }),
    x.shape,
    attacks.pgd.settings(epsilon, { procedure }),
  );
  const program = await compile(device, {
    name: `${network} attack step, batch ${batch}`,
    updates: state.step().updates,
  });
  state.current.data.set(x.data);
  push(device, [state.current]);
  return stepOf(program, [], () => {
    release(device, [...state.parameters, x, ...model.state.values()]);
  });
}

function stepOf(program: Program, inputs: Float32Array[], free: () => void): Step {
  return {
    program,
    run: (times = 1) => program.run(inputs, times),
    [Symbol.dispose](): void {
      program[Symbol.dispose]();
      free();
    },
  };
}
