/**
 * What an adapter can do at best: its roof (Williams et al., "Roofline", CACM 2009), measured.
 *
 * @module
 */
import copyWgsl from "./copy.wgsl" with { type: "text" };
import multiplyAddWgsl from "./multiply_add.wgsl" with { type: "text" };
import { type Kernel, kernel } from "../src/nn/graph/kernel.ts";
import { compile, type Device, Parameter, release } from "../src/nn/mod.ts";
import { node } from "../src/nn/graph/tensor.ts";

/** The best rates that were seen. */
export interface Roof {
  /** Multiplications and additions, in billions a second. */
  readonly gflops: number;
  /** Bytes read and written by a copy through a kernel, in billions a second. */
  readonly gigabytes: number;
}

const multiplyAdd = {
  kernel: kernel("multiply_add", multiplyAddWgsl),
  vectors: 1,
  flop: 2 * 4 * 32 * 512,
};
const copy = { kernel: kernel("copy", copyWgsl), vectors: 8 };

/** Measures both roofs: the best of several runs, each large enough for any device. */
export async function measureRoof(device: Device): Promise<Roof> {
  const threads = device.adapter.software ? 4096 : 2 ** 18;
  const arithmetic = await fastest(device, multiplyAdd.kernel, threads, multiplyAdd.vectors);
  const copies = 2 ** 17;
  const moved = await fastest(device, copy.kernel, copies, copy.vectors);
  return {
    gflops: threads * multiplyAdd.flop / arithmetic / 1e6,
    gigabytes: 2 * 16 * copies * copy.vectors / moved / 1e6,
  };
}

/** Milliseconds of the fastest run of a kernel over `threads * vectors` vectors of four. */
async function fastest(
  device: Device,
  of: Kernel,
  threads: number,
  vectors: number,
): Promise<number> {
  const x = new Parameter([threads * vectors * 4], 0.5);
  const source = { kind: "dispatch", kernel: of, overrides: {}, threads } as const;
  using program = await compile(device, { outputs: [node(of.name, [x.tensor], x.shape, source)] });
  let best = Infinity;
  for (let i = 0; i < 5; i++) {
    const [time] = await program.time(3);
    best = Math.min(best, time?.milliseconds ?? Infinity);
  }
  release(device, [x]);
  return best;
}
