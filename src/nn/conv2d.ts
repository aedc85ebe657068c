/**
 * Convolution: one trilinear form T(x, w, g) = sum x w g, and its three contractions. The derivative
 * of each in each argument is another of the three, so the family is closed to every order.
 *
 * @module
 */
import forwardWgsl from "../shaders/conv2d.wgsl" with { type: "text" };
import weightWgsl from "../shaders/conv2d_weight.wgsl" with { type: "text" };
import { mul, step } from "./elementwise.ts";
import { kernel } from "./kernel.ts";
import { sum, sumParts } from "./reduce.ts";
import { flip, pad, permute, reshape, strided } from "./shape.ts";
import { dim, node, show, type Tensor, type Vjp, withVjp } from "./tensor.ts";
import { conv2dTile, conv2dWeightTile, type ConvShape } from "./tiles.ts";

const forwardKernel = kernel("conv2d", forwardWgsl);
const weightKernel = kernel("conv2d_weight", weightWgsl);

/** Geometry of a convolution: the same stride and zero padding on both axes. */
export interface ConvOptions {
  readonly stride?: number;
  readonly padding?: number;
}

/** What `conv2d` can do on the way. */
export interface Conv2dOptions extends ConvOptions {
  /** `[CO]` */
  readonly bias?: Tensor;
  readonly activation?: "none" | "relu";
}

/**
 * Cross-correlation, as in every deep-learning library: x `[B, CI, H, W]`, w `[CO, CI, KH, KW]` to
 * `[B, CO, OH, OW]`, plus bias, then the activation.
 *
 * @throws Error naming both shapes when the channels differ or the kernel exceeds the padded image
 */
export function conv2d(x: Tensor, w: Tensor, options: Conv2dOptions = {}): Tensor {
  const { stride = 1, padding = 0, bias, activation = "none" } = options;
  const geometry = { stride, padding };
  if (x.shape.length !== 4 || w.shape.length !== 4 || dim(x, 1) !== dim(w, 1)) {
    throw new Error(`Cannot convolve ${show(x.shape)} with ${show(w.shape)}: channels differ`);
  }
  const s = sizes(x.shape, w.shape, geometry);
  // A 1 x 1 kernel sees every stride-th pixel only: fewer pixels, then no stride.
  if (s.KH === 1 && s.KW === 1 && stride > 1 && padding === 0) {
    return conv2d(everyNth(x, stride), w, { ...(bias ? { bias } : {}), activation });
  }
  return correlate(
    "conv2d",
    s,
    [x, packFilters(w, [1, 2, 3, 0]), bias],
    activation,
    (upstream, y) => {
      const g = activation === "relu" ? mul(upstream, step(y)) : upstream;
      return [
        conv2dInput(g, w, [s.H, s.W], geometry),
        conv2dWeight(x, g, [s.KH, s.KW], geometry),
        bias ? sum(g, [0, 2, 3]) : null,
      ];
    },
    [x, w, bias ?? w],
  );
}

/** Every nth pixel of both axes, the first ones first. */
function everyNth(x: Tensor, n: number): Tensor {
  const [b, c, h, w] = [dim(x, 0), dim(x, 1), dim(x, 2), dim(x, 3)];
  const shape = [b, c, Math.ceil(h / n), Math.ceil(w / n)];
  const strides = [c * h * w, h * w, n * w, n];
  return strided("everyNth", x, { shape, strides }, (g) => [apart(g, n, [h, w])]);
}

/** Its adjoint: pixels n apart in zeros, cut to `[H, W]`. */
function apart(g: Tensor, n: number, [h = 1, w = 1]: readonly number[]): Tensor {
  const [b, c, oh, ow] = [dim(g, 0), dim(g, 1), dim(g, 2), dim(g, 3)];
  const wide = pad(reshape(g, [b * c * oh, 1, ow, 1]), [0, 0, 0, 0], [b * c * oh, n, ow, n]);
  return withVjp(
    pad(reshape(wide, [b, c, oh * n, ow * n]), [0, 0, 0, 0], [b, c, h, w]),
    [g],
    (x) => [everyNth(x, n)],
  );
}

/** One dispatch of the forward kernel, whose weights are packed as the kernel reads them. */
function correlate(
  name: string,
  s: ConvShape,
  [x, packed, bias]: readonly [Tensor, Tensor, (Tensor | undefined)?],
  activation: "none" | "relu",
  vjp: Vjp,
  operands: readonly Tensor[],
): Tensor {
  const { threads, ...tile } = conv2dTile(s);
  const source = {
    kind: "dispatch",
    kernel: forwardKernel,
    overrides: { ...s, ...tile, HAS_BIAS: bias ? 1 : 0, ACTIVATION: activation },
    threads,
  } as const;
  const inputs = [x, packed, bias ?? packed];
  return node(name, inputs, [s.B, s.CO, s.OH, s.OW], source, vjp, operands);
}

/**
 * The input gradient of a single channel, four rows at a time: four filters, each a row further down,
 * stand for the four channels that the kernel makes at once.
 */
