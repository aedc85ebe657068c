/**
 * Twins in f64 and cases of the kernels that move numbers: `strided`, `pad`, `concat`, `gather_rows`, `gather_bytes`, and
 * `gather_sum`, which adds some of them.
 *
 * @module
 */
import { at, input, number, type ReferenceKernel } from "./support.ts";
import { integers, type KernelCase, product, sumTolerance, uniform } from "./case.ts";

/**
 * x -> y[E0..E3,D0..D3], y[j,i] = x[OFFSET + j T + i S] over all eight axes, 0 where i3 >= LAST. Without D0
 * there are no axes before the last four.
 */
export const strided: ReferenceKernel = (inputs, o, length) => {
  const x = input(inputs, 0);
  const n = number(o, "N");
  const sizes = [1, 2, 3].map((k) => number(o, `D${k}`));
  const last = number(o, "LAST", sizes[2]);
  if (number(o, "D0", 0) > 0) {
    const outer = [1, 2, 3].map((k) => number(o, `E${k}`, 1));
    sizes.unshift(...outer, number(o, "D0"));
  }
  sizes.unshift(n / product(...sizes));
  const names = ["T0", "T1", "T2", "T3", "S0", "S1", "S2", "S3"].slice(-sizes.length);
  const strides = names.map((name) => number(o, name));
  const y = new Float64Array(length);
  const index = sizes.map(() => 0);
  for (let i = 0; i < n; i++) {
    const from = index.reduce((sum, at, k) => sum + at * (strides[k] ?? NaN), number(o, "OFFSET"));
    y[i] = (index.at(-1) ?? 0) < last ? at(x, from) : 0;
    countUp(index, sizes);
  }
  return y;
};

/** The next index of an array of these sizes, in row-major order. */
function countUp(index: number[], sizes: readonly number[]): void {
  for (let axis = sizes.length - 1; axis >= 0; axis--) {
    const next = (index[axis] ?? 0) + 1;
    if (next < (sizes[axis] ?? 0)) {
      index[axis] = next;
      return;
    }
    index[axis] = 0;
  }
}

/** x[D0..D3] -> y[E0..E3], zeros but y[O + j S] = x[j] where that is inside of y. */
export const pad: ReferenceKernel = (inputs, o, length) => {
  const x = input(inputs, 0);
  const all = [0, 1, 2, 3];
  const from = all.map((k) => number(o, `D${k}`));
  const to = [1, 2, 3].map((k) => number(o, `E${k}`));
  to.unshift(number(o, "N") / product(...to));
  const [starts, steps] = [
    all.map((k) => number(o, `O${k}`)),
    all.map((k) => number(o, `S${k}`, 1)),
  ];
  const y = new Float64Array(length);
  const index = all.map(() => 0);
  for (let j = 0; j < product(...from); j++) {
    const place = index.map((at, k) => (starts[k] ?? NaN) + at * (steps[k] ?? NaN));
    if (place.every((at, k) => at >= 0 && at < (to[k] ?? 0))) {
      y[place.reduce((flat, at, k) => flat * (to[k] ?? NaN) + at, 0)] = at(x, j);
    }
    countUp(index, from);
  }
  return y;
};

/** x0[O,N0], .., x6[O,N6] -> y[O,N0+..+N6], row by row one after the other; a size of 0 is no input. */
export const concat: ReferenceKernel = (inputs, o, length) => {
  const columns = [0, 1, 2, 3, 4, 5, 6].map((j) => number(o, `N${j}`, 0));
  const rows = length / columns.reduce((a, b) => a + b, 0);
  const y: number[] = [];
  for (let row = 0; row < rows; row++) {
    columns.forEach((n, j) => {
      for (let c = 0; c < n; c++) y.push(at(input(inputs, j), row * n + c));
    });
  }
  return Float64Array.from(y);
};

/** x[O,K,I], lists (places of M lists, then where the last ends, then all) -> y[O,M,I], sums over each list's k. */
export const gatherSum: ReferenceKernel = (inputs, o, length) => {
  const [x, lists] = [input(inputs, 0), input(inputs, 1)];
  const [K, M, I] = [number(o, "K"), number(o, "M"), number(o, "I")];
  const y = new Float64Array(length);
  for (let outer = 0; outer < number(o, "N") / (M * I); outer++) {
    for (let m = 0; m < M; m++) {
      for (const k of lists.subarray(at(lists, m), at(lists, m + 1))) {
        for (let i = 0; i < I; i++) {
          const to = (outer * M + m) * I + i;
          y[to] = at(y, to) + at(x, (outer * K + k) * I + i);
        }
      }
    }
  }
  return y;
};

/** x[M,W], index[N] -> y[N,W] = x[index[n]]. */
export const gatherRows: ReferenceKernel = (inputs, o, length) => {
  const [x, index] = [input(inputs, 0), input(inputs, 1)];
  const [n, w] = [number(o, "N"), number(o, "W")];
  const y = new Float64Array(length);
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < w; i++) y[row * w + i] = at(x, at(index, row) * w + i);
  }
  return y;
};

