/** Convolutions of every geometry: beside PyTorch's, what goes the fast way, and what is refused. */
import assert from "node:assert/strict";
import { z } from "zod";
import { plan } from "../src/nn/compile/plan.ts";
import * as nn from "../src/nn/mod.ts";
import { checkGrads, type OpCase, positive, v, wave } from "./check_grads.ts";
import { withDevice } from "./support.ts";

const count = z.int();
const numbers = z.string().transform((text) => text.split(" ").map(Number));
const goldenSchema = z.object({
  by: z.string(),
  cases: z.array(z.object({
    name: z.string(),
    image: z.array(count),
    filters: z.array(count),
    options: z.object({
      stride: z.tuple([count, count]),
      padding: z.tuple([count, count, count, count]),
      dilation: z.tuple([count, count]),
      groups: count,
    }),
    shape: z.array(count),
    output: numbers,
    byImage: numbers,
    byFilters: numbers,
    byBias: numbers,
  })),
});
const golden = goldenSchema.parse(
  JSON.parse(await Deno.readTextFile(new URL("golden/convolutions.json", import.meta.url))),
);

/** Every case: its operands' values, the nodes that PyTorch computed, and what it found. */
const cases = golden.cases.map(({ name, image, filters, options, shape, ...expected }) => {
  const operands = [image, filters, filters.slice(0, 1)].map((of) => nn.input(of));
  const [x = nn.constant(0), w = x, bias = x] = operands;
  const y = nn.conv2d(x, w, { ...options, bias });
  const weights = nn.input(shape);
  const outputs = [y, ...nn.grad(nn.mul(y, weights), operands)];
  const inputs = [...operands, weights];
  const values = [1, 2, 4, 3].map((phase, i) => wave(nn.size(inputs[i]?.shape ?? []), phase));
  const { output, byImage, byFilters, byBias } = expected;
  return { name, shape, inputs, values, outputs, found: [output, byImage, byFilters, byBias] };
});

/** Largest difference of two arrays by the largest of the second, infinite where lengths differ. */
function difference(actual: ArrayLike<number>, expected: readonly number[]): number {
  if (actual.length !== expected.length) return Infinity;
  const scale = Math.max(...expected.map(Math.abs));
  return expected.reduce((m, e, i) => Math.max(m, Math.abs((actual[i] ?? NaN) - e)), 0) / scale;
}

Deno.test("`conv2d()` of every geometry and its gradients are PyTorch's, in f64 and on the device", () =>
  withDevice(async (device) => {
    assert.ok(cases.length >= 11);
    const inputs = cases.flatMap((of) => of.inputs);
    const data = cases.flatMap(({ values }) => values);
    const outputs = cases.flatMap((of) => of.outputs);
    using program = await nn.compile(device, { inputs, outputs });
    program.run(data.map((values) => Float32Array.from(values)));
    const exact = nn.evaluate(outputs, new Map(inputs.map((x, i) => [x, data[i] ?? []])));
    for (const { name, shape, outputs: [y, ...gradients], found } of cases) {
      assert.deepEqual(y?.shape, shape, name);
      for (const [i, t] of [y ?? nn.constant(0), ...gradients].entries()) {
        const expected = found[i] ?? [];
        assert.ok(difference(exact[outputs.indexOf(t)] ?? [], expected) < 1e-6, `${name}, ${i}`);
        assert.ok(
          difference(await program.read(t), expected) < 3e-6,
          `${name}, ${i} on the device`,
        );
      }
    }
  }));

const depthwise = { groups: 4, padding: 1 };
const everything = {
  stride: [1, 2],
  padding: [1, 0, 2, 1],
  dilation: [2, 1],
  groups: 2,
} as const;

