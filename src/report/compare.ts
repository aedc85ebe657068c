/**
 * The report that compares several runs.
 *
 * @module
 */
import { tau as threshold } from "../measure/evidence.ts";
import { meanEstimate, shareEstimate } from "../measure/intervals.ts";
import { entropies, type Predictions, rejectedRows } from "../measure/metrics.ts";
import {
  counted,
  type FigureKind,
  ofLabels,
  percent,
  shown,
  shownRadius,
  withSpread,
} from "../measure/shown.ts";
import { halfWidth95, mean } from "../measure/statistics.ts";
import { areas, areaValues, evidenceOf } from "./evidence.ts";
import { imagesOf, type Label, labels, nameOf, settingsOf } from "./names.ts";
import { optionName, settingText, tau, title } from "./words.ts";
import { draw } from "./charts.ts";
import type { AttackContent, EvalContent, RunContent, TrainContent } from "./content.ts";
import { pairBars } from "./curves.ts";
import { type Content, type Html, markup, paragraph, section, table } from "./html.ts";
import { type Line, lines, type Value } from "./lines.ts";
import { page } from "./page.ts";
import { numbers, stacked } from "./sections.ts";
import { trainCharts } from "./train.ts";

/** The page that sets runs side by side. */
export async function comparePage(contents: readonly RunContent[]): Promise<string> {
  const attacks = contents.filter((of): of is AttackContent => of.command === "attack");
  const evals = contents.filter((of): of is EvalContent => of.command === "eval");
  const trainings = contents.filter((of): of is TrainContent => of.command === "train");
  const methods = [...new Set(contents.map(nameOf))];
  return page(
    `${contents.length} runs compared`,
    paragraph(
      "about",
      `${methods.join(", ")}. H: mean entropy out-domain in nats; `,
      `R: share of the images rejected at a confidence of ${tau}; `,
      "AUROC: by the maximum softmax probability (MSP), in brackets its interval.",
    ),
    attacks.length > 0 ? await attackParts(attacks) : null,
    evals.length > 0 ? evalPart(evals) : null,
    trainings.length > 0 ? await trainPart(trainings) : null,
    inCommon(contents),
  );
}

/** Settings that all the runs share. */
function inCommon(contents: readonly RunContent[]): Html {
  const [first, ...others] = contents.map(settingsOf);
  const same = Object.entries(first ?? {}).filter(([key, value]) =>
    others.every((other) => JSON.stringify(other[key]) === JSON.stringify(value))
  );
  return section(
    "In common",
    paragraph(
      "about",
      "What all the runs share; what they do not is in their names, where it is not as usual.",
    ),
    table(
      ["option", "value"],
      same.map((
        [key, value],
      ) => [optionName(key), markup`<code>${settingText(key, value)}</code>`]),
    ),
  );
}

/** Which attack takes the most rejections away, and which the fewest; of other images there is no telling. */
function lead(attacks: readonly AttackContent[], label: Label): Html | null {
  const sets = new Map(attacks.map((content) => [imagesOf(content).sha256, content]));
  if (sets.size > 1) {
    const told = [...sets.values()].map((content) =>
      `${counted(content.figures.outDomain.count, "image")} of ${content.figures.outDomain.name}`
    );
    return paragraph(
      "verdict",
      `The runs are of different images, whose figures are not to be set against each other: ${
        [...new Set(told)].join("; ")
      }.`,
    );
  }
  const drop = ({ figures: { clean, adversarial } }: AttackContent): number =>
    (clean.rejection[tau] ?? 0) - (adversarial.rejection[tau] ?? 0);
  const sorted = attacks.toSorted((a, b) => drop(b) - drop(a));
  const [most, least] = [sorted[0], sorted.at(-1)];
  if (!most || !least || drop(most) === drop(least)) return null;
  const told = (content: AttackContent): string => {
    const { clean, adversarial } = content.figures;
    return `${label(content)} (from ${percent(clean.rejection[tau] ?? 0)} to ${
      percent(adversarial.rejection[tau] ?? 0)
    })`;
  };
  return paragraph(
    "verdict",
    drop(most) <= 0
      ? `The share of rejected images falls in no run; it rises least in ${told(most)}, most in ${
        told(least)
      }.`
      : `The share of rejected images falls most in ${told(most)}, least in ${told(least)}.`,
  );
}

