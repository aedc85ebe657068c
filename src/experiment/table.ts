/**
 * The paper's tables, made anew: every row trained (where it is not yet), attacked at every radius for
 * every seed, and set beside what was published.
 *
 * What is finished is kept: models as checkpoints, attacks as documents under the save path, so an
 * interrupted table goes on where it stopped.
 *
 * @module
 */
import { join } from "node:path";
import { makeFolder, writeAtomic } from "../base/atomic.ts";
import {
  evalBatch,
  membersOf,
  procedureFor,
  type RunConfig,
  runConfig,
  type RunOptions,
} from "./config.ts";
import { UserError } from "../base/errors.ts";
import { defaultMethod, type Method, type MethodName, methods, networkOf } from "../methods/mod.ts";
import { type PairName, type PaperRow, paperTables } from "./paper.ts";
import { withoutModules } from "./parts.ts";
import {
  type ProtocolOption,
  type ProtocolOptionName,
  protocolOptionNames,
  protocolOptions,
} from "../methods/protocol.ts";
import { type Progress, type Reporter, silent } from "../base/reporter.ts";
import type { AttackResult } from "./documents.ts";
import { attackSettings, attackWithExamples } from "./attack.ts";
import { type TableResult, tableResultSchema } from "./table_document.ts";
import { differsIn, trainedUnlike, trainingsOf, waysOf } from "./likeness.ts";
import { summarise } from "./table_rows.ts";
import { circumstances } from "../runs/agreement.ts";
import { figuresOf } from "../runs/figures.ts";
import type { RunSpec } from "../runs/folder.ts";
import { recordedByOutcome } from "./recorded.ts";
import { sourceDigests } from "./source_digests.ts";
import { digestOf } from "../base/digest.ts";
import { sha256 } from "../base/digest.ts";
import { type Kept, readKept } from "./table_kept.ts";
import { version, versions } from "../base/version.ts";
import { openSetup, outDomainOf } from "./setup.ts";
import { pendingTraining } from "./pending.ts";

/** What a table is made of. */
export interface TableOptions {
  /** The data sets; they decide the rows and the radii. */
  readonly pair: PairName;
  /** What every run has in common: data, epochs, protocol. */
  readonly run: Omit<RunOptions, "mode" | "inDomain" | "outDomain">;
  /** Seeds 0, 1, ... of the methods of one model. */
  readonly seeds: number;
  /** Ensembles without a member in common. */
  readonly ensembles: number;
  /** Rows to make; all of them when empty. */
  readonly modes: readonly MethodName[];
  /** Protocol options to make the table once more with, each changed alone. */
  readonly ablate: readonly ProtocolOptionName[];
}

/** One attack: of a row, a repetition and a radius. */
interface Cell {
  readonly row: PaperRow;
  readonly config: RunConfig;
}

/** A table with one procedure. */
interface Variant {
  readonly option?: ProtocolOptionName;
  readonly value?: string | number;
  readonly rows: readonly { readonly row: PaperRow; readonly cells: readonly Cell[] }[];
}

/**
 * Makes the tables of a pair.
 *
 * @throws UserError for whatever a user can mend
 */
export async function table(
  options: TableOptions,
  reporter: Reporter = silent,
): Promise<TableResult> {
  withoutModules(options.run);
  const { savePath } = runConfig({ ...options.run, mode: defaultMethod });
  const { document } = await recordedByOutcome(
    savePath,
    reporter,
    (noting) => makeTable(options, noting),
    (made) => tableSpec(options, made),
  );
  return document;
}

/** A table and the models behind it. */
interface MadeTable {
  readonly document: TableResult;
  /** SHA-256 of their files, each once. */
  readonly models: readonly string[];
}

/**
 * What determines a table: the models, which may be other ones another time, and as nothing says what was
 * trained how long, its figures themselves.
 */
async function tableSpec(
  options: TableOptions,
  { document, models }: MadeTable,
): Promise<RunSpec> {
  const run = Object.fromEntries(
    Object.entries(options.run).filter(([name]) => !circumstances.has(name)),
  );
  return {
    command: "table",
    label: options.pair,
    config: { ...options },
    identity: {
      options: { ...options, run },
      models,
      figures: digestOf(figuresOf(document)),
      source: await sourceDigests(),
      versions: versions(),
    },
    adapter: {},
    versions: versions(),
  };
}

