/**
 * Pooling. Max-pooling's derivative is a scatter to the windows' first maxima, whose own is a gather
 * there; the two are each other's adjoint, so it is closed under differentiation.
 *
 * @module
 */
import gatherWgsl from "../../shaders/pool2d_gather.wgsl" with { type: "text" };
import maxWgsl from "../../shaders/pool2d_max.wgsl" with { type: "text" };
import scatterWgsl from "../../shaders/pool2d_scatter.wgsl" with { type: "text" };
import { poolCorrelation } from "./correlate.ts";
import { kernel } from "../graph/kernel.ts";
import { mean } from "./reduce.ts";
import { reshape, view } from "./shape.ts";
import { alignment, node, show, size, type Tensor, withVjp } from "../graph/tensor.ts";

const maxKernel = kernel("pool2d_max", maxWgsl);
const gatherKernel = kernel("pool2d_gather", gatherWgsl);
const scatterKernel = kernel("pool2d_scatter", scatterWgsl);

interface Window {
  readonly SIZE: number;
  readonly STRIDE: number;
  readonly H: number;
  readonly W: number;
  readonly OH: number;
  readonly OW: number;
}

/**
 * Largest value of each `window` x `window` square, without padding: `[B, C, H, W]` to
 * `[B, C, OH, OW]`. On ties the first in row-major order wins, as in PyTorch.
 *
 * @param window side of the square
 * @param stride step between squares, the window's side when not given
 */
export function maxPool2d(x: Tensor, window: number, stride = window): Tensor {
  const [B = 1, C = 1, H = 1, W = 1] = x.shape;
  const OH = Math.floor((H - window) / stride) + 1;
  const OW = Math.floor((W - window) / stride) + 1;
  if (x.shape.length !== 4 || OH < 1 || OW < 1) {
    throw new Error(`Cannot pool ${show(x.shape)} by ${window} x ${window}`);
  }
  const s: Window = { SIZE: window, STRIDE: stride, H, W, OH, OW };
  const n = B * C * OH * OW;
  // The maxima, and where they were found: one dispatch makes both.
  const half = Math.ceil(n / alignment) * alignment;
  const fused = window === 2 && stride === 2 ? poolCorrelation(x, half) : undefined;
  const both = fused ?? node("maxPool", [x], [2, half], {
    kind: "dispatch",
    kernel: maxKernel,
    overrides: { N: n, HALF: half, ...s },
    threads: n,
  });
  const shape = [B, C, OH, OW];
  const index = view(both, half, shape);
  return withVjp(view(both, 0, shape), [x], (g) => [scatter(g, index, s)]);
}

/** Arithmetic mean of each non-overlapping `window` x `window` square. */
export function avgPool2d(x: Tensor, window: number): Tensor {
  const [B = 1, C = 1, H = 1, W = 1] = x.shape;
  if (x.shape.length !== 4 || H % window !== 0 || W % window !== 0) {
    throw new Error(`Cannot average ${show(x.shape)} by ${window} x ${window}`);
  }
  const [OH, OW] = [H / window, W / window];
  const rows = mean(reshape(x, [B * C * OH, window, W]), [1]);
  return reshape(mean(reshape(rows, [B * C * OH * OW, window]), [1]), [B, C, OH, OW]);
}

/** `x[p, index]` for every plane p. */
function gather(x: Tensor, index: Tensor, s: Window): Tensor {
  const n = size(index.shape);
  return node("poolGather", [x, index], index.shape, {
    kind: "dispatch",
    kernel: gatherKernel,
    overrides: { N: n, PLANE: s.H * s.W, OUT: s.OH * s.OW },
    threads: n,
  }, (g) => [scatter(g, index, s), null]);
}

/** Adds g at its window's maximum, zero elsewhere. */
function scatter(g: Tensor, index: Tensor, s: Window): Tensor {
  const shape = [...g.shape.slice(0, 2), s.H, s.W];
  const apart = s.STRIDE >= s.SIZE;
  const n = size(g.shape.slice(0, 2)) * (apart ? Math.ceil(s.H / s.STRIDE) : s.H);
  const scattered = node("poolScatter", [g, index], shape, {
    kind: "dispatch",
    kernel: scatterKernel,
    overrides: { N: n, ...s },
    threads: n,
  }, (h) => [gather(h, index, s), null]);
  return apart
    ? { ...scattered, sparse: { values: g, places: index, window: s.STRIDE } }
    : scattered;
}
