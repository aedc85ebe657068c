/**
 * References of the kernels that only move numbers: `strided`, `pad`, `gather_rows`, `gather_bytes`.
 *
 * @module
 */
import { at, input, number, type ReferenceKernel } from "./support.ts";

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
