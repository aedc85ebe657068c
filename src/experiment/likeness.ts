/**
 * In what a row of a table was not made as the paper's: only like is set beside like with a difference.
 *
 * What was done is asked, not what was wanted: the attacks' documents, and what the models say of their
 * training.
 *
 * @module
 */
import { dirname } from "node:path";
import { checkpointPaths } from "../checkpoint/checkpoint.ts";
import type { Statement } from "../checkpoint/statement.ts";
import { readExtras } from "../checkpoint/stored.ts";
import { type Method, methods, networkOf, unpublished } from "../methods/mod.ts";
import { type PairName, paperTables, paperTraining } from "./paper.ts";
import { procedureOf, protocolOptionNames } from "../methods/protocol.ts";
import type { AttackResult } from "./documents.ts";
import type { TableRow } from "./table_document.ts";

/** What the models behind attacks say of their training, each once; undefined of one that says nothing. */
export async function trainingsOf(
  results: readonly AttackResult[],
): Promise<(Statement | undefined)[]> {
  const folders = new Set(results.flatMap(({ checkpoints }) => checkpoints.map(dirname)));
  const found: (Statement | undefined)[] = [];
  // The last checkpoint has every epoch behind it, the best one those up to its own.
  for (const folder of folders) {
    found.push((await readExtras(checkpointPaths(folder).last))?.statement);
  }
  return found;
}

/** How models were trained, each way once. */
export function waysOf(trainings: readonly (Statement | undefined)[]): TableRow["trained"] {
  const ways = trainings.map((training) =>
    training ? { epochs: training.history.length, images: training.data.count } : null
  );
  return [...new Map(ways.map((way) => [JSON.stringify(way), way])).values()];
}

/** Ways of training in words: `2 epochs on 60 images or 20 epochs on 8000 images`. */
function waysInWords(ways: TableRow["trained"]): string {
  return ways.map((way) =>
    way
      ? `${way.epochs} epoch${way.epochs === 1 ? "" : "s"} on ${way.images} images`
      : "an unknown training"
  ).join(" or ");
}

/** What the rows' networks have of their own otherwise than published, each once: `width 16`. */
export function networksOf(
  rows: readonly Pick<TableRow, "hyperparameters">[],
): readonly string[] {
  return [...new Set(rows.flatMap(({ hyperparameters }) => unpublished(hyperparameters)))];
}

/** A row's title, with how its models were trained where the rows beside it differ in that. */
export function titleAmong(rows: readonly TableRow[], { title, trained }: TableRow): string {
  const ways = new Set(rows.map((row) => waysInWords(row.trained)));
  return ways.size > 1 || trained.length > 1 ? `${title} (${waysInWords(trained)})` : title;
}

/**
 * In what models were trained otherwise than others, but for the option that is changed between them: in
 * epochs and images, model by model.
 */
export function trainedUnlike(
  trainings: readonly (Statement | undefined)[],
  others: readonly (Statement | undefined)[],
): string[] {
  const key = (all: typeof trainings): string =>
    JSON.stringify(all.map((t) => t && [t.history.length, t.data.count, t.data.sha256]));
  const known = [...trainings, ...others].every((training) => training !== undefined);
  if (known && key(trainings) === key(others)) return [];
  const [own, other] = [trainings, others].map((all) => waysInWords(waysOf(all)));
  return [own === other ? `${own}, but not the same ones` : `${own}, not ${other}`];
}

/** What a row was made by. */
export interface Made {
  readonly pair: PairName;
  /** Images in a step of the evaluation, whose means the paper averages. */
  readonly batchSize: number;
  readonly results: readonly AttackResult[];
  /** See {@linkcode trainingsOf}. */
  readonly trainings: readonly (Statement | undefined)[];
}

/** In what attacks on models so trained are not as the paper's row; nothing where they are. */
export function differsIn({ pair, batchSize, results, trainings }: Made): string[] {
  return [
    ...ofTraining(pair, trainings),
    ...ofData(pair, results),
    ...ofMembers(results),
    ...ofProcedure(results),
    ...unlike([batchSize], [paperTraining.evaluationBatch], (n) => `evaluated in batches of ${n}`),
  ];
}

