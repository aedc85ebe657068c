/**
 * A grid of runs: what `sweep plan` reads.
 *
 *     { "command": "attack", "grid": { "mode": ["duq", "sngp"], "seed": [0, 1] }, "options": { "limit": 200 } }
 *
 * or several such blocks in a list. Names are those of `run.json`; `null` among an option's values leaves the option
 * out there.
 *
 * @module
 */
import { z } from "zod";
import { shortened, shownValue, UserError } from "../base/errors.ts";
import { display, readFile } from "../base/files.ts";
import { optionEntries } from "../experiment/config.ts";
import { modeOfFiles } from "../experiment/model_files.ts";
import { defaultMethod } from "../methods/mod.ts";

/** Commands that a row may be of. */
export const rowCommands = ["train", "eval", "attack"] as const;

/** A command that a row may be of. */
export type RowCommand = (typeof rowCommands)[number];

/** Options of a row by the names of `run.json`. */
export type RowOptions = Readonly<Record<string, unknown>>;

/** A point of a grid. */
export interface Point {
  readonly command: RowCommand;
  /** Options that were given, and the mode. */
  readonly options: RowOptions;
  /** The number of its block among the others, from 1. */
  readonly block: number;
}

/** Rows that a plan may have. */
export const mostRows = 100_000;

/** Bytes of a file of grids. */
const mostBytes = 16 * 2 ** 20;

const blockSchema = z.strictObject({
  command: z.enum(rowCommands),
  grid: z.record(z.string(), z.array(z.unknown()).min(1)).default({}),
  options: z.record(z.string(), z.unknown()).default({}),
});

const gridSchema = z.union([z.array(blockSchema).min(1), blockSchema.transform((of) => [of])]);

type Block = z.infer<typeof blockSchema>;

/**
 * All points of a file of grids, in the order of its blocks; in a block the last option turns fastest.
 *
 * @throws UserError when it is no grid, names an option that there is none, or a value that the option cannot have
 */
export async function readGrid(path: string): Promise<Point[]> {
  const cannot = (why: string): UserError =>
    new UserError(`Cannot plan "${display(path)}": ${why}`);
  const text = new TextDecoder().decode(await readFile(path, { limit: mostBytes }));
  const blocks = blocksOf(text, cannot);
  const points: Point[] = [];
  for (const [i, block] of blocks.entries()) {
    const where = blocks.length === 1 ? "" : ` in block ${i + 1}`;
    checkNames(block, (why) => cannot(`${why}${where}`));
    const count = Object.values(block.grid).reduce((n, values) => n * values.length, 1);
    if (points.length + count > mostRows) {
      throw cannot(`it has more than ${mostRows} rows${where}; divide it into several sweeps`);
    }
    points.push(
      ...product(block).map((options) => ({
        command: block.command,
        options: withMode(options),
        block: i + 1,
      })),
    );
  }
  return points;
}

function blocksOf(text: string, cannot: (why: string) => UserError): Block[] {
  let value: unknown;
  try {
    value = JSON.parse(text, (key, value) => {
      // Objects would lose it on the way, without a word.
      if (key === "__proto__") throw noOption(key, cannot);
      return value;
    });
  } catch (error) {
    if (error instanceof UserError) throw error;
    const why = error instanceof Error ? shortened(error.message) : "it cannot be parsed";
    throw cannot(`it is no JSON (${why})`);
  }
  const parsed = gridSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  // Of the two forms the one that was meant complains.
  const form = Array.isArray(value) ? z.array(blockSchema).min(1) : blockSchema;
  const [issue] = form.safeParse(value).error?.issues ?? [];
  const at = issue?.path.join(".") || "it";
  throw cannot(
    `${shortened(at)}: ${shortened(issue?.message ?? "not valid")}; give {"command": "attack", ` +
      '"grid": {"seed": [0, 1]}, "options": {"limit": 200}}, or a list of such',
  );
}

function noOption(name: string, cannot: (why: string) => UserError): UserError {
  return cannot(`there is no option "${shortened(name)}"; names are those of a run.json`);
}

/** Every value of a block against the schema of its option, once. */
function checkNames({ grid, options }: Block, cannot: (why: string) => UserError): void {
  const twice = Object.keys(grid).find((name) => Object.hasOwn(options, name));
  if (twice !== undefined) throw cannot(`${shortened(twice)} stands in its grid and its options`);
  const given = [
    ...Object.entries(grid),
    ...Object.entries(options).map(([name, value]) => [name, [value]] as const),
  ];
  for (const [name, values] of given) {
    const entry = Object.entries(optionEntries).find(([known]) => known === name)?.[1];
    if (!entry) throw noOption(name, cannot);
    for (const value of values) {
      if (value === null) continue;
      const [issue] = entry.safeParse(value).error?.issues ?? [];
      if (!issue) continue;
      throw cannot(`${name} = ${shownValue(value)}: ${shortened(issue.message, 300)}`);
    }
  }
}

function product({ grid, options }: Block): RowOptions[] {
  return Object.entries(grid).reduce<RowOptions[]>(
    (rows, [name, values]) =>
      rows.flatMap((row) => values.map((value) => ({ ...row, [name]: value }))),
    [options],
  );
}

/** The options that are given, with the mode that they are of where they do not name it. */
function withMode(options: RowOptions): RowOptions {
  const given = Object.entries(options).filter(([, value]) => value !== null);
  const { mode, ...rest } = Object.fromEntries(given);
  const files = rest["modelFile"];
  const named = z.union([z.string().transform((one) => [one]), z.array(z.string())])
    .safeParse(files);
  return { mode: mode ?? (named.success ? modeOfFiles(named.data) : defaultMethod), ...rest };
}
