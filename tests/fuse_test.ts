/** Fused kernels on the device: the same bits as one operation after the other. */
import assert from "node:assert/strict";
import * as nn from "../src/nn/mod.ts";
import { wave } from "./check_grads.ts";
import { withDevice } from "./support.ts";

/** Values of a graph, fused and not, and how many dispatches each took. */
async function bothWays(
  device: nn.Device,
  inputs: readonly nn.Tensor[],
  values: readonly Float32Array[],
  output: nn.Tensor,
): Promise<{ fused: Float32Array; plain: Float32Array; dispatches: number[] }> {
  const results: Float32Array[] = [];
  const dispatches: number[] = [];
  for (const fuse of [true, false]) {
    using program = await nn.compile(device, { inputs, outputs: [output], fuse });
    program.run(values);
    results.push(await program.read(output));
    dispatches.push(program.stats.dispatches);
  }
  const [fused = new Float32Array(), plain = new Float32Array()] = results;
  return { fused, plain, dispatches };
}

/** Every bit, but for NaNs, which are all the same. */
const bits = (values: Float32Array): number[] =>
  Array.from(new Uint32Array(values.buffer), (b, i) => Number.isNaN(values[i]) ? NaN : b);

Deno.test("every elementwise operation gives the same bits in a chain as alone, NaN and infinities too", () =>
  withDevice(async (device) => {
    const special = [NaN, Infinity, -Infinity, 0, -0, 1e-40, 3e38, -7.5, 0.25, 88, 12];
    const data = Float32Array.from([...special, ...wave(38, 1).map((v) => 3 * v)]);
    const x = nn.input([7, 7]);
    const operations: Record<string, (a: nn.Tensor, b: nn.Tensor) => nn.Tensor> = {
      neg: nn.neg,
      abs: nn.abs,
      sign: nn.sign,
      step: nn.step,
      relu: nn.relu,
      exp: nn.exp,
      log: nn.log,
      log1p: nn.log1p,
      sqrt: nn.sqrt,
      reciprocal: nn.reciprocal,
      square: nn.square,
      cos: nn.cos,
      sin: nn.sin,
      tanh: nn.tanh,
      sigmoid: nn.sigmoid,
      softplus: nn.softplus,
      floor: nn.floor,
      erf: nn.erf,
      scale: (a) => nn.scale(a, -1 / 3),
      shift: (a) => nn.shift(a, 0.1),
      nonFinite: nn.nonFinite,
      add: nn.add,
      sub: nn.sub,
      mul: nn.mul,
      div: nn.div,
      maximum: nn.maximum,
      minimum: nn.minimum,
      greater: nn.greater,
      equal: nn.equal,
      where: (a, b) => nn.where(nn.step(b), a, b),
    };
    for (const [name, operation] of Object.entries(operations)) {
      const shifted = nn.scale(x, 0.5);
      const y = nn.neg(operation(shifted, nn.neg(x)));
      const { fused, plain, dispatches } = await bothWays(device, [x], [data], y);
      assert.deepEqual(bits(fused), bits(plain), name);
      assert.equal(dispatches[0], 1, name);
    }
  }));

Deno.test("a chain broadcasts rows, columns, planes and single values as its operations do", () =>
  withDevice(async (device) => {
    const shapes = [[3, 5, 4], [5, 4], [4], [5, 1], [3, 1, 1], [1]];
    const inputs = shapes.map((shape) => nn.input(shape));
    const values = shapes.map((shape, i) => Float32Array.from(wave(nn.size(shape), i)));
    const [x, ...others] = inputs;
    assert.ok(x);
    const y = others.reduce((sum, other) => nn.mul(nn.add(sum, other), other), nn.sin(x));
    const { fused, plain, dispatches } = await bothWays(device, inputs, values, y);
    assert.deepEqual(bits(fused), bits(plain));
    assert.deepEqual(dispatches, [1, 11]);
  }));

Deno.test("a chain that would read more than a device binds at once, or grow too long, is cut", () =>
  withDevice(async (device) => {
    const inputs = Array.from({ length: 12 }, () => nn.input([9]));
    const values = inputs.map((_, i) => Float32Array.from(wave(9, i)));
    const total = inputs.reduce((a, b) => nn.add(nn.sin(a), b));
    let y = total;
    for (let i = 0; i < 40; i++) y = nn.cos(y);
    const { fused, plain, dispatches } = await bothWays(device, inputs, values, y);
    assert.deepEqual(bits(fused), bits(plain));
    assert.ok((dispatches[0] ?? 0) < 8 && (dispatches[0] ?? 0) > 3, `${dispatches[0]} dispatches`);
  }));

Deno.test("second derivatives through fused chains are those of the f64 reference", () =>
  withDevice(async (device) => {
    const x = nn.input([6, 5]);
    const data = Float32Array.from(wave(30, 2));
    const f = nn.sum(nn.square(nn.tanh(nn.mul(nn.sigmoid(x), nn.softplus(x)))));
    const [g = x] = nn.grad(f, [x]);
    const [h = x] = nn.grad(nn.sum(nn.square(g)), [x]);
    const { fused } = await bothWays(device, [x], [data], h);
    const [expected = new Float64Array()] = nn.evaluate([h], new Map([[x, data]]));
    fused.forEach((value, i) => assert.ok(Math.abs(value - (expected[i] ?? NaN)) < 1e-5, `${i}`));
  }));
