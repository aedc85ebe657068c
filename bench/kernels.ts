/**
 * Speed of the convolutions and products of the paper's networks, by the device's own clock.
 *
 *     deno run --allow-read --allow-env bench/kernels.ts [--batch N] [--json]
 *
 * @module
 */
import Table from "cli-table3";
import * as nn from "../src/nn/mod.ts";

/** Convolutions `[CI, H, CO, K, stride, padding]`. */
const convolutions = {
  "LeNet conv1": [1, 28, 6, 5, 1, 2],
  "LeNet conv2": [6, 14, 16, 5, 1, 0],
  "ResNet-18 stem": [3, 32, 64, 3, 1, 1],
  "ResNet-18 layer1": [64, 32, 64, 3, 1, 1],
  "ResNet-18 layer2.0": [64, 32, 128, 3, 2, 1],
  "ResNet-18 layer2": [128, 16, 128, 3, 1, 1],
  "ResNet-18 layer2 shortcut": [64, 32, 128, 1, 2, 0],
  "ResNet-18 layer3.0": [128, 16, 256, 3, 2, 1],
  "ResNet-18 layer3": [256, 8, 256, 3, 1, 1],
  "ResNet-18 layer4.0": [256, 8, 512, 3, 2, 1],
  "ResNet-18 layer4": [512, 4, 512, 3, 1, 1],
} as const;

/** Products `[M, K, N]`. */
const products = { "LeNet fc_1": [256, 400, 84], "DUQ heads": [256, 84, 420] } as const;

interface Row {
  readonly name: string;
  readonly what: string;
  readonly milliseconds: number;
  readonly gflops: number;
}

/** Sums the dispatches of one op, and what of them is useful work. */
async function measure(device: nn.Device, name: string, what: string, y: nn.Tensor): Promise<Row> {
  using program = await nn.compile(device, { outputs: [y] });
  const times = await program.time(5);
  const milliseconds = times.reduce((sum, t) => sum + t.milliseconds, 0);
  const useful = what === "forward" || what === "product"
    ? times.reduce((sum, t) => sum + t.gigaflop, 0)
    : NaN;
  return { name, what, milliseconds, gflops: 1000 * useful / milliseconds };
}

function values(shape: readonly number[]): nn.Tensor {
  return new nn.Parameter(shape, new nn.Random(1).uniform(nn.size(shape))).tensor;
}

async function run(batch: number): Promise<Row[]> {
  using device = await nn.openDevice();
  console.error(`on ${device.adapter.description || device.adapter.device}, batch ${batch}`);
  const rows: Row[] = [];
  for (const [name, [ci, side, co, k, stride, padding]] of Object.entries(convolutions)) {
    const images = name.startsWith("LeNet") ? 256 : batch;
    const out = Math.floor((side + 2 * padding - k) / stride) + 1;
    const [x, w] = [values([images, ci, side, side]), values([co, ci, k, k])];
    const g = values([images, co, out, out]);
    const options = { stride, padding };
    const gigaflop = 2e-9 * images * co * out * out * ci * k * k;
    const ops = {
      forward: nn.conv2d(x, w, options),
      "input gradient": nn.conv2dInput(g, w, [side, side], options),
      "weight gradient": nn.conv2dWeight(x, g, [k, k], options),
    };
    for (const [what, y] of Object.entries(ops)) {
      const row = await measure(device, name, what, y);
      rows.push({ ...row, gflops: 1000 * gigaflop / row.milliseconds });
    }
    nn.release(
      device,
      [x, w, g].flatMap((t) => t.source.kind === "parameter" ? [t.source.parameter] : []),
    );
  }
  for (const [name, [m, k, n]] of Object.entries(products)) {
    rows.push(await measure(device, name, "product", nn.matmul(values([m, k]), values([k, n]))));
  }
  return rows;
}

if (import.meta.main) {
  const at = Deno.args.indexOf("--batch");
  const rows = await run(at >= 0 ? Number(Deno.args[at + 1]) : 8);
  if (Deno.args.includes("--json")) console.log(JSON.stringify(rows, null, 2));
  else {
    const table = new Table({
      head: ["layer", "", "ms", "GFLOP/s"],
      style: { head: [], border: [] },
    });
    for (const { name, what, milliseconds, gflops } of rows) {
      table.push([name, what, milliseconds.toFixed(2), gflops.toFixed(1)]);
    }
    console.log(table.toString());
  }
}
