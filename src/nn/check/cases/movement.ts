/**
 * Cases of `strided`, `pad`, `gather_rows` and `gather_bytes`.
 *
 * @module
 */
import { integers, type KernelCase, product, uniform } from "./case.ts";

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
