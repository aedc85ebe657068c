/** `--scores` through the program: what is fitted, told, attacked, kept and refused. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { attackOnly } from "../src/experiment/attack.ts";
import { batteryOnly } from "../src/experiment/battery.ts";
import { runConfig, type RunOptions } from "../src/experiment/config.ts";
import { evaluate, evaluateOnly } from "../src/experiment/evaluate.ts";
import { sampleSize } from "../src/experiment/scored.ts";
import { openSetup } from "../src/experiment/setup.ts";
import { builtFor } from "../src/experiment/workbench.ts";
import { sha256Of } from "../src/base/digest.ts";
import { silent } from "../src/base/reporter.ts";
import { readSafetensors } from "../src/checkpoint/safetensors.ts";
import { tableResultSchema } from "../src/experiment/table_document.ts";
import { knownScores } from "../src/evaluate/fit_scores.ts";
import type { MethodName } from "../src/methods/mod.ts";
import { chosenScores, scores } from "../src/scores/mod.ts";
import { task } from "./program.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { inFolder, onlyRun } from "./support.ts";
import { trained } from "./trained.ts";

const all = Object.keys(scores);
const small = { mode: "baseline", limit: 60, epochs: 2 } as const;

Deno.test("`--scores all` adds every score to an evaluation, kept with its digest, and changes no other figure", () =>
  inFolder(async (savePath) => {
    await trained(savePath, small);
    const config = { ...small, savePath };
    const without = await evaluateOnly(runConfig(config), silent);
    const { scores: fitted, detection, ...others } = await evaluate(
      runConfig({ ...config, scores: "all" }),
    );
    assert.ok(fitted);
    assert.deepEqual(fitted.training, { name: "embedded digits train", count: 60 });
    assert.equal("scores" in without, false);
    const left = fitted.leftOut.map(({ name }) => name);
    const told = Object.keys(detection.scores);
    assert.deepEqual([...told, ...left].toSorted(), all.toSorted());
    for (const { auroc } of Object.values(detection.scores).map(({ clean }) => clean)) {
      assert.ok((auroc.low ?? NaN) <= (auroc.value ?? NaN));
      assert.ok((auroc.value ?? NaN) <= (auroc.high ?? NaN));
    }
    for (const name of ["maxProbability", "entropy"]) {
      assert.deepEqual(detection.scores[name], without.detection.scores[name]);
    }
    for (const name of ["inDomain", "outDomain", "calibration", "confident", "curves"] as const) {
      assert.deepEqual(others[name], without[name], name);
    }
    const folder = await onlyRun(savePath, "eval");
    const { tensors } = await readSafetensors(join(folder, "scores.safetensors"));
    assert.ok([...tensors.keys()].includes("mahalanobis.whitening"));
    const parts = all.flatMap((name) => {
      const own = [...tensors].filter(([key]) => key.startsWith(`${name}.`));
      const arrays = own.flatMap(([key, { shape, data }]) => [
        JSON.stringify([key.slice(name.length + 1), shape]),
        new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      ]);
      return left.includes(name) ? [] : [name, ...arrays];
    });
    assert.equal(sha256Of(parts), fitted.digest);
    const { code, stderr } = await task("verify", [folder], { cwd: savePath });
    assert.equal(code, 0, stderr);
  }));

Deno.test("every score is attacked by its own slope, which lowers it more than the attack of the run does", () =>
  inFolder(async (savePath) => {
    await trained(savePath, { ...small, epochs: 4 });
    const config = { ...small, epochs: 4, savePath, attack: "pgd", steps: 5 } as const;
    const without = await attackOnly(runConfig(config), silent);
    const made = await attackOnly(
      runConfig({ ...config, scores: "energy,gaussian,knn,ddu,maxProbability" }),
      silent,
    );
    for (const name of ["clean", "adversarial", "checks", "curves", "warnings"] as const) {
      assert.deepEqual(made[name], without[name], name);
    }
    const { attacks } = made.scores ?? assert.fail();
    assert.deepEqual([attacks.images, attacks.on], [60, "out"]);
    const names = Object.keys(attacks.results);
    assert.deepEqual(names, ["maxProbability", "energy", "gaussian", "knn", "ddu"]);
    for (const [name, { clean, adaptive, others }] of Object.entries(attacks.results)) {
      assert.deepEqual(clean.auroc.value, made.detection?.scores[name]?.clean.auroc.value);
      assert.deepEqual(adaptive.auroc.value, others[name]?.auroc, name);
      assert.ok((adaptive.auroc.value ?? NaN) < (clean.auroc.value ?? NaN), name);
      assert.deepEqual(Object.keys(others), Object.keys(made.detection?.scores ?? {}));
    }
    for (const name of ["gaussian", "knn", "ddu"]) {
      const transfer = made.detection?.scores[name]?.attacked.auroc.value ?? NaN;
      assert.ok((attacks.results[name]?.adaptive.auroc.value ?? NaN) < transfer, name);
    }
  }));

Deno.test("many scores are attacked on fewer images each, but on 100 where there are so many", () => {
  const sizes = [[2520, 14], [2520, 6], [2520, 7], [18_724, 14], [60, 1]] as const;
  const made = sizes.map(([images, scores]) => sampleSize(images, scores));
  assert.deepEqual(made, [100, 200, 180, 200, 100]);
});

Deno.test("a battery has a member more for every score, after which it is adaptive", () =>
  inFolder(async (savePath) => {
    await trained(savePath, small);
    const made = await batteryOnly(
      runConfig({ ...small, savePath, battery: "fast", on: "out", scores: "entropy,gaussian" }),
      silent,
    );
    const members = made.battery.members.map(({ name }) => name);
    assert.equal(members.at(-1), "apgd score gaussian");
    assert.equal(members.filter((name) => name.includes("score")).length, 1);
    const { columns, adaptive, transfer, won } = made.scores["gaussian"] ?? assert.fail();
    assert.ok((columns.out?.auroc.value ?? NaN) <= (adaptive.out ?? NaN));
    assert.ok((adaptive.out ?? NaN) < (transfer.out ?? NaN));
    assert.ok((won.out["apgd score gaussian"] ?? NaN) > 0.9);
    assert.deepEqual(made.scoreFits?.leftOut, []);
  }));

testWithShared(
  "a classifier out of an ONNX file has every score that its features and logits give",
  ["reference/onnx/lenet_view.onnx"],
  async () => {
    const modelFile = [sharedPath("reference/onnx/lenet_view.onnx")];
    const { scores: fitted, detection } = await evaluateOnly(
      runConfig({ mode: "baseline", modelFile, inDomain: "mnist", limit: 100, scores: "vim,knn" }),
      silent,
    );
    assert.deepEqual(fitted?.leftOut, []);
    for (const name of ["vim", "knn"]) {
      assert.ok(Number.isFinite(detection.scores[name]?.clean.auroc.value), name);
    }
  },
);

Deno.test("what a method does not give is left out of all scores, and refused by name", async () => {
  const given = async (options: RunOptions): Promise<readonly string[]> => {
    const { subject } = builtFor(await openSetup(runConfig(options), "use"));
    return knownScores("all", subject).given;
  };
  const withoutLogits = all.filter((name) =>
    !["maxLogit", "energy", "scaledProbability", "odin", "vim"].includes(name)
  );
  const wanted: Partial<Record<MethodName, readonly string[]>> = {
    baseline: all,
    sngp: all,
    deep_ensemble: all,
    duq: withoutLogits,
    due: withoutLogits,
  };
  for (const [mode, names] of Object.entries(wanted)) {
    assert.deepEqual(await given({ mode: mode as MethodName, scores: "all" }), names, mode);
  }
  const due = builtFor(await openSetup(runConfig({ mode: "due" }), "use")).subject;
  assert.throws(
    () => knownScores(["energy"], due),
    /^UserError: Cannot score by "energy": the model has no logits; choose maxProbability, entropy, gen, /,
  );
  const apart = { mode: "deep_ensemble", ensembleAttack: "per-member", scores: "all" } as const;
  await assert.rejects(given(apart), /an image each: .*; add --ensemble-attack joint$/);
  assert.deepEqual(chosenScores("vim,knn"), ["knn", "vim"]);
  assert.equal(chosenScores("vim,vim,nothing"), undefined);
  assert.throws(
    () => runConfig({ mode: "due", scores: "mine" }),
    /^UserError: Cannot run with scores = mine: choose all, or of maxProbability,entropy,/,
  );
});

Deno.test("a table tells AUROC by every score that was asked for, clean, by transfer and by itself", () =>
  inFolder(async (cwd) => {
    const asked = ["mnist", "--mode", "sngp", "--limit", "60", "--epochs", "1"];
    const { code, stdout, stderr } = await task(
      "table",
      [...asked, "--scores", "energy,gaussian", "--json"],
      { cwd },
    );
    assert.equal(code, 0, stderr);
    const { rows: [row = assert.fail()] } = tableResultSchema.parse(JSON.parse(stdout));
    assert.deepEqual(Object.keys(row.clean.scores ?? {}), ["energy", "gaussian"]);
    for (const { auroc, scores = {} } of row.attacked) {
      assert.equal(auroc.values.length, 1);
      for (const { transfer, adaptive } of Object.values(scores)) {
        assert.deepEqual([transfer.values.length, adaptive.values.length], [1, 1]);
      }
    }
    // The last radius: a score that is attacked itself falls below what is left of it by transfer.
    const { gaussian } = row.attacked.at(-1)?.scores ?? {};
    assert.ok((gaussian?.adaptive.mean ?? NaN) < (gaussian?.transfer.mean ?? NaN));
    const folder = await onlyRun(join(cwd, "trained_models"), "table");
    const text = await task("table", [...asked, "--scores", "energy,gaussian"], { cwd });
    assert.match(text.stdout, /## Scores: AUROC\n/);
    assert.match(text.stdout, /single Gaussian|gaussian/i);
    const page = await Deno.readTextFile(join(folder, "report.html"));
    assert.match(page, /an attack on the score itself/);
  }));
