/**
 * How the tiled kernels cut their work: what a thread makes, and how many threads that takes.
 *
 * Products make 8 x 8 results in registers for 16 values loaded, which suits software and hardware
 * alike; convolutions are cut by a profile, for there the two pull apart. No workgroup memory, valid at
 * WebGPU's default limits.
 *
 * @module
 */

/** Sizes of a convolution: B images, CI/CO channels, H x W in, OH x OW out, KH x KW kernel. */
export interface ConvShape {
  readonly B: number;
  readonly CI: number;
  readonly H: number;
  readonly W: number;
  readonly CO: number;
  readonly KH: number;
  readonly KW: number;
  readonly OH: number;
  readonly OW: number;
  readonly STRIDE: number;
  readonly PAD: number;
}

/** Results on a side of the tile of `matmul` and `random_features`. */
const side = 8;

/** How much of a convolution one thread makes. Results are the same bits in every profile. */
export interface TileProfile {
  /** Its key in `tileProfiles`. */
  readonly name: "portable" | "software" | "texels" | "winograd";
  /** Pixels that a thread of `conv2d` makes at most. */
  readonly pixels: number;
  /** Products of a pixel and four channels that it makes at most. */
  readonly products: number;
  /** How many times as many of either it makes where it keeps the maxima of 2 x 2 windows only. */
  readonly pooling: number;
  /** Products of a tap and four channels that a thread of `conv2d_weight` makes at most. */
  readonly sums: number;
  /** Vectors of four results that a thread makes which reads its operands from textures; 0 where none does. */
  readonly texels: number;
  /** Floats from which on any kernel reads an operand from a texture that it is copied to first; 0 where none does. */
  readonly textured: number;
  /** Pixels on a side of the tiles by which 3 x 3 filters are applied, 2 or 4; 0 where each pixel is made by itself. */
  readonly winograd: 0 | 2 | 4;
  /** Channels of image and result from which on that pays. */
  readonly fewestChannels: number;
  /** Pixels of a batch from which on it pays in the filters' gradient. */
  readonly fewestPixels: number;
  /** Statements that a kernel it cuts has at most, functions written out where they are called: what a driver compiles. */
  readonly statements: number;
  /** What a vector of filters, a pixel and a product of both cost a thread, in units of each other. */
  readonly costs: { readonly filters: number; readonly pixel: number; readonly product: number };
  /** Profiles by whose numbers some kernels are cut instead, where that was measured to be faster: by `cutKey`. */
  readonly cuts?: ReadonlyMap<string, TileProfile>;
}

/** What a cut is chosen for: a kernel and its sizes, but for the number of images. */
export function cutKey(
  kernel: "conv2d" | "conv2d_weight",
  { CI, H, W, CO, KH, KW, OH, OW, STRIDE, PAD }: Omit<ConvShape, "B">,
  { fold = 1, pool = 1 }: ConvExtras = {},
): string {
  const sizes = `${CI}x${H}x${W} ${CO}x${KH}x${KW} ${OH}x${OW} stride ${STRIDE} pad ${PAD}`;
  return `${kernel} ${sizes}${fold > 1 ? " folded" : ""}${pool > 1 ? " pooled" : ""}`;
}

/** For software drivers, where a load costs far more than a register that is spilt: lavapipe's costs. */
const software = {
  name: "software",
  pixels: 32,
  products: 64,
  pooling: 2,
  sums: 50,
  texels: 0,
  textured: 0,
  winograd: 0,
  fewestChannels: 16,
  fewestPixels: 256,
  statements: 2000,
  costs: { filters: 20, pixel: 21, product: 3 },
} as const;

/** The profiles by name; `mirage tune` measures which suits an adapter. */
export const tileProfiles = {
  /** For GPUs: 64 results in a thread's registers. Its costs are judgement, for no GPU was at hand to measure. */
  portable: {
    ...software,
    name: "portable",
    pixels: 8,
    products: 16,
    pooling: 1,
    sums: 18,
    statements: 600,
    costs: { filters: 4, pixel: 1, product: 4 },
  },
  software,
  /** For software drivers that read a texture without a branch, as lavapipe does. */
  texels: { ...software, name: "texels", texels: 32, textured: 32768 },
  /** As `texels`, with 3 x 3 filters applied to tiles. */
  winograd: { ...software, name: "winograd", texels: 32, textured: 32768, winograd: 4 },
} as const satisfies Record<string, TileProfile>;