/** u32 words of four bytes, lowest first, [M,W] bytes in all; index[N] -> y[N,W] = byte / 255. */
export const gatherBytes: ReferenceKernel = (inputs, o, length) => {
  const [words, index] = [input(inputs, 0), input(inputs, 1)];
  const [n, w] = [number(o, "N"), number(o, "W")];
  const y = new Float64Array(length);
  for (let row = 0; row < n; row++) {
    for (let i = 0; i < w; i++) {
      const position = at(index, row) * w + i;
      const word = at(words, Math.floor(position / 4));
      const byte = Math.floor(word / 256 ** (position % 4)) % 256;
      y[row * w + i] = byte / 255;
    }
  }
  return y;
};

type Four = readonly [number, number, number, number];

/** Sizes and strides of what comes before the last four axes. */
type Outer = readonly [sizes: Four, strides: Four];

function stridedCase(
  label: string,
  elements: number,
  sizes: Four,
  strides: Four,
  offset = 0,
  last?: number,
  outer?: Outer,
): KernelCase {
  const n = product(...sizes, ...outer?.[0] ?? []);
  const [D0, D1, D2, D3] = sizes;
  const [S0, S1, S2, S3] = strides;
  const [[, E1, E2, E3], [T0, T1, T2, T3]] = outer ?? [[1, 1, 1, 1], [0, 0, 0, 0]];
  return {
    kernel: "strided",
    label,
    overrides: {
      N: n,
      D1,
      D2,
      D3,
      OFFSET: offset,
      S0,
      S1,
      S2,
      S3,
      ...(last === undefined ? {} : { LAST: last }),
      ...(outer ? { E1, E2, E3, D0, T0, T1, T2, T3 } : {}),
    },
    threads: n,
    inputs: () => [uniform(21, elements)],
    outputLength: n,
    tolerance: 0,
  };
}

/** Permuted, repeated, cut out, reversed, filled up with zeros. */
export const stridedCases: readonly KernelCase[] = [
  stridedCase("one element", 1, [1, 1, 1, 1], [0, 0, 0, 0]),
  stridedCase("transpose of [17, 31]", 527, [1, 1, 31, 17], [0, 0, 1, 31]),
  stridedCase("permutation of [2, 3, 5, 7]", 210, [7, 3, 2, 5], [1, 35, 105, 7]),
  stridedCase("broadcast of [3, 1, 5]", 15, [2, 3, 4, 5], [0, 5, 0, 1]),
  stridedCase("slice [1:3, 2:7] of [4, 9]", 36, [1, 1, 2, 5], [0, 0, 9, 1], 11),
  stridedCase("flip of [3, 11]", 33, [1, 1, 3, 11], [0, 0, -11, -1], 32),
  stridedCase("[6, 2, 5] turned, with zeros", 60, [2, 5, 1, 8], [5, 1, 0, 10], 0, 6),
  stridedCase("every second of 257", 257, [1, 1, 1, 129], [0, 0, 0, 2]),
  stridedCase("[3, 2, 3, 4, 5] turned", 360, [2, 5, 3, 4], [60, 1, 20, 5], 0, undefined, [
    [1, 1, 1, 3],
    [0, 0, 0, 120],
  ]),
  stridedCase("eight axes turned round", 576, [2, 2, 3, 2], [24, 48, 96, 288], 0, undefined, [
    [2, 2, 3, 2],
    [1, 2, 4, 12],
  ]),
  stridedCase("six axes of 25, with zeros", 25, [3, 2, 5, 4], [0, -10, 1, 5], 10, 3, [
    [1, 1, 2, 3],
    [0, 0, 0, 0],
  ]),
];

function padCase(label: string, from: Four, to: Four, offsets: Four, steps?: Four): KernelCase {
  const n = product(...to);
  const [D0, D1, D2, D3] = from;
  const [, E1, E2, E3] = to;
  const [O0, O1, O2, O3] = offsets;
  const [S0, S1, S2, S3] = steps ?? [1, 1, 1, 1];
  return {
    kernel: "pad",
    label,
    overrides: {
      ...{ N: n, E1, E2, E3, D0, D1, D2, D3, O0, O1, O2, O3 },
      ...(steps ? { S0, S1, S2, S3 } : {}),
    },
    threads: n,
    inputs: () => [uniform(22, product(...from))],
    outputLength: n,
    tolerance: 0,
  };
}

