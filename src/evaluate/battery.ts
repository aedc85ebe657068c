/**
 * A battery of attacks on two sets: member after member, each answered by every score.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import type { Attack, AttackSettings, Direction, Objective } from "../attack/mod.ts";
import type { Answers } from "../measure/answers.ts";
import { scoresOf } from "../measure/evidence.ts";
import { rightRows } from "../measure/metrics.ts";
import { turned } from "../measure/robust.ts";
import type { Subject } from "../methods/mod.ts";
import { release } from "../nn/mod.ts";
import { type AttackJob, attackSet } from "./attack_set.ts";
import type { Job } from "./predict.ts";
import { chosen, ResidentSet } from "./resident_set.ts";

/** Which set: attacked to seem in-domain, or not to. */
export type BatterySide = "in" | "out";

/** Another model than the one that answers. */
export interface Surrogate {
  readonly subject: Subject;
  /** Gives back what it holds on the device; what is needed is there again when it is used. */
  free(): void;
}

/** One attack of a battery, ready to be made. */
export interface ReadyMember {
  /** What it is called. */
  readonly name: string;
  readonly attack: Attack;
  readonly settings: AttackSettings;
  readonly objective: Objective;
  readonly eot: number | undefined;
  /** Whether it sees those images alone that some score still tells. */
  readonly left: boolean;
  /** What it attacks in the place of the model that answers; that model itself when not given. */
  readonly surrogate?: Surrogate | undefined;
}

/** Scores `[n]` of the images that were attacked, by name; higher is more in-domain, the worst of all runs. */
export type TurnedScores = Readonly<Record<string, Float64Array>>;

/** What one member made of one set. */
export interface MemberOutcome {
  /** Which images it attacked, `[n]`. */
  readonly index: Uint32Array;
  readonly scores: TurnedScores;
  /** `[n]`, 1 where the label was still right after every run. */
  readonly right: Uint8Array;
  /** Runs over every image: starts and ranks. */
  readonly runs: number;
  readonly seconds: number;
  /** Leading images of those that it attacked, `[m, C, H, W]`: each as the run left it that is the worst by `pictured`. */
  readonly examples: Float32Array;
}

/** Where outcomes are kept while a battery goes on. */
export interface Outcomes {
  read(side: BatterySide, member: number): Promise<MemberOutcome | undefined>;
  write(side: BatterySide, member: number, outcome: MemberOutcome): Promise<void>;
}

/** A battery to be made. */
export interface BatteryJob {
  readonly job: Omit<Job, "set">;
  readonly members: readonly ReadyMember[];
  readonly keepLabel: boolean;
  /** Class means of features, one of each part of the subject, where a member needs them. */
  readonly means: AttackJob["means"];
  /** 1 of each image that some score still tells, by its worst scores so far. */
  readonly told: (side: BatterySide, scores: TurnedScores) => Uint8Array;
  /** Whether every member sees those images alone. */
  readonly onlyTold: boolean;
  readonly outcomes: Outcomes;
}

/** Leading images that are kept for pictures. */
const shown = 200;

/** The score by which a picture is chosen among an attack's runs: the first that every method has. */
export const pictured = "maxProbability";

/** Answers as scores turned so that higher is more in-domain. */
export function turnedScores(answers: Answers): TurnedScores {
  return Object.fromEntries(
    Object.entries(scoresOf(answers)).map(([name, score]) => [name, turned(score)]),
  );
}

/**
 * Attacks one set by every member in turn.
 *
 * @param clean scores of its images as they are
 */
export async function runSide(
  battery: BatteryJob,
  set: ImageSet,
  side: BatterySide,
  clean: TurnedScores,
): Promise<MemberOutcome[]> {
  const { members, told, onlyTold, outcomes, job } = battery;
  const found: MemberOutcome[] = [];
  /** The worst scores so far. */
  const worst = Object.fromEntries(
    Object.entries(clean).map(([name, scores]) => [name, scores.slice()]),
  );
  for (const [at, member] of members.entries()) {
    const open = onlyTold || member.left ? told(side, worst) : undefined;
    const index = Uint32Array.from({ length: set.count }, (_, i) => i)
      .filter((i) => !open || open[i] === 1);
    const before = await outcomes.read(side, at);
    const kept = before && sameIndex(before.index, index) ? before : undefined;
    const outcome = kept ??
      await attackBy(battery, member, set, side, index, `${at + 1}/${members.length} `);
    if (!kept) await outcomes.write(side, at, outcome);
    else job.reporter.note(`${member.name}, ${side}-domain, is kept from before`);
    for (const [name, scores] of Object.entries(outcome.scores)) {
      const all = worst[name];
      outcome.index.forEach((image, i) => {
        const [now = 0, then = 0] = [scores[i], all?.[image]];
        if (all) all[image] = side === "out" ? Math.max(now, then) : Math.min(now, then);
      });
    }
    found.push(outcome);
  }
  return found;
}

function sameIndex(a: Uint32Array, b: Uint32Array): boolean {
  return a.length === b.length && a.every((image, i) => image === b[i]);
}

/** One member on some images of a set. */
async function attackBy(
  { job, keepLabel, means }: BatteryJob,
  { name, attack, settings, objective, eot, surrogate }: ReadyMember,
  set: ImageSet,
  side: BatterySide,
  index: Uint32Array,
  place: string,
): Promise<MemberOutcome> {
  const started = performance.now();
  const none = { scores: {}, right: new Uint8Array(), examples: new Float32Array() };
  if (index.length === 0) return { index, ...none, runs: 0, seconds: 0 };
  const part = chosen(set, index);
  const resident = new ResidentSet(part, index);
  const direction: Direction = side === "out" ? "over" : "under";
  try {
    const { runs, examples } = await attackSet({
      ...job,
      means,
      set: resident,
      attack,
      ...surrogate && { subject: surrogate.subject, answeredBy: job.subject },
      settings,
      objective,
      direction,
      keepLabel,
      eot,
      each: true,
      badness: badnessFor(side),
      keep: Math.min(shown, index.length),
      title: `${place}${name}, ${side}-domain`,
    });
    return {
      index,
      scores: worstOfRuns(runs.map(turnedScores), side),
      right: stillRight(runs, part.labels),
      runs: runs.length,
      seconds: (performance.now() - started) / 1000,
      examples: examples.adversarial,
    };
  } finally {
    release(job.device, resident.parameters);
    surrogate?.free();
  }
}

/** How bad answers are by the score that pictures are chosen by. */
function badnessFor(side: BatterySide): (answers: Answers) => Float64Array {
  const sign = side === "out" ? 1 : -1;
  return (answers) => (turnedScores(answers)[pictured] ?? new Float64Array()).map((v) => sign * v);
}

function worstOfRuns(runs: readonly TurnedScores[], side: BatterySide): TurnedScores {
  const [first = {}] = runs;
  const worse = side === "out" ? Math.max : Math.min;
  return Object.fromEntries(
    Object.entries(first).map(([name, scores]) => [
      name,
      scores.map((_, i) => worse(...runs.map((run) => run[name]?.[i] ?? NaN))),
    ]),
  );
}

/** 1 where the label was right after every run. */
function stillRight(runs: readonly Answers[], labels: ArrayLike<number>): Uint8Array {
  const each = runs.map(({ predictions }) => rightRows(predictions, labels));
  return Uint8Array.from(labels, (_, i) => each.every((right) => right[i] === 1) ? 1 : 0);
}
