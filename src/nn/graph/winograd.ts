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
  { winograd }: TileProfile,
  copies = 1,
): WinogradTile | undefined {
  if (winograd === 0 || s.KH !== 3 || s.KW !== 3 || s.STRIDE !== 1) return undefined;
  if (Math.min(s.CI, s.CO) < fewestChannels) return undefined;
  const tilesOf = (size: number): number => s.B * Math.ceil(s.OH / size) * Math.ceil(s.OW / size);
  // Few tiles do not pay for reading filters at more points.
  const SIZE = winograd === 4 && tilesOf(4) < mostTiles ? 2 : winograd;
  const [SIDE, DOWN, ACROSS] = [SIZE + 2, Math.ceil(s.OH / SIZE), Math.ceil(s.OW / SIZE)];
  const ALL = tilesOf(SIZE);
  const deep = 4 * Math.ceil(s.CI / 4);
  const floats = SIDE * SIDE * deep * Math.max(ALL, 4 * Math.ceil(s.CO / 4));
  if (texelRows(copies * floats) >= 8192) return undefined;
  const BLOCK = Math.ceil(ALL / Math.ceil(ALL / mostTiles));
  return { SIZE, SIDE, DOWN, ACROSS, ALL, BLOCK };
}

/** Channels below which moving tiles costs more than their products save. */
const fewestChannels = 16;

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

/** Tiles from which on their transforms cost less than their products save, and those that a thread reads at once. */
const [fewestTiles, tilesAtOnce] = [32, 4];

/** The cut of `winograd_weight_products` in so many shares of a batch; undefined where it would not pay. */
export function weightProductTile(
  s: ConvShape,
  split: number,
  { SIDE, DOWN, ACROSS, ALL, BLOCK }: WinogradTile,
): WeightProductTile | undefined {
  const [quads, deep] = [Math.ceil(s.CO / 4), Math.ceil(s.CI / 4)];
  const EACH = Math.ceil(s.B / split) * DOWN * ACROSS;
  if (ALL < fewestTiles) return undefined;
  const TILES =
    Array.from({ length: tilesAtOnce }, (_, i) => tilesAtOnce - i).find((n) =>
      [EACH, ALL, BLOCK].every((all) => all % n === 0)
    ) ?? 1;
  const [QUADS, GROUPS] = [Math.min(4, deep), Math.min(4, quads)];
  const threads = split * SIDE * SIDE * Math.ceil(deep / QUADS) * Math.ceil(quads / GROUPS);
  return { QUADS, GROUPS, TILES, EACH, BLOCK, threads };
}
