/** What `kernel()` reads from a WGSL text, and what it refuses. */
import assert from "node:assert/strict";
import { fc } from "./property.ts";
import { unroll } from "../src/nn/compile/unroll.ts";
import { kernel, resolveOverrides } from "../src/nn/graph/kernel.ts";

const bindings = `
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage,read> index : array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;
`;
const main = `
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {}
`;

Deno.test("`kernel()` reads overrides with and without defaults, in order", () => {
  const { overrides } = kernel(
    "k",
    `override N: u32;
    override D1 : u32 = 7u;
    override OFFSET: i32 = -3;
    override SCALE: f32 = 2.5e-1f;
    override FLAG: bool = true;
    override OTHER: bool = false;
    // override GONE: u32;
    ${bindings}${main}`,
  );
  assert.deepEqual([...overrides], [
    ["N", undefined],
    ["D1", 7],
    ["OFFSET", -3],
    ["SCALE", 0.25],
    ["FLAG", 1],
    ["OTHER", 0],
  ]);
});

Deno.test("`kernel()` reads enumeration constants and leaves other constants", () => {
  const { constants } = kernel(
    "k",
    `const OP_exp = 1u;
    const OP_log1p: u32 = 2u;
    const ACTIVATION_relu = 3;
    const TILE = 8u;
    const pi = 3.14;
    // const OP_gone = 4u;
    ${bindings}${main}`,
  );
  assert.deepEqual([...constants], [["OP_exp", 1], ["OP_log1p", 2], ["ACTIVATION_relu", 3]]);
});

Deno.test("`kernel()` reads bindings in order, the workgroup size, and keeps name and source", () => {
  const source = bindings + main.replace("64", "256");
  const parsed = kernel("k", source);
  assert.deepEqual(parsed.bindings, [
    { name: "x", access: "read", vectors: false, texture: undefined },
    { name: "index", access: "read", vectors: false, texture: undefined },
    { name: "y", access: "read_write", vectors: true, texture: undefined },
  ]);
  assert.equal(parsed.workgroup, 256);
  assert.equal(parsed.name, "k");
  assert.equal(parsed.source, source);
});

Deno.test("`kernel()` knows what is read from a texture, as vectors of four", () => {
  const texture = "@group(0) @binding(0) var x: texture_storage_2d<rgba32float, read>;";
  const source = bindings.replace(/@group\(0\) @binding\(0\)[^;]*;/, texture) + main;
  const [x, ...others] = kernel("k", source).bindings;
  assert.deepEqual(x, { name: "x", access: "read", vectors: true, texture: "rgba32float" });
  assert.ok(others.every(({ texture }) => !texture));
});

Deno.test("`kernel()` refuses bindings that are out of order", () => {
  const source = bindings.replace("binding(1)", "binding(3)") + main;
  assert.throws(() => kernel("k", source), {
    message: 'Cannot use "k": binding 3 is out of order',
  });
});

Deno.test("`kernel()` refuses no output, two outputs, and an output that is not last", () => {
  const message = 'Cannot use "k": needs exactly one read_write binding, the last';
  const none = bindings.replace("read_write", "read");
  const two = bindings.replace("<storage, read>", "<storage, read_write>");
  const first = two.replace("read_write> y", "read> y");
  for (const wrong of [none, two, first, ""]) {
    assert.throws(() => kernel("k", wrong + main), { message });
  }
});

Deno.test("`kernel()` refuses a file without entry point or 1-D workgroup size", () => {
  const message = 'Cannot use "k": no entry point "main" with a 1-D workgroup size';
  for (const wrong of [main.replace("main", "run"), main.replace("64", "8, 8"), "// fn main()"]) {
    assert.throws(() => kernel("k", bindings + wrong), { message });
  }
});

const example = kernel(
  "example",
  `override N: u32; override STRIDE: u32 = 1u; override OP: u32; override ACTIVATION: u32 = 0u;
  const OP_sum = 0u; const OP_max = 1u; const ACTIVATION_none = 0u; const ACTIVATION_relu = 1u;
  ${bindings}${main}`,
);

Deno.test("`resolveOverrides()` fills in defaults and resolves names by their own override", () => {
  assert.deepEqual(resolveOverrides(example, { N: 5, OP: "sum" }), {
    N: 5,
    STRIDE: 1,
    OP: 0,
    ACTIVATION: 0,
  });
  assert.deepEqual(resolveOverrides(example, { OP: "max", ACTIVATION: "relu", STRIDE: 0, N: 2 }), {
    N: 2,
    STRIDE: 0,
    OP: 1,
    ACTIVATION: 1,
  });
});

Deno.test("`resolveOverrides()` says what is missing, unknown or not a constant", () => {
  const cases: readonly [Record<string, number | string>, string][] = [
    [{ OP: "sum" }, 'Cannot dispatch "example": override "N" is missing'],
    [{ N: 1, OP: "sum", K: 2 }, 'Cannot dispatch "example": no override "K"'],
    [{ N: 1, OP: "mean" }, 'Cannot dispatch "example": "OP" has no constant "mean"'],
    [{ N: 1, OP: "relu" }, 'Cannot dispatch "example": "OP" has no constant "relu"'],
    [{ N: "sum", OP: "sum" }, 'Cannot dispatch "example": "N" has no constant "sum"'],
  ];
  for (const [given, message] of cases) {
    assert.throws(() => resolveOverrides(example, given), { message });
  }
});

Deno.test("`resolveOverrides()` gives back every number it was given, for any set of overrides", () => {
  const values = fc.dictionary(
    fc.stringMatching(/^[A-Z][A-Z0-9]{0,5}$/),
    fc.record({ given: fc.nat(), fallback: fc.option(fc.nat(), { nil: undefined }) }),
  );
  fc.assert(fc.property(values, (table) => {
    const lines = Object.entries(table).map(([name, { fallback }]) =>
      `override ${name}: u32${fallback === undefined ? "" : ` = ${fallback}u`};`
    );
    const parsed = kernel("k", lines.join("\n") + bindings + main);
    const given = Object.fromEntries(Object.entries(table).map(([name, v]) => [name, v.given]));
    assert.deepEqual(resolveOverrides(parsed, given), given);
    const needed = Object.entries(table).filter(([, v]) => v.fallback === undefined);
    const least = Object.fromEntries(needed.map(([name, v]) => [name, v.given]));
    const filled = Object.fromEntries(
      Object.entries(table).map(([name, v]) => [name, v.fallback ?? v.given]),
    );
    assert.deepEqual(resolveOverrides(parsed, least), filled);
  }));
});

Deno.test("`unroll()` computes braces from left to right, what stands in parentheses first", () => {
  const source = "  a{p} = x{p * S + (k * D)} + {p + 1 * 2}u; // each p < N - 1, k < 2\nb{p}";
  const lines = unroll(source, { N: 3, S: 2, D: 3 }).split("\n");
  assert.deepEqual(lines, [
    "  a0 = x0 + 2u;",
    "  a0 = x3 + 2u;",
    "  a1 = x2 + 4u;",
    "  a1 = x5 + 4u;",
    "b{p}",
  ]);
  assert.deepEqual(unroll("y // each once < 2 - (N / 2)", { N: 2 }), "y");
  assert.deepEqual(unroll("y // each once < 2 - (N / 2)", { N: 4 }), "");
  const message = /^Error: Cannot unroll a kernel: "Q" is neither a number nor an override/;
  assert.throws(() => unroll("x{p + (Q * 2)} // each p < 1", {}), message);
});
