/** Shapes of up to eight axes, joins, takes and batches of products: against plain loops, and in how many dispatches. */
import assert from "node:assert/strict";
import * as nn from "../src/nn/mod.ts";
import { plan } from "../src/nn/compile/plan.ts";
import { wave } from "./check_grads.ts";
import { fc } from "./property.ts";
import { withDevice } from "./support.ts";

/** An array in plain numbers: what the ops are held against. */
interface Plain {
  readonly shape: nn.Shape;
  readonly at: (index: readonly number[]) => number;
}

/** Distinct whole numbers in a shape, as a node and plainly. */
function counted(shape: nn.Shape, from = 1): { x: nn.Tensor; plain: Plain } {
  const data = Float32Array.from({ length: nn.size(shape) }, (_, i) => from + i);
  const at = (index: readonly number[]): number =>
    data[index.reduce((flat, i, axis) => flat * (shape[axis] ?? NaN) + i, 0)] ?? NaN;
  return { x: nn.constant(data, shape), plain: { shape, at } };
}

/** Every index of a shape, in row-major order. */
function* indices(shape: nn.Shape): Generator<number[]> {
  if (shape.length === 0) yield [];
  const [n = 0, ...rest] = shape;
  for (let i = 0; shape.length > 0 && i < n; i++) {
    for (const index of indices(rest)) yield [i, ...index];
  }
}

/** Asserts that a node is a plain array. */
function same(y: nn.Tensor, { shape, at }: Plain): void {
  assert.deepEqual(y.shape, shape);
  const [values = []] = nn.evaluate([y]);
  let i = 0;
  for (const index of indices(shape)) {
    const [actual, expected] = [values[i++] ?? NaN, at(index)];
    assert.ok(
      Math.abs(actual - expected) <= 1e-12 * Math.max(1, Math.abs(expected)),
      `${y.name} [${shape}] at [${index}] is ${actual}, not ${expected}`,
    );
  }
}

/** Up to eight axes, of 300 elements at most, and a number for choices. */
const shapes = fc.tuple(
  fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 8 })
    .filter((shape) => nn.size(shape) <= 300),
  fc.nat(),
);

Deno.test("movements of up to eight axes put elements where their names say", () => {
  fc.assert(fc.property(shapes, ([shape, seed]) => {
    const { x, plain } = counted(shape);
    const pick = (axis: number, n: number): number => (seed >> axis) % n;
    const order = shape.map((_, i) => i)
      .toSorted((a, b) => (seed * (a + 3)) % 11 - (seed * (b + 3)) % 11);
    const turned = order.map((axis) => shape[axis] ?? 0);
    same(nn.permute(x, order), {
      shape: turned,
      at: (index) => plain.at(shape.map((_, axis) => index[order.indexOf(axis)] ?? NaN)),
    });
    const flipped = shape.flatMap((_, i) => pick(i, 2) ? [i] : []);
    same(nn.flip(x, flipped), {
      shape,
      at: (index) =>
        plain.at(index.map((i, axis) => flipped.includes(axis) ? (shape[axis] ?? 0) - 1 - i : i)),
    });
    const start = shape.map((n, i) => pick(i, n));
    const steps = shape.map((_, i) => [1, 2, -1, -2][pick(i + 1, 4)] ?? 1);
    const sizes = shape.map((n, i) => {
      const [s = 0, step = 1] = [start[i], steps[i]];
      return Math.floor((step > 0 ? n - 1 - s : s) / Math.abs(step)) + 1;
    });
    const place = (index: readonly number[]): number[] =>
      index.map((i, axis) => (start[axis] ?? 0) + i * (steps[axis] ?? 1));
    const part = nn.slice(x, start, sizes, steps);
    same(part, { shape: sizes, at: (index) => plain.at(place(index)) });
    // Each element goes back to where it came from; the others are 0.
    const taken = new Set([...indices(sizes)].map((index) => place(index).join()));
    same(nn.pad(part, start, shape, steps), {
      shape,
      at: (index) => taken.has(index.join()) ? plain.at(index) : 0,
    });
    const larger = shape.map((n, i) => n + pick(i, 3));
    same(nn.pad(x, shape.map((_, i) => pick(i, 3)), larger), {
      shape: larger,
      at: (index) => {
        const from = index.map((i, axis) => i - pick(axis, 3));
        return from.every((i, axis) => i >= 0 && i < (shape[axis] ?? 0)) ? plain.at(from) : 0;
      },
    });
  }));
});

