/**
 * What an adapter can do at best: its roof (Williams et al., "Roofline", CACM 2009), measured.
 *
 * @module
 */
import copyWgsl from "./copy.wgsl" with { type: "text" };
import multiplyAddWgsl from "./multiply_add.wgsl" with { type: "text" };
import { type Kernel, kernel, type Overrides } from "../src/nn/graph/kernel.ts";
import { compile, type Device, Parameter, release, tileProfiles } from "../src/nn/mod.ts";
import { node } from "../src/nn/graph/tensor.ts";

/** The best rates that were seen. */
export interface Roof {
  /** Multiplications and additions, in billions a second. */
  readonly gflops: number;
  /** Bytes read and written by a copy through a kernel, in billions a second. */
  readonly gigabytes: number;
}

/** What an adapter runs to show what it can do. */
interface Probe {
  readonly kernel: Kernel;
  readonly overrides: Overrides;
  /** Vectors of four that a thread reads and writes. */
  readonly vectors: number;
}

/** Sums that fill the registers, steps that hide what a turn of the loop costs: lavapipe's best of 2 to 64 and 1 to 16. */
const chains = { SUMS: 16, STEPS: 8, LENGTH: 128 };
const multiplyAdd: Probe = {
  kernel: kernel("multiply_add", multiplyAddWgsl),
  overrides: chains,
  vectors: 1,
};
const copy: Probe = { kernel: kernel("copy", copyWgsl), overrides: {}, vectors: 8 };

/** Measures both roofs: the best of several runs, each large enough for any device. */
export async function measureRoof(device: Device): Promise<Roof> {
  const threads = device.adapter.software ? 4096 : 2 ** 18;
  const arithmetic = await fastest(device, multiplyAdd, threads);
  const copies = 2 ** 17;
  const moved = await fastest(device, copy, copies);
  const flop = 2 * 4 * chains.SUMS * chains.STEPS * chains.LENGTH;
  return {
    gflops: threads * flop / arithmetic / 1e6,
    gigabytes: 2 * 16 * copies * copy.vectors / moved / 1e6,
  };
}

/** Milliseconds of the fastest run of a kernel by so many threads. */
async function fastest(
  device: Device,
  { kernel: of, overrides, vectors }: Probe,
  threads: number,
): Promise<number> {
  const x = new Parameter([threads * vectors * 4], 0.5);
  const source = { kind: "dispatch", kernel: of, overrides, threads } as const;
  using program = await compile(device, {
    outputs: [node(of.name, [x.tensor], x.shape, source)],
    // From buffers: what is copied to textures first is not timed.
    tiles: tileProfiles.software,
  });
  let best = Infinity;
  for (let i = 0; i < 15; i++) {
    const [time] = await program.time(1);
    best = Math.min(best, time?.milliseconds ?? Infinity);
  }
  release(device, [x]);
  return best;
}
