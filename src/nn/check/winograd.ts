/**
 * Twins in f64 and cases of the kernels that convolve by tiles. The twins multiply by the algorithm's matrices.
 *
 * @module
 */
import { activation, at, choice, input, number, type ReferenceKernel } from "./support.ts";
import { type ConvShape, tileProfiles } from "../graph/tiles.ts";
import {
  productTile,
  storedTogether,
  tilesOf,
  weightProductTile,
  type WinogradTile,
} from "../graph/winograd.ts";
import { clipped, epsilon, type KernelCase, product, sumTolerance, uniform } from "./case.ts";
import { geometry, label } from "./conv2d.ts";

/** A matrix by rows. */
type Matrix = readonly (readonly number[])[];

/** `A^T [(G g) (B^T d)]` is the correlation of d with g: by how many results a tile has. */
const matrices: Readonly<
  Record<number, { readonly a: Matrix; readonly b: Matrix; readonly g: Matrix }>
> = {
  2: {
    a: [[1, 1, 1, 0], [0, 1, -1, -1]],
    b: [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    g: [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
  },
  4: {
    a: [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    b: [
      [4, 0, -5, 0, 1, 0],
      [0, -4, -4, 1, 1, 0],
      [0, 4, -4, -1, 1, 0],
      [0, -2, -1, 2, 1, 0],
      [0, 2, -1, -2, 1, 0],
      [0, 4, 0, -5, 0, 1],
    ],
    g: [
      [1 / 4, 0, 0],
      [-1 / 6, -1 / 6, -1 / 6],
      [-1 / 6, 1 / 6, -1 / 6],
      [1 / 24, 1 / 12, 1 / 6],
      [1 / 24, -1 / 12, 1 / 6],
      [0, 0, 1],
    ],
  },
};

function matricesOf(size: number): { readonly a: Matrix; readonly b: Matrix; readonly g: Matrix } {
  const found = matrices[size];
  if (!found) throw new Error(`Cannot convolve by tiles of ${size}: there is no such algorithm`);
  return found;
}

function turned(m: Matrix): Matrix {
  return (m[0] ?? []).map((_, j) => m.map((row) => row[j] ?? 0));
}

/** Element r, c of `m x m^T`. */
function around(m: Matrix, x: (i: number, j: number) => number, r: number, c: number): number {
  let sum = 0;
  m[r]?.forEach((left, i) =>
    m[c]?.forEach((right, j) => {
      if (left !== 0 && right !== 0) sum += left * right * x(i, j);
    })
  );
  return sum;
}

/** x[B,C,H,W] -> v[C / 4,ALL / BLOCK,SIDE,SIDE,BLOCK,4]: the tiles around one matrix or the other. */
export const winogradTiles: ReferenceKernel = ([x = new Float64Array()], o, length) => {
  const [b, c, h, w] = ["B", "C", "H", "W"].map((name) => number(o, name)) as Four;
  const [down, across, block, size] = ["DOWN", "ACROSS", "BLOCK", "SIZE"].map((name) =>
    number(o, name)
  ) as Four;
  const [pad, side] = [number(o, "PAD", 0), number(o, "SIDE")];
  const { a, b: bt } = matricesOf(size);
  const m = choice(o, "OF") === "image" ? bt : turned(a);
  const blocks = Math.ceil(b * down * across / block);
  return Float64Array.from({ length }, (_, i) => {
    const [lane, place] = [i % 4, Math.floor(i / 4) % block];
    const point = Math.floor(i / (4 * block)) % (side * side);
    const rest = Math.floor(i / (4 * block * side * side));
    const tile = rest % blocks * block + place;
    const channel = 4 * Math.floor(rest / blocks) + lane;
    if (tile >= b * down * across || channel >= c) return 0;
    const image = Math.floor(tile / (down * across));
    const [top, left] = [
      Math.floor(tile / across) % down * size - pad,
      tile % across * size - pad,
    ];
    const pixel = (r: number, s: number): number => {
      const [y, z] = [top + r, left + s];
      const inside = y >= 0 && y < h && z >= 0 && z < w;
      return inside ? at(x, ((image * c + channel) * h + y) * w + z) : 0;
    };
    return around(m, pixel, Math.floor(point / side), point % side);
  });
};

/** w -> u[SIDE,SIDE,blocks,CI,LANES,4], CI filled up to fours: the filters around G. */
export const winogradFilters: ReferenceKernel = ([w = new Float64Array()], o, length) => {
  const [ci, co, lanes, side] = ["CI", "CO", "LANES", "SIDE"].map((name) =>
    number(o, name)
  ) as Four;
  const [toCi, toCo, toKh, toKw] = ["TO_CI", "TO_CO", "TO_KH", "TO_KW"].map((name) =>
    number(o, name)
  ) as Four;
  const start = number(o, "START", 0);
  const { g } = matricesOf(number(o, "SIZE"));
  const blocks = Math.ceil(co / (4 * lanes));
  return Float64Array.from({ length }, (_, i) => {
    const whole = 4 * Math.ceil(ci / 4);
    const row = Math.floor(i / (4 * lanes));
    const [from, block] = [row % whole, Math.floor(row / whole) % blocks];
    const point = Math.floor(row / (whole * blocks));
    const to = 4 * (block * lanes + Math.floor(i / 4) % lanes) + i % 4;
    if (from >= ci || to >= co) return 0;
    const tap = (r: number, c: number): number =>
      at(w, start + from * toCi + to * toCo + r * toKh + c * toKw);
    return around(g, tap, Math.floor(point / side), point % side);
  });
};

/** v[CI / 4,rounds,POINTS,TILES,4], u[POINTS,blocks,CI,LANES,4] -> m[CO / 4,rounds,POINTS,TILES,4]. */
export const winogradProducts: ReferenceKernel = (inputs, o, length) => {
  const [v, u] = [input(inputs, 0), input(inputs, 1)];
  const [ci, co, lanes, tiles] = ["CI", "CO", "LANES", "TILES"].map((name) =>
    number(o, name)
  ) as Four;
  const points = number(o, "POINTS");
  const rounds = Math.ceil(number(o, "ALL") / tiles);
  const blocks = Math.ceil(co / (4 * lanes));
  return Float64Array.from({ length }, (_, i) => {
    const [lane, tile] = [i % 4, Math.floor(i / 4) % tiles];
    const point = Math.floor(i / (4 * tiles)) % points;
    const round = Math.floor(i / (4 * tiles * points)) % rounds;
    const quad = Math.floor(i / (4 * tiles * points * rounds));
    let sum = 0;
    for (let c = 0; c < 4 * Math.ceil(ci / 4); c++) {
      const deep = Math.floor(c / 4);
      const seen = ((deep * rounds + round) * points + point) * tiles + tile;
      const block = point * blocks + Math.floor(quad / lanes);
      const filter = (block * 4 * Math.ceil(ci / 4) + c) * lanes + quad % lanes;
      sum += at(v, 4 * seen + c % 4) * at(u, 4 * filter + lane);
    }
    return sum;
  });
};

/** m[CO / 4,blocks,SIDE,SIDE,BLOCK,4] -> y[B,CO,OH,OW] = act(A^T m A + bias + residual). */
export const winogradPixels: ReferenceKernel = (inputs, o, length) => {
  const m = input(inputs, 0);
  const [b, co, oh, ow] = ["B", "CO", "OH", "OW"].map((name) => number(o, name)) as Four;
  const [down, across, block, size] = ["DOWN", "ACROSS", "BLOCK", "SIZE"].map((name) =>
    number(o, name)
  ) as Four;
  const side = number(o, "SIDE");
  const { a } = matricesOf(size);
  const bias = number(o, "HAS_BIAS", 0) ? input(inputs, 1) : undefined;
  const residual = number(o, "HAS_RESIDUAL", 0) ? input(inputs, 2) : undefined;
  const act = activation(choice(o, "ACTIVATION", "none"));
  const blocks = Math.ceil(b * down * across / block);
  return Float64Array.from({ length }, (_, i) => {
    const [column, row] = [i % ow, Math.floor(i / ow) % oh];
    const [channel, image] = [Math.floor(i / (ow * oh)) % co, Math.floor(i / (ow * oh * co))];
    const tile = (image * down + Math.floor(row / size)) * across + Math.floor(column / size);
    const first = (Math.floor(channel / 4) * blocks + Math.floor(tile / block)) * side * side;
    const point = (r: number, c: number): number =>
      at(m, 4 * ((first + r * side + c) * block + tile % block) + channel % 4);
    const sum = around(a, point, row % size, column % size);
    return act(sum + (bias ? at(bias, channel) : 0) + (residual ? at(residual, i) : 0));
  });
};

/** v[CI / 4,blocks,POINTS,BLOCK,4], g[CO / 4,blocks,POINTS,BLOCK,4] -> p[SPLIT,CI / 4,CO / 4,POINTS,4,4]. */
export const winogradWeightProducts: ReferenceKernel = (inputs, o, length) => {
  const [v, g] = [input(inputs, 0), input(inputs, 1)];
  const [all, each, block, points] = ["ALL", "EACH", "BLOCK", "POINTS"].map((name) =>
    number(o, name)
  ) as Four;
  const [deep, quads] = [Math.ceil(number(o, "CI") / 4), Math.ceil(number(o, "CO") / 4)];
  const blocks = Math.ceil(all / block);
  return Float64Array.from({ length }, (_, i) => {
    const [lane, j, point] = [i % 4, Math.floor(i / 4) % 4, Math.floor(i / 16) % points];
    const rest = Math.floor(i / (16 * points));
    const [quad, k] = [rest % quads, Math.floor(rest / quads) % deep];
    const share = Math.floor(rest / (quads * deep));
    let sum = 0;
    for (let t = share * each; t < Math.min((share + 1) * each, all); t++) {
      const place = (Math.floor(t / block) * points + point) * block + t % block;
      const whole = blocks * points * block;
      sum += at(v, 4 * (k * whole + place) + j) * at(g, 4 * (quad * whole + place) + lane);
    }
    return sum;
  });
};

/** p[SPLIT,CI / 4,CO / 4,SIDE,SIDE,4,4] -> w[SPLIT,CO,CI,3,3] = G^T p G. */
export const winogradWeight: ReferenceKernel = ([p = new Float64Array()], o, length) => {
  const [ci, co, side] = [number(o, "CI"), number(o, "CO"), number(o, "SIDE")];
  const gt = turned(matricesOf(number(o, "SIZE")).g);
  const [deep, quads] = [Math.ceil(ci / 4), Math.ceil(co / 4)];
  return Float64Array.from({ length }, (_, i) => {
    const [column, row] = [i % 3, Math.floor(i / 3) % 3];
    const [c, d] = [Math.floor(i / 9) % ci, Math.floor(i / (9 * ci)) % co];
    const share = Math.floor(i / (9 * ci * co));
    const first = (share * deep + Math.floor(c / 4)) * quads + Math.floor(d / 4);
    const point = (r: number, s: number): number =>
      at(p, 4 * (4 * (first * side * side + r * side + s) + c % 4) + d % 4);
    return around(gt, point, row, column);
  });
};

type Four = [number, number, number, number];

/** One tile, several; images that tiles do not cover evenly; wide padding; blocks that are not full. */
const shapes: readonly ConvShape[] = [
  geometry([1, 4, 4, 4], [4, 4, 3, 3], 1, 1),
  geometry([2, 3, 7, 9], [5, 3, 3, 3], 1, 1),
  geometry([3, 6, 8, 8], [17, 6, 3, 3], 1, 1),
  geometry([5, 5, 6, 5], [36, 5, 3, 3]),
  geometry([2, 17, 3, 11], [9, 17, 3, 3], 1, 2),
];

/** Coefficients of up to 8 or 5 in both directions: how much larger than its operands a result can be. */
const grown = 128;

const profile = tileProfiles.winograd;

function each(
  make: (s: ConvShape, tile: WinogradTile, i: number) => readonly KernelCase[],
): readonly KernelCase[] {
  return ([2, 4] as const).flatMap((size) =>
    shapes.flatMap((s, i) => make(s, tilesOf(s, size), i))
  );
}

function named(s: ConvShape, { SIZE }: WinogradTile): string {
  return `${label(s)} by tiles of ${SIZE}`;
}

/** Both kinds of tiles of every shape. */
export const winogradTilesCases: readonly KernelCase[] = each((s, tile) =>
  (["image", "gradient"] as const).map((OF) => {
    const { SIZE, SIDE, DOWN, ACROSS, ALL, BLOCK } = tile;
    const [C, H, W, PAD] = OF === "image" ? [s.CI, s.H, s.W, s.PAD] : [s.CO, s.OH, s.OW, 0];
    const quads = Math.ceil(C / 4);
    return {
      kernel: "winograd_tiles",
      label: `${OF} of ${named(s, tile)}`,
      overrides: {
        ...{ B: s.B, C, H, W, DOWN, ACROSS, BLOCK, SIZE, SIDE, OF },
        ...(PAD === 0 ? {} : { PAD }),
      },
      threads: Math.ceil(ALL / BLOCK) * BLOCK * quads,
      inputs: () => [uniform(101, product(s.B, C, H, W))],
      outputLength: 4 * quads * Math.ceil(ALL / BLOCK) * SIDE * SIDE * BLOCK,
      tolerance: grown * epsilon,
      profile: profile.name,
    };
  })
);

/** Filters as they are, and turned as an input gradient takes them. */
export const winogradFiltersCases: readonly KernelCase[] = each((s, tile, i) => {
  const { SIZE, SIDE } = tile;
  const { LANES } = productTile(s, tile);
  const { CI, CO } = s;
  const [deep, blocks] = [Math.ceil(CI / 4), Math.ceil(CO / (4 * LANES))];
  const plain = { TO_CI: 9, TO_CO: 9 * CI, TO_KH: 3, TO_KW: 1 };
  const back = { START: 8, TO_CI: 9 * CO, TO_CO: 9, TO_KH: -3, TO_KW: -1 };
  return [{
    kernel: "winograd_filters",
    label: named(s, tile),
    overrides: { CI, CO, LANES, SIZE, SIDE, ...(i % 2 === 0 ? plain : back) },
    threads: 4 * deep * blocks * LANES,
    inputs: () => [uniform(102, 9 * CI * CO)],
    outputLength: 16 * deep * blocks * SIDE * SIDE * LANES,
    tolerance: 8 * epsilon,
    profile: profile.name,
  }];
});

/** Tiles by filters. */
export const winogradProductsCases: readonly KernelCase[] = each((s, tile) => {
  const { SIDE, ALL } = tile;
  const { threads, ...cut } = productTile(s, tile);
  const { CI, CO } = s;
  const [deep, quads, rounds] = [Math.ceil(CI / 4), Math.ceil(CO / 4), Math.ceil(ALL / cut.TILES)];
  const points = SIDE * SIDE;
  return [{
    kernel: "winograd_products",
    label: named(s, tile),
    overrides: { CI, CO, ALL, POINTS: points, ...cut },
    threads,
    inputs: () => [
      uniform(103, 4 * deep * rounds * points * cut.TILES),
      uniform(104, 16 * deep * Math.ceil(quads / cut.LANES) * points * cut.LANES),
    ],
    outputLength: 4 * quads * rounds * points * cut.TILES,
    tolerance: sumTolerance(4 * deep),
    profile: profile.name,
  }];
});

/** Points back to pixels, epilogues in turn. */
export const winogradPixelsCases: readonly KernelCase[] = each((s, tile, i) => {
  const { SIZE, SIDE, DOWN, ACROSS, ALL, BLOCK } = tile;
  const { B, CO, OH, OW } = s;
  const quads = Math.ceil(CO / 4);
  const [bias, residual, relu] = [i % 2 === 0, i % 3 > 0, i % 3 < 2];
  const plain: KernelCase = {
    kernel: "winograd_pixels",
    label: named(s, tile) + (bias ? ", bias" : "") + (residual ? ", residual" : "") +
      (relu ? ", relu" : ""),
    overrides: {
      ...{ B, CO, OH, OW, DOWN, ACROSS, BLOCK, SIZE, SIDE, TOGETHER: storedTogether(s, tile) },
      ...(bias ? { HAS_BIAS: 1 } : {}),
      ...(residual ? { HAS_RESIDUAL: 1 } : {}),
      ...(relu ? { ACTIVATION: "relu" } : {}),
    },
    threads: ALL * quads,
    inputs: () => [
      uniform(105, 4 * quads * Math.ceil(ALL / BLOCK) * SIDE * SIDE * BLOCK),
      bias ? uniform(106, CO) : Float32Array.of(NaN),
      residual ? uniform(107, product(B, CO, OH, OW)) : Float32Array.of(NaN),
    ],
    outputLength: product(B, CO, OH, OW),
    tolerance: 4 * grown * epsilon,
    profile: profile.name,
  };
  return bias ? [plain, clipped(plain, 1)] : [plain];
});

/** Tiles of images by tiles of gradients, in one part and in several. */
export const winogradWeightProductsCases: readonly KernelCase[] = each((s, tile) =>
  (s.B > 1 ? [1, 2] : [1]).map((split) => {
    const { threads, ...cut } = weightProductTile(s, split, tile);
    const { CI, CO } = s;
    const { SIDE, ALL, BLOCK } = tile;
    const [deep, quads, points] = [Math.ceil(CI / 4), Math.ceil(CO / 4), SIDE * SIDE];
    const texels = Math.ceil(ALL / BLOCK) * points * BLOCK;
    return {
      kernel: "winograd_weight_products",
      label: `${named(s, tile)} in ${split}`,
      overrides: {
        ...{ CI, CO, ALL, POINTS: points, ...cut },
        ...(split === 1 ? {} : { SPLIT: split }),
      },
      threads,
      inputs: () => [uniform(108, 4 * deep * texels), uniform(109, 4 * quads * texels)],
      outputLength: 16 * split * deep * quads * points,
      tolerance: sumTolerance(ALL),
      profile: profile.name,
    };
  })
);

/** Products back to taps. */
export const winogradWeightCases: readonly KernelCase[] = each((s, tile, i) => {
  const { SIZE, SIDE } = tile;
  const { CI, CO } = s;
  const split = 1 + i % 2;
  const pairs = split * Math.ceil(CI / 4) * Math.ceil(CO / 4);
  return [{
    kernel: "winograd_weight",
    label: `${named(s, tile)} in ${split}`,
    overrides: { CI, CO, SIZE, SIDE, ...(split === 1 ? {} : { SPLIT: split }) },
    threads: 4 * pairs,
    inputs: () => [uniform(110, 16 * pairs * SIDE * SIDE)],
    outputLength: product(split, CO, CI, 9),
    tolerance: 16 * epsilon,
    profile: profile.name,
  }];
});
