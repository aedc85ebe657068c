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
import { worstCases } from "../measure/score_attacks.ts";
import { falls } from "../report/check_words.ts";
import { worstVerdict } from "../report/verdicts.ts";
import { checkName, shortScoreName } from "../report/words.ts";
import { fittingTable, tableText } from "./format.ts";

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
    ...leftOutLines(result),
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

function attackedTable({ detection, outDomain, scores }: AttackResult, width: number): string {
  // Scores that are attacked by themselves are told twice: of a sample above, of all images here.
  const first = scores ? `all ${outDomain.count}` : "score";
  const rows = Object.entries(detection?.scores ?? {}).map(([name, { clean, attacked }]) => ({
    areas: [shortScoreName(name), withInterval(clean.auroc), withInterval(attacked.auroc)],
    shares: [clean, attacked].map(({ fprAt95Tpr }) => shown(fprAt95Tpr.value, "share")),
  }));
  const areas = [first, "AUROC clean", "AUROC attacked"];
  const whole = rows.map(({ areas, shares }) => [...areas, ...shares]);
  const narrow = rows.map(({ areas, shares }) => [...areas, shares.join(" → ")]);
  const head = [...areas, "FPR95", "attacked"];
  return fittingTable(head, whole, { width }) ??
    fittingTable([...areas, "FPR95"], narrow, { width }) ?? tableText(head, whole, { width });
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
 * run's own attack, the best at its worst first; none where none were asked for.
 *
 * @param width columns of the terminal
 */
export function showScoreAttacks(
  { scores }: Pick<AttackResult, "scores">,
  width: number,
): string[] {
  if (!scores) return [];
  const { attacks: { on, images, matrix, results }, training } = scores;
  const told = matrix[on] ?? {};
  const worst = worstCases(told, Object.keys(results));
  const rows = worst.map(({ name, auroc, fprAt95Tpr }) => [
    shortScoreName(name),
    ...["clean", "transfer", name].map((attack) =>
      shown(told[name]?.[attack]?.auroc.value, "area")
    ),
    withInterval(auroc),
    shown(fprAt95Tpr.value, "share"),
  ]);
  return [
    `Every score, fitted on ${training.count} images of ${training.name}, attacked by its own slope (adaptive) on ${
      attackedImages(scores.attacks)
    }, and by the attack above on the same (transfer); AUROC, and FPR95 at its worst:`,
    tableText(
      [`AUROC of ${images.in + images.out}`, "clean", "transfer", "adaptive", "worst", "FPR95"],
      rows,
      { width },
    ),
    ...worstVerdict(worst),
  ];
}

/** Lines on the scores that all were asked for and the model or its training images do not give. */
function leftOutLines({ scores }: AttackResult | EvalResult): string[] {
  return (scores?.leftOut ?? []).map(({ name, why }) =>
    `Left out: ${shortScoreName(name)}. ${why}.`
  );
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
