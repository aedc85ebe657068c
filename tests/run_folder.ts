/** The folders that runs of tests leave. */
import assert from "node:assert/strict";
import type { Reporter } from "../src/base/reporter.ts";
import { type RunConfig, runConfig } from "../src/experiment/config.ts";

/** A run of seconds. */
export const quick = { mode: "sngp", epochs: 1, limit: 64 } as const;

/** The folder that a run leaves. */
export async function folderOf(
  run: (config: RunConfig, reporter: Reporter) => Promise<unknown>,
  options: Partial<RunConfig> & { readonly savePath: string },
): Promise<string> {
  let folder = "";
  await run(runConfig({ ...quick, ...options }), {
    note: () => {},
    progress: () => ({ update: () => {}, stop: () => {} }),
    kept: (path) => folder = path,
  });
  assert.notEqual(folder, "");
  return folder;
}
