/**
 * The attack on images that the model is for: what it makes of accuracy and confidence, and of telling them
 * from out-domain images, attacked or not.
 *
 * @module
 */
import type { Answers } from "../measure/answers.ts";
import { type Attacked, type AttackJob, attackSet } from "../evaluate/attack_set.ts";
import { checkAttack, type CheckedAttack, checksResult, warningsOf } from "../evaluate/checks.ts";
import type { Job } from "../evaluate/predict.ts";
import { accuracy, type MeanOptions, rightRows } from "../measure/metrics.ts";
import { attackedScores } from "../measure/evidence.ts";
import type { Subject } from "../methods/mod.ts";
import type { InDomainAttack } from "./results.ts";
import { uncertainties } from "./uncertainty.ts";

/** What an attack on in-domain images made. */
export interface InDomainAttackMade {
  readonly work: AttackJob;
  readonly attacked: Attacked;
  readonly checked: CheckedAttack;
}

/**
 * Attacks the in-domain images in the same ball by the same steps.
 *
 * @param out the attack on out-domain images
 * @param work the evaluation in-domain
 * @param direction that was asked for; less sure when none was
 * @param checkedBy whom the checks ask, where the subject tells more scores
 */
export async function attackInDomain(
  out: AttackJob,
  work: Job,
  direction: AttackJob["direction"] = "under",
  checkedBy: Subject = work.subject,
): Promise<InDomainAttackMade> {
  const job = { ...out, ...work, direction, keep: 0, title: "attack in-domain" };
  const attacked = await attackSet(job);
  const checked = await checkAttack({ ...job, subject: checkedBy }, attacked);
  return { work: job, attacked, checked };
}

/**
 * The figures of an attack in-domain.
 *
 * @param sets answers to the clean and to the attacked out-domain images; the latter none where only those
 * in-domain were attacked
 */
export function inDomainAttackFigures(
  { work, attacked, checked }: InDomainAttackMade,
  outDomain: { readonly clean: Answers; readonly attacked?: Answers | undefined },
  mean: MeanOptions,
): InDomainAttack {
  const { set } = work.set;
  const answers = attacked.adversarial;
  const isLabelled = set.labelled !== false;
  const right = rightRows(answers.predictions, set.labels).filter((is) => is === 1).length;
  return {
    direction: work.direction ?? "under",
    accuracy: isLabelled ? accuracy(answers.predictions, set.labels, mean) : null,
    right: isLabelled ? right : null,
    ...uncertainties(answers, mean),
    distance: attacked.distance.reduce((a, b) => Math.max(a, b), 0),
    scores: attackedScores({ clean: attacked.clean, attacked: answers }, outDomain, work.seed),
    checks: checksResult(checked.checks),
    warnings: warningsOf(checked.checks),
  };
}
