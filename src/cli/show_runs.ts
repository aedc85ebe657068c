/**
 * Runs and their verification, for people.
 *
 * @module
 */
import { basename } from "node:path";
import { shortened, shownValue } from "../base/errors.ts";
import { display } from "../base/files.ts";
import { duration } from "../base/lock.ts";
import { hyperparameterNames, isImported, modelTitle, ofMethod } from "../methods/mod.ts";
import type { RunRow, RunsResult } from "../runs/list.ts";
import { optionEntries } from "../experiment/config.ts";
import { isUsual } from "../experiment/usual.ts";
import { optionText, subjectTitle } from "../report/words.ts";
import type { VerifyResult } from "../experiment/verify.ts";
import { counted, type FigureKind, noLabels, shown, shownRadius } from "../measure/shown.ts";
import { columns, fittingTable, tableText, wrapped } from "./format.ts";

/** Columns that hold no numbers. */
const texts: ReadonlySet<string> = new Set([
  "run",
  "model",
  "attack",
  "protocol",
  "options",
  "age",
  "state",
]);

/**
 * A table of runs with a line each, where the terminal is wide enough; else with what was done below the
 * run's name and the attacked figures below the clean ones, or, narrower still, without a frame.
 *
 * @param width columns of the terminal
 */
export function showRuns({ folder, runs }: RunsResult, width = columns()): string {
  if (runs.length === 0) {
    return `There are no such runs in ${
      display(folder)
    }; every train, eval, attack and table leaves one`;
  }
  const all = runs.map(cellsOf);
  const head = Object.keys(all[0] ?? {});
  const rows = all.map((cells) => Object.values(cells));
  const meaning = ["H: mean entropy out-domain in nats", "R: share rejected at 0.9"];
  const where = `in ${display(folder)}`;
  const wide = fittingTable(head, rows, { width, texts });
  if (wide !== undefined) return `${wide}\n${meaning.join(", ")}; ${where}`;
  const below = fittingTable(["run", "accuracy", "H", "R"], all.map((of) => stacked(of, width)), {
    width,
    divided: true,
  });
  return [
    below ?? tableText(head, all.map(lined), { width, texts }),
    ...wrapped(
      [...meaning, ...(below === undefined ? [] : ["the attacked figure below"]), where],
      width,
    ),
  ].join("\n");
}

/** The cells of a row whose options may stand on several lines. */
function lined(cells: Cells): string[] {
  return Object.values({ ...cells, options: cells.options.replaceAll(", ", "\n") });
}

type Cells = ReturnType<typeof cellsOf>;

/** Columns of numbers with their frames, and the frame of the run's own. */
const framed = 11 + 8 + 8 + 4;

/** The cells of a row of several lines: nothing is left out. */
function stacked(cells: Cells, width: number): string[] {
  const { run, model, seed, images, limit, attack, protocol, options, age, state } = cells;
  const parts = [
    model,
    seed === "" ? "" : `seed ${seed}`,
    images === "" ? "" : `${images} image${images === "1" ? "" : "s"}`,
    limit === "" ? "" : `limit ${limit}`,
    attack,
    protocol,
    ...options.split(", "),
    age,
    state,
  ].filter((part) => part !== "");
  const both = (clean: string, attacked: string): string =>
    attacked === "" ? clean : `${clean}\n${attacked}`;
  return [
    [run, ...wrapped(parts, width - framed)].join("\n"),
    cells.accuracy,
    both(cells.H, cells["H attacked"]),
    both(cells.R, cells["R attacked"]),
  ];
}

