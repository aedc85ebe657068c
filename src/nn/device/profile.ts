/**
 * Where a program's time goes, dispatch by dispatch, measured on the device itself.
 *
 * @module
 */
import { UserError } from "../../base/errors.ts";
import type { Device } from "./device.ts";
import type { Step } from "../compile/plan.ts";
import type { Resource } from "./storage.ts";
import type { Overrides } from "../graph/kernel.ts";
import { show } from "../graph/tensor.ts";
import { texelRowBytes } from "../graph/tiles.ts";

/** One thing that a program encodes. */
export type Command =
  | { readonly kind: "copy"; readonly from: Resource; readonly to: Resource }
  | {
    readonly kind: "texture";
    readonly from: Resource;
    readonly to: GPUTexture;
    readonly rows: number;
  }
  | {
    readonly kind: "dispatch";
    readonly step: Extract<Step, { kind: "dispatch" }>;
    readonly pipeline: GPUComputePipeline;
    readonly group: GPUBindGroup;
    readonly x: number;
    readonly y: number;
    readonly z: number;
  };

/** What one step of a program takes. */
export interface StepTime {
  /** Name and shape of the tensor that is made. */
  readonly label: string;
  /** Name of the kernel that makes it. */
  readonly kernel: string;
  /** Name of that kernel's file, however it was changed for textures and copies. */
  readonly file: string;
  /** Sizes and choices that it was compiled with. */
  readonly overrides: Overrides;
  /** Median over the repetitions. */
  readonly milliseconds: number;
  /** Billions of floating-point operations, where the kernel is one whose count is known; else 0. */
  readonly gigaflop: number;
  /** Billions of bytes bound to the dispatch: what it must at least move. */
  readonly gigabyte: number;
}

/**
 * Times every dispatch in a pass of its own; copies between buffers are not timed. The program's
 * updates are not applied, so it can be run on.
 *
 * @throws UserError when the adapter has no timestamps
 */
export async function timeSteps(
  device: Device,
  commands: readonly Command[],
  repetitions: number,
): Promise<StepTime[]> {
  const { gpu } = device;
  if (!gpu.features.has("timestamp-query")) {
    throw new UserError(
      "Cannot time a program: this adapter has no timestamp-query; leave out --time",
    );
  }
  const dispatches = commands.flatMap((command) => command.kind === "dispatch" ? [command] : []);
  const samples: number[][] = dispatches.map(() => []);
  for (let r = 0; r <= repetitions; r++) {
    const times = await timeOnce(device, commands);
    // The first round warms up: pipelines are compiled at their first dispatch.
    if (r > 0) times.forEach((ms, i) => samples[i]?.push(ms));
  }
  return dispatches.map(({ step }, i) => {
    const sorted = (samples[i] ?? []).toSorted((a, b) => a - b);
    const { tensor, dispatch, file, copies, bindings } = step;
    const bytes = bindings.reduce((sum, b) => sum + (b.stride > 0 ? copies : 1) * b.size, 0);
    return {
      label: `${tensor.name} ${show(tensor.shape)}`,
      kernel: dispatch.kernel.name,
      file,
      overrides: dispatch.overrides,
      milliseconds: sorted[sorted.length >> 1] ?? NaN,
      gigaflop: step.flop / 1e9,
      gigabyte: bytes / 1e9,
    };
  });
}

/** Encodes what is no dispatch. */
export function encodeCopy(
  encoder: GPUCommandEncoder,
  command: Exclude<Command, { readonly kind: "dispatch" }>,
): void {
  const { from } = command;
  if (command.kind === "copy") {
    const { to } = command;
    encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, to.size);
    return;
  }
  const { to: texture, rows } = command;
  // A buffer that is not this program's may end within a row.
  const there = Math.min(rows * texelRowBytes, from.buffer.size - from.offset);
  const whole = Math.floor(there / texelRowBytes);
  const rest = (there - whole * texelRowBytes) / (texelRowBytes / texture.width);
  const layout = { buffer: from.buffer, bytesPerRow: texelRowBytes };
  if (whole > 0) {
    const size = [texture.width, whole];
    encoder.copyBufferToTexture({ ...layout, offset: from.offset }, { texture }, size);
  }
  if (rest > 0) {
    const offset = from.offset + whole * texelRowBytes;
    encoder.copyBufferToTexture({ ...layout, offset }, { texture, origin: [0, whole] }, [rest, 1]);
  }
}

/** Timestamps are read in groups: a query set holds 4096 at most. */
const group = 1024;

async function timeOnce(device: Device, commands: readonly Command[]): Promise<number[]> {
  const { gpu } = device;
  const times: number[] = [];
  for (let start = 0; start < commands.length; start += group) {
    const part = commands.slice(start, start + group);
    const count = 2 * part.length;
    const querySet = gpu.createQuerySet({ type: "timestamp", count });
    const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    const resolved = gpu.createBuffer({ size: 8 * count, usage: QUERY_RESOLVE | COPY_SRC });
    const staging = gpu.createBuffer({ size: 8 * count, usage: MAP_READ | COPY_DST });
    try {
      const encoder = gpu.createCommandEncoder();
      let written = 0;
      for (const command of part) {
        if (command.kind !== "dispatch") {
          encodeCopy(encoder, command);
          continue;
        }
        const pass = encoder.beginComputePass({
          timestampWrites: {
            querySet,
            beginningOfPassWriteIndex: written++,
            endOfPassWriteIndex: written++,
          },
        });
        pass.setPipeline(command.pipeline);
        pass.setBindGroup(0, command.group);
        pass.dispatchWorkgroups(command.x, command.y, command.z);
        pass.end();
      }
      // For a stamp that is never written a driver may wait without end.
      if (written > 0) encoder.resolveQuerySet(querySet, 0, written, resolved, 0);
      encoder.copyBufferToBuffer(resolved, 0, staging, 0, 8 * count);
      gpu.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      const stamps = new BigUint64Array(staging.getMappedRange());
      for (let i = 0; i < written; i += 2) {
        times.push(Number((stamps[i + 1] ?? 0n) - (stamps[i] ?? 0n)) / 1e6);
      }
    } finally {
      staging.destroy();
      resolved.destroy();
      querySet.destroy();
    }
  }
  return times;
}

/** A profile as a table of text: steps by their share of the time, the largest first. */
export function describeTimes(name: string, times: readonly StepTime[], rows = 30): string {
  const total = times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const lines = times.toSorted((a, b) => b.milliseconds - a.milliseconds).slice(0, rows).map(
    ({ label, kernel, milliseconds: ms, gigaflop, gigabyte }) => {
      const share = `${(100 * ms / total).toFixed(1)} %`.padStart(7);
      const speed = gigaflop > 0
        ? `${(1000 * gigaflop / ms).toFixed(1)} GFLOP/s`
        : `${(1000 * gigabyte / ms).toFixed(1)} GB/s`;
      return `${share} ${ms.toFixed(3).padStart(9)} ms  ${speed.padStart(13)}  ${label}  ${kernel}`;
    },
  );
  const rest = times.length - lines.length;
  return [
    `program "${name}": ${times.length} dispatches, ${total.toFixed(2)} ms of device time, ` +
    "copies not counted",
    ...lines,
    ...(rest > 0 ? [`and ${rest} more`] : []),
  ].join("\n");
}
