/**
 * The page of a sweep: means over seeds with their intervals, and every run.
 *
 * @module
 */
import { basename } from "node:path";
import { type FigureKind, shown, withSpread } from "../measure/shown.ts";
import { attackParts } from "./compare.ts";
import { readContent } from "./content.ts";
import { type Content, type Html, markup, paragraph, section, table } from "./html.ts";
import { page } from "./page.ts";
import { numbers } from "./sections.ts";
import { optionName, tau, title } from "./words.ts";

/** A run of a sweep. */
export interface SweepRun {
  readonly seed: string;
  /** Its folder. */
  readonly run: string;
  readonly figures: ReadonlyMap<string, number>;
}

/** Runs of a sweep that differ in their seed alone. */
export interface SweepGroup {
  readonly command: string;
  /** What the models learned from. */
  readonly trained: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly runs: readonly SweepRun[];
  readonly means: ReadonlyMap<string, { readonly mean: number; readonly halfWidth: number | null }>;
}

/** Attacks of which a page draws curves: more are told by their numbers alone. */
const mostDrawn = 60;

/** Figures that the page shows, by where an attack or an evaluation has them. */
const columns: readonly (readonly [name: string, kind: FigureKind, paths: readonly string[]])[] = [
  ["AUROC clean", "area", [
    "detection.scores.maxProbability.clean.auroc.value",
    "scores.maxProbability.columns.clean.auroc.value",
  ]],
  ["AUROC attacked", "area", [
    "detection.scores.maxProbability.attacked.auroc.value",
    "scores.maxProbability.columns.out.auroc.value",
  ]],
  ["H clean", "entropy", ["clean.entropy", "outDomain.entropy"]],
  ["H attacked", "entropy", ["adversarial.entropy"]],
  ["R clean", "share", [`clean.rejection.${tau}`, `outDomain.rejection.${tau}`]],
  ["R attacked", "share", [`adversarial.rejection.${tau}`]],
  ["accuracy", "accuracy", ["inDomain.accuracy"]],
];

/**
 * The page as HTML.
 *
 * @param unfinished rows that the page is without
 */
export async function sweepPage(
  groups: readonly SweepGroup[],
  unfinished: number,
): Promise<string> {
  const used = columns.filter(([, , paths]) =>
    groups.some(({ runs }) => runs.some(({ figures }) => paths.some((path) => figures.has(path))))
  );
  const count = groups.reduce((sum, { runs }) => sum + runs.length, 0);
  const named = namesOf(groups);
  return page(
    `A sweep of ${count} runs`,
    ...unfinished > 0
      ? [
        paragraph(
          "warning",
          `${unfinished} evaluations or attacks are not finished, and not in here.`,
        ),
      ]
      : [],
    unlike(groups),
    paragraph(
      "about",
      "H: mean entropy out-domain in nats; ",
      `R: share of the images rejected at a confidence of ${tau}; `,
      "AUROC: by the maximum softmax probability (MSP). A blank is a figure that such a run does not have.",
    ),
    section("Over seeds", meansTable(groups, used, named)),
    await curves(groups),
    section("Runs", runsTable(groups, used, named)),
    inCommon(groups),
  );
}

type Column = (typeof columns)[number];

/** Whether groups have the same options, and differ by what their models were trained on. */
function trainedUnlike(groups: readonly SweepGroup[]): boolean {
  const asked = groups.map(({ command, options }) => JSON.stringify([command, options]));
  return new Set(asked).size < asked.length;
}

/** Says that some models were trained otherwise than others of the same options. */
function unlike(groups: readonly SweepGroup[]): Content {
  if (!trainedUnlike(groups)) return null;
  return paragraph(
    "warning",
    "Of some rows the models were there already, trained otherwise than those of the other seeds: their figures are not averaged " +
      "with these. Another savePath in the grid keeps them out.",
  );
}

/** Options that are not the same in all groups. */
function differing(groups: readonly SweepGroup[]): string[] {
  const names = [...new Set(groups.flatMap(({ options }) => Object.keys(options)))];
  return names.filter((name) =>
    new Set(groups.map(({ options }) => JSON.stringify(options[name]))).size > 1
  );
}

/** What a group is called: its command where there are several, its method, and what differs. */
function namesOf(groups: readonly SweepGroup[]): (group: SweepGroup) => string {
  const differs = differing(groups).filter((name) => name !== "mode");
  const several = new Set(groups.map(({ command }) => command)).size > 1;
  const told = trainedUnlike(groups);
  return ({ command, options, trained }) =>
    [
      `${several ? `${command} ` : ""}${title(String(options["mode"]))}`,
      ...differs.flatMap((name) =>
        options[name] === undefined ? [] : [`${optionName(name)} ${options[name]}`]
      ),
      ...told && trained !== "" ? [`trained on ${trained}`] : [],
    ].join(", ");
}

function meansTable(
  groups: readonly SweepGroup[],
  used: readonly Column[],
  named: (group: SweepGroup) => string,
): Html {
  return numbers(
    ["", "seeds", ...used.map(([name]) => name)],
    groups.map((group) => [
      named(group),
      String(group.runs.length),
      ...used.map(([, kind, paths]) => {
        const found = paths.map((path) => group.means.get(path)).find((of) => of !== undefined);
        return found ? withSpread(found.mean, found.halfWidth, kind) : "";
      }),
    ]),
    "Means, and half the width of their 95 % confidence interval by Student's t.",
  );
}

function runsTable(
  groups: readonly SweepGroup[],
  used: readonly Column[],
  named: (group: SweepGroup) => string,
): Html {
  return numbers(
    ["", "seed", ...used.map(([name]) => name), "folder"],
    groups.flatMap((group) =>
      group.runs.map(({ seed, run, figures }) => [
        named(group),
        seed,
        ...used.map(([, kind, paths]) => {
          const found = paths.map((path) => figures.get(path)).find((of) => of !== undefined);
          return found === undefined ? "" : shown(found, kind);
        }),
        markup`<code>${basename(run)}</code>`,
      ])
    ),
  );
}

/** Curves of the attacks, where there are few enough to be told apart. */
async function curves(groups: readonly SweepGroup[]): Promise<Content> {
  const attacks = groups.filter(({ command, options }) =>
    command === "attack" && options["battery"] === undefined
  ).flatMap(({ runs }) => runs);
  if (attacks.length < 2 || attacks.length > mostDrawn) return null;
  const contents = await Promise.all(attacks.map(({ run }) => readContent(run)));
  return await attackParts(contents.filter((of) => of.command === "attack"));
}

/** Options that all the runs share. */
function inCommon(groups: readonly SweepGroup[]): Html {
  const differs = differing(groups);
  const [first] = groups;
  const same = Object.entries(first?.options ?? {}).filter(([name]) => !differs.includes(name));
  return section(
    "In common",
    table(
      ["option", "value"],
      same.map(([name, value]) => [optionName(name), markup`<code>${String(value)}</code>`]),
    ),
  );
}
