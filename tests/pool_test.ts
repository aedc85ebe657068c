/** Pools over any windows: against plain loops, today's forms as they were, what is refused. */
import assert from "node:assert/strict";
import * as nn from "../src/nn/mod.ts";
import { plan } from "../src/nn/compile/plan.ts";
import { wave } from "./check_grads.ts";
import { fc } from "./property.ts";
import { withDevice } from "./support.ts";

/** The windows along an axis, as lists of pixels: those of the image, and how many count with the padding. */
interface Axis {
  readonly pixels: readonly (readonly number[])[];
  readonly padded: readonly number[];
}

/**
 * By moving a window on: it stands at -before, then a stride further, as long as it has room; with `ceil` once more
 * where something is left over, but not beyond the image's end.
 */
function axisOf(
  { length, size, stride, dilation, before, after, ceil }:
    & Readonly<
      Record<"length" | "size" | "stride" | "dilation" | "before" | "after", number>
    >
    & { readonly ceil: boolean },
): Axis {
  const end = (start: number): number => start + (size - 1) * dilation + 1;
  const starts: number[] = [];
  let start = -before;
  for (; end(start) <= length + after; start += stride) starts.push(start);
  if (ceil && end(start - stride) < length + after) starts.push(start);
  if (ceil && (starts.at(-1) ?? 0) >= length) starts.pop();
  const windows = starts.map((from) => Array.from({ length: size }, (_, i) => from + i * dilation));
  return {
    pixels: windows.map((all) => all.filter((pixel) => pixel >= 0 && pixel < length)),
    padded: windows.map((all) => all.filter((pixel) => pixel < length + after).length),
  };
}

const side = fc.integer({ min: 1, max: 7 });
const axis = fc.record({
  length: side,
  size: fc.integer({ min: 1, max: 4 }),
  stride: fc.integer({ min: 1, max: 3 }),
  dilation: fc.integer({ min: 1, max: 3 }),
  before: fc.nat(2),
  after: fc.nat(2),
});