/** Around, on one side, and cropped. */
export const padCases: readonly KernelCase[] = [
  padCase("one element", [1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]),
  padCase("2 around [2, 3, 5, 7]", [2, 3, 5, 7], [2, 3, 9, 11], [0, 0, 2, 2]),
  padCase("one side of every axis", [2, 3, 2, 3], [3, 5, 5, 7], [1, 0, 3, 0]),
  padCase("the other side of every axis", [2, 3, 2, 3], [3, 5, 5, 7], [0, 0, 0, 0]),
  padCase("crop", [2, 5, 6, 7], [1, 3, 4, 5], [-1, -2, 0, -2]),
  padCase("crop one axis, pad another", [1, 1, 6, 7], [1, 1, 3, 11], [0, 0, -2, 3]),
  padCase("nothing left of x", [1, 1, 1, 3], [1, 1, 1, 5], [0, 0, 0, -3]),
  padCase("zeros between", [2, 1, 3, 4], [3, 2, 7, 8], [0, 1, 0, 1], [2, 1, 3, 2]),
  padCase("zeros between, turned", [1, 2, 3, 4], [1, 5, 9, 10], [0, 4, 8, 9], [1, -3, -4, -3]),
];

/** One to seven inputs, narrow and wide ones. */
export const concatCases: readonly KernelCase[] = [
  { rows: 1, columns: [1] },
  { rows: 3, columns: [5, 2] },
  { rows: 2, columns: [64, 1, 100] },
  { rows: 17, columns: [3, 4, 5, 6, 7, 1, 2] },
  { rows: 1, columns: [9, 1, 1, 1, 1, 1] },
].map(({ rows, columns }) => {
  const n = rows * columns.reduce((a, b) => a + b, 0);
  return {
    kernel: "concat",
    label: `${rows} rows of ${columns}`,
    overrides: { N: n, ...Object.fromEntries(columns.map((c, j) => [`N${j}`, c])) },
    threads: n,
    inputs: () => [0, 1, 2, 3, 4, 5, 6].map((j) => uniform(26 + j, rows * (columns[j] ?? 1))),
    outputLength: n,
    tolerance: 0,
  };
});

function gatherSumCase(
  label: string,
  [outer, k, inner]: readonly [number, number, number],
  lists: readonly (readonly number[])[],
): KernelCase {
  const n = outer * lists.length * inner;
  const longest = Math.max(...lists.map((list) => list.length));
  const places = lists.map((_, m) => lists.length + 1 + lists.slice(0, m).flat().length);
  const end = lists.length + 1 + lists.flat().length;
  return {
    kernel: "gather_sum",
    label: `${label} of [${outer}, ${k}, ${inner}]`,
    overrides: { N: n, K: k, M: lists.length, I: inner },
    threads: n,
    inputs: () => [
      uniform(34, outer * k * inner),
      Uint32Array.from([...places, end, ...lists.flat()]),
    ],
    outputLength: n,
    tolerance: longest > 1 ? sumTolerance(longest) : 0,
  };
}

/** Single elements, sums, elements of several lists, lists of none. */
export const gatherSumCases: readonly KernelCase[] = [
  gatherSumCase("one element", [1, 1, 1], [[0]]),
  gatherSumCase("elements in another order", [3, 5, 7], [[4], [0], [0], [2]]),
  gatherSumCase("sums and nothing", [2, 6, 3], [[], [1, 1, 5], [0], [], [2, 3, 4, 0], []]),
  gatherSumCase("windows of three", [5, 9, 1], [[0, 1], [1, 2, 3], [3, 4, 5], [5, 6, 7], [7, 8]]),
  gatherSumCase("all in one", [2, 300, 2], [Array.from({ length: 300 }, (_, k) => 299 - k)]),
];

/** First, last and repeated rows, widths that are no multiple of four. */
export const gatherRowsCases: readonly KernelCase[] =
  ([[1, 1, 1], [7, 5, 3], [65, 1, 9], [5, 64, 11], [67, 33, 2]] as const).map(([n, w, m]) => ({
    kernel: "gather_rows",
    label: `${n} rows of [${m}, ${w}]`,
    overrides: { N: n, W: w, M: m },
    threads: n * w,
    inputs: () => [uniform(23, m * w), integers(24, n, m)],
    outputLength: n * w,
    tolerance: 0,
  }));

/** Rows that start within a word, lengths that end within one. */
export const gatherBytesCases: readonly KernelCase[] =
  ([[1, 1, 1], [3, 7, 5], [5, 1, 9], [2, 784, 3], [9, 30, 4], [1, 256, 1]] as const).map((
    [n, w, m],
  ) => ({
    kernel: "gather_bytes",
    label: `${n} rows of [${m}, ${w}]`,
    overrides: { N: n, W: w },
    threads: Math.ceil(n * w / 4),
    inputs: () => [packedBytes(m * w), integers(25, n, m)],
    outputLength: n * w,
    tolerance: 2 ** -24,
  }));

/** Bytes 0, 37, 74, ... modulo 256 in words, the first in the lowest bits. */
function packedBytes(count: number): Uint32Array {
  const bytes = Uint8Array.from({ length: Math.ceil(count / 4) * 4 }, (_, i) => 37 * i);
  const view = new DataView(bytes.buffer);
  return Uint32Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(4 * i, true));
}