/** Attacks side by side: their table, means over seeds, and curves. */
export async function attackParts(attacks: readonly AttackContent[]): Promise<Content> {
  const label = labels(attacks);
  const sorted = attacks.toSorted((a, b) =>
    compareText(label(a, "epsilonAttack"), label(b, "epsilonAttack")) ||
    a.figures.epsilonAttack - b.figures.epsilonAttack
  );
  return [
    lead(attacks, label),
    attacks.some(({ figures }) => figures.inDomain === null)
      ? paragraph("about", "Runs without in-domain images have no AUROC and no accuracy.")
      : null,
    section("Attacks", attackTable(sorted, label), seedTable(sorted, label)),
    section(
      "Against the attack's epsilon",
      await epsilonCharts(sorted, label),
    ),
    section(
      "Before and after",
      sorted.some((content) => numbersOf(sorted, label)(content) !== "")
        ? paragraph("about", "The runs' numbers are those of the table above.")
        : null,
      await bars(sorted, label),
    ),
  ];
}

function attackTable(attacks: readonly AttackContent[], label: Label): Html {
  const number = numbersOf(attacks, label);
  const rows = numbers(
    [
      "run",
      "epsilon",
      "AUROC clean",
      "attacked",
      "H clean",
      "attacked",
      "R clean",
      "attacked",
      "accuracy",
    ],
    attacks.map((content) => {
      const { epsilonAttack, inDomain, clean, adversarial } = content.figures;
      const areas = areaValues(evidenceOf(content.figures));
      const area = (of: typeof areas.clean): Content => of ? stacked(of) : "not measured";
      return [
        [
          `${number(content)}${label(content, "epsilonAttack")}`,
          markup`<br><code>${content.name}</code>`,
        ],
        shownRadius(epsilonAttack),
        area(areas.clean),
        area(areas.attacked),
        shown(clean.entropy, "entropy"),
        shown(adversarial.entropy, "entropy"),
        shown(clean.rejection[tau], "share"),
        shown(adversarial.rejection[tau], "share"),
        ofLabels(inDomain?.accuracy ?? null, "accuracy"),
      ];
    }),
  );
  return markup`<div class="texts">${rows}</div>`;
}

/** Longest name that stands in a chart as a whole. */
const longestName = 52;

/** Numbers of runs, `3. `, where names are too long for the charts; else nothing before any. */
function numbersOf(
  attacks: readonly AttackContent[],
  label: Label,
): (content: AttackContent) => string {
  const fit = attacks.every((content) => label(content).length <= longestName);
  return (content) => fit ? "" : `${attacks.indexOf(content) + 1}. `;
}

/** Means over seeds, where there are several of one thing. */
function seedTable(attacks: readonly AttackContent[], label: Label): Html | null {
  const groups = Map.groupBy(
    attacks,
    (content) => `${label(content, "seed")}; attack's epsilon ${content.figures.epsilonAttack}`,
  );
  const rows = [...groups.values()].filter((group) => group.length > 1).map((group) => {
    type Of = (figures: AttackContent["figures"]) => number | null | undefined;
    const over = (of: Of, kind: FigureKind): string => {
      const values = group.map(({ figures }) => of(figures)).filter((v) => typeof v === "number");
      return values.length === 0
        ? shown(null, kind)
        : withSpread(mean(values), halfWidth95(values), kind);
    };
    const area = (set: "clean" | "attacked"): Of => (figures) =>
      areaValues(evidenceOf(figures))[set]?.value;
    const [first] = group;
    return [
      first ? label(first, "seed") : "",
      String(group.length),
      over(area("clean"), "area"),
      over(area("attacked"), "area"),
      over(({ clean }) => clean.entropy, "entropy"),
      over(({ adversarial }) => adversarial.entropy, "entropy"),
      over(({ clean }) => clean.rejection[tau], "share"),
      over(({ adversarial }) => adversarial.rejection[tau], "share"),
      over(({ inDomain }) => inDomain?.accuracy, "accuracy"),
    ];
  });
  if (rows.length === 0) return null;
  return numbers(
    [
      "over seeds",
      "seeds",
      "AUROC clean",
      "AUROC attacked",
      "H clean",
      "H attacked",
      "R clean",
      "R attacked",
      "accuracy",
    ],
    rows,
    "Means, and half the width of their 95 % confidence interval.",
  );
}

/** Figures of an attack's images, before and after, with their intervals. */
const measures = {
  area: (content: AttackContent, set: "clean" | "attacked"): Value =>
    areaValues(evidenceOf(content.figures))[set] ?? null,
  rejected: (content: AttackContent, set: "clean" | "attacked"): Value => {
    const answers = content[set];
    return shareEstimate(rejectedRows(answers, threshold), rowsOf(answers));
  },
  entropy: (content: AttackContent, set: "clean" | "attacked"): Value => {
    const answers = content[set];
    return meanEstimate(entropies(answers), Math.log(answers.classes));
  },
} as const;

/** Whether any of the runs compared its images with in-domain ones: else there is nothing to draw. */
function areaKnown(attacks: readonly AttackContent[]): boolean {
  return attacks.some((content) => measures.area(content, "attacked") !== null);
}

function rowsOf({ logProbabilities, classes }: Predictions): number {
  return logProbabilities.length / classes;
}