Deno.test("pools are plain loops over windows, and their gradients too, whatever the windows", () => {
  let compared = 0;
  fc.assert(
    fc.property(axis, axis, fc.boolean(), fc.boolean(), (v, h, ceil, countIncludePad) => {
      const x = nn.input([1, 2, v.length, h.length]);
      const values = Float64Array.from(wave(nn.size(x.shape), 3), (w) => Math.round(3 * w));
      const options = {
        window: [v.size, h.size],
        stride: [v.stride, h.stride],
        padding: [v.before, h.before, v.after, h.after],
        ceil,
      } as const;
      const dilation = [v.dilation, h.dilation] as const;
      const far = [axisOf({ ...v, ceil }), axisOf({ ...h, ceil })] as const;
      const near = [
        axisOf({ ...v, ceil, dilation: 1 }),
        axisOf({ ...h, ceil, dilation: 1 }),
      ] as const;
      const tries = [
        { axes: far, make: () => nn.maxPool2d(x, { ...options, dilation }), by: highest },
        {
          axes: near,
          make: () => nn.avgPool2d(x, { ...options, countIncludePad }),
          by: meansOf(countIncludePad),
        },
      ];
      for (const { axes, make, by } of tries) {
        const empty = axes.some(({ pixels }) =>
          pixels.length === 0 || pixels.some((list) => list.length === 0)
        );
        if (empty) {
          assert.throws(make, /^Error: Cannot (pool|average) \[/);
          continue;
        }
        compare(make(), x, values, axes, by);
        compared++;
      }
    }),
    { numRuns: 300 },
  );
  assert.ok(compared > 100, `${compared} pools`);
});

/** Which pixels of a window count by which share, from their places and values. */
type Shares = (
  places: readonly number[],
  values: readonly number[],
  padded: number,
) => ReadonlyMap<number, number>;

const highest: Shares = (places, values) => {
  const first = values.indexOf(Math.max(...values));
  return new Map([[places[first] ?? NaN, 1]]);
};

function meansOf(countIncludePad: boolean): Shares {
  return (places, _, padded) =>
    new Map(places.map((place) => [place, 1 / (countIncludePad ? padded : places.length)]));
}

function compare(
  y: nn.Tensor,
  x: nn.Tensor,
  values: Float64Array,
  [rows, columns]: readonly [Axis, Axis],
  by: Shares,
): void {
  assert.deepEqual(y.shape, [1, 2, rows.pixels.length, columns.pixels.length]);
  const g = Float32Array.from(wave(nn.size(y.shape), 8));
  const [dx = x] = nn.grad(nn.mul(y, nn.constant(g, y.shape)), [x]);
  const [made = [], slope = []] = nn.evaluate([y, dx], new Map([[x, values]]));
  const expected: number[] = [];
  const gradient = new Float64Array(values.length);
  const [, , H = 1, W = 1] = x.shape;
  for (let plane = 0; plane < 2; plane++) {
    rows.pixels.forEach((down, i) =>
      columns.pixels.forEach((across, j) => {
        const places = down.flatMap((row) => across.map((c) => (plane * H + row) * W + c));
        const padded = (rows.padded[i] ?? NaN) * (columns.padded[j] ?? NaN);
        const shares = by(places, places.map((place) => values[place] ?? NaN), padded);
        let sum = 0;
        for (const [place, share] of shares) {
          sum += share * (values[place] ?? NaN);
          gradient[place] = (gradient[place] ?? NaN) + share * (g[expected.length] ?? NaN);
        }
        expected.push(sum);
      })
    );
  }
  for (const [actual, wanted] of [[made, expected], [slope, gradient]] as const) {
    assert.equal(actual.length, wanted.length);
    wanted.forEach((e, i) => assert.ok(Math.abs((actual[i] ?? NaN) - e) < 1e-12, `${y.shape}`));
  }
}

Deno.test("options that say what today's forms say make the same programs", () => {
  const x = nn.input([2, 3, 8, 8]);
  const w = nn.input([5, 3, 3, 3]);
  const forms: readonly (readonly [nn.Tensor, nn.Tensor])[] = [
    [nn.maxPool2d(x, 2), nn.maxPool2d(x, { window: 2 })],
    [nn.maxPool2d(x, 3, 2), nn.maxPool2d(x, { window: [3, 3], stride: 2, padding: 0 })],
    [
      nn.maxPool2d(nn.conv2d(x, w, { padding: 1 }), 2),
      nn.maxPool2d(nn.conv2d(x, w, { padding: 1 }), { window: 2, stride: [2, 2], dilation: 1 }),
    ],
  ];
  for (const [old, other] of forms) {
    const [was, is] = [old, other].map((y) => {
      const outputs = [y, ...nn.grad(nn.square(y), [x])];
      return plan({ inputs: [x, w], outputs }).steps.map((step) =>
        step.kind === "dispatch"
          ? [step.file, step.dispatch.overrides, step.dispatch.threads]
          : step
      );
    });
    assert.deepEqual(is, was);
  }
});

Deno.test("a pool passes NaN on, as PyTorch does, and gives it the gradient", () => {
  const x = nn.input([1, 1, 3, 3]);
  const y = nn.maxPool2d(x, { window: 2, padding: 1 });
  const [dx = x] = nn.grad(y, [x]);
  const values = [1, 5, 2, NaN, 3, NaN, 0, 0, 4];
  const [made = [], slope = []] = nn.evaluate([y, dx], new Map([[x, values]]));
  assert.deepEqual([...made], [1, 5, NaN, NaN]);
  assert.deepEqual([...slope], [1, 1, 0, 1, 0, 1, 0, 0, 0]);
});

Deno.test("pools that make no sense are refused in words", () => {
  const x = nn.input([1, 1, 4, 4]);
  const wrong: readonly (readonly [nn.MaxPoolOptions, RegExp])[] = [
    [{ window: 5 }, /^Error: Cannot pool \[1, 1, 4, 4\] by 5 x 5$/],
    [{ window: 0 }, /by 0 x 0$/],
    [{ window: 2, stride: 0 }, /by 2 x 2$/],
    [{ window: 2, stride: 1.5 }, /by 2 x 2$/],
    [{ window: 2, padding: -1 }, /by 2 x 2$/],
    [{ window: [2, 1], padding: [2, 0, 0, 0] }, /by 2 x 1: a window would lie in the padding$/],
  ];
  for (const [options, message] of wrong) {
    assert.throws(() => nn.maxPool2d(x, options), message);
    if (options.window === 5) continue;
    assert.throws(() => nn.avgPool2d(x, options), /^Error: Cannot average \[1, 1, 4, 4\] by/);
  }
  assert.throws(
    () => nn.maxPool2d(nn.input([4, 4]), { window: 1 }),
    /^Error: Cannot pool \[4, 4\]/,
  );
});

Deno.test("pools of many planes, with padding, are on the device what they are in f64", () =>
  withDevice(async (device) => {
    const x = nn.input([3, 5, 13, 12]);
    const options = { window: 3, stride: 2, padding: 1, ceil: true } as const;
    const dilated = { window: [2, 3], stride: 1, padding: [1, 2, 0, 1], dilation: 2 } as const;
    const ys = [
      nn.maxPool2d(x, options),
      nn.maxPool2d(x, dilated),
      nn.avgPool2d(x, { ...options, countIncludePad: false }),
    ];
    const outputs = [...ys, ...ys.flatMap((y) => nn.grad(nn.square(y), [x]))];
    using program = await nn.compile(device, { inputs: [x], outputs });
    const data = Float32Array.from(wave(nn.size(x.shape), 2));
    program.run([data]);
    const exact = nn.evaluate(outputs, new Map([[x, data]]));
    for (const [i, y] of outputs.entries()) {
      (await program.read(y)).forEach((value, j) =>
        assert.ok(Math.abs(value - (exact[i]?.[j] ?? NaN)) < 1e-5, `output ${i} at ${j}: ${value}`)
      );
    }
  }));
