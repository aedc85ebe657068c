/**
 * What an attack makes of a model, and the figures of it: the same for the methods' models and for a user's own.
 *
 * @module
 */
import type { ImageSet } from "../../data/mod.ts";
import { type Answers, answersAt } from "../measure/answers.ts";
import {
  confidentShares,
  type Detection,
  detectionOf,
  epsilonPoint,
  type OutDomain,
  tauCurve,
} from "../measure/evidence.ts";
import { classRows, type MeanOptions } from "../measure/metrics.ts";
import type { EpsilonPoint } from "../measure/schema.ts";
import { type Attacked, type AttackJob, attackSet } from "../evaluate/attack_set.ts";
import {
  checkAttack,
  type CheckedAttack,
  checksResult,
  warningsOf,
  withAccuracy,
} from "../evaluate/checks.ts";
import { objectives } from "../attack/mod.ts";
import type { Evaluated } from "./evaluate.ts";
import { uncertainties } from "./uncertainty.ts";

/** What an attack made. */
export interface AttackMade {
  /** The model's quality in-domain, and its answers there. */
  readonly inDomain: Evaluated;
  readonly attacked: Attacked;
  /** The images that were attacked, in the order of the answers. */
  readonly outDomain: ImageSet;
  readonly checked: CheckedAttack;
  readonly sets: OutDomain;
  readonly detection: Detection;
}

/**
 * Attacks out-domain images, evaluates in-domain, and checks the attack.
 *
 * @param evaluateInDomain evaluates the same model in-domain
 */
export async function makeAttack(
  work: AttackJob,
  evaluateInDomain: () => Promise<Evaluated>,
): Promise<AttackMade> {
  const attacked = await attackSet(work);
  const inDomain = await evaluateInDomain();
  const checked = withAccuracy(
    await checkAttack(work, attacked, inDomain.answers),
    inDomain.figures,
  );
  const sets = { clean: attacked.clean, attacked: attacked.adversarial };
  const detection = detectionOf(inDomain.answers, sets, work.seed);
  return { inDomain, attacked, outDomain: work.set.set, checked, sets, detection };
}

/** A document's figures of an attack: all but what is said of its model, and of where it ran. */
export function attackFigures(
  { settings, target, seed, objective = objectives.published }: AttackJob,
  { inDomain, attacked, outDomain, checked, sets, detection }: AttackMade,
  mean: MeanOptions,
): Readonly<Record<string, unknown>> {
  const { name, norm, epsilon, steps, stepSize, startNoise, projectStart } = settings;
  const point = (answers: Answers, epsilon: number): EpsilonPoint =>
    epsilonPoint(inDomain.answers, answers, epsilon, seed);
  const inTarget = ({ predictions }: Answers): number | null =>
    target === undefined ? null : classRows(predictions, target);
  return {
    epsilonAttack: epsilon,
    attack: {
      name,
      objective: objective.name,
      norm,
      steps,
      stepSize,
      start: { noise: startNoise, projected: projectStart },
      targeted: target ?? null,
    },
    inDomain: inDomain.figures,
    outDomain: {
      name: outDomain.name,
      count: outDomain.count,
      sha256: outDomain.sha256,
      listSha256: outDomain.listSha256 ?? null,
      skipped: outDomain.skipped?.length ?? 0,
      classNames: outDomain.classes ? [...outDomain.classes] : null,
    },
    clean: { ...uncertainties(attacked.clean, mean), targeted: inTarget(attacked.clean) },
    adversarial: {
      ...uncertainties(attacked.adversarial, mean),
      targeted: inTarget(attacked.adversarial),
      distance: attacked.distance.reduce((a, b) => Math.max(a, b), 0),
    },
    detection,
    calibration: inDomain.calibration,
    confident: confidentShares(inDomain.answers, sets),
    curves: {
      tau: tauCurve(inDomain.answers, sets),
      epsilon: [
        point(answersAt(attacked.clean, checked.index), 0),
        point(checked.half.adversarial, epsilon / 2),
        point(answersAt(attacked.adversarial, checked.index), epsilon),
      ],
    },
    checks: checksResult(checked.checks),
    warnings: warningsOf(checked.checks),
  };
}
