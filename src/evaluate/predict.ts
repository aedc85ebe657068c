/**
 * Predictions and attacks over whole sets: one program a job, one read-back at the end.
 *
 * @module
 */
import type { AttackSettings } from "../attack/mod.ts";
import { iterate } from "../attack/mod.ts";
import { UserError } from "../base/errors.ts";
import { batches, type ResidentSet } from "./resident_set.ts";
import { type Explain, explainPrograms } from "./explain.ts";
import {
  abs,
  add,
  compile,
  type Device,
  dim,
  drainAll,
  Draws,
  halving,
  input,
  max,
  maximum,
  neg,
  Pace,
  type Program,
  type ProgramSpec,
  Random,
  release,
  reshape,
  scale,
  size,
  sub,
  type Tensor,
} from "../nn/mod.ts";
import type { Answers } from "../measure/answers.ts";
import type { Predictions } from "../measure/metrics.ts";
import type { LossOptions, Subject } from "../methods/mod.ts";
import type { Progress, Reporter } from "../base/reporter.ts";

/** What both jobs need. */
export interface Job {
  /** The GPU that the programs run on. */
  readonly device: Device;
  /** The model or ensemble that answers. */
  readonly subject: Subject;
  /** The N images, on the device; all of them are taken. */
  readonly set: ResidentSet;
  /** Seed of the noise that evaluation and attack draw; it starts anew at every batch, as the original's. */
  readonly seed: number;
  /** Images a step. */
  readonly batchSize: number;
  /** Takes notes and progress. */
  readonly reporter: Reporter;
  /** What to tell of the compiled programs. */
  readonly explain: Explain;
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
  const traced = traceAnswers(job, Array(subject.copies).fill(images));
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
export async function predict(job: Job): Promise<Answers> {
  using compiled = await predictor(job);
  return await compiled.run();
}

/** Answers as records of a program, and how to take them from what it recorded. */
interface TracedAnswers {
  readonly classes: number;
  readonly records: readonly Tensor[];
  read(values: readonly Float32Array[], count: number): Answers;
}

function traceAnswers({ subject, seed }: Job, images: readonly Tensor[]): TracedAnswers {
  const draws = new Draws(new Random(seed).fork("samples"));
  const readings = Object.entries(subject.readings(images));
  const scores = Object.entries(subject.scores(images));
  const answer = subject.logProbabilities(images, draws);
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
function knownClass(target: number, classes: number): void {
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
  if (target === undefined) return;
  const images = Array<Tensor>(subject.copies).fill(input([1, ...shape]));
  const draws = new Draws(new Random(0).fork("samples"));
  knownClass(target, dim(subject.logProbabilities(images, draws), 1));
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

/** What an attack did. */
export interface Attacked {
  /** Answers to the N images as they were. */
  readonly clean: Answers;
  /** Answers to the attacked images; where each has a copy for every member, a member answers to its own. */
  readonly adversarial: Answers;
  /** Largest change of any pixel, of each image (in any copy). */
  readonly linf: Float32Array;
  /** Furthest any pixel of an attacked image lies outside of [0, 1], of each image; at most 0 inside. */
  readonly outside: Float32Array;
  /** Largest `|d loss / d pixel|` at the first step, of each image. */
  readonly slope: Float32Array;
  /** Steps at which some pixel's slope was no finite number, of each image. */
  readonly blindSteps: Uint32Array;
  /** What the attack is to lower, of each image as it was and as it became (mean over the copies). */
  readonly losses: { readonly clean: Float32Array; readonly adversarial: Float32Array };
  /** The images asked for, clean and attacked (the first copy), `[n, C, H, W]`. */
  readonly examples: { readonly clean: Float32Array; readonly adversarial: Float32Array };
}

/** What an attack job needs besides. */
export interface AttackJob extends Job {
  /** Radius, steps and start of the attack. */
  readonly settings: AttackSettings;
  /** Class to steer to, from 0 on; the subject's own prediction of each image when not given. */
  readonly target?: number | undefined;
  /** The loss `[B]` whose gradient the steps follow; what the subject gives when not given. */
  readonly follow?: (image: Tensor, copy: number, options: LossOptions) => Tensor;
  /** What the bar is called; `attack` when not given. */
  readonly title?: string;
  /** Number of leading images to return. */
  readonly keep?: number;
}

/** Attacks every image of a set: all steps of a batch are one submission. */
export async function attackSet(job: AttackJob): Promise<Attacked> {
  const batch = Math.min(job.batchSize, job.set.count);
  return await halving(batch, (n) => attackIn(job, n), job.reporter);
}

/** As `attackSet`, in batches of the given size. */
async function attackIn(job: AttackJob, batch: number): Promise<Attacked> {
  const { device, subject, set, settings, reporter, target } = job;
  const shape = [batch, ...set.set.shape];
  const index = input([batch]);
  const images = set.images(index);
  const key = new Random(job.seed).fork("attack");
  const follow = job.follow ?? ((x, copy, options) => subject.confidenceLoss(x, copy, options));
  const loss = (copy: number) => (x: Tensor, count: Tensor): Tensor =>
    follow(x, copy, { draws: new Draws(key.fork("loss"), count), target });
  const states = Array.from(
    { length: subject.copies },
    (_, copy) => iterate(loss(copy), shape, settings),
  );
  const [first] = states;
  if (!first) throw new Error("Unreachable: a subject without a copy");
  const steps = states.map((state) => state.step());
  const [x0, xs] = [first.clean.tensor, states.map((state) => state.result.tensor)];
  const perImage = (t: Tensor): Tensor => max(reshape(t, [batch, -1]));
  const worst = (f: (x: Tensor) => Tensor): Tensor => xs.map(f).reduce((a, b) => maximum(a, b));
  const [clean, adversarial] = [traceAnswers(job, xs.map(() => x0)), traceAnswers(job, xs)];
  if (target !== undefined) knownClass(target, clean.classes);
  const bounds = [
    worst((x) => perImage(abs(sub(x, x0)))),
    worst((x) => perImage(maximum(neg(x), sub(x, 1)))),
  ];
  const judged = (images: readonly Tensor[]): Tensor => {
    const each = images.map((x, copy) =>
      subject.confidenceLoss(x, copy, { draws: new Draws(key.fork("judge")), target })
    );
    return scale(each.reduce((a, b) => add(a, b)), 1 / each.length);
  };
  const losses = [judged(xs.map(() => x0)), judged(xs)];
  const slope = steps.map(({ gradient }) => perImage(abs(gradient))).reduce((a, b) =>
    maximum(a, b)
  );
  const compiled: Program[] = [];
  const ready = async (spec: ProgramSpec): Promise<Program> => {
    const program = await compile(device, spec);
    compiled.push(program);
    return program;
  };
  let bar: Progress | undefined;
  try {
    const programs = {
      start: await ready({
        name: "attack start",
        inputs: [index],
        updates: new Map(states.flatMap((state) => [...state.start(images, key)])),
      }),
      step: await ready({
        name: "attack step",
        updates: new Map(steps.flatMap(({ updates }) => [...updates])),
        records: [slope],
      }),
      judge: await ready({
        name: "judge",
        records: [...bounds, ...losses, ...clean.records, ...adversarial.records],
        outputs: [x0, ...xs.slice(0, 1)],
      }),
    };
    await explainPrograms(compiled, job.explain, reporter);
    bar = reporter.progress(job.title ?? "attack", set.count);
    const [x = x0] = xs;
    const { values, slopes, examples } = await attackBatches(
      job,
      programs,
      { batch, repeats: first.repeats, x0, x },
      bar,
    );
    const none = new Float32Array();
    const [linf = none, outside = none, before = none, after = none, ...answers] = values.map((v) =>
      v.subarray(0, v.length / (Math.ceil(set.count / batch) * batch) * set.count)
    );
    const slopeAt = (image: number, at: number): number =>
      slopes[(Math.floor(image / batch) * first.repeats + at) * batch + image % batch] ?? 0;
    const everyStep = Array.from({ length: settings.steps }, (_, at) => at);
    return {
      clean: clean.read(answers.slice(0, clean.records.length), set.count),
      adversarial: adversarial.read(answers.slice(clean.records.length), set.count),
      linf,
      outside,
      losses: { clean: before, adversarial: after },
      slope: Float32Array.from({ length: set.count }, (_, i) => slopeAt(i, 0)),
      blindSteps: Uint32Array.from(
        { length: set.count },
        (_, i) => everyStep.filter((at) => !Number.isFinite(slopeAt(i, at))).length,
      ),
      examples,
    };
  } finally {
    bar?.stop();
    compiled.forEach((p) => p[Symbol.dispose]());
    release(device, states.flatMap(({ parameters }) => parameters));
  }
}

interface AttackPrograms {
  readonly start: Program;
  readonly step: Program;
  readonly judge: Program;
}

/** What the programs recorded, batch after batch. */
interface Recorded {
  readonly values: Float32Array[];
  /** At every step. */
  readonly slopes: Float32Array;
  readonly examples: Attacked["examples"];
}

async function attackBatches(
  { device, set, reporter, keep = 0 }: AttackJob,
  { start, step, judge }: AttackPrograms,
  { batch, repeats, x0, x }: { batch: number; repeats: number; x0: Tensor; x: Tensor },
  bar: Progress,
): Promise<Recorded> {
  const image = size(set.set.shape);
  const examples = { clean: [] as Float32Array[], adversarial: [] as Float32Array[] };
  const pace = new Pace();
  let done = 0;
  for (const { index, valid } of batches(set.count, batch)) {
    start.run([index]);
    step.run([], repeats);
    judge.run();
    if (done < keep) {
      const n = Math.min(keep - done, valid) * image;
      examples.clean.push((await judge.read(x0)).slice(0, n));
      examples.adversarial.push((await judge.read(x)).slice(0, n));
    }
    done += valid;
    if (pace.due()) {
      await device.idle();
      bar.update(done);
      reporter.record?.({ event: "attacked", images: done });
      pace.rest();
    }
  }
  const [values = [], [slopes = new Float32Array()] = []] = await drainAll(device, [judge, step]);
  return {
    values,
    slopes,
    examples: { clean: joined(examples.clean), adversarial: joined(examples.adversarial) },
  };
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
