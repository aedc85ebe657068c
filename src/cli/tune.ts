/**
 * `mirage tune`: which way of cutting convolutions this machine's GPU likes.
 *
 * @module
 */
import Table from "cli-table3";
import { openDevice, tune as measure, type TuneResult } from "../nn/mod.ts";
import type { Reporter } from "../base/reporter.ts";

/** Measures, and keeps the result for runs to come. */
export async function tune(reporter: Reporter): Promise<TuneResult> {
  using device = await openDevice(reporter);
  return await measure(device, reporter);
}

/** As a table. */
export function showTune({ adapter, profile, cuts, layers, path }: TuneResult): string {
  const names = Object.keys(layers[0]?.milliseconds ?? {});
  const table = new Table({
    head: ["layer", "", ...names.map((name) => `${name}, ms`)],
    style: { head: [], border: [], compact: true },
  });
  for (const { layer, kind, milliseconds } of layers) {
    table.push([layer, kind, ...names.map((name) => (milliseconds[name] ?? NaN).toFixed(2))]);
  }
  const others = Object.entries(cuts).map(([key, name]) => `\n  ${key}: as "${name}"`);
  return `${table}\n${adapter}: the profile "${profile}" is the fastest and used from now on` +
    (others.length > 0 ? `, but that another's cut is faster of:${others.join("")}\n` : "; ") +
    `measured values are in ${path}`;
}
