/**
 * Detectors, calibration and checks as people read them.
 *
 * @module
 */
import type { ChecksResult } from "../measure/schema.ts";
import type { AttackResult, EvalResult } from "../experiment/documents.ts";
import {
  attackedImages,
  noLabels,
  ofLabels,
  percent,
  shown,
  withInterval,
} from "../measure/shown.ts";
import { falls } from "../report/check_words.ts";
import { checkName, shortScoreName } from "../report/words.ts";
import { tableText } from "./format.ts";

/**
 * Lines on how well in-domain and out-domain images are told apart, and on what to think of it.
 *
 * @param width columns of the terminal
 */
export function showEvidence(result: AttackResult | EvalResult, width: number): string[] {
  const { detection, calibration, confident } = result;
  const shares = [
    ...confident.inDomain === null ? [] : [`in-domain ${percent(confident.inDomain)}`],
    `out-domain ${percent(confident.clean)}`,
    ..."attacked" in confident ? [`attacked ${percent(confident.attacked)}`] : [],
  ];
  const held = "checks" in result ? [checks(result.checks)] : [];
  if (detection === null) return [`confidence above 0.9: ${shares.join(", ")}`, ...held];
  const interval = `${Math.round(100 * detection.bootstrap.confidence)} % intervals`;
  return [
    `Telling in-domain (positive) from out-domain images, with ${interval}; FPR95 is the share of`,
    "out-domain images let through where 95 % of the in-domain ones are:",
    "checks" in result ? attackedTable(result, width) : cleanTable(result, width),
    `calibration in-domain: ECE ${
      ofLabels(calibration && calibration.ece, "calibration", calibration !== null)
    }; confidence above 0.9: ` +
    shares.join(", "),
    ...held,
  ];
}

/**
 * Lines on what an attack on in-domain images made of them; none where there was none.
 *
 * @param width columns of the terminal
 */
export function showInDomainAttack(
  { inDomainAttack: made, inDomain }: AttackResult,
  width: number,
): string[] {
  if (!made || !inDomain) return [];
  const rows = Object.entries(made.scores).map(([name, { kept, clean, attacked }]) => [
    shortScoreName(name),
    shown(kept, "share"),
    withInterval(clean.auroc),
    attacked ? withInterval(attacked.auroc) : "",
    shown(clean.fprAt95Tpr.value, "share"),
  ]);
  return [
    `in-domain images attacked to make the model ${
      made.direction === "under" ? "less sure" : "surer"
    }: ${inDomain.accuracy === null ? noLabels : percent(inDomain.accuracy)} right before, ${
      made.accuracy === null ? noLabels : percent(made.accuracy)
    } after; kept of them at the threshold that keeps`,
    "95 % of the clean ones, and told from out-domain images:",
    tableText(["score", "kept", "AUROC", "AUROC, both attacked", "FPR95"], rows, { width }),
  ];
}

function attackedTable({ detection }: AttackResult, width: number): string {
  return tableText(
    ["score", "AUROC clean", "AUROC attacked", "FPR95", "attacked"],
    Object.entries(detection?.scores ?? {}).map(([name, { clean, attacked }]) => [
      shortScoreName(name),
      withInterval(clean.auroc),
      withInterval(attacked.auroc),
      shown(clean.fprAt95Tpr.value, "share"),
      shown(attacked.fprAt95Tpr.value, "share"),
    ]),
    { width },
  );
}

function cleanTable({ detection }: EvalResult, width: number): string {
  return tableText(
    ["score", "AUROC", "AUPR-in", "AUPR-out", "FPR95"],
    Object.entries(detection.scores).map(([name, { clean }]) => [
      shortScoreName(name),
      withInterval(clean.auroc),
      shown(clean.auprIn.value, "area"),
      shown(clean.auprOut.value, "area"),
      shown(clean.fprAt95Tpr.value, "share"),
    ]),
    { width },
  );
}

/**
 * Lines on the scores that were asked for: what is left of each once an attack follows its own slope, beside the
 * run's own attack; none where none were asked for.
 *
 * @param width columns of the terminal
 */
export function showScoreAttacks({ scores }: AttackResult, width: number): string[] {
  if (!scores) return [];
  const { attacks, training } = scores;
  const matrix = attacks.matrix[attacks.on];
  const rows = Object.entries(attacks.results).map(([name, { clean, adaptive }]) => [
    shortScoreName(name),
    shown(clean.auroc.value, "area"),
    shown(matrix?.[name]?.["transfer"]?.auroc.value, "area"),
    withInterval(adaptive.auroc),
    shown(clean.fprAt95Tpr.value, "share"),
    shown(adaptive.fprAt95Tpr.value, "share"),
  ]);
  return [
    `Every score, fitted on ${training.count} images of ${training.name}, attacked by its own slope (adaptive) on ${
      attackedImages(attacks)
    }, and by the attack above on the same (transfer):`,
    tableText(
      ["score", "AUROC clean", "transfer", "adaptive", "FPR95 clean", "adaptive"],
      rows,
      { width },
    ),
  ];
}

/** The checks in a line, with the names of those that fail; these have their warnings besides. */
function checks({ images, effect, results }: ChecksResult): string {
  const all = Object.entries(results);
  const failed = all.filter(([, { holds }]) => !holds).map(([name]) => `"${checkName(name)}"`);
  const but = failed.length > 0 ? `, not ${failed.join(", ")}` : "";
  const { attack = null, noise = null } = results["control"]?.figures ?? {};
  return `checks: ${
    all.length - failed.length
  } of ${all.length} hold${but}; on ${images} images the ` +
    `${effect} ${falls(attack, "under noise of the same size", noise)}`;
}
