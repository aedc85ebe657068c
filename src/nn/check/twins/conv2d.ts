/**
 * References of `conv2d` and of its adjoint in w: contractions of the trilinear form
 * T(x, w, g) = sum of x[b,ci,h,w] w[co,ci,kh,kw] g[b,co,oh,ow] over h = oh STRIDE + kh - PAD.
 *
 * @module
 */
import { pool2dMax } from "./pool2d.ts";
import { activation, at, choice, input, number, type ReferenceKernel } from "./support.ts";

/** B images, CI and CO channels, H x W pixels in, OH x OW out, KH x KW weights. */
type Sizes = Readonly<
  Record<"b" | "ci" | "h" | "w" | "co" | "kh" | "kw" | "oh" | "ow" | "stride" | "pad", number>
>;

/** Sees one product of the form: flat indices into x, w and g. */
type Visit = (x: number, w: number, g: number) => void;

/**
 * x[B,CI,H,W] twice, w[CI,KH,KW,CO rounded up to 4], bias[CO] -> y[B,CO,OH,OW] = act(cross-correlation + bias).
 */
export const conv2d: ReferenceKernel = (inputs, o, length) => {
  const s = sizes(o);
  const [x, packed] = [input(inputs, 0), input(inputs, 2)];
  if (number(o, "FOLD", 1) === 4) return foldedRows(x, packed, s, length);
  const columns = 4 * Math.ceil(s.co / 4);
  const taps = s.ci * s.kh * s.kw;
  const w = Float64Array.from(
    { length: s.co * taps },
    (_, i) => at(packed, (i % taps) * columns + Math.floor(i / taps)),
  );
  const bias = number(o, "HAS_BIAS", 0) ? input(inputs, 3) : undefined;
  const act = activation(choice(o, "ACTIVATION", "none"));
  const pooled = number(o, "POOL", 1) === 2;
  const y = new Float64Array(pooled ? s.b * s.co * s.oh * s.ow : length);
  for (let b = 0; b < s.b; b++) {
    eachProduct(s, b, (xi, wi, gi) => {
      y[gi] = at(y, gi) + at(x, xi) * at(w, wi);
    });
  }
  const plane = s.oh * s.ow;
  const all = y.map((value, i) => {
    const channel = Math.floor(i / plane) % s.co;
    return act(value + (bias ? at(bias, channel) : 0));
  });
  return pooled ? largest(all, s, number(o, "HALF"), length) : all;
};

/** Pools by 2, as `pool2d_max`. */
function largest(y: Float64Array, s: Sizes, half: number, length: number): Float64Array {
  const [oh, ow] = [s.oh / 2, s.ow / 2];
  const window = { N: s.b * s.co * oh * ow, HALF: half, H: s.oh, W: s.ow, OH: oh, OW: ow };
  return pool2dMax([y], { ...window, SIZE: 2, STRIDE: 2 }, length);
}

/** As `conv2d` of one output channel, whose row 4 i + r is made by column r of w, from row 4 i on. */
function foldedRows(
  x: Float64Array,
  w: Float64Array,
  s: Sizes,
  length: number,
): Float64Array {
  return Float64Array.from({ length }, (_, i) => {
    const [column, row] = [i % s.ow, Math.floor(i / s.ow) % s.oh];
    const b = Math.floor(i / (s.ow * s.oh));
    let sum = 0;
    for (let ci = 0; ci < s.ci; ci++) {
      for (let kh = 0; kh < s.kh; kh++) {
        const h = row - row % 4 + kh - s.pad;
        for (let kw = 0; kw < s.kw; kw++) {
          const v = column + kw - s.pad;
          if (h < 0 || h >= s.h || v < 0 || v >= s.w) continue;
          const weight = at(w, ((ci * s.kh + kh) * s.kw + kw) * 4 + row % 4);
          sum += at(x, ((b * s.ci + ci) * s.h + h) * s.w + v) * weight;
        }
      }
    }
    return sum;
  });
}

/** x[B,CI,H,W], g[B,OH,OW,CO rounded up to 4] or planes[B,CO,OH,OW] or their windows -> w[SPLIT,CO,CI,KH,KW], the adjoint of `conv2d` in w, in shares of images. */
export const conv2dWeight: ReferenceKernel = (inputs, o, length) => {
  const s = sizes(o);
  const [x, packed] = [input(inputs, 0), input(inputs, 1)];
  const [columns, plane] = [4 * Math.ceil(s.co / 4), s.oh * s.ow];
  const pool = number(o, "POOL", 0);
  const g = number(o, "PLANAR", 0)
    ? pool ? fromWindows(input(inputs, 2), input(inputs, 3), s, pool) : input(inputs, 2)
    : Float64Array.from({ length: s.b * s.co * plane }, (_, i) => {
      const [b, co, pixel] = [
        Math.floor(i / (s.co * plane)),
        Math.floor(i / plane) % s.co,
        i % plane,
      ];
      return at(packed, (b * plane + pixel) * columns + co);
    });
  const share = Math.ceil(s.b / number(o, "SPLIT", 1));
  const w = new Float64Array(length);
  for (let b = 0; b < s.b; b++) {
    const offset = Math.floor(b / share) * s.co * s.ci * s.kh * s.kw;
    eachProduct(s, b, (xi, wi, gi) => {
      w[offset + wi] = at(w, offset + wi) + at(x, xi) * at(g, gi);
    });
  }
  return w;
};

/** Gradients of windows at the pixels they belong to: [B,CO,OH/pool,OW/pool] -> [B,CO,OH,OW]. */
function fromWindows(
  values: Float64Array,
  places: Float64Array,
  s: Sizes,
  pool: number,
): Float64Array {
  const windows = Math.floor(s.oh / pool) * Math.floor(s.ow / pool);
  const planes = new Float64Array(s.b * s.co * s.oh * s.ow);
  for (let i = 0; i < s.b * s.co * windows; i++) {
    planes[Math.floor(i / windows) * s.oh * s.ow + at(places, i)] = at(values, i);
  }
  return planes;
}

/** Visits every product of image `b` whose pixel is not in the padding. */
function eachProduct(s: Sizes, b: number, visit: Visit): void {
  for (let co = 0; co < s.co; co++) {
    for (let oh = 0; oh < s.oh; oh++) {
      for (let ow = 0; ow < s.ow; ow++) {
        const gi = ((b * s.co + co) * s.oh + oh) * s.ow + ow;
        for (let ci = 0; ci < s.ci; ci++) {
          for (let kh = 0; kh < s.kh; kh++) {
            const h = oh * s.stride + kh - s.pad;
            if (h < 0 || h >= s.h) continue;
            const xRow = ((b * s.ci + ci) * s.h + h) * s.w;
            const wRow = ((co * s.ci + ci) * s.kh + kh) * s.kw;
            for (let kw = 0; kw < s.kw; kw++) {
              const column = ow * s.stride + kw - s.pad;
              if (column >= 0 && column < s.w) visit(xRow + column, wRow + kw, gi);
            }
          }
        }
      }
    }
  }
}

function sizes(o: Readonly<Record<string, number | string>>): Sizes {
  return {
    b: number(o, "B"),
    ci: number(o, "CI"),
    h: number(o, "H"),
    w: number(o, "W"),
    co: number(o, "CO"),
    kh: number(o, "KH"),
    kw: number(o, "KW"),
    oh: number(o, "OH"),
    ow: number(o, "OW"),
    stride: number(o, "STRIDE", 1),
    pad: number(o, "PAD", 0),
  };
}
