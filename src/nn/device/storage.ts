/**
 * Memory on the device: the buffers parameters live in, and reading values back.
 *
 * @module
 */
import type { Device } from "./device.ts";
import type { Data, Parameter } from "../graph/tensor.ts";

/** A piece of a buffer, in bytes. */
export interface Resource {
  /** WebGPU's own object. */
  readonly buffer: GPUBuffer;
  /** Its first byte. */
  readonly offset: number;
  /** Number of bytes. */
  readonly size: number;
}

/** What every buffer of a program may be used for. */
export const usage: number = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST |
  GPUBufferUsage.COPY_SRC;

const parameterBuffers = new WeakMap<Device, Map<Parameter, GPUBuffer>>();

/** How often the values of parameters were written on any device, by the block they lie in. */
const writes = new WeakMap<Parameter, number>();

/** Notes that values of parameters were written on the device: of the blocks that they lie in, which it returns. */
export function noteWrites(parameters: Iterable<Parameter>): readonly Parameter[] {
  const written = owners(parameters);
  for (const owner of written) writes.set(owner, (writes.get(owner) ?? 0) + 1);
  return written;
}

/** Sum of how often the parameters were written: it grows with every change to one of them. */
export function writesTo(parameters: Iterable<Parameter>): number {
  return owners(parameters).reduce((sum, owner) => sum + (writes.get(owner) ?? 0), 0);
}

/** The device buffer of a parameter (or of the block it lies in), made from host data at first use. */
export function parameterBuffer(device: Device, parameter: Parameter): GPUBuffer {
  let buffers = parameterBuffers.get(device);
  if (!buffers) {
    const made = new Map<Parameter, GPUBuffer>();
    buffers = made;
    parameterBuffers.set(device, buffers);
    device.onClose(() => made.forEach((b) => b.destroy()));
  }
  const { owner } = parameter;
  let buffer = buffers.get(owner);
  if (!buffer) {
    const bytes = Math.max(16, Math.ceil(owner.data.byteLength / 16) * 16);
    buffer = device.gpu.createBuffer({ label: "parameter", size: bytes, usage });
    device.gpu.queue.writeBuffer(buffer, 0, bytesOf(owner.data));
    buffers.set(owner, buffer);
  }
  return buffer;
}

/** Copies host values of parameters to the device, where they are there already. */
export function push(device: Device, parameters: Iterable<Parameter>): void {
  for (const owner of noteWrites(parameters)) {
    const buffer = parameterBuffers.get(device)?.get(owner);
    if (buffer) device.gpu.queue.writeBuffer(buffer, 0, bytesOf(owner.data));
  }
}

/** Copies device values of parameters into their host data, in one synchronisation. */
export async function pull(device: Device, parameters: Iterable<Parameter>): Promise<void> {
  const used = owners(parameters).flatMap((owner) => {
    const buffer = parameterBuffers.get(device)?.get(owner);
    return buffer ? [{ owner, buffer }] : [];
  });
  const values = await readBack(
    device,
    used.map(({ owner, buffer }) => ({ buffer, offset: 0, size: owner.data.byteLength })),
  );
  used.forEach(({ owner }, i) => {
    const source = values[i] ?? new Float32Array();
    if (owner.data instanceof Uint32Array) owner.data.set(new Uint32Array(source.buffer));
    else owner.data.set(source);
  });
}

/** Frees the device buffers of parameters that no program in use reads any more. */
export function release(device: Device, parameters: Iterable<Parameter>): void {
  const buffers = parameterBuffers.get(device);
  for (const owner of noteWrites(parameters)) {
    buffers?.get(owner)?.destroy();
    buffers?.delete(owner);
  }
}

function owners(parameters: Iterable<Parameter>): Parameter[] {
  return [...new Set([...parameters].map((p) => p.owner))];
}

/** Reads pieces of buffers through one staging buffer: one synchronisation, whatever their number. */
export async function readBack(
  device: Device,
  pieces: readonly Resource[],
): Promise<Float32Array[]> {
  device.check();
  const starts: number[] = [];
  let total = 0;
  for (const piece of pieces) {
    starts.push(total);
    total += Math.ceil(piece.size / 16) * 16;
  }
  if (total === 0) return pieces.map(() => new Float32Array());
  const { gpu } = device;
  const staging = gpu.createBuffer({
    size: total,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  try {
    const encoder = gpu.createCommandEncoder();
    pieces.forEach(({ buffer, offset, size }, i) => {
      if (size > 0) encoder.copyBufferToBuffer(buffer, offset, staging, starts[i] ?? 0, size);
    });
    gpu.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const bytes = staging.getMappedRange();
    const values = pieces.map(({ size }, i) =>
      new Float32Array(bytes.slice(starts[i] ?? 0, (starts[i] ?? 0) + size))
    );
    staging.unmap();
    device.check();
    return values;
  } catch (error) {
    device.check();
    throw error;
  } finally {
    staging.destroy();
  }
}

/** The bytes of a typed array, without a copy. */
export function bytesOf(data: Data): Uint8Array<ArrayBuffer> {
  return new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
}
