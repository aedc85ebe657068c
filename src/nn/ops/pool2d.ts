/**
 * Pooling. Max-pooling's derivative is a scatter to the windows' first maxima, whose own is a gather
 * there; the two are each other's adjoint, so it is closed under differentiation. So are averages, which are sums
 * along one axis and then the other.
 *
 * @module
 */
import gatherWgsl from "../../shaders/pool2d_gather.wgsl" with { type: "text" };
import maxWgsl from "../../shaders/pool2d_max.wgsl" with { type: "text" };
import scatterWgsl from "../../shaders/pool2d_scatter.wgsl" with { type: "text" };
import { poolCorrelation } from "./correlate.ts";
import { div } from "./elementwise.ts";
import { kernel } from "../graph/kernel.ts";
import { mean } from "./reduce.ts";
import { reshape, view } from "./shape.ts";
import { gatherSum } from "./take.ts";
import { alignment, constant, node, show, size, type Tensor, withVjp } from "../graph/tensor.ts";

const maxKernel = kernel("pool2d_max", maxWgsl);
const gatherKernel = kernel("pool2d_gather", gatherWgsl);
const scatterKernel = kernel("pool2d_scatter", scatterWgsl);

/** Pixels of a plane whose places are all exact in f32. */
const mostPixels = 2 ** 24;

/** A number for both axes, or one for each. */
type Pair = number | readonly [vertical: number, horizontal: number];

/** Windows of a pool; sizes in pixels. */
export interface PoolOptions {
  /** Sides of a window. */
  readonly window: number | readonly [height: number, width: number];
  /** Step from a window to the next; its sides when not given. */
  readonly stride?: number | readonly [vertical: number, horizontal: number];
  /** Pixels around the image, 0 when not given. */
  readonly padding?:
    | number
    | readonly [top: number, left: number, bottom: number, right: number];
  /**
   * Whether a last window is added that reaches beyond image and padding, where it begins before their end:
   * within the image or the padding before it, as in PyTorch and ONNX. No when not given.
   */
  readonly ceil?: boolean;
}

/** Windows of a max-pool. */
export interface MaxPoolOptions extends PoolOptions {
  /** Step from a pixel of a window to its next one, 1 when not given. */
  readonly dilation?: number | readonly [vertical: number, horizontal: number];
}

/** Windows of an average. */
export interface AvgPoolOptions extends PoolOptions {
  /**
   * Whether padding counts as zeros, which is PyTorch's way and what is done when not given; else the mean is
   * that of the image's pixels, as ONNX has it. What a window has beyond the padding never counts.
   */
  readonly countIncludePad?: boolean;
}

/** The windows along one axis. */
interface Axis {
  /** Pixels of the image. */
  readonly length: number;
  /** Pixels of a window, how far apart they are, and the step from a window to the next. */
  readonly count: number;
  readonly apart: number;
  readonly stride: number;
  /** Pixels of padding. */
  readonly before: number;
  readonly after: number;
  /** How many windows there are. */
  readonly windows: number;
}

/** The windows of an image, from top to bottom and from left to right. */
type Windows = readonly [Axis, Axis];

/**
 * Largest value of each `window` x `window` square, without padding: `[B, C, H, W]` to `[B, C, OH, OW]`. On ties the
 * first in row-major order wins, as in PyTorch.
 *
 * @param window side of the square
 * @param stride step between squares, the window's side when not given
 * @throws Error when the image has no place for a square
 */
export function maxPool2d(x: Tensor, window: number, stride?: number): Tensor;

/**
 * Largest value of each window: `[B, C, H, W]` to `[B, C, OH, OW]`. On ties the first in row-major order wins, as in
 * PyTorch; padding never does.
 *
 * @param options what windows there are
 * @throws Error when the image has no place for a window, or a window would have no pixel of it
 */
export function maxPool2d(x: Tensor, options: MaxPoolOptions): Tensor;

