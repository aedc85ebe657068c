/**
 * Attacks over whole sets: three programs a job, up to 128 steps of a batch in one submission.
 *
 * @module
 */
import { type Attackable, type Need, type Objective, objectives } from "../attack/mod.ts";
import { shortened, UserError } from "../base/errors.ts";
import type { Answers } from "../measure/answers.ts";
import type { Progress } from "../base/reporter.ts";
import {
  compile,
  drainAll,
  halving,
  Pace,
  type Program,
  type ProgramSpec,
  release,
  size,
  type Tensor,
} from "../nn/mod.ts";
import { explainPrograms } from "./explain.ts";
import { classesOf, jobOf } from "./predict.ts";
import { batches } from "./resident_set.ts";
import { traceAttack, type TracedAttack } from "./trace_attack.ts";
import type { AttackJob, AttackOptions } from "./trace_part.ts";

export type { AttackJob, AttackOptions } from "./trace_part.ts";

/** What an attack did. */
export interface Attacked {
  /** Answers to the N images as they were. */
  readonly clean: Answers;
  /**
   * Answers to the attacked images, of whoever is to answer; where each has a copy for every member, a member answers to
   * its own.
   */
  readonly adversarial: Answers;
  /** The same of every run by itself where the job asks for each, else of the best alone. */
  readonly runs: readonly Answers[];
  /** Length of each image's change, in the attack's norm (the longest of the copies). */
  readonly distance: Float32Array;
  /** Furthest any pixel of an attacked image lies outside of [0, 1], of each image; at most 0 inside. */
  readonly outside: Float32Array;
  /** What was seen of the loss's gradient in the first run; undefined of an attack that follows none. */
  readonly gradient: {
    /** Largest `|d loss / d pixel|` at the first step, of each image. */
    readonly slope: Float32Array;
    /** Steps at which some pixel's slope was no finite number, of each image. */
    readonly blindSteps: Uint32Array;
  } | undefined;
  /** The loss of every image at every step of the first run, where it was traced: `[N]` each. */
  readonly steps: readonly Float32Array[] | undefined;
  /** What the attack is to lower, of each image as it was and as it became (mean over the copies). */
  readonly losses: { readonly clean: Float32Array; readonly adversarial: Float32Array };
  /** The images asked for, clean and attacked (the first copy), `[n, C, H, W]`: of which run, the job says. */
  readonly examples: { readonly clean: Float32Array; readonly adversarial: Float32Array };
}

/**
 * Attacks every image of a set: up to 128 steps of a batch are one submission.
 *
 * @throws UserError when the model cannot give the objective, or the job has not what that needs
 */
export async function attackSet(asked: AttackOptions): Promise<Attacked> {
  const job = jobOf(asked);
  const { subject, target, objective = objectives.published } = job;
  const classes = objective.classes && classesOf(subject, job.set.set.shape);
  for (const part of subject.attacked) knownObjective(objective, part, target, classes);
  if (objective.means && job.means?.length !== subject.attacked.length) {
    throw new UserError(
      `Cannot attack by the objective "${
        shortened(objective.name)
      }": it needs class means of training ` +
        "features; give those of each part of the subject as `means`, by classMeans()",
    );
  }
  const batch = Math.min(job.batchSize, job.set.count);
  return await halving(batch, (n) => attackIn(job, n), job.reporter);
}

/** What a model has that an objective may need, in words. */
const words: Readonly<Record<Need, string>> = {
  logits: "logits",
  features: "features",
  native: "score of its own",
};

/**
 * Refuses an objective that a model cannot give, or that cannot do what is asked.
 *
 * @param classes that the model tells apart, where that is known
 * @throws UserError naming those that can
 */
export function knownObjective(
  objective: Objective,
  model: Attackable,
  target: number | undefined,
  classes?: number,
): void {
  const { name } = objective;
  /** Why it cannot be. */
  const fault = (
    { needs = [], classes: fewest = 2, targets, runs }: Objective,
  ): string | undefined => {
    const missing = needs.find((need) => model[need] === undefined);
    if (missing) return `the model has no ${words[missing]}`;
    if (classes !== undefined && classes < fewest) {
      return `the model has too few classes for the objective, ${classes} instead of ${fewest} or more`;
    }
    if (target === undefined || targets) return undefined;
    return runs ? "it chooses the classes to steer to itself" : "it steers to no class";
  };
  const state = fault(objective);
  if (!state) return;
  const others = Object.values<Objective>(objectives).filter((other) => !fault(other))
    .map((other) => other.name);
  throw new UserError(
    `Cannot attack by the objective "${shortened(name)}": ${state}; choose ${others.join(", ")}`,
  );
}

