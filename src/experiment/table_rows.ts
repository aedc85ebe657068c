/**
 * Rows of the tables: figures over repetitions beside the paper's.
 *
 * @module
 */
import type { PaperRow } from "./paper.ts";
import type { AttackResult } from "./documents.ts";
import { halfWidth95, mean } from "../measure/statistics.ts";
import type { OwnStatistic, Statistic, TableRow } from "./table_document.ts";
import { titleAmong } from "./likeness.ts";
import { tau as threshold } from "../measure/evidence.ts";

/** The threshold of the paper's tables, as documents name it. */
const tau = String(threshold);

/**
 * A row of the tables from its attacks.
 *
 * @param differs in what it was not made as the paper's
 * @param trained how its models were trained
 */
export function summarise(
  row: PaperRow,
  results: readonly AttackResult[],
  differs: readonly string[],
  trained: TableRow["trained"],
): TableRow {
  const epsilons = [...new Set(results.map((r) => r.epsilonAttack))];
  const at = (epsilon: number | undefined): AttackResult[] =>
    results.filter((r) => r.epsilonAttack === epsilon);
  const [first] = results;
  const clean = at(epsilons[0]);
  const statistic = (values: readonly (number | null | undefined)[], paper: number): Statistic =>
    against(values, paper, differs.length === 0);
  return {
    title: row.title,
    mode: row.mode,
    hyperparameters: first?.hyperparameters ?? {},
    seeds: clean.map((r) => r.checkpoints.map((_, i) => r.seed + i)),
    accuracy: clean.map(({ inDomain }) => {
      const accuracy = inDomain?.accuracy ?? null;
      if (accuracy === null) throw new Error("Unreachable: a table of a set without labels");
      return accuracy;
    }),
    trained,
    differs: [...differs],
    clean: {
      entropy: statistic(clean.map((r) => r.clean.entropy), row.clean.entropy),
      rejection: statistic(clean.map((r) => r.clean.rejection[tau]), row.clean.rejection),
      auroc: over(clean.map(({ detection }) => areaOf(detection, "clean"))),
      ...byScore(clean, (score) => over(clean.map((r) => areaOf(r.detection, "clean", score)))),
    },
    attacked: epsilons.map((epsilon, i) => ({
      epsilon,
      entropy: statistic(
        at(epsilon).map((r) => r.adversarial.entropy),
        row.attacked[i]?.entropy ?? NaN,
      ),
      rejection: statistic(
        at(epsilon).map((r) => r.adversarial.rejection[tau]),
        row.attacked[i]?.rejection ?? NaN,
      ),
      auroc: over(at(epsilon).map(({ detection }) => areaOf(detection, "attacked"))),
      ...byScore(at(epsilon), (score) => ({
        transfer: over(at(epsilon).map((r) => areaOf(r.detection, "attacked", score))),
        adaptive: over(
          at(epsilon).map((r) => r.scores?.attacks.results[score]?.adaptive.auroc.value),
        ),
      })),
    })),
  };
}

/**
 * AUROC by each score that was asked for, a line a row and score: the row, the score, the area of clean images, then at
 * each radius under the row's attack and under one on the score itself.
 *
 * @param named what a score is called
 * @param shown a figure in text
 */
export function scoreLines(
  rows: readonly TableRow[],
  named: (score: string) => string,
  shown: (statistic: OwnStatistic | undefined) => string,
): string[][] {
  return rows.flatMap((row) =>
    Object.entries(row.clean.scores ?? {}).map(([name, clean]) => [
      titleAmong(rows, row),
      named(name),
      shown(clean),
      ...row.attacked.flatMap(({ scores }) => [
        shown(scores?.[name]?.transfer),
        shown(scores?.[name]?.adaptive),
      ]),
    ])
  );
}

/** Something of each score that was asked for; nothing where none was. */
function byScore<T>(
  results: readonly AttackResult[],
  of: (score: string) => T,
): { readonly scores?: Record<string, T> } {
  const names = results.flatMap(({ scores }) => Object.keys(scores?.attacks.results ?? {}));
  if (names.length === 0) return {};
  return { scores: Object.fromEntries([...new Set(names)].map((name) => [name, of(name)])) };
}

/** AUROC, by the largest probability where no other score is named. */
function areaOf(
  detection: AttackResult["detection"],
  set: "clean" | "attacked",
  score = "maxProbability",
): number | null | undefined {
  return detection?.scores[score]?.[set].auroc.value;
}

/** A figure over repetitions. */
function over(values: readonly (number | null | undefined)[]): OwnStatistic {
  const numbers = values.filter((v) => typeof v === "number");
  return {
    values: numbers,
    mean: numbers.length === 0 ? null : mean(numbers),
    halfWidth: halfWidth95(numbers),
  };
}

/** A figure beside the paper's; with a difference where both were made alike. */
function against(
  values: readonly (number | null | undefined)[],
  paper: number,
  alike: boolean,
): Statistic {
  const ours = over(values);
  return {
    ...ours,
    paper,
    difference: ours.mean === null || !alike ? null : ours.mean - paper,
  };
}
