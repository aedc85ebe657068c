/** Trainings bit for bit: resumed as in one go, members that learn together as each alone. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { checkpointPaths } from "../src/checkpoint/checkpoint.ts";
import { trainBriefly, trainMembers } from "./brief_training.ts";
import { inFolder, withDevice } from "./support.ts";

/** Whether the bytes are the same; `deepEqual` would write out how they differ, for minutes. */
function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length > 0 && a.length === b.length && a.every((byte, i) => byte === b[i]);
}

for (const mode of ["baseline", "deep_ensemble_at", "duq", "due", "sngp"] as const) {
  Deno.test(`\`fit()\` of ${mode} resumed leaves the same bits as in one go`, () =>
    inFolder(async (folder) => {
      const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
      const run = (epochs: number, folder: string): Promise<void> =>
        withDevice(async (device) => void await trainBriefly(device, { mode, epochs, folder }));
      await run(3, whole);
      await run(1, parts);
      await run(3, parts);
      for (const which of ["best", "last"] as const) {
        const read = (at: string): Promise<Uint8Array> => Deno.readFile(checkpointPaths(at)[which]);
        assert.ok(same(await read(parts), await read(whole)), which);
      }
    }));
}

for (const [mode, epochs] of [["deep_ensemble", [1, 2]], ["deep_ensemble_at", [1]]] as const) {
  Deno.test(`\`fit()\` of ${mode} leaves members that learn together as it leaves each alone`, () =>
    inFolder(async (folder) => {
      const run = (name: string, seeds: readonly number[], epochs: number): Promise<void> =>
        withDevice(async (device) => {
          const at = (seed: number): string => join(folder, name, String(seed));
          await trainMembers(device, { mode, epochs, folder: at, seeds, microBatch: 20 });
        });
      const last = (name: string, seed: number): Promise<Uint8Array> =>
        Deno.readFile(checkpointPaths(join(folder, name, String(seed))).last);
      // Together stopped and gone on with, alone in one go.
      for (const target of epochs) await run("together", [3, 4], target);
      await run("alone", [4], epochs.at(-1) ?? 1);
      assert.ok(same(await last("together", 4), await last("alone", 4)));
      assert.ok(!same(await last("together", 3), await last("together", 4)));
    }));
}
