/**
 * The report of the paper's tables, made anew.
 *
 * @module
 */
import type { z } from "zod";
import { shortened, UserError } from "../base/errors.ts";
import { display } from "../base/files.ts";
import { networksOf, titleAmong } from "../experiment/likeness.ts";
import { scoreLines } from "../experiment/table_rows.ts";
import { readFigures, readRun } from "../runs/folder.ts";
import { type Run } from "../runs/schema.ts";
import {
  type OwnStatistic,
  type Statistic,
  tableDocument,
  type TableRow,
} from "../experiment/table_document.ts";
import { counted, noNumber, shown, withSpread } from "../measure/shown.ts";
import { shortScoreName, tau } from "./words.ts";
import { draw } from "./charts.ts";
import { type Content, type Html, markup, paragraph, section, table } from "./html.ts";
import { type Line, lines, topOf, type Value } from "./lines.ts";
import { page } from "./page.ts";
import { numbers } from "./sections.ts";

const schema = tableDocument.omit({ adapter: true, versions: true, seconds: true });

type Made = z.infer<typeof schema>;

/**
 * The page about a table.
 *
 * @throws UserError when it is not finished, or its figures are damaged
 */
export async function tablesPage(folder: string): Promise<string> {
  const run = await readRun(folder);
  const { data: made, error } = schema.safeParse(await readFigures(folder, run));
  if (!made) {
    const [issue] = error.issues;
    throw new UserError(
      `Cannot report on "${display(folder)}": ${
        shortened(issue?.path.join(".") || "metrics.json")
      }: ${
        shortened(issue?.message ?? "missing")
      }; repeat the run's command, which goes on with it`,
    );
  }
  const { inDomain, outDomain, pair, protocol, epochs, rows, epsilons } = made;
  const about = [
    `pair ${pair}`,
    `protocol ${protocol}`,
    ...(epochs === null ? [] : [counted(epochs, "epoch")]),
    ...networksOf(rows),
    `${outDomain.count} images of ${outDomain.name}`,
  ];
  return page(
    `${inDomain} against ${outDomain.name}: the paper's tables`,
    paragraph("about", about.join("; ")),
    paragraph(
      "about",
      `H: mean entropy out-domain in nats; R: share of the images rejected at a confidence of ${tau}; `,
      "AUROC: by the maximum softmax probability (MSP), of which the paper has no figures. In brackets the paper's figure. Ours are means over repetitions, with half of the 95 % interval; in charts it is an upright line.",
    ),
    section("Against the radius", await charts(rows, epsilons)),
    figuresSection(made),
    scoresSection(made),
    made.ablation.length > 0 ? ablation(made.ablation) : null,
    how(run, folder),
  );
}

/** Every row's figures, and in what it was not made as the paper's. */
function figuresSection({ rows, notes, epsilons }: Made): Html {
  return section(
    "Figures",
    numbers(
      [
        "",
        "accuracy",
        "H clean",
        "R clean",
        "AUROC clean",
        ...epsilons.flatMap((e) => [`H, ${e}`, `R, ${e}`, `AUROC, ${e}`]),
      ],
      rows.map((row) => [
        titleAmong(rows, row),
        shown(mean(row.accuracy), "accuracy"),
        ...[row.clean, ...row.attacked].flatMap(({ entropy, rejection, auroc }) => [
          cell(entropy),
          cell(rejection),
          own(auroc),
        ]),
      ]),
    ),
    rows.filter(({ differs }) => differs.length > 0).map(({ title, differs }) =>
      paragraph("about", `${title} was not made as the paper's: ${differs.join("; ")}.`)
    ),
    notes.map((note) => paragraph("about", `${note}.`)),
  );
}

/** AUROC by each score that was asked for; nothing where none was. */
function scoresSection({ rows, epsilons }: Made): Content {
  const lines = scoreLines(rows, shortScoreName, own);
  if (lines.length === 0) return null;
  return section(
    "Scores",
    paragraph(
      "about",
      "AUROC of each score: clean, under the row's attack, and under an attack on the score itself, of a sample.",
    ),
    numbers(
      ["", "score", "clean", ...epsilons.flatMap((e) => [`at ${e}`, `by itself, ${e}`])],
      lines,
    ),
  );
}

