/**
 * The report of an evaluation.
 *
 * @module
 */
import { seedsOf } from "../experiment/seeds.ts";
import { modelTitle } from "../methods/mod.ts";
import { ofLabels, shown } from "../measure/shown.ts";
import { posteriorText, readingName, subjectTitle, tau, temperatureText } from "./words.ts";
import { evalVerdict } from "./verdicts.ts";
import { draw } from "./charts.ts";
import type { EvalContent } from "./content.ts";
import { histogram, rejectionCurve } from "./curves.ts";
import {
  cleanAreaRow,
  detectionSection,
  evidenceOf,
  evidenceSections,
  rejections,
  shownEvidence,
} from "./evidence.ts";
import { paragraph, section } from "./html.ts";
import { page } from "./page.ts";
import { scoresSection } from "./scores.ts";
import {
  averaged,
  configuration,
  furtherFigures,
  numbers,
  qualityTable,
  readRows,
} from "./sections.ts";

/** What the parts below show of the figures. */
const elsewhere = [
  "seed",
  "procedure",
  "hyperparameters",
  "posterior",
  "temperature",
  ...[
    "count",
    "classes",
    "accuracy",
    "right",
    "nanRows",
    "brier",
    "nll",
    "nllInfinite",
    "skipped",
    "prepared",
  ].map((name) => `inDomain.${name}`),
  ...[
    "count",
    "entropy",
    "rejection",
    "rejectedImages",
    "nanRows",
    "readings",
    "skipped",
    "prepared",
  ].map((name) => `outDomain.${name}`),
];

/** The page of an evaluation. */
export async function evalPage(content: EvalContent): Promise<string> {
  const { figures, clean } = content;
  const { protocol, inDomain, outDomain } = figures;
  const how = [
    modelTitle(figures.model, figures.hyperparameters),
    ...posteriorText(figures.posterior),
    `protocol ${protocol}`,
    `${inDomain.count} images of ${inDomain.name}, ${outDomain.count} of ${outDomain.name}`,
    ...temperatureText(figures),
  ];
  const evidence = evidenceOf(figures);
  const rates = { clean: outDomain.rejection, ...rejections(evidence) };
  return page(
    `${subjectTitle(figures)} evaluated, ${seedsOf(figures)}`,
    paragraph("about", how.join("; ")),
    paragraph("verdict", evalVerdict(figures)),
    ...averaged([outDomain], outDomain, inDomain),
    section(
      "Key figures",
      numbers(["", "value"], [
        ...cleanAreaRow(evidence),
        ["mean entropy out-domain (nats)", shown(outDomain.entropy, "entropy")],
        [`share rejected at ${tau}`, shown(outDomain.rejection[tau], "share")],
        ["accuracy in-domain", ofLabels(inDomain.accuracy, "accuracy")],
      ]),
    ),
    section(
      "Confidence",
      await draw(histogram({ clean }), rejectionCurve(rates)),
    ),
    section(
      "All figures",
      numbers(["out-domain", outDomain.name], [
        ...readRows(outDomain),
        ["mean entropy (nats)", shown(outDomain.entropy, "entropy")],
        ...Object.entries(outDomain.rejection).map((
          [at, rate],
        ) => [`share rejected at ${at}`, shown(rate, "share")]),
        ["answers that are no numbers", String(outDomain.nanRows)],
        ...readingRows(figures),
      ]),
      qualityTable(inDomain),
    ),
    detectionSection(evidence, outDomain.count),
    await scoresSection(evidence),
    await evidenceSections(evidence),
    furtherFigures(figures, [...elsewhere, ...shownEvidence(evidence)]),
    configuration(content),
  );
}

/** The other readings of the answers, as the page of an attack has them. */
function readingRows(figures: EvalContent["figures"]): string[][] {
  const { readings, count } = figures.outDomain;
  return Object.entries(readings).flatMap(([key, of]) => {
    const name = readingName(key, figures);
    const infinite = of.logConfidenceInfinite;
    return [
      [`${name}: entropy (nats)`, shown(of.entropy, "entropy")],
      [`${name}: share rejected at ${tau}`, shown(of.rejection[tau], "share")],
      [
        `${name}: mean of log max`,
        infinite > 0 ? `infinite (${infinite} of ${count})` : shown(of.logConfidence, "log"),
      ],
    ];
  });
}