export function maxPool2d(x: Tensor, window: number | MaxPoolOptions, stride?: number): Tensor {
  const options = typeof window === "number" ? { window, stride: stride ?? window } : window;
  const { dilation = 1 } = typeof window === "number" ? {} : window;
  const windows = windowsOf(`pool ${show(x.shape)}`, x, options, dilation);
  const [rows, columns] = windows;
  const [B = 1, C = 1, H = 1, W = 1] = x.shape;
  if (H * W > mostPixels) throw new Error(`Cannot pool ${show(x.shape)}: its planes are too large`);
  const shape = [B, C, rows.windows, columns.windows];
  const n = size(shape);
  // The maxima, and where they were found: one dispatch makes both.
  const half = Math.ceil(n / alignment) * alignment;
  const fused = windows.every(isHalving) ? poolCorrelation(x, half) : undefined;
  const inside = windows.every(isInside);
  const both = fused ?? node("maxPool", [x], [2, half], {
    kind: "dispatch",
    kernel: maxKernel,
    overrides: {
      N: n,
      HALF: half,
      ...placesOf(windows, (axis) => axis.count),
      ...(rows.apart + columns.apart > 2
        ? { DILATION: rows.apart, DILATION_W: columns.apart }
        : {}),
      ...(inside ? {} : { INSIDE: 0 }),
    },
    threads: n,
  });
  const index = view(both, half, shape);
  return withVjp(view(both, 0, shape), [x], (g) => [scatter(g, index, windows)]);
}

/**
 * Arithmetic mean of each window: `[B, C, H, W]` to `[B, C, OH, OW]`.
 *
 * @param window side of squares that do not overlap and leave nothing over, or what windows there are
 * @throws Error when the image has no place for a window, squares leave something over, or a window would have no
 *   pixel of it
 */
export function avgPool2d(x: Tensor, window: number | AvgPoolOptions): Tensor {
  if (typeof window !== "number") return windowMeans(x, window);
  const [B = 1, C = 1, H = 1, W = 1] = x.shape;
  if (x.shape.length !== 4 || H % window !== 0 || W % window !== 0) {
    throw new Error(`Cannot average ${show(x.shape)} by ${window} x ${window}`);
  }
  const [OH, OW] = [H / window, W / window];
  const rows = mean(reshape(x, [B * C * OH, window, W]), [1]);
  return reshape(mean(reshape(rows, [B * C * OH * OW, window]), [1]), [B, C, OH, OW]);
}

/** Sums of the windows' pixels, divided by how many count. */
function windowMeans(x: Tensor, options: AvgPoolOptions): Tensor {
  const { countIncludePad = true } = options;
  const windows = windowsOf(`average ${show(x.shape)}`, x, options, 1);
  const [rows, columns] = windows;
  const [tall, wide] = countIncludePad
    ? [lengths(rows), lengths(columns)]
    : [pixels(rows).map((list) => list.length), pixels(columns).map((list) => list.length)];
  const counts = tall.flatMap((height) => wide.map((width) => height * width));
  const lines = gatherSum("sumRows", x, pixels(rows), 2);
  const sums = gatherSum("sumColumns", lines, pixels(columns), 3);
  return div(sums, constant(counts, [rows.windows, columns.windows]));
}

/** Which windows there are, checked. */
function windowsOf(
  what: string,
  x: Tensor,
  { window, stride = window, padding = 0, ceil = false }: PoolOptions,
  dilation: Pair,
): Windows {
  const [, , H = 0, W = 0] = x.shape;
  const of = (pair: Pair, i: 0 | 1): number => typeof pair === "number" ? pair : pair[i];
  const around = typeof padding === "number" ? Array<number>(4).fill(padding) : padding;
  const axes = ([0, 1] as const).map((i) => {
    const [before = 0, after = 0] = [around[i], around[i + 2]];
    const length = i === 0 ? H : W;
    const sizes = { count: of(window, i), apart: of(dilation, i), stride: of(stride, i) };
    const axis = { length, before, after, ...sizes };
    return { ...axis, windows: windowsAlong(axis, ceil) };
  });
  const [rows, columns] = axes;
  const by = `by ${axes.map((axis) => axis.count).join(" x ")}`;
  if (x.shape.length !== 4 || !rows || !columns || axes.some((axis) => !(axis.windows >= 1))) {
    throw new Error(`Cannot ${what} ${by}`);
  }
  if (axes.some((axis) => pixels(axis).some((list) => list.length === 0))) {
    throw new Error(`Cannot ${what} ${by}: a window would lie in the padding`);
  }
  return [rows, columns];
}

