/**
 * Work that must not take more memory the longer it goes on, in a process of its own: tests share theirs with
 * those that run beside them. Prints by how many bytes the resident memory grew.
 *
 *     deno run tests/memory.ts steps|programs TIMES
 */
import assert from "node:assert/strict";
import { limit, loadEmbedded } from "../data/mod.ts";
import { ResidentSet } from "../src/evaluate/resident_set.ts";
import * as nn from "../src/nn/mod.ts";
import { withDevice } from "./support.ts";

/** By how many bytes the resident memory grows with some work, after a tenth of it has been done. */
async function grown(work: (times: number) => Promise<void>, times: number): Promise<number> {
  await work(times / 10);
  const before = Deno.memoryUsage().rss;
  await work(times);
  return Deno.memoryUsage().rss - before;
}

/** Of so many training steps. */
async function steps(device: nn.Device, times: number): Promise<number> {
  const digits = new ResidentSet(limit(await loadEmbedded("train"), 64));
  const layer = new nn.Linear(new nn.Random(0), 784, 10);
  const packed = nn.Parameter.pack([...layer.state.values()], 2);
  const index = nn.input([8]);
  const logits = layer.forward(nn.reshape(digits.images(index), [8, 784]), new nn.Pass(true));
  const loss = nn.mean(nn.crossEntropy(logits, digits.labels(index)));
  const gradients = nn.grad(loss, packed.parameters.map((p) => p.tensor));
  const step = nn.sgd(packed, nn.flatGradient(packed, gradients), nn.constant(0.01, [1]), {
    momentum: 0.9,
    weightDecay: 1e-4,
  });
  using program = await nn.compile(device, {
    inputs: [index],
    updates: new Map([[packed.block, step]]),
    records: [loss],
  });
  return await grown(async (times) => {
    for (let i = 0; i < times; i++) {
      program.run([Float32Array.from({ length: 8 }, (_, j) => (8 * i + j) % 64)]);
      if (i % 100 === 99) await program.drain();
    }
  }, times);
}

/** Of so many programs of 2 MB, each disposed of before the next is made. */
async function programs(device: nn.Device, times: number): Promise<number> {
  return await grown(async (times) => {
    for (let i = 0; i < times; i++) {
      const x = nn.input([256, 1024]);
      using program = await nn.compile(device, { inputs: [x], outputs: [nn.exp(x)] });
      program.run([new Float32Array(2 ** 18)]);
      await device.idle();
    }
  }, times);
}

const [name, times] = Deno.args;
const measure = { steps, programs }[name ?? ""] ?? assert.fail(`no work is called "${name}"`);
await withDevice(async (device) => console.log(await measure(device, Number(times))));
