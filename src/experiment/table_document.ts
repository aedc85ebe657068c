/**
 * The document that a table is, as a schema.
 *
 * @module
 */
import { z } from "zod";
import { described, type Schema } from "../base/schema.ts";
import { attackDocument } from "./documents.ts";
import type { TableResult } from "./results.ts";

export type { OwnStatistic, Statistic, TableResult, TableRow } from "./results.ts";

const statisticSchema = z.strictObject({
  values: z.array(z.number()),
  mean: z.number().nullable(),
  halfWidth: z.number().nullable(),
  paper: z.number(),
  difference: z.number().nullable(),
});
/** A figure over seeds of which the paper has none. */
const ownStatisticSchema = statisticSchema.omit({ paper: true, difference: true });

const figures = {
  entropy: statisticSchema,
  rejection: statisticSchema,
  auroc: ownStatisticSchema,
};

const tableRowSchema = z.strictObject({
  title: z.string(),
  mode: z.string(),
  hyperparameters: z.record(z.string(), z.union([z.string(), z.number()])),
  seeds: z.array(z.array(z.int())),
  accuracy: z.array(z.number()),
  trained: z.array(z.strictObject({ epochs: z.int(), images: z.int() }).nullable()),
  differs: z.array(z.string()),
  clean: z.strictObject({
    ...figures,
    scores: z.record(z.string(), ownStatisticSchema).optional(),
  }),
  attacked: z.array(z.strictObject({
    epsilon: z.number(),
    ...figures,
    scores: z.record(
      z.string(),
      z.strictObject({ transfer: ownStatisticSchema, adaptive: ownStatisticSchema }),
    ).optional(),
  })),
});

/** {@linkcode TableResult}. */
export const tableDocument = z.strictObject({
  schema: z.literal("mirage/table@4"),
  pair: z.string(),
  protocol: z.enum(["paper", "corrected"]),
  epochs: z.int().nullable(),
  inDomain: z.string(),
  outDomain: z.strictObject({ name: z.string(), count: z.int(), sha256: z.string() }),
  epsilons: z.array(z.number()),
  rows: z.array(tableRowSchema),
  notes: z.array(z.string()),
  ablation: z.array(z.strictObject({
    option: z.string(),
    value: z.union([z.string(), z.number()]),
    rows: z.array(tableRowSchema.extend({
      unlike: z.array(z.string()),
    })),
  })),
  adapter: attackDocument.shape.adapter,
  versions: attackDocument.shape.versions,
  seconds: z.number(),
});

/** Checks what `table --json` prints. */
export const tableResultSchema: Schema<TableResult> = described<TableResult>().by(tableDocument);
