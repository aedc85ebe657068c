/** Plans: what they must never do to memory, and that carried out they compute the graph; no device. */
import assert from "node:assert/strict";
import { fc } from "./property.ts";
import { withDevice } from "./support.ts";
import * as nn from "../src/nn/mod.ts";
import { type Binding, type Plan, plan, type Step } from "../src/nn/compile/plan.ts";
import { reference } from "../src/nn/check/reference.ts";
import { wave } from "./check_grads.ts";

/** A random graph of nodes of a few sizes, and the nodes to keep. */
const graphs = fc.array(fc.tuple(fc.nat(5), fc.nat(), fc.nat()), { minLength: 3, maxLength: 40 })
  .map((recipe) => {
    const x = nn.input([4, 8]);
    const nodes: nn.Tensor[] = [x, nn.scale(x, 2)];
    for (const [op, i, j] of recipe) {
      const a = nodes[i % nodes.length] ?? x;
      const b = nodes[j % nodes.length] ?? x;
      const pick = [
        (): nn.Tensor => nn.sin(a),
        (): nn.Tensor => nn.add(a, nn.broadcastTo(nn.reshape(nn.sum(b), [1, 1]), [4, 8])),
        (): nn.Tensor => nn.mul(a, b),
        (): nn.Tensor => nn.reshape(nn.permute(nn.reshape(a, [8, 4]), [1, 0]), [4, 8]),
        (): nn.Tensor => nn.square(nn.sub(a, nn.mean(b, [1], true))),
        (): nn.Tensor => nn.broadcastTo(nn.sum(a, [0], true), [4, 8]),
      ][op];
      nodes.push(pick?.() ?? a);
    }
    const kept = nodes.filter((_, i) => i % 5 === 4 || i === nodes.length - 1);
    return { x, kept };
  });

const overlap = (a: Binding, b: Binding): boolean =>
  a.buffer === b.buffer && a.offset < b.offset + b.size && b.offset < a.offset + a.size;

Deno.test("`plan()` never lets a dispatch write what it reads", () => {
  fc.assert(fc.property(graphs, ({ x, kept }) => {
    for (const step of plan({ inputs: [x], outputs: kept }).steps) {
      assert.ok(step.kind === "dispatch");
      const output = step.bindings.at(-1);
      assert.ok(output);
      for (const from of step.bindings.slice(0, -1)) assert.notEqual(from.buffer, output.buffer);
    }
  }));
});

Deno.test("`plan()` gives two values that live at once two places", () => {
  fc.assert(fc.property(graphs, ({ x, kept }) => {
    const { steps, binding } = plan({ inputs: [x], outputs: kept });
    // A value lives from its step to its last reader; kept ones to the end.
    const lives: { from: number; to: number; at: Binding }[] = [];
    steps.forEach((step, i) => {
      if (step.kind !== "dispatch") return;
      const out = step.bindings.at(-1);
      assert.ok(out);
      let to = i;
      steps.slice(i + 1).forEach((later, j) => {
        if (later.kind !== "dispatch") return;
        const reads = later.inputs.some((t) => owner(t) === step.tensor);
        if (reads) to = i + 1 + j;
      });
      if (kept.some((t) => overlap(binding(t), out) && owner(t) === step.tensor)) to = Infinity;
      lives.push({ from: i, to, at: out });
    });
    for (const [i, a] of lives.entries()) {
      for (const b of lives.slice(i + 1)) {
        if (b.from <= a.to) assert.ok(!overlap(a.at, b.at), "two live values share memory");
      }
    }
  }));
});

function owner(t: nn.Tensor): nn.Tensor {
  let node = t;
  while (node.source.kind === "view") node = node.inputs[0] ?? node;
  return node;
}

/** Carries a plan out in f64 as a program does on the device; what was never written is NaN. */
function carryOut(planned: Plan, inputs: ReadonlyMap<nn.Tensor, Float64Array>, times: number): Map<
  nn.Parameter,
  Float64Array
