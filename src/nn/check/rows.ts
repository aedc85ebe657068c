/**
 * Twins in f64 and cases of `kth_largest` and `l1_project`.
 *
 * @module
 */
import { at, input, number, type ReferenceKernel } from "./support.ts";
import { epsilon, type KernelCase, ties, uniform, withSpecials } from "./case.ts";

/** x[N,C], k[N] -> y[N], the k-th largest magnitude of each row; NaN counts as the largest number. */
export const kthLargest: ReferenceKernel = (inputs, o, length) => {
  const [x, k] = [input(inputs, 0), input(inputs, 1)];
  const c = number(o, "C");
  return Float64Array.from({ length }, (_, n) => {
    // Sorted as numbers, NaN comes last.
    const row = x.slice(n * c, (n + 1) * c).map(Math.abs).sort();
    return at(row, c - at(k, n));
  });
};

/** x[N,C], c[N,C] in [0, 1], r[N] -> y[N,C] next to x, in [0, 1] and no further than r from c by L1. */
export const l1Project: ReferenceKernel = (inputs, o, length) => {
  const [x, center, radius] = [input(inputs, 0), input(inputs, 1), input(inputs, 2)];
  const [rows, c] = [number(o, "N"), number(o, "C")];
  const y = new Float64Array(length);
  for (let n = 0; n < rows; n++) {
    const change = Array.from({ length: c }, (_, i) => at(x, n * c + i) - at(center, n * c + i));
    const room = change.map((d, i) => d > 0 ? 1 - at(center, n * c + i) : at(center, n * c + i));
    const kept = keptOf(change.map(Math.abs), room, at(radius, n));
    change.forEach((d, i) => {
      const whole = kept[i] === Math.abs(d);
      y[n * c + i] = whole
        ? at(x, n * c + i)
        : at(center, n * c + i) + Math.sign(d) * (kept[i] ?? NaN);
    });
  }
  return y;
};

/** What of lengths is kept so that none is above its room and their sum not above the radius. */
function keptOf(lengths: readonly number[], room: readonly number[], radius: number): number[] {
  const kept = (less: number): number[] =>
    lengths.map((d, i) => Math.min(Math.max(d - less, 0), room[i] ?? NaN));
  const sum = (less: number): number => kept(less).reduce((a, b) => a + b, 0);
  if (sum(0) <= radius) return kept(0);
  // The sum is linear between the numbers at which a pixel leaves its room's border or vanishes.
  const bends = [0, ...lengths, ...lengths.map((d, i) => d - (room[i] ?? NaN))]
    .filter((bend) => bend >= 0).sort((a, b) => a - b);
  let [low, high] = [0, bends.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (sum(bends[middle] ?? NaN) > radius) low = middle;
    else high = middle;
  }
  const [from = NaN, to = NaN] = [bends[low], bends[high]];
  const [above, below] = [sum(from), sum(to)];
  return kept(from + (to - from) * (above - radius) / (above - below));
}

function kthLargestCase(
  label: string,
  [n, c]: readonly [number, number],
  x: () => Float32Array,
  k: (row: number) => number,
): KernelCase {
  return {
    kernel: "kth_largest",
    label: `of [${n}, ${c}], ${label}`,
    overrides: { N: n, C: c },
    threads: 8 * n,
    inputs: () => [x(), Float32Array.from({ length: n }, (_, row) => k(row))],
    outputLength: n,
    tolerance: 0,
  };
}

/** The first, the last, those between; ties, signs, NaN and infinities, numbers of every size. */
export const kthLargestCases: readonly KernelCase[] = [
  kthLargestCase("one number", [1, 1], () => Float32Array.of(-0.3), () => 1),
  kthLargestCase("the first", [3, 7], () => uniform(81, 21), () => 1),
  kthLargestCase("the last", [3, 130], () => uniform(82, 390), () => 130),
  kthLargestCase("any", [67, 64], () => uniform(83, 67 * 64), (row) => 1 + 7 * row % 64),
  kthLargestCase("ties", [5, 100], () => ties(84, 500), (row) => 1 + 20 * row),
  kthLargestCase("zeros", [2, 9], () => new Float32Array(18), (row) => 1 + 8 * row),
  kthLargestCase(
    "NaN and infinities",
    [6, 11],
    () => withSpecials(85, 66, 11),
    (row) => 1 + row % 2,
  ),
  kthLargestCase(
    "every size",
    [9, 75],
    () => uniform(86, 675).map((v, i) => v * 10 ** (i % 75 - 37)),
    (row) => 1 + 9 * row,
  ),
];

function l1ProjectCase(
  label: string,
  [n, c]: readonly [number, number],
  radius: (row: number) => number,
  change: (i: number, v: number) => number,
  center: (v: number) => number = (v) => v,
): KernelCase {
  const centers = (): Float32Array => uniform(87, n * c, 0, 1).map(center);
  return {
    kernel: "l1_project",
    label: `[${n}, ${c}], ${label}`,
    overrides: { N: n, C: c },
    threads: 8 * n,
    inputs: () => {
      const around = centers();
      const x = uniform(88, n * c).map((v, i) => (around[i] ?? NaN) + change(i, v));
      return [x, around, Float32Array.from({ length: n }, (_, row) => radius(row))];
    },
    outputLength: n * c,
    tolerance: 4 * epsilon,
  };
}

/** Balls of every size, rows inside and far outside, borders of the box, ties, huge changes. */
export const l1ProjectCases: readonly KernelCase[] = [
  l1ProjectCase("one pixel", [1, 1], () => 0.1, (_, v) => 3 * v),
  l1ProjectCase("radius 0", [3, 70], () => 0, (_, v) => v),
  l1ProjectCase("inside", [3, 7], () => 50, (_, v) => v),
  l1ProjectCase("outside", [67, 65], (row) => 0.3 * row, (_, v) => v),
  l1ProjectCase("ties", [5, 12], (row) => 0.7 * row + 0.2, (i) => i % 3 - 1),
  l1ProjectCase("borders", [5, 33], (row) => row + 0.5, (_, v) => 2 * v, (v) => Math.round(v)),
  l1ProjectCase("far", [4, 20], (row) => row + 0.25, (_, v) => 1e4 * v),
  l1ProjectCase("one pixel far away", [3, 20], () => 0.75, (i, v) => i % 20 === 3 ? 1e9 : v / 9),
  l1ProjectCase("a little", [4, 50], () => 1e-3, (_, v) => 1e-4 * v),
  l1ProjectCase("digits", [2, 784], (row) => 12 + 300 * row, (_, v) => v ** 3),
];
