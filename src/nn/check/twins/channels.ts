/**
 * References of `channel_sums`, `channel_affine` and `crop`.
 *
 * @module
 */
import { activation, at, choice, input, number, type ReferenceKernel } from "./support.ts";

/** x, z [B,C,P] -> y[B,2,C]: sums of x and of x z, or of deviations from x[0,c,0] and their squares. */
export const channelSums: ReferenceKernel = (inputs, o, length) => {
  const [x, z] = [input(inputs, 0), input(inputs, 1)];
  const [b, c, p] = [number(o, "B"), number(o, "C"), number(o, "P")];
  const moments = choice(o, "OP") === "moments";
  const y = new Float64Array(length);
  for (let image = 0; image < b; image++) {
    for (let channel = 0; channel < c; channel++) {
      let [first, second] = [0, 0];
      for (let pixel = 0; pixel < p; pixel++) {
        const i = (image * c + channel) * p + pixel;
        const u = at(x, i) - (moments ? at(x, channel * p) : 0);
        first += u;
        second += u * (moments ? u : at(z, i));
      }
      y[2 * image * c + channel] = first;
      y[(2 * image + 1) * c + channel] = second;
    }
  }
  return y;
};

/** x, z [B,C,P], a, k, d [C] -> y[B,C,P] = act(x a + z k + d). */
export const channelAffine: ReferenceKernel = (inputs, o, length) => {
  const [x, z, a, k, d] = [0, 1, 2, 3, 4].map((i) => input(inputs, i));
  const [c, p] = [number(o, "C"), number(o, "P")];
  const both = number(o, "HAS_Z", 0) === 1;
  const act = activation(choice(o, "ACTIVATION", "none"));
  if (!x || !z || !a || !k || !d) throw new Error("Unreachable: inputs were checked");
  return Float64Array.from({ length }, (_, i) => {
    const channel = Math.floor(i / p) % c;
    const other = both ? at(z, i) * at(k, channel) : 0;
    return act(at(x, i) * at(a, channel) + other + at(d, channel));
  });
};

/** x[B,C,H,W], u[B,3] -> y[B,C,H,W]: shifted by -PAD to PAD on zeros, mirrored where u[b,2] < 1/2. */
export const crop: ReferenceKernel = (inputs, o, length) => {
  const [x, u] = [input(inputs, 0), input(inputs, 1)];
  const [b, c, h, w] = [number(o, "B"), number(o, "C"), number(o, "H"), number(o, "W")];
  const pad = number(o, "PAD");
  const y = new Float64Array(length);
  for (let plane = 0; plane < b * c; plane++) {
    const image = Math.floor(plane / c);
    const shift = (k: number): number => Math.floor(at(u, 3 * image + k) * (2 * pad + 1)) - pad;
    const mirrored = at(u, 3 * image + 2) < 0.5;
    for (let i = 0; i < h; i++) {
      for (let j = 0; j < w; j++) {
        const row = i + shift(0);
        const column = (mirrored ? w - 1 - j : j) + shift(1);
        const inside = row >= 0 && row < h && column >= 0 && column < w;
        y[(plane * h + i) * w + j] = inside ? at(x, (plane * h + row) * w + column) : 0;
      }
    }
  }
  return y;
};
