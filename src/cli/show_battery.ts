/**
 * A battery's result as people read it.
 *
 * @module
 */
import type { BatteryResult } from "../experiment/battery_document.ts";
import { seedsOf } from "../experiment/seeds.ts";
import { counted, ofLabels, percent, shown, shownRadius } from "../measure/shown.ts";
import { modelTitle } from "../methods/mod.ts";
import { batteryVerdict, surrogateLines, winnersOf } from "../report/battery_words.ts";
import {
  headed,
  normName,
  posteriorText,
  shortScoreName,
  temperatureText,
} from "../report/words.ts";
import { columns, tableText, wrapped } from "./format.ts";

/**
 * The result of a battery: the verdict, the four columns by score, who won, and what each member cost.
 *
 * @param width columns of the terminal
 */
export function showBattery(result: BatteryResult, width = columns()): string {
  const { model, hyperparameters, protocol, battery, inDomain } = result;
  const { outDomain, attacked, epsilonAttack, accuracy, adapter, seconds } = result;
  return [
    headed(result, modelTitle(model, hyperparameters), [
      `protocol ${protocol}`,
      seedsOf(result),
    ]),
    ...posteriorText(result.posterior),
    `battery ${battery.name}, ${battery.mode}, epsilon ${shownRadius(epsilonAttack)}, ${
      normName(battery.norm)
    }${battery.keepLabel ? ", the predicted class kept" : ""}: ${
      counted(attacked.in, "image")
    } of ${inDomain.name}, ${counted(attacked.out, "image")} of ${outDomain.name}`,
    ...temperatureText(result),
    ...wrapped([batteryVerdict(result)], width),
    `accuracy: ${ofLabels(accuracy.clean, "accuracy")}, after every member ${
      accuracy.clean !== null && accuracy.robust === null
        ? "not attacked"
        : ofLabels(accuracy.robust, "accuracy")
    }`,
    "AUROC of in-domain (positive) against out-domain images, each image at its worst (intervals in the report):",
    columnsTable(result, width),
    "FPR95, and what the threshold that keeps 95 % of the clean in-domain images rejects and keeps:",
    thresholdTable(result, width),
    "AUROC with all of these attacked, by the members that are after the score itself (adaptive), and by the others (transfer):",
    aimsTable(result, width),
    "images that each member was the worst of, by the score:",
    winnersTable(result, width),
    "what each member cost:",
    costTable(result, width),
    ...surrogateLines(battery),
    ...battery.leftOut.map(({ name, why }) => `Left out: ${name}. ${why}`),
    `on ${adapter.description}${adapter.software ? " (software)" : ""}: setup ${
      seconds.setup.toFixed(1)
    } s, train ${seconds.train.toFixed(1)} s, attack ${seconds.attack.toFixed(1)} s`,
  ].join("\n");
}

/** What stands for a figure of images that were not attacked. */
const notAttacked = "-";

function columnsTable({ scores }: BatteryResult, width: number): string {
  return tableText(
    ["score", "clean", "in attacked", "out attacked", "both attacked"],
    Object.entries(scores).map(([name, { columns: { clean, in: own, out, both } }]) => [
      shortScoreName(name),
      ...[clean, own, out, both].map((of) => of ? shown(of.auroc.value, "area") : notAttacked),
    ]),
    { width },
  );
}

function thresholdTable({ scores }: BatteryResult, width: number): string {
  const share = (value: number | null | undefined): string =>
    value === undefined || value === null ? notAttacked : shown(value, "share");
  return tableText(
    ["score", "FPR95", "both attacked", "rejected", "worst out", "kept", "worst in"],
    Object.entries(scores).map(([name, { columns: { clean, both }, rejected, kept }]) => [
      shortScoreName(name),
      share(clean.fprAt95Tpr.value),
      share(both?.fprAt95Tpr.value),
      share(rejected.clean),
      share(rejected.worst),
      share(kept.clean),
      share(kept.worst),
    ]),
    { width },
  );
}

function aimsTable({ scores }: BatteryResult, width: number): string {
  const area = (value: number | null | undefined): string =>
    value === undefined || value === null ? notAttacked : shown(value, "area");
  return tableText(
    ["score", "all", "adaptive", "transfer"],
    Object.entries(scores).map(([name, { columns: { out, both }, adaptive, transfer }]) => [
      shortScoreName(name),
      area((both ?? out)?.auroc.value),
      area(both ? adaptive.both : adaptive.out),
      area(both ? transfer.both : transfer.out),
    ]),
    { width },
  );
}

function winnersTable(result: BatteryResult, width: number): string {
  const names = Object.keys(result.scores);
  return tableText(
    ["member", ...names.map(shortScoreName)],
    winnersOf(result).map(({ member, shares }) => [
      member,
      ...names.map((name) => percent(shares[name] ?? 0)),
    ]),
    { width },
  );
}

function costTable({ cost }: BatteryResult, width: number): string {
  const sides = { out: "out-domain", in: "in-domain" } as const;
  return tableText(
    ["member", "set", "images", "runs", "seconds"],
    cost.map(({ member, side, images, runs, seconds }) => [
      member,
      sides[side],
      String(images),
      String(runs),
      seconds.toFixed(1),
    ]),
    { width, texts: new Set(["member", "set"]) },
  );
}