/** H and R against the radius, ours and the paper's on the same axes, and AUROC, which the paper has not. */
async function charts(rows: readonly TableRow[], epsilons: readonly number[]): Promise<Html> {
  const axes = { x: "epsilon (pixels in 0 to 1)", ticks: [0, ...epsilons] } as const;
  const line = (of: (figures: Figures) => Value): readonly Line[] =>
    rows.map((row) => ({
      series: row.title,
      group: row.mode,
      points: [[0, of(row.clean)], ...row.attacked.map((at) => [at.epsilon, of(at)] as const)],
    }));
  const words = { entropy: "mean entropy (nats)", rejection: "share rejected" } as const;
  const whose = { ours: "Mirage", paper: "the paper" } as const;
  const both = (["entropy", "rejection"] as const).flatMap((measure) => {
    const made = {
      ours: line((figures) => spread(figures[measure], measure === "entropy" ? Infinity : 1)),
      paper: line((figures) => figures[measure].paper),
    };
    const top = Math.max(topOf(made.ours), topOf(made.paper));
    return (["ours", "paper"] as const).map((of) =>
      lines(made[of], {
        ...axes,
        title: `${measure === "entropy" ? "H" : "R"}: ${whose[of]}`,
        alt: `${words[measure]} against the attack's radius, a line a row, by ${whose[of]}`,
        y: words[measure],
        share: measure === "rejection",
        top,
      })
    );
  });
  const area = lines(line(({ auroc }) => spread(auroc, 1)), {
    ...axes,
    title: "AUROC: Mirage",
    alt: "AUROC by MSP against the attack's radius, a line a row; 0.5 is chance",
    y: "AUROC",
    share: true,
    format: ".1f",
  });
  return await draw(...both, area);
}

type Figures = Omit<TableRow["clean"], "scores">;

/** A mean with its interval, within what the figure can be. */
function spread({ mean, halfWidth }: OwnStatistic, largest: number): Value {
  if (mean === null || halfWidth === null) return mean;
  return {
    value: mean,
    low: Math.max(0, mean - halfWidth),
    high: Math.min(largest, mean + halfWidth),
  };
}

function ablation(options: Made["ablation"]): Html {
  return section(
    "One option changed at a time",
    numbers(
      ["option", "method", "H clean", "R clean", "H attacked", "R attacked", "AUROC attacked"],
      options.flatMap(({ option, value, rows }) =>
        rows.map((row) => [
          `${option} ${value}`,
          row.title,
          shown(row.clean.entropy.mean, "paper"),
          shown(row.clean.rejection.mean, "paper"),
          shown(row.attacked[0]?.entropy.mean, "paper"),
          shown(row.attacked[0]?.rejection.mean, "paper"),
          shown(row.attacked[0]?.auroc.mean, "area"),
        ])
      ),
      "Attacked at the smallest radius.",
    ),
    options.flatMap(({ option, value, rows }) =>
      rows.filter(({ unlike }) => unlike.length > 0).map(({ title, unlike }) =>
        paragraph(
          "about",
          `${title} with ${option} ${value} was not trained as the row above: ${
            unlike.join("; ")
          }.`,
        )
      )
    ),
  );
}

function how(run: Run, folder: string): Html {
  const code = (value: unknown): Content =>
    markup`<code>${typeof value === "string" ? value : JSON.stringify(value) ?? "none"}</code>`;
  const { run: options, ...others } = run.config;
  const rows = (of: object): Content[][] =>
    Object.entries(of).map(([key, value]) => [key, code(value)]);
  return section(
    "How it was made",
    paragraph(
      "about",
      "Folder ",
      code(folder),
      "; every attack has a folder of its own beside it.",
    ),
    table(["option", "value"], [...rows(others), ...rows(Object(options))]),
    table(["", "version"], rows(run.versions)),
  );
}

function cell({ mean, halfWidth, paper }: Statistic): string {
  return `${withSpread(mean, halfWidth, "paper")} (${shown(paper, "paper")})`;
}

function own(statistic: OwnStatistic | undefined): string {
  return statistic ? withSpread(statistic.mean, statistic.halfWidth, "area") : noNumber;
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((a, b) => a + b, 0) / values.length;
}
