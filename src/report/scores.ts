/**
 * Parts of a report on the scores that were asked for: on what they were fitted, and what is left of each once an
 * attack follows its own slope.
 *
 * @module
 */
import type { ScoresResult } from "../measure/results.ts";
import type { Evidence } from "./evidence.ts";
import { counted, shown, withInterval } from "../measure/shown.ts";
import { type Content, type Html, markup, paragraph, section, table } from "./html.ts";
import { numbers } from "./sections.ts";
import { scoreName, shortScoreName } from "./words.ts";

/** The scores' section; none of a run that asked for none. */
export function scoresSection({ scores, detection }: Evidence): Html | null {
  if (!scores) return null;
  const { attacks } = scores;
  if (!attacks) return section("Scores that were fitted", fittedParts(scores));
  const { images, on, results } = attacks;
  const whose = on === "in" ? "in-domain" : "out-domain";
  return section(
    "Every score attacked by itself",
    paragraph(
      "about",
      `The attack of this run on ${images} ${whose} images, evenly spread, with minus the score itself in the ` +
        `place of its objective (adaptive), beside the run's own attack on all of them (transfer), by ` +
        "AUROC and FPR95 with their intervals.",
    ),
    ...[["AUROC", "auroc"], ["FPR95", "fprAt95Tpr"]].map(([figure = "", key = ""]) =>
      numbers(
        [figure, "clean", "transfer", "adaptive"],
        Object.entries(results).map(([name, { clean, adaptive }]) => {
          const of = key as "auroc" | "fprAt95Tpr";
          const transfer = detection?.scores[name]?.attacked;
          return [
            scoreName(name),
            interval(clean[of]),
            transfer && on === "out" ? interval(transfer[of]) : "",
            interval(adaptive[of]),
          ];
        }),
      )
    ),
    matrix(results),
    fittedParts(scores),
  );
}

/** On what scores were fitted, and which were left out. */
export function fittedParts({ training, leftOut }: ScoresResult): Content {
  return [
    paragraph(
      "about",
      `Scores were fitted on ${counted(training.count, "image")} of ${training.name}.`,
    ),
    ...leftOut.map(({ name, why }) =>
      paragraph("about", `${scoreName(name)} is left out: ${why}.`)
    ),
  ];
}

/** A figure with its interval, which may stand below it but is never broken itself. */
function interval(estimate: Parameters<typeof withInterval>[0]): string {
  return withInterval(estimate).replace(", ", ",\u00a0");
}

type Results = NonNullable<NonNullable<Evidence["scores"]>["attacks"]>["results"];

/** AUROC by every score where each one is attacked. */
function matrix(results: Results): Content {
  const names = [...new Set(Object.values(results).flatMap(({ others }) => Object.keys(others)))];
  const rows = Object.entries(results).map(([name, { others }]) => [
    shortScoreName(name),
    ...names.map((of) => shown(others[of]?.auroc, "area")),
  ]);
  return markup`<details><summary>AUROC by every score, where each one is attacked</summary>
<div class="numbers">${table(["attacked", ...names.map(shortScoreName)], rows)}</div></details>
`;
}