function cellsOf(row: RunRow): {
  readonly run: string;
  readonly model: string;
  readonly seed: string;
  readonly images: string;
  readonly limit: string;
  readonly attack: string;
  readonly protocol: string;
  readonly options: string;
  readonly accuracy: string;
  readonly H: string;
  readonly "H attacked": string;
  readonly R: string;
  readonly "R attacked": string;
  readonly age: string;
  readonly state: string;
} {
  const figure = (value: number | null, kind: FigureKind): string =>
    value === null ? "" : shown(value, kind);
  return {
    run: display(basename(row.folder)),
    model: shortened(modelOf(row)),
    seed: row.seed === null ? "" : String(row.seed),
    images: row.images === null ? "" : String(row.images),
    limit: row.limit === null ? "" : String(row.limit),
    attack: attackOf(row),
    protocol: shortened(row.protocol ?? "", 20),
    options: optionsOf(row),
    accuracy: row.accuracy === null && row.state === "finished" && row.command !== "table"
      ? noLabels
      : figure(row.accuracy, "accuracy"),
    H: figure(row.entropy, "entropy"),
    "H attacked": figure(row.entropyAttacked, "entropy"),
    R: figure(row.rejected, "share"),
    "R attacked": figure(row.rejectedAttacked, "share"),
    age: row.started === null ? "" : duration(Date.now() - Date.parse(row.started)),
    state: row.state,
  };
}

/** `pgd 0.1 to class 3`, `battery fast 0.1`: the attack or the battery, its radius, and where it steers. */
function attackOf({ attack, battery, epsilon, targeted }: RunRow): string {
  const parts = [
    battery === null ? attack : `battery ${battery}`,
    epsilon === null ? null : shownRadius(epsilon),
    targeted === null ? null : `to class ${targeted}`,
  ];
  return parts.filter((of) => of !== null).map((of) => shortened(String(of), 20)).join(" ");
}

/** What a row shows in columns of its own. */
const shownElsewhere: ReadonlySet<string> = new Set([
  "mode",
  "model",
  "seed",
  "protocol",
  "attack",
  "battery",
  "epsilonAttack",
  "targeted",
  "limit",
  ...hyperparameterNames,
]);

/** `temperature scaling, mean over samples, out-domain photos`: what was chosen otherwise than usual. */
function optionsOf({ options }: RunRow): string {
  return Object.entries(options)
    .filter(([name, value]) =>
      Object.hasOwn(optionEntries, name) && !shownElsewhere.has(name) &&
      !isUsual(name, value, options)
    )
    .map(([name, value]) => shortened(optionText(name, value), 40)).join(", ");
}

/** `5 x ResNet-18, width 16, epsilon 0.1`: the models, and what is their network's and the mode's own. */
function modelOf({ mode, model, members, hyperparameters }: RunRow): string {
  if (model === null) return "";
  const many = members !== null && members > 1 ? `${members} x ` : "";
  const models = mode !== null && isImported(model)
    ? subjectTitle({ mode, model })
    : `${many}${modelTitle(model, hyperparameters)}`;
  const own = Object.entries(ofMethod(hyperparameters)).map((of) => `, ${of.join(" ")}`);
  return `${models}${own.join("")}`;
}

/**
 * Whether a run's figures came out again, and which did not.
 *
 * @param width columns of the terminal
 */
export function showVerify(result: VerifyResult, width = columns()): string {
  const { figures, differences, sameMachine, elsewhere, tolerance, verified } = result;
  const folder = display(result.folder);
  const how = sameMachine
    ? "the same to the last bit, on the same adapter and versions"
    : `the same within ${tolerance} of their size, on another machine: ${
      elsewhere.map((what) => shortened(what)).join("; ")
    }`;
  const [all, are] = figures === 1 ? ["the one figure", "is"] : [`all ${figures} figures`, "are"];
  if (verified) return `Verified: ${all} of ${folder} ${are} ${how}.`;
  const table = tableText(
    ["figure", "then", "now", "apart"],
    differences.map(({ figure, before, now, by }) => [
      shortened(figure),
      text(before),
      text(now),
      by === null ? "" : by.toPrecision(2),
    ]),
    { width, texts: new Set(["figure", "then", "now", "apart"]) },
  );
  return `${table}\nNot verified: ${differences.length} of ${
    counted(figures, "figure")
  } of ${folder} ${differences.length === 1 ? "is" : "are"} not ${how}.`;
}

function text(value: unknown): string {
  return value === null || value === undefined ? "none" : shownValue(value);
}
