/**
 * Convolutions with 3 x 3 filters by tiles: transformed, multiplied point by point, and transformed back.
 *
 * @module
 */
import filtersWgsl from "../../shaders/winograd_filters.wgsl" with { type: "text" };
import pixelsWgsl from "../../shaders/winograd_pixels.wgsl" with { type: "text" };
import productsWgsl from "../../shaders/winograd_products.wgsl" with { type: "text" };
import weightWgsl from "../../shaders/winograd_weight.wgsl" with { type: "text" };
import weightProductsWgsl from "../../shaders/winograd_weight_products.wgsl" with { type: "text" };
import tilesWgsl from "../../shaders/winograd_tiles.wgsl" with { type: "text" };
import { type Epilogue, epilogueOverrides, type Filters } from "./epilogue.ts";
import { kernel } from "../graph/kernel.ts";
import { node, type Tensor } from "../graph/tensor.ts";
import type { ConvShape } from "../graph/tiles.ts";
import {
  type ProductTile,
  productTile,
  storedTogether,
  weightProductTile,
  type WinogradTile,
} from "../graph/winograd.ts";

const filterKernel = kernel("winograd_filters", filtersWgsl);
const pixelKernel = kernel("winograd_pixels", pixelsWgsl);
const productKernel = kernel("winograd_products", productsWgsl);
const weightKernel = kernel("winograd_weight", weightWgsl);
const weightProductKernel = kernel("winograd_weight_products", weightProductsWgsl);
const tileKernel = kernel("winograd_tiles", tilesWgsl);

/** `act(x * w + bias + residual)` by tiles of x `[B, CI, H, W]`: `[B, CO, OH, OW]`. */
export function byTiles(
  name: string,
  s: ConvShape,
  [x, filters]: readonly [Tensor, Filters],
  epilogue: Epilogue,
  tile: WinogradTile,
): Tensor {
  const { B, CI, CO, OH, OW } = s;
  const { SIZE, SIDE, DOWN, ACROSS, ALL, BLOCK } = tile;
  const quads = Math.ceil(CO / 4);
  const { threads, ...cut } = productTile(s, tile);
  const points = SIDE * SIDE;
  const products = node(
    "winogradProducts",
    [tilesOf("image", x, s, tile), transformed(filters, s, tile, cut)],
    [quads, Math.ceil(ALL / BLOCK), points, BLOCK, 4],
    {
      kind: "dispatch",
      kernel: productKernel,
      overrides: { CI, CO, ALL, POINTS: points, ...cut },
      threads,
      flop: flopOf(s),
    },
  );
  const { bias = x, residual = x } = epilogue;
  return node(name, [products, bias, residual], [B, CO, OH, OW], {
    kind: "dispatch",
    kernel: pixelKernel,
    overrides: {
      ...{ B, CO, OH, OW, DOWN, ACROSS, BLOCK, SIZE, SIDE },
      TOGETHER: storedTogether(s, tile),
      ...epilogueOverrides(epilogue),
    },
    threads: ALL * quads,
  });
}

/** The filters' gradient in so many shares of the batch, `[SPLIT, CO, CI, 3, 3]`. */
export function weightByTiles(
  s: ConvShape,
  split: number,
  [x, g]: readonly [Tensor, Tensor],
  tile: WinogradTile,
): Tensor {
  const { CI, CO } = s;
  const { SIZE, SIDE, ALL } = tile;
  const quads = Math.ceil(CO / 4);
  const { threads, ...sizes } = weightProductTile(s, split, tile);
  const points = SIDE * SIDE;
  const products = node(
    "winogradWeightProducts",
    [tilesOf("image", x, s, tile), tilesOf("gradient", g, s, tile)],
    [split, Math.ceil(CI / 4), quads, points, 4, 4],
    {
      kind: "dispatch",
      kernel: weightProductKernel,
      overrides: { CI, CO, ALL, SPLIT: split, POINTS: points, ...sizes },
      threads,
      flop: flopOf(s),
    },
  );
  return node("conv2dWeight", [products], [split, CO, CI, 3, 3], {
    kind: "dispatch",
    kernel: weightKernel,
    overrides: { CI, CO, SPLIT: split, SIZE, SIDE },
    threads: split * 4 * Math.ceil(CI / 4) * quads,
  });
}

/** What the convolution by itself would be. */
function flopOf({ B, CI, CO, OH, OW }: ConvShape): number {
  return 2 * B * CO * OH * OW * CI * 9;
}

/** An image's tiles, or its gradient's, at every point: `[channels / 4, blocks, points, tiles of a block, 4]`. */
function tilesOf(
  OF: "image" | "gradient",
  x: Tensor,
  s: ConvShape,
  { SIZE, SIDE, DOWN, ACROSS, ALL, BLOCK }: WinogradTile,
): Tensor {
  const { B } = s;
  const [C, H, W, PAD] = OF === "image" ? [s.CI, s.H, s.W, s.PAD] : [s.CO, s.OH, s.OW, 0];
  const [quads, blocks] = [Math.ceil(C / 4), Math.ceil(ALL / BLOCK)];
  return node("winogradTiles", [x], [quads, blocks, SIDE * SIDE, BLOCK, 4], {
    kind: "dispatch",
    kernel: tileKernel,
    overrides: { B, C, H, W, DOWN, ACROSS, PAD, BLOCK, SIZE, SIDE, OF },
    threads: blocks * BLOCK * quads,
  });
}

/** Filters at every point: `[points, blocks, CI / 4, 4, groups of a block, 4]`, channels filled up by zeros. */
function transformed(
  { w, order }: Filters,
  s: ConvShape,
  { SIZE, SIDE }: WinogradTile,
  { LANES }: Pick<ProductTile, "LANES">,
): Tensor {
  const { CI, CO } = s;
  const [TO_CI = 0, TO_KH = 0, TO_KW = 0, TO_CO = 0] = order.strides;
  const [deep, blocks] = [Math.ceil(CI / 4), Math.ceil(CO / (4 * LANES))];
  return node("winogradFilters", [w], [SIDE * SIDE, blocks, deep, 4, LANES, 4], {
    kind: "dispatch",
    kernel: filterKernel,
    overrides: {
      ...{ CI, CO, TO_CI, TO_CO, TO_KH, TO_KW, LANES, SIZE, SIDE },
      START: order.offset ?? 0,
    },
    threads: deep * blocks * 4 * LANES,
  });
}