/** Texels in a row of every texture, and their bytes. */
export const texelRow = 1024;
export const texelRowBytes = 16 * texelRow;

/** Rows that a texture may have on every device. */
export const mostRows = 8192;

/** Rows of a texture of so many floats. */
export function texelRows(floats: number): number {
  return Math.max(1, Math.ceil(floats / (4 * texelRow)));
}

/** Groups of four channels that a thread makes at most. */
const mostGroups = 4;

/** Threads of a convolution's workgroup. */
const workgroup = 32;

/** Threads of a workgroup that are computed at once. */
export const simd = 8;

/** Rows and columns of the kernel that a thread of `conv2d_weight` makes at most. */
const run = 5;

/** Reads of a gradient from which on it pays to lay its channels side by side first. */
const fewReads = 8;

/** Threads that keep a device busy without making too many parts of a sum. */
export const enough = 512;

/** Turns of a thread's loops; lavapipe ends them after 65,535. */
export const longestLoop = 32_768;

/** Invocations of `matmul`. */
export function matmulThreads({ batch, m, n }: { batch: number; m: number; n: number }): number {
  return batch * Math.ceil(m / side) * Math.ceil(n / side);
}

/** Invocations of `random_features`. */
export function randomFeaturesThreads({ n, d }: { n: number; d: number }): number {
  return Math.ceil(n / side) * Math.ceil(d / side);
}

/** How a convolution is cut: pixels and groups of four channels a thread makes, of how many rows. */
export interface ConvTile {
  /** Pixels of an image's strip that a step to the next column leaves in registers. */
  readonly SLIDES: number;
  readonly GROUPS: number;
  readonly PIXELS: number;
  readonly ROWS: number;
  readonly threads: number;
}

/** What a convolution's kernel does besides: four rows of one channel at once, or 2 x 2 windows' maxima. */
export interface ConvExtras {
  readonly fold?: 1 | 4;
  readonly pool?: 1 | 2;
}

/**
 * The cut of `conv2d` that loads least: pixels of a row, or of the same row of several images where rows
 * are short, and groups of four channels; or four rows of one channel where it folds, two of one image where
 * it pools.
 */
export function conv2dTile(
  s: ConvShape,
  profile: TileProfile,
  { fold = 1, pool = 1 }: ConvExtras = {},
): ConvTile {
  const { pixels: mostPixels, products: mostProducts, pooling, costs } =
    profile.cuts?.get(cutKey("conv2d", s, { fold, pool })) ?? profile;
  const quads = Math.ceil(s.CO / 4);
  let best: Omit<ConvTile, "SLIDES"> & { readonly cost: number } | undefined;
  for (let blocks = 1; blocks <= quads; blocks++) {
    const GROUPS = Math.ceil(quads / blocks);
    if (GROUPS > mostGroups) continue;
    const most = Math.min(mostPixels, Math.floor(mostProducts / GROUPS)) *
      (pool === 1 ? 1 : pooling / pool);
    const shortest = Math.ceil(s.OW / most);
    for (let pieces = shortest; pieces <= 2 * shortest; pieces++) {
      const strip = pool * Math.ceil(s.OW / pieces / pool);
      const strips = Math.ceil(s.OW / strip);
      const alone = strips > 1 || fold > 1 || pool > 1;
      const several = alone ? 1 : Math.min(s.B, Math.floor(most / strip));
      for (let images = 1; images <= several; images++) {
        const ROWS = images * pool;
        const PIXELS = ROWS * strip;
        const lanes = Math.ceil(s.B / images) * Math.ceil(s.OH / (fold * pool));
        const threads = Math.ceil(lanes / workgroup) * workgroup * blocks * strips;
        // A column further on, all but the strips' last pixels are there; with a stride none is.
        const next = s.STRIDE === 1 ? ROWS : PIXELS;
        const pixels = (PIXELS + (s.KW - 1) * next) / s.KW;
        const each = GROUPS * costs.filters + pixels * costs.pixel +
          PIXELS * GROUPS * costs.product;
        const cost = each * Math.max(Math.ceil(lanes / simd) * simd * blocks * strips, enough);
        if (!best || cost < best.cost) best = { GROUPS, PIXELS, ROWS, threads, cost };
      }
    }
  }
  if (!best) throw new Error("Unreachable: no cut of a convolution");
  const { GROUPS, PIXELS, ROWS, threads } = best;
  return { GROUPS, PIXELS, ROWS, SLIDES: s.STRIDE === 1 ? PIXELS / ROWS - 1 : 0, threads };
}

