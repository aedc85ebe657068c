/**
 * References of max-pooling in three steps: where the maximum is, taking it, and giving back to it.
 *
 * @module
 */
import { at, input, number, type ReferenceKernel } from "./support.ts";

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
