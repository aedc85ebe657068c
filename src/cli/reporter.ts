/**
 * A reporter for the terminal: sentences and bars on stderr, which leaves stdout to the document.
 *
 * @module
 */
import process from "node:process";
import { Presets, SingleBar } from "cli-progress";
import { say } from "./stderr.ts";
import { watch } from "./watch.ts";
import type { Progress, Reporter } from "../base/reporter.ts";

const bars = new Set<SingleBar>();

/** Speaks on stderr: a bar on a terminal, a line every few seconds elsewhere. */
export const terminal: Reporter = {
  note: say,
  watch: (what) => watch(what),
  progress: (name, total, unit = "images"): Progress => {
    // The cursor stays visible: nothing has to be put right when a run is broken off.
    const bar = new SingleBar({
      format:
        `${name} {bar} {percentage}% | {value}/{total} ${unit} | {fields}{eta_formatted} left`,
      stream: process.stderr,
      noTTYOutput: true,
      notTTYSchedule: 5000,
      fps: 5,
      etaBuffer: 200,
      gracefulExit: false,
    }, Presets.shades_classic);
    bars.add(bar);
    bar.start(total, 0, { fields: "" });
    return {
      update: (done, fields = {}) => {
        const text = Object.entries(fields).map(([key, value]) => `${key} ${value} | `).join("");
        bar.update(done, { fields: text });
      },
      stop: () => {
        bar.stop();
        bars.delete(bar);
      },
    };
  },
};

/** Ends the bars that a failed or interrupted run has left, so that what follows has its own line. */
export function stopBars(): void {
  bars.forEach((bar) => bar.stop());
  bars.clear();
}
