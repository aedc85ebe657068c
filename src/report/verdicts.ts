/**
 * What figures mean, in a sentence or two.
 *
 * @module
 */
import { isOwnName, setOfImages, sets } from "../../data/mod.ts";
import { counted, percent, plain, shown, shownRadius } from "../measure/shown.ts";
import { guesses, knows } from "../measure/guessing.ts";
import type { WorstCase } from "../measure/score_attacks.ts";
import { type Network, networks } from "../methods/mod.ts";
import type { AttackResult, EvalResult, Uncertainty } from "../experiment/documents.ts";
import { type InDomainAttacked, inDomainVerdict, lessSureVerdict } from "./other_attacks.ts";
import {
  answerNames,
  className,
  type ClassNames,
  normName,
  shortScoreName,
  subjectTitle,
  tau,
} from "./words.ts";

/** Changes smaller than these are not worth a verdict. */
const notable = { rejection: 0.01, entropy: 0.05, target: 0.01 } as const;

/** How many images are rejected; runs of older versions have only a share. */
interface Counted {
  readonly rejectedImages?: number | undefined;
}

/** How many images are taken for the target; runs of older versions do not say it. */
interface Steered {
  readonly targeted?: number | null | undefined;
}

/** A set; runs of older versions do not name it. */
interface Named {
  readonly name?: string | undefined;
}

/** Test images that are right, as a mean and as a number; runs of older versions do not count them. */
interface InDomainMeans {
  readonly count: number;
  readonly accuracy: number | null;
  readonly right?: number | null | undefined;
}

interface Area {
  readonly auroc: { readonly value: number | null };
}

interface Detection {
  readonly scores: Readonly<Record<string, { readonly clean: Area; readonly attacked: Area }>>;
}

type Checks = Readonly<
  Record<string, { readonly holds: boolean; readonly warning: string | null }>
>;

/** What a verdict on an attack looks at. */
export interface AttackFigures extends Pick<AttackResult, "mode" | "model" | "epsilonAttack"> {
  readonly attack:
    & Pick<AttackResult["attack"], "targeted" | "norm">
    & {
      readonly [K in "direction" | "on"]?: AttackResult["attack"][K] | undefined;
    };
  /** The attack in-domain, where one was made. */
  readonly inDomainAttack?: InDomainAttacked | null | undefined;
  readonly inDomain?:
    | Named & {
      readonly classNames?: ClassNames | undefined;
      readonly count?: number | undefined;
      readonly accuracy?: number | null | undefined;
    }
    | null
    | undefined;
  /** What is said in its place where there are no such images. */
  readonly withoutInDomain?: { readonly classNames: ClassNames } | undefined;
  readonly outDomain: { readonly count: number };
  readonly clean: Uncertainty & Counted & Steered;
  readonly adversarial:
    & Uncertainty
    & Counted
    & Steered
    & Pick<AttackResult["adversarial"], "distance" | "nanRows">;
  /** Detectors; reports of older runs may have none. */
  readonly detection?: Detection | null | undefined;
  readonly checks?: { readonly results: Checks } | undefined;
}

/** What a verdict on an evaluation looks at. */
export interface EvalFigures extends Pick<EvalResult, "model"> {
  readonly inDomain: Named & {
    readonly count: number;
    readonly right?: number | null | undefined;
    readonly classes?: number | undefined;
  };
  readonly outDomain: Uncertainty & Counted & { readonly count: number };
}

