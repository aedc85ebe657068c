/**
 * ResNet-18 learns from real images step by step as PyTorch does, from the same weights: losses that
 * `golden/make_resnet_steps.py` computed, of the plain network at full width, of SNGP's and DUE's at a width
 * of 8. Two right programs come apart in f32, as that file says: ours has to be within 1e-3 of f64 as long
 * as PyTorch's own f32 nearly is, and may be five times as far from it afterwards.
 */
import assert from "node:assert/strict";
import { z } from "zod";
import { Due } from "../src/methods/due.ts";
import { type Method, methods, type Model } from "../src/methods/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";
import * as nn from "../src/nn/mod.ts";
import { hyperparametersOf } from "./hyperparameters.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { withDevice } from "./support.ts";

const trainingSchema = z.object({
  width: z.int(),
  batch: z.int(),
  steps: z.int(),
  rate: z.number(),
  count: z.int().default(50_000),
  losses: z.array(z.number()),
  losses32: z.array(z.number()),
});
type Training = z.infer<typeof trainingSchema>;

const golden = z.object({ baseline: trainingSchema, sngp: trainingSchema, due: trainingSchema })
  .parse(JSON.parse(await Deno.readTextFile(new URL("golden/resnet_steps.json", import.meta.url))));

const models = {
  baseline: "ResNet-18",
  sngp: "ResNet-18_SNGP",
  due: "ResNet-18_DUE",
} as const satisfies Record<keyof typeof golden, string>;

/** Numbers of mean 0 and variance 1. */
function noise(n: number, j: number): Float64Array {
  return Float64Array.from({ length: n }, (_, i) => {
    const s = 43758.5453 * Math.sin(12.9898 * i + 78.233 * j);
    return Math.sqrt(3) * (2 * (s - Math.floor(s)) - 1);
  });
}

/** What an array of the model starts as; the same as in the Python file. */
function formula(name: string, shape: readonly number[], j: number): Float64Array {
  const w = noise(nn.size(shape), j);
  const [last = 1] = shape.slice(-1);
  const identity = (i: number): number => i % last ** 2 % (last + 1) === 0 ? 1 : 0;
  const kind = name.split(".").at(-1) ?? "";
  switch (name.startsWith("rff.") ? name : kind) {
    case "weight_u":
    case "weight_v": {
      const norm = Math.sqrt(w.reduce((sum, v) => sum + v * v, 0));
      return w.map((v) => v / norm);
    }
    case "weight_sigma":
    case "running_var":
      return w.fill(1);
    case "running_mean":
      return w.fill(0);
    case "raw_lengthscale":
      return w.fill(Math.log(Math.expm1(3.5)));
    case "chol_variational_covar":
      return w.map((v, i) => identity(i) + 0.1 * v);
    case "precision_matrix":
      return w.map((_, i) => identity(i));
    case "random_matrix":
      return w.map((v) => 0.05 * v);
    case "rff.W":
      return w;
    case "rff.b":
      return w.map((v) => Math.PI * (1 + v / Math.sqrt(3)));
    case "bias":
      return w.map((v) => 0.1 * v);
  }
  if (shape.length === 1) return w.map((v) => 1 + 0.1 * v);
  const fanIn = nn.size(shape.slice(1));
  return w.map((v) => v / Math.sqrt(fanIn));
}

/** A name as the Python file has it, which leaves out where gpytorch keeps an array of the process. */
function shortName(name: string): string {
  return name.startsWith("gp.") ? `gp.${name.split(".").at(-1)}` : name;
}

function started(mode: keyof typeof golden): Model {
  const method: Method = methods[mode];
  const model = method.create(models[mode], {
    ...hyperparametersOf({ width: golden[mode].width }, models[mode]),
    random: new nn.Random(0),
    procedure: procedureOf("paper"),
  });
  const names = [...model.state].map(([name, array]) => [shortName(name), array] as const);
  names.sort(([a], [b]) => a < b ? -1 : 1)
    .forEach(([name, { shape, data }], j) => data.set(formula(name, shape, j)));
  return model;
}

/** The loss of a step; DUE's functions are sampled by noise that is given. */
function lossOf(
  model: Model,
  { count: trainCount }: Training,
  { x, y, draws, pass }: Readonly<Record<"x" | "y" | "draws", nn.Tensor>> & { pass: nn.Pass },
): nn.Tensor {
  if (!(model instanceof Due)) return model.train(x, y, { pass, trainCount }).loss;
  const marginals = model.process.posterior(model.encode(x, pass), pass);
  return model.negativeElbo(marginals, y, draws, pass, trainCount);
}

/** Losses of the steps on real images. */
async function lossesOf(
  device: nn.Device,
  mode: keyof typeof golden,
  records: Uint8Array,
): Promise<number[]> {
  const training = golden[mode];
  const { steps, batch, rate } = training;
  const model = started(mode);
  const packed = nn.Parameter.pack([...model.state.values()].filter((p) => p.trainable), 2);
  const [x, y, lr] = [nn.input([batch, 3, 32, 32]), nn.input([batch]), nn.input([1])];
  const draws = nn.input([10, batch, 10]);
  const pass = new nn.Pass(true);
  const loss = lossOf(model, training, { x, y, draws, pass });
  const slopes = nn.grad(loss, packed.parameters.map(({ tensor }) => tensor));
  const moved = nn.sgd(packed, nn.flatGradient(packed, slopes), lr, {
    momentum: 0.9,
    weightDecay: 1e-4,
  });
  using program = await nn.compile(device, {
    inputs: [x, y, lr, ...model instanceof Due ? [draws] : []],
    updates: new Map([...pass.updates, [packed.block, moved]]),
    records: [loss],
  });
  const [record, found] = [3073, [] as number[]];
  for (let i = 0; i < steps; i++) {
    const images = Array.from({ length: batch }, (_, k) => {
      const from = (i * batch + k) * record;
      return records.subarray(from, from + record);
    });
    program.run([
      Float32Array.from(images.flatMap((of) => [...of.subarray(1)].map((byte) => byte / 255))),
      Float32Array.from(images, ([label = NaN]) => label),
      Float32Array.of(rate),
      ...model instanceof Due ? [Float32Array.from(noise(nn.size(draws.shape), i))] : [],
    ]);
    const [[value = NaN] = []] = await program.drain();
    found.push(value);
  }
  return found;
}

const file = "data/cifar-10-batches-bin/data_batch_1.bin";

for (const mode of ["baseline", "sngp", "due"] as const) {
  testWithShared(
    `${models[mode]} learns step by step as in PyTorch`,
    [file],
    () =>
      withDevice(async (device) => {
        const { losses, losses32, steps } = golden[mode];
        const found = await lossesOf(device, mode, await Deno.readFile(sharedPath(file)));
        assert.equal(found.length, steps);
        let apart = 0;
        found.forEach((loss, i) => {
          const [wanted = NaN, single = NaN] = [losses[i], losses32[i]];
          apart = Math.max(apart, Math.abs(single - wanted));
          const allowed = apart < 2e-4 ? 1e-3 : 1e-3 + 5 * apart;
          assert.ok(Math.abs(loss - wanted) <= allowed, `step ${i + 1}: ${loss}, not ${wanted}`);
        });
      }),
  );
}
