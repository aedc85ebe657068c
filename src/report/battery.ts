/**
 * The page of a battery: what it leaves of every score, which attack broke which, and the images on which they
 * differ most.
 *
 * @module
 */
import { seedsOf } from "../experiment/seeds.ts";
import { ofLabels, percent, shown, shownRadius } from "../measure/shown.ts";
import { modelTitle } from "../methods/mod.ts";
import { batteryVerdict, surrogateLines, winnersOf } from "./battery_words.ts";
import { type Chart, draw, palette } from "./charts.ts";
import type { BatteryContent } from "./battery_content.ts";
import { type Html, markup, paragraph, section, table } from "./html.ts";
import { page } from "./page.ts";
import { pngOf } from "./pictures.ts";
import { fittedParts } from "./scores.ts";
import { configuration, furtherFigures, stacked } from "./sections.ts";
import {
  normName,
  posteriorText,
  scoreName,
  shortScoreName,
  subjectTitle,
  temperatureText,
} from "./words.ts";

/** What the page shows of the figures. */
const shownFigures = [
  "seed",
  "procedure",
  "hyperparameters",
  "posterior",
  "temperature",
  "scores",
  "scoreFits",
  "cost",
  "battery",
  "accuracy",
];

/** The page of a battery. */
export async function batteryPage(content: BatteryContent): Promise<string> {
  const { figures } = content;
  const { model, hyperparameters, protocol, battery, epsilonAttack } = figures;
  const { inDomain, outDomain, accuracy, attacked, scoreFits } = figures;
  const how = [
    modelTitle(model, hyperparameters),
    ...posteriorText(figures.posterior),
    `protocol ${protocol}`,
    `battery ${battery.name}, ${battery.mode}`,
    normName(battery.norm),
    `${attacked.in} images of ${inDomain.name}, ${attacked.out} of ${outDomain.name}`,
    ...temperatureText(figures),
  ];
  return page(
    `${subjectTitle(figures)} under the battery ${battery.name}, epsilon ${
      shownRadius(epsilonAttack)
    }, ${seedsOf(figures)}`,
    paragraph("about", how.join("; ")),
    paragraph("verdict", batteryVerdict(figures)),
    section(
      "What is left of every score",
      columnsTable(content),
      paragraph(
        "about",
        `Accuracy ${ofLabels(accuracy.clean, "accuracy")}${
          accuracy.robust === null
            ? ""
            : `, after every member ${shown(accuracy.robust, "accuracy")}`
        }. Each image counts at the worst of each score over itself and all members. MSP: maximum softmax probability.`,
      ),
    ),
    scoreFits ? fittedParts(scoreFits) : null,
    section(
      "Which attack broke which score",
      await draw(winnersChart(content)),
      winnersTable(content),
    ),
    pictures(content),
    section("What each member cost", costTable(content), ...aboutMembers(content)),
    furtherFigures(figures, shownFigures),
    configuration(content),
  );
}

function columnsTable({ figures: { scores } }: BatteryContent): Html {
  return table(
    [
      "AUROC",
      "clean",
      "in-domain attacked",
      "out-domain attacked",
      "both",
      "adaptive",
      "transfer",
      "FPR95, both",
      "rejected",
      "at their worst",
    ],
    Object.entries(scores).map(([name, { columns, adaptive, transfer, rejected }]) => [
      scoreName(name),
      ...(["clean", "in", "out", "both"] as const).map((of) => {
        const told = columns[of];
        return told ? stacked(told.auroc) : "";
      }),
      shown(adaptive.both ?? adaptive.out, "area"),
      shown(transfer.both ?? transfer.out, "area"),
      shown(columns.both?.fprAt95Tpr.value ?? null, "share"),
      shown(rejected.clean, "share"),
      shown(rejected.worst, "share"),
    ]),
  );
}

/** Shares of images by member, a bar a score. */
function winnersChart({ figures }: BatteryContent): Chart {
  const values = winnersOf(figures).flatMap(({ member, shares }) =>
    Object.entries(shares).map(([score, share]) => ({
      member,
      score: shortScoreName(score),
      share,
    }))
  );
  return {
    title: "Shares of images that each member was the worst of",
    alt: "Bars of shares, by score and by member",
    data: { values },
    encoding: {
      x: { field: "share", type: "quantitative", axis: { format: "%" }, title: "share of images" },
      y: { field: "member", type: "nominal", title: null, sort: null, axis: { labelLimit: 240 } },
      yOffset: { field: "score" },
      color: {
        field: "score",
        type: "nominal",
        title: null,
        scale: { range: [...palette] },
        legend: { orient: "bottom" },
      },
    },
    layer: [{ mark: { type: "bar" } }],
    width: 460,
    height: 34 * new Set(values.map(({ member }) => member)).size,
  };
}

function winnersTable({ figures }: BatteryContent): Html {
  const scores = Object.keys(figures.scores);
  return table(
    ["member", ...scores.map(scoreName)],
    winnersOf(figures).map(({ member, shares }) => [
      member,
      ...scores.map((score) => percent(shares[score] ?? 0)),
    ]),
  );
}

function costTable({ figures: { cost } }: BatteryContent): Html {
  const sides = { out: "out-domain", in: "in-domain" } as const;
  return table(
    ["member", "set", "images", "runs"],
    cost.map(({ member, side, images, runs }) => [member, sides[side], images, runs]),
  );
}

/** Where the images of a surrogate's came from, and what was left out. */
function aboutMembers({ figures: { battery } }: BatteryContent): Html[] {
  return [
    ...surrogateLines(battery),
    ...battery.leftOut.map(({ name, why }) => `Left out: ${name}. ${why}.`),
  ].map((line) => paragraph("about", line));
}

/** Images on which members differ most: the clean one, and what each member made of it. */
function pictures({ figures, examples, ofWorst }: BatteryContent): Html | null {
  const { members } = figures.battery;
  if (examples.length === 0) return null;
  return section(
    "Images on which members differ most",
    table(
      ["image", "clean", ...members.map(({ name }) => name)],
      examples.map(({ index, pictures, confidences }) => [
        index,
        ...pictures.map((picture, k) =>
          markup`<img class="picture" src="${pngOf(picture)}" alt="${
            k === 0 ? "clean" : members[k - 1]?.name ?? ""
          }"><br>${shown(confidences[k] ?? null, "share")}`
        ),
      ]),
      ofWorst
        ? "each as that run of its member left it in which its MSP is the worst; below it that MSP"
        : "each as its member's last run left it; below it MSP, the worst of all its runs",
    ),
  );
}
