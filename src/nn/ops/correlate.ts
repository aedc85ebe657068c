/**
 * The correlation that convolutions and their input gradients are made of: one kernel, its filters
 * packed as it reads them.
 *
 * @module
 */
import wgsl from "../../shaders/conv2d.wgsl" with { type: "text" };
import conv2dTexelsWgsl from "../../shaders/conv2d_texels.wgsl" with { type: "text" };
import conv2dWeightTexelsWgsl from "../../shaders/conv2d_weight_texels.wgsl" with { type: "text" };
import texelsWgsl from "../../shaders/texels.wgsl" with { type: "text" };
import { type Epilogue, epilogueOverrides, type Filters, packChannels } from "./epilogue.ts";
import { kernel } from "../graph/kernel.ts";
import { flip, pad, reshape, strided } from "./shape.ts";
import { type Dispatch, node, type Source, type Tensor, type Vjp } from "../graph/tensor.ts";
import {
  conv2dTile,
  type ConvShape,
  framed,
  type TexelTile,
  texelTile,
  type TexelWeightTile,
  type TileProfile,
  tileProfiles,
} from "../graph/tiles.ts";
import { winogradTile } from "../graph/winograd.ts";
import { byTiles } from "./winograd.ts";

const forwardKernel = kernel("conv2d", wgsl);
const texelKernel = kernel("conv2d_texels", conv2dTexelsWgsl);
const packKernel = kernel("texels", texelsWgsl);
const weightKernel = kernel("conv2d_weight_texels", conv2dWeightTexelsWgsl);

/** One dispatch of the forward kernel, whose weights are packed as the kernel reads them. */
export function correlate(
  name: string,
  s: ConvShape,
  [x, filters]: readonly [x: Tensor, filters: Filters],
  epilogue: Epilogue = {},
  vjp?: Vjp,
  operands?: readonly Tensor[],
): Tensor {
  const { bias, residual, activation = "none" } = epilogue;
  const packed = packChannels(filters.w, filters.order);
  const cut = (tiles: TileProfile): Pick<Dispatch, "overrides" | "threads"> => {
    const { threads, ...tile } = conv2dTile(s, tiles);
    return { overrides: { ...s, ...tile, ...epilogueOverrides(epilogue) }, threads };
  };
  const source = {
    kind: "dispatch",
    kernel: forwardKernel,
    ...cut(tileProfiles.portable),
    cut,
    instead: (tiles: TileProfile, copies: number) => {
      const tiled = winogradTile(s, tiles, copies);
      if (tiled) return byTiles(name, s, [x, filters], epilogue, tiled);
      const tile = texelTile(s, tiles, copies);
      return tile && fromTexels(name, s, [x, packed], epilogue, tile);
    },
  } as const;
  const inputs = [x, x, packed, bias ?? packed, residual ?? packed];
  const y = node(name, inputs, [s.B, s.CO, s.OH, s.OW], source, vjp, operands);
  if (activation === "none" && !residual) plain.set(source, { s, operands: [x, packed], epilogue });
  return y;
}

/** The same correlation by operands that are read from textures, where a profile has them so. */
function fromTexels(
  name: string,
  s: ConvShape,
  [x, packed]: readonly [x: Tensor, packed: Tensor],
  epilogue: Epilogue,
  tile: TexelTile,
  pooled?: { readonly POOL: 2; readonly HALF: number },
): Tensor {
  const { threads, ...cut } = tile;
  const { bias = x, residual = x } = epilogue;
  const { B, CI, CO, KH, KW, OH, OW, STRIDE } = s;
  const overrides = { B, CI, CO, KH, KW, OH, OW, STRIDE, ...cut };
  const shape = pooled ? [2, pooled.HALF] : [B, CO, OH, OW];
  return node(name, [texels(x, s), packed, bias, residual], shape, {
    kind: "dispatch",
    kernel: texelKernel,
    overrides: { ...overrides, ...epilogueOverrides(epilogue), ...pooled },
    threads,
  });
}

