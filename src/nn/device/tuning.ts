/**
 * Which way of cutting convolutions suits an adapter, and each of their shapes: measured once, kept on disk,
 * used from then on. Products have one cut, so nothing is measured of them.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { z } from "zod";
import { makeFolder, writeAtomic } from "../../base/atomic.ts";
import { UserError } from "../../base/errors.ts";
import { readFile } from "../../base/files.ts";
import { Random } from "../graph/random.ts";
import { Parameter, size, type Tensor } from "../graph/tensor.ts";
import { cutKey, type TileProfile, tileProfiles } from "../graph/tiles.ts";
import { conv2d, conv2dInput, conv2dWeight } from "../ops/conv2d.ts";
import { maxPool2d } from "../ops/pool2d.ts";
import type { Device } from "./device.ts";
import type { StepTime } from "./profile.ts";
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

/** Tile profiles by the kernels and sizes that are cut by them, by `cutKey`. */
export type Cuts = Readonly<Record<string, ProfileName>>;

/** The table on disk: what was measured, by adapter. */
export interface TileTable {
  /** The document's format. */
  readonly schema: "mirage/tiles@2";
  /**
   * The profile that an adapter likes best, what is cut as by another one, the times of all profiles, and the
   * version of Mirage that measured them.
   */
  readonly adapters: Readonly<
    Record<string, {
      readonly profile: ProfileName;
      readonly cuts: Cuts;
      readonly milliseconds: ProfileTimes;
      readonly mirage: string;
    }>
  >;
}

/** One convolution, or one of its gradients. */
export interface TunedLayer {
  /** Where it is from. */
  readonly layer: string;
  /** What is computed of it. */
  readonly kind: TunedKind;
  /** By profile. */
  readonly milliseconds: ProfileTimes;
}

/** What is computed of a convolution. */
export type TunedKind = "forward" | "forward, pooled" | "input gradient" | "weight gradient";

const kinds = ["forward", "forward, pooled", "input gradient", "weight gradient"] as const;

/** What `tune --json` prints. */
export interface TuneResult {
  /** The document's format. */
  readonly schema: "mirage/tune@2";
  /** The adapter that was measured. */
  readonly adapter: string;
  /** The tile profile that it likes best. */
  readonly profile: ProfileName;
  /** Kernels and sizes that are faster by another profile's cut, which changes no bit of their results. */
  readonly cuts: Cuts;
  /** Milliseconds of each measured convolution and of its gradients, by profile. */
  readonly layers: readonly TunedLayer[];
  /** The file that holds the table. */
  readonly path: string;
}

const milliseconds = z.record(z.string(), z.number());
const cuts = z.record(z.string(), z.enum(names));

const tableSchema = described<TileTable>().by(z.object({
  schema: z.literal("mirage/tiles@2"),
  adapters: z.record(
    z.string(),
    z.object({ profile: z.enum(names), cuts, milliseconds, mirage: z.string() }),
  ),
}));

/** Checks what `tune --json` prints. */
export const tuneResultSchema: Schema<TuneResult> = described<TuneResult>().by(z.object({
  schema: z.literal("mirage/tune@2"),
  adapter: z.string(),
  profile: z.enum(names),
  cuts,
  layers: z.array(z.object({ layer: z.string(), kind: z.enum(kinds), milliseconds })),
  path: z.string(),
}));

/** Layers that decide: `[images, CI, side, CO, K, stride, padding]`. LeNet's are pooled. */
const layers = {
  "LeNet conv1": [64, 1, 28, 6, 5, 1, 2],
  "LeNet conv2": [64, 6, 14, 16, 5, 1, 0],
  "ResNet-18 stem": [8, 3, 32, 64, 3, 1, 1],
  "ResNet-18 layer1": [8, 64, 32, 64, 3, 1, 1],
  "ResNet-18 layer2.0": [8, 64, 32, 128, 3, 2, 1],
  "ResNet-18 layer2.0 shortcut": [8, 64, 32, 128, 1, 2, 0],
  "ResNet-18 layer2": [8, 128, 16, 128, 3, 1, 1],
  "ResNet-18 layer3.0": [8, 128, 16, 256, 3, 2, 1],
  "ResNet-18 layer3.0 shortcut": [8, 128, 16, 256, 1, 2, 0],
  "ResNet-18 layer3": [8, 256, 8, 256, 3, 1, 1],
  "ResNet-18 layer4.0": [8, 256, 8, 512, 3, 2, 1],
  "ResNet-18 layer4.0 shortcut": [8, 256, 8, 512, 1, 2, 0],
  "ResNet-18 layer4": [8, 512, 4, 512, 3, 1, 1],
} as const;

/** A name among them. */
type LayerName = keyof typeof layers;

/** Their names. */
const layerNames = Object.keys(layers) as LayerName[];

/** Share of its own cut's time that another profile's cut must stay below, for two rounds of one differ, too. */
const worthwhile = 0.9;

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
    if (entry?.mirage === versions().mirage) device.tiles = tunedProfile(entry.profile, entry.cuts);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
  }
}

/** A profile that cuts some work as others do. */
function tunedProfile(profile: ProfileName, cuts: Cuts): TileProfile {
  const others = Object.entries(cuts).map(([key, name]) => [key, tileProfiles[name]] as const);
  return { ...tileProfiles[profile], cuts: new Map(others) };
}

/**
 * Measures every profile on the paper's layers, and keeps which is fastest, and which of its cuts another
 * profile's beats.
 *
 * @param wanted whether to measure a layer, by its name; all when not given
 * @throws UserError when the adapter has no timestamps
 */
