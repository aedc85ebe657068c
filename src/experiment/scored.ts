/**
 * Scores beside an experiment: fitted on the training images, told by the subject, and attacked one by one.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import { type Objective, objectives } from "../attack/mod.ts";
import type { NamedArray } from "../checkpoint/safetensors.ts";
import { type Attacked, type AttackJob, attackSet } from "../evaluate/attack_set.ts";
import { fitScores, knownScores, type ScoreFits, withScores } from "../evaluate/fit_scores.ts";
import { imagePredictor, type Job } from "../evaluate/predict.ts";
import { chosen, evenSample, ResidentSet } from "../evaluate/resident_set.ts";
import { type Answers, answersAt } from "../measure/answers.ts";
import type { ScoreAttacks, ScoresResult } from "../measure/results.ts";
import { type AttackedDomain, scoreAttackFigures } from "../measure/score_attacks.ts";
import type { Subject } from "../methods/mod.ts";
import { release } from "../nn/mod.ts";
import { chosenScores, type ScoreChoice } from "../scores/mod.ts";
import type { Reporter } from "../base/reporter.ts";
import { evalBatch, type RunConfig } from "./config.ts";
import { meansSetOf } from "./setup.ts";
import type { Workbench } from "./workbench.ts";

/** A subject that tells the scores that were asked for, and what these have learned. */
export interface ScoredSubject extends Disposable {
  readonly subject: Subject;
  /** Undefined where none were asked for. */
  readonly fits: ScoreFits | undefined;
}

/** The same with its workbench. */
export interface Scored extends ScoredSubject {
  readonly bench: Workbench;
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
  const { config, device, subject } = bench;
  const asked = askedOf(config);
  const training = asked && await meansSetOf(bench);
  const batchSize = config.batchSize ?? evalBatch;
  const work = { device, subject, batchSize, reporter, explain: config };
  const scored = await scoredSubject(work, training, asked);
  return { ...scored, bench: { ...bench, subject: scored.subject } };
}

/**
 * Fits scores on images that a subject learned from.
 *
 * @param asked none where it is undefined
 * @throws UserError when one that is named cannot be had or fitted
 */
export async function scoredSubject(
  work: Omit<Job, "set" | "seed">,
  training: ImageSet | undefined,
  asked: ScoreChoice | undefined,
): Promise<ScoredSubject> {
  const { device, subject, reporter } = work;
  if (!asked || !training) return { subject, fits: undefined, [Symbol.dispose](): void {} };
  const fits = await fitScores(work, training, asked);
  for (const { name, why } of fits.leftOut) {
    reporter.note(`The score "${name}" is left out: ${why}`);
  }
  return {
    subject: withScores(subject, fits.fitted),
    fits,
    [Symbol.dispose](): void {
      release(device, fits.fitted.flatMap(({ parameters }) => parameters));
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

/** What a run made before its scores are attacked by themselves. */
export interface RunMade {
  /** The evaluation in-domain, and its answers. */
  readonly inDomain: { readonly work: Job; readonly answers: Answers };
  readonly attacked: Pick<Attacked, "clean" | "adversarial">;
  /** The attack on in-domain images, where one was made. */
  readonly inDomainAttack: { readonly attacked: Pick<Attacked, "adversarial"> } | undefined;
}

/** Images of a domain that every score is attacked on by itself, at most. */
const sampleSize = 200;

/** A score that is attacked by itself, and what that attack lowers. */
interface Aim {
  readonly name: string;
  readonly objective: Objective;
}

/** Of a method that tells several scores of its own, all in one order, the one that `native` is. */
const ofSeveral = "maxLogKernel";

/**
 * The score that `--objective native` is after: the method's own, where there is one.
 *
 * @param told names of all scores that the subject tells besides those of its probabilities
 */
function nativeAim(
  { attacked }: Subject,
  told: readonly string[],
  { fitted }: ScoreFits,
): readonly Aim[] {
  const [part, ...others] = attacked;
  if (!part?.native || others.length > 0) return [];
  const own = told.filter((name) => fitted.every((score) => score.name !== name));
  const name = own.length === 1 ? own[0] : own.find((name) => name === ofSeveral);
  return name === undefined ? [] : [{ name, objective: objectives.native }];
}

/**
 * Attacks every score that was fitted, and the method's own, by its own slope, on an evenly spread sample: the attack of
 * the run, which lowers minus the score in the place of its objective. Scores of out-domain images are raised and of those
 * in-domain lowered, where the run's attack asks for no other direction; which are attacked is what the run attacks.
 *
 * @param out the attack on out-domain images
 * @param bare the subject without scores
 */
export async function attackScores(
  { on = "out", ...out }: AttackJob & Pick<RunConfig, "on">,
  fits: ScoreFits,
  { inDomain, attacked, inDomainAttack }: RunMade,
  bare: Subject,
): Promise<ScoreAttacks> {
  const { direction = "under" } = out;
  const aims: readonly Aim[] = [
    ...fits.fitted,
    ...nativeAim(bare, Object.keys(inDomain.answers.scores), fits),
  ];
  const isAttacked = (side: "in" | "out"): boolean => on === side || on === "both";
  const sizeOf = ({ set }: AttackJob): number => Math.min(set.count, sampleSize);
  const domain = async (
    side: "in" | "out",
    work: AttackJob,
    whole: Answers,
    transfer: Answers | undefined,
  ): Promise<AttackedDomain> => {
    if (!transfer || !isAttacked(side)) return { whole, sample: undefined };
    const index = evenSample(work.set.count, sizeOf(work));
    const sample = {
      clean: answersAt(whole, index),
      transfer: answersAt(transfer, index),
      ...await attackEach(work, index, aims, bare),
    };
    return { whole, sample };
  };
  const own = { ...out, ...inDomain.work, direction };
  const domains = {
    out: await domain("out", out, attacked.clean, attacked.adversarial),
    in: await domain("in", own, inDomain.answers, inDomainAttack?.attacked.adversarial),
  };
  const images = (side: "in" | "out", work: AttackJob): number =>
    isAttacked(side) ? sizeOf(work) : 0;
  return {
    images: { in: images("in", own), out: images("out", out) },
    on,
    ...scoreAttackFigures(on, domains, aims.map(({ name }) => name), out.seed),
  };
}

/**
 * Answers to a sample under the attack on each score.
 *
 * @param index of the sample in the set
 * @param bare the subject without scores
 */
async function attackEach(
  work: AttackJob,
  index: Uint32Array,
  aims: readonly Aim[],
  bare: Subject,
): Promise<Record<string, Answers>> {
  const { set: whole, device } = work;
  const set = new ResidentSet(chosen(whole.set, index), index);
  const explain = { explain: false, time: false };
  const common = {
    ...work,
    // What is told of the images is asked once, and not by every attack's own programs.
    subject: bare,
    ...{ set, explain, keep: index.length },
    ...{ means: undefined, target: undefined },
  };
  const batchSize = Math.min(work.batchSize, index.length);
  try {
    using predicting = await imagePredictor({ ...work, explain, batchSize }, whole.set.shape);
    const made: [string, Answers][] = [];
    for (const { name, objective } of aims) {
      const title = `score: ${name}`;
      const { examples } = await attackSet({ ...common, objective, title });
      made.push([name, await predicting.run(examples.adversarial)]);
    }
    return Object.fromEntries(made);
  } finally {
    release(device, set.parameters);
  }
}
