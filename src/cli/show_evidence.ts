/**
 * Detectors, calibration and checks as people read them.
 *
 * @module
 */
import type { SanityResult, SeparationResult } from "../measure/schema.ts";
import type { AttackResult, EvalResult } from "../experiment/documents.ts";
import { round } from "../measure/shown.ts";
import { percent } from "../measure/shown.ts";
import { newTable, number } from "./format.ts";

/** What scores are called. */
const scoreNames: Readonly<Record<string, string>> = {
  maxProbability: "max p",
  maxKernel: "max K",
  maxLogKernel: "max log K",
  mutualInformation: "mutual inf.",
};

/** Lines on how well in-domain and out-domain images are told apart, and on what to think of it. */
export function showEvidence(result: AttackResult | EvalResult): string[] {
  const { detection, calibration, confident } = result;
  const interval = `${Math.round(100 * detection.bootstrap.confidence)} % intervals`;
  const shares = [
    `in-domain ${percent(confident.inDomain)}`,
    `out-domain ${percent(confident.clean)}`,
    ..."attacked" in confident ? [`attacked ${percent(confident.attacked)}`] : [],
  ];
  return [
    `Telling in-domain (positive) from out-domain images, with ${interval}; FPR95 is the share of`,
    "out-domain images let through where 95 % of the in-domain ones are:",
    "sanity" in result ? attackedTable(result) : cleanTable(result),
    `calibration in-domain: ECE ${number(calibration.ece, 4)}; confidence above 0.9: ` +
    shares.join(", "),
    ..."sanity" in result ? [checks(result.sanity)] : [],
  ];
}

function attackedTable({ detection }: AttackResult): string {
  const table = newTable(["score", "AUROC clean", "AUROC attacked", "FPR95", "attacked"]);
  for (const [name, { clean, attacked }] of Object.entries(detection.scores)) {
    table.push([
      scoreNames[name] ?? name,
      withInterval(clean.auroc),
      withInterval(attacked.auroc),
      number(clean.fprAt95Tpr.value, 3),
      number(attacked.fprAt95Tpr.value, 3),
    ]);
  }
  return table.toString();
}

function cleanTable({ detection }: EvalResult): string {
  const table = newTable(["score", "AUROC", "AUPR-in", "AUPR-out", "FPR95"]);
  for (const [name, { clean }] of Object.entries(detection.scores)) {
    table.push([
      scoreNames[name] ?? name,
      withInterval(clean.auroc),
      number(clean.auprIn.value, 3),
      number(clean.auprOut.value, 3),
      number(clean.fprAt95Tpr.value, 3),
    ]);
  }
  return table.toString();
}

function withInterval({ value, low, high }: SeparationResult["auroc"]): string {
  return `${number(value, 3)} [${number(low, 3)}, ${number(high, 3)}]`;
}

/** The checks in a line; those that fail have their warnings. */
function checks({ images, effect, checks }: SanityResult): string {
  const all = Object.values(checks);
  const held = all.filter(({ holds }) => holds).length;
  const { attack = null, noise = null } = checks["control"]?.figures ?? {};
  return `checks: ${held} of ${all.length} hold; on ${images} images the ${effect} falls by ` +
    `${round(attack ?? NaN)}, under noise of the same size by ${round(noise ?? NaN)}`;
}
