/**
 * The report of an evaluation.
 *
 * @module
 */
import { seedsText } from "../experiment/seeds.ts";
import { evalVerdict, tau, title } from "./words.ts";
import { draw } from "./charts.ts";
import type { EvalContent } from "./content.ts";
import { histogram, rejectionCurve } from "./curves.ts";
import {
  detectionSection,
  evidenceOf,
  evidenceSections,
  rejections,
  shownEvidence,
} from "./evidence.ts";
import { paragraph, section } from "./html.ts";
import { page } from "./page.ts";
import {
  averaged,
  configuration,
  furtherFigures,
  number,
  numbers,
  qualityTable,
} from "./sections.ts";

/** What the parts below show of the figures. */
const shown = [
  "seed",
  "procedure",
  "hyperparameters",
  ...["count", "classes", "accuracy", "right", "nanRows", "brier", "nll", "nllInfinite"].map((
    name,
  ) => `inDomain.${name}`),
  ...["count", "entropy", "rejection", "rejectedImages", "nanRows"].map((name) =>
    `outDomain.${name}`
  ),
];

/** The page of an evaluation. */
export async function evalPage(content: EvalContent): Promise<string> {
  const { figures, clean } = content;
  const { mode, model, protocol, seed, seeds, inDomain, outDomain } = figures;
  const how = [
    model,
    `protocol ${protocol}`,
    `${inDomain.count} images of ${inDomain.name}, ${outDomain.count} of ${outDomain.name}`,
  ];
  const evidence = evidenceOf(figures);
  const rates = { clean: outDomain.rejection, ...rejections(evidence) };
  return page(
    `${title(mode)} evaluated, ${seedsText(seed, seeds)}`,
    paragraph("about", how.join("; ")),
    paragraph("verdict", evalVerdict(figures)),
    ...averaged([outDomain], outDomain.count),
    section(
      "Key figures",
      numbers(["", "value"], [
        ["mean entropy out-domain (nats)", number(outDomain.entropy, 3)],
        [`share rejected at ${tau}`, number(outDomain.rejection[tau], 3)],
        ["accuracy in-domain", number(inDomain.accuracy, 3)],
      ]),
    ),
    section(
      "Confidence",
      await draw(histogram({ clean }), rejectionCurve(rates)),
    ),
    section(
      "All figures",
      numbers(["out-domain", outDomain.name], [
        ["mean entropy (nats)", number(outDomain.entropy, 3)],
        ...Object.entries(outDomain.rejection).map((
          [at, rate],
        ) => [`share rejected at ${at}`, number(rate, 3)]),
        ["answers that are no numbers", String(outDomain.nanRows)],
      ]),
      qualityTable(inDomain),
    ),
    detectionSection(evidence),
    await evidenceSections(evidence),
    furtherFigures(figures, [...shown, ...shownEvidence(evidence)]),
    configuration(content),
  );
}
