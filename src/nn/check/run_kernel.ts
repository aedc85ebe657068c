/**
 * One kernel, once: for the tests and `mirage doctor`. Programs do not go this way.
 *
 * @module
 */
import { type Device, texelTexture } from "../device/device.ts";
import { texelRowBytes, texelRows } from "../graph/tiles.ts";
import type { Kernel, Overrides, TexelFormat } from "../graph/kernel.ts";

/**
 * Runs one kernel once and reads its output back. The output and the padding of the inputs to 16
 * bytes start as NaN, so a kernel that counts on zeros there, or leaves an element out, is found.
 *
 * @param inputs one array a binding, in the kernel's order
 * @param threads invocations in all
 * @param outputLength elements to read
 * @param width workgroups in a row of the grid, further ones go to the next row; at most 65535
 * @throws Error when the kernel does not compile or the GPU reports an error
 */
export async function runKernel(
  device: Device,
  kernel: Kernel,
  inputs: readonly (Float32Array | Uint32Array)[],
  overrides: Overrides,
  threads: number,
  outputLength: number,
  width = 65535,
): Promise<Float32Array> {
  const { gpu } = device;
  const { pipeline, layout } = await device.pipeline(kernel, overrides);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const bound = [...inputs, new Float32Array(0)].map((data, binding) => {
    const padded = new Float32Array(
      paddedLength(binding < inputs.length ? data.length : outputLength),
    );
    padded.fill(NaN, data.length);
    new Uint8Array(padded.buffer).set(
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    );
    const buffer = gpu.createBuffer({ size: padded.byteLength, usage });
    gpu.queue.writeBuffer(buffer, 0, padded);
    return { buffer, size: padded.byteLength };
  });
  const textures = kernel.bindings.map(({ texture }, binding) =>
    texture && textureOf(device, inputs[binding] ?? new Float32Array(), texture)
  );
  const output = bound.at(-1);
  if (!output) throw new Error("Unreachable: a kernel has an output");
  const staging = gpu.createBuffer({
    size: output.size,
    usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
  });
  const group = gpu.createBindGroup({
    layout,
    entries: bound.map(({ buffer }, binding) => ({
      binding,
      resource: textures[binding]?.createView() ?? { buffer },
    })),
  });
  const groups = Math.ceil(threads / kernel.workgroup);
  const x = Math.min(groups, width);
  const encoder = gpu.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(x, Math.ceil(groups / x));
  pass.end();
  encoder.copyBufferToBuffer(output.buffer, 0, staging, 0, output.size);
  gpu.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const result = new Float32Array(staging.getMappedRange().slice(0, outputLength * 4));
  staging.unmap();
  for (const { buffer } of [...bound, { buffer: staging }]) buffer.destroy();
  for (const texture of textures) texture?.destroy();
  device.check();
  return result;
}

/** Values row by row of texels; what is left of the last row is NaN. */
function textureOf(
  { gpu }: Device,
  data: Float32Array | Uint32Array,
  format: TexelFormat,
): GPUTexture {
  const rows = texelRows(data.length);
  const padded = new Float32Array(rows * texelRowBytes / 4).fill(NaN);
  padded.set(data);
  const texture = texelTexture(gpu, rows, format);
  const size = [texture.width, rows];
  gpu.queue.writeTexture({ texture }, padded, { bytesPerRow: texelRowBytes }, size);
  return texture;
}

function paddedLength(elements: number): number {
  return Math.max(4, Math.ceil(elements / 4) * 4);
}