/** How many windows there are along an axis; NaN of sizes that make no sense. */
function windowsAlong(axis: Omit<Axis, "windows">, ceil: boolean): number {
  const { length, count, apart, stride, before, after } = axis;
  const sizes = [count - 1, apart - 1, stride - 1, before, after];
  if (!sizes.every((n) => Number.isInteger(n) && n >= 0)) return NaN;
  const steps = (before + length + after - reach({ count, apart })) / stride;
  if (!ceil) return Math.floor(steps) + 1;
  const last = Math.ceil(steps);
  return last * stride >= before + length ? last : last + 1;
}

/** Pixels that a window covers, gaps counted. */
function reach({ count, apart }: Pick<Axis, "count" | "apart">): number {
  return (count - 1) * apart + 1;
}

/** Whether no window reaches beyond the image. */
function isInside(axis: Axis): boolean {
  return axis.before === 0 && (axis.windows - 1) * axis.stride + reach(axis) <= axis.length;
}

/** Whether the windows are pairs of neighbours, one after the other. */
function isHalving(axis: Axis): boolean {
  return isInside(axis) && axis.count === 2 && axis.apart === 1 && axis.stride === 2;
}

/** The image's pixels that each window has. */
function pixels(axis: Axis): number[][] {
  return Array.from({ length: axis.windows }, (_, o) => {
    const start = o * axis.stride - axis.before;
    return Array.from({ length: axis.count }, (_, i) => start + i * axis.apart)
      .filter((pixel) => pixel >= 0 && pixel < axis.length);
  });
}

/** How many pixels of image and padding each window has. */
function lengths({ windows, stride, count, before, length, after }: Axis): number[] {
  return Array.from(
    { length: windows },
    (_, o) => Math.min(count, before + length + after - o * stride),
  );
}

/** Overrides that say where windows of some size lie. */
function placesOf(
  [rows, columns]: Windows,
  sizeOf: (axis: Axis) => number,
): Readonly<Record<string, number>> {
  const [tall, wide] = [sizeOf(rows), sizeOf(columns)];
  return {
    SIZE: tall,
    STRIDE: rows.stride,
    H: rows.length,
    W: columns.length,
    OH: rows.windows,
    OW: columns.windows,
    ...(wide !== tall ? { SIZE_W: wide } : {}),
    ...(columns.stride !== rows.stride ? { STRIDE_W: columns.stride } : {}),
    ...(rows.before + columns.before > 0 ? { TOP: rows.before, LEFT: columns.before } : {}),
  };
}

/** `x[p, index]` for every plane p. */
function gather(x: Tensor, index: Tensor, windows: Windows): Tensor {
  const n = size(index.shape);
  const [rows, columns] = windows;
  return node("poolGather", [x, index], index.shape, {
    kind: "dispatch",
    kernel: gatherKernel,
    overrides: {
      N: n,
      PLANE: rows.length * columns.length,
      OUT: rows.windows * columns.windows,
    },
    threads: n,
  }, (g) => [scatter(g, index, windows), null]);
}

/** Adds g at its window's maximum, zero elsewhere. */
function scatter(g: Tensor, index: Tensor, windows: Windows): Tensor {
  const [rows, columns] = windows;
  const [H, W] = [rows.length, columns.length];
  const planes = g.shape.slice(0, 2);
  // Windows that do not overlap, nor begin before the image.
  const apart = windows.every((axis) => axis.stride >= reach(axis) && axis.before === 0);
  const n = size(planes) * (apart ? Math.ceil(H / rows.stride) : H);
  const scattered = node("poolScatter", [g, index], [...planes, H, W], {
    kind: "dispatch",
    kernel: scatterKernel,
    overrides: { N: n, ...placesOf(windows, reach) },
    threads: n,
  }, (h) => [gather(h, index, windows), null]);
  return apart && rows.stride === columns.stride
    ? { ...scattered, sparse: { values: g, places: index, window: rows.stride } }
    : scattered;
}
