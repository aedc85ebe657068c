/**
 * A plan's file: every row of a sweep.
 *
 *     {"schema": "mirage/sweep@1", "digest": ..., "rows": 6, "trainings": 2}
 *     {"index": 0, "digest": ..., "command": "train", "options": {...}, "needs": []}
 *     {"index": 2, "digest": ..., "command": "attack", "options": {...}, "needs": [...]}
 *
 * Trainings that several rows use are rows of their own, before all others.
 *
 * @module
 */
import { z } from "zod";
import { digestOf } from "../base/digest.ts";
import { shortened, UserError } from "../base/errors.ts";
import { display, readFile } from "../base/files.ts";
import {
  evalBatch,
  type RunConfig,
  runConfig,
  type RunOptions,
  trainBatch,
} from "../experiment/config.ts";
import { type RowCommand, rowCommands, type RowOptions } from "./grid.ts";

/** A run of a plan. */
export interface Row {
  /** Its place in the plan, from 0. */
  readonly index: number;
  /** Of all that was asked for: what names the row, wherever it runs. */
  readonly digest: string;
  readonly command: RowCommand;
  /** Options by the names of `run.json`. */
  readonly options: RowOptions;
  /** Digests of the trainings that it uses and that are rows themselves. */
  readonly needs: readonly string[];
}

/** A sweep. */
export interface Plan {
  /** Of all its rows. */
  readonly digest: string;
  readonly rows: readonly Row[];
  /** How many of them, the first ones, are trainings. */
  readonly trainings: number;
}

/** The configuration that a row's options come to: that of its command with the same flags. */
export function configOf({ command, options }: Pick<Row, "command" | "options">): RunConfig {
  const batch = command === "train" ? { trainBatchSize: trainBatch } : { batchSize: evalBatch };
  return runConfig({ ...batch, ...options } as unknown as RunOptions);
}

/** A sentence as it goes on after a colon. */
export function lowered(sentence: string): string {
  return `${sentence.slice(0, 1).toLowerCase()}${sentence.slice(1)}`;
}

const sha = z.string().regex(/^[0-9a-f]{64}$/);

const headSchema = z.strictObject({
  schema: z.literal("mirage/sweep@1"),
  digest: sha,
  rows: z.int().min(1),
  trainings: z.int().min(0),
});

const rowSchema = z.strictObject({
  index: z.int().min(0),
  digest: sha,
  command: z.enum(rowCommands),
  options: z.record(z.string(), z.unknown()),
  needs: z.array(sha),
});

/** A plan as its file says it: a line of facts, and one a row. */
export function planText({ digest, rows, trainings }: Plan): string {
  const head = { schema: "mirage/sweep@1", digest, rows: rows.length, trainings };
  return [head, ...rows].map((line) => `${JSON.stringify(line)}\n`).join("");
}

/**
 * The plan of a file.
 *
 * @throws UserError when it is none, or was changed since it was made
 */
export async function readPlan(path: string): Promise<Plan> {
  const cannot = (why: string): UserError =>
    new UserError(`Cannot read "${display(path)}": ${why}; make it by sweep plan`);
  const text = new TextDecoder().decode(await readFile(path));
  const [first = "", ...lines] = text.trimEnd().split("\n");
  const head = parsed(first, headSchema);
  if (!head) throw cannot("it is no plan of a sweep");
  const rows: Row[] = [];
  for (const [i, line] of lines.entries()) {
    const row = parsed(line, rowSchema);
    if (row?.index !== i) throw cannot(`its line ${i + 2} is no row ${i}`);
    rows.push(row);
  }
  const { digest, trainings } = head;
  if (rows.length !== head.rows || digestOf(rows) !== digest) {
    throw cannot("it was changed, or cut off, after it was made");
  }
  return { digest, rows, trainings };
}

/**
 * A row by its index.
 *
 * @throws UserError when the plan has no such row
 */
export function rowAt({ rows }: Plan, index: number, path: string): Row {
  const row = rows[index];
  if (row) return row;
  throw new UserError(
    `Cannot run row ${index} of "${display(path)}": it has ${rows.length} ${
      rows.length === 1 ? "row" : `rows, 0 to ${rows.length - 1}`
    }; name one of these`,
  );
}

/** A row in a few words: `attack sngp seed 1 epsilonAttack 0.1`. */
export function wordsOf({ command, options }: Pick<Row, "command" | "options">): string {
  const { mode, ...rest } = options;
  const words = Object.entries(rest).filter(([, value]) => typeof value !== "object")
    .map(([name, value]) => `${name} ${value}`);
  return shortened([command, String(mode), ...words].join(" "));
}

function parsed<T>(line: string, schema: z.ZodType<T>): T | undefined {
  try {
    return schema.parse(JSON.parse(line));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return undefined;
    throw error;
  }
}
