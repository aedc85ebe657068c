/** The script for Slurm: what bash makes of it, whatever stands in paths and values. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type { Row } from "../src/sweep/plan.ts";
import { firstFree } from "../src/sweep/jobs.ts";
import { chunksOf, sbatchScript } from "../src/sweep/sbatch.ts";
import { inFolder } from "./support.ts";

/** A program that writes its arguments down, an end of line after each of them, and says `7`. */
const writer = '#!/bin/bash\nprintf "%s\\n" "$@" >>"$TOLD"\necho 7\n';

const rows = [0, 1, 2, 3, 4].map((index): Row => ({
  index,
  digest: String(index).repeat(64),
  command: index < 2 ? "train" : "attack",
  options: {},
  needs: [],
}));

Deno.test({
  name: "a script hands paths and values on as they are, and finds rows by array and offset",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (folder) => {
      const path = "a $HOME 'b' \"c\" 50%j\nd.jsonl";
      const program = join(folder, "pro gram's");
      for (const file of [program, join(folder, "sbatch")]) {
        await Deno.writeTextFile(file, writer, { mode: 0o755 });
      }
      const script = sbatchScript({ digest: "", rows, trainings: 2 }, rows, {
        path,
        program: [program],
        flags: [["--time", "1 day; $(false) `false`"]],
        parallel: 2,
        setup: ["SET=1"],
        maxArraySize: 3,
      });
      await Deno.writeTextFile(join(folder, "sweep.sh"), script);
      const told = async (args: readonly string[], env: Record<string, string>) => {
        const TOLD = join(folder, `told${args.length}`);
        const PATH = `${folder}:/usr/bin:/bin`;
        const { code, stderr } = await new Deno.Command("bash", {
          args: ["sweep.sh", ...args],
          cwd: folder,
          clearEnv: true,
          env: { PATH, TOLD, ...env },
        }).output();
        assert.equal(code, 0, new TextDecoder().decode(stderr));
        return await Deno.readTextFile(TOLD);
      };
      const logs = "a $HOME 'b' \"c\" 50%%j\nd.state/slurm/%A_%a.out";
      const common = "--parsable\n--job-name=mirage\n--requeue\n--signal=B:USR1@120\n" +
        `--open-mode=append\n--output=${logs}\n--time=1 day; $(false) \`false\`\n`;
      assert.equal(
        await told([], {}),
        `${common}--array=0-1%2\nsweep.sh\nrow\n0\n` +
          `${common}--array=2%2\n--dependency=afterany:7\nsweep.sh\nrow\n0\n` +
          `${common}--array=0-1%2\n--dependency=afterany:7\nsweep.sh\nrow\n3\n`,
      );
      // Where logs go there is a folder by now, under the name as it is.
      assert.ok(await Deno.stat(join(folder, `${path.replace(/\.jsonl$/, "")}.state/slurm`)));
      assert.equal(
        await told(["row", "3"], { SLURM_ARRAY_TASK_ID: "1" }),
        `sweep\nrun\n${path}\n--index\n1\n--offset\n3\n`,
      );
    }),
});

Deno.test("arrays are below the cluster's bound, gaps and all", () => {
  assert.deepEqual(chunksOf([0, 1, 2, 4, 7, 8, 9], 4), [
    { offset: 0, array: "0-2" },
    { offset: 4, array: "0,3" },
    { offset: 8, array: "0-1" },
  ]);
});

Deno.test("the next process of several has the first GPU that is free, of ten and more, too", () => {
  assert.equal(firstFree(new Set()), 0);
  assert.equal(firstFree(new Set([1, 2])), 0);
  assert.equal(firstFree(new Set([0, 1, 3, 4, 5, 6, 7, 8, 9])), 2);
  assert.equal(firstFree(new Set([9, 0, 1, 3, 4, 5, 6, 7, 8, 2])), 10);
});
