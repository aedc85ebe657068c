/**
 * The self-test of every kernel against the f64 reference, on the device at hand.
 *
 * @module
 */
import type { Device } from "../device/device.ts";
import { reference } from "./reference.ts";
import type { runKernel } from "./run_kernel.ts";
import { error, type KernelCase } from "./case.ts";
import { channelAffineCases, channelSumsCases, cropCases } from "./channels.ts";
import { conv2dCases, conv2dWeightCases } from "./conv2d.ts";
import { conv2dGeneralCases, conv2dGeneralWeightCases } from "./general.ts";
import { binaryCases, unaryCases, whereCases } from "./elementwise.ts";
import { kernels } from "./kernels.ts";
import { allTextured } from "../compile/textured.ts";
import { choleskyCases, rbfCases, triangularSolveCases } from "./linalg.ts";
import { matmulCases, randomFeaturesCases } from "./matmul.ts";
import {
  concatCases,
  gatherBytesCases,
  gatherRowsCases,
  gatherSumCases,
  padCases,
  stridedCases,
} from "./movement.ts";
import { pool2dGatherCases, pool2dMaxCases, pool2dScatterCases } from "./pool2d.ts";
import { crossEntropyCases, logSoftmaxCases, reduceCases } from "./reduce.ts";
import { kthLargestCases, l1ProjectCases } from "./rows.ts";
import { conv2dTexelsCases, conv2dWeightTexelsCases, texelsCases } from "./texels.ts";
import {
  winogradFiltersCases,
  winogradPixelsCases,
  winogradProductsCases,
  winogradTilesCases,
  winogradWeightCases,
  winogradWeightProductsCases,
} from "./winograd.ts";
import { philoxCases, sgdCases } from "./state.ts";

export { error, type KernelCase } from "./case.ts";
export { kernels } from "./kernels.ts";

/** Awkward shapes for every kernel: one, primes, around tiles, strides, ties, shared batches, NaN. */
export const kernelCases: readonly KernelCase[] = [
  ...unaryCases,
  ...binaryCases,
  ...whereCases,
  ...stridedCases,
  ...padCases,
  ...concatCases,
  ...reduceCases,
  ...gatherRowsCases,
  ...gatherBytesCases,
  ...gatherSumCases,
  ...matmulCases,
  ...randomFeaturesCases,
  ...conv2dCases,
  ...conv2dGeneralCases,
  ...conv2dGeneralWeightCases,
  ...conv2dTexelsCases,
  ...texelsCases,
  ...conv2dWeightTexelsCases,
  ...conv2dWeightCases,
  ...winogradTilesCases,
  ...winogradFiltersCases,
  ...winogradProductsCases,
  ...winogradPixelsCases,
  ...winogradWeightProductsCases,
  ...winogradWeightCases,
  ...pool2dMaxCases,
  ...pool2dGatherCases,
  ...pool2dScatterCases,
  ...channelSumsCases,
  ...channelAffineCases,
  ...cropCases,
  ...logSoftmaxCases,
  ...crossEntropyCases,
  ...choleskyCases,
  ...triangularSolveCases,
  ...rbfCases,
  ...kthLargestCases,
  ...l1ProjectCases,
  ...philoxCases,
  ...sgdCases,
];

/** What the self-test found out about one kernel. */
export interface SelfTestRow {
  readonly kernel: string;
  /** Number of cases; 0 of a kernel that the device's profile has no use for. */
  readonly cases: number;
  /** Largest deviation from the reference, relative to `max(1, |reference|)`. */
  readonly worst: number;
  readonly ok: boolean;
  /** The first case that failed, and how. */
  readonly failure?: string;
}

/**
 * Runs every kernel over its cases. A kernel that does not compile or deviates makes a row that is
 * not `ok`; it does not throw.
 *
 * @param run how one kernel is run: `runKernel`
 * @param onRow told each row as soon as it is known
 * @throws UserError when the device is lost
 */
export async function selfTest(
  device: Device,
  run: typeof runKernel,
  onRow: (row: SelfTestRow) => void = () => {},
): Promise<SelfTestRow[]> {
  const rows: SelfTestRow[] = [];
  for (const name of kernels.keys()) {
    const row = await testKernel(device, run, name);
    device.check();
    rows.push(row);
    onRow(row);
  }
  return rows;
}

/**
 * Deviation of the device from the reference in one case.
 *
 * @param textured whether what the kernel reads from buffers is read from textures instead
 * @throws Error when the kernel does not compile or run
 */
export async function runCase(
  device: Device,
  run: typeof runKernel,
  of: KernelCase,
  textured = false,
): Promise<number> {
  const one = kernels.get(of.kernel);
  if (!one) throw new Error(`Cannot test "${of.kernel}": there is no such kernel`);
  const kernel = textured ? allTextured(one, of.overrides) : one;
  const inputs = of.inputs();
  const actual = await run(device, kernel, inputs, of.overrides, of.threads, of.outputLength);
  const exact = inputs.map((values) => new Float64Array(values));
  return error(actual, reference(of.kernel, exact, of.overrides, of.outputLength));
}

/** Whether a device may cut its work so: what lavapipe is given is long, and other drivers compile slowly. */
function usedBy({ tiles }: Device, { profile = "portable" }: KernelCase): boolean {
  return profile === "portable" || tiles.name !== "portable";
}

async function testKernel(
  device: Device,
  run: typeof runKernel,
  name: string,
): Promise<SelfTestRow> {
  const all = kernelCases.filter((of) => of.kernel === name);
  const cases = all.filter((of) => usedBy(device, of));
  // Where a device reads large operands from textures, one case shows that it makes no difference.
  const one = kernels.get(name);
  const again = device.tiles.textured > 0
    ? cases.filter(({ overrides }) => one && allTextured(one, overrides) !== one).slice(0, 1)
    : [];
  let worst = 0;
  let failure: string | undefined;
  for (
    const { of, textured } of [...cases, ...again].map((of, i) => ({
      of,
      textured: i >= cases.length,
    }))
  ) {
    try {
      const deviation = await runCase(device, run, of, textured);
      worst = Math.max(worst, deviation);
      if (deviation > of.tolerance) {
        failure ??= `${of.label}: off by ${deviation.toExponential(1)}, ` +
          `${of.tolerance.toExponential(1)} is allowed`;
      }
    } catch (cause) {
      worst = Infinity;
      failure ??= `${of.label}: ${cause instanceof Error ? cause.message : cause}`;
    }
  }
  const ok = failure === undefined && all.length > 0;
  return {
    kernel: name,
    cases: cases.length + again.length,
    worst,
    ok,
    ...(failure ? { failure } : {}),
  };
}
