/**
 * Attacks over whole sets: three programs a job, all steps of a batch in one submission.
 *
 * @module
 */
import {
  type Attack,
  type Attackable,
  attacks,
  type AttackSettings,
  type Iterate,
  type LossOptions,
  type Norm,
  norms,
  type Objective,
  objectives,
} from "../attack/mod.ts";
import { shortened, UserError } from "../base/errors.ts";
import type { Answers } from "../measure/answers.ts";
import type { Progress } from "../base/reporter.ts";
import {
  abs,
  add,
  compile,
  drainAll,
  Draws,
  halving,
  input,
  max,
  maximum,
  neg,
  Pace,
  Parameter,
  type Program,
  type ProgramSpec,
  Random,
  release,
  reshape,
  scale,
  size,
  sub,
  type Tensor,
  type Updates,
} from "../nn/mod.ts";
import { explainPrograms } from "./explain.ts";
import { type Job, knownClass, traceAnswers, type TracedAnswers } from "./predict.ts";
import { batches } from "./resident_set.ts";

/** What an attack did. */
export interface Attacked {
  /** Answers to the N images as they were. */
  readonly clean: Answers;
  /** Answers to the attacked images; where each has a copy for every member, a member answers to its own. */
  readonly adversarial: Answers;
  /** Length of each image's change, in the attack's norm (the longest of the copies). */
  readonly distance: Float32Array;
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
  /** The attack itself; that of the settings' name when not given. */
  readonly attack?: Attack | undefined;
  /** What it lowers; what the method's published attack does when not given. */
  readonly objective?: Objective | undefined;
  /** Class to steer to, from 0 on; the subject's own prediction of each image when not given. */
  readonly target?: number | undefined;
  /** Another loss `[B]` whose gradient the steps follow, as a control. */
  readonly follow?: (image: Tensor, copy: number, options: LossOptions) => Tensor;
  /** What the bar is called; `attack` when not given. */
  readonly title?: string;
  /** Number of leading images to return. */
  readonly keep?: number;
}

/** Attacks every image of a set: all steps of a batch are one submission. */
export async function attackSet(job: AttackJob): Promise<Attacked> {
  const { subject, target, objective = objectives.published } = job;
  for (const part of subject.attacked) knownObjective(objective, part, target);
  const batch = Math.min(job.batchSize, job.set.count);
  return await halving(batch, (n) => attackIn(job, n), job.reporter);
}

/**
 * Refuses an objective that a model cannot give, or that cannot do what is asked.
 *
 * @throws UserError naming those that can
 */
export function knownObjective(
  objective: Objective,
  model: Attackable,
  target: number | undefined,
): void {
  const { name, logits } = objective;
  const fits = ({ logits, targets }: Objective): boolean =>
    (!logits || model.logits !== undefined) && (target === undefined || targets === true);
  if (fits(objective)) return;
  const others = Object.values<Objective>(objectives).filter(fits).map((other) => other.name);
  const state = logits && !model.logits ? "the model has no logits" : "it steers to no class";
  throw new UserError(
    `Cannot attack by the objective "${shortened(name)}": ${state}; choose ${others.join(", ")}`,
  );
}

/** As `attackSet`, in batches of the given size. */
async function attackIn(job: AttackJob, batch: number): Promise<Attacked> {
  const { device, set, settings, reporter } = job;
  const traced = traceAttack(job, batch);
  const { clean, adversarial, repeats } = traced;
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
      judge: await ready(traced.judge),
    };
    await explainPrograms(compiled, job.explain, reporter);
    bar = reporter.progress(job.title ?? "attack", set.count);
    const { values, slopes, examples } = await attackBatches(job, programs, traced, bar);
    const none = new Float32Array();
    const [distance = none, outside = none, before = none, after = none, ...answers] = values.map(
      (v) => v.subarray(0, v.length / (Math.ceil(set.count / batch) * batch) * set.count),
    );
    const slopeAt = (image: number, at: number): number =>
      slopes[(Math.floor(image / batch) * repeats + at) * batch + image % batch] ?? 0;
    const everyStep = Array.from({ length: settings.steps }, (_, at) => at);
    return {
      clean: clean.read(answers.slice(0, clean.records.length), set.count),
      adversarial: adversarial.read(answers.slice(clean.records.length), set.count),
      distance,
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
    release(device, traced.parameters);
  }
}

/** An attack on batches of one size, as programs. */
interface TracedAttack {
  readonly batch: number;
  /** How often to run the step. */
  readonly repeats: number;
  /** Starts on a batch of indices. */
  readonly start: ProgramSpec;
  /** One step of every part; records the largest slope `[B]`. */
  readonly step: ProgramSpec;
  /** Records distances, excesses and losses, and the answers; puts out the images of the first part. */
  readonly judge: ProgramSpec;
  readonly clean: TracedAnswers;
  readonly adversarial: TracedAnswers;
  /** The clean images, and the attacked ones of the first part. */
  readonly images: { readonly clean: Tensor; readonly adversarial: Tensor };
  /** What holds memory on the device. */
  readonly parameters: readonly Parameter[];
}

