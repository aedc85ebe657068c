/**
 * Scores fitted on what a model makes of training images: one resident pass, and the rest on the host.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import type { Attackable } from "../attack/mod.ts";
import { sha256Of } from "../base/digest.ts";
import { shortened, UserError } from "../base/errors.ts";
import type { Subject } from "../methods/mod.ts";
import { compile, dim, halving, input, release, type Tensor } from "../nn/mod.ts";
import {
  type FittedScore,
  fittedScore,
  type Rows,
  type Score,
  type ScoreChoice,
  type ScoreName,
  scores,
  Training,
} from "../scores/mod.ts";
import { explainPrograms } from "./explain.ts";
import type { Job } from "./predict.ts";
import { batches, chosen, evenSample, ResidentSet } from "./resident_set.ts";

/** Images that scores are fitted on, at most. */
const most = 5000;

/** Scores of a subject, with what they have learned. */
export interface ScoreFits {
  readonly fitted: readonly FittedScore[];
  /** Scores that the model does not give or training images do not determine, where all were asked for. */
  readonly leftOut: readonly { readonly name: string; readonly why: string }[];
  /** The training images. */
  readonly set: { readonly name: string; readonly count: number };
  /** SHA-256 of all that they have learned, in f32: of names, shapes and values. */
  readonly digest: string;
}

/**
 * The scores that a model gives, of those that are asked for, known before it is trained.
 *
 * @throws UserError when one that is named cannot be had
 */
export function knownScores(
  asked: ScoreChoice,
  subject: Subject,
): { readonly given: readonly ScoreName[] } & Pick<ScoreFits, "leftOut"> {
  const model = scoredPart(subject);
  const fault = ({ needs = [] }: Score): string | undefined => {
    const missing = needs.find((need) => model[need] === undefined);
    return missing && `the model has no ${missing}`;
  };
  const all = Object.keys(scores) as ScoreName[];
  const names = asked === "all" ? all : asked;
  const leftOut = names.flatMap((name) => {
    const why = fault(scores[name]);
    return why ? [{ name, why }] : [];
  });
  const [first] = leftOut;
  if (first && asked !== "all") {
    const others = all.filter((name) => !fault(scores[name]));
    throw new UserError(
      `Cannot score by "${first.name}": ${first.why}; choose ${others.join(", ")}`,
    );
  }
  return { given: names.filter((name) => !fault(scores[name])), leftOut };
}

/** The one part of a subject that scores are of. */
function scoredPart({ attacked }: Subject): Attackable {
  const [model, ...others] = attacked;
  if (model && others.length === 0) return model;
  throw new UserError(
    "Cannot score an ensemble whose members have an image each: a score is of one image; " +
      "add --ensemble-attack joint",
  );
}

/**
 * Fits scores on at most 5,000 training images, evenly spread.
 *
 * @param training images that the model learned from, with their classes
 * @returns the scores, whose parameters are to be released
 * @throws UserError when one that is named cannot be had or fitted, or the images have no classes
 */
export async function fitScores(
  job: Omit<Job, "set" | "seed">,
  training: ImageSet,
  asked: ScoreChoice,
): Promise<ScoreFits> {
  const { given, leftOut } = knownScores(asked, job.subject);
  if (training.count === 0 || training.labelled === false) {
    throw new UserError(
      `Cannot fit scores on ${shortened(training.name)}: ${
        training.count === 0 ? "it has no images" : "nothing says what its images show"
      }; give a set with labels`,
    );
  }
  const sample = chosen(training, evenSample(training.count, most));
  const answers = await trainingAnswers(job, scoredPart(job.subject), sample);
  const fitted: FittedScore[] = [];
  const refused = [...leftOut];
  for (const name of given) {
    const score: Score = scores[name];
    try {
      fitted.push(fittedScore(score, score.fit?.(answers) ?? {}));
    } catch (error) {
      if (!(error instanceof UserError) || asked !== "all") throw error;
      // Its remedy is to choose other scores, which all of them are.
      refused.push({ name, why: error.message.replace(/; [^;]*$/, "") });
    }
  }
  const set = { name: training.name, count: answers.count };
  return { fitted, leftOut: refused, set, digest: digestOf(fitted) };
}

/** Features and logits of images, as far as a model has them. */
export async function trainingAnswers(
  job: Omit<Job, "set" | "seed" | "subject">,
  model: Pick<Attackable, "features" | "logits">,
  sample: ImageSet,
): Promise<Training> {
  const set = new ResidentSet(sample);
  try {
    const batch = Math.min(job.batchSize, set.count);
    const found = await halving(batch, (n) => answersIn(job, model, set, n), job.reporter);
    return new Training({ name: sample.name, labels: sample.labels, ...found });
  } finally {
    release(job.device, set.parameters);
  }
}

async function answersIn(
  { device, explain, reporter }: Omit<Job, "set" | "seed" | "subject">,
  model: Pick<Attackable, "features" | "logits">,
  set: ResidentSet,
  batch: number,
): Promise<{ readonly features?: Rows; readonly logits?: Rows }> {
  const index = input([batch]);
  const images = set.images(index);
  const traced = (["features", "logits"] as const).flatMap((kind) => {
    const rows = model[kind]?.(images);
    return rows ? [[kind, rowsOf(kind, rows, batch)] as const] : [];
  });
  if (traced.length === 0) return {};
  const records = traced.map(([, rows]) => rows);
  using program = await compile(device, { name: "training answers", inputs: [index], records });
  await explainPrograms([program], explain, reporter);
  for (const { index } of batches(set.count, batch)) program.run([index]);
  const recorded = await program.drain();
  return Object.fromEntries(traced.map(([kind, rows], i) => {
    const width = dim(rows, 1);
    const values = Float64Array.from(recorded[i]?.subarray(0, set.count * width) ?? []);
    return [kind, { width, values }];
  }));
}

/** Refuses what is not one row an image. */
function rowsOf(kind: string, rows: Tensor, batch: number): Tensor {
  if (rows.shape.length === 2 && rows.shape[0] === batch) return rows;
  throw new UserError(
    `Cannot fit scores on ${kind} [${
      rows.shape.join(", ")
    }] of ${batch} images: give one row an image`,
  );
}

function digestOf(fitted: readonly FittedScore[]): string {
  return sha256Of(
    fitted.flatMap(({ name, fit }) => [
      name,
      ...Object.entries(fit).flatMap(([key, { shape, values }]) => [
        JSON.stringify([key, shape]),
        new Uint8Array(Float32Array.from(values).buffer),
      ]),
    ]),
  );
}

/** Scores that every method's probabilities give as it is. */
const everyMethods: readonly string[] = ["maxProbability", "entropy"] satisfies ScoreName[];

/** A subject that tells these scores too, beside those of its own. */
export function withScores(subject: Subject, fitted: readonly FittedScore[]): Subject {
  const model = scoredPart(subject);
  const further = fitted.filter(({ name }) => !everyMethods.includes(name));
  return {
    ...subject,
    scores(images, draws): ReturnType<NonNullable<Subject["scores"]>> {
      const [image] = images;
      if (!image) throw new Error("Unreachable: a subject without an image");
      const made = further.map((score) => [
        score.name,
        { values: score.values(model, image), higher: "in-domain" as const },
      ]);
      return { ...subject.scores?.(images, draws), ...Object.fromEntries(made) };
    },
  };
}