Deno.test("sums, maxima and operations that broadcast take up to eight axes", () => {
  fc.assert(fc.property(shapes, ([shape, seed]) => {
    const { x, plain } = counted(shape);
    const chosen = shape.flatMap((_, i) => seed >> i & 1 ? [i] : []);
    const kept = shape.map((n, i) => chosen.includes(i) ? 1 : n);
    same(nn.sum(x, chosen, true), {
      shape: kept,
      at: (index) => {
        let total = 0;
        for (const moved of indices(shape.map((n, i) => chosen.includes(i) ? n : 1))) {
          total += plain.at(index.map((i, axis) => i + (moved[axis] ?? 0)));
        }
        return total;
      },
    });
    const along = seed % shape.length;
    same(nn.min(x, along), {
      shape: shape.toSpliced(along, 1),
      at: (index) => plain.at(index.toSpliced(along, 0, 0)),
    });
    const other = counted(kept, 500);
    const few = (index: readonly number[]): number[] =>
      index.map((i, axis) => chosen.includes(axis) ? 0 : i);
    same(nn.sub(x, other.x), {
      shape,
      at: (index) => plain.at(index) - other.plain.at(few(index)),
    });
    same(nn.where(nn.greater(nn.sub(other.x, 510), 0), x, other.x), {
      shape,
      at: (index) => {
        const value = other.plain.at(few(index));
        return value > 510 ? plain.at(index) : value;
      },
    });
  }));
});

Deno.test("joins and takes along any axis are plain loops, of however many inputs", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(sizes, fc.nat(2), fc.nat(), (parts, axis, seed) => {
      const shape = [2, 3, 2];
      const xs = parts.map((n, i) => counted(shape.with(axis, n), 100 * i));
      const owners = parts.flatMap((n, i) => Array.from({ length: n }, (_, k) => [i, k] as const));
      const joined: Plain = {
        shape: shape.with(axis, owners.length),
        at: (index) => {
          const [i, k] = owners[index[axis] ?? NaN] ?? [NaN, NaN];
          return xs[i]?.plain.at(index.with(axis, k)) ?? NaN;
        },
      };
      const y = nn.concat(xs.map(({ x }) => x), axis - 3);
      same(y, joined);
      const n = owners.length;
      const index = Array.from({ length: 1 + seed % 5 }, (_, i) => (seed >> i) % (2 * n) - n);
      same(nn.take(y, index, axis), {
        shape: shape.with(axis, index.length),
        at: (at) => {
          const k = index[at[axis] ?? NaN] ?? NaN;
          return joined.at(at.with(axis, k < 0 ? k + n : k));
        },
      });
    }),
    { numRuns: 60 },
  );
});

/** Axes before those of a matrix, for two operands that broadcast. */
const batches = fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.nat(2)), { maxLength: 3 });