/** Uses of the general form and its adjoints, and of what a normalisation makes of one. */
const uses: readonly OpCase[] = [
  { f: (x, w) => nn.conv2d(x, w, depthwise), at: [v(2, 4, 4, 5), v(4, 1, 3, 3)] },
  { f: (x, w) => nn.conv2d(x, w, { dilation: 2 }), at: [v(1, 2, 6, 5), v(3, 2, 3, 2)] },
  { f: (x, w) => nn.conv2d(x, w, { padding: [0, 1, 2, 0] }), at: [v(2, 2, 3, 4), v(3, 2, 3, 3)] },
  {
    f: (x, w, bias, residual) =>
      nn.square(nn.conv2d(x, w, { ...everything, bias, residual, activation: "relu" })),
    at: [v(2, 4, 5, 5), v(6, 2, 3, 2), v(6), v(2, 6, 4, 3)],
  },
  { f: (g, w) => nn.conv2dInput(g, w, [4, 5], depthwise), at: [v(2, 4, 4, 5), v(4, 1, 3, 3)] },
  { f: (g, w) => nn.conv2dInput(g, w, [5, 5], everything), at: [v(2, 6, 4, 3), v(6, 2, 3, 2)] },
  { f: (x, g) => nn.conv2dWeight(x, g, [3, 3], depthwise), at: [v(2, 4, 4, 5), v(2, 4, 4, 5)] },
  { f: (x, g) => nn.conv2dWeight(x, g, [3, 2], everything), at: [v(2, 4, 5, 5), v(2, 6, 4, 3)] },
  {
    f: (x, w, offset, b, variance) => {
      const y = nn.conv2d(x, w, { ...depthwise, bias: offset });
      return nn.square(nn.normalizeChannels(y, b, b, { mean: offset, variance }));
    },
    at: [v(2, 4, 3, 3), v(4, 1, 3, 3), v(4), positive(4), positive(4)],
  },
];

Deno.test("general convolutions and their adjoints have right gradients of order 1 and 2", () => {
  for (const { f, at } of uses) checkGrads(f, at, 2);
});

/** Names of the kernels of a convolution and its adjoints, with all that they are compiled with. */
function dispatched(options: nn.ConvOptions, tiles: nn.TileProfile): unknown[] {
  const [x, w] = [nn.input([2, 16, 12, 12]), nn.input([32, 16, 3, 3])];
  const y = nn.conv2d(x, w, options);
  const outputs = [
    y,
    nn.conv2dInput(y, w, [12, 12], options),
    nn.conv2dWeight(x, y, [3, 3], options),
  ];
  return plan({ inputs: [x, w], outputs, tiles }).steps.map((step) =>
    step.kind === "dispatch"
      ? [step.dispatch.kernel.name, step.dispatch.overrides, step.dispatch.threads]
      : step.kind
  );
}

Deno.test("one stride and one padding make the same programs in whichever words they are given", () => {
  for (const tiles of Object.values(nn.tileProfiles)) {
    const same = (plain: nn.ConvOptions, ...others: readonly nn.ConvOptions[]): void => {
      const expected = dispatched(plain, tiles);
      assert.ok(!String(expected).includes("general"));
      for (const options of others) assert.deepEqual(dispatched(options, tiles), expected);
    };
    same({}, { stride: [1, 1], padding: [0, 0, 0, 0], dilation: [1, 1], groups: 1 });
    same({ padding: 1 }, { padding: [1, 1, 1, 1] }, { padding: 1, dilation: 1 });
    // Of an even side a stride of 2 leaves the last zeros out.
    same({ stride: 2, padding: 1 }, { stride: [2, 2], padding: 1 }, {
      stride: 2,
      padding: [1, 1, 0, 0],
    });
    for (const other of [{ groups: 2 }, { dilation: 2 }, { padding: [0, 0, 1, 1] }] as const) {
      const w = nn.input([32, 16 / (other.groups ?? 1), 3, 3]);
      const y = nn.conv2d(nn.input([2, 16, 12, 12]), w, other);
      const [step] = plan({ inputs: [...y.inputs.slice(0, 2)], outputs: [y], tiles }).steps
        .flatMap((of) => of.kind === "dispatch" ? [of.file] : []);
      assert.equal(step, "conv2d_general");
    }
  }
});

Deno.test("a convolution in groups is one of each group's channels", () => {
  const [x, w] = [nn.input([2, 6, 5, 7]), nn.input([4, 3, 3, 2])];
  const options = { stride: 2, padding: 1 };
  const parts = [0, 1].map((group) =>
    nn.conv2d(
      nn.slice(x, [0, 3 * group, 0, 0], [2, 3, 5, 7]),
      nn.slice(w, [2 * group, 0, 0, 0], [2, 3, 3, 2]),
      options,
    )
  );
  const leaves = new Map([[x, wave(420, 1)], [w, wave(72, 2)]]);
  const [all = [], ...each] = nn.evaluate(
    [nn.conv2d(x, w, { ...options, groups: 2 }), ...parts],
    leaves,
  );
  const plane = all.length / 8;
  for (let i = 0; i < all.length; i++) {
    const [image, channel] = [Math.floor(i / (4 * plane)), Math.floor(i / plane) % 4];
    const part = each[channel >> 1]?.[(2 * image + channel % 2) * plane + i % plane] ?? NaN;
    assert.ok(Math.abs((all[i] ?? NaN) - part) < 1e-12, `element ${i}`);
  }
});

