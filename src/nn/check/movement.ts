/**
 * Twins in f64 and cases of the kernels that only move numbers: `strided`, `pad`, `gather_rows`, `gather_bytes`.
 *
 * @module
 */
import { at, input, number, type ReferenceKernel } from "./support.ts";
import { integers, type KernelCase, product, uniform } from "./case.ts";

/** x -> y[D0,D1,D2,D3], y[i] = x[OFFSET + i0 S0 + i1 S1 + i2 S2 + i3 S3], 0 where i3 >= LAST. */
export const strided: ReferenceKernel = (inputs, o, length) => {
  const x = input(inputs, 0);
  const [d1, d2, d3] = [number(o, "D1"), number(o, "D2"), number(o, "D3")];
  const [s0, s1, s2, s3] = [number(o, "S0"), number(o, "S1"), number(o, "S2"), number(o, "S3")];
  const offset = number(o, "OFFSET");
  const last = number(o, "LAST", d3);
  const d0 = number(o, "N") / (d1 * d2 * d3);
  const y = new Float64Array(length);
  let i = 0;
  for (let i0 = 0; i0 < d0; i0++) {
    for (let i1 = 0; i1 < d1; i1++) {
      for (let i2 = 0; i2 < d2; i2++) {
        for (let i3 = 0; i3 < d3; i3++) {
          y[i++] = i3 < last ? at(x, offset + i0 * s0 + i1 * s1 + i2 * s2 + i3 * s3) : 0;
        }
      }
    }
  }
  return y;
};

/** x[D0..D3] -> y[E0..E3] = x[i - O] inside of x, 0 outside; a negative O crops. */
export const pad: ReferenceKernel = (inputs, o, length) => {
  const x = input(inputs, 0);
  const [d0, d1, d2, d3] = [number(o, "D0"), number(o, "D1"), number(o, "D2"), number(o, "D3")];
  const [e1, e2, e3] = [number(o, "E1"), number(o, "E2"), number(o, "E3")];
  const [o0, o1, o2, o3] = [number(o, "O0"), number(o, "O1"), number(o, "O2"), number(o, "O3")];
  const y = new Float64Array(length);
  const strideE = [e1 * e2 * e3, e2 * e3, e3] as const;
  const e0 = number(o, "N") / strideE[0];
  for (let j0 = 0; j0 < d0; j0++) {
    for (let j1 = 0; j1 < d1; j1++) {
      for (let j2 = 0; j2 < d2; j2++) {
        for (let j3 = 0; j3 < d3; j3++) {
          const [i0, i1, i2, i3] = [j0 + o0, j1 + o1, j2 + o2, j3 + o3];
          const inside = i0 >= 0 && i0 < e0 && i1 >= 0 && i1 < e1 && i2 >= 0 && i2 < e2 &&
            i3 >= 0 && i3 < e3;
          if (!inside) continue;
          const to = i0 * strideE[0] + i1 * strideE[1] + i2 * strideE[2] + i3;
          y[to] = at(x, ((j0 * d1 + j1) * d2 + j2) * d3 + j3);
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

function stridedCase(
  label: string,
  elements: number,
  sizes: Four,
  strides: Four,
  offset = 0,
  last?: number,
): KernelCase {
  const n = product(...sizes);
  const [, D1, D2, D3] = sizes;
  const [S0, S1, S2, S3] = strides;
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
];

function padCase(label: string, from: Four, to: Four, offsets: Four): KernelCase {
  const n = product(...to);
  const [D0, D1, D2, D3] = from;
  const [, E1, E2, E3] = to;
  const [O0, O1, O2, O3] = offsets;
  return {
    kernel: "pad",
    label,
    overrides: { N: n, E1, E2, E3, D0, D1, D2, D3, O0, O1, O2, O3 },
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
