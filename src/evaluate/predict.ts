/**
 * Predictions over whole sets: one program a job, one read-back at the end.
 *
 * @module
 */
import { UserError } from "../base/errors.ts";
import { batches, type ResidentSet } from "./resident_set.ts";
import { type Explain, explainPrograms } from "./explain.ts";
import {
  compile,
  type Device,
  dim,
  Draws,
  halving,
  input,
  Random,
  size,
  type Tensor,
} from "../nn/mod.ts";
import type { Answers } from "../measure/answers.ts";
import type { Predictions } from "../measure/metrics.ts";
import type { Subject } from "../methods/mod.ts";
import { type Reporter, silent } from "../base/reporter.ts";

/** A prediction as it is asked for. */
export interface JobOptions {
  /** The GPU that the programs run on. */
  readonly device: Device;
  /** The model or ensemble that answers. */
  readonly subject: Subject;
  /** The N images, on the device; all of them are taken. */
  readonly set: ResidentSet;
  /**
   * Seed of the noise that evaluation and attack draw; it starts anew at every batch, as the original's. 0 when not
   * given.
   */
  readonly seed?: number;
  /** Images a step; 200 when not given. */
  readonly batchSize?: number;
  /** Takes notes and progress; silent when not given. */
  readonly reporter?: Reporter;
  /** What to tell of the compiled programs; nothing when not given. */
  readonly explain?: Explain;
}

/** What predictions and attacks need. */
export type Job = Required<JobOptions>;

/** Images in a step of evaluation or attack: the paper's. */
export const evalBatch = 200;

/** What was asked for, with everything that was not as usual. */
export function jobOf<Asked extends JobOptions>(asked: Asked): Asked & Job {
  const explain = { explain: false, time: false };
  return { seed: 0, batchSize: evalBatch, reporter: silent, explain, ...asked };
}

/** A compiled prediction over a set, to be run again as the model changes. */
export interface Predictor extends Disposable {
  run(): Promise<Answers>;
}

/** Compiles the prediction of every image of a set. */
export async function predictor(job: Job): Promise<Predictor> {
  const batch = Math.min(job.batchSize, job.set.count);
  return await halving(batch, (n) => predictorOf(job, n), job.reporter);
}

async function predictorOf(job: Job, batch: number): Promise<Predictor> {
  const { device, subject, set, reporter } = job;
  const index = input([batch]);
  const images = set.images(index);
  const traced = traceAnswers(job, subject.attacked.map(() => images));
  const program = await compile(device, {
    name: "predict",
    inputs: [index],
    records: traced.records,
  });
  await explainPrograms([program], job.explain, reporter);
  return {
    async run(): Promise<Answers> {
      for (const { index } of batches(set.count, batch)) program.run([index]);
      return traced.read(await program.drain(), set.count);
    },
    [Symbol.dispose]: () => program[Symbol.dispose](),
  };
}

/** Answers to every image of a set, once. */
export async function predict(asked: JobOptions): Promise<Answers> {
  using compiled = await predictor(jobOf(asked));
  return await compiled.run();
}

/** A compiled prediction of images that are no set's. */
export interface ImagePredictor extends Disposable {
  /** Answers to images `[N, C, H, W]` in [0, 1]. */
  run(images: Float32Array): Promise<Answers>;
}

/**
 * Compiles the prediction of any images.
 *
 * @param shape `[C, H, W]` of an image
 */
export async function imagePredictor(
  job: Omit<Job, "set">,
  shape: readonly number[],
): Promise<ImagePredictor> {
  return await halving(job.batchSize, async (batch) => {
    const images = input([batch, ...shape]);
    const { subject: { attacked }, device } = job;
    const { records, read } = traceAnswers(job, attacked.map(() => images));
    const program = await compile(device, { name: "predict images", inputs: [images], records });
    await explainPrograms([program], job.explain, job.reporter);
    const each = size(shape);
    return {
      async run(all): Promise<Answers> {
        const count = all.length / each;
        for (const { index } of batches(count, batch)) {
          const part = new Float32Array(batch * each);
          index.forEach((from, to) =>
            part.set(all.subarray(from * each, (from + 1) * each), to * each)
          );
          program.run([part]);
        }
        return read(await program.drain(), count);
      },
      [Symbol.dispose]: () => program[Symbol.dispose](),
    };
  }, job.reporter);
}

/** Answers as records of a program, and how to take them from what it recorded. */
export interface TracedAnswers {
  readonly classes: number;
  readonly records: readonly Tensor[];
  read(values: readonly Float32Array[], count: number): Answers;
}

export function traceAnswers(
  { subject, seed }: Pick<Job, "subject" | "seed">,
  images: readonly Tensor[],
): TracedAnswers {
  // All that is asked of an image is of the same samples.
  const draws = (): Draws => new Draws(new Random(seed).fork("samples"));
  const readings = Object.entries(subject.readings?.(images, draws()) ?? {});
  const scores = Object.entries(subject.scores?.(images, draws()) ?? {});
  const answer = subject.logProbabilities(images, draws());
  const classes = dim(answer, 1);
  const noPredictions: Predictions = { logProbabilities: new Float32Array(), classes };
  return {
    classes,
    records: [
      answer,
      ...readings.map(([, { logConfidences }]) => logConfidences),
      ...scores.map(([, { values }]) => values),
    ],
    read(values, count): Answers {
      const rows = values.slice(0, 1 + readings.length);
      const [predictions = noPredictions, ...others] = rows.map((v) => ({
        logProbabilities: v.subarray(0, count * classes),
        classes,
      }));
      const numbers = values.slice(rows.length);
      return {
        predictions,
        readings: Object.fromEntries(readings.map(([name, { normalised }], i) => [
          name,
          { predictions: others[i] ?? noPredictions, normalised },
        ])),
        scores: Object.fromEntries(scores.map(([name, { higher }], i) => [
          name,
          { values: numbers[i]?.subarray(0, count) ?? [], higher },
        ])),
      };
    },
  };
}

/**
 * Refuses to steer to a class that the model does not have.
 *
 * @throws UserError
 */
export function knownClass(target: number, classes: number): void {
  if (target < classes) return;
  throw new UserError(
    `Cannot steer to class ${target}: the model has ${classes} classes, from 0 on; name one of them ` +
      "by --targeted",
  );
}

/**
 * As {@linkcode knownClass}, of a subject that has not answered yet: one image is traced, and nothing computed.
 *
 * @param shape `[C, H, W]` of an image
 * @throws UserError
 */
export function knownTarget(
  subject: Subject,
  shape: readonly number[],
  target: number | undefined,
): void {
  if (target !== undefined) knownClass(target, classesOf(subject, shape));
}

/**
 * How many classes a subject tells apart: one image is traced, and nothing computed.
 *
 * @param shape `[C, H, W]` of an image
 */
export function classesOf(subject: Subject, shape: readonly number[]): number {
  const images = Array<Tensor>(subject.attacked.length).fill(input([1, ...shape]));
  const draws = new Draws(new Random(0).fork("samples"));
  return dim(subject.logProbabilities(images, draws), 1);
}

/**
 * Refuses labels of classes that the model does not have.
 *
 * @throws UserError naming the first
 */
export function knownLabels(
  { name, labels }: { readonly name: string; readonly labels: ArrayLike<number> },
  classes: number,
): void {
  const foreign = Array.from(labels).findIndex((label) => label >= classes);
  if (foreign < 0) return;
  throw new UserError(
    `Cannot evaluate on ${name}: image ${foreign} is of class ${labels[foreign]}, the model has ` +
      `${classes} classes, from 0 on; use the set that it was trained for`,
  );
}
