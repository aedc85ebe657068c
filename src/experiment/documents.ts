/**
 * The documents that runs produce, as schemas: what `--json` prints and what is checked before printing.
 *
 * @module
 */
import { z } from "zod";
import { directions, type InitName, inits, type NormName, norms, sides } from "../attack/mod.ts";
import { epochSchema } from "../checkpoint/statement.ts";
import { thresholds } from "./config.ts";
import { described, type Schema } from "../base/schema.ts";
import {
  attackedScoreSchema,
  attackEvidence,
  checksSchema,
  evalEvidence,
} from "../measure/schema.ts";
import type { AttackResult, EvalResult, TrainResult } from "./results.ts";

export type {
  AttackResult,
  EvalResult,
  InDomain,
  InDomainAttack,
  ReadFacts,
  ReadingResult,
  TrainResult,
  Uncertainty,
  WithoutInDomain,
} from "./results.ts";

const share = z.number().min(0).max(1);
const rejection = z.strictObject(
  Object.fromEntries(thresholds.map((t) => [String(t), share])),
);

/** Uncertainty on a set: mean entropy in nats, share of rows with `max p <= tau` by tau. */
const uncertaintySchema = z.strictObject({
  entropy: z.number().nullable(),
  rejection,
});

/**
 * The same by another reading of the same answer: entropy is null where confidences do not sum to one;
 * `logConfidence` is the mean of the largest logarithm, null where that is infinite or no row has one.
 */
const readingSchema = uncertaintySchema.extend({
  logConfidence: z.number().nullable(),
  logConfidenceInfinite: z.int(),
});
/** Images with `max p <= 0.9`, counted: `rejection` may be a mean of batch means. */
const rejectedImages = z.int();
/** Images whose most probable class is the attack's target, counted; null where it has none. */
const targeted = z.int().nullable();
const readings = z.record(z.string(), readingSchema);

/** Names of classes by label; null where a set names none. */
const classNames = z.array(z.string()).nullable();

/** {@linkcode ReadFacts}. */
export const readSchema = z.strictObject({
  skipped: z.int(),
  prepared: z.record(z.string(), z.int()),
});

/**
 * Quality in-domain: accuracy, Brier score (mean over classes), negative log-likelihood in nats; null of images without
 * labels.
 */
export const inDomainSchema = readSchema.extend({
  name: z.string(),
  count: z.int(),
  classes: z.int(),
  classNames,
  accuracy: share.nullable(),
  right: z.int().nullable(),
  nanRows: z.int(),
  brier: z.number().nullable(),
  nll: z.number().nullable(),
  nllInfinite: z.int().nullable(),
});

/** {@linkcode WithoutInDomain}. */
const withoutInDomainSchema = z.strictObject({
  reason: z.string(),
  classes: z.int(),
  classNames,
});

/** {@linkcode InDomainAttack}. */
const inDomainAttackSchema = uncertaintySchema.extend({
  direction: z.enum(directions),
  accuracy: share.nullable(),
  right: z.int().nullable(),
  rejectedImages,
  nanRows: z.int(),
  readings,
  distance: z.number(),
  scores: z.record(
    z.string(),
    attackedScoreSchema,
  ),
  checks: checksSchema,
  warnings: z.array(z.string()),
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
  procedure: z.record(z.string(), z.union([z.string(), z.number()])),
  hyperparameters: z.record(z.string(), z.union([z.string(), z.number()])),
  seed: z.int(),
  adapter,
  versions,
};

const models = {
  seeds: z.array(z.int().nullable()).min(1),
  checkpoints: z.array(z.string()),
};

/**
 * What each model has learned: epochs behind it (a best model those up to its own), and the training images;
 * null where its file does not say.
 */
const trained = z.array(
  z.strictObject({
    epochs: z.int(),
    data: z.strictObject({ name: z.string(), count: z.int() }),
  }).nullable(),
).min(1);

/** What every document of used models begins with. */
export const commonSchema = { ...common, ...models, trained } as const;

/** {@linkcode AttackResult}. */
export const attackDocument = z.strictObject({
  schema: z.literal("mirage/attack@10"),
  ...common,
  ...models,
  trained,
  epsilonAttack: z.number().min(0),
  attack: z.strictObject({
    name: z.string(),
    objective: z.string(),
    direction: z.enum(directions),
    on: z.enum(sides),
    keepLabel: z.boolean(),
    norm: z.enum(Object.keys(norms) as [NormName, ...NormName[]]),
    steps: z.int(),
    stepSize: z.number(),
    start: z.strictObject({ noise: z.number(), projected: z.boolean() }),
    init: z.enum(Object.keys(inits) as [InitName, ...InitName[]]).nullable(),
    restarts: z.int().min(0),
    eot: z.int().min(1),
    targeted: z.int().nullable(),
  }),
  inDomain: inDomainSchema.nullable(),
  withoutInDomain: withoutInDomainSchema.optional(),
  outDomain: readSchema.extend({
    name: z.string(),
    count: z.int(),
    sha256: z.string(),
    listSha256: z.string().nullable(),
    classNames,
  }),
  clean: uncertaintySchema.extend({ rejectedImages, targeted, nanRows: z.int(), readings }),
  adversarial: uncertaintySchema.extend({
    rejectedImages,
    targeted,
    readings,
    distance: z.number(),
    nanRows: z.int(),
  }),
  ...attackEvidence,
  inDomainAttack: inDomainAttackSchema.nullable(),
  warnings: z.array(z.string()),
  seconds: z.strictObject({ setup: z.number(), train: z.number(), attack: z.number() }),
}).refine(
  ({ inDomain, withoutInDomain }) => (inDomain === null) === (withoutInDomain !== undefined),
  { error: "figures in-domain are null where withoutInDomain says why", path: ["inDomain"] },
);

/** {@linkcode EvalResult}. */
const evalDocument = z.strictObject({
  schema: z.literal("mirage/eval@7"),
  ...common,
  ...models,
  trained,
  inDomain: inDomainSchema,
  outDomain: readSchema.extend({ name: z.string(), count: z.int() }).extend(uncertaintySchema.shape)
    .extend({ rejectedImages, nanRows: z.int(), readings }),
  ...evalEvidence,
  seconds: z.strictObject({ setup: z.number(), train: z.number(), eval: z.number() }),
});

/** {@linkcode TrainResult}. */
const trainDocument = z.strictObject({
  schema: z.literal("mirage/train@4"),
  ...common,
  data: readSchema.extend({ name: z.string(), count: z.int(), sha256: z.string() }),
  members: z.array(z.strictObject({
    seed: z.int(),
    epochs: z.array(epochSchema),
    best: z.strictObject({ epoch: z.int(), accuracy: share, path: z.string() }),
    last: z.strictObject({ epoch: z.int(), accuracy: share, path: z.string() }),
  })).min(1),
  seconds: z.strictObject({ setup: z.number(), train: z.number() }),
});

/** Checks what `attack --json` prints. */
export const attackResultSchema: Schema<AttackResult> = described<AttackResult>().by(
  attackDocument,
);
/** Checks what `eval --json` prints. */
export const evalResultSchema: Schema<EvalResult> = described<EvalResult>().by(evalDocument);
/** Checks what `train --json` prints. */
export const trainResultSchema: Schema<TrainResult> = described<TrainResult>().by(trainDocument);
