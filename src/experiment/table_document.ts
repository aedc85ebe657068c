/**
 * The document that a table is, as a schema.
 *
 * @module
 */
import { z } from "zod";
import { attackResultSchema } from "./documents.ts";

/** A figure over seeds. */
export const statisticSchema = z.strictObject({
  values: z.array(z.number()),
  mean: z.number().nullable(),
  /** Half the width of the 95 % interval of the mean by Student's t; null for one value. */
  halfWidth: z.number().nullable(),
  paper: z.number(),
  /** Ours less the paper's; null where the two were not made alike. */
  difference: z.number().nullable(),
});
/** A figure over seeds of which the paper has none. */
export const ownStatisticSchema = statisticSchema.omit({ paper: true, difference: true });

const figures = {
  entropy: statisticSchema,
  rejection: statisticSchema,
  /** By the largest probability. */
  auroc: ownStatisticSchema,
};

/** A row of the tables. */
export const tableRowSchema = z.strictObject({
  title: z.string(),
  mode: z.string(),
  hyperparameters: z.record(z.string(), z.union([z.string(), z.number()])),
  /** Seeds of the models, a list for each repetition. */
  seeds: z.array(z.array(z.int())),
  accuracy: z.array(z.number()),
  /** How its models were trained, each way once; null of models that do not say. */
  trained: z.array(z.strictObject({ epochs: z.int(), images: z.int() }).nullable()),
  /** In what it was not made as the paper's row: then there are no differences. */
  differs: z.array(z.string()),
  clean: z.strictObject(figures),
  attacked: z.array(z.strictObject({ epsilon: z.number(), ...figures })),
});

/** What `table --json` prints. */
export const tableResultSchema = z.strictObject({
  schema: z.literal("mirage/table@4"),
  pair: z.string(),
  protocol: z.enum(["paper", "corrected"]),
  /** Epochs that the models have behind them; null where some have more than others. */
  epochs: z.int().nullable(),
  inDomain: z.string(),
  outDomain: z.strictObject({ name: z.string(), count: z.int(), sha256: z.string() }),
  epsilons: z.array(z.number()),
  rows: z.array(tableRowSchema),
  /** Where the paper disagrees with itself. */
  notes: z.array(z.string()),
  ablation: z.array(z.strictObject({
    option: z.string(),
    value: z.union([z.string(), z.number()]),
    rows: z.array(tableRowSchema.extend({
      /** In what its models were trained otherwise than those of the row without the option. */
      unlike: z.array(z.string()),
    })),
  })),
  adapter: attackResultSchema.shape.adapter,
  versions: attackResultSchema.shape.versions,
  seconds: z.number(),
});

/** See {@linkcode tableResultSchema}. */
export type TableResult = z.infer<typeof tableResultSchema>;
/** See {@linkcode tableRowSchema}. */
export type TableRow = z.infer<typeof tableRowSchema>;
/** See {@linkcode ownStatisticSchema}. */
export type OwnStatistic = z.infer<typeof ownStatisticSchema>;
/** See {@linkcode statisticSchema}. */
export type Statistic = z.infer<typeof statisticSchema>;
