/**
 * The transposed convolution as correlations: with a stride it falls into phases, one for each
 * remainder of row and column, that share no work.
 *
 * @module
 */
import { correlate, correlateRows } from "./correlate.ts";
import { alignment, dim, type Tensor, type Vjp, withVjp } from "../graph/tensor.ts";
import { pack, pad, reshape, strided } from "./shape.ts";
import type { ConvShape } from "../graph/tiles.ts";

/**
 * The image whose correlation with w has the gradient g, by its shape: g `[B, CO, OH, OW]`,
 * w `[CO, CI, KH, KW]` to `[B, CI, H, W]`.
 */
export function transposed(
  s: ConvShape,
  [g, w]: readonly [Tensor, Tensor],
  vjp: Vjp,
): Tensor {
  const { B, CI, CO, H, W, KH, KW, STRIDE } = s;
  const even = H % STRIDE === 0 && W % STRIDE === 0 && KH >= STRIDE && KW >= STRIDE;
  const aligned = B * CI * H * W % (alignment * STRIDE * STRIDE) === 0;
  if (STRIDE > 1 && even && aligned) return withVjp(byPhases(s, g, w), [g, w], vjp);
  // A correlation of the gradient, spread out by the stride, with the filters turned round.
  const { framed, PAD } = frame(dilate(g, s), s);
  const [OH, OW] = [dim(framed, 2), dim(framed, 3)];
  const mirrored = { ...s, CI: CO, CO: CI, H: OH, W: OW, OH: H, OW: W, PAD, STRIDE: 1 };
  if (CI === 1) return correlateRows(mirrored, [framed, w], vjp, [g, w]);
  const order = {
    shape: [CO, KH, KW, CI],
    strides: [CI * KH * KW, -KW, -1, KH * KW],
    offset: KH * KW - 1,
  };
  return correlate("conv2dInput", mirrored, [framed, { w, order }], {}, vjp, [g, w]);
}

/** What a remainder of rows (or columns) takes part in: which taps, and where the gradient starts. */
interface Phase {
  /** First tap; the others follow a stride apart. */
  readonly first: number;
  readonly taps: number;
  /** Rows of zeros before the gradient; negative ones are left out. */
  readonly before: number;
}

function phase(remainder: number, kernel: number, { STRIDE, PAD }: ConvShape): Phase {
  const first = (remainder + PAD) % STRIDE;
  const taps = Math.ceil((kernel - first) / STRIDE);
  return { first, taps, before: taps - 1 - (remainder + PAD - first) / STRIDE };
}

/** Every phase by a correlation with its own taps, then all of them woven together. */
function byPhases(s: ConvShape, g: Tensor, w: Tensor): Tensor {
  const { B, CI, CO, H, W, KH, KW, STRIDE } = s;
  const [rows, columns] = [H / STRIDE, W / STRIDE];
  const remainders = Array.from({ length: STRIDE }, (_, r) => r);
  const lines = remainders.map((a) => {
    const vertical = phase(a, KH, s);
    const parts = remainders.map((b) => {
      const horizontal = phase(b, KW, s);
      const shape = [CO, vertical.taps, horizontal.taps, CI];
      const lastTap = (p: Phase): number => p.first + STRIDE * (p.taps - 1);
      const order = {
        shape,
        strides: [CI * KH * KW, -STRIDE * KW, -STRIDE, KH * KW],
        offset: lastTap(vertical) * KW + lastTap(horizontal),
      };
      const [height, width] = [rows + vertical.taps - 1, columns + horizontal.taps - 1];
      const framed = pad(g, [0, 0, vertical.before, horizontal.before], [B, CO, height, width]);
      return correlate("conv2dPhase", {
        B,
        CI: CO,
        CO: CI,
        H: height,
        W: width,
        KH: vertical.taps,
        KW: horizontal.taps,
        OH: rows,
        OW: columns,
        STRIDE: 1,
        PAD: 0,
      }, [framed, { w, order }]);
    });
    return weave(parts, [B * CI * rows, columns, 1]);
  });
  return reshape(weave(lines, [B * CI, rows, W]), [B, CI, H, W]);
}

/** Tensors of `[outer, n, inner]` elements as one `[outer, n, parts, inner]`: a row of each in turn. */
function weave(
  parts: readonly Tensor[],
  [outer, n, inner]: readonly [number, number, number],
): Tensor {
  const each = outer * n * inner;
  const flat = pack(parts, parts.map((_, i) => i * each), parts.length * each);
  return strided("weave", flat, {
    shape: [outer, n, parts.length, inner],
    strides: [n * inner, inner, each, 1],
  });
}

/** Zeros between the elements of a gradient: `[B, C, OH, OW]` to what a stride of 1 would have made. */
function dilate(g: Tensor, { H, W, KH, KW, STRIDE, PAD }: ConvShape): Tensor {
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

/** Every nth pixel of both axes, the first ones first. */
export function everyNth(x: Tensor, n: number): Tensor {
  const [b, c, h, w] = [dim(x, 0), dim(x, 1), dim(x, 2), dim(x, 3)];
  const shape = [b, c, Math.ceil(h / n), Math.ceil(w / n)];
  const strides = [c * h * w, h * w, n * w, n];
  return strided("everyNth", x, { shape, strides }, (g) => [apart(g, n, [h, w])]);
}

/** The adjoint of `everyNth`: pixels n apart in zeros, cut to `[H, W]`. */
export function apart(g: Tensor, n: number, [h = 1, w = 1]: readonly number[]): Tensor {
  const [b, c, oh, ow] = [dim(g, 0), dim(g, 1), dim(g, 2), dim(g, 3)];
  const wide = pad(reshape(g, [b * c * oh, 1, ow, 1]), [0, 0, 0, 0], [b * c * oh, n, ow, n]);
  return withVjp(
    pad(reshape(wide, [b, c, oh * n, ow * n]), [0, 0, 0, 0], [b, c, h, w]),
    [g],
    (x) => [everyNth(x, n)],
  );
}
