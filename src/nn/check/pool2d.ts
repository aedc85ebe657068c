/**
 * Twins in f64 and cases of max-pooling in three steps: where the maximum is, taking it, and giving back to it.
 *
 * @module
 */
import { at, input, number, type ReferenceKernel } from "./support.ts";
import { type KernelCase, product, sumTolerance, ties, uniform, withSpecials } from "./case.ts";

/**
 * x[P,H,W] -> y[P,OH,OW], and from HALF on i[P,OH,OW]: the first maximum of each window, scanned by rows, and its
 * position h W + w; what a window has outside of x is passed over. A NaN is larger than what was before it, so the
 * last NaN of a window is taken, as in PyTorch.
 */
export const pool2dMax: ReferenceKernel = (inputs, o, length) => {
  const x = input(inputs, 0);
  const [h, w, oh, ow] = [number(o, "H"), number(o, "W"), number(o, "OH"), number(o, "OW")];
  const rows = windowsAlong(o, h, "TOP", "");
  const columns = windowsAlong(o, w, "LEFT", "_W");
  const planes = number(o, "N") / (oh * ow);
  const y = new Float64Array(length);
  for (let p = 0; p < planes; p++) {
    for (let i = 0; i < oh; i++) {
      for (let j = 0; j < ow; j++) {
        let best: number | undefined;
        for (const row of rows(i)) {
          for (const column of columns(j)) {
            const position = row * w + column;
            const value = at(x, p * h * w + position);
            const first = best === undefined;
            if (first || Number.isNaN(value) || value > at(x, p * h * w + (best ?? 0))) {
              best = position;
            }
          }
        }
        if (best === undefined) throw new Error("Cannot pool: a window is outside of the image");
        y[(p * oh + i) * ow + j] = at(x, p * h * w + best);
        y[number(o, "HALF") + (p * oh + i) * ow + j] = best;
      }
    }
  }
  return y;
};

/**
 * The pixels of a window along an axis that are inside of the image, by the window's number. The horizontal sizes' names
 * end in _W; where they are left out or 0 they are as the vertical ones, but for the dilation.
 */
function windowsAlong(
  o: Readonly<Record<string, number | string>>,
  length: number,
  before: string,
  end: "" | "_W",
): (window: number) => number[] {
  const size = number(o, `SIZE${end}`, 0) || number(o, "SIZE");
  const stride = number(o, `STRIDE${end}`, 0) || number(o, "STRIDE");
  const dilation = number(o, `DILATION${end}`, 1);
  return (window) =>
    Array.from({ length: size }, (_, k) => window * stride - number(o, before, 0) + k * dilation)
      .filter((pixel) => pixel >= 0 && pixel < length);
}

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

/** Windows over planes of an image; numbers for both axes, or for the vertical and the horizontal one. */
interface Windows {
  readonly planes: number;
  readonly image: readonly [height: number, width: number];
  readonly size: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly apart?: readonly [number, number];
  /** Pixels before and behind the image; what is behind may be a part that windows reach beyond it. */
  readonly around?: readonly [top: number, left: number, bottom: number, right: number];
}

function square(planes: number, h: number, w: number, size: number, stride: number): Windows {
  return { planes, image: [h, w], size: [size, size], stride: [stride, stride] };
}

/** One, several to a workgroup, next to each other, over each other, with gaps, sides that differ, padding. */
const windows: readonly Windows[] = [
  square(1, 1, 1, 1, 1),
  square(3, 4, 6, 2, 2),
  square(5, 7, 9, 2, 2),
  square(6, 24, 24, 2, 2),
  square(3, 9, 7, 3, 2),
  square(2, 6, 5, 3, 1),
  square(2, 8, 11, 2, 3),
  square(67, 3, 3, 3, 3),
  { planes: 3, image: [7, 10], size: [2, 3], stride: [2, 3] },
  { planes: 2, image: [6, 9], size: [3, 2], stride: [1, 3] },
  { planes: 2, image: [9, 11], size: [2, 3], stride: [2, 1], apart: [3, 2] },
  { ...square(3, 7, 8, 3, 2), around: [1, 1, 1, 1] },
  { ...square(2, 5, 6, 2, 2), around: [0, 0, 1, 0] },
  { ...square(2, 4, 5, 3, 2), around: [1, 0, 2, 2] },
  { planes: 2, image: [5, 4], size: [3, 3], stride: [2, 1], apart: [2, 1], around: [2, 2, 3, 1] },
];

