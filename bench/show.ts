/**
 * The benchmark's reports as tables of text.
 *
 * @module
 */
import type { AttackReport } from "./attacks.ts";
import Table from "cli-table3";
import type { ImportReport } from "./imports.ts";
import type { ExperimentReport } from "./experiment.ts";
import type { KernelReport, KernelRow } from "./kernels.ts";
import type { PeerRow } from "./peers.ts";
import type { ScalingRow } from "./scaling.ts";
import type { ScoresRow } from "./scores.ts";
import type { StartupRow } from "./startup.ts";
import { showSummary } from "./statistics.ts";
import { type WorkloadName, workloads } from "./workload.ts";

function table(head: string[], rows: string[][]): string {
  const made = new Table({ head, style: { head: [], border: [] } });
  made.push(...rows);
  return made.toString();
}

/** A table a workload: milliseconds of a step, and how many of Mirage's it takes. */
export function showPeers(rows: readonly PeerRow[]): string {
  const names = [...new Set(rows.map(({ workload }) => workload))];
  return names.map((name) => {
    const { title, about } = workloads[name as WorkloadName];
    const lines = rows.filter(({ workload }) => workload === name).map((row) => [
      `${row.library} ${row.version}`,
      row.where,
      showSummary(row.step),
      `${row.step.count}`,
      showSummary(row.ratio, 2),
      row.lossError.toExponential(0),
    ]);
    const head = ["library", "on", "ms a step", "rounds", "times Mirage's", "loss differs by"];
    return `${title} (${about}); medians [quartiles] of rounds\n${table(head, lines)}`;
  }).join("\n\n");
}

/** Two tables: layers by themselves, and the dispatches of whole steps. */
export function showKernels({ adapter, roof, layers, dispatches }: KernelReport): string {
  const line = (row: KernelRow): string[] => [
    row.what,
    row.milliseconds.toFixed(2),
    row.gflops > 0 ? row.gflops.toFixed(1) : "",
    row.gigabytes.toFixed(1),
    `${(100 * row.share).toFixed(0)} %`,
  ];
  const head = ["ms", "GFLOP/s", "GB/s", "of the roof"];
  const steps = [...new Set(dispatches.map((row) => row.of))];
  return [
    `${adapter}: at best ${roof.gflops.toFixed(1)} GFLOP/s and ${roof.gigabytes.toFixed(1)} GB/s`,
    table(["layer", "", ...head], layers.map((row) => [row.of, ...line(row)])),
    ...steps.flatMap((name) => [
      name,
      table(["dispatch", ...head], dispatches.filter((row) => row.of === name).map(line)),
    ]),
  ].join("\n");
}

/** What was measured, and the line through it. */
export function showScaling(rows: readonly ScalingRow[]): string {
  return table(
    ["against", "measured", "a unit more", "at none", "R2"],
    rows.map(({ quantity, measure, points, slope, intercept, r2 }) => [
      quantity,
      points.map(([x, y]) => `${x}: ${y.toFixed(1)} ${measure}`).join("\n"),
      `${slope.toPrecision(3)} ${measure}`,
      `${intercept.toPrecision(3)} ${measure}`,
      r2.toFixed(4),
    ]),
  );
}

/** Seconds with an empty shader cache and with a filled one. */
export function showStartup(rows: readonly StartupRow[]): string {
  const lines = rows.map((
    { library, cold, warm },
  ) => [library, showSummary(cold, 2), showSummary(warm, 2)]);
  return `Process start to first training step, seconds; medians [quartiles]\n` +
    table(["library", "empty shader cache", "filled"], lines);
}

/** What a step of each attack costs. */
export function showAttacks({ where, rows, besideForward, sideBySide }: AttackReport): string {
  const lines = rows.map((
    { name, step, ratio },
  ) => [name, showSummary(step), showSummary(ratio, 2)]);
  return `A step on LeNet, 200 letters, on ${where}; medians [quartiles]\n` +
    table(["step", "ms", "times pgd's"], lines) +
    `\nShare of a square step beside its forward pass: ${showSummary(besideForward, 2)}` +
    sideBySide.map(({ images, runs, gain }) =>
      `\n${runs} restarts of ${images} images side by side: ${showSummary(gain, 2)} times as fast`
    ).join("");
}

/** Seconds of an attack without scores and with all of them. */
export function showScores(rows: readonly ScoresRow[]): string {
  const lines = rows.map(({ model, without, all, ratio }) => [
    model,
    showSummary(without),
    showSummary(all),
    showSummary(ratio, 2),
  ]);
  return `attack --mode sngp on the embedded data, from start to end; medians [quartiles]\n${
    table(["model", "s without scores", "s with all", "times as long"], lines)
  }`;
}

/** A table a network: what an image costs. */
export function showImports({ batch, size, rows }: ImportReport): string {
  const names = [...new Set(rows.map(({ network }) => network))];
  const head = ["library", "on", "pass", "ms an image", "rounds", "times Mirage's"];
  return names.map((name) => {
    const lines = rows.filter(({ network }) => network === name).map((row) => [
      `${row.library} ${row.version}`,
      row.where,
      row.pass === "forward" ? "forward" : "forward and back",
      showSummary(row.image),
      `${row.image.count}`,
      showSummary(row.ratio, 2),
    ]);
    return `${name}, ${batch} images of ${size} x ${size}; medians [quartiles] of rounds\n` +
      table(head, lines);
  }).join("\n\n");
}

/** Costs an image of every variant, and of the tables as a whole. */
export function showExperiment({ adapter, batch, rows }: ExperimentReport): string {
  const lines = rows.map((row) => [
    `${row.network} (${row.mode})`,
    showSummary(row.train, 0),
    row.trainGigaflop.toFixed(2),
    showSummary(row.attack, 0),
    row.attackGigaflop.toFixed(2),
    (row.trainBytes / 2 ** 20 / batch).toFixed(0),
    row.hoursHere.toFixed(0),
    row.hoursA100.toFixed(1),
  ]);
  const head = [
    "network",
    "ms to train",
    "GFLOP",
    "ms a PGD step",
    "GFLOP",
    "MiB",
    "hours here",
    "hours A100",
  ];
  const sum = (of: "hoursHere" | "hoursA100"): number =>
    rows.reduce((total, row) => total + row[of], 0);
  return `An image, in batches of ${batch}, on ${adapter}; medians [quartiles]\n${
    table(head, lines)
  }\n` +
    `All trainings and attacks of the paper's tables: ${
      (sum("hoursHere") / 24).toFixed(0)
    } days here; ` +
    `${
      sum("hoursA100").toFixed(0)
    } hours on a GPU of the A100's class, an estimate by operations alone`;
}
