/**
 * An attack, and where scores were asked for an attack on each of them besides: the same for the methods' models and for
 * a user's own.
 *
 * @module
 */
import type { AttackJob } from "../evaluate/attack_set.ts";
import type { ScoreFits } from "../evaluate/fit_scores.ts";
import type { AttackEvidence } from "../measure/results.ts";
import type { Subject } from "../methods/mod.ts";
import { type Attacking, type AttackMade, makeAttack } from "./attack_figures.ts";
import type { Evaluated } from "./evaluate.ts";
import { attackScores, scoresResult } from "./scored.ts";

/** What an attack made besides, where scores were asked for. */
export interface ScoredAttackMade extends AttackMade {
  readonly fits: ScoreFits | undefined;
  /** What its document says of them; undefined where there are none, or no images in-domain. */
  readonly scores: AttackEvidence["scores"];
}

/**
 * As `makeAttack`, and then attacks every score that was fitted by itself.
 *
 * @param asked of a subject that tells the scores
 * @param bare the subject without them
 */
export async function makeScoredAttack(
  asked: AttackJob,
  fits: ScoreFits | undefined,
  evaluateInDomain: (() => Promise<Evaluated>) | undefined,
  { on, direction }: Omit<Attacking, "checkedBy">,
  bare: Subject,
): Promise<ScoredAttackMade> {
  const made = await makeAttack(asked, evaluateInDomain, { on, direction, checkedBy: bare });
  const { inDomain } = made;
  if (!fits || !inDomain) return { ...made, fits, scores: undefined };
  const attacks = await attackScores(
    { ...asked, on, direction },
    fits,
    { ...made, inDomain },
    bare,
  );
  return { ...made, fits, scores: { ...scoresResult(fits), attacks } };
}
