/**
 * A reporter for the terminal: sentences and bars on stderr, which leaves stdout to the document.
 *
 * @module
 */
import process from "node:process";
import { Presets, SingleBar } from "cli-progress";
import type { Progress, Reporter } from "../reporter.ts";

/** Speaks on stderr: a bar on a terminal, a line every few seconds elsewhere. */
export const terminal: Reporter = {
  note: (message) => console.error(message),
  progress: (name, total): Progress => {
    const bar = new SingleBar({
      format: `${name} {bar} {percentage}% | {value}/{total} images | {fields}{eta_formatted} left`,
      stream: process.stderr,
      noTTYOutput: true,
      notTTYSchedule: 5000,
      fps: 5,
      etaBuffer: 200,
      hideCursor: true,
    }, Presets.shades_classic);
    bar.start(total, 0, { fields: "" });
    return {
      update: (done, fields = {}) => {
        const text = Object.entries(fields).map(([key, value]) => `${key} ${value} | `).join("");
        bar.update(done, { fields: text });
      },
      stop: () => bar.stop(),
    };
  },
};
