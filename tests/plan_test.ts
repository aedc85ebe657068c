/** Plans: what they must never do to memory, checked on random graphs; no device. */
import assert from "node:assert/strict";
import { fc } from "./property.ts";
import * as nn from "../src/nn/mod.ts";
import { type Binding, plan } from "../src/nn/plan.ts";

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
        const reads = later.tensor.inputs.some((t) => owner(t) === step.tensor);
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

Deno.test("`plan()` shares equal work, drops what nothing needs, and reuses buffers", () => {
  const x = nn.input([100]);
  const [a, b] = [nn.exp(x), nn.exp(x)];
  nn.sin(x);
  const { stats } = plan({ inputs: [x], outputs: [nn.add(a, b)] });
  assert.equal(stats.dispatches, 2);
  let y: nn.Tensor = x;
  for (let i = 0; i < 50; i++) y = nn.sin(y);
  const chain = plan({ inputs: [x], outputs: [y] });
  assert.equal(chain.stats.dispatches, 50);
  assert.equal(chain.stats.buffers, 3, "the input and two that take turns");
  assert.ok(chain.stats.bytes < chain.stats.unsharedBytes / 10);
});

Deno.test("`plan()` puts what no update changes first, to be done once in a repeated run", () => {
  const state = new nn.Parameter([8], 1);
  const x = nn.input([8]);
  const fixed = nn.exp(nn.sin(x));
  const next = nn.add(nn.mul(state.tensor, 0.5), fixed);
  const { steps, invariant } = plan({ inputs: [x], updates: new Map([[state, next]]) });
  assert.deepEqual(steps.map((s) => s.tensor.name), ["sin", "exp", "scale", "add"]);
  assert.equal(invariant, 2);
});