function correlateRows(
  s: ConvShape,
  [g, w]: readonly [Tensor, Tensor],
  vjp: Vjp,
  operands: readonly Tensor[],
): Tensor {
  const { CI, KH, KW } = s;
  const turned = reshape(flip(w, [2, 3]), [CI, KH, KW]);
  const rows = KH + 6;
  const framed = pad(turned, [0, 3, 0], [CI, rows, KW]);
  const moved = strided("moveRows", framed, {
    shape: [CI, KH + 3, KW, 4],
    strides: [rows * KW, KW, 1, -KW],
    offset: 3 * KW,
  });
  const { threads, ...tile } = conv2dTile(s, 4);
  return node(
    "conv2dInput",
    [g, moved, moved],
    [s.B, 1, s.OH, s.OW],
    {
      kind: "dispatch",
      kernel: forwardKernel,
      overrides: { ...s, ...tile, KH: KH + 3, FOLD: 4 },
      threads,
    },
    vjp,
    [g, w],
  );
}

/**
 * Filters with their axes in another order and the last one, the channels that are made, rounded up
 * to a multiple of four: vectors that are loaded at once.
 */
function packFilters(w: Tensor, order: readonly number[]): Tensor {
  const turned = permute(w, order);
  const channels = 4 * Math.ceil(dim(turned, 3) / 4);
  return pad(turned, [0, 0, 0, 0], [...turned.shape.slice(0, 3), channels]);
}

/**
 * The adjoint of `conv2d` in x, which is also the transposed convolution: g `[B, CO, OH, OW]`,
 * w `[CO, CI, KH, KW]` to `[B, CI, H, W]`.
 *
 * @param imageSize `[H, W]` of the image, which stride and padding leave open
 */
export function conv2dInput(
  g: Tensor,
  w: Tensor,
  imageSize: readonly [height: number, width: number],
  options: ConvOptions = {},
): Tensor {
  const s = sizes([dim(g, 0), dim(w, 1), ...imageSize], w.shape, options);
  if (g.shape.length !== 4 || dim(g, 1) !== s.CO || dim(g, 2) !== s.OH || dim(g, 3) !== s.OW) {
    throw new Error(`Cannot transpose a convolution of ${show(g.shape)} with ${show(w.shape)}`);
  }
  const vjp: Vjp = (h) => [conv2d(h, w, options), conv2dWeight(h, g, [s.KH, s.KW], options)];
  // A correlation of the gradient, spread out by the stride, with the filters turned round.
  const { framed, PAD } = frame(spread(g, s), s);
  const { CI, CO, H, W } = s;
  const [OH, OW] = [dim(framed, 2), dim(framed, 3)];
  const mirrored = { ...s, CI: CO, CO: CI, H: OH, W: OW, OH: H, OW: W, PAD, STRIDE: 1 };
  if (CI === 1) return correlateRows(mirrored, [framed, w], vjp, [g, w]);
  const turned = packFilters(flip(w, [2, 3]), [0, 2, 3, 1]);
  return correlate("conv2dInput", mirrored, [framed, turned], "none", vjp, [g, w]);
}

/** Zeros between the elements of a gradient: `[B, C, OH, OW]` to what a stride of 1 would have made. */
function spread(g: Tensor, { H, W, KH, KW, STRIDE, PAD }: ConvShape): Tensor {
  return STRIDE === 1 ? g : apart(g, STRIDE, [H + 2 * PAD - KH + 1, W + 2 * PAD - KW + 1]);
}

/** The padding that a correlation with turned filters needs: the kernel's own where it has one. */
function frame(
  g: Tensor,
  { B, CO, H, W, KH, KW, PAD }: ConvShape,
): { framed: Tensor; PAD: number } {
  const [top, left] = [KH - 1 - PAD, KW - 1 - PAD];
  if (top === left && top >= 0) return { framed: g, PAD: top };
  return { framed: pad(g, [0, 0, top, left], [B, CO, H + KH - 1, W + KW - 1]), PAD: 0 };
}

/**
 * The adjoint of `conv2d` in w: x `[B, CI, H, W]`, g `[B, CO, OH, OW]` to `[CO, CI, KH, KW]`.
 *
 * @param kernelSize `[KH, KW]`
 */
export function conv2dWeight(
  x: Tensor,
  g: Tensor,
  kernelSize: readonly [height: number, width: number],
  options: ConvOptions = {},
): Tensor {
  const shape = [dim(g, 1), dim(x, 1), ...kernelSize];
  const s = sizes(x.shape, shape, options);
  if (dim(g, 0) !== s.B || dim(g, 2) !== s.OH || dim(g, 3) !== s.OW) {
    throw new Error(`Cannot correlate ${show(x.shape)} with ${show(g.shape)}`);
  }
  const { CHANNELS, ROWS, SPLIT, threads } = conv2dWeightTile(s);
  const parts = node("conv2dWeight", [x, g], [SPLIT, ...shape], {
    kind: "dispatch",
    kernel: weightKernel,
    overrides: { ...s, CHANNELS, ROWS, SPLIT },
    threads,
  });
  const vjp = (h: Tensor): Tensor[] => [
    conv2dInput(g, h, [s.H, s.W], options),
    conv2d(x, h, options),
  ];
  return sumParts(parts, vjp, [x, g]);
}

function sizes(
  image: readonly number[],
  weight: readonly number[],
  options: ConvOptions,
): ConvShape {
  const { stride = 1, padding = 0 } = options;
  const [B = 1, CI = 1, H = 1, W = 1] = image;
  const [CO = 1, , KH = 1, KW = 1] = weight;
  const OH = Math.floor((H + 2 * padding - KH) / stride) + 1;
  const OW = Math.floor((W + 2 * padding - KW) / stride) + 1;
  if (OH < 1 || OW < 1) {
    throw new Error(`Cannot convolve ${show(image)} with ${show(weight)}: the kernel is larger`);
  }
  return { B, CI, H, W, CO, KH, KW, OH, OW, STRIDE: stride, PAD: padding };
}
