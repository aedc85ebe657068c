/**
 * Parts of a report on the scores that were asked for: on what they were fitted, and what is left of each once an
 * attack follows its own slope.
 *
 * @module
 */
import type { ScoreMatrix, ScoresResult } from "../measure/results.ts";
import type { Evidence } from "./evidence.ts";
import { attackedImages, counted, withInterval } from "../measure/shown.ts";
import { type Content, type Html, markup, paragraph, section } from "./html.ts";
import { numbers, stacked } from "./sections.ts";
import { scoreName, shortScoreName } from "./words.ts";

/** The scores' section; none of a run that asked for none. */
export function scoresSection({ scores }: Evidence): Html | null {
  if (!scores) return null;
  const { attacks } = scores;
  if (!attacks) return section("Scores that were fitted", fittedParts(scores));
  const { on, results, matrix } = attacks;
  return section(
    "Every score attacked by itself",
    paragraph(
      "about",
      `The attack of this run on ${
        attackedImages(attacks)
      }, evenly spread, with minus the score itself in the ` +
        "place of its objective (adaptive), beside the run's own attack on the same images (transfer), by " +
        "AUROC and FPR95 with their intervals.",
    ),
    ...told.map(([figure, key]) =>
      numbers(
        [figure, "clean", "transfer", "adaptive"],
        Object.keys(results).map((name) => [
          scoreName(name),
          ...["clean", "transfer", name].map((attack) => {
            const cell = matrix[on]?.[name]?.[attack];
            return cell ? interval(cell[key]) : "";
          }),
        ]),
      )
    ),
    Object.entries(sideWords).map(([side, words]) => {
      const of = matrix[side as keyof typeof matrix];
      return of && matrixParts(of, words);
    }),
    fittedParts(scores),
  );
}

const told = [["AUROC", "auroc"], ["FPR95", "fprAt95Tpr"]] as const;

/** What is attacked, in words. */
const sideWords = {
  out: "out-domain images attacked",
  in: "in-domain images attacked",
  both: "both attacked",
} as const;

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

/** AUROC and FPR95 by every score, a row each, under every attack. */
function matrixParts(matrix: ScoreMatrix, attacked: string): Content {
  const attacks = Object.keys(Object.values(matrix)[0] ?? {});
  const head = attacks.map((attack) =>
    ["clean", "transfer"].includes(attack) ? attack : `on ${shortScoreName(attack)}`
  );
  return markup`<details><summary>Every score under every attack, ${attacked}</summary>
${
    told.map(([figure, key]) =>
      markup`<div class="matrix">${
        numbers(
          [figure, ...head],
          Object.entries(matrix).map(([name, cells]) => [
            shortScoreName(name),
            ...attacks.map((attack) => {
              const cell = cells[attack];
              return cell ? stacked(cell[key]) : "";
            }),
          ]),
        )
      }</div>`
    )
  }</details>
`;
}
