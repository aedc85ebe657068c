/** Copies of a program: several models in one set of dispatches, each with the bits that it has alone. */
import assert from "node:assert/strict";
import { copiesOf, copyOverrides } from "../src/nn/compile/copies.ts";
import * as nn from "../src/nn/mod.ts";
import { kernelCases, kernels, runCase } from "../src/nn/check/self_test.ts";
import { texelTexture } from "../src/nn/device/device.ts";
import { readBack } from "../src/nn/device/storage.ts";
import { texelRowBytes, texelRows } from "../src/nn/graph/tiles.ts";
import { type runKernel, withDevice } from "./support.ts";
import { LeNet } from "../src/networks/lenet.ts";

const members = 3;

/** As `runKernel`, but as the second of two copies, the first one's inputs being zeros. */
const runSecondCopy: typeof runKernel = async (
  device,
  kernel,
  inputs,
  overrides,
  threads,
  outputLength,
) => {
  const { gpu } = device;
  const sizes = [...inputs.map((data) => data.byteLength), 4 * outputLength]
    .map((bytes) => Math.max(16, Math.ceil(bytes / 16) * 16));
  const places = sizes.map((size) => ({ size, stride: Math.ceil(size / 256) * 256 }));
  const many = copiesOf(kernel);
  const steps = copyOverrides(kernel, places);
  const { pipeline, layout } = await device.pipeline(many, { ...overrides, ...steps });
  const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const buffers = places.map(({ size, stride }, i) => {
    const usage = STORAGE | COPY_SRC | COPY_DST;
    const rows = texelRows((stride + size) / 4);
    const buffer = gpu.createBuffer({ size: Math.max(stride + size, rows * texelRowBytes), usage });
    const data = inputs[i];
    const bytes = new Uint8Array(size);
    if (data) bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    gpu.queue.writeBuffer(buffer, stride, bytes);
    return buffer;
  });
  const encoder = gpu.createCommandEncoder();
  const textures: GPUTexture[] = [];
  const entries = buffers.map((buffer, binding) => {
    const format = kernel.bindings[binding]?.texture;
    if (!format) return { binding, resource: { buffer } };
    const rows = Math.floor(buffer.size / texelRowBytes);
    const texture = texelTexture(gpu, rows, format);
    textures.push(texture);
    const size = [texture.width, rows];
    encoder.copyBufferToTexture({ buffer, bytesPerRow: texelRowBytes }, { texture }, size);
    return { binding, resource: texture.createView() };
  });
  const group = gpu.createBindGroup({ layout, entries });
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(Math.ceil(threads / kernel.workgroup), 1, 2);
  pass.end();
  gpu.queue.submit([encoder.finish()]);
  const [buffer, { stride = 0 } = {}] = [buffers.at(-1), places.at(-1)];
  assert.ok(buffer);
  const [values = new Float32Array()] = await readBack(device, [
    { buffer, offset: stride, size: 4 * outputLength },
  ]);
  [...buffers, ...textures].forEach((memory) => memory.destroy());
  return values;
};

for (const name of kernels.keys()) {
  Deno.test(`the second copy of \`${name}\` gives what the kernel gives alone`, () =>
    withDevice(async (device) => {
      const cases = kernelCases.filter((of) => of.kernel === name && of.threads < 2 ** 20);
      // Some shapes of each: what is checked is where a copy reads and writes.
      for (const of of cases.filter((_, i) => i % Math.ceil(cases.length / 4) === 0)) {
        const deviation = await runCase(device, runSecondCopy, of);
        assert.ok(deviation <= of.tolerance, `${of.label}: off by ${deviation}`);
      }
    }));
}

/** A LeNet's training step, alone or as the first of several. */
async function trained(
  device: nn.Device,
  seeds: readonly number[],
  tiles = device.tiles,
): Promise<{ weights: Float32Array[]; losses: Float32Array; dispatches: number }> {
  const nets = seeds.map((seed) => new LeNet(new nn.Random(seed)));
  const parameters = nets.map((net) => [...net.state.values()].filter((p) => p.trainable));
  const packed = nn.Parameter.packCopies(parameters, 2);
  const [net] = nets;
  assert.ok(net);
  const set = new nn.Parameter([20, 784], new nn.Random(7).uniform(20 * 784));
  const labels = new nn.Parameter([20, 1], Float32Array.from({ length: 20 }, (_, i) => i % 10));
  const index = nn.input([8], "f32", seeds.length);
  const lr = nn.input([1]);
  const images = nn.reshape(nn.gatherRows(set.tensor, index), [8, 1, 28, 28]);
  const digits = nn.reshape(nn.gatherRows(labels.tensor, index), [8]);
  const logits = net.forward(images, new nn.Pass(true));
  const loss = nn.mean(nn.crossEntropy(logits, digits));
  const gradient = nn.flatGradient(packed, nn.grad(loss, packed.parameters.map((p) => p.tensor)));
  const options = { momentum: 0.9, weightDecay: 1e-3 };
  using program = await nn.compile(device, {
    inputs: [index, lr],
    updates: new Map([[packed.block, nn.sgd(packed, gradient, lr, options)]]),
    records: [loss],
    copies: seeds.length,
    tiles,
  });
  for (let step = 0; step < 4; step++) {
    const picks = seeds.flatMap((seed) =>
      Array.from({ length: 8 }, (_, i) => (7 * i + 3 * step + seed) % 20)
    );
    program.run([Float32Array.from(picks), Float32Array.of(0.05)]);
  }
  const [losses = new Float32Array()] = await program.drain();
  await nn.pull(device, [packed.block]);
  return {
    weights: parameters.map((own) => Float32Array.from(own.flatMap((p) => [...p.data]))),
    losses,
    dispatches: program.stats.dispatches,
  };
}

