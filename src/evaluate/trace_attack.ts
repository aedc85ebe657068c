/**
 * An attack on batches of one size, traced: how it starts, steps, keeps the best of several runs, and is judged.
 *
 * @module
 */
import { type AttackSettings, type Iterate, type Norm, norms, objectives } from "../attack/mod.ts";
import {
  abs,
  add,
  input,
  max,
  maximum,
  neg,
  Parameter,
  type ProgramSpec,
  reshape,
  scale,
  sub,
  type Tensor,
} from "../nn/mod.ts";
import { type AttackJob, attackOf, type Part, tracePart } from "./trace_part.ts";
import { knownClass, traceAnswers, type TracedAnswers } from "./predict.ts";

/** An attack on batches of one size, as programs. */
export interface TracedAttack {
  readonly batch: number;
  /** How often to run the step. */
  readonly repeats: number;
  /** Runs over every batch: restarts, and ranks of each. */
  readonly runs: { readonly starts: number; readonly ranks: number };
  /** Whether the step records losses. */
  readonly tellsLosses: boolean;
  /** Which numbers the start takes behind the batch's indices: the run's, the rank's. */
  readonly numbered: { readonly run: boolean; readonly rank: boolean };
  /** Starts on a batch of indices. */
  readonly start: ProgramSpec;
  /** One step of every part; records the largest slope `[B]` of an attack that follows one, then the losses `[B]` where they are traced. */
  readonly step: ProgramSpec;
  /** Keeps the best of the runs so far, told whether it is the first; undefined where each counts by itself. */
  readonly keep: ProgramSpec | undefined;
  /**
   * Records distances, excesses and losses, and the answers; puts out the images of the first part, and the answers
   * to the attacked ones where it is asked how bad they are.
   */
  readonly judge: ProgramSpec;
  readonly clean: TracedAnswers;
  readonly adversarial: TracedAnswers;
  /** The clean images, and the attacked ones of the first part. */
  readonly images: { readonly clean: Tensor; readonly adversarial: Tensor };
  /** What holds memory on the device. */
  readonly parameters: readonly Parameter[];
}

/** Traces an attack on batches of the given size. */
export function traceAttack(job: AttackJob, batch: number): TracedAttack {
  const { set, settings, target, objective = objectives.published, answeredBy } = job;
  const answering = answeredBy ? { ...job, subject: answeredBy } : job;
  const index = input([batch]);
  const [run, rank, isFirst] = [input([1]), input([1]), input([1])];
  const images = set.images(index);
  const { classes } = traceAnswers(answering, job.subject.attacked.map(() => images));
  if (target !== undefined) knownClass(target, classes);
  const ranks = objective.runs?.(classes) ?? 1;
  const runs = { starts: 1 + (settings.restarts ?? 0), ranks };
  const several = !job.each && runs.starts * ranks > 1;
  const parts = job.subject.attacked.map((_, copy) => tracePart(job, copy, { batch, several }));
  const [first] = parts;
  if (!first) throw new Error("Unreachable: a subject without a part to attack");
  const steps = parts.map(({ state }) => state.step());
  const [x0, xs] = [first.state.clean.tensor, parts.map(({ result }) => result)];
  const [clean, adversarial] = [xs.map(() => x0), xs].map((of) => traceAnswers(answering, of));
  if (!clean || !adversarial) throw new Error("Unreachable: answers that were not traced");
  const [x = x0] = xs;
  // An attack that draws by the images' numbers is told them; the published ones are not, and keep their bits.
  const own = attackOf(job).gradientFree || settings.init !== undefined;
  const numbered = { run: runs.starts > 1 || own, rank: ranks > 1 };
  const which = numbered.run ? { index: set.numbers(index), run } : undefined;
  const starting = new Map(
    parts.flatMap((part) => [...part.start(images, which, numbered.rank ? rank : undefined)]),
  );
  return {
    batch,
    repeats: first.state.repeats,
    runs,
    tellsLosses: job.traced === true && tellLosses(steps),
    numbered,
    start: {
      name: "attack start",
      inputs: [index, ...numbered.run ? [run] : [], ...numbered.rank ? [rank] : []],
      updates: starting,
    },
    step: {
      name: "attack step",
      updates: new Map(steps.flatMap(({ updates }) => [...updates])),
      records: stepRecords(steps, job),
    },
    keep: several
      ? {
        name: "keep the best",
        inputs: [isFirst],
        updates: new Map(parts.flatMap((part) => [...part.keep(isFirst)])),
      }
      : undefined,
    judge: {
      name: "judge",
      records: [...boundsAndLosses(parts, settings), ...clean.records, ...adversarial.records],
      outputs: [x0, x, ...job.badness ? adversarial.records : []],
    },
    clean,
    adversarial,
    images: { clean: x0, adversarial: x },
    parameters: parts.flatMap(({ parameters }) => parameters),
  };
}

function meanOf(values: readonly Tensor[]): Tensor {
  return scale(values.reduce((a, b) => add(a, b)), 1 / values.length);
}

/** Whether every part tells the losses of its steps; an attack of one's own need not. */
function tellLosses(steps: readonly ReturnType<Iterate["step"]>[]): boolean {
  return steps.every(({ losses }) => losses !== undefined);
}

/** Of a step, over the parts: the largest slope of an attack that follows one, the loss where it is traced. */
function stepRecords(
  steps: readonly ReturnType<Iterate["step"]>[],
  { traced }: AttackJob,
): Tensor[] {
  const slopes = steps.flatMap(({ gradient }) => gradient ? [perImage(abs(gradient))] : []);
  return [
    ...slopes.length > 0 ? [slopes.reduce((a, b) => maximum(a, b))] : [],
    ...traced && tellLosses(steps) ? [meanOf(steps.flatMap(({ losses }) => losses ?? []))] : [],
  ];
}

/** The largest of each image's values. */
function perImage(t: Tensor): Tensor {
  return max(reshape(t, [t.shape[0] ?? 1, -1]));
}

/** Of each image, over the parts: the longest change, the largest excess over [0, 1], the loss before and after. */
function boundsAndLosses(parts: readonly Part[], settings: AttackSettings): Tensor[] {
  const norm: Norm = norms[settings.norm];
  const worst = (f: (x: Tensor, clean: Tensor) => Tensor): Tensor =>
    parts.map(({ result, state }) => f(result, state.clean.tensor)).reduce((a, b) => maximum(a, b));
  const mean = (f: (part: Part) => Tensor): Tensor => meanOf(parts.map(f));
  return [
    worst((x, clean) => norm.lengthOf(sub(x, clean))),
    worst((x) => perImage(maximum(neg(x), sub(x, 1)))),
    mean(({ judge, state }) => judge(state.clean.tensor)),
    mean(({ judge, result }) => judge(result)),
  ];
}