Deno.test("a convolution whose shapes or geometry do not fit is refused with both shapes", () => {
  const x = nn.input([1, 6, 5, 5]);
  const refused = (w: readonly number[], options: nn.ConvOptions, message: string): void => {
    const expected = { message: `Cannot convolve [1, 6, 5, 5] with [${w.join(", ")}]${message}` };
    assert.throws(() => nn.conv2d(x, nn.input(w), options), expected);
  };
  refused([4, 5, 3, 3], {}, ": channels differ");
  refused([4, 6, 3, 3], { groups: 2 }, " in 2 groups: channels differ");
  refused([4, 1, 3, 3], { groups: 4 }, " in 4 groups: channels differ");
  refused([4, 1, 3, 3], { groups: 6 }, " in 6 groups: filters do not come in equal groups");
  refused([4, 6, 6, 3], {}, ": the kernel is larger");
  refused(
    [4, 6, 3, 4],
    { padding: [9, 0, 9, 0], dilation: [1, 2] },
    [
      ": the kernel, dilated by 1 x 2, is larger",
    ].join(),
  );
  refused([4, 6, 3, 3], { stride: [1, 0] }, ": stride is 1, 0");
  refused([4, 6, 3, 3], { padding: [0, 0, -1, 0] }, ": padding is 0, 0, -1, 0");
  refused([4, 6, 3, 3], { dilation: 1.5 }, ": dilation is 1.5, 1.5");
  refused([4, 6, 3, 3], { groups: 0 }, " in 0 groups: groups is 0");
  const w = nn.input([4, 3, 3, 3]);
  assert.throws(() => nn.conv2dInput(nn.input([1, 4, 4, 3]), w, [5, 5], { groups: 2 }), {
    message: "Cannot transpose a convolution of [1, 4, 4, 3] with [4, 3, 3, 3]",
  });
  assert.throws(() => nn.conv2dWeight(x, nn.input([1, 4, 4, 3]), [3, 3], { groups: 2 }), {
    message: "Cannot correlate [1, 6, 5, 5] with [1, 4, 4, 3]",
  });
  assert.throws(() => nn.conv2dWeight(x, nn.input([1, 4, 3, 3]), [3, 3], { groups: 4 }), {
    message: "Cannot convolve [1, 6, 5, 5] with [4, 1, 3, 3] in 4 groups: channels differ",
  });
});

Deno.test("a kernel as large as the padded image makes one pixel, dilated too", () => {
  const [x, w] = [nn.input([1, 1, 3, 2]), nn.input([1, 1, 3, 2])];
  const y = nn.conv2d(x, w, { padding: [1, 0, 1, 1], dilation: 2 });
  assert.deepEqual(y.shape, [1, 1, 1, 1]);
  // Taps see rows -1, 1 and 3 and columns 0 and 2, of which row 1 and column 0 are in the image.
  const leaves = new Map([[x, [1, 2, 3, 4, 5, 6]], [w, [1, 10, 100, 1000, 1e4, 1e5]]]);
  assert.deepEqual([...nn.evaluate([y], leaves)[0] ?? []], [300]);
});

Deno.test("layers take groups, and spectral ones their norm by the operator", () => {
  const random = new nn.Random(3);
  const plain = new nn.Conv2d(random, 6, 4, 3, { groups: 2, padding: [1, 0, 0, 1] });
  assert.deepEqual(plain.weight.shape, [4, 3, 3, 3]);
  assert.ok(plain.weight.data.every((value) => Math.abs(value) <= 1 / Math.sqrt(27)));
  const x = nn.input([1, 6, 5, 5]);
  assert.deepEqual(plain.forward(x, new nn.Pass(false)).shape, [1, 4, 4, 4]);
  for (const size of [1, 3]) {
    const options = { groups: 2, coeff: 1, imageSize: [5, 5], stride: [2, 1] } as const;
    const layer = new nn.SpectralConv2d(random, 6, 4, size, options);
    const { u, v } = layer.spectral;
    assert.deepEqual(v.shape, [1, 6, 5, 5]);
    assert.deepEqual(u.shape, [1, 4, size === 1 ? 3 : 2, size === 1 ? 5 : 3]);
    const pass = new nn.Pass(true);
    assert.deepEqual(layer.forward(x, pass).shape, u.shape);
    const [next = []] = nn.evaluate([pass.get(u)]);
    assert.ok(Math.abs(Math.hypot(...next) - 1) < 1e-6);
  }
  assert.throws(() => new nn.Conv2d(random, 7, 4, 3, { groups: 2 }), {
    message: "Cannot make 4 channels of 7 in 2 equal groups",
  });
});
