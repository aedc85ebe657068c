/**
 * Convolution: one trilinear form T(x, w, g) = sum x w g, and its three contractions. The derivative
 * of each in each argument is another of the three, so the family is closed to every order. What has one
 * stride and one padding, no groups and no dilation, has kernels that are faster than those of the general form.
 *
 * @module
 */
import weightWgsl from "../../shaders/conv2d_weight.wgsl" with { type: "text" };
import { correlate, weightFromTexels } from "./correlate.ts";
import { add, mul } from "./elementwise.ts";
import { type Activation, type Epilogue, packChannels, throughActivation } from "./epilogue.ts";
import { generalConvolution, generalTransposed, generalWeight } from "./general.ts";
import { convolution, type ConvOptions } from "./geometry.ts";
import { kernel } from "../graph/kernel.ts";
import { matmul } from "./matmul.ts";
import { sum, sumParts } from "./sum.ts";
import { permute, reshape, type Strides } from "./shape.ts";
import {
  dim,
  type Dispatch,
  node,
  sameShape,
  show,
  type Source,
  type SparsePlanes,
  type Tensor,
  type Vjp,
  withVjp,
} from "../graph/tensor.ts";
import { weightProductsFit, winogradTile } from "../graph/winograd.ts";
import { weightByTiles } from "./winograd.ts";
import {
  conv2dWeightSplit,
  conv2dWeightTile,
  type ConvShape,
  readsPlanes,
  texelWeightTile,
  type TileProfile,
  tileProfiles,
} from "../graph/tiles.ts";
import { apart, everyNth, transposed } from "./transposed.ts";

const weightKernel = kernel("conv2d_weight", weightWgsl);

/** What `conv2d` can do on the way. */
export interface Conv2dOptions extends ConvOptions {
  /** `[CO]` */
  readonly bias?: Tensor | undefined;
  /** Added before the activation, of the result's shape. */
  readonly residual?: Tensor | undefined;
  /** Function of the result; none when not given. */
  readonly activation?: Activation | undefined;
}

/**
 * Cross-correlation, as in every deep-learning library: x `[B, CI, H, W]`, w `[CO, CI / groups, KH, KW]` to
 * `[B, CO, OH, OW]`, plus bias and residual, then the activation.
 *
 * @throws Error naming both shapes when the channels differ, the groups do not divide them, the kernel exceeds the
 *   padded image or the residual has another shape than the result
 */
export function conv2d(x: Tensor, w: Tensor, options: Conv2dOptions = {}): Tensor {
  const { bias, residual, activation = "none", ...geometry } = options;
  const epilogue = { bias, residual, activation };
  const { made, plain: s, general } = convolution(x.shape, w.shape, geometry);
  const shape = [dim(x, 0), dim(w, 0), ...made];
  if (residual && !sameShape(residual.shape, shape)) {
    throw new Error(`Cannot add ${show(residual.shape)} to a convolution of ${show(shape)}`);
  }
  if (s && skipsPixels(s)) return conv2d(everyNth(x, s.STRIDE), w, epilogue);
  const vjp: Vjp = (upstream, y) => {
    const g = throughActivation(activation, upstream, y);
    return [
      conv2dInput(g, w, [dim(x, 2), dim(x, 3)], geometry),
      conv2dWeight(x, g, [dim(w, 2), dim(w, 3)], geometry),
      bias ? sum(g, [0, 2, 3]) : null,
      residual ? g : null,
    ];
  };
  const y = s
    ? correlate("conv2d", s, [x, { w, order: filtersLast(s) }], epilogue, vjp, [
      x,
      w,
      bias ?? w,
      residual ?? x,
    ])
    : generalConvolution(general, [x, w], epilogue, vjp);
  if (!residual && activation === "none") bare.set(y.source, { x, w, bias, geometry });
  return y;
}

/** Sources of convolutions that do nothing besides, and what these are made of. */
const bare = new WeakMap<Source, {
  readonly x: Tensor;
  readonly w: Tensor;
  readonly bias: Tensor | undefined;
  readonly geometry: ConvOptions;
}>();

/**
 * `act(y a + d + residual)` by channel as one convolution, whose filters are scaled instead of its results.
 * Undefined where y is no convolution, or one with a residual or an activation.
 *
 * @param y a result of `conv2d`, `[B, CO, OH, OW]`, which need not be computed
 * @param a `[CO]`
 * @param d `[CO]`
 */
export function scaledConvolution(
  y: Tensor,
  [a, d]: readonly [a: Tensor, d: Tensor],
  epilogue: Omit<Epilogue, "bias">,
): Tensor | undefined {
  const made = bare.get(y.source);
  if (!made) return undefined;
  const { x, w, geometry } = made;
  const scaled = mul(w, reshape(a, [dim(w, 0), 1, 1, 1]));
  const bias = made.bias ? add(mul(made.bias, a), d) : d;
  return conv2d(x, scaled, { ...geometry, ...epilogue, bias });
}

/**
 * The adjoint of `conv2d` in x, which is also the transposed convolution: g `[B, CO, OH, OW]`,
 * w `[CO, CI / groups, KH, KW]` to `[B, CI, H, W]`.
 *
 * @param imageSize `[H, W]` of the image, which stride and padding leave open
 */
