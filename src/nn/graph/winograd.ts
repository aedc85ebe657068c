/**
 * How a convolution with 3 x 3 filters is cut into tiles whose products cost a quarter of its own, or less
 * than a half: Winograd's minimal filtering (A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural
 * Networks, CVPR 2016).
 *
 * @module
 */
import { type ConvShape, texelRows, type TileProfile } from "./tiles.ts";

/** How images are cut into tiles. */
export interface WinogradTile {
  /** Pixels on a side of a tile of the result: 2 or 4. */
  readonly SIZE: number;
  /** Points on a side at which products are made. */
  readonly SIDE: number;
  /** Tiles of an image, from top to bottom and from side to side. */
  readonly DOWN: number;
  readonly ACROSS: number;
  /** Tiles of all images. */
  readonly ALL: number;
}

/** How products of tiles and filters are cut: tiles and groups of four output channels that a thread makes. */
export interface ProductTile {
  readonly TILES: number;
  readonly GROUPS: number;
  readonly threads: number;
}

/** Threads of the products' workgroup, which read filters side by side. */
const lanes = 8;

/** Vectors of four products that a thread makes at most. */
const mostProducts = 64;

/** The tiles of a convolution; undefined where a profile makes none, or they would not pay, or not fit. */
export function winogradTile(
  s: ConvShape,
  { winograd }: TileProfile,
  copies = 1,
): WinogradTile | undefined {
  if (winograd === 0 || s.KH !== 3 || s.KW !== 3 || s.STRIDE !== 1) return undefined;
  if (Math.min(s.CI, s.CO) < fewestChannels) return undefined;
  const SIZE = winograd;
  const [SIDE, DOWN, ACROSS] = [SIZE + 2, Math.ceil(s.OH / SIZE), Math.ceil(s.OW / SIZE)];
  const ALL = s.B * DOWN * ACROSS;
  const deep = 4 * Math.ceil(s.CI / 4);
  const floats = SIDE * SIDE * deep * Math.max(ALL, 4 * Math.ceil(s.CO / 4));
  if (texelRows(copies * floats) >= 8192) return undefined;
  return { SIZE, SIDE, DOWN, ACROSS, ALL };
}

/** Channels below which moving tiles costs more than their products save. */
const fewestChannels = 16;

/** The cut of `winograd_products` that loads least for what it makes, idle threads counted. */
export function productTile(s: ConvShape, { SIDE, ALL }: WinogradTile): ProductTile {
  const quads = Math.ceil(s.CO / 4);
  let best: ProductTile & { readonly cost: number } | undefined;
  for (let TILES = 1; TILES <= Math.min(16, ALL); TILES++) {
    for (let GROUPS = 1; GROUPS * TILES <= mostProducts; GROUPS *= 2) {
      const blocks = Math.ceil(quads / (lanes * GROUPS)) * Math.ceil(ALL / TILES);
      const each = 8 * (TILES + 4 * GROUPS) + 4 * 1.1 * TILES * GROUPS;
      const cost = blocks * each;
      const threads = lanes * blocks * SIDE * SIDE;
      if (!best || cost < best.cost) best = { TILES, GROUPS, threads, cost };
    }
  }
  if (!best) throw new Error("Unreachable: no cut of products");
  const { cost: _, ...tile } = best;
  return tile;
}

/** How products of images' and gradients' tiles are cut: groups of four channels of both that a thread makes. */
export interface WeightProductTile {
  readonly QUADS: number;
  readonly GROUPS: number;
  /** Tiles that a thread reads at once. */
  readonly TILES: number;
  /** Tiles of a share. */
  readonly EACH: number;
  readonly threads: number;
}

/** Tiles from which on their transforms cost less than their products save, and those that a thread reads at once. */
const [fewestTiles, tilesAtOnce] = [32, 4];

/** The cut of `winograd_weight_products` in so many shares of a batch; undefined where it would not pay. */
export function weightProductTile(
  s: ConvShape,
  split: number,
  { SIDE, DOWN, ACROSS, ALL }: WinogradTile,
): WeightProductTile | undefined {
  const [quads, deep] = [Math.ceil(s.CO / 4), Math.ceil(s.CI / 4)];
  const EACH = Math.ceil(s.B / split) * DOWN * ACROSS;
  if (ALL < fewestTiles) return undefined;
  const TILES = Array.from({ length: tilesAtOnce }, (_, i) => tilesAtOnce - i).find((n) =>
    EACH % n === 0 && ALL % n === 0
  ) ?? 1;
  const [QUADS, GROUPS] = [Math.min(4, deep), Math.min(4, quads)];
  const threads = split * SIDE * SIDE * Math.ceil(deep / QUADS) * Math.ceil(quads / GROUPS);
  return { QUADS, GROUPS, TILES, EACH, threads };
}