Deno.test("`matmul()` is plain loops by NumPy's rule, vectors and batches of any axes included", () => {
  const sizes = fc.tuple(...Array.from({ length: 3 }, () => fc.integer({ min: 1, max: 3 })));
  const choice = fc.tuple(batches, fc.nat(3), fc.nat(3), sizes, fc.nat(8));
  fc.assert(fc.property(choice, ([axes, dropA, dropB, [m = 1, k = 1, n = 1], kind]) => {
    const [ta, tb] = [kind === 1 || kind === 3, kind === 2 || kind === 3];
    const [row, column] = [kind === 4 || kind === 6, kind === 5 || kind === 6];
    // An axis may be 1 on one side, or missing in front.
    const leadA = axes.map(([size, one]) => one === 1 ? 1 : size).slice(dropA);
    const leadB = axes.map(([size, one]) => one === 2 ? 1 : size).slice(dropB);
    const a = counted(row ? [k] : [...leadA, ...(ta ? [k, m] : [m, k])]);
    const b = counted(column ? [k] : [...leadB, ...(tb ? [n, k] : [k, n])], -7);
    const lead = broadcast(row ? [] : leadA, column ? [] : leadB);
    const operand = (
      { shape, at }: Plain,
      batch: readonly number[],
      last: readonly number[],
    ): number => {
      const own = shape.slice(0, -last.length);
      const index = own.map((size, i) =>
        size === 1 ? 0 : batch[i + batch.length - own.length] ?? NaN
      );
      return at([...index, ...last]);
    };
    same(nn.matmul(a.x, b.x, { transposeA: ta, transposeB: tb }), {
      shape: [...lead, ...(row ? [] : [m]), ...(column ? [] : [n])],
      at: (index) => {
        const batch = index.slice(0, lead.length);
        const [i = 0] = row ? [] : index.slice(lead.length);
        const j = column ? 0 : index.at(-1) ?? 0;
        let sum = 0;
        for (let p = 0; p < k; p++) {
          const left = operand(a.plain, batch, row ? [p] : ta ? [p, i] : [i, p]);
          sum += left * operand(b.plain, batch, column ? [p] : tb ? [j, p] : [p, j]);
        }
        return sum;
      },
    });
  }));
});

function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  const size = (s: readonly number[], i: number): number => s[i - rank + s.length] ?? 1;
  return Array.from({ length: rank }, (_, i) => Math.max(size(a, i), size(b, i)));
}

Deno.test("a softmax along any axis is that of its rows", () => {
  fc.assert(fc.property(shapes, ([shape, seed]) => {
    const axis = seed % shape.length;
    const data = Float32Array.from(wave(nn.size(shape), seed % 9), (w) => 20 * w);
    const x = nn.constant(data, shape);
    const order = [...shape.map((_, i) => i).toSpliced(axis, 1), axis];
    const rows = nn.softmax(nn.permute(x, order));
    const back = nn.permute(rows, shape.map((_, i) => order.indexOf(i)));
    const [along = [], expected = []] = nn.evaluate([nn.softmax(x, { axis }), back]);
    expected.forEach((e, i) => assert.ok(Math.abs((along[i] ?? NaN) - e) < 1e-14));
  }));
});

/** How many dispatches a graph takes. */
const dispatches = (...outputs: nn.Tensor[]): number => plan({ outputs }).stats.dispatches;

Deno.test("movements are one dispatch, whatever their axes; many inputs are joined in few", () => {
  const image = nn.input([2, 6, 8, 8]);
  const shuffled = nn.permute(nn.reshape(image, [2, 3, 2, 8, 8]), [0, 2, 1, 3, 4]);
  const windows = nn.permute(nn.reshape(image, [2, 6, 2, 4, 2, 4]), [0, 2, 4, 3, 5, 1]);
  const pixels = nn.permute(nn.reshape(image, [2, 3, 2, 1, 8, 8]), [0, 1, 4, 2, 5, 3]);
  const eight = nn.permute(nn.input([2, 2, 2, 2, 2, 2, 2, 2]), [7, 5, 3, 1, 6, 4, 2, 0]);
  for (const y of [shuffled, windows, pixels, eight]) assert.equal(dispatches(y), 1);
  assert.equal(dispatches(nn.pad(nn.input([2, 3, 4, 5, 6]), [0, 0, 0, 1, 1], [2, 3, 4, 7, 8])), 1);
  // 58 inputs are eight or nine to a group, and each of those two at most to a group of its own.
  const xs = Array.from({ length: 58 }, () => nn.input([2, 4, 8, 8]));
  const all = nn.concat(xs, 1);
  assert.equal(dispatches(nn.concat(xs.slice(0, 7), 1)), 1);
  const { steps } = plan({ inputs: xs, outputs: [all] });
  const moved = steps.reduce((sum, { tensor }) => sum + nn.size(tensor.shape), 0);
  assert.ok(moved <= 3 * nn.size(all.shape), `${moved / nn.size(all.shape)} copies of each`);
  const gradients = plan({ inputs: xs, outputs: nn.grad(nn.square(all), xs) }).steps
    .filter(({ tensor }) => tensor.name === "slice");
  assert.equal(gradients.length, 58);
});