/** The filters' gradient by operands that are read from textures, `[SPLIT, CO, CI, KH, KW]`. */
export function weightFromTexels(
  s: ConvShape,
  split: number,
  [x, g]: readonly [Tensor, Tensor],
  tile: TexelWeightTile | undefined,
): Tensor | undefined {
  if (!tile) return undefined;
  const { threads, ...cut } = tile;
  const { B, CI, CO, KH, KW, OH, OW, STRIDE } = s;
  const plain = { ...s, CI: CO, H: OH, W: OW, KH: 1, KW: 1, STRIDE: 1, PAD: 0 };
  return node("conv2dWeight", [texels(x, s), texels(g, plain)], [split, CO, CI, KH, KW], {
    kind: "dispatch",
    kernel: weightKernel,
    overrides: { B, CI, CO, KH, KW, OH, OW, STRIDE, SPLIT: split, ...cut },
    threads,
  });
}

/** Images as texels: four channels of a pixel side by side, their padding around them. */
function texels(x: Tensor, s: ConvShape): Tensor {
  const { B, CI: C, H, W, PAD } = s;
  const { tall: OH, wide: OW } = framed(s);
  const quads = Math.ceil(C / 4);
  return node("texels", [x], [B, quads, OH, OW, 4], {
    kind: "dispatch",
    kernel: packKernel,
    overrides: { B, C, H, W, OH, OW, PAD },
    threads: B * quads * OH * OW,
  });
}

/** Sources of correlations with a bias at most: their sizes, and what they are made of. */
const plain = new WeakMap<Source, {
  readonly s: ConvShape;
  readonly operands: readonly [x: Tensor, packed: Tensor];
  readonly epilogue: Epilogue;
}>();

/**
 * The maxima of a correlation's 2 x 2 windows, and from `half` floats on where they were, made by its own
 * kernel: its pixels are never stored. Undefined for what is no correlation, or has odd sides.
 *
 * @returns `[2, half]`, as `maxPool2d` of the stored pixels would make it
 */
export function poolCorrelation(y: Tensor, half: number): Tensor | undefined {
  const made = plain.get(y.source);
  if (!made) return undefined;
  const { s, operands, epilogue } = made;
  if (s.STRIDE !== 1 || s.OH % 2 !== 0 || s.OW % 2 !== 0) return undefined;
  if (y.source.kind !== "dispatch") return undefined;
  const { overrides } = y.source;
  const pooled = { POOL: 2, HALF: half } as const;
  const cut = (tiles: TileProfile): Pick<Dispatch, "overrides" | "threads"> => {
    const { threads, ...tile } = conv2dTile(s, tiles, { pool: 2 });
    return { overrides: { ...overrides, ...tile, ...pooled }, threads };
  };
  const name = "conv2dMaxPool";
  return node(name, y.inputs, [2, half], {
    kind: "dispatch",
    kernel: forwardKernel,
    ...cut(tileProfiles.portable),
    cut,
    instead: (tiles: TileProfile, copies: number) => {
      const tile = texelTile(s, tiles, copies, { pool: 2 });
      return tile && fromTexels(name, s, operands, epilogue, tile, pooled);
    },
  });
}

/**
 * The input gradient of a single channel, four rows at a time: four filters, each a row further down,
 * stand for the four channels that the kernel makes at once.
 */
export function correlateRows(
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
  const tall = { ...s, KH: KH + 3 };
  const cut = (tiles: TileProfile): Pick<Dispatch, "overrides" | "threads"> => {
    const { threads, ...tile } = conv2dTile(tall, tiles, { fold: 4 });
    return { overrides: { ...tall, ...tile, FOLD: 4 }, threads };
  };
  return node(
    "conv2dInput",
    [g, g, moved, moved, moved],
    [s.B, 1, s.OH, s.OW],
    {
      kind: "dispatch",
      kernel: forwardKernel,
      ...cut(tileProfiles.portable),
      cut,
    },
    vjp,
    operands,
  );
}
