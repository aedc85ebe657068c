/** Programs on the device: replay, updates, records, messages. */
import assert from "node:assert/strict";
import { fc } from "./property.ts";
import { UserError } from "../src/base/errors.ts";
import * as nn from "../src/nn/mod.ts";
import { wave } from "./check_grads.ts";
import { withDevice } from "./support.ts";

Deno.test("a program equals the f64 evaluation of its graph, and gives the same bits twice", () =>
  withDevice(async (device) => {
    const x = nn.input([6, 10]);
    const w = nn.input([10, 7]);
    const y = nn.softmax(nn.matmul(nn.sin(x), w));
    const [dx = y, dw = y] = nn.grad(nn.mul(y, y), [x, w]);
    const values = new Map([[x, Float32Array.from(wave(60, 1))], [
      w,
      Float32Array.from(wave(70, 2)),
    ]]);
    const outputs = [y, dx, dw];
    using program = await nn.compile(device, { inputs: [x, w], outputs });
    const run = async (): Promise<Float32Array[]> => {
      program.run([...values.values()]);
      return await Promise.all(outputs.map((t) => program.read(t)));
    };
    const first = await run();
    assert.deepEqual(await run(), first);
    nn.evaluate(outputs, values).forEach((exact, i) =>
      exact.forEach((v, j) => assert.ok(Math.abs(v - (first[i]?.[j] ?? NaN)) < 1e-6))
    );
  }));

Deno.test("random graphs compute on the device what they compute in f64", () =>
  withDevice(async (device) => {
    const recipe = fc.array(fc.tuple(fc.nat(4), fc.nat(), fc.nat()), {
      minLength: 4,
      maxLength: 25,
    });
    await fc.assert(
      fc.asyncProperty(recipe, async (steps) => {
        const x = nn.input([4, 8]);
        const nodes: nn.Tensor[] = [x];
        for (const [op, i, j] of steps) {
          const a = nodes[i % nodes.length] ?? x;
          const b = nodes[j % nodes.length] ?? x;
          const made = [
            (): nn.Tensor => nn.sin(a),
            (): nn.Tensor => nn.add(a, nn.cos(b)),
            (): nn.Tensor => nn.tanh(nn.mul(a, b)),
            (): nn.Tensor => nn.sub(a, nn.mean(b, [1], true)),
            (): nn.Tensor => nn.reshape(nn.transpose(nn.reshape(a, [8, 4])), [4, 8]),
          ][op];
          nodes.push(made?.() ?? a);
        }
        const outputs = nodes.slice(-3);
        const data = Float32Array.from(wave(32, 4));
        using program = await nn.compile(device, { inputs: [x], outputs });
        program.run([data]);
        const exact = nn.evaluate(outputs, new Map([[x, data]]));
        for (const [i, t] of outputs.entries()) {
          const got = await program.read(t);
          exact[i]?.forEach((v, j) => assert.ok(Math.abs(v - (got[j] ?? NaN)) < 1e-4));
        }
      }),
      { numRuns: 15 },
    );
  }));

Deno.test("updates all read the old values: two parameters swap", () =>
  withDevice(async (device) => {
    const a = new nn.Parameter([3], Float32Array.of(1, 2, 3));
    const b = new nn.Parameter([3], Float32Array.of(4, 5, 6));
    using program = await nn.compile(device, { updates: new Map([[a, b.tensor], [b, a.tensor]]) });
    program.run();
    await nn.pull(device, [a, b]);
    assert.deepEqual([[...a.data], [...b.data]], [[4, 5, 6], [1, 2, 3]]);
    program.run([], 3);
    await nn.pull(device, [a, b]);
    assert.deepEqual([[...a.data], [...b.data]], [[1, 2, 3], [4, 5, 6]]);
  }));

Deno.test("a run repeated k times equals k runs, its unchanging part done once", () =>
  withDevice(async (device) => {
    const results: Float32Array[] = [];
    for (const together of [true, false]) {
      const state = new nn.Parameter([5], 1);
      const x = nn.input([5]);
      const next = nn.add(nn.scale(state.tensor, 0.7), nn.exp(nn.sin(x)));
      using program = await nn.compile(device, {
        inputs: [x],
        updates: new Map([[state, next]]),
        records: [nn.sum(state.tensor)],
      });
      const data = Float32Array.from(wave(5, 1));
      if (together) program.run([data], 6);
      else for (let i = 0; i < 6; i++) program.run([data]);
      const [sums = new Float32Array()] = await program.drain();
      assert.equal(sums.length, 6);
      await nn.pull(device, [state]);
      results.push(Float32Array.of(...state.data, ...sums));
    }
    assert.deepEqual(results[0], results[1]);
  }));