/** Names of windows, the derived sizes, and overrides of the kernels. */
function layout({ planes, image, size, stride, apart = [1, 1], around = [0, 0, 0, 0] }: Windows): {
  readonly label: string;
  readonly oh: number;
  readonly ow: number;
  readonly out: number;
  /** Pixels from a window's first to its last. */
  readonly reach: readonly [number, number];
  readonly common: Readonly<Record<string, number>>;
} {
  const [h, w] = image;
  const reach = [apart[0] * (size[0] - 1) + 1, apart[1] * (size[1] - 1) + 1] as const;
  const oh = Math.floor((h + around[0] + around[2] - reach[0]) / stride[0]) + 1;
  const ow = Math.floor((w + around[1] + around[3] - reach[1]) / stride[1]) + 1;
  const label =
    `windows of ${size} by ${stride}, ${apart} apart, in [${planes}, ${image}] in ${around}`;
  const [TOP, LEFT] = around;
  const common = {
    ...{ H: h, W: w, OH: oh, OW: ow, STRIDE: stride[0] },
    ...(stride[1] === stride[0] ? {} : { STRIDE_W: stride[1] }),
    ...(TOP + LEFT > 0 ? { TOP, LEFT } : {}),
  };
  return { label, oh, ow, out: planes * oh * ow, reach, common };
}

/** For each window the position of one of its pixels. */
function positions(of: Windows): Float32Array {
  const { image, size, stride, apart = [1, 1], around = [0, 0] } = of;
  const { oh, ow, out } = layout(of);
  return uniform(41, out, 0, 1).map((pick, n) => {
    const along = (axis: 0 | 1, window: number, share: number): number => {
      const start = window * stride[axis] - around[axis];
      const inside = Array.from({ length: size[axis] }, (_, k) => start + k * apart[axis])
        .filter((pixel) => pixel >= 0 && pixel < image[axis]);
      return inside[Math.floor(share * inside.length)] ?? NaN;
    };
    const row = along(0, Math.floor(n / ow) % oh, pick);
    return row * image[1] + along(1, n % ow, 7 * pick % 1);
  });
}

/** The first of several maxima counts. */
export const pool2dMaxCases: readonly KernelCase[] = windows.flatMap((of) => {
  const { planes, image, size, apart, around } = of;
  const { label, out, common } = layout(of);
  const [SIZE, SIZE_W] = size;
  const fills = {
    "ties in": ties,
    "distinct": uniform,
    "NaN and infinity in": (seed: number, n: number) => withSpecials(seed, n, 5),
    "only -infinity in": (_: number, n: number) => new Float32Array(n).fill(-Infinity),
  } as const;
  return Object.entries(fills).map(([name, fill]) => ({
    kernel: "pool2d_max",
    label: `${name} ${label}`,
    overrides: {
      ...{ N: out, HALF: out, ...common, SIZE },
      ...(SIZE_W === SIZE ? {} : { SIZE_W }),
      ...(apart ? { DILATION: apart[0], DILATION_W: apart[1] } : {}),
      ...(around ? { INSIDE: 0 } : {}),
    },
    threads: out,
    inputs: () => [fill(42, planes * product(...image))],
    outputLength: 2 * out,
    tolerance: 0,
  }));
});

/** Values at given positions. */
export const pool2dGatherCases: readonly KernelCase[] = windows.map((of) => {
  const { planes, image } = of;
  const { label, oh, ow, out } = layout(of);
  return {
    kernel: "pool2d_gather",
    label,
    overrides: { N: out, PLANE: product(...image), OUT: oh * ow },
    threads: out,
    inputs: () => [uniform(43, planes * product(...image)), positions(of)],
    outputLength: out,
    tolerance: 0,
  };
});

/** Overlapping windows add up, pixels of no window are 0. */
export const pool2dScatterCases: readonly KernelCase[] = windows.map((of) => {
  const { planes, image, size, stride, around: [top, left] = [0, 0] } = of;
  const { label, out, reach, common } = layout(of);
  const [SIZE, SIZE_W] = reach;
  const lines = top + left === 0 && stride[0] >= SIZE && stride[1] >= SIZE_W;
  const n = planes * (lines ? Math.ceil(image[0] / stride[0]) : image[0]);
  return {
    kernel: "pool2d_scatter",
    label,
    overrides: { N: n, ...common, SIZE, ...(SIZE_W === SIZE ? {} : { SIZE_W }) },
    threads: n,
    inputs: () => [uniform(44, out), positions(of)],
    outputLength: planes * product(...image),
    tolerance: sumTolerance(product(...size)),
  };
});
