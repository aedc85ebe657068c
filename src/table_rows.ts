/**
 * Rows of the tables: figures over repetitions beside the paper's, and in what the two were not made alike.
 *
 * @module
 */
import type { PairName } from "../data/mod.ts";
import type { RunOptions } from "./config.ts";
import { type MethodName, methods } from "./methods/mod.ts";
import { type PaperRow, paperTables, paperTraining } from "./paper.ts";
import { type ProtocolOptionName, protocolOptionNames, protocolOptions } from "./protocol.ts";
import type { AttackResult } from "./results.ts";
import { halfWidth95, mean } from "./statistics.ts";
import type { Statistic, TableRow } from "./table_result.ts";
import { tau } from "./verdict.ts";

/** In what a row was not made as the paper's: only like is set beside like with a difference. */
export function differsIn(
  { pair, run }: { readonly pair: PairName; readonly run: Partial<RunOptions> },
  results: readonly AttackResult[],
  option: ProtocolOptionName | undefined,
): string[] {
  const { data } = paperTables[pair];
  const { epochs, members } = paperTraining;
  const [first] = results;
  const ensemble = methods[first?.mode as MethodName]?.ensemble ?? false;
  const smallest = Math.min(...results.map(({ checkpoints }) => checkpoints.length));
  const reasons: readonly (readonly [boolean, string])[] = [
    [run.epochs !== epochs, `${run.epochs ?? "an unknown number of"} epochs, not ${epochs}`],
    [
      first?.inDomain.name !== data.inDomain || first.outDomain.name !== data.outDomain,
      `${first?.inDomain.name} and ${first?.outDomain.name}, not ${data.inDomain} and ${data.outDomain}`,
    ],
    [
      first?.outDomain.count !== data.count,
      `${first?.outDomain.count} out-domain images, not ${data.count}`,
    ],
    [ensemble && smallest !== members, `${smallest} members, not ${members}`],
    [first?.protocol !== "paper", `protocol ${first?.protocol}`],
    [option !== undefined, `another ${option}`],
    ...protocolOptionNames.map((name): [boolean, string] => [
      run[name] !== undefined && run[name] !== protocolOptions[name].paper,
      `${name} ${run[name]}`,
    ]),
  ];
  return reasons.flatMap(([differs, what]) => differs ? [what] : []);
}

/** A row of the tables from its attacks. */
export function summarise(
  row: PaperRow,
  results: readonly AttackResult[],
  differs: readonly string[],
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
    accuracy: clean.map((r) => r.inDomain.accuracy),
    differs: [...differs],
    clean: {
      entropy: statistic(clean.map((r) => r.clean.entropy), row.clean.entropy),
      rejection: statistic(clean.map((r) => r.clean.rejection[tau]), row.clean.rejection),
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
    })),
  };
}

/** A figure beside the paper's; with a difference where both were made alike. */
function against(
  values: readonly (number | null | undefined)[],
  paper: number,
  alike: boolean,
): Statistic {
  const numbers = values.filter((v) => typeof v === "number");
  const average = numbers.length === 0 ? null : mean(numbers);
  return {
    values: numbers,
    mean: average,
    halfWidth: halfWidth95(numbers),
    paper,
    difference: average === null || !alike ? null : average - paper,
  };
}
