/**
 * Predictions and attacks over whole sets: one program a job, one read-back at the end.
 *
 * @module
 */
import type { AttackSettings } from "./attack/mod.ts";
import { iterate } from "./attack/mod.ts";
import { batches, type ResidentSet } from "./dataset.ts";
import type { Predictions } from "./metrics.ts";
import type { Model } from "./methods/mod.ts";
import {
  abs,
  compile,
  type Device,
  drainAll,
  input,
  max,
  maximum,
  neg,
  type Program,
  Random,
  release,
  reshape,
  size,
  sub,
  type Tensor,
} from "./nn/mod.ts";
import { Pace } from "./pace.ts";
import type { Progress, Reporter } from "./reporter.ts";

/** What both jobs need. */
export interface Job {
  readonly device: Device;
  readonly model: Model;
  readonly set: ResidentSet;
  /** Images a step. */
  readonly batchSize: number;
  readonly reporter: Reporter;
  /** Whether to print the compiled programs. */
  readonly explain: boolean;
}

const classes = 10;

/** A compiled prediction over a set, to be run again as the model changes. */
export interface Predictor extends Disposable {
  run(): Promise<Predictions>;
}

/** Compiles the prediction of every image of a set. */
export async function predictor(job: Job): Promise<Predictor> {
  const { device, model, set, reporter } = job;
  const batch = Math.min(job.batchSize, set.count);
  const index = input([batch]);
  const output = model.logProbabilities(set.images(index));
  const program = await compile(device, { name: "predict", inputs: [index], records: [output] });
  if (job.explain) reporter.note(program.toString());
  return {
    async run(): Promise<Predictions> {
      for (const { index } of batches(set.count, batch)) program.run([index]);
      const [logProbabilities = new Float32Array()] = await program.drain();
      return { logProbabilities: logProbabilities.subarray(0, set.count * classes), classes };
    },
    [Symbol.dispose]: () => program[Symbol.dispose](),
  };
}

/** Log-probabilities of every image of a set, once. */
export async function predict(job: Job): Promise<Predictions> {
  using compiled = await predictor(job);
  return await compiled.run();
}

/** What an attack did. */
export interface Attacked {
  readonly clean: Predictions;
  readonly adversarial: Predictions;
  /** Largest change of any pixel, of each image. */
  readonly linf: Float32Array;
  /** Furthest any pixel of an attacked image lies outside of [0, 1], of each image; at most 0 inside. */
  readonly outside: Float32Array;
  /** Largest `|d loss / d pixel|` at the first step, of each image. */
  readonly slope: Float32Array;
  /** The images asked for, clean and attacked, `[n, C, H, W]`. */
  readonly examples: { readonly clean: Float32Array; readonly adversarial: Float32Array };
}

/** What an attack job needs besides. */
export interface AttackJob extends Job {
  readonly settings: AttackSettings;
  readonly target?: number | undefined;
  /** Seed of the start's noise; the generator starts anew at every batch, as the original's does. */
  readonly seed: number;
  /** Number of leading images to return. */
  readonly keep?: number;
}

/** Attacks every image of a set: all steps of a batch are one submission. */
export async function attackSet(job: AttackJob): Promise<Attacked> {
  const { device, model, set, settings, reporter } = job;
  const batch = Math.min(job.batchSize, set.count);
  const shape = [batch, ...set.set.shape];
  const index = input([batch]);
  const state = iterate((x) => model.confidenceLoss(x, job.target), shape, settings);
  const [x0, x] = [state.clean.tensor, state.result.tensor];
  const perImage = (t: Tensor): Tensor => max(reshape(t, [batch, -1]));
  const step = state.step();
  const judged = [
    model.logProbabilities(x0),
    model.logProbabilities(x),
    perImage(abs(sub(x, x0))),
    perImage(maximum(neg(x), sub(x, 1))),
  ];
  const key = new Random(job.seed).fork("attack");
  const programs = {
    start: await compile(device, {
      name: "attack start",
      inputs: [index],
      updates: state.start(set.images(index), key),
    }),
    step: await compile(device, {
      name: "attack step",
      updates: step.updates,
      records: [perImage(abs(step.gradient))],
    }),
    judge: await compile(device, { name: "judge", records: judged, outputs: [x0, x] }),
  };
  const bar = reporter.progress("attack", set.count);
  try {
    if (job.explain) Object.values(programs).forEach((p) => reporter.note(p.toString()));
    return await attackBatches(job, programs, { batch, repeats: state.repeats, x0, x }, bar);
  } finally {
    bar.stop();
    Object.values(programs).forEach((p) => p[Symbol.dispose]());
    release(device, state.parameters);
  }
}

interface AttackPrograms {
  readonly start: Program;
  readonly step: Program;
  readonly judge: Program;
}

async function attackBatches(
  { device, set, keep = 0 }: AttackJob,
  { start, step, judge }: AttackPrograms,
  { batch, repeats, x0, x }: { batch: number; repeats: number; x0: Tensor; x: Tensor },
  bar: Progress,
): Promise<Attacked> {
  const image = size(set.set.shape);
  const examples = { clean: new Float32Array(), adversarial: new Float32Array() };
  const pace = new Pace();
  let done = 0;
  for (const { index, valid } of batches(set.count, batch)) {
    start.run([index]);
    step.run([], repeats);
    judge.run();
    if (done === 0 && keep > 0) {
      const n = Math.min(keep, batch) * image;
      examples.clean = (await judge.read(x0)).slice(0, n);
      examples.adversarial = (await judge.read(x)).slice(0, n);
    }
    done += valid;
    if (pace.due()) {
      await device.idle();
      bar.update(done);
      pace.rest();
    }
  }
  const [values = [], [slopes = new Float32Array()] = []] = await drainAll(device, [judge, step]);
  const [clean, adversarial, linf, outside] = values.map((v) =>
    v.subarray(0, v.length / (Math.ceil(set.count / batch) * batch) * set.count)
  );
  const firstSteps = Float32Array.from(
    { length: set.count },
    (_, i) => slopes[Math.floor(i / batch) * repeats * batch + i % batch] ?? 0,
  );
  const empty = new Float32Array();
  return {
    clean: { logProbabilities: clean ?? empty, classes },
    adversarial: { logProbabilities: adversarial ?? empty, classes },
    linf: linf ?? empty,
    outside: outside ?? empty,
    slope: firstSteps,
    examples,
  };
}
