/**
 * Twins in f64 and cases of the convolution that reads textures, of its filters' gradient, and of what packs images.
 *
 * @module
 */
import { activation, at, choice, input, number, type ReferenceKernel } from "./support.ts";
import {
  type ConvShape,
  framed,
  texelTile,
  texelWeightTile,
  tileProfiles,
} from "../graph/tiles.ts";
import { clipped, type KernelCase, product, sumTolerance, uniform } from "./case.ts";
import { epilogueLabel, epilogueOverrides, geometries, label, largest } from "./conv2d.ts";

/** x[B,C,H,W] -> y[B,C / 4,OH,OW,4]: pixel (h - PAD, w - PAD) of four channels, zeros beyond image and channels. */
export const texels: ReferenceKernel = ([x = new Float64Array()], o, length) => {
  const [c, h, w] = [number(o, "C"), number(o, "H"), number(o, "W")];
  const [oh, ow, pad] = [number(o, "OH"), number(o, "OW"), number(o, "PAD", 0)];
  const quads = Math.ceil(c / 4);
  return Float64Array.from({ length }, (_, i) => {
    const [lane, column, row] = [i % 4, Math.floor(i / 4) % ow, Math.floor(i / (4 * ow)) % oh];
    const plane = Math.floor(i / (4 * ow * oh));
    const [image, channel] = [Math.floor(plane / quads), 4 * (plane % quads) + lane];
    const [y, z] = [row - pad, column - pad];
    const inside = channel < c && y >= 0 && y < h && z >= 0 && z < w;
    return inside ? at(x, ((image * c + channel) * h + y) * w + z) : 0;
  });
};

/** x[B,CI / 4,tall,wide,4], w[CI,KH,KW,CO rounded up to 4], bias[CO], residual[B,CO,OH,OW] -> y[B,CO,OH,OW] = act(correlation + bias + residual). */
export const conv2dTexels: ReferenceKernel = (inputs, o, length) => {
  const [x, w] = [input(inputs, 0), input(inputs, 1)];
  const [ci, co, kh, kw] = ["CI", "CO", "KH", "KW"].map((name) => number(o, name)) as Four;
  const [oh, ow, stride] = [number(o, "OH"), number(o, "OW"), number(o, "STRIDE", 1)];
  const bias = number(o, "HAS_BIAS", 0) ? input(inputs, 2) : undefined;
  const residual = number(o, "HAS_RESIDUAL", 0) ? input(inputs, 3) : undefined;
  const act = activation(choice(o, "ACTIVATION", "none"));
  const [tall, wide] = [(oh - 1) * stride + kh, (ow - 1) * stride + kw];
  const [quads, columns] = [Math.ceil(ci / 4), 4 * Math.ceil(co / 4)];
  const pooled = number(o, "POOL", 1) === 2;
  const all = number(o, "B") * co * oh * ow;
  const y = Float64Array.from({ length: pooled ? all : length }, (_, i) => {
    const [column, row] = [i % ow, Math.floor(i / ow) % oh];
    const [channel, image] = [Math.floor(i / (ow * oh)) % co, Math.floor(i / (ow * oh * co))];
    let sum = bias ? at(bias, channel) : 0;
    for (let c = 0; c < ci; c++) {
      const plane = image * quads + Math.floor(c / 4);
      for (let v = 0; v < kh; v++) {
        for (let u = 0; u < kw; u++) {
          const texel = (plane * tall + row * stride + v) * wide + column * stride + u;
          sum += at(x, 4 * texel + c % 4) * at(w, ((c * kh + v) * kw + u) * columns + channel);
        }
      }
    }
    return act(sum + (residual ? at(residual, i) : 0));
  });
  if (!pooled) return y;
  return largest(y, { b: number(o, "B"), co, oh, ow }, number(o, "HALF"), length);
};

/** x[B,CI / 4,tall,wide,4], g[B,CO / 4,OH,OW,4] -> w[SPLIT,CO,CI,KH,KW], in shares of images. */
export const conv2dWeightTexels: ReferenceKernel = (inputs, o, length) => {
  const [x, g] = [input(inputs, 0), input(inputs, 1)];
  const [ci, co, kh, kw] = ["CI", "CO", "KH", "KW"].map((name) => number(o, name)) as Four;
  const [oh, ow, stride] = [number(o, "OH"), number(o, "OW"), number(o, "STRIDE", 1)];
  const images = number(o, "B");
  const share = Math.ceil(images / number(o, "SPLIT", 1));
  const [tall, wide] = [(oh - 1) * stride + kh, (ow - 1) * stride + kw];
  const [deep, quads] = [Math.ceil(ci / 4), Math.ceil(co / 4)];
  return Float64Array.from({ length }, (_, i) => {
    const [u, v] = [i % kw, Math.floor(i / kw) % kh];
    const [c, d] = [Math.floor(i / (kw * kh)) % ci, Math.floor(i / (kw * kh * ci)) % co];
    const first = Math.floor(i / (kw * kh * ci * co)) * share;
    let sum = 0;
    for (let n = first; n < Math.min(first + share, images); n++) {
      const [from, to] = [n * deep + Math.floor(c / 4), n * quads + Math.floor(d / 4)];
      for (let row = 0; row < oh; row++) {
        for (let column = 0; column < ow; column++) {
          const pixel = (from * tall + row * stride + v) * wide + column * stride + u;
          const slope = (to * oh + row) * ow + column;
          sum += at(x, 4 * pixel + c % 4) * at(g, 4 * slope + d % 4);
        }
      }
    }
    return sum;
  });
};

