/**
 * An attack on batches of one size, traced: how it starts, steps, keeps the best of several runs, and is judged.
 *
 * @module
 */
import {
  type Attack,
  attacks,
  type AttackSettings,
  type Direction,
  type Iterate,
  type LossOptions,
  type Norm,
  norms,
  type Objective,
  objectives,
  type Which,
} from "../attack/mod.ts";
import { shortened, UserError } from "../base/errors.ts";
import {
  abs,
  add,
  argmax,
  broadcastTo,
  constant,
  Draws,
  equal,
  greater,
  input,
  max,
  maximum,
  neg,
  Parameter,
  type ProgramSpec,
  Random,
  reshape,
  scale,
  sub,
  type Tensor,
  type Updates,
  where,
} from "../nn/mod.ts";
import { type Job, knownClass, traceAnswers, type TracedAnswers } from "./predict.ts";

/** What an attack job needs besides. */
export interface AttackJob extends Job {
  /** Radius, steps and start of the attack. */
  readonly settings: AttackSettings;
  /** The attack itself; that of the settings' name when not given. */
  readonly attack?: Attack | undefined;
  /** What it lowers; what the method's published attack does when not given. */
  readonly objective?: Objective | undefined;
  /** Whether it makes the subject surer or less sure; surer when not given. */
  readonly direction?: Direction | undefined;
  /** Class means of features, one of each part of the subject, for an objective that needs them. */
  readonly means?: readonly Parameter[] | undefined;
  /** Class to steer to, from 0 on; the subject's own prediction of each image when not given. */
  readonly target?: number | undefined;
  /** Whether an image that changed its predicted class counts as not attacked; not when not given. */
  readonly keepLabel?: boolean | undefined;
  /** Draws of a step's loss, which is their mean, for a subject that samples; one when not given. */
  readonly eot?: number | undefined;
  /** Another loss `[B]` whose gradient the steps follow, as a control. */
  readonly follow?: (image: Tensor, copy: number, options: LossOptions) => Tensor;
  /** What the bar is called; `attack` when not given. */
  readonly title?: string;
  /** Number of leading images to return. */
  readonly keep?: number;
}

/** An attack on batches of one size, as programs. */
export interface TracedAttack {
  readonly batch: number;
  /** How often to run the step. */
  readonly repeats: number;
  /** Runs over every batch: restarts, and ranks of each. */
  readonly runs: { readonly starts: number; readonly ranks: number };
  /** Which numbers the start takes behind the batch's indices: the run's, the rank's. */
  readonly numbered: { readonly run: boolean; readonly rank: boolean };
  /** Starts on a batch of indices. */
  readonly start: ProgramSpec;
  /** One step of every part; records the largest slope `[B]` of an attack that follows one. */
  readonly step: ProgramSpec;
  /** Keeps the best of the runs so far, told whether it is the first; undefined where there is one run. */
  readonly keep: ProgramSpec | undefined;
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
  /** The attacked images, `[B, ...]`. */
  readonly result: Tensor;
  /** Updates that start it on clean images. */
  start(images: Tensor, which: Which | undefined, rank: Tensor | undefined): Updates;
  /** Updates that keep its result where it is better than those of the runs before. */
  keep(isFirst: Tensor): Updates;
  /** The objective's value at images, `[B]`. */
  judge(images: Tensor): Tensor;
  readonly parameters: readonly Parameter[];
}

/** Traces an attack on batches of the given size. */
export function traceAttack(job: AttackJob, batch: number): TracedAttack {
  const { set, settings, target, objective = objectives.published } = job;
  const index = input([batch]);
  const [run, rank, isFirst] = [input([1]), input([1]), input([1])];
  const images = set.images(index);
  const { classes } = traceAnswers(job, job.subject.attacked.map(() => images));
  if (target !== undefined) knownClass(target, classes);
  const ranks = objective.runs?.(classes) ?? 1;
  const runs = { starts: 1 + (settings.restarts ?? 0), ranks };
  const several = runs.starts * ranks > 1;
  const parts = job.subject.attacked.map((_, copy) => tracePart(job, copy, { batch, several }));
  const [first] = parts;
  if (!first) throw new Error("Unreachable: a subject without a part to attack");
  const steps = parts.map(({ state }) => state.step());
  const [x0, xs] = [first.state.clean.tensor, parts.map(({ result }) => result)];
  const [clean, adversarial] = [traceAnswers(job, xs.map(() => x0)), traceAnswers(job, xs)];
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
  const slopes = steps.flatMap(({ gradient }) => gradient ? [perImage(abs(gradient))] : []);
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
    numbered,
    start: {
      name: "attack start",
      inputs: [index, ...numbered.run ? [run] : [], ...numbered.rank ? [rank] : []],
      updates: starting,
    },
    step: {
      name: "attack step",
      updates: new Map(steps.flatMap(({ updates }) => [...updates])),
      records: slopes.length > 0 ? [slopes.reduce((a, b) => maximum(a, b))] : [],
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
      records: [...bounds, ...losses, ...clean.records, ...adversarial.records],
      outputs: [x0, x],
    },
    clean,
    adversarial,
    images: { clean: x0, adversarial: x },
    parameters: parts.flatMap(({ parameters }) => parameters),
  };
}

