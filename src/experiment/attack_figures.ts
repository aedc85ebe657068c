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
import { attacks, type Direction, objectives, type Side } from "../attack/mod.ts";
import {
  attackInDomain,
  inDomainAttackFigures,
  type InDomainAttackMade,
} from "./in_domain_attack.ts";
import type { Subject } from "../methods/mod.ts";
import { readFacts } from "./common.ts";
import type { Evaluated } from "./evaluate.ts";
import { uncertainties } from "./uncertainty.ts";

/** What an attack made. */
export interface AttackMade {
  /** Which images were attacked. */
  readonly on: Side;
  /** Whether out-domain images are to be taken for known, or not to be. */
  readonly direction: Direction;
  /** The attack on in-domain images, where one was made. */
  readonly inDomainAttack: InDomainAttackMade | undefined;
  /** The model's quality in-domain, and its answers there; undefined where there are no such images. */
  readonly inDomain: Evaluated | undefined;
  readonly attacked: Attacked;
  /** The images that were attacked, in the order of the answers. */
  readonly outDomain: ImageSet;
  readonly checked: CheckedAttack;
  readonly sets: OutDomain;
  /** None without images in-domain. */
  readonly detection: Detection | null;
}

/** What is attacked, where that is not what usually is. */
export interface Attacking {
  /** Which images; those out-domain when not given. */
  readonly on?: Side | undefined;
  /** How; surer out-domain and less sure in-domain when not given. */
  readonly direction?: Direction | undefined;
  /** Whom the checks of the attack ask, where the subject tells more scores; the subject when not given. */
  readonly checkedBy?: Subject | undefined;
}

/**
 * Attacks out-domain images, those in-domain, or both, evaluates in-domain, and checks the attacks.
 *
 * @param evaluateInDomain evaluates the same model in-domain; undefined where there are no such images
 */
export async function makeAttack(
  asked: AttackJob,
  evaluateInDomain: (() => Promise<Evaluated>) | undefined,
  { on = "out", direction, checkedBy = asked.subject }: Attacking = {},
): Promise<AttackMade> {
  const work = { ...asked, direction };
  const attacked = on === "in" ? await leaveAlone(work) : await attackSet(work);
  const inDomain = await evaluateInDomain?.();
  const own = on === "out" || !inDomain
    ? undefined
    : await attackInDomain(work, inDomain.work, direction, checkedBy);
  const made = on === "in" && own
    ? { ...own.checked, half: attacked }
    : await checkAttack({ ...work, subject: checkedBy }, attacked, inDomain?.answers);
  const sets = { clean: attacked.clean, attacked: attacked.adversarial };
  return {
    on,
    direction: direction ?? "over",
    inDomainAttack: own,
    inDomain,
    attacked,
    outDomain: work.set.set,
    checked: inDomain ? withAccuracy(made, inDomain.figures) : made,
    sets,
    detection: inDomain ? detectionOf(inDomain.answers, sets, work.seed) : null,
  };
}

/** Out-domain images beside an attack on those in-domain: they stay as they are. */
function leaveAlone(work: AttackJob): Promise<Attacked> {
  const settings = attacks.fgsm.settings(0, { norm: work.settings.norm });
  return attackSet({ ...work, settings, attack: attacks.fgsm, title: "out-domain" });
}

/** A document's figures of an attack: all but what is said of its model, and of where it ran. */
export function attackFigures(
  work: AttackJob,
  { on, direction, inDomain, attacked, outDomain, checked, sets, detection, ...made }: AttackMade,
  mean: MeanOptions,
): Readonly<Record<string, unknown>> {
  const { settings, target, objective = objectives.published } = work;
  const { keepLabel = false, eot = 1 } = work;
  const { name, norm, epsilon, steps, stepSize, startNoise, projectStart } = settings;
  const { init, restarts } = settings;
  const inTarget = ({ predictions }: Answers): number | null =>
    target === undefined ? null : classRows(predictions, target);
  return {
    epsilonAttack: epsilon,
    attack: {
      name,
      objective: objective.name,
      direction,
      on,
      keepLabel,
      norm,
      steps,
      stepSize,
      start: { noise: startNoise, projected: projectStart },
      init: init ?? null,
      restarts: restarts ?? 0,
      eot,
      targeted: target ?? null,
    },
    inDomain: inDomain?.figures ?? null,
    outDomain: identified(outDomain),
    clean: { ...uncertainties(attacked.clean, mean), targeted: inTarget(attacked.clean) },
    adversarial: {
      ...uncertainties(attacked.adversarial, mean),
      targeted: inTarget(attacked.adversarial),
      distance: attacked.distance.reduce((a, b) => Math.max(a, b), 0),
    },
    detection,
    calibration: inDomain?.calibration ?? null,
    confident: confidentShares(inDomain?.answers, sets),
    curves: {
      tau: tauCurve(inDomain?.answers, sets),
      epsilon: epsilonCurve(work, { on, inDomain, attacked, checked, ...made }),
    },
    checks: checksResult(checked.checks),
    inDomainAttack: made.inDomainAttack
      ? inDomainAttackFigures(made.inDomainAttack, {
        clean: attacked.clean,
        attacked: on === "both" ? attacked.adversarial : undefined,
      }, mean)
      : null,
    // Where those in-domain alone are attacked, the checks are of that attack.
    warnings: on === "in"
      ? warningsOf(checked.checks)
      : [...warningsOf(checked.checks), ...ownWarnings(made)],
  };
}

/** The attacked set, as a document names it. */
function identified(set: ImageSet): Readonly<Record<string, unknown>> {
  const { name, count, sha256, listSha256, classes } = set;
  return {
    name,
    count,
    sha256,
    listSha256: listSha256 ?? null,
    ...readFacts(set),
    classNames: classes ? [...classes] : null,
  };
}

/** What the checks of the attack in-domain say. */
function ownWarnings({ inDomainAttack: own }: Pick<AttackMade, "inDomainAttack">): string[] {
  return own ? warningsOf(own.checked.checks).map((warning) => `In-domain: ${warning}`) : [];
}

/** The curve against the radius, on the checks' sample of the set that was attacked. */
function epsilonCurve(
  { settings: { epsilon }, seed }: AttackJob,
  { on, inDomain, attacked, checked, inDomainAttack: own }: Pick<
    AttackMade,
    "on" | "inDomain" | "attacked" | "checked" | "inDomainAttack"
  >,
): EpsilonPoint[] {
  const { index, half } = own && on === "in" ? own.checked : checked;
  const at = (answers: Answers): Answers => answersAt(told(answers), index);
  // Scores that the checks did not ask for have no curve.
  const told = (answers: Answers): Answers => {
    const names = Object.keys(half.adversarial.scores);
    const scores = Object.entries(answers.scores).filter(([name]) => names.includes(name));
    return { ...answers, scores: Object.fromEntries(scores) };
  };
  const points: readonly (readonly [Answers, number])[] = own && on === "in"
    ? [
      [at(own.attacked.clean), 0],
      [own.checked.half.adversarial, epsilon / 2],
      [at(own.attacked.adversarial), epsilon],
    ]
    : [[at(attacked.clean), 0], [half.adversarial, epsilon / 2], [
      at(attacked.adversarial),
      epsilon,
    ]];
  return points.map(([answers, radius]) =>
    on === "in"
      ? epsilonPoint(answers, attacked.clean, radius, seed, answers)
      : epsilonPoint(inDomain && told(inDomain.answers), answers, radius, seed)
  );
}
