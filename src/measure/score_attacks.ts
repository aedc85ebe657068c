/**
 * What attacks on one score after the other leave of all of them: the matrix score by attack.
 *
 * @module
 */
import type { Answers } from "./answers.ts";
import { bootstrap } from "./detection.ts";
import { apartBy, finiteEnds, scoresOf } from "./evidence.ts";
import { estimatePairs, type Pair } from "./paired.ts";
import type { ScoreAttacks, ScoreMatrix, ToldResult } from "./results.ts";
import { turned } from "./robust.ts";

/** One domain of a run whose scores are attacked. */
export interface AttackedDomain {
  /** Answers to all of its images as they were. */
  readonly whole: Answers;
  /**
   * Answers to a sample: `clean`, under the run's own attack, `transfer`, and under that on each score, by its name;
   * undefined where these images are not attacked.
   */
  readonly sample: Readonly<Record<string, Answers>> | undefined;
}

/** Which images are attacked. */
type Side = ScoreAttacks["on"];

/**
 * The figures of attacks on one score after the other. Images of a domain that is not attacked are all there are, of one
 * that is the sample.
 *
 * @param names of the scores that were attacked
 * @param seed of the bootstrap
 */
export function scoreAttackFigures(
  on: Side,
  domains: Readonly<Record<"in" | "out", AttackedDomain>>,
  names: readonly string[],
  seed: number,
): Pick<ScoreAttacks, "results" | "matrix"> {
  const { in: own, out } = domains;
  const pairOf = (side: Side, attack: string): readonly [Answers, Answers] => [
    (side === "out" ? undefined : own.sample?.[attack]) ?? own.whole,
    (side === "in" ? undefined : out.sample?.[attack]) ?? out.whole,
  ];
  const rows = Object.keys(scoresOf(own.whole));
  const attacks = ["clean", "transfer", ...names];
  const matrixOn = (side: Side): ScoreMatrix | null =>
    on === side || on === "both"
      ? matrixOf(rows, attacks.map((attack) => [attack, pairOf(side, attack)]), seed)
      : null;
  const results = names.map((name) => [name, {
    clean: apartBy(name, ...pairOf(on, "clean"), seed),
    adaptive: apartBy(name, ...pairOf(on, name), seed),
  }]);
  return {
    results: Object.fromEntries(results),
    matrix: { out: matrixOn("out"), in: matrixOn("in"), both: matrixOn("both") },
  };
}

/** What is left of a score at its worst over all attacks of a matrix, none at all among them. */
export interface WorstCase extends ToldResult {
  readonly name: string;
  /** The attack under which its AUROC is the smallest; its FPR95 is the largest of all. */
  readonly attack: string;
}

/**
 * What is left of scores at their worst, the best first; a figure without a number is the worst there is.
 *
 * @param names of scores of the matrix; all of them when not given
 */
export function worstCases(
  matrix: ScoreMatrix,
  names: readonly string[] = Object.keys(matrix),
): readonly WorstCase[] {
  const area = ({ auroc }: ToldResult): number => auroc.value ?? -1;
  const share = ({ fprAt95Tpr }: ToldResult): number => fprAt95Tpr.value ?? 2;
  return names.flatMap((name) => {
    const cells = Object.entries(matrix[name] ?? {});
    const [lowest] = cells.toSorted(([, a], [, b]) => area(a) - area(b));
    const [highest] = cells.toSorted(([, a], [, b]) => share(b) - share(a));
    if (!lowest || !highest) return [];
    const [[attack, { auroc }], [, { fprAt95Tpr }]] = [lowest, highest];
    return [{ name, attack, auroc, fprAt95Tpr }];
  }).toSorted((a, b) => area(b) - area(a));
}

/** By score, then by attack, how answers in-domain and out-domain are told apart. */
function matrixOf(
  names: readonly string[],
  columns: readonly (readonly [attack: string, readonly [Answers, Answers]])[],
  seed: number,
): ScoreMatrix {
  const turnedOf = new Map(
    columns.flatMap(([, pair]) => pair.map((answers) => [answers, turnedScores(answers)])),
  );
  const cells = names.flatMap((name) =>
    columns.map(([attack, [own, other]]) => {
      const [a, b] = [turnedOf.get(own)?.[name], turnedOf.get(other)?.[name]];
      if (!a || !b) throw new Error(`Unreachable: ${attack} has no score ${name}`);
      return [a, b] satisfies Pair;
    })
  );
  const told = estimatePairs(cells, { ...bootstrap, seed });
  return Object.fromEntries(names.map((name, row) => [
    name,
    Object.fromEntries(columns.map(([attack], column) => {
      const cell = told[row * columns.length + column];
      if (!cell) throw new Error("Unreachable: a cell for every pair");
      const { auroc, fprAt95Tpr } = cell;
      return [attack, { auroc: finiteEnds(auroc), fprAt95Tpr: finiteEnds(fprAt95Tpr) }];
    })),
  ]));
}

function turnedScores(answers: Answers): Readonly<Record<string, Float64Array>> {
  return Object.fromEntries(
    Object.entries(scoresOf(answers)).map(([name, score]) => [name, turned(score)]),
  );
}
