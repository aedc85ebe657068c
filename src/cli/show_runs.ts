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
    "epsilon",
    "H",
    "H attacked",
    "R",
    "R attacked",
    "age",
    "state",
  ];
  const table = new Table({
    head,
    colAligns: head.map((_, i) => i < 2 || i > 7 ? "left" : "right"),
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
    shortened(row.model ?? ""),
    row.seed === null ? "" : String(row.seed),
    row.epsilon === null ? "" : String(row.epsilon),
    number(row.entropy, 3),
    number(row.entropyAttacked, 3),
    number(row.rejected, 2),
    number(row.rejectedAttacked, 2),
    row.started === null ? "" : duration(Date.now() - Date.parse(row.started)),
    row.state,
  ];
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
