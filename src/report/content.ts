/**
 * What a report tells of, read from the folder of a run.
 *
 * @module
 */
import { basename } from "node:path";
import { z } from "zod";
import { directions, type InitName, inits, type NormName, norms, sides } from "../attack/mod.ts";
import { shortened, UserError } from "../base/errors.ts";
import { display } from "../base/files.ts";
import type { Predictions } from "../measure/metrics.ts";
import { posteriorSchema } from "../experiment/documents.ts";
import { attackedScoreSchema, temperatureSchema } from "../measure/schema.ts";
import { checkFiles, type NamedArray, readArchive, readFigures, readRun } from "../runs/folder.ts";
import { type Run } from "../runs/schema.ts";

const figure = z.number().nullable();

// Loose: figures that are not known here are shown by `furtherFigures()`.
const uncertainty = z.looseObject({
  entropy: figure,
  rejection: z.record(z.string(), z.number()),
  rejectedImages: z.number().optional(),
  targeted: figure.optional(),
  nanRows: z.number().default(0),
  readings: z.record(
    z.string(),
    z.looseObject({
      entropy: figure,
      rejection: z.record(z.string(), z.number()),
      logConfidence: figure,
      logConfidenceInfinite: z.number().default(0),
    }),
  ).default({}),
});
/** Runs of older versions name no classes. */
const classNames = z.array(z.string()).nullable().default(null);
/** Those of older versions say nothing of how images of the user's own were read: there were none. */
const read = {
  skipped: z.number().default(0),
  prepared: z.record(z.string(), z.number()).default({}),
};
const inDomain = z.looseObject({
  name: z.string(),
  count: z.number(),
  ...read,
  accuracy: figure,
  brier: figure,
  nll: figure,
  nllInfinite: figure.default(0),
  nanRows: z.number().default(0),
  right: figure.optional(),
  classes: z.number().optional(),
  classNames,
});
const outDomain = z.looseObject({ name: z.string(), count: z.number(), ...read, classNames });
const named = z.looseObject({
  mode: z.string(),
  model: z.string(),
  protocol: z.string(),
  procedure: z.record(z.string(), z.union([z.string(), z.number()])),
  hyperparameters: z.record(z.string(), z.union([z.string(), z.number()])).default({}),
  seed: z.number(),
  /** Runs of older versions say nothing of the models' own. */
  seeds: z.array(z.number().nullable()).optional(),
  posterior: posteriorSchema.optional(),
});
const attackFigures = named.extend({
  epsilonAttack: z.number(),
  attack: z.looseObject({
    name: z.string(),
    objective: z.string().default("published"),
    norm: z.enum(Object.keys(norms) as [NormName, ...NormName[]]).default("linf"),
    direction: z.enum(directions).optional(),
    on: z.enum(sides).optional(),
    keepLabel: z.boolean().optional(),
    init: z.enum(Object.keys(inits) as [InitName, ...InitName[]]).nullable().optional(),
    restarts: z.number().optional(),
    eot: z.number().optional(),
    steps: z.number(),
    stepSize: z.number(),
    targeted: z.number().nullable(),
  }),
  inDomain: inDomain.nullable(),
  withoutInDomain: z.looseObject({ reason: z.string(), classes: z.number(), classNames })
    .optional(),
  outDomain,
  temperature: temperatureSchema.optional(),
  clean: uncertainty,
  adversarial: z.preprocess(renamed, uncertainty.extend({ distance: z.number() })),
  inDomainAttack: z.looseObject({
    direction: z.enum(directions),
    accuracy: figure,
    distance: z.number(),
    scores: z.record(z.string(), attackedScoreSchema),
  }).nullable().default(null),
  warnings: z.array(z.string()).default([]),
});
/** Runs of older versions call the distance by the one norm that they knew. */
function renamed(value: unknown): unknown {
  const older = z.looseObject({ linf: z.number() }).safeParse(value);
  if (!older.success) return value;
  const { linf: distance, ...others } = older.data;
  return { ...others, distance };
}

const evalFigures = named.extend({
  inDomain,
  temperature: temperatureSchema.optional(),
  outDomain: outDomain.extend(uncertainty.shape),
});
const best = z.looseObject({ epoch: z.number(), accuracy: z.number() });
const trainFigures = named.extend({
  data: z.looseObject({ name: z.string(), count: z.number(), ...read }),
  members: z.array(z.looseObject({
    seed: z.number(),
    epochs: z.array(z.looseObject({
      epoch: z.number(),
      lr: z.number(),
      loss: z.number(),
      trainAccuracy: z.number(),
      accuracy: z.number(),
    })),
    best,
    last: best,
  })),
});

/** Uncertainty on a set, as it stands among a run's figures. */
export type Uncertain = z.infer<typeof uncertainty>;

/** How a set was read, as it stands among a run's figures. */
export type Read = z.infer<typeof outDomain>;