> {
  // Packed buffers start as zeros, for their padding; nothing else may count on that.
  const parameters = new Map<nn.Parameter, Float64Array>();
  const memory = planned.buffers.map(({ bytes, source }) => {
    const values = new Float64Array(bytes / 4).fill(source.kind === "pack" ? 0 : NaN);
    if (source.kind === "constant") values.set(source.data);
    if (source.kind === "parameter") {
      values.set(source.parameter.data);
      parameters.set(source.parameter, values);
    }
    return values;
  });
  const at = ({ buffer, offset, size }: Binding): Float64Array =>
    memory[buffer]?.subarray(offset / 4, (offset + size) / 4) ?? new Float64Array();
  const textures = planned.textures.map(({ rows }) => new Float64Array(4096 * rows).fill(NaN));
  for (const [t, values] of inputs) if (planned.uses(t)) at(planned.binding(t)).set(values);
  for (let i = 0; i < times; i++) {
    for (const step of planned.steps.slice(i === 0 ? 0 : planned.invariant)) {
      if (step.kind === "copy") {
        at(step.to).set(at(step.from));
        continue;
      }
      if (step.kind === "texture") {
        const held = 4096 * (planned.textures[step.from.texture ?? -1]?.rows ?? 0);
        assert.ok(held >= step.from.size / 4, "a texture holds what is copied to it");
        textures[step.from.texture ?? -1]?.set(at(step.from));
        continue;
      }
      const { kernel, overrides } = step.dispatch;
      const [output = new Float64Array(), ...from] = step.bindings.map((binding, i) => {
        if (binding.texture === undefined) return at(binding);
        const { name = "", vectors } = kernel.bindings[i] ?? {};
        const first = Number(overrides[`FROM_${name}`] ?? 0) * (vectors ? 4 : 1);
        return textures[binding.texture]?.subarray(first, first + binding.size / 4) ??
          new Float64Array();
      }).toReversed();
      const length = nn.size(step.tensor.shape);
      const result = kernel.name.startsWith("fused")
        ? chained(step, from.toReversed(), new Map([...inputs, ...leavesOf(parameters)]))
        : reference(kernel.name.split(" ")[0] ?? "", from.toReversed(), overrides, length, kernel);
      // Kernels of four values a thread write past the end, up to the padding.
      if (kernel.bindings.at(-1)?.vectors) output.fill(NaN);
      output.set(result);
    }
    for (const { from, to } of planned.updates) at(to).set(at(from));
  }
  return parameters;
}

/** A chain's result from what its dispatch reads; equal work that lies elsewhere is done again. */
function chained(
  { tensor, inputs }: Extract<Step, { kind: "dispatch" }>,
  values: readonly Float64Array[],
  leaves: ReadonlyMap<nn.Tensor, Float64Array>,
): Float64Array {
  const read = new Map(leaves);
  inputs.forEach((t, i) =>
    read.set(t, values[i]?.subarray(0, nn.size(t.shape)) ?? new Float64Array())
  );
  return nn.evaluate([tensor], read)[0] ?? new Float64Array();
}

function leavesOf(
  parameters: ReadonlyMap<nn.Parameter, Float64Array>,
): [nn.Tensor, Float64Array][] {
  return [...parameters].map(([p, values]) => [p.tensor, values.slice(0, nn.size(p.shape))]);
}