/** The attack on one part of a subject. */
interface Part {
  readonly state: Iterate;
  /** What the objective keeps of the clean images. */
  readonly kept: Parameter;
  /** Updates that start it on clean images. */
  start(images: Tensor): Updates;
  /** The objective's value at images, `[B]`. */
  judge(images: Tensor): Tensor;
}

function traceAttack(job: AttackJob, batch: number): TracedAttack {
  const { set, settings, target } = job;
  const index = input([batch]);
  const images = set.images(index);
  const parts = job.subject.attacked.map((_, copy) => tracePart(job, copy, batch));
  const states = parts.map(({ state }) => state);
  const [first] = states;
  if (!first) throw new Error("Unreachable: a subject without a part to attack");
  const steps = states.map((state) => state.step());
  const [x0, xs] = [first.clean.tensor, states.map((state) => state.result.tensor)];
  const [clean, adversarial] = [traceAnswers(job, xs.map(() => x0)), traceAnswers(job, xs)];
  if (target !== undefined) knownClass(target, clean.classes);
  const perImage = (t: Tensor): Tensor => max(reshape(t, [batch, -1]));
  const worst = (f: (x: Tensor) => Tensor): Tensor => xs.map(f).reduce((a, b) => maximum(a, b));
  const norm: Norm = norms[settings.norm];
  const bounds = [
    worst((x) => norm.lengthOf(sub(x, x0))),
    worst((x) => perImage(maximum(neg(x), sub(x, 1)))),
  ];
  const judged = (images: readonly Tensor[]): Tensor => {
    const each = parts.map((part, i) => part.judge(images[i] ?? x0));
    return scale(each.reduce((a, b) => add(a, b)), 1 / each.length);
  };
  const losses = [judged(xs.map(() => x0)), judged(xs)];
  const slope = steps.map(({ gradient }) => perImage(abs(gradient))).reduce((a, b) =>
    maximum(a, b)
  );
  const [x = x0] = xs;
  return {
    batch,
    repeats: first.repeats,
    start: {
      name: "attack start",
      inputs: [index],
      updates: new Map(parts.flatMap((part) => [...part.start(images)])),
    },
    step: {
      name: "attack step",
      updates: new Map(steps.flatMap(({ updates }) => [...updates])),
      records: [slope],
    },
    judge: {
      name: "judge",
      records: [...bounds, ...losses, ...clean.records, ...adversarial.records],
      outputs: [x0, x],
    },
    clean,
    adversarial,
    images: { clean: x0, adversarial: x },
    parameters: parts.flatMap(({ state, kept }) => [...state.parameters, kept]),
  };
}

function tracePart(job: AttackJob, copy: number, batch: number): Part {
  const { subject, set, settings, target, objective = objectives.published } = job;
  const attack: Attack | undefined = job.attack ??
    Object.values<Attack>(attacks).find(({ name }) => name === settings.name);
  const model = subject.attacked[copy];
  if (!model) throw new Error(`Unreachable: a subject without a part ${copy}`);
  if (!attack) {
    throw new UserError(
      `Cannot attack by "${shortened(settings.name)}": there is no attack of that name; choose ${
        Object.keys(attacks).join(" or ")
      }, or give the attack itself as \`attack\``,
    );
  }
  const key = new Random(job.seed).fork("attack");
  const kept = new Parameter([batch], 0);
  const value = (x: Tensor, draws: Draws): Tensor =>
    objective.loss(model, x, { draws, target }, objective.keep && kept.tensor);
  const loss = (x: Tensor, count: Tensor): Tensor => {
    const draws = new Draws(key.fork("loss"), count);
    return job.follow?.(x, copy, { draws, target }) ?? value(x, draws);
  };
  const state = attack.prepare({ loss, shape: [batch, ...set.set.shape] }, settings);
  return {
    state,
    kept,
    start(images): Updates {
      const keep = objective.keep?.(model, images, { draws: new Draws(key.fork("keep")), target });
      return new Map([...state.start(images, key), ...keep ? [[kept, keep] as const] : []]);
    },
    judge: (images) => value(images, new Draws(key.fork("judge"))),
  };
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
  { batch, repeats, images: { clean, adversarial } }: TracedAttack,
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
      examples.clean.push((await judge.read(clean)).slice(0, n));
      examples.adversarial.push((await judge.read(adversarial)).slice(0, n));
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
