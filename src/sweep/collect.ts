/**
 * The figures of a sweep in one table: every finished run, and means over the runs that differ in their seed alone.
 *
 * @module
 */
import { z } from "zod";
import { optionEntries } from "../experiment/config.ts";
import { halfWidth95, mean } from "../measure/statistics.ts";
import { readFigures, readRun } from "../runs/folder.ts";
import { UserError } from "../base/errors.ts";
import type { Row } from "./plan.ts";
import type { RowStatus } from "./state.ts";

/** A finished row with its figures. */
export interface Collected {
  readonly row: Row;
  /** The folder of its run. */
  readonly run: string;
  /** What its models learned from, and whether for longer than the row asks; empty where no file says it. */
  readonly trained: string;
  /** Numbers of its `metrics.json` by where they stand there: `clean.entropy`. */
  readonly figures: ReadonlyMap<string, number>;
}

/** Runs that differ in their seed alone, of models that were trained alike. */
export interface SeedGroup {
  /** Options that they share, by the names of `run.json`. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly command: Row["command"];
  /** As {@linkcode Collected.trained} of each. */
  readonly trained: string;
  readonly runs: readonly Collected[];
  /** Mean of each figure that all of them have, and half the width of its 95 % interval; null of a single run. */
  readonly means: ReadonlyMap<string, { readonly mean: number; readonly halfWidth: number | null }>;
}

/** Parts of `metrics.json` that say how a run was made, not what came out. */
const settings: ReadonlySet<string> = new Set([
  "attack",
  "battery",
  "bootstrap",
  "checks",
  "epsilonAttack",
  "procedure",
  "seed",
]);

/**
 * The figures of finished rows; trainings have none beside their curves.
 *
 * @throws UserError when a run is not what it was when it was finished
 */
export async function collect(statuses: readonly RowStatus[]): Promise<Collected[]> {
  const found: Collected[] = [];
  for (const { row, outcome } of statuses) {
    if (outcome?.state !== "finished" || row.command === "train") continue;
    const document = await readFigures(outcome.run, await readRun(outcome.run));
    if (!document) throw new Error("Unreachable: a finished run without figures");
    const trained = trainedOf(document, row);
    found.push({ row, run: outcome.run, trained, figures: new Map(numbersIn(document, [])) });
  }
  if (found.length > 0) return found;
  throw new UserError(
    "Cannot collect: no evaluation or attack of the plan is finished; sweep status says how far they are",
  );
}

const trainedSchema = z.object({
  trained: z.array(
    z.object({ epochs: z.number(), data: z.object({ name: z.string(), count: z.number() }) })
      .nullable(),
  ),
});

/**
 * What a run's models learned from. A row takes the models that are there, which an earlier command may have trained
 * on more images or for longer: means over seeds would then compare what is not alike.
 */
function trainedOf(document: unknown, { options: { epochs } }: Row): string {
  const { data } = trainedSchema.safeParse(document);
  const said = (data?.trained ?? []).flatMap((of) => of ? [of] : []);
  const sets = [...new Set(said.map(({ data: { name, count } }) => `${count} images of ${name}`))];
  const most = Math.max(0, ...said.map((of) => of.epochs));
  const longer = typeof epochs === "number" && most > epochs;
  return [...sets, ...longer ? [`${most} epochs instead of ${epochs}`] : []].join("; ");
}

function numbersIn(value: unknown, path: readonly string[]): [string, number][] {
  if (typeof value === "number") return [[path.join("."), value]];
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  return Object.entries(value).filter(([key]) => !settings.has(key))
    .flatMap(([key, part]) => numbersIn(part, [...path, key]));
}

/** Rows that differ in their seed alone, in the order of the plan. */
export function bySeed(collected: readonly Collected[]): SeedGroup[] {
  const groups = Map.groupBy(collected, ({ row: { command, options }, trained }) => {
    const { seed: _, ...rest } = options;
    return JSON.stringify([
      command,
      trained,
      Object.entries(rest).sort(([a], [b]) => a < b ? -1 : 1),
    ]);
  });
  return [...groups.values()].flatMap((runs) => {
    const [first] = runs;
    if (!first) return [];
    const { seed: _, ...options } = first.row.options;
    const { row: { command }, trained } = first;
    return [{ command, trained, options, runs, means: meansOf(runs) }];
  });
}

function meansOf(runs: readonly Collected[]): SeedGroup["means"] {
  const [first] = runs;
  const shared = [...first?.figures.keys() ?? []].filter((name) =>
    runs.every(({ figures }) => figures.has(name))
  );
  return new Map(shared.map((name) => {
    const values = runs.map(({ figures }) => figures.get(name) ?? NaN);
    return [name, { mean: mean(values), halfWidth: halfWidth95(values) }] as const;
  }));
}

/**
 * The table in CSV (RFC 4180): a line a run (`kind` is `run`), and where there are several seeds one of their means
 * (`mean`) and one of half the widths of the 95 % intervals of these (`halfWidth95`). Numbers are written in full:
 * read again, they are the same to the last bit.
 */
export function csvOf(groups: readonly SeedGroup[]): string {
  const runs = groups.flatMap((group) => group.runs);
  const known = Object.keys(optionEntries);
  const options = known.filter((name) =>
    name !== "seed" && runs.some(({ row }) => name in row.options)
  );
  const figures = [...new Set(runs.flatMap((run) => [...run.figures.keys()]))];
  const line = (
    { command, trained, options: of }: Pick<SeedGroup, "command" | "trained" | "options">,
    facts: readonly unknown[],
    figure: (name: string) => number | null | undefined,
  ): unknown[] => [
    ...facts,
    command,
    trained,
    ...options.map((name) => of[name]),
    ...figures.map(figure),
  ];
  const lines = groups.flatMap((group) => [
    ...group.runs.map(({ row, run, figures }) =>
      line(group, ["run", row.index, seedOf(row), run], (name) => figures.get(name))
    ),
    ...group.runs.length < 2 ? [] : [
      line(group, ["mean", "", "", ""], (name) => group.means.get(name)?.mean),
      line(group, ["halfWidth95", "", "", ""], (name) => group.means.get(name)?.halfWidth),
    ],
  ]);
  const head = ["kind", "row", "seed", "run", "command", "trained", ...options, ...figures];
  return [head, ...lines].map((cells) => `${cells.map(cell).join(",")}\r\n`).join("");
}

/** The seed of a row; 0 where it names none, as the option says. */
export function seedOf({ options }: Pick<Row, "options">): unknown {
  return options["seed"] ?? 0;
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
