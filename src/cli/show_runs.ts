/**
 * Runs and their verification, for people.
 *
 * @module
 */
import { basename } from "node:path";
import Table from "cli-table3";
import { shortened, shownValue } from "../base/errors.ts";
import { display } from "../base/files.ts";
import { duration } from "../base/lock.ts";
import type { RunRow, RunsResult } from "../runs/list.ts";
import type { VerifyResult } from "../experiment/verify.ts";

/** Columns that hold no numbers. */
const texts: ReadonlySet<string> = new Set([
  "run",
  "model",
  "attack",
  "protocol",
  "age",
  "state",
]);

/** One line a run. */
export function showRuns({ folder, runs }: RunsResult): string {
  if (runs.length === 0) {
    return `There are no such runs in ${
      display(folder)
    }; every train, eval, attack and table leaves one`;
  }
  const head = [
    "run",
    "model",
    "seed",
    "images",
    "attack",
    "protocol",
    "accuracy",
    "H",
    "H attacked",
    "R",
    "R attacked",
    "age",
    "state",
  ];
  const table = new Table({
    head,
    colAligns: head.map((name) => texts.has(name) ? "left" : "right"),
    style: { head: [], border: [], compact: true },
  });
  for (const row of runs) table.push(cells(row));
  return `${table}\nH: mean entropy out-domain in nats, R: share rejected at 0.9; in ${
    display(folder)
  }`;
}

function cells(row: RunRow): string[] {
  const number = (value: number | null, digits: number): string =>
    value === null ? "" : value.toFixed(digits);
  return [
    display(basename(row.folder)),
    shortened(modelOf(row)),
    row.seed === null ? "" : String(row.seed),
    row.images === null ? "" : String(row.images),
    [row.attack, row.epsilon].filter((of) => of !== null).map((of) => shortened(String(of), 20))
      .join(" "),
    shortened(row.protocol ?? "", 20),
    number(row.accuracy, 4),
    number(row.entropy, 3),
    number(row.entropyAttacked, 3),
    number(row.rejected, 2),
    number(row.rejectedAttacked, 2),
    row.started === null ? "" : duration(Date.now() - Date.parse(row.started)),
    row.state,
  ];
}

/** `5 x LeNet, epsilon 0.1`: the models, and what is the mode's own. */
function modelOf({ model, members, hyperparameters }: RunRow): string {
  const many = members !== null && members > 1 ? `${members} x ` : "";
  const own = Object.entries(hyperparameters).map(([name, value]) => `, ${name} ${value}`);
  return model === null ? "" : `${many}${model}${own.join("")}`;
}

/** Whether a run's figures came out again, and which did not. */
export function showVerify(result: VerifyResult): string {
  const { figures, differences, sameMachine, tolerance, verified } = result;
  const folder = display(result.folder);
  const how = sameMachine
    ? "the same to the last bit, on the same adapter and versions"
    : `the same within ${tolerance} of their size, on another adapter or version`;
  const [all, are] = figures === 1 ? ["the one figure", "is"] : [`all ${figures} figures`, "are"];
  if (verified) return `Verified: ${all} of ${folder} ${are} ${how}.`;
  const table = new Table({
    head: ["figure", "then", "now", "apart"],
    style: { head: [], border: [], compact: true },
  });
  for (const { figure, before, now, by } of differences) {
    table.push([shortened(figure), text(before), text(now), by === null ? "" : by.toPrecision(2)]);
  }
  return `${table}\nNot verified: ${differences.length} of ${figures} figure${
    figures === 1 ? "" : "s"
  } of ${folder} ${differences.length === 1 ? "is" : "are"} not ${how}.`;
}

function text(value: unknown): string {
  return value === null || value === undefined ? "none" : shownValue(value);
}