/** How a convolution is cut that reads textures: rows of pixels, and groups of four channels. */
export interface TexelTile {
  readonly ROWS: number;
  readonly PIXELS: number;
  readonly GROUPS: number;
  /** Pixels of a row that a strip sees. */
  readonly SPAN: number;
  /** Channels of a texel that are in use. */
  readonly CHANNELS: number;
  /** Pixels of a row that are stored at once. */
  readonly TOGETHER: 1 | 4;
  readonly threads: number;
}

/** What a texel and a product of four channels cost a thread, in units of each other: lavapipe's. */
const texelCosts = { load: 8, product: 1.1 } as const;

/**
 * The cut of a convolution that reads textures, or pools what it makes: the one that loads and computes least, by
 * how many lanes stand idle too. Undefined where the profile reads none, or it would not pay, or not fit in a texture.
 */
export function texelTile(
  s: ConvShape,
  { texels, pooling }: TileProfile,
  copies = 1,
  { pool = 1 }: Pick<ConvExtras, "pool"> = {},
): TexelTile | undefined {
  const most = pool === 1 ? texels : texels * pooling;
  const CHANNELS = Math.min(4, s.CI);
  const quads = Math.ceil(s.CO / 4);
  const { tall, wide } = framed(s);
  const floats = 4 * s.B * Math.ceil(s.CI / 4) * tall * wide;
  const filters = 4 * s.CI * s.KH * s.KW * quads;
  // A filter of one place has too little to do for each texel that it reads.
  if (
    texels === 0 || s.KH * s.KW === 1 || texelRows(copies * Math.max(floats, filters)) >= mostRows
  ) return undefined;
  let best: TexelTile & { readonly cost: number } | undefined;
  for (let GROUPS = 1; GROUPS <= Math.min(quads, most); GROUPS++) {
    for (let PIXELS = pool; PIXELS * GROUPS <= most && PIXELS <= s.OW; PIXELS += pool) {
      for (let ROWS = pool; ROWS * PIXELS * GROUPS <= most && ROWS <= s.OH; ROWS += pool) {
        const SPAN = (PIXELS - 1) * s.STRIDE + s.KW;
        const lanes = s.B * Math.ceil(s.OH / ROWS);
        const blocks = Math.ceil(quads / GROUPS) * Math.ceil(s.OW / PIXELS);
        const threads = Math.ceil(lanes / workgroup) * workgroup * blocks;
        const each = texelCosts.load * (ROWS * SPAN + CHANNELS * s.KW * GROUPS) +
          texelCosts.product * CHANNELS * s.KW * ROWS * PIXELS * GROUPS;
        const cost = each * Math.ceil(lanes / simd) * simd * blocks;
        if (!best || cost < best.cost) {
          const TOGETHER = pool === 1 && s.OW % 4 === 0 && PIXELS % 4 === 0 ? 4 : 1;
          best = { ROWS, PIXELS, GROUPS, SPAN, CHANNELS, TOGETHER, threads, cost };
        }
      }
    }
  }
  if (!best) throw new Error("Unreachable: no cut of a convolution");
  const { cost: _, ...tile } = best;
  return tile;
}

/** How the filters' gradient is cut that reads textures: groups of four output channels, and pixels read at once. */
export interface TexelWeightTile {
  readonly GROUPS: number;
  readonly PIXELS: number;
  /** Pixels of a row that these see. */
  readonly SPAN: number;
  readonly threads: number;
}