/** As `attackSet`, in batches of the given size. */
async function attackIn(job: AttackJob, batch: number): Promise<Attacked> {
  const { device, set, settings, reporter } = job;
  const traced = traceAttack(job, batch);
  const { clean, adversarial } = traced;
  const compiled: Program[] = [];
  const ready = async (spec: ProgramSpec): Promise<Program> => {
    const program = await compile(device, spec);
    compiled.push(program);
    return program;
  };
  let bar: Progress | undefined;
  try {
    const programs = {
      start: await ready(traced.start),
      step: await ready(traced.step),
      keep: traced.keep && await ready(traced.keep),
      judge: await ready(traced.judge),
    };
    await explainPrograms(compiled, job.explain, reporter);
    bar = reporter.progress(job.title ?? "attack", set.count);
    const { values, slopes, losses, examples } = await attackBatches(job, programs, traced, bar);
    const none = new Float32Array();
    const judged = job.each ? traced.runs.starts * traced.runs.ranks : 1;
    /** What was recorded of every image, by the run. */
    const of = (run: number): Float32Array[] =>
      values.map((v) => ofRun(v, { run, judged, batch, count: set.count }));
    const runs = Array.from({ length: judged }, (_, run) => {
      const [distance = none, outside = none, before = none, after = none, ...answers] = of(run);
      const split = clean.records.length;
      return {
        distance,
        outside,
        losses: { clean: before, adversarial: after },
        clean: clean.read(answers.slice(0, split), set.count),
        adversarial: adversarial.read(answers.slice(split), set.count),
      };
    });
    const [first] = runs;
    if (!first) throw new Error("Unreachable: an attack without a run");
    return {
      ...first,
      runs: runs.map(({ adversarial }) => adversarial),
      distance: first.distance.map((_, i) => Math.max(...runs.map((of) => of.distance[i] ?? 0))),
      outside: first.outside.map((_, i) => Math.max(...runs.map((of) => of.outside[i] ?? 0))),
      gradient: slopes.length > 0
        ? gradientOf(slopes, { ...traced, count: set.count, steps: settings.steps })
        : undefined,
      steps: traced.tellsLosses ? stepsOf(losses, { ...traced, count: set.count }) : undefined,
      examples,
    };
  } finally {
    bar?.stop();
    compiled.forEach((p) => p[Symbol.dispose]());
    release(device, traced.parameters);
  }
}

/** Of what was recorded, `[batches, runs, batch, ...]`, one run's rows of all images. */
function ofRun(
  values: Float32Array,
  { run, judged, batch, count }: Readonly<Record<"run" | "judged" | "batch" | "count", number>>,
): Float32Array {
  const batches = Math.ceil(count / batch);
  const block = values.length / (batches * judged);
  const all = values.subarray(0, block / batch * count);
  if (judged === 1) return all;
  const rows = joined(
    Array.from({ length: batches }, (_, at) => {
      const start = (at * judged + run) * block;
      return values.subarray(start, start + block);
    }),
  );
  return rows.subarray(0, block / batch * count);
}

/** What the slopes of all steps say, `[batches, runs, repeats, batch]`, of the first run. */
function gradientOf(
  slopes: Float32Array,
  { batch, repeats, runs, count, steps }:
    & Pick<TracedAttack, "batch" | "repeats" | "runs">
    & { readonly count: number; readonly steps: number },
): NonNullable<Attacked["gradient"]> {
  const rows = runs.starts * runs.ranks * repeats;
  // A last iterate that is only judged takes no step.
  const made = Math.max(steps, repeats - 1);
  const slopeAt = (image: number, at: number): number =>
    slopes[(Math.floor(image / batch) * rows + at) * batch + image % batch] ?? 0;
  const everyStep = Array.from({ length: made }, (_, at) => at);
  return {
    slope: Float32Array.from({ length: count }, (_, i) => slopeAt(i, 0)),
    blindSteps: Uint32Array.from(
      { length: count },
      (_, i) => everyStep.filter((at) => !Number.isFinite(slopeAt(i, at))).length,
    ),
  };
}

