/**
 * Parts of a report on the scores that were asked for: on what they were fitted, and what is left of each once an
 * attack follows its own slope.
 *
 * @module
 */
import type { ScoreAttacks, ScoreMatrix, ScoresResult } from "../measure/results.ts";
import { worstCases } from "../measure/score_attacks.ts";
import type { Evidence } from "./evidence.ts";
import { attackedImages, counted, withInterval } from "../measure/shown.ts";
import { type Chart, draw } from "./charts.ts";
import { type Content, type Html, markup, paragraph, section } from "./html.ts";
import { numbers, stacked } from "./sections.ts";
import { worstVerdict } from "./verdicts.ts";
import { scoreName, shortScoreName } from "./words.ts";

/** The scores' section; none of a run that asked for none. */
export async function scoresSection({ scores }: Evidence): Promise<Html | null> {
  if (!scores) return null;
  const { attacks } = scores;
  if (!attacks) return section("Scores that were fitted", fittedParts(scores));
  const { matrix } = attacks;
  const sides = Object.entries(sideWords).flatMap(([side, words]) => {
    const of = matrix[side as keyof typeof matrix];
    return of ? [[of, words] as const] : [];
  });
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
    markup`<div class="wide map">${await draw(
      ...sides.map(([of, words]) => matrixChart(of, words)),
    )}</div>\n`,
    attackedTables(attacks),
    sides.map(([of, words]) => matrixParts(of, words)),
    fittedParts(scores),
  );
}

/** AUROC and FPR95 of each score that was attacked, and at its worst, the best first; and a sentence on them. */
function attackedTables({ on, images, results, matrix }: ScoreAttacks): Content {
  const cells = matrix[on] ?? {};
  const worst = worstCases(cells, Object.keys(results));
  const tableOf = ([figure, key]: typeof told[number]): Html =>
    numbers(
      [`${figure} of ${images.in + images.out} images`, "worst", "clean", "transfer", "adaptive"],
      worst.map((of) => [
        scoreName(of.name),
        interval(of[key]),
        ...["clean", "transfer", of.name].map((attack) => {
          const cell = cells[of.name]?.[attack];
          return cell ? interval(cell[key]) : "";
        }),
      ]),
    );
  const [areas, shares] = told;
  return [
    tableOf(areas),
    worstVerdict(worst).map((text) => paragraph("about", text)),
    tableOf(shares),
  ];
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

/** The attacks of a matrix, in order, and what they are called. */
function attacksOf(matrix: ScoreMatrix): { readonly name: string; readonly title: string }[] {
  return Object.keys(Object.values(matrix)[0] ?? {}).map((name) => ({
    name,
    title: ["clean", "transfer"].includes(name) ? name : `on ${shortScoreName(name)}`,
  }));
}

/** A square for AUROC by each score under each attack, the score of the best worst case first. */
function matrixChart(matrix: ScoreMatrix, attacked: string): Chart {
  const attacks = attacksOf(matrix);
  const rows = worstCases(matrix).map(({ name }) => name);
  const values = rows.flatMap((name) =>
    attacks.flatMap(({ name: attack, title }) => {
      const auroc = matrix[name]?.[attack]?.auroc.value ?? null;
      return auroc === null ? [] : [{ score: shortScoreName(name), attack: title, auroc }];
    })
  );
  const text = {
    text: { field: "auroc", type: "quantitative", format: ".2f" },
    // Dark on the pale middle of the scale, pale on its ends.
    color: {
      condition: { test: "datum.auroc > 0.18 && datum.auroc < 0.82", value: "#222" },
      value: "#fff",
    },
  } as const;
  return {
    title: `AUROC, ${attacked}`,
    alt: "AUROC of each score (a row, the best at its worst first) under each attack (a column): " +
      "1 tells all images apart, 0.5 is chance.",
    data: { values },
    encoding: {
      x: {
        field: "attack",
        type: "nominal",
        sort: attacks.map(({ title }) => title),
        axis: { orient: "top", labelAngle: -45, domain: false, ticks: false, title: null },
      },
      y: {
        field: "score",
        type: "nominal",
        sort: rows.map(shortScoreName),
        axis: { domain: false, ticks: false, title: null },
      },
    },
    layer: [
      {
        mark: { type: "rect" },
        encoding: {
          color: {
            field: "auroc",
            type: "quantitative",
            scale: { scheme: "redblue", domain: [0, 1] },
            legend: null,
          },
        },
      },
      { mark: { type: "text", fontSize: 11 }, encoding: text },
    ],
    width: 100 + 44 * attacks.length,
    height: 24 * rows.length,
  };
}

/** AUROC and FPR95 by every score, a row each, under every attack. */
function matrixParts(matrix: ScoreMatrix, attacked: string): Content {
  const attacks = attacksOf(matrix);
  const head = attacks.map(({ title }) => title);
  return markup`<details><summary>Every score under every attack, ${attacked}</summary>
${
    told.map(([figure, key]) =>
      markup`<div class="matrix">${
        numbers(
          [figure, ...head],
          Object.entries(matrix).map(([name, cells]) => [
            shortScoreName(name),
            ...attacks.map(({ name: attack }) => {
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
