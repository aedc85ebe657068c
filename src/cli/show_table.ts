/**
 * The paper's tables as Markdown.
 *
 * @module
 */
import type {
  OwnStatistic,
  Statistic,
  TableResult,
  TableRow,
} from "../experiment/table_document.ts";
import { counted, noNumber, shown, signed, withSpread } from "../measure/shown.ts";
import { networksOf, titleAmong } from "../experiment/likeness.ts";
import { scoreLines } from "../experiment/table_rows.ts";
import { shortScoreName } from "../report/words.ts";
import { flagOf } from "./flags.ts";
import { block, columns } from "./format.ts";

/**
 * Both tables, what was made of them, and the ablation.
 *
 * @param width columns of the terminal, beyond which a table's rows are a list; any number where the output
 * goes elsewhere, as to a file of Markdown
 */
export function showTable(
  result: TableResult,
  width = Deno.stdout.isTerminal() ? columns() : Infinity,
): string {
  const { pair, protocol, epochs, inDomain, outDomain, rows, notes, ablation, epsilons } = result;
  const [first = 0, ...others] = epsilons;
  const training = epochs === null ? "" : `, ${counted(epochs, "epoch")}`;
  const network = networksOf(rows).map((of) => `, ${of}`).join("");
  const sections = [
    `# ${inDomain} against ${outDomain.name} (${pair}), protocol ${protocol}${training}${network}`,
    `${outDomain.count} out-domain images. H is the mean entropy in nats, R the share of images ` +
    "rejected at a confidence of 0.9, AUROC by MSP (maximum softmax probability), which the paper does not report. Each cell: ours (mean, +- half of the 95 % interval over " +
    "repetitions where there are several), the paper's figure, and the difference where both were made alike.",
    `## Table 1: epsilon ${first}`,
    markdown(
      [
        "",
        "runs",
        "accuracy",
        "H clean",
        "H attacked",
        "R clean",
        "R attacked",
        "AUROC clean",
        "AUROC attacked",
      ],
      rows.map((row) => [
        titleAmong(rows, row),
        String(row.seeds.length),
        average(row.accuracy),
        cell(row.clean.entropy),
        cell(row.attacked[0]?.entropy),
        cell(row.clean.rejection),
        cell(row.attacked[0]?.rejection),
        own(row.clean.auroc),
        own(row.attacked[0]?.auroc),
      ]),
      width,
    ),
    `## Table 2: epsilon ${others.join(" and ")}`,
    markdown(["", ...rows.map((row) => titleAmong(rows, row))], radii(rows, others), width),
    ...scoreSection(result, width),
  ];
  const unlike = rows.filter(({ differs }) => differs.length > 0);
  if (unlike.length > 0) {
    sections.push([
      "Not made as the paper's, whose figures stand beside them without a difference:",
      ...unlike.map(({ title, differs }) => `- ${title}: ${differs.join("; ")}`),
    ].join("\n"));
  }
  if (notes.length > 0) sections.push(notes.map((note) => `Note: ${note}.`).join("\n"));
  if (ablation.length > 0) sections.push(...ablationSections(result, width));
  return sections.join("\n\n");
}

/** Heads of the columns of scores at a radius. */
function columnsAt(epsilon: number): string[] {
  return [`at ${epsilon}`, `by itself, ${epsilon}`];
}

/** AUROC by each score that was asked for, a line a row and score; nothing where none was. */
function scoreSection({ rows, epsilons }: TableResult, width: number): string[] {
  const lines = scoreLines(rows, shortScoreName, own);
  if (lines.length === 0) return [];
  return [
    "## Scores: AUROC",
    "Each score clean, under the row's attack, and under an attack on the score itself (of a sample).",
    markdown(["", "score", "clean", ...epsilons.flatMap(columnsAt)], lines, width),
  ];
}

/** Lines of the second table: a figure at a radius each. */
function radii(rows: readonly TableRow[], epsilons: readonly number[]): string[][] {
  return epsilons.flatMap((epsilon, i) => {
    const at = rows.map((row) => row.attacked[i + 1]);
    return [
      [`H attacked, epsilon ${epsilon}`, ...at.map((of) => cell(of?.entropy))],
      [`R attacked, epsilon ${epsilon}`, ...at.map((of) => cell(of?.rejection))],
      [`AUROC attacked, epsilon ${epsilon}`, ...at.map((of) => own(of?.auroc))],
    ];
  });
}

/** One option changed at a time, and what that does to each figure. */
function ablationSections(
  { rows, ablation, epsilons }: TableResult,
  width: number,
): string[] {
  const unlike = ablation.flatMap(({ option, value, rows: changed }) =>
    changed.filter((row) => row.unlike.length > 0).map((row) =>
      `- ${flagOf(option)} ${value}, ${row.title}: ${row.unlike.join("; ")}`
    )
  );
  const same = (row: TableRow): TableRow | undefined => rows.find((r) => r.title === row.title);
  return [
    "## Ablation: one option changed at a time",
    "Each cell: ours with the option changed, and the change from the tables above where the models were trained " +
    "for as many epochs on the same images.",
    markdown(
      [
        "option",
        "",
        "H clean",
        "R clean",
        ...epsilons.flatMap((e) => [`H at ${e}`, `R at ${e}`]),
      ],
      ablation.flatMap(({ option, value, rows: changed }) =>
        changed.map((row) => {
          const before = row.unlike.length > 0 ? undefined : same(row);
          return [
            `${flagOf(option)} ${value}`,
            row.title,
            against(row.clean.entropy, before?.clean.entropy),
            against(row.clean.rejection, before?.clean.rejection),
            ...row.attacked.flatMap((figures, i) => [
              against(figures.entropy, before?.attacked[i]?.entropy),
              against(figures.rejection, before?.attacked[i]?.rejection),
            ]),
          ];
        })
      ),
      width,
    ),
    ...unlike.length === 0 ? [] : [
      [
        "Not trained as the row above, so that a change would not be the option's alone:",
        ...unlike,
      ].join("\n"),
    ],
  ];
}

/** `1.21 +- 0.05 (paper 1.22, -0.01)`, without the difference where there is none. */
function cell(statistic: Statistic | undefined): string {
  if (!statistic || statistic.mean === null) return noNumber;
  const { mean, halfWidth, paper, difference } = statistic;
  const change = difference === null ? "" : `, ${signed(difference, "paper")}`;
  return `${withSpread(mean, halfWidth, "paper", "+-")} (paper ${shown(paper, "paper")}${change})`;
}

/** `0.970 +- 0.005`: of this the paper has no figure. */
function own(statistic: OwnStatistic | undefined): string {
  return statistic ? withSpread(statistic.mean, statistic.halfWidth, "area", "+-") : noNumber;
}

function against(now: Statistic, before: Statistic | undefined): string {
  if (now.mean === null) return noNumber;
  const change = typeof before?.mean === "number"
    ? ` (${signed(now.mean - before.mean, "paper")})`
    : "";
  return shown(now.mean, "paper") + change;
}

function average(values: readonly number[]): string {
  return shown(values.reduce((a, b) => a + b, 0) / values.length, "accuracy");
}

/** A Markdown table, its columns as wide as their widest cell; a list of its rows where it is too wide. */
function markdown(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  width: number,
): string {
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((r) => (r[i] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((c, i) => c.padEnd(widths[i] ?? 0)).join(" | ")} |`;
  const rule = `|${widths.map((w) => "-".repeat(w + 2)).join("|")}|`;
  if (rule.length > width) {
    return rows.map((row) => `- ${block(head, row, width)}`).join("\n");
  }
  return [line(head), rule, ...rows.map(line)].join("\n");
}