/** `10 epochs, not 80`, where a value is another than the paper's. */
function unlike(
  values: readonly (string | number | undefined)[],
  paper: readonly (string | number)[],
  say: (value: string) => string,
): string[] {
  const others = [...new Set(values)].filter((value) => !paper.some((own) => own === value));
  if (others.length === 0) return [];
  const found = others.map((value) => value ?? "an unknown number of").join(" or ");
  return [`${say(found)}, not ${paper.join(" or ")}`];
}

function ofTraining(pair: PairName, trainings: readonly (Statement | undefined)[]): string[] {
  const { epochs, optimiser, hyperparameters } = paperTraining;
  const { training: { name, count } } = paperTables[pair].data;
  const known = trainings.filter((training) => training !== undefined);
  return [
    ...unlike(
      trainings.map((training) => training?.history.length),
      [epochs],
      (n) => `${n} epoch${n === "1" ? "" : "s"}`,
    ),
    ...unlike(known.map(({ data }) => data.name), [name], (set) => `trained on ${set}`),
    ...unlike(known.map(({ data }) => data.count), [count], (n) => `${n} training images`),
    ...Object.entries(optimiser).flatMap(([key, value]) =>
      unlike(known.map(({ training }) => Number(training[key])), [value], (n) => `${key} ${n}`)
    ),
    ...known.some(({ model, training }) =>
        networkOf(model).augmentation > 0 && !training["augment"]
      )
      ? ["no augmentation"]
      : [],
    ...Object.entries<readonly (string | number)[]>(hyperparameters).flatMap(([key, values]) =>
      unlike(
        known.flatMap(({ hyperparameters: { [key]: own } }) =>
          own === undefined ? [] : [typeof own === "boolean" ? String(own) : own]
        ),
        values,
        (value) => `${key} ${value}`,
      )
    ),
  ];
}

function ofData(pair: PairName, results: readonly AttackResult[]): string[] {
  const { test, outDomain } = paperTables[pair].data;
  const inside = results.flatMap((result) => result.inDomain ?? []);
  const outside = results.map((result) => result.outDomain);
  return [
    ...unlike(inside.map(({ name }) => name), [test.name], (set) => `tested on ${set}`),
    ...unlike(inside.map(({ count }) => count), [test.count], (n) => `${n} test images`),
    ...unlike(outside.map(({ name }) => name), [outDomain.name], (set) => `attacked on ${set}`),
    ...unlike(
      outside.map(({ count }) => count),
      [outDomain.count],
      (n) => `${n} out-domain images`,
    ),
  ];
}

function ofMembers(results: readonly AttackResult[]): string[] {
  const ensembles = results.filter(({ mode }) =>
    Object.values<Method>(methods).some(({ name, ensemble }) => name === mode && ensemble)
  );
  return unlike(
    ensembles.map(({ checkpoints }) => checkpoints.length),
    [paperTraining.members],
    (n) => `${n} member${n === "1" ? "" : "s"}`,
  );
}

/** What an attack is where nobody chooses. */
const usual = {
  objective: "published",
  direction: "over",
  norm: "linf",
  keepLabel: false,
  init: null,
  restarts: 0,
  eot: 1,
} as const satisfies Partial<AttackResult["attack"]>;

/** What was chosen about an attack, where it is not as usual: `restarts 5`. */
function chosenOf(attack: AttackResult["attack"]): string[] {
  const names = Object.keys(usual) as (keyof typeof usual)[];
  return names.flatMap((name) => {
    const value: unknown = attack[name];
    return value === undefined || value === usual[name] ? [] : [`${name} ${value}`];
  });
}

/** The protocol where it is another, and options that are not the protocol's. */
function ofProcedure(results: readonly AttackResult[]): string[] {
  const found = results.flatMap(({ protocol, procedure, attack }) => {
    const own = procedureOf(protocol);
    const options = protocolOptionNames.filter((name) => {
      const value = procedure[name];
      return value !== undefined && value !== own[name];
    });
    return [
      ...(protocol === "paper" ? [] : [`protocol ${protocol}`]),
      ...options.map((name) => `${name} ${procedure[name]}`),
      ...chosenOf(attack),
      ...(attack.targeted === null ? [] : [`steered to class ${attack.targeted}`]),
      ...(attack.name === "pgd"
        ? unlike([attack.steps], [paperTraining.attackSteps], (n) => `${n} steps`)
        : []),
    ];
  });
  return [...new Set(found)];
}
