/**
 * Mirage's own training and attack steps as compiled programs, for any method and batch.
 *
 * @module
 */
import { attacks, iterate } from "../src/attack/mod.ts";
import { type MethodName, type Model, networkOf } from "../src/methods/mod.ts";
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
  type Tensor,
} from "../src/nn/mod.ts";
import { iterationOf, procedureOf } from "../src/methods/protocol.ts";
import { modelOf } from "./models.ts";
import { training } from "./workload.ts";

/** A program and what it takes to run it once. */
export interface Step extends Disposable {
  readonly program: Program;
  run(times?: number): void;
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

/** A whole training step, compiled: forward, backward, SGD. */
export interface TrainingProgram {
  /** Takes the learning rate and the step's number; records every model's loss. */
  readonly program: Program;
  /** The weights and velocities of all models. */
  readonly block: Parameter;
}

/** Compiles the training step of one model, or of equal ones side by side, on images `[B, C, H, W]`. */
export async function compileTraining(
  device: Device,
  models: readonly Model[],
  x: Tensor,
  labels: Tensor,
): Promise<TrainingProgram> {
  const [model] = models;
  if (!model) throw new Error("Unreachable: a step without a model");
  const trained = models.map(({ state }) => [...state.values()].filter((p) => p.trainable));
  const packed = Parameter.packCopies(trained, 2);
  const [lr, count] = [input([1]), input([1])];
  const pass = new Pass(true, new Draws(new Random(2), count));
  const { loss } = model.train(x, labels, { pass, trainCount: 50_000 });
  const gradient = flatGradient(packed, grad(loss, packed.parameters.map((p) => p.tensor)));
  const program = await compile(device, {
    name: `${model.name} training step, batch ${x.shape[0]}`,
    inputs: [lr, count],
    updates: new Map([...pass.updates, [packed.block, sgd(packed, gradient, lr, training)]]),
    records: [loss],
    copies: models.length,
  });
  return { program, block: packed.block };
}

/** A training step on noise; of one model, or of equal ones side by side. */
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
  const { x, labels } = images(model, batch);
  const { program, block } = await compileTraining(device, models, x.tensor, constant(labels));
  return stepOf(program, [Float32Array.of(1e-6), Float32Array.of(0)], () => {
    release(device, [block, x, ...models.flatMap(({ state }) => [...state.values()])]);
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
  const epsilon = networkOf(network).epsilon;
  const loss = (at: Tensor, count: Tensor): Tensor =>
    model.confidenceLoss(at, { draws: new Draws(new Random(3), count) });
  const state = iterate(
    { loss, shape: x.shape },
    attacks.pgd.settings(epsilon, iterationOf(procedure)),
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
