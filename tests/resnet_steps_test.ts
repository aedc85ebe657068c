/**
 * ResNet-18 at full width learns from real images step by step as PyTorch does, from the same weights: twenty
 * losses that `golden/make_resnet_steps.py` computed. Two right programs come apart in f32, as that file
 * says; ours has to stay as near to f64 as PyTorch's own f32 does.
 */
import assert from "node:assert/strict";
import { z } from "zod";
import { methods } from "../src/methods/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";
import * as nn from "../src/nn/mod.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { withDevice } from "./support.ts";

const golden = z.object({
  steps: z.int(),
  batch: z.int(),
  width: z.int(),
  rate: z.number(),
  losses: z.array(z.number()),
  losses32: z.array(z.number()),
}).parse(
  JSON.parse(await Deno.readTextFile(new URL("golden/resnet_steps.json", import.meta.url))),
);

/** Fills what a fresh network draws by the formula that the losses were computed with. */
function start(state: nn.State): void {
  const drawn = [...state].filter(([name, { shape }]) =>
    shape.length > 1 || name === "linear.bias"
  );
  let fanIn = NaN;
  drawn.forEach(([, { shape, data }], j) => {
    if (shape.length > 1) fanIn = nn.size(shape.slice(1));
    for (let i = 0; i < data.length; i++) {
      const s = 43758.5453 * Math.sin(12.9898 * i + 78.233 * j);
      data[i] = (2 * (s - Math.floor(s)) - 1) / Math.sqrt(fanIn);
    }
  });
}

/** Losses of the steps on real images. */
async function lossesOf(device: nn.Device, records: Uint8Array): Promise<number[]> {
  const { steps, batch, width, rate } = golden;
  const model = methods.baseline.create("ResNet-18", {
    random: new nn.Random(0),
    procedure: procedureOf("paper"),
    width,
  });
  start(model.state);
  const packed = nn.Parameter.pack([...model.state.values()].filter((p) => p.trainable), 2);
  const [x, y, lr] = [nn.input([batch, 3, 32, 32]), nn.input([batch]), nn.input([1])];
  const pass = new nn.Pass(true);
  const { loss } = model.train(x, y, { pass, trainCount: steps * batch });
  const slopes = nn.grad(loss, packed.parameters.map(({ tensor }) => tensor));
  const moved = nn.sgd(packed, nn.flatGradient(packed, slopes), lr, {
    momentum: 0.9,
    weightDecay: 1e-4,
  });
  using program = await nn.compile(device, {
    inputs: [x, y, lr],
    updates: new Map([...pass.updates, [packed.block, moved]]),
    records: [loss],
  });
  const [record, found] = [3073, [] as number[]];
  for (let i = 0; i < steps; i++) {
    const images = Array.from({ length: batch }, (_, k) => {
      const from = (i * batch + k) * record;
      return records.subarray(from, from + record);
    });
    const pixels = images.flatMap((image) => [...image.subarray(1)].map((byte) => byte / 255));
    const labels = images.map(([label = NaN]) => label);
    program.run([Float32Array.from(pixels), Float32Array.from(labels), Float32Array.of(rate)]);
    const [[value = NaN] = []] = await program.drain();
    found.push(value);
  }
  return found;
}

const file = "data/cifar-10-batches-bin/data_batch_1.bin";

testWithShared(
  "ResNet-18 at full width learns step by step as PyTorch",
  [file],
  () =>
    withDevice(async (device) => {
      const found = await lossesOf(device, await Deno.readFile(sharedPath(file)));
      let apart = 0;
      found.forEach((loss, i) => {
        const [wanted = NaN, single = NaN] = [golden.losses[i], golden.losses32[i]];
        apart = Math.max(apart, Math.abs(single - wanted));
        const error = Math.abs(loss - wanted);
        assert.ok(error <= 1e-3 + 5 * apart, `step ${i + 1}: ${loss}, not ${wanted}`);
      });
    }),
);