async function epsilonCharts(attacks: readonly AttackContent[], label: Label): Promise<Content> {
  const series = Map.groupBy(attacks, (content) => label(content, "epsilonAttack"));
  const curve = (measure: typeof measures[keyof typeof measures]): Line[] =>
    [...series].map(([name, group]): Line => {
      const [first] = group;
      const after = group.map((content): Line["points"][number] => [
        content.figures.epsilonAttack,
        measure(content, "attacked"),
      ]);
      if (!first) return { series: name, points: after };
      const points: Line["points"] = [[0, measure(first, "clean")], ...after];
      return { series: name, group: title(first.figures.mode), points };
    });
  const ticks = [...new Set([0, ...attacks.map(({ figures }) => figures.epsilonAttack)])];
  const axes = { x: "attack's epsilon, 0 to 1", ticks } as const;
  return [
    paragraph(
      "about",
      "A colour a method, a mark a run; at 0 the images are clean. Upright lines are 95 % intervals over the images.",
    ),
    await draw(
      ...areaKnown(attacks)
        ? [lines(curve(measures.area), {
          ...axes,
          title: "AUROC",
          alt: "How well in-domain and out-domain images are told apart by MSP, against " +
            "the radius of the attack; 0.5 is chance.",
          y: "AUROC",
          share: true,
          format: ".1f",
        })]
        : [],
      lines(curve(measures.rejected), {
        ...axes,
        title: `Rejection at ${tau}`,
        alt: "Share of the out-domain images rejected, against the radius of the attack.",
        y: "R, share rejected",
        share: true,
      }),
      lines(curve(measures.entropy), {
        ...axes,
        title: "Entropy",
        alt: "Mean entropy out-domain against the radius of the attack.",
        y: "H, mean entropy (nats)",
      }),
    ),
  ];
}

async function bars(attacks: readonly AttackContent[], label: Label): Promise<Html> {
  const number = numbersOf(attacks, label);
  const short = (content: AttackContent): string =>
    number(content) === "" ? label(content) : `${number(content)}${nameOf(content)}`;
  const rows = (
    of: (content: AttackContent) => readonly [clean: number | null, attacked: number | null],
  ): Parameters<typeof pairBars>[0] =>
    attacks.map((content) => {
      const [clean, attacked] = of(content);
      return { label: short(content), clean, attacked };
    });
  const areasOf = ({ figures }: AttackContent): [number | null, number | null] => {
    const { clean, attacked } = areaValues(evidenceOf(figures));
    return [clean?.value ?? null, attacked?.value ?? null];
  };
  return await draw(
    ...areaKnown(attacks)
      ? [pairBars(rows(areasOf), {
        title: "AUROC before and after",
        alt: "AUROC by MSP of each run, clean and attacked.",
        x: "AUROC",
        share: true,
        kind: "area",
      })]
      : [],
    pairBars(
      rows(({ figures: { clean, adversarial } }) => [clean.entropy, adversarial.entropy]),
      {
        title: "Entropy before and after",
        alt: "Mean entropy out-domain of each run, clean and attacked.",
        x: "H, mean entropy (nats)",
        kind: "entropy",
      },
    ),
  );
}

function evalPart(evals: readonly EvalContent[]): Html {
  const label = labels(evals);
  return section(
    "Evaluations",
    numbers(
      ["run", "AUROC", "H", "R", "accuracy", "Brier", "NLL", "folder"],
      evals.map((content) => {
        const { inDomain, outDomain } = content.figures;
        return [
          label(content),
          areas(evidenceOf(content.figures))[0],
          shown(outDomain.entropy, "entropy"),
          shown(outDomain.rejection[tau], "share"),
          ofLabels(inDomain.accuracy, "accuracy"),
          ofLabels(inDomain.brier, "brier", inDomain.accuracy !== null),
          ofLabels(inDomain.nll, "nll", inDomain.accuracy !== null),
          markup`<code>${content.name}</code>`,
        ];
      }),
    ),
  );
}

async function trainPart(trainings: readonly TrainContent[]): Promise<Html> {
  const label = labels(trainings);
  const members = trainings.flatMap((content) =>
    content.figures.members.map((member) => ({
      member,
      run: label(content),
      method: title(content.figures.mode),
      content,
    }))
  );
  return section(
    "Trainings",
    numbers(
      ["run", "seed", "epochs", "best accuracy", "last accuracy", "last loss", "folder"],
      members.map(({ member: { seed, epochs, best, last }, run, content }) => [
        run,
        String(seed),
        String(epochs.length),
        shown(best.accuracy, "accuracy"),
        shown(last.accuracy, "accuracy"),
        shown(epochs.at(-1)?.loss, "loss"),
        markup`<code>${content.name}</code>`,
      ]),
    ),
    await trainCharts(members),
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