/** What an attack's figures mean, in a sentence or two. */
export function verdict(result: AttackFigures): string {
  const { clean, adversarial, outDomain, epsilonAttack, attack } = result;
  const { targeted } = attack;
  const [before, after] = [rejected(clean, outDomain), rejected(adversarial, outDomain)];
  const rates = `${subjectTitle(result)} had rejected ${percent(before)} of the images below a ` +
    `confidence of ${tau}, now ${percent(after)}`;
  const entropies = clean.entropy === null || adversarial.entropy === null
    ? ""
    : `; the mean entropy went from ${shown(clean.entropy, "entropy")} to ${
      shown(adversarial.entropy, "entropy")
    } nats`;
  const bounds = `${bounded(attack.norm)} changed by more than ${plain(adversarial.distance)}` +
    (adversarial.nanRows > 0
      ? `; ${adversarial.nanRows} answers were no numbers and count as rejected`
      : "");
  const area = areas(result);
  const { holds = true, warning = null } = result.checks?.results["accuracy"] ?? {};
  const unfit = holds || warning === null ? "" : `${warning}. `;
  const gained = entropies === "" ? 0 : (adversarial.entropy ?? 0) - (clean.entropy ?? 0);
  if (targeted !== null) {
    const sure = sureness(after - before, gained);
    return `${unfit}${reached(result, targeted, unfit === "")}. The answers are ${sure}: ` +
      `${rates}${entropies}${area}. ${bounds}.`;
  }
  const rest = `${entropies}${area}. ${bounds}.`;
  const own = result.inDomainAttack &&
    inDomainVerdict({
      ...result,
      inDomainAttack: result.inDomainAttack,
      inDomain: result.inDomain ?? {},
    });
  if (own && attack.on === "in") return `${unfit}${own}`;
  if (own) return `${verdict({ ...result, inDomainAttack: null })} ${own}`;
  if (attack.direction === "under") {
    const { count } = outDomain;
    return unfit +
      lessSureVerdict({ rates, before, after, count, least: notable.rejection, rest });
  }
  if (unfit !== "") return `${unfit}The attack gives: ${rates}${entropies}${area}. ${bounds}.`;
  if (before - after >= notable.rejection) {
    return `The attack works: ${rates}, so ${passed(result)} more of ` +
      `${outDomain.count} out-domain images are taken for ${
        known(result) ?? "something known"
      }${entropies}${area}. ${bounds}.`;
  }
  if (after - before >= notable.rejection) {
    return `The attack backfires: ${rates}${entropies}${area}. ${bounds}.`;
  }
  if (entropies !== "" && Math.abs(gained) >= notable.entropy) {
    return `The attack makes the answers ${gained < 0 ? "surer" : "less sure"} but ` +
      `hardly changes what is rejected: ${rates}${entropies}${area}. ${bounds}.`;
  }
  return `The attack changes next to nothing at epsilon ${shownRadius(epsilonAttack)}: ` +
    `${rates}${entropies}${area}. ${bounds}.`;
}

function bounded(norm: string): string {
  return norm === "linf" ? "No pixel" : `By ${normName(norm)} no image`;
}

/**
 * How many images an attack brought to its class: what it was to do, whatever became of the uncertainty.
 *
 * @param judged whether to say what to think of it
 */
function reached(result: AttackFigures, target: number, judged: boolean): string {
  const { clean, adversarial, outDomain: { count } } = result;
  const attack = `The attack, steered to ${className(answerNames(result), target)},`;
  const [before, after] = [clean.targeted ?? null, adversarial.targeted ?? null];
  if (before === null || after === null) return `${attack} was made on ${count} images`;
  const gained = (after - before) / count;
  const how = !judged
    ? "gives"
    : gained <= -notable.target
    ? "backfires"
    : gained < notable.target
    ? "moves next to nothing there"
    : after / count < 0.5
    ? "works in part"
    : "works";
  return `${attack} ${how}: of ${count} out-domain images ${before} (${
    percent(before / count)
  }) were taken for it, now ${after} (${percent(after / count)})`;
}

/** What became of how sure the answers are, by the changes of rejection and of entropy. */
function sureness(rejection: number, entropy: number): string {
  const changes = [
    Math.abs(rejection) < notable.rejection ? 0 : Math.sign(rejection),
    Math.abs(entropy) < notable.entropy ? 0 : Math.sign(entropy),
  ];
  const [surer, less] = [changes.includes(-1), changes.includes(1)];
  if (surer && less) return "surer by one figure and less sure by another";
  return surer ? "surer" : less ? "less sure" : "about as sure as before";
}

/** What an evaluation's figures mean. */
export function evalVerdict(result: EvalFigures): string {
  const { outDomain, inDomain: { right, count, classes } } = result;
  const taught = known(result);
  const sentence =
    `Of ${outDomain.count} images ${
      taught === undefined ? "of no class that it knows" : `that are no ${taught}`
    } ${
      percent(rejected(outDomain, outDomain))
    } are rejected at a confidence of ${tau}, the others ` +
    `taken for ${taught ?? "something known"}.`;
  // Runs of older versions count neither what is right nor the classes; without labels nobody does.
  if (right === undefined || right === null || classes === undefined) return sentence;
  const hits = { right, count, classes };
  return knows(hits) ? sentence : `${guesses(hits)}. ${sentence}`;
}