Deno.test("shapes that do not fit are refused in words", () => {
  const x = nn.input([2, 3]);
  const wrong: readonly (readonly [() => nn.Tensor, RegExp])[] = [
    [() => nn.concat([], 0), /^Error: Cannot join no tensors$/],
    [() => nn.concat([x, nn.input([3, 3])], 1), /Cannot join \[2, 3\] and \[3, 3\] along axis 1$/],
    [() => nn.concat([x, nn.input([3])], 0), /Cannot join \[2, 3\] and \[3\] along axis 0$/],
    [() => nn.concat([x], 2), /along axis 2$/],
    [() => nn.take(x, [0, 3], 1), /^Error: Cannot take element 3 of axis 1 of \[2, 3\]$/],
    [() => nn.take(x, [0.5], 1), /Cannot take element 0.5 of/],
    [() => nn.take(x, [0], 2), /Cannot take element 0 of axis 2 of/],
    [() => nn.take(x, [], 1), /Cannot take nothing of/],
    [() => nn.slice(x, [0, 2], [1, 2], [1, 1]), /Cannot slice \[1, 2\] at \[0, 2\] by \[1, 1\] of/],
    [() => nn.slice(x, [0, 2], [1, 3], [1, -2]), /Cannot slice/],
    [() => nn.slice(x, [0, 0], [1, 2], [1, 0]), /Cannot slice/],
    [() => nn.pad(x, [0, 0], [2, 5], [1, 3]), /Cannot pad \[2, 3\] at \[0, 0\] by \[1, 3\] to/],
    [() => nn.pad(x, [0], [6]), /Cannot pad \[2, 3\] at \[0\] to \[6\]$/],
    [() => nn.matmul(x, nn.input([2])), /multiply \[2, 3\] by \[2\]: inner sizes are 3 and 2$/],
    [
      () => nn.matmul(nn.input([2, 3, 4]), nn.input([3, 4, 5])),
      /Cannot multiply \[2, 3, 4\] by \[3, 4, 5\] with batches \[2\] and \[3\]: sizes 2 and 3 differ$/,
    ],
    [
      () => nn.matmul(nn.input([3]), x, { transposeA: true }),
      /what is no matrix has no transpose$/,
    ],
    [() => nn.matmul(nn.input([]), x), /a scalar is no matrix$/],
    [() => nn.softmax(x, { axis: 2 }), /Cannot take axis 2 of \[2, 3\]$/],
    [() => nn.layerNorm(x, 3), /Cannot normalise the last 3 axes of \[2, 3\]$/],
    [() => nn.layerNorm(x, 1, nn.input([4, 2, 3])), /a scale or bias that makes it \[4, 2, 3\]$/],
    [() => nn.pow(x, Infinity), /Cannot raise to the power of Infinity$/],
  ];
  for (const [make, message] of wrong) assert.throws(make, message);
});

Deno.test("what was taken several times gets the sum of its gradients; a join hands each its own", () =>
  withDevice(async (device) => {
    const x = nn.input([2, 3]);
    const y = nn.concat([nn.take(x, [2, 0, 2], 1), x], 1);
    const [dx = x] = nn.grad(nn.mul(y, nn.constant([1, 2, 4, 8, 16, 32])), [x]);
    using program = await nn.compile(device, { inputs: [x], outputs: [y, dx] });
    program.run([Float32Array.of(1, 2, 3, 4, -0, NaN)]);
    const values = [...await program.read(y)];
    assert.deepEqual(values, [3, 1, 3, 1, 2, 3, NaN, 4, NaN, 4, -0, NaN]);
    assert.deepEqual([...await program.read(dx)], [10, 16, 37, 10, 16, 37]);
  }));