export async function tune(
  device: Device,
  reporter: Reporter,
  path: string = tileTablePath(),
  wanted: (layer: string) => boolean = () => true,
): Promise<TuneResult> {
  if (!device.hasTimestamps) {
    throw new UserError(
      "Cannot tune: this adapter has no timestamp-query, so its kernels cannot be timed; the profile " +
        `"${device.tiles.name}" stays in use`,
    );
  }
  const of = layerNames.filter(wanted);
  const bar = reporter.progress("tune", of.length, "layers");
  const rows: TunedLayer[] = [];
  const measured = Object.fromEntries(names.map((name) => [name, new Map()])) as CutTimes;
  for (const [i, name] of of.entries()) {
    rows.push(...await measure(device, name, measured));
    bar.update(i + 1);
  }
  bar.stop();
  const total = Object.fromEntries(
    names.map((
      name,
    ) => [name, rows.reduce((sum, row) => sum + (row.milliseconds[name] ?? NaN), 0)]),
  );
  const profile = names.reduce((a, b) => (total[b] ?? Infinity) < (total[a] ?? Infinity) ? b : a);
  const cuts = fasterCuts(profile, measured);
  const table = await readTable(path);
  const adapter = adapterKey(device);
  const { mirage } = versions();
  await makeFolder(dirname(path));
  const entry = { profile, cuts, milliseconds: total, mirage };
  const adapters = { ...table.adapters, [adapter]: entry };
  await writeAtomic(path, `${JSON.stringify({ ...table, adapters }, null, 2)}\n`);
  device.tiles = tunedProfile(profile, cuts);
  return { schema: "mirage/tune@2", adapter, profile, cuts, layers: rows, path };
}

/** Milliseconds of the kernels that a profile cuts, by profile and `cutKey`. */
type CutTimes = Readonly<Record<ProfileName, Map<string, number>>>;

/** What a profile cuts that another one cuts better. What reads textures is in no other order: it is left alone. */
function fasterCuts(profile: ProfileName, measured: CutTimes): Cuts {
  const found: Record<string, ProfileName> = {};
  for (const [key, own] of measured[profile]) {
    const time = (name: ProfileName): number => measured[name].get(key) ?? Infinity;
    const best = names.reduce((a, b) => time(b) < time(a) ? b : a);
    if (time(best) < worthwhile * own) found[key] = best;
  }
  return found;
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
    return { schema: "mirage/tiles@2", adapters: {} };
  }
}

/**
 * Milliseconds of a convolution and of both of its gradients, by profile: the best of several, in turns.
 *
 * @param measured takes the times of the kernels that are cut
 */
async function measure(
  device: Device,
  name: LayerName,
  measured: CutTimes,
): Promise<TunedLayer[]> {
  const [b, ci, side, co, k, stride, padding] = layers[name];
  const out = Math.floor((side + 2 * padding - k) / stride) + 1;
  const noise = (...shape: number[]): Parameter =>
    new Parameter(shape, new Random(1).uniform(size(shape)));
  const [x, w, g] = [noise(b, ci, side, side), noise(co, ci, k, k), noise(b, co, out, out)];
  const options = { stride, padding };
  const y = conv2d(x.tensor, w.tensor, options);
  const pooled = name.startsWith("LeNet");
  const outputs: readonly (readonly [TunedKind, Tensor])[] = [
    pooled ? ["forward, pooled", maxPool2d(y, 2)] : ["forward", y],
    ["input gradient", conv2dInput(g.tensor, w.tensor, [side, side], options)],
    ["weight gradient", conv2dWeight(x.tensor, g.tensor, [k, k], options)],
  ];
  const rows: TunedLayer[] = [];
  for (const [kind, output] of outputs) {
    const best: Record<string, number> = {};
    const compiled = [];
    for (const profile of names) {
      const tiles = tileProfiles[profile];
      compiled.push({ profile, program: await compile(device, { outputs: [output], tiles }) });
    }
    for (let round = 0; round < 3; round++) {
      for (const { profile, program } of compiled) {
        const times = await program.time(1);
        const total = times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
        best[profile] = Math.min(best[profile] ?? Infinity, total);
        for (const step of times) keepFastest(measured[profile], step);
      }
    }
    compiled.forEach(({ program }) => program[Symbol.dispose]());
    rows.push({ layer: name, kind, milliseconds: best });
  }
  release(device, [x, w, g]);
  return rows;
}

/** Keeps the time of a kernel that profiles cut, if it is the shortest so far. */
function keepFastest(times: Map<string, number>, step: StepTime): void {
  const { file, overrides, milliseconds } = step;
  if (file !== "conv2d" && file !== "conv2d_weight") return;
  const value = (name: string, otherwise = 0): number => Number(overrides[name] ?? otherwise);
  const shape = {
    CI: value("CI"),
    H: value("H"),
    W: value("W"),
    CO: value("CO"),
    KH: value("KH"),
    KW: value("KW"),
    OH: value("OH"),
    OW: value("OW"),
    STRIDE: value("STRIDE", 1),
    PAD: value("PAD"),
  };
  const extras = file === "conv2d"
    ? { fold: value("FOLD", 1) === 4 ? 4 : 1, pool: value("POOL", 1) === 2 ? 2 : 1 } as const
    : {};
  const key = cutKey(file, shape, extras);
  times.set(key, Math.min(times.get(key) ?? Infinity, milliseconds));
}
