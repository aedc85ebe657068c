/**
 * The attack on one part of a subject, traced: what it lowers, and which of its iterates count.
 *
 * @module
 */
import {
  type Attack,
  type Attackable,
  attacks,
  type AttackSettings,
  type Direction,
  type Iterate,
  type LossOptions,
  type Objective,
  objectives,
  type Which,
} from "../attack/mod.ts";
import { shortened, UserError } from "../base/errors.ts";
import {
  add,
  argmax,
  broadcastTo,
  constant,
  Draws,
  equal,
  greater,
  maximum,
  neg,
  nonFinite,
  Parameter,
  Random,
  reshape,
  scale,
  type Tensor,
  type Updates,
  where,
} from "../nn/mod.ts";
import type { Answers } from "../measure/answers.ts";
import type { Subject } from "../methods/mod.ts";
import type { Job, JobOptions } from "./predict.ts";

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
  /** Whether every run is answered by itself, and none is chosen by its loss; not when not given. */
  readonly each?: boolean | undefined;
  /**
   * Who answers to the images in the place of the subject, which then is a surrogate: a subject of as many parts.
   * The class that an image is taken for is the one that this takes it for.
   */
  readonly answeredBy?: Subject | undefined;
  /**
   * How bad answers are, `[n]`: where every run is answered by itself, each of the leading images is returned as the
   * worst of its runs left it; as the last did when not given.
   */
  readonly badness?: ((answers: Answers) => ArrayLike<number>) | undefined;
  /** Whether the loss at every step is recorded; not when not given. */
  readonly traced?: boolean | undefined;
  /** Whether the checks that cost as much as the attack itself are made, too; not when not given. */
  readonly thorough?: boolean | undefined;
  /** What the bar is called; `attack` when not given. */
  readonly title?: string;
  /** Number of leading images to return. */
  readonly keep?: number;
}

/** An attack as it is asked for. */
export type AttackOptions = JobOptions & Omit<AttackJob, keyof Job>;

/** The attack of a job. */
export function attackOf({ attack, settings: { name } }: AttackJob): Attack {
  const found = attack ?? Object.values<Attack>(attacks).find((one) => one.name === name);
  if (found) return found;
  throw new UserError(
    `Cannot attack by "${shortened(name)}": there is no attack of that name; choose ${
      Object.keys(attacks).join(" or ")
    }, or give the attack itself as \`attack\``,
  );
}

/** The attack on one part of a subject. */
export interface Part {
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

/** Values `[B]`, and another for those that are no numbers: they never count as the lowest. */
function finiteOr(values: Tensor, other: number): Tensor {
  return where(nonFinite(values), constant(other, values.shape), values);
}

/** What is far above any loss: an iterate that must not count. */
const never = 1e30;

/** Traces the attack on one part: the subject itself, or a member on a copy of its own. */
export function tracePart(
  job: AttackJob,
  copy: number,
  { batch, several }: { readonly batch: number; readonly several: boolean },
): Part {
  const { set, settings, target, objective = objectives.published, keepLabel = false } = job;
  const lowered = loweredBy(job, copy);
  const { key, model, means, ranked, valueAt, labelOf } = lowered;
  const numbers = (): Parameter => new Parameter([batch], 0);
  const [kept, keptOfBest, lowest, label] = [numbers(), numbers(), numbers(), numbers()];
  const shape = [batch, ...set.set.shape];
  const best = new Parameter(shape, 0);
  const loss = (x: Tensor, count: Tensor): Tensor => {
    const mean = lowered.meanAt(x, count, kept.tensor);
    if (!keepLabel) return mean;
    // The slope stays; only what it leads to never counts as the best.
    const stays = equal(labelOf(x), label.tensor);
    return add(mean, where(stays, constant(0, [batch]), constant(never, [batch])));
  };
  const state = attackOf(job).prepare({ loss, shape, key }, settings);
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
        ...rank ? [[ranked, rank] as const] : [],
        ...keepLabel ? [[label, labelOf(images)] as const] : [],
      ]);
    },
    keep(isFirst): Updates {
      const x = allowed(state.result.tensor);
      const value = judgeBy(kept.tensor, x);
      const better = maximum(greater(lowest.tensor, value), broadcastTo(isFirst, [batch]));
      return new Map([
        [lowest, where(better, finiteOr(value, 3e38), lowest.tensor)],
        [best, where(ofImages(better), x, best.tensor)],
        [keptOfBest, where(better, kept.tensor, keptOfBest.tensor)],
      ]);
    },
    judge: (images) => judgeBy((several ? keptOfBest : kept).tensor, images),
    parameters: [
      ...state.parameters,
      kept,
      ranked,
      ...keepLabel ? [label] : [],
      ...several ? [best, lowest, keptOfBest] : [],
    ],
  };
}

/** What a job lowers on one part of its subject. */
interface Lowered {
  /** Of the attack's random numbers. */
  readonly key: Random;
  readonly model: Attackable;
  /** Class means of features, where the objective needs them. */
  readonly means: Tensor | undefined;
  /** `[1]`, which of the objective's own runs it is. */
  readonly ranked: Parameter;
  /** The value `[B]` at images, by draws and by what was kept of the clean images. */
  valueAt(x: Tensor, draws: Draws, kept: Tensor): Tensor;
  /** The mean of as many draws as a step takes, by the step's number; of a control its own loss. */
  meanAt(x: Tensor, count: Tensor, kept: Tensor): Tensor;
  /** The class `[B]` that images are taken for. */
  labelOf(x: Tensor): Tensor;
}

function loweredBy(job: AttackJob, copy: number): Lowered {
  const { subject, answeredBy = subject, target, objective = objectives.published } = job;
  const { direction = "over", eot = 1 } = job;
  const [model, answering] = [subject, answeredBy].map(({ attacked }) => attacked[copy]);
  if (!model || !answering) throw new Error(`Unreachable: a subject without a part ${copy}`);
  const key = new Random(job.seed).fork("attack");
  const means = job.means?.[copy]?.tensor;
  const ranked = new Parameter([1], 0);
  const rank = objective.runs ? ranked.tensor : undefined;
  const valueAt = (x: Tensor, draws: Draws, kept: Tensor): Tensor => {
    const [options, held] = [{ draws, target, means, rank }, objective.keep && kept] as const;
    if (direction === "over") return objective.loss(model, x, options, held);
    return objective.under?.(model, x, options, held) ??
      neg(objective.loss(model, x, options, held));
  };
  return {
    key,
    model,
    means,
    ranked,
    valueAt,
    meanAt(x, count, kept): Tensor {
      const drawn = Array.from({ length: eot }, (_, i) => {
        const draws = new Draws(key.fork(i === 0 ? "loss" : `loss ${i}`), count);
        return job.follow?.(x, copy, { draws, target }) ?? valueAt(x, draws, kept);
      });
      return eot === 1 ? drawn[0] ?? x : scale(drawn.reduce((a, b) => add(a, b)), 1 / eot);
    },
    labelOf: (x) => argmax(answering.logProbabilities(x, new Draws(key.fork("label")))),
  };
}
