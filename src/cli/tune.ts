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
export function showTune({ adapter, profile, layers, path }: TuneResult): string {
  const names = Object.keys(layers[0]?.milliseconds ?? {});
  const table = new Table({
    head: ["layer, forward and both gradients", ...names.map((name) => `${name}, ms`)],
    style: { head: [], border: [], compact: true },
  });
  for (const { layer, milliseconds } of layers) {
    table.push([layer, ...names.map((name) => (milliseconds[name] ?? NaN).toFixed(2))]);
  }
  return `${table}\n${adapter}: the profile "${profile}" is the fastest and used from now on; ` +
    `measured values are in ${path}`;
}
