/**
 * The report of the paper's tables, made anew.
 *
 * @module
 */
import { shortened, UserError } from "../base/errors.ts";
import { display } from "../base/files.ts";
import { titleAmong } from "../experiment/likeness.ts";
import { readFigures, readRun } from "../runs/folder.ts";
import { type Run } from "../runs/schema.ts";
import { type Statistic, tableDocument, type TableRow } from "../experiment/table_document.ts";
import { tau } from "./words.ts";
import { draw } from "./charts.ts";
import { type Line, lines } from "./curves.ts";
import { type Content, type Html, markup, paragraph, section, table } from "./html.ts";
import { page } from "./page.ts";
import { number, numbers } from "./sections.ts";

const schema = tableDocument.omit({ adapter: true, versions: true, seconds: true });

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
  const { inDomain, outDomain, pair, protocol, epochs, rows, notes, epsilons } = made;
  const about = [
    `pair ${pair}`,
    `protocol ${protocol}`,
    ...(epochs === null ? [] : [`${epochs} epoch${epochs === 1 ? "" : "s"}`]),
    `${outDomain.count} images of ${outDomain.name}`,
  ];
  return page(
    `${inDomain} against ${outDomain.name}: the paper's tables`,
    paragraph("about", about.join("; ")),
    paragraph(
      "about",
      `H: mean entropy out-domain in nats; R: share of the images rejected at a confidence of ${tau}. `,
      "In brackets the paper's figure. Ours are means over repetitions, with half of the 95 % interval.",
    ),
    section("Against the radius", await charts(rows, epsilons)),
    section(
      "Figures",
      numbers(
        ["", "accuracy", "H clean", "R clean", ...epsilons.flatMap((e) => [`H, ${e}`, `R, ${e}`])],
        rows.map((row) => [
          titleAmong(rows, row),
          number(mean(row.accuracy), 4),
          cell(row.clean.entropy),
          cell(row.clean.rejection),
          ...row.attacked.flatMap(({ entropy, rejection }) => [cell(entropy), cell(rejection)]),
        ]),
      ),
      rows.filter(({ differs }) => differs.length > 0).map(({ title, differs }) =>
        paragraph("about", `${title} was not made as the paper's: ${differs.join("; ")}.`)
      ),
      notes.map((note) => paragraph("about", `${note}.`)),
    ),
    made.ablation.length > 0 ? ablation(made.ablation) : null,
    how(run, folder),
  );
}

/** H and R against the radius, ours and the paper's. */
async function charts(rows: readonly TableRow[], epsilons: readonly number[]): Promise<Html> {
  const chart = (measure: "entropy" | "rejection", of: "ours" | "paper"): readonly Line[] =>
    rows.map((row) => {
      const value = ({ mean, paper }: Statistic): number | null => of === "ours" ? mean : paper;
      const attacked = row.attacked.map((at) => [at.epsilon, value(at[measure])] as const);
      return { series: row.title, points: [[0, value(row.clean[measure])], ...attacked] };
    });
  const words = { entropy: "mean entropy (nats)", rejection: "share rejected" } as const;
  const whose = { ours: "Mirage", paper: "the paper" } as const;
  const all = (["entropy", "rejection"] as const).flatMap((measure) =>
    (["ours", "paper"] as const).map((of) =>
      lines(chart(measure, of), {
        title: `${measure === "entropy" ? "H" : "R"}: ${whose[of]}`,
        alt: `${words[measure]} against the attack's radius, a line a method, by ${whose[of]}`,
        x: "epsilon (pixels in 0 to 1)",
        y: words[measure],
        share: measure === "rejection",
        ticks: [0, ...epsilons],
      })
    )
  );
  return await draw(...all);
}

function ablation(options: ReturnType<typeof schema.parse>["ablation"]): Html {
  return section(
    "One option changed at a time",
    numbers(
      ["option", "method", "H clean", "R clean", "H attacked", "R attacked"],
      options.flatMap(({ option, value, rows }) =>
        rows.map((row) => [
          `${option} ${value}`,
          row.title,
          number(row.clean.entropy.mean, 2),
          number(row.clean.rejection.mean, 2),
          number(row.attacked[0]?.entropy.mean, 2),
          number(row.attacked[0]?.rejection.mean, 2),
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
  const spread = halfWidth === null ? "" : ` ± ${halfWidth.toFixed(2)}`;
  return `${number(mean, 2)}${spread} (${paper.toFixed(2)})`;
}

function mean(values: readonly number[]): number | null {
  return values.length === 0 ? null : values.reduce((a, b) => a + b, 0) / values.length;
}
