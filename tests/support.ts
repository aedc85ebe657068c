/** What several tests share: a device for one test, and single kernels run on it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type Device, openDevice } from "../src/nn/device/device.ts";
import { runsFolder } from "../src/runs/folder.ts";

export { runKernel } from "../src/nn/check/run_kernel.ts";

/** Opens a device for one test and closes it afterwards; fails, not skips, without an adapter. */
export async function withDevice(test: (device: Device) => Promise<void>): Promise<void> {
  using device = await openDevice();
  await test(device);
}

/** Tells, until it is disposed of, how many bytes the parameters take that were put on a device since. */
export function parametersOn(device: Device): Disposable & { bytes(): number } {
  const { gpu } = device;
  const create = gpu.createBuffer.bind(gpu);
  let bytes = 0;
  gpu.createBuffer = (descriptor): GPUBuffer => {
    const buffer = create(descriptor);
    if (descriptor.label !== "parameter") return buffer;
    bytes += descriptor.size;
    const destroy = buffer.destroy.bind(buffer);
    buffer.destroy = (): undefined => {
      bytes -= descriptor.size;
      return destroy();
    };
    return buffer;
  };
  return { bytes: () => bytes, [Symbol.dispose]: () => void (gpu.createBuffer = create) };
}

/** `|a - b| / |b|` of two arrays of one length. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert.equal(a.length, b.length);
  let [difference, norm] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    difference += ((a[i] ?? NaN) - (b[i] ?? NaN)) ** 2;
    norm += (b[i] ?? NaN) ** 2;
  }
  return Math.sqrt(difference / norm);
}

/** Runs a test in a folder of its own, removed afterwards. */
export async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The only run of a command under a save path. */
export async function onlyRun(savePath: string, command: string): Promise<string> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir(runsFolder(savePath))) {
    if (name.startsWith(`${command}-`)) found.push(name);
  }
  assert.equal(found.length, 1, `${found}`);
  return join(runsFolder(savePath), found[0] ?? "");
}
