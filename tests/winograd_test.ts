/** Convolutions by Winograd's tiles: their errors, their derivatives, and what a program computes once. */
import assert from "node:assert/strict";
import { join } from "node:path";
import * as nn from "../src/nn/mod.ts";
import { inFolder, onlyRun, relativeError, withDevice } from "./support.ts";
import { task } from "./program.ts";

const { texels: direct, winograd } = nn.tileProfiles;

/** Numbers around 0, in the bell of a normal distribution. */
function normal(seed: number, ...shape: number[]): nn.Parameter {
  return new nn.Parameter(shape, new nn.Random(seed).normal(nn.size(shape)));
}

async function results(
  device: nn.Device,
  outputs: readonly nn.Tensor[],
  tiles: nn.TileProfile,
): Promise<Float32Array[]> {
  using program = await nn.compile(device, { outputs, tiles });
  program.run();
  return await Promise.all(outputs.map((t) => program.read(t)));
}

function worst(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - (b[i] ?? NaN))), 0);
}

Deno.test("tiles of 2 and of 4 are off by no more than their algorithms, in f64's terms", () =>
  withDevice(async (device) => {
    // Weights of unit variance in sum: results are of about 1, at most 5.
    const [x, w] = [normal(1, 2, 48, 16, 16), normal(2, 40, 48, 3, 3)];
    w.data.set(w.data.map((v) => v / Math.sqrt(9 * 48)));
    const y = nn.conv2d(x.tensor, w.tensor, { padding: 1 });
    const [exact = []] = nn.evaluate([y]);
    for (const [size, most] of [[2, 4e-6], [4, 4e-5]] as const) {
      const [tiled = []] = await results(device, [y], { ...winograd, winograd: size });
      assert.ok(worst(tiled, exact) < most, `${size}: ${worst(tiled, exact)}`);
    }
  }));

Deno.test("results and derivatives to the second order are those of direct convolutions, at odd sizes too", () =>
  withDevice(async (device) => {
    for (
      const [b, ci, co, h, w, padding] of [[3, 16, 20, 9, 13, 1], [5, 19, 16, 8, 8, 0]] as const
    ) {
      const [x, filters, bias] = [normal(3, b, ci, h, w), normal(4, co, ci, 3, 3), normal(5, co)];
      filters.data.set(filters.data.map((v) => v / Math.sqrt(9 * ci)));
      const y = nn.conv2d(x.tensor, filters.tensor, {
        padding,
        bias: bias.tensor,
        activation: "relu",
      });
      const loss = nn.sum(nn.mul(y, y));
      const [dx = loss, dw = loss] = nn.grad(loss, [x.tensor, filters.tensor]);
      const penalty = nn.grad(nn.sum(nn.mul(dx, dx)), [x.tensor, filters.tensor]);
      const outputs = [y, dx, dw, ...penalty];
      const expected = await results(device, outputs, direct);
      const tiled = await results(device, outputs, winograd);
      const names = ["y", "dx", "dw", "penalty by x", "penalty by w"];
      tiled.forEach((values, i) => {
        const off = relativeError(values, expected[i] ?? []);
        assert.ok(off > 0, `${names[i]} comes from the same kernels`);
        assert.ok(off < 1e-5, `${names[i]}: ${off}`);
      });
    }
  }));

Deno.test("copies of a program convolve by tiles, each with its own filters", () =>
  withDevice(async (device) => {
    const models = [0, 1, 2].map((k) => [normal(10 + k, 16, 16, 3, 3)]);
    const apart: Float32Array[] = [];
    const x = normal(6, 2, 16, 8, 8);
    const forward = (w: nn.Parameter | undefined): nn.Tensor =>
      nn.conv2d(x.tensor, w?.tensor ?? x.tensor, { padding: 1 });
    for (const k of [0, 1, 2]) {
      apart.push(...await results(device, [forward(normal(10 + k, 16, 16, 3, 3))], winograd));
    }
    const packed = nn.Parameter.packCopies(models, 1);
    const y = forward(packed.parameters[0]);
    using program = await nn.compile(device, { outputs: [y], tiles: winograd, copies: 3 });
    program.run();
    assert.deepEqual([...await program.read(y)], apart.flatMap((values) => [...values]));
  }));