type Four = [number, number, number, number];

function packed(s: ConvShape): KernelCase {
  const { tall: OH, wide: OW } = framed(s);
  const { B, CI: C, H, W, PAD } = s;
  const threads = B * Math.ceil(C / 4) * OH * OW;
  return {
    kernel: "texels",
    label: `${label(s)}`,
    overrides: { B, C, H, W, OH, OW, ...(PAD === 0 ? {} : { PAD }) },
    threads,
    inputs: () => [uniform(91, product(B, C, H, W))],
    outputLength: 4 * threads,
    tolerance: 0,
  };
}

/** Images of every geometry, framed as the convolution sees them. */
export const texelsCases: readonly KernelCase[] = geometries.map(packed);

function correlated(
  s: ConvShape,
  bias: boolean,
  relu: boolean,
  residual: boolean,
  pool: 1 | 2 = 1,
): readonly KernelCase[] {
  const tile = texelTile(s, tileProfiles.texels, 1, { pool });
  if (!tile) return [];
  const { threads, ...cut } = tile;
  const { B, CI, CO, KH, KW, OH, OW, STRIDE } = s;
  const { tall, wide } = framed(s);
  const quads = Math.ceil(CI / 4);
  const pixels = product(B, CO, OH, OW);
  return [{
    kernel: "conv2d_texels",
    label: label(s) + epilogueLabel(bias, residual, relu) + (pool === 2 ? ", pooled" : ""),
    overrides: {
      ...{ B, CI, CO, KH, KW, OH, OW, ...cut },
      ...(STRIDE === 1 ? {} : { STRIDE }),
      ...epilogueOverrides(bias, residual, relu),
      ...(pool === 2 ? { POOL: 2, HALF: pixels / 4 } : {}),
    },
    threads,
    inputs: () => [
      // Channels past the last are 0, as they are packed.
      uniform(92, 4 * B * quads * tall * wide).map((value, i) =>
        4 * (Math.floor(i / (4 * tall * wide)) % quads) + i % 4 < CI ? value : 0
      ),
      uniform(93, CI * KH * KW * 4 * Math.ceil(CO / 4)),
      bias ? uniform(94, CO) : Float32Array.of(NaN),
      residual ? uniform(98, pixels) : Float32Array.of(NaN),
    ],
    outputLength: pool === 2 ? pixels / 2 : pixels,
    tolerance: sumTolerance(CI * KH * KW + 1),
    profile: tileProfiles.texels.name,
  }];
}

/** Every geometry that is read from textures, its epilogues in turn; those with even sides, pooled. */
export const conv2dTexelsCases: readonly KernelCase[] = geometries.flatMap((s, i) => [
  ...[false, true].flatMap((residual) => correlated(s, i % 2 === 1, i % 3 === 1, residual)),
  ...(i < 3 ? correlated(s, true, false, i === 1).map((plain) => clipped(plain, 2)) : []),
  ...(s.OH % 2 === 0 && s.OW % 2 === 0 ? correlated(s, i % 2 === 0, false, false, 2) : []),
]);

function weightCase(s: ConvShape, split: number): readonly KernelCase[] {
  const tile = texelWeightTile(s, split, tileProfiles.texels);
  if (!tile) return [];
  const { threads, ...cut } = tile;
  const { B, CI, CO, KH, KW, OH, OW, STRIDE } = s;
  const { tall, wide } = framed(s);
  return [{
    kernel: "conv2d_weight_texels",
    label: `${label(s)} in ${split}`,
    overrides: {
      ...{ B, CI, CO, KH, KW, OH, OW, ...cut },
      ...(STRIDE === 1 ? {} : { STRIDE }),
      ...(split === 1 ? {} : { SPLIT: split }),
    },
    threads,
    inputs: () => [
      uniform(95, 4 * B * Math.ceil(CI / 4) * tall * wide),
      uniform(96, 4 * B * Math.ceil(CO / 4) * OH * OW),
    ],
    outputLength: split * product(CO, CI, KH, KW),
    tolerance: sumTolerance(B * OH * OW),
    profile: tileProfiles.texels.name,
  }];
}

/** Every geometry whose rows are long enough, in one part and in several. */
export const conv2dWeightTexelsCases: readonly KernelCase[] = geometries.flatMap((s) => [
  ...weightCase(s, 1),
  ...(s.B > 1 ? weightCase(s, 2) : []),
]);
