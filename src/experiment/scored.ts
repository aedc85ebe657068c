/**
 * Scores beside an experiment: fitted on the training images, told by the subject, and attacked one by one.
 *
 * @module
 */
import type { NamedArray } from "../checkpoint/safetensors.ts";
import { type AttackJob, attackSet } from "../evaluate/attack_set.ts";
import { fitScores, knownScores, type ScoreFits, withScores } from "../evaluate/fit_scores.ts";
import { imagePredictor, type Job } from "../evaluate/predict.ts";
import { chosen, evenSample, ResidentSet } from "../evaluate/resident_set.ts";
import { type Answers, answersAt } from "../measure/answers.ts";
import { apartBy, areasBy } from "../measure/evidence.ts";
import type { ScoreAttacks, ScoresResult } from "../measure/results.ts";
import type { Subject } from "../methods/mod.ts";
import { release } from "../nn/mod.ts";
import { chosenScores, type ScoreChoice } from "../scores/mod.ts";
import type { Reporter } from "../base/reporter.ts";
import { job } from "./common.ts";
import type { RunConfig } from "./config.ts";
import { meansSetOf } from "./setup.ts";
import type { Workbench } from "./workbench.ts";

/** A workbench whose subject tells the scores that were asked for, and what these have learned. */
export interface Scored extends Disposable {
  readonly bench: Workbench;
  /** Undefined where none were asked for. */
  readonly fits: ScoreFits | undefined;
}

function askedOf({ scores }: RunConfig): ScoreChoice | undefined {
  return scores === undefined ? undefined : chosenScores(scores);
}

/**
 * Refuses scores that a model does not give, before it is trained.
 *
 * @throws UserError
 */
export function checkScores({ config, subject }: Workbench): void {
  const asked = askedOf(config);
  if (asked) knownScores(asked, subject);
}

/**
 * Fits the scores that a run asks for on the images that its models learned from.
 *
 * @throws UserError when one that is named cannot be had or fitted
 */
export async function scoredBench(bench: Workbench, reporter: Reporter): Promise<Scored> {
  const asked = askedOf(bench.config);
  if (!asked) return { bench, fits: undefined, [Symbol.dispose](): void {} };
  const training = await meansSetOf(bench);
  const { set: _, ...rest } = job(bench, training, reporter);
  const fits = await fitScores(rest, training, asked);
  for (const { name, why } of fits.leftOut) {
    reporter.note(`The score "${name}" is left out: ${why}`);
  }
  return {
    bench: { ...bench, subject: withScores(bench.subject, fits.fitted) },
    fits,
    [Symbol.dispose](): void {
      release(bench.device, fits.fitted.flatMap(({ parameters }) => parameters));
    },
  };
}

/** What a document says of scores: on what they were fitted, and which were left out. */
export function scoresResult({ set, digest, leftOut }: ScoreFits): ScoresResult {
  return { training: set, digest, leftOut };
}

/** What scores have learned, in f32, as `NAME.ARRAY`; none where no scores were asked for. */
export function scoresArchive(
  fits: ScoreFits | undefined,
): Readonly<Record<string, ReadonlyMap<string, NamedArray>>> {
  if (!fits) return {};
  const arrays = fits.fitted.flatMap(({ name, fit }) =>
    Object.entries(fit).map(([key, { shape, values }]) =>
      [`${name}.${key}`, { shape, data: Float32Array.from(values) }] as const
    )
  );
  return { scores: new Map(arrays) };
}

/**
 * How many images every score is attacked on by itself: all scores together on at most half as many as the run
 * attacks, so that they do not take longer than it, but each on 100 or more, and on no more than 200.
 */
export function sampleSize(images: number, scores: number): number {
  return Math.min(200, Math.max(100, Math.floor(images / (2 * scores))));
}

/**
 * Attacks every score by its own slope, on an evenly spread sample: the attack of the run, which lowers minus the
 * score in the place of its objective. Where in-domain images alone are attacked, so they are here.
 *
 * @param out the attack on out-domain images
 * @param inDomain the evaluation in-domain, and its answers
 * @param clean answers to the clean out-domain images
 * @param bare the subject without scores
 */
export async function attackScores(
  { on = "out", ...out }: AttackJob & Pick<RunConfig, "on">,
  fits: ScoreFits,
  inDomain: { readonly work: Job; readonly answers: Answers },
  clean: Answers,
  bare: Subject,
): Promise<ScoreAttacks> {
  const inside = on === "in";
  const work = inside ? { ...out, ...inDomain.work } : out;
  const { set: whole, device } = work;
  const index = evenSample(whole.count, sampleSize(whole.count, fits.fitted.length));
  const set = new ResidentSet(chosen(whole.set, index), index);
  const { direction = inside ? "under" : "over", seed } = out;
  const explain = { explain: false, time: false };
  const common = {
    ...work,
    // What is told of the images is asked once, and not by every attack's own programs.
    subject: bare,
    ...{ set, direction, explain, keep: index.length },
    ...{ means: undefined, target: undefined },
  };
  const batchSize = Math.min(work.batchSize, index.length);
  const before = answersAt(inside ? inDomain.answers : clean, index);
  try {
    using predicting = await imagePredictor({ ...work, explain, batchSize }, whole.set.shape);
    const made: [string, ScoreAttacks["results"][string]][] = [];
    for (const { name, objective } of fits.fitted) {
      const title = `score: ${name}`;
      const { examples } = await attackSet({ ...common, objective, title });
      const adversarial = await predicting.run(examples.adversarial);
      const apart = (answers: Answers): readonly [Answers, Answers] =>
        inside ? [answers, clean] : [inDomain.answers, answers];
      made.push([name, {
        clean: apartBy(name, ...apart(before), seed),
        adaptive: apartBy(name, ...apart(adversarial), seed),
        others: areasBy(...apart(adversarial)),
      }]);
    }
    return { images: index.length, on: inside ? "in" : "out", results: Object.fromEntries(made) };
  } finally {
    release(device, set.parameters);
  }
}