/** The attack of a job. */
function attackOf({ attack, settings: { name } }: AttackJob): Attack {
  const found = attack ?? Object.values<Attack>(attacks).find((one) => one.name === name);
  if (found) return found;
  throw new UserError(
    `Cannot attack by "${shortened(name)}": there is no attack of that name; choose ${
      Object.keys(attacks).join(" or ")
    }, or give the attack itself as \`attack\``,
  );
}

/** What is far above any loss: an iterate that must not count. */
const never = 1e30;

function tracePart(
  job: AttackJob,
  copy: number,
  { batch, several }: { readonly batch: number; readonly several: boolean },
): Part {
  const { subject, set, settings, target, objective = objectives.published } = job;
  const { direction = "over", keepLabel = false, eot = 1 } = job;
  const model = subject.attacked[copy];
  if (!model) throw new Error(`Unreachable: a subject without a part ${copy}`);
  const means = job.means?.[copy]?.tensor;
  const key = new Random(job.seed).fork("attack");
  const numbers = (): Parameter => new Parameter([batch], 0);
  const [kept, keptOfBest, lowest, label] = [numbers(), numbers(), numbers(), numbers()];
  const best = new Parameter([batch, ...set.set.shape], 0);
  const valueAt = (x: Tensor, draws: Draws, kept: Tensor): Tensor => {
    const [options, held] = [{ draws, target, means }, objective.keep && kept] as const;
    if (direction === "over") return objective.loss(model, x, options, held);
    return objective.under?.(model, x, options, held) ??
      neg(objective.loss(model, x, options, held));
  };
  const labelOf = (x: Tensor): Tensor =>
    argmax(model.logProbabilities(x, new Draws(key.fork("label"))));
  const loss = (x: Tensor, count: Tensor): Tensor => {
    const drawn = Array.from({ length: eot }, (_, i) => {
      const draws = new Draws(key.fork(i === 0 ? "loss" : `loss ${i}`), count);
      return job.follow?.(x, copy, { draws, target }) ?? valueAt(x, draws, kept.tensor);
    });
    const mean = eot === 1 ? drawn[0] ?? x : scale(drawn.reduce((a, b) => add(a, b)), 1 / eot);
    if (!keepLabel) return mean;
    // The slope stays; only what it leads to never counts as the best.
    const stays = equal(labelOf(x), label.tensor);
    return add(mean, where(stays, constant(0, [batch]), constant(never, [batch])));
  };
  const shape = [batch, ...set.set.shape];
  const state = attackOf(job).prepare({ loss, shape }, settings);
  const judgeBy = (kept: Tensor, x: Tensor): Tensor =>
    valueAt(x, new Draws(key.fork("judge")), kept);
  const ofImages = (t: Tensor): Tensor =>
    broadcastTo(reshape(t, [-1, ...shape.slice(1).map(() => 1)]), shape);
  /** Images that changed their class are taken back. */
  const allowed = (x: Tensor): Tensor =>
    keepLabel ? where(ofImages(equal(labelOf(x), label.tensor)), x, state.clean.tensor) : x;
  return {
    state,
    result: allowed((several ? best : state.result).tensor),
    start(images, which, rank): Updates {
      const draws = new Draws(key.fork("keep"));
      const keep = objective.keep?.(model, images, { draws, target, rank, means });
      return new Map([
        ...state.start(images, key, which),
        ...keep ? [[kept, keep] as const] : [],
        ...keepLabel ? [[label, labelOf(images)] as const] : [],
      ]);
    },
    keep(isFirst): Updates {
      const x = allowed(state.result.tensor);
      const value = judgeBy(kept.tensor, x);
      const none = broadcastTo(isFirst, [batch]);
      const better = maximum(greater(lowest.tensor, value), none);
      return new Map([
        [lowest, where(better, value, lowest.tensor)],
        [best, where(ofImages(better), x, best.tensor)],
        [keptOfBest, where(better, kept.tensor, keptOfBest.tensor)],
      ]);
    },
    judge: (images) => judgeBy((several ? keptOfBest : kept).tensor, images),
    parameters: [
      ...state.parameters,
      kept,
      ...keepLabel ? [label] : [],
      ...several ? [best, lowest, keptOfBest] : [],
    ],
  };
}
