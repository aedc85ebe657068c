/**
 * The documents that runs produce, as schemas: what `--json` prints and what is checked before printing.
 *
 * @module
 */
import { z } from "zod";
import { type AttackName, attacks } from "../attack/mod.ts";
import { epochSchema } from "../checkpoint/statement.ts";
import { thresholds } from "./config.ts";
import { attackEvidence, evalEvidence } from "../measure/schema.ts";

const share = z.number().min(0).max(1);
const rejection = z.strictObject(
  Object.fromEntries(thresholds.map((t) => [String(t), share])),
);

/** Uncertainty on a set: mean entropy in nats, share of rows with `max p <= tau` by tau. */
export const uncertaintySchema = z.strictObject({
  entropy: z.number().nullable(),
  rejection,
});

/**
 * The same by another reading of the same answer: entropy is null where confidences do not sum to one;
 * `logConfidence` is the mean of the largest logarithm, null where that is infinite or no row has one.
 */
export const readingSchema = uncertaintySchema.extend({
  logConfidence: z.number().nullable(),
  /** Images whose confidences are all exactly 0: their largest logarithm is minus infinity. */
  logConfidenceInfinite: z.int(),
});
/** Images with `max p <= 0.9`, counted: `rejection` may be a mean of batch means. */
const rejectedImages = z.int();
/** Images whose most probable class is the attack's target, counted; null where it has none. */
const targeted = z.int().nullable();
const readings = z.record(z.string(), readingSchema);

/** Names of classes by label; null where a set names none. */
const classNames = z.array(z.string()).nullable();

/** Quality in-domain: accuracy, Brier score (mean over classes), negative log-likelihood in nats. */
export const inDomainSchema = z.strictObject({
  name: z.string(),
  count: z.int(),
  /** Classes that the model tells apart. */
  classes: z.int(),
  /** What the set calls them, by label. */
  classNames,
  accuracy: share,
  /** Images that are right, counted: `accuracy` may be a mean of batch means. */
  right: z.int(),
  /** Images whose answers are no numbers; they count as wrong. */
  nanRows: z.int(),
  brier: z.number().nullable(),
  /** Null where it is infinite, or no row has one. */
  nll: z.number().nullable(),
  /** Images whose label has a probability of exactly 0: their log-likelihood is infinite. */
  nllInfinite: z.int(),
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
  /** Every difference between the protocols that concerns the mode, as it was done here. */
  procedure: z.record(z.string(), z.union([z.string(), z.number()])),
  /** Hyper-parameters of the mode's own. */
  hyperparameters: z.record(z.string(), z.union([z.string(), z.number()])),
  /** Of everything that the run draws, its trainings included. */
  seed: z.int(),
  adapter,
  versions,
};

const models = {
  /** Seeds that the models were trained with, one a member; null where a file does not say it. */
  seeds: z.array(z.int().nullable()).min(1),
  /** Paths of the checkpoints, one a member. */
  checkpoints: z.array(z.string()).min(1),
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

/** What `attack --json` prints. */
export const attackResultSchema = z.strictObject({
  schema: z.literal("mirage/attack@6"),
  ...common,
  ...models,
  trained,
  epsilonAttack: share,
  attack: z.strictObject({
    name: z.enum(Object.keys(attacks) as [AttackName, ...AttackName[]]),
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
    /** SHA-256 of the list of files, where the set is one file an image. */
    listSha256: z.string().nullable(),
    /** Files left out because they are broken. */
    skipped: z.int(),
    classNames,
  }),
  clean: uncertaintySchema.extend({ rejectedImages, targeted, nanRows: z.int(), readings }),
  adversarial: uncertaintySchema.extend({
    rejectedImages,
    targeted,
    readings,
    /** Largest change of any pixel. */
    linf: z.number(),
    /** Rows whose probabilities are not numbers; they count as rejected. */
    nanRows: z.int(),
  }),
  ...attackEvidence,
  /** What the checks that do not hold say. */
  warnings: z.array(z.string()),
  seconds: z.strictObject({ setup: z.number(), train: z.number(), attack: z.number() }),
});

/** What `eval --json` prints. */
export const evalResultSchema = z.strictObject({
  schema: z.literal("mirage/eval@5"),
  ...common,
  ...models,
  trained,
  inDomain: inDomainSchema,
  outDomain: z.strictObject({ name: z.string(), count: z.int() }).extend(uncertaintySchema.shape)
    .extend({ rejectedImages, nanRows: z.int(), readings }),
  ...evalEvidence,
  seconds: z.strictObject({ setup: z.number(), train: z.number(), eval: z.number() }),
});

/** What `train --json` prints. */
export const trainResultSchema = z.strictObject({
  schema: z.literal("mirage/train@3"),
  ...common,
  data: z.strictObject({ name: z.string(), count: z.int(), sha256: z.string() }),
  /** One a model; an ensemble has several. */
  members: z.array(z.strictObject({
    seed: z.int(),
    epochs: z.array(epochSchema),
    best: z.strictObject({ epoch: z.int(), accuracy: share, path: z.string() }),
    last: z.strictObject({ epoch: z.int(), accuracy: share, path: z.string() }),
  })).min(1),
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
/** See {@linkcode readingSchema}. */
export type Reading = z.infer<typeof readingSchema>;
/** See {@linkcode inDomainSchema}. */
export type InDomain = z.infer<typeof inDomainSchema>;
