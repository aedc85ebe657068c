/**
 * Which way of cutting convolutions suits an adapter: measured once, kept on disk, used from then on.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { z } from "zod";
import { makeFolder, writeAtomic } from "../../base/atomic.ts";
import { UserError } from "../../base/errors.ts";
import { readFile } from "../../base/files.ts";
import { Random } from "../graph/random.ts";
import { Parameter, size } from "../graph/tensor.ts";
import { tileProfiles } from "../graph/tiles.ts";
import { conv2d, conv2dInput, conv2dWeight } from "../ops/conv2d.ts";
import type { Device } from "./device.ts";
import { compile } from "./program.ts";
import { release } from "./storage.ts";
import type { Reporter } from "../../base/reporter.ts";
import { described, type Schema } from "../../base/schema.ts";
import { versions } from "../../base/version.ts";

/** The name of a tile profile. */
export type ProfileName = keyof typeof tileProfiles;

const names = Object.keys(tileProfiles) as [ProfileName, ...ProfileName[]];

/** Milliseconds by the name of a tile profile. */
export type ProfileTimes = Readonly<Record<string, number>>;

/** The table on disk: what was measured, by adapter. */
export interface TileTable {
  /** The document's format. */
  readonly schema: "mirage/tiles@1";
  /** The profile that an adapter likes best, the times of all, and the version of Mirage that measured them. */
  readonly adapters: Readonly<
    Record<string, {
      readonly profile: ProfileName;
      readonly milliseconds: ProfileTimes;
      readonly mirage: string;
    }>
  >;
}

/** What `tune --json` prints. */
export interface TuneResult {
  /** The document's format. */
  readonly schema: "mirage/tune@1";
  /** The adapter that was measured. */
  readonly adapter: string;
  /** The tile profile that it likes best. */
  readonly profile: ProfileName;
  /** Milliseconds of each measured convolution, by profile. */
  readonly layers: readonly { readonly layer: string; readonly milliseconds: ProfileTimes }[];
  /** The file that holds the table. */
  readonly path: string;
}

const milliseconds = z.record(z.string(), z.number());

const tableSchema = described<TileTable>().by(z.object({
  schema: z.literal("mirage/tiles@1"),
  adapters: z.record(
    z.string(),
    z.object({ profile: z.enum(names), milliseconds, mirage: z.string() }),
  ),
}));

/** Checks what `tune --json` prints. */
export const tuneResultSchema: Schema<TuneResult> = described<TuneResult>().by(z.object({
  schema: z.literal("mirage/tune@1"),
  adapter: z.string(),
  profile: z.enum(names),
  layers: z.array(z.object({ layer: z.string(), milliseconds })),
  path: z.string(),
}));

/** Layers that decide: `[images, CI, side, CO, K, stride, padding]`. */
const layers = {
  "LeNet conv1": [64, 1, 28, 6, 5, 1, 2],
  "LeNet conv2": [64, 6, 14, 16, 5, 1, 0],
  "ResNet-18 layer1": [8, 64, 32, 64, 3, 1, 1],
  "ResNet-18 layer2.0": [8, 64, 32, 128, 3, 2, 1],
  "ResNet-18 layer3": [8, 256, 8, 256, 3, 1, 1],
  "ResNet-18 layer4": [8, 512, 4, 512, 3, 1, 1],
} as const;

/** Where the table is kept, as the XDG base directory specification has it. */
export function tileTablePath(): string {
  const [cache, local, home] = ["XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"].map((name) =>
    Deno.env.get(name)
  );
  return join(cache || local || join(home || ".", ".cache"), "mirage", "tiles.json");
}

/** Has a device cut its work as was measured for its adapter, where it was and the table may be read. */
export async function useTuning(device: Device, path?: string): Promise<void> {
  try {
    const entry = (await readTable(path ?? tileTablePath())).adapters[adapterKey(device)];
    // Another version's kernels may like another cut.
    if (entry?.mirage === versions().mirage) device.tiles = tileProfiles[entry.profile];
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
  }
}

/**
 * Measures every profile on the paper's layers, and keeps which is fastest.
 *
 * @throws UserError when the adapter has no timestamps
 */
export async function tune(
  device: Device,
  reporter: Reporter,
  path: string = tileTablePath(),
): Promise<TuneResult> {
  if (!device.hasTimestamps) {
    throw new UserError(
      "Cannot tune: this adapter has no timestamp-query, so its kernels cannot be timed; the profile " +
        `"${device.tiles.name}" stays in use`,
    );
  }
  const bar = reporter.progress("tune", Object.keys(layers).length, "layers");
  const rows: TuneResult["layers"][number][] = [];
  for (const name of Object.keys(layers) as (keyof typeof layers)[]) {
    rows.push({ layer: name, milliseconds: await measure(device, name) });
    bar.update(rows.length);
  }
  bar.stop();
  const total = Object.fromEntries(
    names.map((
      name,
    ) => [name, rows.reduce((sum, row) => sum + (row.milliseconds[name] ?? NaN), 0)]),
  );
  const profile = names.reduce((a, b) => (total[b] ?? Infinity) < (total[a] ?? Infinity) ? b : a);
  const table = await readTable(path);
  const adapter = adapterKey(device);
  const { mirage } = versions();
  await makeFolder(dirname(path));
  const adapters = { ...table.adapters, [adapter]: { profile, milliseconds: total, mirage } };
  await writeAtomic(path, `${JSON.stringify({ ...table, adapters }, null, 2)}\n`);
  device.tiles = tileProfiles[profile];
  return { schema: "mirage/tune@1", adapter, profile, layers: rows, path };
}

/** An adapter and its driver: what a measurement is good for. */
function adapterKey({ adapter: { vendor, architecture, device, description } }: Device): string {
  return [vendor, architecture, device, description].filter(Boolean).join(" ");
}

/** The table, or an empty one where there is none that can be read. */
async function readTable(path: string): Promise<TileTable> {
  try {
    const bytes = await readFile(path, { limit: 2 ** 20 });
    return tableSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch {
    return { schema: "mirage/tiles@1", adapters: {} };
  }
}

/** Milliseconds of a convolution and both of its gradients, by profile: the best of several, in turns. */
async function measure(
  device: Device,
  name: keyof typeof layers,
): Promise<Record<string, number>> {
  const [b, ci, side, co, k, stride, padding] = layers[name];
  const out = Math.floor((side + 2 * padding - k) / stride) + 1;
  const noise = (...shape: number[]): Parameter =>
    new Parameter(shape, new Random(1).uniform(size(shape)));
  const [x, w, g] = [noise(b, ci, side, side), noise(co, ci, k, k), noise(b, co, out, out)];
  const options = { stride, padding };
  const outputs = [
    conv2d(x.tensor, w.tensor, options),
    conv2dInput(g.tensor, w.tensor, [side, side], options),
    conv2dWeight(x.tensor, g.tensor, [k, k], options),
  ];
  const best: Record<string, number> = {};
  const compiled = [];
  for (const profile of names) {
    const tiles = tileProfiles[profile];
    compiled.push({ profile, program: await compile(device, { outputs, tiles }) });
  }
  for (let round = 0; round < 3; round++) {
    for (const { profile, program } of compiled) {
      const times = await program.time(1);
      const total = times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
      best[profile] = Math.min(best[profile] ?? Infinity, total);
    }
  }
  compiled.forEach(({ program }) => program[Symbol.dispose]());
  release(device, [x, w, g]);
  return best;
}
