/** The table: what it is made of, that it goes on where it stopped, and what it says. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { flagOf } from "../src/cli/flags.ts";
import { showTable } from "../src/cli/show_table.ts";
import { runConfig } from "../src/experiment/config.ts";
import { paperTables } from "../src/experiment/paper.ts";
import {
  concerning,
  procedureOf,
  type ProtocolOption,
  protocolOptionNames,
  protocolOptions,
} from "../src/methods/protocol.ts";
import { tablesPage } from "../src/report/tables.ts";
import type { Reporter } from "../src/base/reporter.ts";
import { train } from "../src/experiment/train.ts";
import { readFigures } from "../src/runs/folder.ts";
import { listRuns } from "../src/runs/list.ts";
import { halfWidth95 } from "../src/measure/statistics.ts";
import { ablatable, resultPath, table, type TableOptions } from "../src/experiment/table.ts";
import { transplant } from "./trained.ts";
import { inFolder } from "./support.ts";

function options(folder: string, changed: Partial<TableOptions> = {}): TableOptions {
  return {
    pair: "mnist",
    run: { savePath: folder, epochs: 1, limit: 60, numEnsembles: 2 },
    seeds: 2,
    ensembles: 1,
    modes: ["sngp", "deep_ensemble"],
    ablate: ["keep", "ensembleAttack"],
    ...changed,
  };
}

Deno.test("a table stopped by a failure goes on where it stopped, and comes out as in one go", () =>
  inFolder(async (folder) => {
    const notes: string[] = [];
    const stopping = (after: number): Reporter => ({
      note: (text) => notes.push(text),
      progress: () => ({
        update: (_done, fields = {}) => {
          const [place = ""] = Object.values(fields);
          if (Number(place.split("/")[0]) > after) throw new Error("stopped");
        },
        stop: () => {},
      }),
    });
    const parts = join(folder, "parts");
    await assert.rejects(() => table(options(parts), stopping(4)), /stopped/);
    const rest = await table(options(parts), stopping(Infinity));
    assert.ok(
      notes.some((text) => /^4 of \d+ attacks are kept from before$/.test(text)),
      `${notes}`,
    );

    const whole = await table(options(join(folder, "whole")));
    const figures = { ...whole, seconds: 0 };
    assert.deepEqual({ ...rest, seconds: 0 }, figures);

    // Once more: nothing is left to do.
    const again = await table(options(parts), stopping(-1));
    assert.deepEqual({ ...again, seconds: 0 }, figures);

    assert.deepEqual(whole.epsilons, [0.1, 0.2, 0.3]);
    assert.deepEqual(whole.rows.map((row) => row.title), ["DE", "SNGP"]);
    const [ensemble, sngp] = whole.rows;
    assert.deepEqual(ensemble?.seeds, [[0, 1]]);
    assert.deepEqual(sngp?.seeds, [[0], [1]]);
    const { entropy } = sngp?.clean ?? assert.fail();
    assert.equal(entropy.values.length, 2);
    assert.equal(entropy.paper, 1.22);
    const [a = NaN, b = NaN] = entropy.values;
    assert.ok(Math.abs((entropy.halfWidth ?? NaN) - 12.706 * Math.abs(a - b) / 2) < 1e-9);
    assert.deepEqual(
      whole.ablation.map(({ option, value, rows }) => [option, value, rows.map((r) => r.title)]),
      // One step of FGSM keeps nothing but its end.
      [["keep", "best", ["SNGP"]], ["ensembleAttack", "joint", ["DE"]]],
    );
    const shown = showTable(whole);
    assert.match(shown, /## Table 1: epsilon 0.1/);
    assert.match(shown, /\| SNGP +\| 2 +\|/);
    // Few embedded letters after one epoch are not set against the paper's.
    assert.match(shown, /\d\.\d\d \+- \d+\.\d\d \(paper 1.22\)/);
    assert.doesNotMatch(shown, /\(paper [\d.]+, /);
    assert.match(shown, /^Not made as the paper's, whose figures stand beside them/m);
    assert.match(
      shown,
      /^- DE: 1 epoch, not 80; trained on embedded digits train, not MNIST train; .*; 2 members, not 10/m,
    );
    assert.equal(entropy.difference, null);
    assert.equal(whole.epochs, 1);
    const changed = whole.ablation[0]?.rows[0]?.differs ?? [];
    assert.deepEqual(changed, [...sngp?.differs ?? [], "keep best"]);
    assert.match(shown, /--ensemble-attack joint/);
  }));

Deno.test("an option is blamed only for a change between models trained alike; rows that are not are marked", () =>
  inFolder(async (savePath) => {
    const run = { savePath, epochs: 1, limit: 20, numEnsembles: 1 };
    await train(runConfig({ ...run, mode: "deep_ensemble", epochs: 3 }));
    const made = await table(options(savePath, { run, seeds: 1, ablate: ["selection"] }));
    const [ensemble, sngp] = made.rows;
    assert.deepEqual(ensemble?.trained, [{ epochs: 3, images: 20 }]);
    assert.deepEqual(sngp?.trained, [{ epochs: 1, images: 20 }]);
    const unlike = "1 epoch on 20 images, not 3 epochs on 20 images";
    assert.deepEqual(made.ablation[0]?.rows.map((row) => row.unlike), [[unlike], []]);
    assert.equal(made.epochs, null);
    const shown = showTable(made);
    for (const title of ["DE (3 epochs on 20 images)", "SNGP (1 epoch on 20 images)"]) {
      // A row of the first table, a column of the second.
      assert.equal(shown.split(title).length, 3, shown);
    }
    const changed = shown.slice(shown.indexOf("## Ablation"));
    assert.match(changed, /\| DE +\| \d\.\d\d +\| \d\.\d\d +\|/);
    assert.match(changed, /\| SNGP \| \d\.\d\d \([+-]?\d\.\d\d\) +\|/);
    assert.ok(
      changed.endsWith(
        "\nNot trained as the row above, so that a change would not be the option's alone:\n" +
          `- --selection validation, DE: ${unlike}`,
      ),
      changed,
    );
    const [folder] = [...Deno.readDirSync(join(savePath, "runs"))].filter(({ name }) =>
      name.startsWith("table-")
    );
    const page = await tablesPage(join(savePath, "runs", folder?.name ?? ""));
    assert.match(page, /DE with selection validation was not trained as the row above: 1 epoch/);
    assert.match(page, /DE \(3 epochs on 20 images\)/);
  }));

Deno.test("a kept attack is made anew when its checkpoint has changed", () =>
  inFolder(async (folder) => {
    const small = options(folder, { seeds: 1, modes: ["sngp"], ablate: [] });
    const first = await table(small);
    const path = resultPath(
      runConfig({
        ...small.run,
        mode: "sngp",
        model: "LeNet_SNGP",
        seed: 0,
        epsilonAttack: 0.1,
      }),
    );
    const kept = JSON.parse(await Deno.readTextFile(path));
    // Made on other images.
    const { result } = kept;
    const changed = {
      ...kept,
      result: {
        ...result,
        outDomain: { ...result.outDomain, sha256: "0".repeat(64) },
        clean: { ...result.clean, entropy: 9 },
      },
    };
    await Deno.writeTextFile(path, JSON.stringify(changed));
    assert.deepEqual((await table(small)).rows, first.rows);

    // Made on another model, whose file was no older.
    const [checkpoint] = result.checkpoints;
    const { mtime } = await Deno.stat(checkpoint);
    const other = await train(
      runConfig({ ...small.run, mode: "sngp", savePath: join(folder, "other"), lr: 0.02 }),
    );
    await transplant(other.members[0]?.best.path ?? "", checkpoint);
    await Deno.utime(checkpoint, mtime ?? 0, mtime ?? 0);
    const swapped = await table(small);
    assert.notDeepEqual(swapped.rows, first.rows);
    // Each has a folder of its own, with its own figures.
    const { runs } = await listRuns(folder, { sort: "started", command: "table" });
    assert.deepEqual(runs.map(({ state }) => state), ["finished", "finished"]);
    const figures = await Promise.all(runs.map((run) => readFigures(run.folder)));
    const rows = figures.map((of) => JSON.stringify(of?.["rows"])).sort();
    assert.deepEqual(rows, [first, swapped].map((of) => JSON.stringify(of.rows)).sort());
  }));

Deno.test("two settings never share a result: every option of the protocol has a file of its own", () => {
  const paths = new Set<string>();
  const add = (more: object): void => {
    paths.add(resultPath(runConfig({ mode: "due", ...more })));
  };
  add({});
  add({ seed: 1 });
  add({ epsilonAttack: 0.2 });
  add({ protocol: "corrected" });
  for (const name of protocolOptionNames) add({ [name]: protocolOptions[name].corrected });
  assert.equal(paths.size, 4 + protocolOptionNames.length);
});

Deno.test("a protocol's options differ, and concern modes that there are", () => {
  for (const [name, option] of Object.entries<ProtocolOption>(protocolOptions)) {
    assert.notEqual(option.paper, option.corrected, name);
    if ("values" in option) {
      assert.ok(
        [option.paper, option.corrected].every((of) => option.values.some((value) => value === of)),
      );
    }
  }
  const chosen = procedureOf("corrected", { keep: "last" });
  assert.equal(chosen.keep, "last");
  assert.equal(chosen.start, "projected");
  assert.deepEqual(concerning(chosen, { mode: "sngp", model: "LeNet_SNGP" }, "training"), {
    selection: "validation",
    precision: "clean",
  });
  assert.ok(!("dueSamples" in concerning(chosen, { mode: "duq", model: "LeNet_DUQ" })));
  for (const model of ["LeNet_DUQ", "ResNet-18_DUQ"]) {
    const { batchStatistics } = concerning(chosen, { mode: "duq", model });
    assert.equal(batchStatistics, model === "LeNet_DUQ" ? undefined : "every-step");
  }
  assert.deepEqual(ablatable([]), protocolOptionNames);
  assert.ok(!ablatable(["sngp"]).includes("ensembleMean"));
});

Deno.test("the page of protocols lists every option, with both of its values", async () => {
  const page = await Deno.readTextFile(new URL("../docs/protocols.md", import.meta.url));
  for (
    const [name, { about, paper, corrected }] of Object.entries<ProtocolOption>(protocolOptions)
  ) {
    const line = `| \`${flagOf(name)}\` | ${about} | ${paper} | ${corrected} |`;
    assert.ok(page.includes(line), line);
  }
});

Deno.test("`paperTables` has every figure of Tables 1 and 2", () => {
  for (const { epsilons, rows } of Object.values(paperTables)) {
    assert.equal(rows.length, 6);
    for (const { title, clean, attacked } of rows) {
      assert.equal(attacked.length, epsilons.length, title);
      for (const { entropy, rejection } of [clean, ...attacked]) {
        assert.ok(entropy > 0 && entropy < Math.log(10) && rejection >= 0 && rejection <= 1, title);
      }
    }
  }
});

Deno.test("`halfWidth95()` is Student's interval", () => {
  assert.equal(halfWidth95([1]), null);
  // Mean 2, s = 1, n = 3: 4.303 / sqrt(3).
  assert.ok(Math.abs((halfWidth95([1, 2, 3]) ?? NaN) - 2.4843) < 1e-4);
  assert.equal(halfWidth95([5, 5, 5, 5]), 0);
});