Deno.test("what depends on the filters alone is computed with them: in a training step, of an input, in copies", () =>
  withDevice(async (device) => {
    for (const tiles of [direct, winograd]) {
      const [x, w] = [nn.input([1, 16, 8, 8]), normal(7, 16, 16, 3, 3)];
      const loss = nn.sum(nn.square(nn.conv2d(x, w.tensor, { padding: 1 })));
      const [g = loss] = nn.grad(loss, [w.tensor]);
      using step = await nn.compile(device, {
        inputs: [x],
        outputs: [loss],
        tiles,
        updates: new Map([[w, nn.sub(w.tensor, nn.scale(g, 1e-5))]]),
      });
      const image = new nn.Random(8).normal(1024);
      const losses: number[] = [];
      for (let i = 0; i < 3; i++) {
        step.run([image]);
        losses.push(...await step.read(loss));
      }
      assert.ok(losses.every((l, i) => i === 0 || l < (losses[i - 1] ?? 0)), `${losses}`);

      const [z, fed] = [normal(9, 1, 16, 8, 8), nn.input([16, 16, 3, 3])];
      const seen = nn.sum(nn.exp(nn.scale(nn.conv2d(z.tensor, fed, { padding: 1 }), 0.01)));
      using other = await nn.compile(device, { inputs: [fed], outputs: [seen], tiles });
      for (const seed of [2, 3]) {
        const values = new nn.Random(seed).normal(16 * 16 * 9);
        other.run([values]);
        const [exact = []] = nn.evaluate([seen], new Map([[fed, [...values]]]));
        assert.ok(relativeError(await other.read(seen), exact) < 1e-5);
      }

      const models = [0, 1, 2].map((k) => [normal(20 + k, 16, 16, 3, 3)]);
      const { parameters: [first] } = nn.Parameter.packCopies(models, 1);
      const y = nn.conv2d(z.tensor, first?.tensor ?? fed, { padding: 1 });
      const totals = nn.sum(nn.exp(nn.scale(y, 0.01)));
      using copies = await nn.compile(device, { outputs: [totals], tiles, copies: 3 });
      copies.run();
      const found = [...await copies.read(totals)];
      assert.equal(new Set(found).size, 3, `${found}`);
    }
  }));

Deno.test("a program whose parameters were released says so instead of going by what they were", () =>
  withDevice(async (device) => {
    const [x, w] = [nn.input([1, 16, 8, 8]), normal(7, 16, 16, 3, 3)];
    const y = nn.conv2d(x, w.tensor, { padding: 1 });
    using program = await nn.compile(device, { inputs: [x], outputs: [y], tiles: winograd });
    const image = new nn.Random(8).normal(1024);
    program.run([image]);
    await program.read(y);
    nn.release(device, [w]);
    await assert.rejects(async () => {
      program.run([image]);
      await program.read(y);
    }, /destroyed/);
  }));

Deno.test("filters are transformed once, and again when they were written", () =>
  withDevice(async (device) => {
    const [x, w] = [nn.input([1, 16, 8, 8]), normal(7, 16, 16, 3, 3)];
    const y = nn.conv2d(x, w.tensor, { padding: 1 });
    using program = await nn.compile(device, { inputs: [x], outputs: [y], tiles: winograd });
    const image = new nn.Random(8).normal(1024);
    const fresh = async (): Promise<number[]> => {
      const twin = new nn.Parameter([16, 16, 3, 3], w.data);
      const z = nn.conv2d(x, twin.tensor, { padding: 1 });
      using other = await nn.compile(device, { inputs: [x], outputs: [z], tiles: winograd });
      other.run([image]);
      return [...await other.read(z)];
    };
    program.run([image]);
    program.run([image]);
    assert.deepEqual([...await program.read(y)], await fresh());
    // From the host.
    w.data.set(w.data.map((v) => 2 * v));
    nn.push(device, [w]);
    program.run([image]);
    assert.deepEqual([...await program.read(y)], await fresh());
    // By another program's update.
    using update = await nn.compile(device, { updates: new Map([[w, nn.scale(w.tensor, -1)]]) });
    update.run();
    program.run([image]);
    await nn.pull(device, [w]);
    assert.deepEqual([...await program.read(y)], await fresh());
  }));

Deno.test("what a run's convolutions are is in its record; --exact-convolutions leaves tiles out", () =>
  inFolder(async (folder) => {
    const args = ["--mode", "baseline", "--limit", "10", "--epochs", "1", "--save-path", "models"];
    const { code, stderr } = await task("eval", [...args, "--exact-convolutions"], { cwd: folder });
    assert.equal(code, 0, stderr);
    const run = await onlyRun(join(folder, "models"), "eval");
    const { identity } = JSON.parse(await Deno.readTextFile(join(run, "run.json")));
    await withDevice((device) => {
      nn.useExactConvolutions(device);
      assert.equal(identity.convolutions, nn.convolutionsOf(device));
      assert.notEqual(identity.convolutions, "winograd");
      return Promise.resolve();
    });
    const verified = await task("verify", [run, "--json"], { cwd: folder });
    assert.equal(verified.code, 0, verified.stderr);
    const { sameMachine, verified: same } = JSON.parse(verified.stdout);
    assert.deepEqual([sameMachine, same], [true, true], verified.stdout);
  }));
