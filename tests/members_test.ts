/** Which files an ensemble is made of. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { runConfig, type RunOptions } from "../src/experiment/config.ts";
import { shortened, UserError } from "../src/base/errors.ts";
import { evaluate } from "../src/experiment/evaluate.ts";
import { inFolder } from "./support.ts";

Deno.test("an ensemble of fewer files than members says how many there are", () =>
  inFolder(async (folder) => {
    const checkpoint = join(folder, "m{seed}");
    const refused = async (
      there: readonly number[],
      message: string,
      options: Partial<RunOptions> = {},
    ): Promise<void> => {
      for (let seed = 0; seed < 9; seed++) {
        await Deno.remove(join(folder, `m${seed}`)).catch(() => {});
      }
      for (const seed of there) await Deno.writeTextFile(join(folder, `m${seed}`), "");
      await assert.rejects(
        evaluate(runConfig({ mode: "deep_ensemble", numEnsembles: 5, checkpoint, ...options })),
        (error) => error instanceof UserError && error.message === message,
        message,
      );
    };
    const expected = `Cannot use "${shortened(checkpoint, 110)}": 5 members are expected, seeds `;
    await refused([0, 1, 2], `${expected}0 to 4; seeds 0 to 2 are there; use --num-ensembles 3`);
    await refused([0], `${expected}0 to 4; seed 0 is there; use --num-ensembles 1`);
    await refused([4], `${expected}2 to 6; seed 4 is there; use --seed 4 and --num-ensembles 1`, {
      seed: 2,
    });
    await refused(
      [1, 3],
      `${expected}0 to 4; seeds 1, 3 are there; name each by a --checkpoint of its own`,
    );
    await refused(
      [0, 1],
      `${
        expected.replace("5 members", "3 members")
      }0 to 2; seeds 0 to 1 are there; add --num-ensembles 2`,
      { numEnsembles: undefined },
    );
    await refused(
      [],
      `Cannot read "${join(folder, "m0")}": there is no such file; check the path`,
    );
  }));
