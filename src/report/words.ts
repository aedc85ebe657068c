/**
 * What figures mean, in plain words, and what everything in them is called: each name stands here once.
 *
 * A name that is not known here, of a model, method, score or check of somebody's own, is shown as it is.
 *
 * @module
 */
import { basename } from "node:path";
import { preparedText } from "../../data/mod.ts";
import { type Attack, attacks, type Norm, norms } from "../attack/mod.ts";
import { shortened } from "../base/errors.ts";
import { brief, counted, plain, shown, shownRadius } from "../measure/shown.ts";
import type { CheckName } from "../measure/check.ts";
import type { TemperatureResult } from "../measure/results.ts";
import { isImported, type Method, methods } from "../methods/mod.ts";
import type { AttackResult, PosteriorResult, ReadFacts } from "../experiment/documents.ts";
import { ownMode } from "../experiment/verify.ts";

/** The threshold that the paper's tables report. */
export const tau = "0.9";

/** `10 steps of 0.01`; `100 steps of at most 0.2` of an attack that finds their lengths by itself. */
export function stepsText(
  { name, steps, stepSize }: Pick<AttackResult["attack"], "name" | "steps" | "stepSize">,
): string {
  const adaptive = Object.values<Attack>(attacks).find((of) => of.name === name)?.adaptive;
  return `${counted(steps, "step")} of ${adaptive ? "at most " : ""}${plain(stepSize)}`;
}

/** What is said of an attack besides its name and its steps: whatever was chosen otherwise than usual. */
export function attackChoices(
  { norm, objective, direction, on, keepLabel, init, restarts, eot }:
    & Pick<AttackResult["attack"], "norm" | "objective">
    & { readonly [K in keyof AttackResult["attack"]]?: AttackResult["attack"][K] | undefined },
): string[] {
  const among = on === "both" ? "of both sets" : on === "in" ? "in-domain only" : undefined;
  return [
    ...norm === "linf" ? [] : [normName(norm)],
    ...objective === "published" ? [] : [`objective ${shortened(objective)}`],
    ...direction === "under" ? ["to make less sure"] : [],
    ...among ? [`images ${among}`] : [],
    ...keepLabel ? ["the predicted class kept"] : [],
    ...init ? [`start ${init}`] : [],
    ...restarts ? [counted(restarts, "restart")] : [],
    ...eot !== undefined && eot > 1 ? [`${eot} draws a step`] : [],
  ];
}

/** What is known of an answer that may be calibrated. */
interface MaybeCalibrated {
  readonly temperature?: TemperatureResult | undefined;
  /** The images that the temperature was not fitted on. */
  readonly inDomain?: { readonly count: number } | null | undefined;
}

/** What is said of a calibrated answer; nothing of one that is as the method gives it. */
export function temperatureText({ temperature, inDomain }: MaybeCalibrated): string[] {
  if (!temperature) return [];
  const { value, set, unscaled, scaled } = temperature;
  const whither = value < 1 ? " (below 1: surer answers)" : " (above 1: less sure answers)";
  const others = inDomain ? `the other ${inDomain.count}` : "the others";
  return [
    `temperature ${brief(value)}${value === 1 ? "" : whither}, fitted on ${
      counted(set.count, "image")
    } of ${set.name}, which the figures leave out: on ${others} NLL went from ${
      shown(unscaled.nll, "nll")
    } to ${shown(scaled.nll, "nll")}, ECE from ${shown(unscaled.ece, "calibration")} to ${
      shown(scaled.ece, "calibration")
    }, means over images`,
  ];
}

/** The name of a norm in prose; its own where nobody knows it. */
export function normName(norm: string): string {
  return Object.values<Norm>(norms).find(({ name }) => name === norm)?.title ?? norm;
}

/** Names of classes, in the order of the labels; null or none where nobody says them. */
export type ClassNames = readonly string[] | null;

/** What a method is called. */
export function title(mode: string): string {
  return Object.entries<Method>(methods).find(([name]) => name === mode)?.[1].title ?? mode;
}

type Whose = Pick<AttackResult, "mode" | "model">;

/** Whether an approximation is put around a model out of a file. */
function isAround({ mode, model }: Whose): boolean {
  const [, method] = Object.entries<Method>(methods).find(([name]) => name === mode) ?? [];
  return isImported(model) && method?.posterior === true;
}

/** Who is attacked: the method; a model of the user's own by its name, and by what is put around its file. */
export function subjectTitle({ mode, model }: Whose): string {
  const own = shortened(model, 60);
  if (isAround({ mode, model })) return `${title(mode)} around ${own}`;
  return mode === ownMode || isImported(model) ? own : title(mode);
}

/** `SNGP (LeNet_SNGP, seed 0)`: a method, and in brackets its network, unless it is named before, and more. */
export function headed(whose: Whose, network: string, more: readonly string[]): string {
  return isAround(whose)
    ? `${subjectTitle(whose)} (${more.join(", ")})`
    : `${title(whose.mode)} (${[network, ...more].join(", ")})`;
}