Deno.test("several LeNets trained in one program are bit for bit those trained alone", () =>
  withDevice(async (device) => {
    const seeds = Array.from({ length: members }, (_, i) => i);
    const together = await trained(device, seeds);
    for (const seed of seeds) {
      const alone = await trained(device, [seed]);
      assert.deepEqual(together.weights[seed], alone.weights[0], `weights of ${seed}`);
      const losses = together.losses.filter((_, i) => i % members === seed);
      assert.deepEqual(losses, alone.losses, `losses of ${seed}`);
      assert.equal(together.dispatches, alone.dispatches);
    }
  }));

Deno.test("models trained with every operand read from textures are bit for bit those of buffers", () =>
  withDevice(async (device) => {
    const { software } = nn.tileProfiles;
    const buffers = await trained(device, [0, 1], software);
    const textures = await trained(device, [0, 1], { ...software, textured: 1 });
    assert.deepEqual(textures, buffers);
  }));

Deno.test("a part of a pack that is read from a texture, too, is right in every copy", () =>
  withDevice(async (device) => {
    const values = Float32Array.from({ length: 2 * 8256 }, (_, i) => Math.sin(i));
    const [x, big] = [nn.input([64], "f32", 2), nn.input([8192], "f32", 2)];
    const part = nn.square(x);
    const outputs = [nn.pack([part, nn.neg(big)], [0, 64], 8256), nn.sin(part)];
    const made: Float32Array[][] = [];
    for (const textured of [0, 1]) {
      const tiles = { ...nn.tileProfiles.software, textured };
      using program = await nn.compile(device, {
        inputs: [x, big],
        outputs,
        copies: 2,
        tiles,
        fuse: false,
      });
      program.run([values.subarray(0, 128), values.subarray(128)]);
      made.push(await Promise.all(outputs.map((t) => program.read(t))));
    }
    assert.deepEqual(made[1], made[0]);
    assert.ok(
      made[0]?.[1]?.slice(64).every((v, i) => Math.abs(v - Math.sin(Math.sin(64 + i) ** 2)) < 1e-5),
    );
  }));

Deno.test("each of several models in one block is read by itself, from textures as from buffers", () =>
  withDevice(async (device) => {
    const models = [1, 2, 3].map((seed) => [
      new nn.Parameter([40, 50], new nn.Random(seed).uniform(2000)),
    ]);
    nn.Parameter.packCopies(models, 2);
    for (const [i, [p]] of models.entries()) {
      assert.ok(p);
      const outputs = [nn.square(p.tensor)];
      for (const textured of [0, 1]) {
        const tiles = { ...nn.tileProfiles.software, textured };
        using program = await nn.compile(device, { outputs, tiles });
        program.run();
        const [y] = await Promise.all(outputs.map((t) => program.read(t)));
        const expected = new nn.Random(i + 1).uniform(2000).map((v) => v * v);
        assert.deepEqual(y, expected, `model ${i}, ${textured ? "textures" : "buffers"}`);
      }
    }
  }));

Deno.test("copies that a kernel cannot tell apart are refused", () =>
  withDevice(async (device) => {
    const odd = new nn.Parameter([3], Float32Array.of(1, 2, 3, 4, 5, 6), false, 2);
    const spec = { outputs: [nn.square(odd.tensor)], copies: 2 };
    await assert.rejects(
      nn.compile(device, spec),
      /^Error: Cannot make copies of "unary": .* pack/,
    );
  }));

Deno.test("what no copy has values of its own for is done once, and read by all", () =>
  withDevice(async (device) => {
    const own = new nn.Parameter([64], Float32Array.from({ length: 192 }, (_, i) => i), false, 3);
    const common = nn.input([64]);
    const shared = nn.sum(nn.square(common));
    const y = nn.mul(own.tensor, shared);
    const spec = { inputs: [common], outputs: [y, shared], copies: 3 };
    using program = await nn.compile(device, spec);
    program.run([new Float32Array(64).fill(0.5)]);
    assert.deepEqual(await program.read(shared), Float32Array.of(16));
    assert.deepEqual(
      await program.read(y),
      Float32Array.from({ length: 192 }, (_, i) => 16 * i),
    );
  }));
