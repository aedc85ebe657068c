/**
 * What a result tells beyond mean entropy and rejection, as schemas.
 *
 * @module
 */
import { z } from "zod";

export type { CalibrationResult, ChecksResult, EpsilonPoint, SeparationResult } from "./results.ts";

const share = z.number().min(0).max(1);
const figure = z.number().nullable();

/** A figure with its interval; null where no image gave one. */
export const estimateSchema = z.strictObject({ value: figure, low: figure, high: figure });

/** AUROC and FPR95 with intervals: {@linkcode ToldResult}. */
export const toldSchema = z.strictObject({ auroc: estimateSchema, fprAt95Tpr: estimateSchema });

/**
 * In-domain images against out-domain ones: see `Separation` for the figures. `rejected` is the share of
 * out-domain images beyond the threshold.
 */
export const separationSchema = z.strictObject({
  auroc: estimateSchema,
  auprIn: estimateSchema,
  auprOut: estimateSchema,
  fprAt95Tpr: estimateSchema,
  rejected: share,
});

/** Attacked in-domain images by one score: see `AttackedScore`. */
export const attackedScoreSchema = z.strictObject({
  kept: share,
  clean: separationSchema,
  attacked: separationSchema.optional(),
});

const score = {
  higher: z.enum(["in-domain", "out-domain"]),
  threshold: figure,
  kept: share,
};
const detection = {
  positive: z.literal("in-domain"),
  negative: z.literal("out-domain"),
  inDomain: z.int(),
  bootstrap: z.strictObject({ resamples: z.int(), confidence: share, seed: z.int() }),
};

/** Detectors by every score that the method offers, on clean images. */
export const detectionSchema = z.strictObject({
  ...detection,
  scores: z.record(z.string(), z.strictObject({ ...score, clean: separationSchema })),
});

/** The same before and after an attack on the out-domain images. */
export const attackedDetectionSchema = z.strictObject({
  ...detection,
  scores: z.record(
    z.string(),
    z.strictObject({ ...score, clean: separationSchema, attacked: separationSchema }),
  ),
});

/** Reliability in-domain: expected calibration error, and bins of equal width, null where empty. */
export const calibrationSchema = z.strictObject({
  ece: figure,
  bins: z.array(z.strictObject({
    from: share,
    to: share,
    count: z.int(),
    confidence: figure,
    accuracy: figure,
  })),
});

/** What rejecting at `max p <= tau` leaves of a set: mean entropy in nats of what is accepted. */
const leftSchema = z.strictObject({ rejected: share, entropy: figure });

/** The same of out-domain images: the area under the ROC curve of this one decision, (1 + TPR - FPR) / 2. */
const decisionSchema = leftSchema.extend({ auroc: figure });

/** A point of the curves against tau. */
export const tauSchema = z.strictObject({
  tau: share,
  inDomain: leftSchema,
  clean: decisionSchema,
});

/** A point of the curves against the radius, with 95 % intervals; 0 is the clean images. */
export const epsilonSchema = z.strictObject({
  epsilon: z.number().min(0),
  images: z.int(),
  entropy: estimateSchema,
  rejected: estimateSchema,
  auroc: z.record(z.string(), estimateSchema).nullable(),
});

/** A check of an attack: see `Check`. */
export const checkSchema = z.strictObject({
  holds: z.boolean(),
  figures: z.record(z.string(), figure),
  warning: z.string().nullable(),
});

/** The checks of an attack: see `AttackChecks`. */
export const checksSchema = z.strictObject({
  images: z.int(),
  effect: z.enum(["entropy", "loss"]),
  results: z.record(z.string(), checkSchema),
});

/** {@linkcode ScoresResult}. */
export const scoresSchema = z.strictObject({
  training: z.strictObject({ name: z.string(), count: z.int() }),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  leftOut: z.array(z.strictObject({ name: z.string(), why: z.string() })),
});

const fit = z.strictObject({ nll: figure, ece: figure });

/** {@linkcode TemperatureResult}. */
export const temperatureSchema = z.strictObject({
  value: z.number().positive(),
  set: z.strictObject({ name: z.string(), count: z.int() }),
  unscaled: fit,
  scaled: fit,
});

/** {@linkcode ScoreMatrix}. */
const matrix = z.record(z.string(), z.record(z.string(), toldSchema)).nullable();

/** {@linkcode ScoreAttacks}. */
export const scoreAttacksSchema = z.strictObject({
  images: z.strictObject({ in: z.int(), out: z.int() }),
  on: z.enum(["out", "in", "both"]),
  results: z.record(
    z.string(),
    z.strictObject({ clean: separationSchema, adaptive: separationSchema }),
  ),
  matrix: z.strictObject({ out: matrix, in: matrix, both: matrix }),
});

/** Scores with the attacks on each, as an attack has them. */
export const attackedScoresSchema = scoresSchema.extend({ attacks: scoreAttacksSchema });

/** What an evaluation tells besides. */
export const evalEvidence = {
  temperature: temperatureSchema.optional(),
  scores: scoresSchema.optional(),
  detection: detectionSchema,
  calibration: calibrationSchema.nullable(),
  confident: z.strictObject({ inDomain: share, clean: share }),
  curves: z.strictObject({ tau: z.array(tauSchema) }),
};

/** A point of an attack's curves against tau; null in-domain where there are no such images. */
export const attackedTauSchema = tauSchema.extend({
  inDomain: leftSchema.nullable(),
  attacked: decisionSchema,
});

/** What an attack tells besides; what needs in-domain images is null without them. */
export const attackEvidence = {
  temperature: temperatureSchema.optional(),
  scores: attackedScoresSchema.optional(),
  detection: attackedDetectionSchema.nullable(),
  calibration: calibrationSchema.nullable(),
  confident: z.strictObject({ inDomain: share.nullable(), clean: share, attacked: share }),
  curves: z.strictObject({
    tau: z.array(attackedTauSchema),
    epsilon: z.array(epsilonSchema),
  }),
  checks: checksSchema,
};
