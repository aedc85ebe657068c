/**
 * Convolutions that have groups, a dilation, or a stride for each axis, and their adjoints: kernels of their own.
 *
 * @module
 */
import generalWgsl from "../../shaders/conv2d_general.wgsl" with { type: "text" };
import weightWgsl from "../../shaders/conv2d_general_weight.wgsl" with { type: "text" };
import { type Epilogue, epilogueOverrides } from "./epilogue.ts";
import {
  generalFlop,
  type GeneralShape,
  generalTile,
  generalWeightTile,
  mirrored,
  type SpreadShape,
} from "../graph/general.ts";
import { kernel } from "../graph/kernel.ts";
import { reshape, strided } from "./shape.ts";
import { sumParts } from "./sum.ts";
import { type Dispatch, node, type Tensor, type Vjp, withVjp } from "../graph/tensor.ts";
import { type TileProfile, tileProfiles } from "../graph/tiles.ts";

const generalKernel = kernel("conv2d_general", generalWgsl);
const weightKernel = kernel("conv2d_general_weight", weightWgsl);

/** `act(x * w + bias + residual)`: x `[B, CI, H, W]`, w `[CO, CI / groups, KH, KW]` to `[B, CO, OH, OW]`. */
export function generalConvolution(
  s: GeneralShape,
  [x, w]: readonly [x: Tensor, w: Tensor],
  epilogue: Epilogue,
  vjp: Vjp,
): Tensor {
  const { bias = w, residual = x } = epilogue;
  const spread = { ...s, SPREAD_H: 1, SPREAD_W: 1 };
  return correlateSpread("conv2d", spread, [x, w, bias, residual], epilogue, generalFlop(s), vjp);
}

/** Its adjoint in x: g `[B, CO, OH, OW]`, w `[CO, CI / groups, KH, KW]` to `[B, CI, H, W]`. */
export function generalTransposed(
  s: GeneralShape,
  [g, w]: readonly [g: Tensor, w: Tensor],
  vjp: Vjp,
): Tensor {
  const { GROUPS, CI, CO, KH, KW } = s;
  const taps = KH * KW;
  // The filters of each group by its input channels, turned round.
  const turned = strided("turn", w, {
    shape: [GROUPS, CI, CO, taps],
    strides: [CO * CI * taps, taps, CI * taps, -1],
    offset: taps - 1,
  });
  const filters = reshape(turned, [GROUPS * CI, CO, KH, KW]);
  const operands = [g, filters, filters, filters] as const;
  const y = correlateSpread("conv2dInput", mirrored(s), operands, {}, generalFlop(s));
  return withVjp(y, [g, w], vjp);
}

/** One dispatch of `conv2d_general`. */
function correlateSpread(
  name: string,
  s: SpreadShape,
  operands: readonly [x: Tensor, w: Tensor, bias: Tensor, residual: Tensor],
  epilogue: Epilogue,
  flop: number,
  vjp?: Vjp,
): Tensor {
  const cut = (tiles: TileProfile): Pick<Dispatch, "overrides" | "threads"> => {
    const { threads, ...tile } = generalTile(s, tiles);
    return { overrides: { ...s, ...tile, ...epilogueOverrides(epilogue) }, threads };
  };
  return node(name, operands, [s.B, s.GROUPS * s.CO, s.OH, s.OW], {
    kind: "dispatch",
    kernel: generalKernel,
    ...cut(tileProfiles.portable),
    cut,
    flop,
  }, vjp);
}

/** Its adjoint in w: x `[B, CI, H, W]`, g `[B, CO, OH, OW]` to `[CO, CI / groups, KH, KW]`. */
export function generalWeight(
  s: GeneralShape,
  [x, g]: readonly [x: Tensor, g: Tensor],
  vjp: Vjp,
): Tensor {
  const { threads, ...tile } = generalWeightTile(s);
  const shape = [s.GROUPS * s.CO, s.CI, s.KH, s.KW];
  const parts = node("conv2dWeight", [x, g], [tile.SPLIT, ...shape], {
    kind: "dispatch",
    kernel: weightKernel,
    overrides: { ...s, ...tile },
    threads,
    flop: generalFlop(s),
  });
  if (tile.SPLIT === 1) return withVjp(reshape(parts, shape), [x, g], vjp);
  return sumParts(parts, vjp, [x, g]);
}