Deno.test("`drain()` returns every record in order, past the recorder's first capacity, then none", () =>
  withDevice(async (device) => {
    const x = nn.input([3]);
    const count = new nn.Parameter([1], 0);
    using program = await nn.compile(device, {
      inputs: [x],
      updates: new Map([[count, nn.add(count.tensor, 1)]]),
      records: [x, count.tensor],
    });
    const runs = 5000;
    for (let i = 0; i < runs; i++) program.run([Float32Array.of(i, i + 0.5, -i)]);
    const [xs = [], counts = []] = await program.drain();
    assert.equal(xs.length, 3 * runs);
    for (const i of [0, 1, 4095, 4096, runs - 1]) {
      assert.deepEqual([...xs.slice(3 * i, 3 * i + 3)], [i, i + 0.5, i === 0 ? -0 : -i]);
      assert.equal(counts[i], i);
    }
    assert.deepEqual((await program.drain()).map((v) => v.length), [0, 0]);
  }));

Deno.test("`drain()` keeps what a run records while the values are on their way", () =>
  withDevice(async (device) => {
    const x = nn.input([3]);
    using program = await nn.compile(device, { inputs: [x], records: [x] });
    program.run([Float32Array.of(1, 2, 3)]);
    const draining = program.drain();
    program.run([Float32Array.of(4, 5, 6)]);
    assert.deepEqual((await draining).map((r) => [...r]), [[1, 2, 3]]);
    assert.deepEqual((await program.drain()).map((r) => [...r]), [[4, 5, 6]]);
  }));

Deno.test("packed parameters update in place, one by one, and move between host and device", () =>
  withDevice(async (device) => {
    const [a, b] = [new nn.Parameter([3], 1, true), new nn.Parameter([2, 2], 10, true)];
    const { block } = nn.Parameter.pack([a, b], 2);
    using program = await nn.compile(device, {
      inputs: [],
      outputs: [b.tensor],
      updates: new Map([[a, nn.scale(a.tensor, 2)], [b, nn.add(b.tensor, nn.sum(a.tensor))]]),
    });
    program.run([], 2);
    await nn.pull(device, [b]);
    assert.deepEqual([...a.data], [4, 4, 4]);
    assert.deepEqual([...b.data], [19, 19, 19, 19], "10 + 3 x 1 + 3 x 2");
    const rest = Array.from(block.data).filter((value, i) => value !== 0 && i >= 3 && i !== 64);
    assert.deepEqual(rest, [19, 19, 19], "the padding and the second row stay zero");
    a.data.fill(-1);
    nn.push(device, [a]);
    program.run();
    await nn.pull(device, [a]);
    assert.deepEqual([...a.data], [-2, -2, -2]);
    assert.deepEqual([...await program.read(b.tensor)], [16, 16, 16, 16]);
  }));

Deno.test("`sgd()` on packed parameters is PyTorch's SGD, over five steps", () =>
  withDevice(async (device) => {
    const [momentum, weightDecay, lr] = [0.9, 0.01, 0.1];
    const start = [Float32Array.from(wave(5, 1)), Float32Array.from(wave(700, 2))];
    const parameters = start.map((data) => new nn.Parameter([data.length], data.slice(), true));
    const packed = nn.Parameter.pack(parameters, 2);
    const loss = parameters.map((p) => nn.sum(nn.sin(p.tensor))).reduce((a, b) => nn.add(a, b));
    const gradients = nn.grad(loss, parameters.map((p) => p.tensor));
    const next = nn.sgd(packed, nn.flatGradient(packed, gradients), nn.constant(lr, [1]), {
      momentum,
      weightDecay,
    });
    using program = await nn.compile(device, { updates: new Map([[packed.block, next]]) });
    program.run([], 5);
    await nn.pull(device, parameters);
    start.forEach((w, i) =>
      w.forEach((value, j) => {
        let [x, velocity] = [value, 0];
        for (let step = 0; step < 5; step++) {
          velocity = momentum * velocity + Math.cos(x) + weightDecay * x;
          x -= lr * velocity;
        }
        assert.ok(Math.abs((parameters[i]?.data[j] ?? NaN) - x) < 1e-5);
      })
    );
  }));

