/**
 * What figures mean, in plain words, and what everything in them is called: each name stands here once.
 *
 * A name that is not known here, of a model, method, score or check of somebody's own, is shown as it is.
 *
 * @module
 */
import { setOfImages, sets } from "../../data/mod.ts";
import { type Attack, attacks, type Norm, norms } from "../attack/mod.ts";
import { counted, percent, plain, shown } from "../measure/shown.ts";
import type { CheckName } from "../measure/check.ts";
import { guesses, knows } from "../measure/guessing.ts";
import { type Method, methods, type Network, networks } from "../methods/mod.ts";
import type { AttackResult, EvalResult, Uncertainty } from "../experiment/documents.ts";

/** The threshold that the paper's tables report. */
export const tau = "0.9";

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
  readonly attack: Pick<AttackResult["attack"], "targeted" | "norm">;
  readonly inDomain?: Named & { readonly classNames?: ClassNames | undefined } | undefined;
  readonly outDomain: { readonly count: number };
  readonly clean: Uncertainty & Counted & Steered;
  readonly adversarial:
    & Uncertainty
    & Counted
    & Steered
    & Pick<AttackResult["adversarial"], "distance" | "nanRows">;
  /** Detectors; reports of older runs may have none. */
  readonly detection?: Detection | undefined;
  readonly checks?: { readonly results: Checks } | undefined;
}

/** What a verdict on an evaluation looks at. */
export interface EvalFigures extends Pick<EvalResult, "model"> {
  readonly inDomain: Named & {
    readonly count: number;
    readonly right?: number | undefined;
    readonly classes?: number | undefined;
  };
  readonly outDomain: Uncertainty & Counted & { readonly count: number };
}

/** What an attack's figures mean, in a sentence or two. */
export function verdict(result: AttackFigures): string {
  const { mode, clean, adversarial, outDomain, epsilonAttack, attack } = result;
  const { targeted } = attack;
  const [before, after] = [rejected(clean, outDomain), rejected(adversarial, outDomain)];
  const rates = `${title(mode)} had rejected ${percent(before)} of the images below a confidence ` +
    `of ${tau}, now ${percent(after)}`;
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
  return `The attack changes next to nothing at epsilon ${epsilonAttack}: ` +
    `${rates}${entropies}${area}. ${bounds}.`;
}

/** `10 steps of 0.01`; `100 steps of at most 0.2` of an attack that finds their lengths by itself. */
export function stepsText(
  { name, steps, stepSize }: Pick<AttackResult["attack"], "name" | "steps" | "stepSize">,
): string {
  const adaptive = Object.values<Attack>(attacks).find((of) => of.name === name)?.adaptive;
  return `${counted(steps, "step")} of ${adaptive ? "at most " : ""}${plain(stepSize)}`;
}

/** The name of a norm in prose; its own where nobody knows it. */
export function normName(norm: string): string {
  return Object.values<Norm>(norms).find(({ name }) => name === norm)?.title ?? norm;
}

function bounded(norm: string): string {
  return norm === "linf" ? "No pixel" : `By ${normName(norm)} no image`;
}

/**
 * How many images an attack brought to its class: what it was to do, whatever became of the uncertainty.
 *
 * @param judged whether to say what to think of it
 */
function reached(
  { clean, adversarial, inDomain, outDomain: { count } }: AttackFigures,
  target: number,
  judged: boolean,
): string {
  const attack = `The attack, steered to ${className(inDomain?.classNames, target)},`;
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
  // Runs of older versions count neither what is right nor the classes.
  if (right === undefined || classes === undefined) return sentence;
  const hits = { right, count, classes };
  return knows(hits) ? sentence : `${guesses(hits)}. ${sentence}`;
}

/**
 * A line below a table of rates that are means of batch means, as published, where these are not what the
 * verdict counts: the last batch is smaller than the others, and its images weigh more.
 */