export function conv2dInput(
  g: Tensor,
  w: Tensor,
  imageSize: readonly [height: number, width: number],
  options: ConvOptions = {},
): Tensor {
  const { groups = 1 } = options;
  const image = [dim(g, 0), dim(w, 1) * groups, ...imageSize];
  const { made, plain: s, general } = convolution(image, w.shape, options);
  if (!sameShape(g.shape, [dim(g, 0), dim(w, 0), ...made])) {
    throw new Error(`Cannot transpose a convolution of ${show(g.shape)} with ${show(w.shape)}`);
  }
  const kernelSize = [dim(w, 2), dim(w, 3)] as const;
  const vjp: Vjp = (h) => [conv2d(h, w, options), conv2dWeight(h, g, kernelSize, options)];
  if (!s) return generalTransposed(general, [g, w], vjp);
  if (skipsPixels(s)) return apart(conv2dInput(g, w, [s.OH, s.OW]), s.STRIDE, imageSize);
  return transposed(s, [g, w], vjp);
}

/**
 * The adjoint of `conv2d` in w: x `[B, CI, H, W]`, g `[B, CO, OH, OW]` to `[CO, CI / groups, KH, KW]`.
 *
 * @param kernelSize `[KH, KW]`
 */
export function conv2dWeight(
  x: Tensor,
  g: Tensor,
  kernelSize: readonly [height: number, width: number],
  options: ConvOptions = {},
): Tensor {
  const { groups = 1 } = options;
  const shape = [dim(g, 1), Math.floor(dim(x, 1) / groups), ...kernelSize];
  const { made, plain: s, general } = convolution(x.shape, shape, options);
  if (!sameShape(g.shape, [dim(x, 0), dim(g, 1), ...made])) {
    throw new Error(`Cannot correlate ${show(x.shape)} with ${show(g.shape)}`);
  }
  const vjp = (h: Tensor): Tensor[] => [
    conv2dInput(g, h, [dim(x, 2), dim(x, 3)], options),
    conv2d(x, h, options),
  ];
  if (!s) return generalWeight(general, [x, g], vjp);
  if (skipsPixels(s)) return conv2dWeight(everyNth(x, s.STRIDE), g, kernelSize);
  if (s.KH * s.KW === 1 && s.PAD === 0) {
    return withVjp(reshape(productOverPixels(x, g), shape), [x, g], vjp);
  }
  const SPLIT = conv2dWeightSplit(s);
  const cut = (tiles: TileProfile): Pick<Dispatch, "overrides" | "threads"> => {
    const { threads, ...tile } = conv2dWeightTile(s, SPLIT, tiles);
    return { overrides: { ...s, ...tile, SPLIT, POOL: pooled?.window ?? 0 }, threads };
  };
  const pixels = s.OH * s.OW;
  const planar = readsPlanes(s);
  const pooled = planar ? windowsOf(g) : undefined;
  const planes = pooled?.values ?? g;
  const packed = planar ? planes : packChannels(g, {
    shape: [s.B, s.OH, s.OW, s.CO],
    strides: [s.CO * pixels, s.OW, 1, pixels],
  });
  const parts = node("conv2dWeight", [x, packed, planes, pooled?.places ?? planes], [
    SPLIT,
    ...shape,
  ], {
    kind: "dispatch",
    kernel: weightKernel,
    ...cut(tileProfiles.portable),
    cut,
    instead: (tiles, copies) => {
      if (planar) return undefined;
      const tile = winogradTile(s, tiles, copies);
      const pays = s.B * s.OH * s.OW >= tiles.fewestPixels;
      return tile && pays && weightProductsFit(s, SPLIT * copies, tile)
        ? weightByTiles(s, SPLIT, [x, g], tile)
        : weightFromTexels(s, SPLIT, [x, g], texelWeightTile(s, SPLIT, tiles, copies));
    },
  });
  if (SPLIT === 1) return withVjp(reshape(parts, shape), [x, g], vjp);
  return sumParts(parts, vjp, [x, g]);
}

/** Pixels that make a product of each image worth its while; of fewer, all images' make one. */
const enoughPixels = 64;

/** `[CO, CI]` of g `[B, CO, H, W]` and x `[B, CI, H, W]`: what a 1 x 1 filter's gradient is. */
function productOverPixels(x: Tensor, g: Tensor): Tensor {
  const [images, pixels] = [dim(x, 0), dim(x, 2) * dim(x, 3)];
  const rows = (t: Tensor): Tensor => reshape(t, [images, dim(t, 1), pixels]);
  if (pixels >= enoughPixels) return sum(matmul(rows(g), rows(x), { transposeB: true }), [0]);
  const side = (t: Tensor): Tensor => reshape(permute(rows(t), [1, 0, 2]), [dim(t, 1), -1]);
  return matmul(side(g), side(x), { transposeB: true });
}

/** What a gradient consists of, if windows cover its planes. */
function windowsOf(g: Tensor): SparsePlanes | undefined {
  const { sparse } = g;
  if (!sparse) return undefined;
  const covers = (axis: number): boolean =>
    dim(sparse.values, axis) * sparse.window === dim(g, axis);
  return covers(2) && covers(3) ? sparse : undefined;
}

/** Filters `[CO, CI, KH, KW]` as `[CI, KH, KW, CO]`. */
function filtersLast({ CO, CI, KH, KW }: ConvShape): Strides {
  return { shape: [CI, KH, KW, CO], strides: [KH * KW, KW, 1, CI * KH * KW] };
}

/** Whether a 1 x 1 kernel sees every nth pixel only: then the others are left out first. */
function skipsPixels({ KH, KW, STRIDE, PAD }: ConvShape): boolean {
  return KH === 1 && KW === 1 && STRIDE > 1 && PAD === 0;
}