/**
 * A line that says that figures are means of batch means, as published, where these are not what counts of images
 * give: a last batch that is smaller than the others weighs as much as they do.
 *
 * @param sets out-domain images, as they were and as they were attacked
 * @param outDomain how many these are
 * @param inDomain the test images; null where there are none
 */
export function meanNote(
  sets: readonly (Uncertainty & Counted)[],
  outDomain: { readonly count: number },
  inDomain: InDomainMeans | null,
): string | null {
  const { accuracy = null, right, count = NaN } = inDomain ?? {};
  const rates = [
    ...sets.map((of) => [of.rejection[tau] ?? 0, rejected(of, outDomain)] as const),
    ...accuracy === null ? [] : [[accuracy, (right ?? NaN) / count] as const],
  ];
  if (!rates.some(([mean, share]) => Math.abs(mean - share) > 1e-9)) return null;
  return `${
    accuracy === null ? "Mean" : "Accuracy, Brier score, NLL, mean"
  } entropy and rejection are means over ` +
    "batches, as published: a last, smaller batch weighs as much as the others. " +
    "The verdict counts rejected images one by one, and --mean samples weighs all images alike.";
}

/** Share of the images that are rejected, from their number where that is known. */
function rejected(
  { rejectedImages, rejection }: Uncertainty & Counted,
  { count }: { readonly count: number },
): number {
  return rejectedImages === undefined ? rejection[tau] ?? 0 : rejectedImages / count;
}

/**
 * What the model was taught: what the images in-domain show, or where no set is of their name, what those of
 * its network; undefined of a network that is somebody's own, of images of the user's own, and where there are none
 * in-domain.
 */
function known(
  { model, inDomain }: { readonly model: string; readonly inDomain?: Named | null | undefined },
): string | undefined {
  if (inDomain === null) return undefined;
  if (isOwnName(inDomain?.name ?? "")) return undefined;
  const network = Object.values<Network>(networks)
    .find(({ name }) => model === name || model.startsWith(`${name}_`));
  const taught = setOfImages(inDomain?.name ?? "") ?? (network && sets[network.inDomain]);
  return taught?.shows;
}

/** How many images more pass; about, where only a mean of batch means is known. */
function passed({ clean, adversarial, outDomain }: AttackFigures): string {
  if (clean.rejectedImages !== undefined && adversarial.rejectedImages !== undefined) {
    return String(clean.rejectedImages - adversarial.rejectedImages);
  }
  const share = (clean.rejection[tau] ?? 0) - (adversarial.rejection[tau] ?? 0);
  return `about ${Math.round(share * outDomain.count)}`;
}

/** AUROC by MSP, before and after. */
function areas({ detection }: AttackFigures): string {
  const { clean, attacked } = detection?.scores["maxProbability"] ?? {};
  const [before, after] = [clean?.auroc.value ?? null, attacked?.auroc.value ?? null];
  if (before === null || after === null) return "";
  return `; AUROC by ${shortScoreName("maxProbability")} went from ${shown(before, "area")} to ${
    shown(after, "area")
  }`;
}

/** AUROC up to which a score is said to tell little. */
const little = 0.7;

/** Which attacked score is left with most at its worst, and how many are left with little; none where there is none. */
export function worstVerdict(cases: readonly WorstCase[]): string[] {
  const [best] = cases;
  if (!best) return [];
  const { name, attack, auroc } = best;
  const on = attack === name ? "itself" : shortScoreName(attack);
  const under = attack === "clean"
    ? "on clean images"
    : `under the attack ${attack === "transfer" ? "of the run" : `on ${on}`}`;
  const most = (limit: number): number =>
    cases.filter(({ auroc: { value } }) => (value ?? 0) <= limit).length;
  return [
    `At its worst ${shortScoreName(name)} is left with most: an AUROC of ${
      shown(auroc.value, "area")
    } ${under}. Of ${counted(cases.length, "score")} attacked, ${
      most(little)
    } keep at most ${little} and ${
      most(0.5)
    } at most 0.5, which is chance. The worst is over all attacks: on every score, the run's, and none.`,
  ];
}