Deno.test("a plan carried out k times, what is unchanging once, gives what the graph gives k times", () => {
  const recipes = fc.record({
    ops: fc.array(fc.tuple(fc.nat(6), fc.nat(), fc.nat()), { minLength: 3, maxLength: 40 }),
    updated: fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
    times: fc.integer({ min: 1, max: 3 }),
    textured: fc.constantFrom(0, 1, 30),
  });
  fc.assert(
    fc.property(recipes, ({ ops, updated, times, textured }) => {
      const x = nn.input([3, 7]);
      const packed = [0, 1].map((i) => new nn.Parameter([3, 7], Float32Array.from(wave(21, i))));
      nn.Parameter.pack(packed, 1);
      const alone = [2, 3].map((i) => new nn.Parameter([3, 7], Float32Array.from(wave(21, i))));
      const parameters = [...packed, ...alone];
      const nodes = [x, nn.constant(0.5, [3, 7]), ...parameters.map((p) => p.tensor)];
      for (const [op, i, j] of ops) {
        const [a = x, b = x] = [nodes[i % nodes.length], nodes[j % nodes.length]];
        const pick = [
          (): nn.Tensor => nn.sin(a),
          (): nn.Tensor => nn.tanh(nn.mul(a, b)),
          (): nn.Tensor => nn.sub(a, nn.mean(b, [1], true)),
          (): nn.Tensor => nn.add(nn.cos(a), nn.sum(nn.scale(b, 0.1), [0])),
          (): nn.Tensor => nn.reshape(nn.transpose(nn.reshape(a, [7, 3])), [3, 7]),
          (): nn.Tensor => {
            // The sum counts on zeros between the parts.
            const flat = nn.pack([a, b], [0, 64], 128);
            return nn.add(nn.view(nn.sin(flat), 64, [3, 7]), nn.sin(nn.sum(flat)));
          },
          (): nn.Tensor => nn.flip(nn.maximum(a, b), [1]),
        ][op];
        nodes.push(pick?.() ?? a);
      }
      const pairs = parameters.map((p, i): [nn.Parameter, nn.Tensor | undefined] => {
        const pick = updated[i];
        return [p, pick === undefined ? undefined : nodes[nodes.length - 1 - pick % nodes.length]];
      });
      const updates = new Map(pairs.flatMap(([p, t]) => t ? [[p, t] as const] : []));
      const outputs = nodes.slice(-2);
      const inputs = new Map([[x, wave(21, 9)]]);
      const tiles = { ...nn.tileProfiles.software, textured };
      const after = carryOut(plan({ inputs: [x], outputs, updates, tiles }), inputs, times);

      const state = new Map<nn.Parameter, Float64Array>(
        parameters.map((p) => [p, Float64Array.from(p.data)]),
      );
      for (let i = 0; i < times; i++) {
        const leaves = new Map<nn.Tensor, Float64Array>(inputs);
        state.forEach((value, p) => leaves.set(p.tensor, value));
        const next = nn.evaluate([...updates.values()], leaves);
        [...updates.keys()].forEach((p, j) => state.set(p, next[j] ?? new Float64Array()));
      }
      for (const [p, expected] of state) {
        const block = after.get(p.owner);
        if (!block) continue;
        const start = packed.indexOf(p) * 64;
        const actual = start < 0 ? block : block.subarray(start);
        expected.forEach((value, i) =>
          assert.ok(Math.abs((actual[i] ?? NaN) - value) < 1e-9, `parameter ${i}: ${actual[i]}`)
        );
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("`plan()` tells constants apart by every bit, the sign of zero included", () => {
  const pairs = [[[-0, 0], [0, -0]], [Array(100).fill(0), Array(100).fill(-0)]] as const;
  for (const [a, b] of pairs) {
    const outputs = [a, b, a].map((data) => nn.reciprocal(nn.constant(data)));
    const { stats, binding } = plan({ outputs, fuse: false });
    assert.equal(stats.dispatches, 2);
    const [first, , third] = outputs.map((t) => binding(t).buffer);
    assert.equal(first, third);
  }
});

Deno.test("`plan()` shares equal work, drops what nothing needs, and reuses buffers", () => {
  const x = nn.input([100]);
  const [a, b] = [nn.exp(x), nn.exp(x)];
  nn.sin(x);
  const { stats } = plan({ inputs: [x], outputs: [nn.add(a, b)], fuse: false });
  assert.equal(stats.dispatches, 2);
  let y: nn.Tensor = x;
  for (let i = 0; i < 50; i++) y = nn.sin(y);
  const chain = plan({ inputs: [x], outputs: [y], fuse: false });
  assert.equal(chain.stats.dispatches, 50);
  assert.equal(chain.stats.buffers, 3, "the input and two that take turns");
  assert.ok(chain.stats.bytes < chain.stats.unsharedBytes / 10);
});

Deno.test("`plan()` puts what no update changes first, to be done once in a repeated run", () => {
  const state = new nn.Parameter([8], 1);
  const x = nn.input([8]);
  const fixed = nn.exp(nn.sin(x));
  const next = nn.add(nn.mul(state.tensor, 0.5), fixed);
  const spec = { inputs: [x], updates: new Map([[state, next]]) };
  const { steps, invariant } = plan({ ...spec, fuse: false });
  assert.deepEqual(steps.map((s) => s.tensor.name), ["sin", "exp", "scale", "add"]);
  assert.equal(invariant, 2);
  const fused = plan(spec);
  assert.deepEqual(fused.steps.map((s) => s.tensor.name), ["exp", "add"]);
  assert.equal(fused.invariant, 1);
});

Deno.test("`plan()` makes the parts of a pack where they belong, and copies what cannot be", () => {
  const x = nn.input([8, 8]);
  const [whole, filled] = [nn.sin(x), nn.sin(nn.sum(nn.view(x, 0, [6, 8]), [1]))];
  const reader = nn.cos(whole);
  const packed = nn.pack([whole, filled, reader, nn.sum(x, [1])], [0, 64, 128, 192], 256);
  const { steps, binding } = plan({ inputs: [x], outputs: [packed], fuse: false });
  const copies = steps.filter((s) => s.kind === "copy").map((s) => s.to.offset / 4);
  assert.deepEqual(copies, [64, 128], "six sines are made as eight; the cosine reads the pack");
  const home = binding(packed).buffer;
  assert.deepEqual(binding(whole), { buffer: home, offset: 0, size: 256, stride: 0 });
});

Deno.test("a node that is twice in a pack, whole or in part, lies in both places", () =>
  withDevice(async (device) => {
    const x = nn.input([128]);
    const twice = nn.sin(x);
    const parts = [twice, nn.cos(x), twice, nn.view(twice, 64, [64])];
    const packed = nn.pack(parts, [0, 128, 256, 384], 448);
    using program = await nn.compile(device, { inputs: [x], outputs: [packed] });
    program.run([Float32Array.from({ length: 128 }, (_, i) => i / 64)]);
    const values = await program.read(packed);
    const part = (at: number, n: number): number[] => [...values.slice(at, at + n)];
    assert.deepEqual(part(256, 128), part(0, 128));
    assert.deepEqual(part(384, 64), part(64, 64));
    assert.ok(Math.abs((values[32] ?? NaN) - Math.sin(0.5)) < 1e-6);
  }));

Deno.test("`plan()` fuses what nothing but a chain of as many elements reads", () => {
  const [x, row] = [nn.input([8, 6]), nn.input([6])];
  const shared = nn.exp(x);
  const chain = nn.relu(nn.add(nn.mul(shared, row), nn.sin(shared)));
  const total = nn.sum(nn.square(chain));
  const kept = nn.tanh(nn.cos(x));
  const outputs = [total, kept, nn.neg(kept)];
  const { steps } = plan({ inputs: [x, row], outputs });
  const names = steps.flatMap((s) => s.kind === "dispatch" ? [s.dispatch.kernel.name] : []);
  const parts = names.map((name) => name.replace(/^fused \d+: /, ""));
  assert.deepEqual(parts, ["exp mul sin add relu square", "reduce", "cos tanh", "unary"]);
});
