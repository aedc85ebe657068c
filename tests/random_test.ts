/** The generator on the host against published answers, and against its kernel on the GPU. */
import assert from "node:assert/strict";
import { fc } from "./property.ts";
import { UserError } from "../src/base/errors.ts";
import { kernel } from "../src/nn/graph/kernel.ts";
import { philox } from "../src/nn/graph/philox.ts";
import { Random } from "../src/nn/graph/random.ts";
import wgsl from "../src/shaders/philox.wgsl" with { type: "text" };
import { runKernel, withDevice } from "./support.ts";

const seeds = fc.nat(Number.MAX_SAFE_INTEGER);

function moments(values: Float32Array): { mean: number; variance: number; fourth: number } {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  const central = (power: number): number =>
    values.reduce((sum, v) => sum + (v - mean) ** power, 0) / values.length;
  return { mean, variance: central(2), fourth: central(4) };
}

Deno.test("philox() gives the known answers published with Random123", () => {
  assert.deepEqual(philox([0, 0], [0, 0, 0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  const ones = 0xffffffff;
  assert.deepEqual(
    philox([ones, ones], [ones, ones, ones, ones]),
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  );
  assert.deepEqual(
    philox([0xa4093822, 0x299f31d0], [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344]),
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  );
});

Deno.test("Random equals philox.wgsl element by element", async () => {
  const philoxKernel = kernel("philox", wgsl);
  await withDevice(async (device) => {
    const cases: [seed: number, stream: number, counter: number, n: number][] = [
      [0, 0, 0, 1],
      [Number.MAX_SAFE_INTEGER, 0xffffffff, 2 ** 24, 7],
      [20220613, 3, 12345, 200_003],
    ];
    for (const [seed, stream, counter, n] of cases) {
      const random = new Random(seed, stream);
      const draw = (OP: string): Promise<Float32Array> => {
        const key = Uint32Array.of(seed >>> 0, Math.floor(seed / 2 ** 32), stream, 0);
        const inputs = [key, Float32Array.of(counter), Float32Array.of(0)];
        return runKernel(device, philoxKernel, inputs, { OP, N: n }, Math.ceil(n / 4), n);
      };
      random.state = counter;
      assert.deepEqual(await draw("uniform"), random.uniform(n));
      random.state = counter;
      const host = random.normal(n);
      const worst = (await draw("normal")).reduce(
        (most, v, i) => Math.max(most, Math.abs(v - (host[i] ?? NaN))),
        0,
      );
      assert.ok(worst <= 1e-6, `normal numbers differ by ${worst}`);
    }
  });
});

Deno.test("Random.uniform() and .normal() have the moments of their distributions", () => {
  const random = new Random(1);
  const n = 200_000;
  const uniform = random.uniform(n);
  assert.ok(uniform.every((v) => v >= 0 && v < 1));
  const flat = moments(uniform);
  assert.ok(Math.abs(flat.mean - 1 / 2) < 5 * Math.sqrt(1 / 12 / n));
  assert.ok(Math.abs(flat.variance - 1 / 12) < 5 * Math.sqrt(1 / 180 / n));
  const bell = moments(random.normal(n));
  assert.ok(Math.abs(bell.mean) < 5 * Math.sqrt(1 / n));
  assert.ok(Math.abs(bell.variance - 1) < 5 * Math.sqrt(2 / n));
  assert.ok(Math.abs(bell.fourth - 3) < 5 * Math.sqrt(96 / n));
});

Deno.test("Random.permutation() holds every index once", () => {
  fc.assert(fc.property(seeds, fc.integer({ min: 0, max: 200 }), (seed, n) => {
    const order = new Random(seed).permutation(n);
    assert.deepEqual(order.toSorted(), Uint32Array.from({ length: n }, (_, i) => i));
  }));
});

Deno.test("Random.permutation() makes all orders equally likely", () => {
  const random = new Random(2);
  const counts = new Map<string, number>();
  const draws = 12_000;
  for (let i = 0; i < draws; i++) {
    const order = random.permutation(4).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.equal(counts.size, 24);
  const expected = draws / 24;
  const chiSquare = counts.values().reduce((sum, c) => sum + (c - expected) ** 2 / expected, 0);
  assert.ok(chiSquare < 60, `chi square ${chiSquare} with 23 degrees of freedom`);
});

Deno.test("Random.integer() stays below its bound and reaches every value", () => {
  const random = new Random(3);
  const seen = new Set(Array.from({ length: 500 }, () => random.integer(7)));
  assert.deepEqual([...seen].sort(), [0, 1, 2, 3, 4, 5, 6]);
  assert.equal(random.integer(1), 0);
  assert.throws(() => random.integer(0), /Cannot draw an integer below 0/);
});

Deno.test("Random.state resumes a run bit for bit", () => {
  fc.assert(fc.property(seeds, fc.nat(20), fc.integer({ min: 1, max: 50 }), (seed, skip, n) => {
    const whole = new Random(seed);
    for (let i = 0; i < skip; i++) whole.uniform(i);
    const resumed = new Random(seed);
    resumed.state = whole.state;
    assert.deepEqual(resumed.normal(n), whole.normal(n));
    assert.deepEqual(resumed.permutation(n), whole.permutation(n));
    assert.equal(resumed.uniform(), whole.uniform());
    assert.equal(resumed.state, whole.state);
  }));
});

Deno.test("Random.fork() depends on seed, path and name, not on what was drawn", () => {
  const random = new Random(5);
  const early = random.fork("weights").uniform(8);
  random.uniform(100);
  assert.deepEqual(random.fork("weights").uniform(8), early);
  const others = [
    random.fork("attack"),
    random.fork("weights").fork("weights"),
    new Random(5),
    new Random(6).fork("weights"),
    new Random(5, 1).fork("weights"),
    new Random(5 + 2 ** 32).fork("weights"),
  ];
  for (const other of others) assert.notDeepEqual(other.uniform(8), early);
});

Deno.test("Random() refuses a seed or stream that is no integer in range", () => {
  for (const seed of [-1, 0.5, NaN, 2 ** 53]) assert.throws(() => new Random(seed), UserError);
  assert.throws(() => new Random(0, 2 ** 32), UserError);
});