/** What a class is called: "digit 4", or "class 4" where its set has no names. */
export function className(names: ClassNames | undefined, label: number): string {
  return names?.[label] ?? `class ${label}`;
}

/** What is known of a model's classes; runs of older versions name none. */
interface Naming {
  /** Null where there are no such images. */
  readonly inDomain?: { readonly classNames?: ClassNames | undefined } | null | undefined;
  /** What stands in its place then. */
  readonly withoutInDomain?: { readonly classNames: ClassNames } | undefined;
}

/** What the classes that a model tells apart are called: as its in-domain set, or else its file, has them. */
export function answerNames({ inDomain, withoutInDomain }: Naming): ClassNames | undefined {
  return inDomain?.classNames ?? withoutInDomain?.classNames;
}

/** What an attack is steered to; undefined of one that goes from the model's own answer. */
export function targetName(
  result: Naming & { readonly attack: { readonly targeted: number | null } },
): string | undefined {
  const { attack: { targeted } } = result;
  return targeted === null ? undefined : className(answerNames(result), targeted);
}

/** What scores are called in a sentence, and in a narrow column. */
const scoreNames: Names<readonly [name: string, short: string]> = {
  maxProbability: ["MSP", "MSP"],
  maxKernel: ["largest kernel value", "max K"],
  maxLogKernel: ["largest log kernel value", "max log K"],
  mutualInformation: ["mutual information", "mutual inf."],
  maxLogit: ["largest logit", "max logit"],
  gen: ["generalised entropy (GEN)", "GEN"],
  margin: ["gap between the two largest logits (margin)", "margin"],
  scaledProbability: ["MSP after temperature scaling", "scaled MSP"],
  odin: ["ODIN", "ODIN"],
  mahalanobis: ["Mahalanobis distance", "Mahalanobis"],
  relativeMahalanobis: ["relative Mahalanobis distance", "relative Mah."],
  gaussian: ["distance from the mean of all features (Gaussian)", "Gaussian"],
  knn: ["distance from the 50th neighbour (KNN)", "KNN"],
  vim: ["ViM", "ViM"],
  ddu: ["density of the features (DDU)", "DDU"],
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

/** What another reading of the same answers is called; where these are at a temperature, that it is not. */
export function readingName(reading: string, { temperature }: MaybeCalibrated): string {
  return (named(readingNames, reading) ?? words(reading)) + (temperature ? " (not scaled)" : "");
}

const checkNames: Names & Readonly<Record<CheckName, string>> = {
  zeroGradient: "every image has a gradient at the first step",
  finiteGradient: "every gradient is finite, at every step",
  ball: "every image stays within the radius",
  box: "pixels stay within 0 and 1",
  loss: "the attack lowers the loss that it follows",
  control: "the attack does more than noise of the same size",
  epsilon: "half the radius does no more",
  convergence: "a stronger attack does not do clearly more",
  accuracy: "the model is better than guessing in-domain",
  randomAnswers: "the model answers twice the same",
  atRest: "the loss has come to rest",
  unbounded: "without a bound the attack does no less",
  maskedGradient: "a search without a gradient does no more",
};

/** What a check asks of an attack. */
export function checkName(check: string): string {
  return named(checkNames, check) ?? words(check);
}

const optionNames: Names = {
  epsilonAttack: "attack's epsilon",
  epsilon: "training's epsilon",
  inDomain: "in-domain",
  outDomain: "out-domain",
  mean: "mean over",
};

/** What an option is called among others: the words of its flag, but for a few that need more. */
export function optionName(option: string): string {
  return named(optionNames, option) ?? words(option).toLowerCase();
}

/** A setting's value for people: of a path, which may be long and of one machine, its last part. */
export function settingText(option: string, value: unknown): string {
  if (option === "epsilonAttack" && typeof value === "number") return shownRadius(value);
  if (typeof value === "string" && /[/\\]/.test(value)) return basename(value);
  return String(value);
}

/** An option as it was chosen: `temperature scaling`, `no augmentation`, `out-domain photos`. */
export function optionText(option: string, value: unknown): string {
  if (value === true) return optionName(option);
  if (value === false) return `no ${optionName(option)}`;
  return `${optionName(option)} ${settingText(option, value)}`;
}

/** On what posteriors were fitted, as a part of a line; nothing where there are none. */
export function posteriorText(posterior: PosteriorResult | undefined): string[] {
  if (!posterior) return [];
  const each = posterior.training.map(({ name, count }) => `${counted(count, "image")} of ${name}`);
  const alike = new Set(each).size === 1;
  return [
    `Laplace: precision over ${alike ? each[0] : each.join("; ")}${
      alike && each.length > 1 ? " each" : ""
    }`,
  ];
}

/** What became of a set's files and images, in brackets; nothing where nothing did. */
export function readText({ skipped, prepared }: ReadFacts): string {
  const parts = [
    skipped > 0 ? `${counted(skipped, "broken file")} left out` : "",
    preparedText(prepared),
  ].filter(Boolean);
  return parts.length > 0 ? ` (${parts.join("; ")})` : "";
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
