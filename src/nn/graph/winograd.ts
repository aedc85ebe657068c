/**
 * How a convolution with 3 x 3 filters is cut into tiles whose products cost a quarter of its own, or less
 * than a half: Winograd's minimal filtering (A. Lavin and S. Gray, Fast Algorithms for Convolutional Neural
 * Networks, CVPR 2016).
 *
 * @module
 */
import { type ConvShape, mostRows, texelRows, type TileProfile } from "./tiles.ts";

/** How images are cut into tiles. */
export interface WinogradTile {
  /** Pixels on a side of a tile of the result: 2 or 4. */
  readonly SIZE: number;
  /** Points on a side at which products are made. */
  readonly SIDE: number;
  /** Tiles of an image, from top to bottom and from side to side. */
  readonly DOWN: number;
  readonly ACROSS: number;
  /** Tiles of all images, and those that lie side by side. */
  readonly ALL: number;
  readonly BLOCK: number;
}

/** How products of tiles and filters are cut: blocks of tiles, and groups of four output channels, that a thread makes. */
export interface ProductTile {
  readonly TILES: number;
  readonly GROUPS: number;
  /** Groups of four output channels that lie side by side, for as many threads. */
  readonly LANES: number;
  readonly threads: number;
}

/** Threads that read filters side by side at most. */
const mostLanes = 8;

/** Tiles that lie side by side at most, and vectors of four products that a thread makes. */
const [mostTiles, mostProducts] = [16, 64];

/** The tiles of a convolution; undefined where a profile makes none, or they would not pay, or not fit. */
export function winogradTile(
  s: ConvShape,
  { winograd, fewestChannels }: TileProfile,
  copies = 1,
): WinogradTile | undefined {
  const fits3 = s.KH === 3 && s.KW === 3 && s.STRIDE === 1;
  if (winograd === 0 || !fits3 || Math.min(s.CI, s.CO) < fewestChannels) return undefined;
  const large = tilesOf(s, winograd);
  // Few tiles do not pay for reading filters at more points.
  const tile = large.ALL < mostTiles ? tilesOf(s, 2) : large;
  const { SIDE, ALL, BLOCK } = tile;
  const [deep, wide] = [Math.ceil(s.CI / 4), mostLanes * Math.ceil(s.CO / (4 * mostLanes))];
  const channels = Math.max(deep, wide);
  const texels = SIDE * SIDE * Math.max(channels * Math.ceil(ALL / BLOCK) * BLOCK, 4 * deep * wide);
  return texelRows(4 * copies * texels) < mostRows ? tile : undefined;
}

/** All images of a convolution in tiles of so many pixels on a side. */
export function tilesOf(s: ConvShape, SIZE: 2 | 4): WinogradTile {
  const [SIDE, DOWN, ACROSS] = [SIZE + 2, Math.ceil(s.OH / SIZE), Math.ceil(s.OW / SIZE)];
  const ALL = s.B * DOWN * ACROSS;
  const BLOCK = Math.ceil(ALL / Math.ceil(ALL / mostTiles));
  return { SIZE, SIDE, DOWN, ACROSS, ALL, BLOCK };
}

/** Pixels of a row that a tile's thread stores at once. */
export function storedTogether({ OW }: ConvShape, { SIZE }: WinogradTile): 1 | 4 {
  return SIZE === 4 && OW % 4 === 0 ? 4 : 1;
}

/** The cut of `winograd_products`: all tiles of a block, and as many channels as a thread may make of each. */
export function productTile(s: ConvShape, { SIDE, ALL, BLOCK }: WinogradTile): ProductTile {
  const quads = Math.ceil(s.CO / 4);
  const LANES = Math.min(mostLanes, 2 ** Math.ceil(Math.log2(quads)));
  const blocks = Math.ceil(quads / LANES);
  const GROUPS = Math.min(blocks, Math.max(1, Math.floor(mostProducts / BLOCK)));
  const threads = LANES * Math.ceil(blocks / GROUPS) * Math.ceil(ALL / BLOCK) * SIDE * SIDE;
  return { TILES: BLOCK, GROUPS, LANES, threads };
}

/** How products of images' and gradients' tiles are cut: groups of four channels of both that a thread makes. */
export interface WeightProductTile {
  readonly QUADS: number;
  readonly GROUPS: number;
  /** Tiles that a thread reads at once. */
  readonly TILES: number;
  /** Tiles of a share. */
  readonly EACH: number;
  /** Tiles that lie side by side. */
  readonly BLOCK: number;
  readonly threads: number;
}

/** Tiles that a thread of `winograd_weight_products` reads at once, at most. */
const tilesAtOnce = 4;

/** The cut of `winograd_weight_products` in so many shares of a batch. */
export function weightProductTile(
  s: ConvShape,
  split: number,
  { SIDE, DOWN, ACROSS, ALL, BLOCK }: WinogradTile,
): WeightProductTile {
  const [quads, deep] = [Math.ceil(s.CO / 4), Math.ceil(s.CI / 4)];
  const EACH = Math.ceil(s.B / split) * DOWN * ACROSS;
  const TILES =
    Array.from({ length: tilesAtOnce }, (_, i) => tilesAtOnce - i).find((n) =>
      [EACH, ALL, BLOCK].every((all) => all % n === 0)
    ) ?? 1;
  const [QUADS, GROUPS] = [Math.min(4, deep), Math.min(4, quads)];
  const threads = split * SIDE * SIDE * Math.ceil(deep / QUADS) * Math.ceil(quads / GROUPS);
  return { QUADS, GROUPS, TILES, EACH, BLOCK, threads };
}

/** Whether so many parts of the products of images' and gradients' tiles can be bound at once. */
export function weightProductsFit(s: ConvShape, parts: number, { SIDE }: WinogradTile): boolean {
  const floats = 16 * Math.ceil(s.CI / 4) * Math.ceil(s.CO / 4) * SIDE * SIDE;
  return texelRows(parts * floats) < mostRows;
}
