/**
 * Pools, powers, the error function and layer normalisation against PyTorch's values and gradients
 * (tests/golden/make_ops.py), in f64 and on the device.
 */
import assert from "node:assert/strict";
import { z } from "zod";
import * as nn from "../src/nn/mod.ts";
import { withDevice } from "./support.ts";

const words = z.string().transform((text) =>
  Float64Array.from(text.split(" "), (word) => Number(word.replace("inf", "Infinity")))
);
const two = z.tuple([z.number(), z.number()]);
const pair = z.union([z.number(), two]);
const result = z.object({ shape: z.array(z.number()), y: words, grads: z.array(words) });
const pool = result.extend({
  image: z.array(z.number()),
  fill: z.string().optional(),
  options: z.strictObject({
    window: pair,
    stride: pair.exactOptional(),
    padding: z.union([z.number(), z.tuple([...two.def.items, ...two.def.items])]).exactOptional(),
    dilation: pair.exactOptional(),
    ceil: z.boolean().exactOptional(),
    countIncludePad: z.boolean().exactOptional(),
  }),
});
const golden = z.object({
  maxPools: z.array(pool),
  averagePools: z.array(pool),
  powers: z.object({
    bases: words,
    exponents: words,
    numbers: z.array(result.extend({ exponent: z.number() })),
    tensor: result,
  }),
  erf: result.extend({ points: words }),
  norms: z.array(result.extend({ axes: z.number() })),
}).parse(JSON.parse(await Deno.readTextFile(new URL("golden/ops.json", import.meta.url))));

/** The image and the cotangent that the script makes, too. */
const image = (n: number): Float64Array =>
  Float64Array.from({ length: n }, (_, i) => (7 * i * i + 3 * i) % 11 - 5);
const cotangent = (n: number): Float64Array =>
  Float64Array.from({ length: n }, (_, i) => i % 5 + 1);

/** A function at some arrays, and what PyTorch makes of it. */
interface Case {
  readonly name: string;
  readonly f: (...xs: nn.Tensor[]) => nn.Tensor;
  readonly at: readonly (readonly [nn.Shape, Float64Array])[];
  readonly expected: z.infer<typeof result>;
}

function pools(
  name: string,
  all: readonly z.infer<typeof pool>[],
  f: (x: nn.Tensor, options: nn.MaxPoolOptions & nn.AvgPoolOptions) => nn.Tensor,
): Case[] {
  return all.map(({ image: shape, options, fill, ...expected }) => {
    const n = nn.size(shape);
    const x = fill === undefined ? image(n) : new Float64Array(n).fill(-Infinity);
    return {
      name: `${name} ${JSON.stringify(options)}`,
      f: (tensor) => f(tensor, options),
      at: [[shape, x]],
      expected,
    };
  });
}

function powers(): Case[] {
  const { bases, exponents, numbers, tensor } = golden.powers;
  const flat = (pick: (b: number, e: number) => number): Float64Array =>
    Float64Array.from([...bases].flatMap((b) => [...exponents].map((e) => pick(b, e))));
  const grid = [flat((b) => b), flat((_, e) => e)];
  return [
    ...numbers.map(({ exponent, ...expected }): Case => ({
      name: `pow ${exponent}`,
      f: (x) => nn.pow(x, exponent),
      at: [[[bases.length], bases]],
      expected,
    })),
    {
      name: "pow of tensors",
      f: (x, e) => nn.pow(x, e ?? x),
      at: grid.map((values) => [[values.length], values]),
      expected: tensor,
    },
  ];
}

function others(): Case[] {
  const { points, ...erf } = golden.erf;
  const far = image(24).map((v) => v / 100 + 1000);
  return [
    { name: "erf", f: (x) => nn.erf(x), at: [[[points.length], points]], expected: erf },
    ...golden.norms.map(({ axes, ...expected }): Case => {
      const shape = [2, 3, 4].slice(-axes);
      const n = nn.size(shape);
      return {
        name: `layerNorm over ${axes}`,
        f: (x, w, b) => nn.layerNorm(x, axes, w, b),
        at: [[[2, 3, 4], far], [shape, image(n).map((v) => v / 3)], [shape, image(n)]],
        expected,
      };
    }),
  ];
}

