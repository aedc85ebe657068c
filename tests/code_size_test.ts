/** How much code a driver has to compile: a kernel's text written out, and what it calls at every call. */
import assert from "node:assert/strict";
import { kernelCases, kernels } from "../src/nn/check/self_test.ts";
import { plan } from "../src/nn/compile/plan.ts";
import { unroll } from "../src/nn/compile/unroll.ts";
import { type Kernel, kernel, type Overrides, resolveOverrides } from "../src/nn/graph/kernel.ts";
import { type TileProfile, tileProfiles } from "../src/nn/graph/tiles.ts";
import * as nn from "../src/nn/mod.ts";

/** Branches of a kernel by `&&` and `||`; of these more cost some drivers minutes. */
const mostShortCircuits = 3;

interface CodeSize {
  readonly statements: number;
  /** `&&` and `||` after values that are known at run time only: the others leave no branch. */
  readonly shortCircuits: number;
}

function codeSize(of: Kernel, overrides: Overrides): CodeSize {
  const text = unroll(of.source, resolveOverrides(of, overrides)).replaceAll(/\/\/[^\n]*/g, "");
  const bodies = new Map(
    [...text.matchAll(/^fn (\w+)\([^{]*\{(.*?)^\}/gms)].map(([, name = "", body = ""]) => [
      name,
      body,
    ]),
  );
  const sizes = new Map<string, CodeSize>();
  const sizeOf = (name: string): CodeSize => {
    const body = bodies.get(name) ?? "";
    let size = sizes.get(name);
    if (size) return size;
    let statements = body.split(";").length - 1;
    let shortCircuits = body.split("\n").reduce((sum, line) => sum + shortCircuitsOf(line), 0);
    for (const [, called = ""] of body.matchAll(/\b(\w+)\(/g)) {
      if (!bodies.has(called)) continue;
      statements += sizeOf(called).statements;
      shortCircuits += sizeOf(called).shortCircuits;
    }
    size = { statements, shortCircuits };
    sizes.set(name, size);
    return size;
  };
  return sizeOf("main");
}

function shortCircuitsOf(line: string): number {
  return [...line.matchAll(/&&|\|\|/g)].filter(({ index }) => {
    const left = line.slice(0, index).replace(/^.*\b(?:if|return) \(?|^.*[^=!<>]= /, "");
    return /\b[a-z]\w*\b(?!\()/.test(left.replaceAll(/\b\d+u\b/g, ""));
  }).length;
}

/** What is too large of a kernel that is cut by a profile, in words. */
function complaints(what: string, size: CodeSize, { name, statements }: TileProfile): string[] {
  return [
    size.statements > statements ? `${what}: ${size.statements} statements, ${name}` : "",
    size.shortCircuits > mostShortCircuits
      ? `${what}: ${size.shortCircuits} branches, ${name}`
      : "",
  ].filter(Boolean);
}

/** Convolutions `[images, CI, side, CO, K, stride, padding]` of the networks. */
const layers = [
  [64, 1, 28, 6, 5, 1, 2],
  [1, 1, 28, 6, 5, 1, 0],
  [64, 6, 14, 16, 5, 1, 0],
  [8, 3, 32, 64, 3, 1, 1],
  [8, 64, 32, 64, 3, 1, 1],
  [8, 64, 32, 128, 3, 2, 1],
  [8, 256, 8, 256, 3, 1, 1],
  [8, 512, 4, 512, 3, 1, 1],
] as const;

/** Convolutions `[images, CI, side, CO, K, groups, stride, dilation]` of networks that are imported. */
const imported = [
  [1, 32, 112, 32, 3, 32, 1, 1],
  [4, 96, 56, 96, 3, 96, 2, 1],
  [1, 144, 28, 144, 5, 144, 2, 1],
  [4, 768, 7, 768, 7, 768, 1, 1],
  [1, 96, 56, 96, 7, 96, 1, 1],
  [1, 8, 32, 8, 31, 8, 1, 1],
  [8, 128, 28, 128, 3, 32, 1, 1],
  [2, 96, 27, 256, 5, 2, 1, 1],
  [2, 256, 33, 256, 3, 1, 1, 4],
  [1, 8, 64, 8, 16, 8, 16, 1],
  [1, 8, 64, 16, 5, 4, 3, 3],
] as const;

Deno.test("a kernel's size counts what it calls at every call, and no branch that a constant decides", () => {
  const of = kernel(
    "toy",
    `@group(0) @binding(0) var<storage, read_write> y: array<f32>;
override N: u32;
fn inner(i: u32) -> f32 {
  let far = i > 3u && i < 7u || N == 2u && i == 1u;
  return select(0.0, 1.0, far); // if a && b
}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  y[{p}] = inner({p}u); // each p < N
  if (N > 2u && id.x > 4u) { return; }
}`,
  );
  assert.deepEqual(codeSize(of, { N: 5 }), { statements: 5 * 3 + 1, shortCircuits: 5 * 3 });
});

Deno.test("no kernel of the self-test is longer than its profile allows, or branches often", () => {
  const found = kernelCases.flatMap((of) => {
    const parsed = kernels.get(of.kernel);
    assert(parsed);
    const size = codeSize(parsed, of.overrides);
    assert(size.statements > 0, of.kernel);
    return complaints(`${of.kernel} ${of.label}`, size, tileProfiles[of.profile ?? "portable"]);
  });
  assert.deepEqual(found, []);
});

Deno.test("no kernel of the networks' layers is longer than its profile allows, or branches often", () => {
  for (const tiles of Object.values(tileProfiles)) {
    for (const [b, ci, side, co, k, stride, padding] of layers) {
      const out = Math.floor((side + 2 * padding - k) / stride) + 1;
      const [x, w, g] = [input(b, ci, side, side), input(co, ci, k, k), input(b, co, out, out)];
      const options = { stride, padding };
      const y = nn.conv2d(x, w, options);
      const outputs = [
        y,
        ...out % 2 === 0 ? [nn.maxPool2d(nn.conv2d(x, w, options), 2)] : [],
        nn.conv2dInput(g, w, [side, side], options),
        nn.conv2dWeight(x, g, [k, k], options),
      ];
      checkSizes(`${[b, ci, side, co, k, stride, padding]}`, [x, w, g], outputs, tiles);
    }
    for (const [b, ci, side, co, k, groups, stride, dilation] of imported) {
      const padding = Math.floor(dilation * (k - 1) / 2);
      const [x, w] = [input(b, ci, side, side), input(co, ci / groups, k, k)];
      const options = { groups, stride, dilation, padding };
      const y = nn.conv2d(x, w, options);
      const g = nn.input(y.shape);
      const outputs = [
        y,
        nn.conv2dInput(g, w, [side, side], options),
        nn.conv2dWeight(x, g, [k, k], options),
      ];
      const what = `${[b, ci, side, co, k, groups, stride, dilation]}`;
      checkSizes(what, [x, w, g], outputs, tiles);
    }
  }
});

function input(...shape: number[]): nn.Tensor {
  return nn.input(shape);
}

/** That no kernel of a program is too large for the profile it is cut by. */
function checkSizes(
  what: string,
  inputs: readonly nn.Tensor[],
  outputs: readonly nn.Tensor[],
  tiles: TileProfile,
): void {
  const dispatches = plan({ inputs, outputs, tiles }).steps
    .flatMap((step) => step.kind === "dispatch" ? [step.dispatch] : []);
  assert(dispatches.length >= 3);
  for (const { kernel: of, overrides } of dispatches) {
    assert.deepEqual(complaints(`${of.name} of ${what}`, codeSize(of, overrides), tiles), []);
  }
}
