/**
 * Twins in f64 and cases of max-pooling in three steps: where the maximum is, taking it, and giving back to it.
 *
 * @module
 */
import { at, input, number, type ReferenceKernel } from "./support.ts";
import { type KernelCase, sumTolerance, ties, uniform, withSpecials } from "./case.ts";

/**
 * x[P,H,W] -> y[P,OH,OW], and from HALF on i[P,OH,OW]: the first maximum of each window, scanned by
 * rows, and its position h W + w. A NaN is larger than what was before it, so the last NaN of a window is taken, as in PyTorch.
 */
export const pool2dMax: ReferenceKernel = (inputs, o, length) => {
  const x = input(inputs, 0);
  const [h, w, oh, ow] = [number(o, "H"), number(o, "W"), number(o, "OH"), number(o, "OW")];
  const [size, stride] = [number(o, "SIZE"), number(o, "STRIDE")];
  const planes = number(o, "N") / (oh * ow);
  const y = new Float64Array(length);
  for (let p = 0; p < planes; p++) {
    for (let i = 0; i < oh; i++) {
      for (let j = 0; j < ow; j++) {
        let best = i * stride * w + j * stride;
        for (let di = 0; di < size; di++) {
          for (let dj = 0; dj < size; dj++) {
            const position = (i * stride + di) * w + j * stride + dj;
            const value = at(x, p * h * w + position);
            if (value > at(x, p * h * w + best) || Number.isNaN(value)) best = position;
          }
        }
        y[(p * oh + i) * ow + j] = at(x, p * h * w + best);
        y[number(o, "HALF") + (p * oh + i) * ow + j] = best;
      }
    }
  }
  return y;
};

/** x[P,PLANE], i[P,OUT] -> y[P,OUT] = x[p, i]. */
export const pool2dGather: ReferenceKernel = (inputs, o, length) => {
  const [x, index] = [input(inputs, 0), input(inputs, 1)];
  const [plane, out] = [number(o, "PLANE"), number(o, "OUT")];
  const y = new Float64Array(length);
  for (let i = 0; i < number(o, "N"); i++) {
    y[i] = at(x, Math.floor(i / out) * plane + at(index, i));
  }
  return y;
};

/** g[P,OH,OW], i[P,OH,OW] -> x[P,H,W]: each g is added at the position that its index names. */
export const pool2dScatter: ReferenceKernel = (inputs, o, length) => {
  const [g, index] = [input(inputs, 0), input(inputs, 1)];
  const plane = number(o, "H") * number(o, "W");
  const out = number(o, "OH") * number(o, "OW");
  const planes = length / plane;
  const x = new Float64Array(length);
  for (let p = 0; p < planes; p++) {
    for (let i = 0; i < out; i++) {
      const to = p * plane + at(index, p * out + i);
      x[to] = at(x, to) + at(g, p * out + i);
    }
  }
  return x;
};

type Windows = readonly [planes: number, h: number, w: number, size: number, stride: number];

const windows: readonly Windows[] = [
  [1, 1, 1, 1, 1],
  [3, 4, 6, 2, 2],
  [5, 7, 9, 2, 2],
  [6, 24, 24, 2, 2],
  [3, 9, 7, 3, 2],
  [2, 6, 5, 3, 1],
  [2, 8, 11, 2, 3],
  [67, 3, 3, 3, 3],
];

/** Names of windows, and the derived sizes. */
function layout([planes, h, w, size, stride]: Windows): {
  readonly label: string;
  readonly oh: number;
  readonly ow: number;
  readonly out: number;
} {
  const oh = Math.floor((h - size) / stride) + 1;
  const ow = Math.floor((w - size) / stride) + 1;
  const label = `windows of ${size} by ${stride} in [${planes}, ${h}, ${w}]`;
  return { label, oh, ow, out: planes * oh * ow };
}

/** For each window the position of its corner or another pixel of it. */
function positions(of: Windows): Float32Array {
  const [, , w, size, stride] = of;
  const { oh, ow, out } = layout(of);
  return uniform(41, out, 0, size * size).map((pick, n) => {
    const [i, j] = [Math.floor(n / ow) % oh, n % ow];
    const k = Math.floor(pick);
    return (i * stride + Math.floor(k / size)) * w + j * stride + k % size;
  });
}

/** The first of several maxima counts. */
export const pool2dMaxCases: readonly KernelCase[] = windows.flatMap((of) => {
  const [planes, H, W, SIZE, STRIDE] = of;
  const { label, oh, ow, out } = layout(of);
  const fills = {
    "ties in": ties,
    "distinct": uniform,
    "NaN and infinity in": (seed: number, n: number) => withSpecials(seed, n, 5),
  } as const;
  return Object.entries(fills).map(([name, fill]) => ({
    kernel: "pool2d_max",
    label: `${name} ${label}`,
    overrides: { N: out, HALF: out, H, W, OH: oh, OW: ow, SIZE, STRIDE },
    threads: out,
    inputs: () => [fill(42, planes * H * W)],
    outputLength: 2 * out,
    tolerance: 0,
  }));
});

/** Values at given positions. */
export const pool2dGatherCases: readonly KernelCase[] = windows.map((of) => {
  const [planes, h, w] = of;
  const { label, oh, ow, out } = layout(of);
  return {
    kernel: "pool2d_gather",
    label,
    overrides: { N: out, PLANE: h * w, OUT: oh * ow },
    threads: out,
    inputs: () => [uniform(43, planes * h * w), positions(of)],
    outputLength: out,
    tolerance: 0,
  };
});

/** Overlapping windows add up, pixels of no window are 0. */
export const pool2dScatterCases: readonly KernelCase[] = windows.map((of) => {
  const [planes, H, W, SIZE, STRIDE] = of;
  const { label, oh, ow, out } = layout(of);
  const n = planes * (STRIDE >= SIZE ? Math.ceil(H / STRIDE) : H);
  return {
    kernel: "pool2d_scatter",
    label,
    overrides: { N: n, H, W, OH: oh, OW: ow, SIZE, STRIDE },
    threads: n,
    inputs: () => [uniform(44, out), positions(of)],
    outputLength: planes * H * W,
    tolerance: sumTolerance(SIZE * SIZE),
  };
});