Deno.test("`noise()` draws afresh as its counter moves, and again the same from the same counter", () =>
  withDevice(async (device) => {
    const counter = new nn.Parameter([1], 0);
    const draw = nn.noise("normal", new nn.Random(3), counter.tensor, [1000]);
    using program = await nn.compile(device, {
      updates: new Map([[counter, nn.add(counter.tensor, 1)]]),
      records: [draw],
    });
    program.run([], 2);
    counter.data[0] = 0;
    nn.push(device, [counter]);
    program.run();
    const [all = new Float32Array()] = await program.drain();
    const [first, second, again] = [0, 1, 2].map((i) => all.slice(1000 * i, 1000 * i + 1000));
    assert.deepEqual(again, first);
    assert.notDeepEqual(second, first);
    const mean = (first ?? new Float32Array()).reduce((a, b) => a + b, 0) / 1000;
    assert.ok(Math.abs(mean) < 0.15, `mean ${mean}`);
  }));

Deno.test("`noise()` is the stream of `Random` with the same seed, stream and counter", () =>
  withDevice(async (device) => {
    const keys = [[3, 0], [2 ** 40 + 3, 0], [3, 2 ** 32 - 1]] as const;
    const streams = keys.map(([seed, stream]) => new nn.Random(seed, stream));
    const draws = streams.map((r) => nn.noise("uniform", r, nn.constant([7]), [1300]));
    using program = await nn.compile(device, { outputs: draws });
    program.run();
    const actual = await Promise.all(draws.map((t) => program.read(t)));
    for (const random of streams) random.state = 7;
    assert.deepEqual(actual, streams.map((random) => random.uniform(1300)));
  }));

Deno.test("`compile()` says which tensor is too large, before anything is allocated", () =>
  withDevice(async (device) => {
    const huge = nn.exp(nn.input([2 ** 16, 2 ** 15]));
    await assert.rejects(
      () => nn.compile(device, { name: "big", inputs: huge.inputs, outputs: [huge] }),
      (error) =>
        error instanceof UserError &&
        /^Cannot compile "big": ".*\[65536, 32768\]" needs 8192 MiB in one binding, this adapter allows \d+ MiB; use a smaller --batch-size$/
          .test(error.message),
    );
  }));

Deno.test("`run()` says which input has the wrong size or is missing", () =>
  withDevice(async (device) => {
    const x = nn.input([3]);
    using program = await nn.compile(device, { name: "p", inputs: [x], outputs: [nn.exp(x)] });
    assert.throws(() => program.run([]), /Cannot run "p": 1 inputs, got 0/);
    assert.throws(() => program.run([new Float32Array(2)]), /input 0 is \[3\], got 2 values/);
    assert.throws(() => program.run([new Uint32Array(3)]), /input 0 is f32, got u32/);
  }));

Deno.test("shape mistakes are told while the graph is made, with both shapes", () => {
  const x = nn.input([8, 12]);
  assert.throws(
    () => nn.matmul(x, nn.input([16, 4])),
    /Cannot multiply \[8, 12\] by \[16, 4\]: inner sizes are 12 and 16/,
  );
  assert.throws(
    () => nn.add(x, nn.input([8, 11])),
    /Cannot add \[8, 12\] and \[8, 11\]: sizes 12 and 11 differ/,
  );
  assert.throws(() => nn.reshape(x, [5, 5]), /Cannot reshape \[8, 12\] to \[5, 5\]/);
  assert.throws(() => nn.conv2d(nn.input([1, 2, 4, 4]), nn.input([1, 3, 3, 3])), /Cannot convolve/);
  assert.throws(() => nn.maxPool2d(nn.input([1, 1, 1, 1]), 2), /Cannot pool/);
  assert.throws(() => nn.slice(x, [4, 0], [8, 12]), /Cannot slice/);
  assert.throws(() => nn.slice(x, [0], [8]), /Cannot slice/);
  assert.throws(() => nn.permute(x, [0, 0]), /Cannot permute/);
});

Deno.test("a lost device is told in one sentence", () =>
  withDevice(async (device) => {
    const x = nn.input([3]);
    using program = await nn.compile(device, { inputs: [x], outputs: [nn.exp(x)] });
    device.gpu.destroy();
    await device.gpu.lost;
    assert.throws(
      () => program.run([new Float32Array(3)]),
      (error) =>
        error instanceof UserError && /^Cannot go on: the device was lost/.test(error.message),
    );
  }));