const cases = [
  ...pools("maxPool2d", golden.maxPools, nn.maxPool2d),
  ...pools("avgPool2d", golden.averagePools, nn.avgPool2d),
  ...powers(),
  ...others(),
];

/** A case as nodes: its inputs, and its value and gradients. */
function graphOf({ f, at }: Case): { inputs: nn.Tensor[]; outputs: nn.Tensor[] } {
  const inputs = at.map(([shape]) => nn.input(shape));
  const y = f(...inputs);
  const weights = nn.constant(Float32Array.from(cotangent(nn.size(y.shape))), y.shape);
  return { inputs, outputs: [y, ...nn.grad(nn.mul(y, weights), inputs)] };
}

/** Where values are off by more than a tolerance, relative to the largest finite one, or not as infinite as they should be. */
function deviations(
  { name, expected }: Case,
  outputs: readonly ArrayLike<number>[],
  tolerance: number,
): string[] {
  return [expected.y, ...expected.grads].flatMap((wanted, i) => {
    const scale = Math.max(1, ...wanted.filter(Number.isFinite).map(Math.abs));
    const found = Array.from(outputs[i] ?? []);
    const wrong = [...wanted].findIndex((e, j) => {
      const value = found[j] ?? NaN;
      const same = Object.is(value, e) || value === e;
      return !same && !(Math.abs(value - e) <= tolerance * scale);
    });
    const what = i === 0 ? "value" : `gradient ${i}`;
    if (found.length !== wanted.length) return [`${name}: ${found.length} numbers in ${what}`];
    return wrong < 0 ? [] : [`${name}, ${what} ${wrong}: ${found[wrong]}, not ${wanted[wrong]}`];
  });
}

Deno.test("pools, powers, `erf()` and `layerNorm()` have PyTorch's values and gradients", () => {
  const failures = cases.flatMap((of) => {
    const { inputs, outputs } = graphOf(of);
    assert.deepEqual(outputs[0]?.shape, of.expected.shape, of.name);
    const values = nn.evaluate(outputs, new Map(inputs.map((x, i) => [x, of.at[i]?.[1] ?? []])));
    return deviations(of, values, of.name.startsWith("layerNorm") ? 1e-9 : 1e-12);
  });
  assert.deepEqual(failures, []);
  assert.ok(cases.length > 30);
});

Deno.test("they have them on the device, too, as far as f32 goes", () =>
  withDevice(async (device) => {
    const graphs = cases.map(graphOf);
    using program = await nn.compile(device, {
      inputs: graphs.flatMap(({ inputs }) => inputs),
      outputs: graphs.flatMap(({ outputs }) => outputs),
    });
    program.run(cases.flatMap(({ at }) => at.map(([, values]) => Float32Array.from(values))));
    const failures: string[] = [];
    for (const [i, of] of cases.entries()) {
      const values = await Promise.all((graphs[i]?.outputs ?? []).map((t) => program.read(t)));
      // Of numbers near 1000 an f32 has four digits less.
      failures.push(...deviations(of, values, of.name.startsWith("layerNorm") ? 2e-3 : 3e-6));
    }
    assert.deepEqual(failures, []);
  }));

Deno.test("`erf()` on the device is off by less than 1e-6 anywhere", () =>
  withDevice(async (device) => {
    const n = 40_000;
    const data = Float32Array.from({ length: n }, (_, i) => 12 * i / n - 6);
    const x = nn.input([n]);
    const y = nn.erf(x);
    using program = await nn.compile(device, { inputs: [x], outputs: [y] });
    program.run([data]);
    const [exact = new Float64Array()] = nn.evaluate([y], new Map([[x, data]]));
    const actual = await program.read(y);
    const worst = exact.reduce((most, e, i) => Math.max(most, Math.abs(e - (actual[i] ?? NaN))), 0);
    assert.ok(worst < 1e-6, `${worst}`);
  }));