export function meanNote(
  sets: readonly (Uncertainty & Counted)[],
  count: number,
): string | null {
  const differ = sets.some(({ rejectedImages, rejection }) =>
    rejectedImages !== undefined &&
    Math.abs(rejectedImages / count - (rejection[tau] ?? 0)) > 1e-9
  );
  return differ
    ? "Mean entropy and rejection in tables are means of batch means, as published; the verdict counts images."
    : null;
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
 * its network; undefined of a network that is somebody's own.
 */
function known(
  { model, inDomain }: { readonly model: string; readonly inDomain?: Named | undefined },
): string | undefined {
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

/** AUROC by the largest probability, before and after. */
function areas({ detection }: AttackFigures): string {
  const { clean, attacked } = detection?.scores["maxProbability"] ?? {};
  const [before, after] = [clean?.auroc.value ?? null, attacked?.auroc.value ?? null];
  if (before === null || after === null) return "";
  return `; AUROC by ${shortScoreName("maxProbability")} went from ${shown(before, "area")} to ${
    shown(after, "area")
  }`;
}

/** Names of classes, in the order of the labels; null or none where nobody says them. */
export type ClassNames = readonly string[] | null;

/** What a method is called. */
export function title(mode: string): string {
  return Object.entries<Method>(methods).find(([name]) => name === mode)?.[1].title ?? mode;
}

/** What a class is called: "digit 4", or "class 4" where its set has no names. */
export function className(names: ClassNames | undefined, label: number): string {
  return names?.[label] ?? `class ${label}`;
}

/** What an attack is steered to; undefined of one that goes from the model's own answer. */
export function targetName(
  { attack: { targeted }, inDomain }: {
    readonly attack: { readonly targeted: number | null };
    readonly inDomain?: { readonly classNames?: ClassNames | undefined } | undefined;
  },
): string | undefined {
  return targeted === null ? undefined : className(inDomain?.classNames, targeted);
}

/** What scores are called in a sentence, and in a narrow column. */
const scoreNames: Names<readonly [name: string, short: string]> = {
  maxProbability: ["largest probability", "max p"],
  maxKernel: ["largest kernel value", "max K"],
  maxLogKernel: ["largest log kernel value", "max log K"],
  mutualInformation: ["mutual information", "mutual inf."],
};

/** What a score is called. */
export function scoreName(score: string): string {
  return named(scoreNames, score)?.[0] ?? words(score);
}

/** What a score is called where there is little room. */
export function shortScoreName(score: string): string {
  return named(scoreNames, score)?.[1] ?? words(score);
}

const readingNames: Names = {
  kernel: "kernel value",
  meanOfLogits: "mean of logits",
  meanOfProbabilities: "mean of probabilities",
};

/** What another reading of the same answers is called. */
export function readingName(reading: string): string {
  return named(readingNames, reading) ?? words(reading);
}

const checkNames: Names & Readonly<Record<CheckName, string>> = {
  zeroGradient: "every image has a gradient",
  finiteGradient: "every gradient is finite",
  ball: "images stay within the radius",
  box: "pixels stay within 0 and 1",
  loss: "the loss falls",
  control: "does more than noise of the same size",
  epsilon: "does no less than half the radius",
  convergence: "a stronger attack does not clearly more",
  accuracy: "the model is better than guessing in-domain",
};

/** What a check asks of an attack. */
export function checkName(check: string): string {
  return named(checkNames, check) ?? words(check);
}

const checkFigureNames: Names = {
  share: "share of images",
  before: "loss before",
  attack: "this attack",
  margin: "margin asked for",
  full: "this attack",
  half: "half the radius",
  stronger: "the stronger attack",
  auroc: "AUROC under this attack",
  aurocStronger: "AUROC under the stronger attack",
  chance: "by guessing",
};

/** What a figure of a check is called. */
export function checkFigureName(figure: string): string {
  return named(checkFigureNames, figure) ?? words(figure);
}

const optionNames: Names = {
  epsilonAttack: "attack's epsilon",
  epsilon: "training's epsilon",
};

/** What an option is called among others: by the name in its document, but for the two radii. */
export function optionName(option: string): string {
  return named(optionNames, option) ?? option;
}

const roleNames: Names = {
  train: "training",
  test: "in-domain test",
  outDomain: "out-domain",
};

/** What a set of images is there for. */
export function roleName(role: string): string {
  return named(roleNames, role) ?? words(role);
}

/** `tprAtFpr` as words. */
export function words(name: string): string {
  return name.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

type Names<T = string> = Readonly<Record<string, T>>;

/** The entry of this name, and none of those that every object has. */
function named<T>(names: Names<T>, name: string): T | undefined {
  return Object.hasOwn(names, name) ? names[name] : undefined;
}
