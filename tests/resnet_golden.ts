/** The golden arrays of ResNet-18, its weights built by the formula that they were computed with. */
import assert from "node:assert/strict";
import { z } from "zod";
import { readSafetensors } from "../src/checkpoint/safetensors.ts";
import { type MethodName, methods, type Model } from "../src/methods/mod.ts";
import * as nn from "../src/nn/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";
import { hyperparametersOf } from "./hyperparameters.ts";
import { sharedPath } from "./shared.ts";

/** Modes that there are arrays of. */
export const goldenModes = ["baseline", "sngp", "duq"] as const;

/** The files of a mode. */
export function filesOf(mode: MethodName): string[] {
  return ["json", "safetensors"].map((extension) => `reference/resnet/${mode}.${extension}`);
}

/** A model with its weights, and the arrays to compare with. */
export interface GoldenResNet {
  readonly model: Model;
  array(name: string): Float32Array;
  has(name: string): boolean;
}

const description = z.object({ shapes: z.record(z.string(), z.array(z.number())) });

/** Builds the model of a mode as `finish` leaves it. */
export async function goldenResNet(device: nn.Device, mode: MethodName): Promise<GoldenResNet> {
  const [json = "", arrays = ""] = filesOf(mode).map(sharedPath);
  const { shapes } = description.parse(JSON.parse(await Deno.readTextFile(json)));
  const { tensors } = await readSafetensors(arrays);
  const array = (name: string): Float32Array => {
    const found = tensors.get(name);
    assert.ok(found, `no "${name}" among the golden arrays`);
    return Float32Array.from(found.data);
  };
  const method = methods[mode];
  const network = method.models.find((name) => name.startsWith("ResNet"));
  const model = method.create(network ?? "", {
    random: new nn.Random(0),
    procedure: procedureOf("paper"),
    ...hyperparametersOf({}, network),
  });
  Object.entries(shapes).forEach(([name, shape], j) => {
    const parameter = model.state.get(name);
    const passedOver = name.endsWith("num_batches_tracked") || model.ignored.includes(name);
    assert.equal(parameter === undefined, passedOver, name);
    parameter?.data.set(formula(name, shape, j));
  });
  if (mode === "sngp") {
    model.state.get("precision_matrix")?.data.set(array("state.precision_matrix"));
  }
  if (mode === "duq") {
    const w = model.state.get("W");
    const [factor = NaN] = array("W_scale");
    w?.data.set(w.data.map((value) => value * factor));
  }
  await model.finish?.(device);
  return { model, array, has: (name) => tensors.has(name) };
}

/** Unit-variance noise by its place in the state, scaled by what the entry is. */
function formula(name: string, shape: readonly number[], j: number): Float64Array {
  const n = nn.size(shape);
  const w = Float64Array.from({ length: n }, (_, i) => {
    const s = Math.sin(12.9898 * i + 78.233 * j) * 43758.5453;
    return Math.sqrt(3) * (2 * (s - Math.floor(s)) - 1);
  });
  const kind = name.split(".").at(-1);
  switch (name === "rff.W" || name === "rff.b" ? name : kind) {
    case "weight_u":
    case "weight_v": {
      const norm = Math.sqrt(w.reduce((sum, v) => sum + v * v, 0));
      return w.map((v) => v / norm);
    }
    case "weight_sigma":
      return w.fill(1);
    case "running_mean":
      return w.map((v) => 0.05 * v);
    case "running_var":
      return w.map((v) => 1 + 0.1 * v);
    case "bias":
      return w.map((v) => 0.1 * v);
    case "random_matrix":
      return w.map((v) => 0.05 * v);
    case "rff.W":
      return w;
    case "rff.b":
      return w.map((v) => Math.PI * (1 + v / Math.sqrt(3)));
    case "N":
      return w.map((v) => 13 + v);
    case "m":
      return w.map((v) => 0.65 * v);
  }
  if (shape.length === 1) return w.map((v) => 1 + 0.1 * v);
  const fanIn = nn.size(shape.slice(1));
  return w.map((v) => v * Math.sqrt(2 / fanIn));
}

/** What is compared: nodes by name, with the array that each should equal. */
export interface Comparison {
  readonly inputs: ReadonlyMap<nn.Tensor, Float32Array>;
  readonly nodes: readonly (readonly [name: string, node: nn.Tensor, value: Float32Array])[];
  /** Samples of gradients: each element `stride` apart. */
  readonly gradients: readonly (readonly [name: string, node: nn.Tensor, value: Float32Array])[];
}

const images = (): nn.Tensor => nn.input([8, 3, 32, 32]);
const draws = (): nn.Draws => new nn.Draws(new nn.Random(0));

/** Evaluation: answers, the attack's loss and its gradient. */
export function evalComparison({ model, array }: GoldenResNet): Comparison {
  const x = images();
  const loss = nn.mean(model.confidenceLoss(x, { draws: draws() }));
  const [dx = loss] = nn.grad(loss, [x]);
  const kernel = model.readings?.(x, new nn.Draws(new nn.Random(0)))["kernel"]?.logConfidences;
  const answer = kernel ? nn.exp(kernel) : nn.exp(model.logProbabilities(x, draws()));
  const out = array("eval_out");
  return {
    inputs: new Map([[x, array("x")]]),
    nodes: [
      ["answer", answer, kernel ? out : softmax(out)],
      ["loss", loss, array("eval_loss")],
      ["input gradient", dx, array("eval_dx")],
    ],
    gradients: [],
  };
}

/** Training: output, loss, statistics after the step, and samples of every gradient. */
export function trainComparison({ model, array, has }: GoldenResNet, mode: MethodName): Comparison {
  const [x, y] = [images(), nn.input([8])];
  const pass = new nn.Pass(true);
  const { loss, logits } = model.train(x, y, { pass, trainCount: 50_000 });
  const trainable = [...model.state].filter(([, p]) => p.trainable);
  const gradients = nn.grad(loss, trainable.map(([, p]) => p.tensor));
  const updated = [...pass.updates].flatMap(([parameter, value]) => {
    const [name = ""] = [...model.state].find(([, p]) => p === parameter) ?? [];
    return has(`after.${name}`) ? [[name, value, array(`after.${name}`)] as const] : [];
  });
  return {
    inputs: new Map([[x, array("x")], [y, array("y")]]),
    nodes: [
      ["loss", loss, array("train_loss")],
      ["output", mode === "duq" ? nn.exp(logits) : logits, array("train_out")],
      ...updated,
    ],
    gradients: trainable.map(([name], i) => [name, gradients[i] ?? loss, array(`grad64.${name}`)]),
  };
}

/** The 64 elements of a gradient that its golden array holds. */
export function sample(gradient: ArrayLike<number>, count: number): Float64Array {
  const stride = Math.max(1, Math.floor(gradient.length / 64));
  return Float64Array.from({ length: count }, (_, i) => gradient[i * stride] ?? NaN);
}

function softmax(logits: Float32Array): Float32Array {
  return logits.map((value, i) => {
    const row = logits.subarray(i - i % 10, i - i % 10 + 10);
    const max = Math.max(...row);
    return Math.exp(value - max) / row.reduce((s, v) => s + Math.exp(v - max), 0);
  });
}
