/**
 * Speed of every kernel and shape that the paper's steps consist of, by the device's own clock, beside
 * what the adapter can do at best.
 *
 * @module
 */
import * as nn from "../src/nn/mod.ts";
import { useTuning } from "../src/nn/device/tuning.ts";
import { attackStep, type Step, trainingStep } from "./programs.ts";
import { measureRoof, type Roof } from "./roof.ts";

/** Convolutions `[CI, side, CO, K, stride, padding]`. */
const convolutions = {
  "LeNet conv1": [1, 28, 6, 5, 1, 2],
  "LeNet conv2": [6, 14, 16, 5, 1, 0],
  "ResNet-18 stem": [3, 32, 64, 3, 1, 1],
  "ResNet-18 layer1": [64, 32, 64, 3, 1, 1],
  "ResNet-18 layer2.0": [64, 32, 128, 3, 2, 1],
  "ResNet-18 layer2.0 shortcut": [64, 32, 128, 1, 2, 0],
  "ResNet-18 layer2": [128, 16, 128, 3, 1, 1],
  "ResNet-18 layer3.0": [128, 16, 256, 3, 2, 1],
  "ResNet-18 layer3.0 shortcut": [128, 16, 256, 1, 2, 0],
  "ResNet-18 layer3": [256, 8, 256, 3, 1, 1],
  "ResNet-18 layer4.0": [256, 8, 512, 3, 2, 1],
  "ResNet-18 layer4.0 shortcut": [256, 8, 512, 1, 2, 0],
  "ResNet-18 layer4": [512, 4, 512, 3, 1, 1],
} as const;

/** One line of the report. */
export interface KernelRow {
  /** The layer, or the step that a dispatch is of. */
  readonly of: string;
  readonly what: string;
  readonly milliseconds: number;
  /** Billions of useful operations a second; 0 where they are not what it is about. */
  readonly gflops: number;
  readonly gigabytes: number;
  /** Share of the nearer roof. */
  readonly share: number;
}

/** The report. */
export interface KernelReport {
  readonly adapter: string;
  readonly roof: Roof;
  readonly layers: readonly KernelRow[];
  readonly dispatches: readonly KernelRow[];
}

/** Dispatches that take less than this share of their step are left out. */
const smallest = 0.005;

/** Measures layers by themselves, and the dispatches of whole steps. */
export async function measureKernels(
  batch: number,
  say: (line: string) => void,
): Promise<KernelReport> {
  using device = await nn.openDevice();
  await useTuning(device);
  const roof = await measureRoof(device);
  say(`roof: ${roof.gflops.toFixed(1)} GFLOP/s, ${roof.gigabytes.toFixed(1)} GB/s`);
  const layers: KernelRow[] = [];
  for (const name of Object.keys(convolutions) as (keyof typeof convolutions)[]) {
    layers.push(...await measureLayer(device, name, batch, roof));
    say(name);
  }
  const steps = [
    () => trainingStep(device, "baseline", "LeNet", 256),
    () => attackStep(device, "baseline", "LeNet", 200),
    () => trainingStep(device, "sngp", "LeNet_SNGP", 256),
    () => trainingStep(device, "duq", "LeNet_DUQ", 256),
    () => trainingStep(device, "due", "LeNet_DUE", 256),
    () => trainingStep(device, "baseline", "ResNet-18", batch),
  ];
  const dispatches: KernelRow[] = [];
  for (const make of steps) {
    using step = await make();
    dispatches.push(...await measureStep(step, roof));
    say(step.program.name);
  }
  return { adapter: device.adapter.description, roof, layers, dispatches };
}

/** A convolution forward and both of its gradients, everything around the kernel included. */
async function measureLayer(
  device: nn.Device,
  name: keyof typeof convolutions,
  batch: number,
  roof: Roof,
): Promise<KernelRow[]> {
  const [ci, side, co, k, stride, padding] = convolutions[name];
  const images = name.startsWith("LeNet") ? 256 : batch;
  const out = Math.floor((side + 2 * padding - k) / stride) + 1;
  const noise = (...shape: number[]): nn.Parameter =>
    new nn.Parameter(shape, new nn.Random(1).uniform(nn.size(shape)));
  const [x, w, g] = [
    noise(images, ci, side, side),
    noise(co, ci, k, k),
    noise(images, co, out, out),
  ];
  const options = { stride, padding };
  const gigaflop = 2e-9 * images * co * out * out * ci * k * k;
  const gigabyte = 4e-9 * (x.data.length + w.data.length + g.data.length);
  const ops = {
    forward: nn.conv2d(x.tensor, w.tensor, options),
    "input gradient": nn.conv2dInput(g.tensor, w.tensor, [side, side], options),
    "weight gradient": nn.conv2dWeight(x.tensor, g.tensor, [k, k], options),
  };
  const rows: KernelRow[] = [];
  for (const [what, y] of Object.entries(ops)) {
    using program = await nn.compile(device, { outputs: [y] });
    const times = await program.time(5);
    const milliseconds = times.reduce((sum, t) => sum + t.milliseconds, 0);
    rows.push(row({ of: name, what, milliseconds, gigaflop, gigabyte }, roof));
  }
  nn.release(device, [x, w, g]);
  return rows;
}

async function measureStep({ program }: Step, roof: Roof): Promise<KernelRow[]> {
  const times = await program.time(5);
  const total = times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return times.filter(({ milliseconds }) => milliseconds >= smallest * total)
    .toSorted((a, b) => b.milliseconds - a.milliseconds)
    .map(({ label, kernel, milliseconds, gigaflop, gigabyte }) =>
      row({ of: program.name, what: `${label} ${kernel}`, milliseconds, gigaflop, gigabyte }, roof)
    );
}

function row(
  { of, what, milliseconds, gigaflop, gigabyte }: {
    of: string;
    what: string;
    milliseconds: number;
    gigaflop: number;
    gigabyte: number;
  },
  roof: Roof,
): KernelRow {
  const [gflops, gigabytes] = [1000 * gigaflop / milliseconds, 1000 * gigabyte / milliseconds];
  const share = Math.max(gflops / roof.gflops, gigabytes / roof.gigabytes);
  return { of, what, milliseconds, gflops, gigabytes, share };
}