/** Every image's loss at every step of the first run. */
function stepsOf(
  losses: Float32Array,
  { batch, repeats, runs, count }:
    & Pick<TracedAttack, "batch" | "repeats" | "runs">
    & { readonly count: number },
): Float32Array[] {
  const rows = runs.starts * runs.ranks * repeats;
  return Array.from({ length: repeats }, (_, at) =>
    Float32Array.from(
      { length: count },
      (_, i) => losses[(Math.floor(i / batch) * rows + at) * batch + i % batch] ?? NaN,
    ));
}

/** Steps of one submission: more of them would only take memory. */
const together = 128;

interface AttackPrograms {
  readonly start: Program;
  readonly step: Program;
  readonly keep: Program | undefined;
  readonly judge: Program;
}

/** What the programs recorded, batch after batch. */
interface Recorded {
  readonly values: Float32Array[];
  /** At every step, `[batches, runs, repeats, batch]`. */
  readonly slopes: Float32Array;
  /** The same of losses, where they are traced. */
  readonly losses: Float32Array;
  readonly examples: Attacked["examples"];
}

async function attackBatches(
  job: AttackJob,
  { start, step, keep, judge }: AttackPrograms,
  traced: TracedAttack,
  bar: Progress,
): Promise<Recorded> {
  const { device, set, reporter, each, badness, keep: shown = 0 } = job;
  const { batch, repeats, runs, tellsLosses, numbered } = traced;
  const image = size(set.set.shape);
  const examples = { clean: [] as Float32Array[], adversarial: [] as Float32Array[] };
  const pace = new Pace();
  const total = runs.starts * runs.ranks;
  let done = 0;
  for (const { index, valid } of batches(set.count, batch)) {
    const left = Math.max(0, Math.min(shown - done, valid));
    let worst: Worst | undefined;
    for (let run = 0; run < total; run++) {
      const [restart, rank] = [Math.floor(run / runs.ranks), run % runs.ranks];
      const numbers = [...numbered.run ? [restart] : [], ...numbered.rank ? [rank] : []];
      start.run([index, ...numbers.map((number) => Float32Array.of(number))]);
      for (let made = 0; made < repeats; made += together) {
        step.run([], Math.min(together, repeats - made));
      }
      keep?.run([Float32Array.of(run === 0 ? 1 : 0)]);
      if (each || run === total - 1) judge.run();
      // Where there is one run, it is the worst; where there are several, only those that are looked at are read.
      if (each && badness && total > 1 && left > 0) {
        worst = await worseOf(judge, traced, { count: left, badness }, worst);
      }
      if (!pace.due()) continue;
      await device.idle();
      bar.update(done + valid * (run + 1) / total);
      pace.rest();
    }
    if (left > 0) {
      const leading = async (t: Tensor): Promise<Float32Array> =>
        (await judge.read(t)).slice(0, left * image);
      examples.clean.push(await leading(traced.images.clean));
      examples.adversarial.push(worst?.images ?? await leading(traced.images.adversarial));
    }
    done += valid;
    reporter.record?.({ event: "attacked", images: done });
  }
  const [values = [], records = []] = await drainAll(device, [judge, step]);
  const none = new Float32Array();
  const [losses = none] = tellsLosses ? records.slice(-1) : [];
  const [slopes = none] = records.slice(0, records.length - (tellsLosses ? 1 : 0));
  return {
    values,
    slopes,
    losses,
    examples: { clean: joined(examples.clean), adversarial: joined(examples.adversarial) },
  };
}

/** Leading images of a batch, each as the worst of its runs so far left it, and how bad that was. */
interface Worst {
  readonly images: Float32Array;
  readonly values: Float64Array;
}

/** Takes those images of the last run that are worse than before; of equal ones the first stay. */
async function worseOf(
  judge: Program,
  { images: { adversarial: image }, adversarial: { records, read } }: TracedAttack,
  { count, badness }: {
    readonly count: number;
    readonly badness: (answers: Answers) => ArrayLike<number>;
  },
  before: Worst | undefined,
): Promise<Worst> {
  const images = (await judge.read(image)).slice(0, count * size(image.shape.slice(1)));
  const answers: Float32Array[] = [];
  for (const record of records) answers.push(await judge.read(record));
  const values = Float64Array.from(badness(read(answers, count)));
  if (!before) return { images, values };
  const each = images.length / count;
  values.forEach((value, i) => {
    if (!(value > (before.values[i] ?? NaN))) return;
    before.values[i] = value;
    before.images.set(images.subarray(i * each, (i + 1) * each), i * each);
  });
  return before;
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