/** Quality in-domain, as it stands among a run's figures. */
export type Quality = z.infer<typeof inDomain>;

type Arrays = ReadonlyMap<string, NamedArray>;

interface Common<Command, Figures> {
  readonly command: Command;
  /** The folder's name. */
  readonly name: string;
  readonly run: Run;
  readonly figures: Figures;
}

/** An image, `[channels, height, width]`, values from 0 to 1. */
export interface Picture {
  readonly shape: readonly [channels: number, height: number, width: number];
  readonly values: Float32Array;
}

/** Why an image is shown. */
export const kinds = ["most", "least", "first"] as const;

/** An image before and after the attack. */
export interface Example {
  readonly kind: typeof kinds[number];
  /** Which of the set's images it is. */
  readonly index: number;
  /** Its class in the set; undefined where the run does not say. */
  readonly label: number | undefined;
  readonly clean: Picture;
  readonly attacked: Picture;
  /** Confidence in each class. */
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** An attack. */
export interface AttackContent extends Common<"attack", z.infer<typeof attackFigures>> {
  readonly clean: Predictions;
  readonly attacked: Predictions;
  readonly examples: readonly Example[];
}

/** An evaluation. */
export interface EvalContent extends Common<"eval", z.infer<typeof evalFigures>> {
  readonly clean: Predictions;
}

/** A training. */
export type TrainContent = Common<"train", z.infer<typeof trainFigures>>;

/** What there is to tell of a run. */
export type RunContent = AttackContent | EvalContent | TrainContent;

/**
 * Reads a finished run.
 *
 * @throws UserError when the folder is none of a finished train, eval or attack, or it is damaged
 */
export async function readContent(folder: string): Promise<RunContent> {
  const run = await readRun(folder);
  const figures = await readFigures(folder, run);
  const cannot = (why: string): UserError =>
    new UserError(`Cannot report on "${display(folder)}": ${why}`);
  if (!figures) throw cannot("the run is not finished; repeat its command, which goes on with it");
  await checkFiles(folder, run);
  const checked = <T>(schema: z.ZodType<T>): T => {
    const { data, error } = schema.safeParse(figures);
    if (data !== undefined) return data;
    const [issue] = error?.issues ?? [];
    throw cannot(
      `metrics.json: ${shortened(issue?.path.join(".") ?? "")}: ${
        shortened(issue?.message ?? "")
      }; make the run again`,
    );
  };
  const archive = (name: string): Promise<Arrays> => readArchive(folder, run, name);
  const { command } = run;
  const common = { name: basename(folder), run };
  switch (command) {
    case "attack": {
      const predictions = await archive("predictions");
      const [clean, attacked] = [rowsOf(predictions, "clean"), rowsOf(predictions, "adversarial")];
      const examples = examplesOf(await archive("examples"), clean, attacked);
      return { command, ...common, figures: checked(attackFigures), clean, attacked, examples };
    }
    case "eval": {
      const clean = rowsOf(await archive("predictions"), "clean");
      return { command, ...common, figures: checked(evalFigures), clean };
    }
    case "train":
      return { command, ...common, figures: checked(trainFigures) };
    case "battery":
      throw cannot("a battery stands alone; name it by itself");
    case "table":
      throw cannot("a table stands alone; name it by itself, or the attacks it consists of");
  }
}

function arrayOf(arrays: Arrays, name: string): NamedArray {
  const found = arrays.get(name);
  if (found) return found;
  throw new UserError(`Cannot report on the run: its archives lack "${name}"; make the run again`);
}

function rowsOf(archive: Arrays, name: string): Predictions {
  const { shape, data } = arrayOf(archive, name);
  return { logProbabilities: Float32Array.from(data), classes: shape[1] ?? 1 };
}

function examplesOf(archive: Arrays, clean: Predictions, attacked: Predictions): Example[] {
  const index = arrayOf(archive, "index").data;
  const kind = arrayOf(archive, "kind").data;
  const labels = archive.get("label")?.data;
  const [before, after] = [arrayOf(archive, "clean"), arrayOf(archive, "adversarial")];
  return Array.from(index, (image, i): Example => ({
    kind: kinds[kind[i] ?? 2] ?? "first",
    index: image,
    label: labels?.[i],
    clean: pictureAt(before, i),
    attacked: pictureAt(after, i),
    before: rowOf(clean, image),
    after: rowOf(attacked, image),
  }));
}

function pictureAt({ shape, data }: NamedArray, i: number): Picture {
  const [, channels = 1, height = 1, width = 1] = shape;
  const size = channels * height * width;
  const values = Float32Array.from(data.subarray(i * size, (i + 1) * size));
  return { shape: [channels, height, width], values };
}

/** Confidence in each class of one row. */
function rowOf({ logProbabilities, classes }: Predictions, row: number): number[] {
  return Array.from(logProbabilities.subarray(row * classes, (row + 1) * classes), Math.exp);
}
