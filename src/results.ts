/**
 * The documents that runs produce, as schemas: what `--json` prints and what is checked before printing.
 *
 * @module
 */
import { z } from "zod";
import { thresholds } from "./config.ts";

const share = z.number().min(0).max(1);
const rejection = z.strictObject(
  Object.fromEntries(thresholds.map((t) => [String(t), share])),
);

/** Uncertainty on a set: mean entropy in nats, share of rows with `max p <= tau` by tau. */
export const uncertaintySchema = z.strictObject({
  entropy: z.number().nullable(),
  rejection,
});

/** Quality in-domain: accuracy, Brier score (mean over classes), negative log-likelihood in nats. */
export const inDomainSchema = z.strictObject({
  name: z.string(),
  count: z.int(),
  accuracy: share,
  brier: z.number().nullable(),
  nll: z.number().nullable(),
});

const adapter = z.strictObject({
  vendor: z.string(),
  architecture: z.string(),
  device: z.string(),
  description: z.string(),
  software: z.boolean(),
});

const versions = z.strictObject({ mirage: z.string(), deno: z.string(), v8: z.string() });

const common = {
  mode: z.string(),
  model: z.string(),
  protocol: z.enum(["paper", "corrected"]),
  seed: z.int(),
  /** Path of the checkpoint, or that it was trained in this run. */
  checkpoint: z.string(),
  adapter,
  versions,
};

/** What `attack --json` prints. */
export const attackResultSchema = z.strictObject({
  schema: z.literal("mirage/attack@1"),
  ...common,
  epsilonAttack: share,
  attack: z.strictObject({
    name: z.string(),
    steps: z.int(),
    stepSize: z.number(),
    start: z.strictObject({ noise: z.number(), projected: z.boolean() }),
    targeted: z.int().nullable(),
  }),
  inDomain: inDomainSchema,
  outDomain: z.strictObject({
    name: z.string(),
    count: z.int(),
    /** SHA-256 of pixels and labels. */
    sha256: z.string(),
    /** Files left out because they are broken. */
    skipped: z.int(),
  }),
  clean: uncertaintySchema,
  adversarial: uncertaintySchema.extend({
    /** Largest change of any pixel. */
    linf: z.number(),
    /** Rows whose probabilities are not numbers; they count as rejected. */
    nanRows: z.int(),
  }),
  warnings: z.array(z.string()),
  seconds: z.strictObject({ setup: z.number(), train: z.number(), attack: z.number() }),
});

/** What `eval --json` prints. */
export const evalResultSchema = z.strictObject({
  schema: z.literal("mirage/eval@1"),
  ...common,
  inDomain: inDomainSchema,
  outDomain: z.strictObject({ name: z.string(), count: z.int() }).extend(uncertaintySchema.shape),
  seconds: z.strictObject({ setup: z.number(), train: z.number(), eval: z.number() }),
});

/** What `train --json` prints. */
export const trainResultSchema = z.strictObject({
  schema: z.literal("mirage/train@1"),
  ...common,
  data: z.strictObject({ name: z.string(), count: z.int(), sha256: z.string() }),
  epochs: z.array(z.strictObject({
    epoch: z.int(),
    /** Learning rate of the epoch. */
    lr: z.number(),
    /** Means over the epoch's steps. */
    loss: z.number(),
    trainAccuracy: share,
    /** Accuracy that the best checkpoint is chosen by. */
    accuracy: share,
    imagesPerSecond: z.number(),
  })),
  best: z.strictObject({ epoch: z.int(), accuracy: share, path: z.string() }),
  last: z.strictObject({ epoch: z.int(), accuracy: share, path: z.string() }),
  seconds: z.strictObject({ setup: z.number(), train: z.number() }),
});

/** See {@linkcode attackResultSchema}. */
export type AttackResult = z.infer<typeof attackResultSchema>;
/** See {@linkcode evalResultSchema}. */
export type EvalResult = z.infer<typeof evalResultSchema>;
/** See {@linkcode trainResultSchema}. */
export type TrainResult = z.infer<typeof trainResultSchema>;
/** See {@linkcode uncertaintySchema}. */
export type Uncertainty = z.infer<typeof uncertaintySchema>;
/** See {@linkcode inDomainSchema}. */
export type InDomain = z.infer<typeof inDomainSchema>;