async function makeTable(options: TableOptions, reporter: Reporter): Promise<MadeTable> {
  const started = performance.now();
  const variants = variantsOf(options);
  const cells = variants.flatMap(({ rows }) => rows.flatMap((r) => r.cells));
  const attacks = await runAll(cells, reporter);
  const results = new Map([...attacks].map(([cell, { result }]) => [cell, result]));
  const models = [...new Set([...attacks.values()].flatMap(({ models }) => models))].sort();
  const [first] = results.values();
  if (!first) throw new UserError("Cannot make a table: no row is left; name other modes");
  const made: TableResult["ablation"][number][] = [];
  const before = new Map<PaperRow, Awaited<ReturnType<typeof trainingsOf>>>();
  const epochs = new Set<number | undefined>();
  for (const { option = "", value = "", rows } of variants) {
    const summaries: TableResult["ablation"][number]["rows"][number][] = [];
    for (const { row, cells } of rows) {
      const own = cells.map((cell) => found(results, cell));
      const trainings = await trainingsOf(own);
      trainings.forEach((training) => epochs.add(training?.history.length));
      const { pair, run: { batchSize = evalBatch } } = options;
      const differs = differsIn({ pair, batchSize, results: own, trainings });
      const unlike = option === "" ? [] : trainedUnlike(trainings, before.get(row) ?? []);
      if (option === "") before.set(row, trainings);
      summaries.push({ ...summarise(row, own, differs, waysOf(trainings)), unlike });
    }
    made.push({ option, value, rows: summaries });
  }
  const [base, ...others] = made;
  const [trained = null, ...otherwise] = epochs;
  const document = tableResultSchema.parse({
    schema: "mirage/table@4",
    pair: options.pair,
    protocol: first.protocol,
    epochs: otherwise.length === 0 ? trained : null,
    inDomain: first.inDomain?.name,
    outDomain: {
      name: first.outDomain.name,
      count: first.outDomain.count,
      sha256: first.outDomain.sha256,
    },
    epsilons: paperTables[options.pair].epsilons,
    rows: base?.rows.map(({ unlike: _, ...row }) => row),
    notes: variants[0]?.rows.flatMap(({ row: { note } }) => note === undefined ? [] : [note]),
    ablation: others,
    adapter: first.adapter,
    versions: first.versions,
    seconds: (performance.now() - started) / 1000,
  });
  return { document, models };
}

/** Every attack of the tables, that of the common procedure first. */
function variantsOf({ pair, run, seeds, ensembles, modes, ablate }: TableOptions): Variant[] {
  const { epsilons, rows, inDomain } = paperTables[pair];
  const wanted = rows.filter(({ mode }) => modes.length === 0 || modes.includes(mode));
  const cellsOf = (row: PaperRow, changed: Partial<RunOptions>): Cell[] => {
    const { ensemble, members: byDefault, models }: Method = methods[row.mode];
    const model = models.find((name) => networkOf(name).inDomain === inDomain);
    const members = run.numEnsembles ?? byDefault?.usual ?? 1;
    return Array.from({ length: ensemble ? ensembles : seeds }, (_, i) => i).flatMap((i) =>
      epsilons.map((epsilonAttack) => ({
        row,
        config: runConfig({
          ...run,
          ...changed,
          mode: row.mode,
          ...(model === undefined ? {} : { model }),
          seed: ensemble ? i * members : i,
          epsilonAttack,
          ...(ensemble ? { numEnsembles: members } : {}),
          ...(row.epsilon === undefined ? {} : { epsilon: row.epsilon }),
        }),
      }))
    );
  };
  const base = wanted.map((row) => ({ row, cells: cellsOf(row, {}) }));
  const ablation = ablate.map((option): Variant => {
    const { paper, corrected, modes, batchNorm }: ProtocolOption = protocolOptions[option];
    const value = run.protocol === "corrected" ? paper : corrected;
    return {
      option,
      value,
      rows: base.filter(({ row }) => modes?.includes(row.mode) ?? true)
        .filter(({ cells: [cell] }) => !batchNorm || networkOf(cell?.config.model ?? "").batchNorm)
        .map(({ row, cells }) => ({
          row,
          before: cells[0]?.config,
          cells: cellsOf(row, { [option]: value }),
        }))
        .filter(({ before, cells }) => !before || differs(option, before, cells[0]?.config)),
    };
  });
  return [{ rows: base }, ...ablation.filter(({ rows }) => rows.length > 0)];
}

/** The configurations of a table's rows, one each: what every one of them has to make of the options. */
export function configsOf(options: TableOptions): RunConfig[] {
  const [base] = variantsOf({ ...options, ablate: [] });
  return (base?.rows ?? []).flatMap(({ cells: [cell] }) => cell ? [cell.config] : []);
}

/** Options among those to be changed whose change no row would notice. */
export function withoutRows(options: TableOptions): ProtocolOptionName[] {
  const made = variantsOf(options).map(({ option }) => option);
  return options.ablate.filter((option) => !made.includes(option));
}

/**
 * Whether an option makes a difference: those of the attack's steps may not, as `keep` to one step, nor those
 * of several members to one.
 */
function differs(option: ProtocolOptionName, a: RunConfig, b: RunConfig | undefined): boolean {
  const { ofMembers, modes, stage }: ProtocolOption = protocolOptions[option];
  if (ofMembers && membersOf(a) === 1) return false;
  const ofSteps = stage === "attack" && modes === undefined;
  const settings = (config: RunConfig): string => JSON.stringify(attackSettings(config));
  return !ofSteps || b === undefined || settings(a) !== settings(b);
}