/** Pixels of a row that `conv2d_weight_texels` reads at once: at most, and at least for it to pay. */
const pixelsAtOnce = { most: 8, least: 4 } as const;

/** The cut of `conv2d_weight_texels` in so many parts; undefined where it would not pay, or not fit. */
export function texelWeightTile(
  s: ConvShape,
  split: number,
  { texels }: TileProfile,
  copies = 1,
): TexelWeightTile | undefined {
  const [quads, deep] = [Math.ceil(s.CO / 4), Math.ceil(s.CI / 4)];
  const { tall, wide } = framed(s);
  const floats = 4 * s.B * Math.max(deep * tall * wide, quads * s.OH * s.OW);
  const { most, least } = pixelsAtOnce;
  const PIXELS = Array.from({ length: most }, (_, i) => most - i).find((n) => s.OW % n === 0) ?? 1;
  const fits = texelRows(copies * floats) < mostRows;
  if (texels === 0 || s.KH * s.KW === 1 || PIXELS < least || !fits) return undefined;
  const GROUPS = Math.min(mostGroups, quads);
  const lanes = Math.ceil(deep * s.KH / workgroup) * workgroup;
  const SPAN = (PIXELS - 1) * s.STRIDE + s.KW;
  return { GROUPS, PIXELS, SPAN, threads: split * Math.ceil(quads / GROUPS) * lanes };
}

/** Rows and columns that a convolution sees, of its padding too. */
export function framed({ OH, OW, KH, KW, STRIDE }: ConvShape): {
  readonly tall: number;
  readonly wide: number;
} {
  return { tall: (OH - 1) * STRIDE + KH, wide: (OW - 1) * STRIDE + KW };
}

/** How the filters' gradient is cut: taps and groups of four channels a thread makes. */
export interface WeightTile {
  /** 1 where the gradients are read so seldom that it does not pay to lay their channels side by side. */
  readonly PLANAR: 0 | 1;
  readonly GROUPS: number;
  readonly ROWS: number;
  readonly COLUMNS: number;
  readonly threads: number;
}

/** Whether `conv2d_weight` reads gradients as they are. */
export function readsPlanes({ CI, KH, KW }: ConvShape): boolean {
  return CI * Math.ceil(KH / run) * Math.ceil(KW / run) <= fewReads;
}

/**
 * Parts that `conv2d_weight` sums a batch in: enough of them for a device to have work and for no
 * thread's loops to grow too long. The same in every profile, for the sum's bits depend on it.
 */
export function conv2dWeightSplit(s: ConvShape): number {
  const { blocks, bands, runs } = weightBlocks(s, tileProfiles.software);
  const least = Math.max(
    enough / (blocks * s.CI * bands * runs),
    s.B * s.OH * s.OW / longestLoop,
  );
  return Math.min(s.B, Math.max(1, Math.ceil(least)));
}

/** The cut of `conv2d_weight` in so many parts. */
export function conv2dWeightTile(s: ConvShape, split: number, profile: TileProfile): WeightTile {
  const tiles = profile.cuts?.get(cutKey("conv2d_weight", s)) ?? profile;
  const { quads, blocks, bands, runs } = weightBlocks(s, tiles);
  return {
    PLANAR: readsPlanes(s) ? 1 : 0,
    GROUPS: Math.ceil(quads / blocks),
    ROWS: Math.ceil(s.KH / bands),
    COLUMNS: Math.ceil(s.KW / runs),
    threads: split * blocks * s.CI * bands * runs,
  };
}

/** Blocks of channels, bands of rows and runs of columns that a filter's gradient is cut in. */
function weightBlocks({ CO, KH, KW }: ConvShape, { sums }: TileProfile): {
  readonly quads: number;
  readonly blocks: number;
  readonly bands: number;
  readonly runs: number;
} {
  const [quads, bands, runs] = [Math.ceil(CO / 4), Math.ceil(KH / run), Math.ceil(KW / run)];
  const taps = Math.ceil(KH / bands) * Math.ceil(KW / runs);
  const most = Math.max(1, Math.min(mostGroups, Math.floor(sums / taps)));
  return { quads, blocks: Math.ceil(quads / most), bands, runs };
}