/** Options that change something for one of these modes. */
export function ablatable(modes: readonly MethodName[]): ProtocolOptionName[] {
  return protocolOptionNames.filter((name) => {
    const option: ProtocolOption = protocolOptions[name];
    return modes.length === 0 || !option.modes ||
      option.modes.some((m) => modes.some((n) => n === m));
  });
}

/** Runs what is not kept from before. */
async function runAll(
  cells: readonly Cell[],
  reporter: Reporter,
): Promise<ReadonlyMap<Cell, Kept>> {
  const results = new Map<Cell, Kept>();
  const digests = new Map<string, string>();
  const letters = await outDomainHash(cells[0]?.config);
  const open: { cell: Cell; path: string; work: number }[] = [];
  const [seen, counted] = [new Map<string, Pending>(), new Set<Pending>()];
  for (const cell of cells) {
    const path = resultPath(cell.config);
    const kept = await readKept(path, letters, digests);
    const pending = await pendingOf(cell, seen);
    if (kept) results.set(cell, kept);
    else open.push({ cell, path, work: workOf(cell, pending, counted) });
  }
  const remarks = new Set([...seen.values()].flatMap((pending) => pending.remarks));
  remarks.forEach((remark) => reporter.note(remark));
  if (results.size > 0) {
    reporter.note(`${results.size} of ${cells.length} attacks are kept from before`);
  }
  const total = open.reduce((sum, { work }) => sum + work, 0);
  const bar = open.length === 0 ? undefined : reporter.progress("table", total, "forward passes");
  try {
    let done = 0;
    for (const [i, { cell, path, work }] of open.entries()) {
      const { row, config } = cell;
      const what = `${row.title} seed ${config.seed} epsilon ${config.epsilonAttack}`;
      const inner = bar &&
        within(bar, done, work, `${i + 1}/${open.length} ${what}`, methods[row.mode].passes);
      const { result, models } = await attackWithExamples(config, inner ?? silent, 0);
      const kept: Kept = {
        schema: "mirage/kept@1",
        models: models.map(({ sha256 }) => sha256),
        result,
      };
      await makeFolder(join(config.savePath, "table"));
      await writeAtomic(path, JSON.stringify(kept, null, 1) + "\n");
      results.set(cell, kept);
      done += work;
      bar?.update(done);
    }
  } finally {
    bar?.stop();
  }
  return results;
}

type Pending = Awaited<ReturnType<typeof pendingTraining>>;

/** What is left to train for a cell: all of a row and a repetition, whatever their radius, have the same. */
async function pendingOf({ config }: Cell, seen: Map<string, Pending>): Promise<Pending> {
  const { epsilonAttack: _, ...rest } = config;
  const key = JSON.stringify(rest);
  const pending = seen.get(key) ?? await pendingTraining(config);
  seen.set(key, pending);
  return pending;
}

/** Work of an attack in forward passes of an image: training that no cell before it does, and the attack. */
function workOf({ config, row }: Cell, pending: Pending, counted: Set<Pending>): number {
  const { passes } = methods[row.mode];
  const training = counted.has(pending) ? 0 : pending.epochs * pending.images * passes.train;
  counted.add(pending);
  const letters = Math.min(config.limit ?? Infinity, 10_000);
  return training + letters * passes.attack;
}

/** A reporter whose bars move a part of the table's. */
function within(
  bar: Progress,
  start: number,
  work: number,
  what: string,
  passes: { readonly train: number; readonly attack: number },
): Reporter {
  let finished = 0;
  return {
    note: () => {},
    progress(name, total): Progress {
      const each = name.startsWith("train") ? passes.train : passes.attack;
      const from = finished;
      finished += total * each;
      return {
        update: (done, fields = {}) => {
          const { epoch, speed } = fields;
          const where = epoch === undefined ? name : `${name} epoch ${epoch}`;
          bar.update(Math.min(start + work, start + from + done * each), {
            job: `${what}: ${where}`,
            ...(speed === undefined ? {} : { at: speed }),
          });
        },
        stop: () => {},
      };
    },
  };
}

/** Where a configuration's result is kept: named by all that it depends on. */
export function resultPath(config: RunConfig): string {
  const { savePath, explain: _explain, time: _time, ...rest } = config;
  const determines = { ...rest, procedure: procedureFor(config), version };
  const key = (sha256(JSON.stringify(determines))).slice(0, 16);
  return join(savePath, "table", `attack-${config.mode}-seed_${config.seed}-${key}.json`);
}

/** SHA-256 of the images that the table's attacks are made on: all cells have the same. */
async function outDomainHash(config: RunConfig | undefined): Promise<string> {
  if (!config) return "";
  const setup = await openSetup(config, "use");
  return (await outDomainOf(setup)).sha256;
}

function found(results: ReadonlyMap<Cell, AttackResult>, cell: Cell): AttackResult {
  const result = results.get(cell);
  if (!result) throw new Error("Unreachable: an attack without a result");
  return result;
}
