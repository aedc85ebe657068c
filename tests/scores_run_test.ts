/** `--scores` through the program: what is fitted, told, attacked, kept and refused. */
import assert from "node:assert/strict";
import { join } from "node:path";
import type * as mirage from "../mod.ts";
import { attack, attackOnly } from "../src/experiment/attack.ts";
import { battery, batteryOnly } from "../src/experiment/battery.ts";
import { runConfig, type RunOptions } from "../src/experiment/config.ts";
import { evaluate, evaluateOnly } from "../src/experiment/evaluate.ts";
import { openSetup } from "../src/experiment/setup.ts";
import { builtFor } from "../src/experiment/workbench.ts";
import { sha256Of } from "../src/base/digest.ts";
import { silent } from "../src/base/reporter.ts";
import { readSafetensors, writeSafetensors } from "../src/checkpoint/safetensors.ts";
import { tableResultSchema } from "../src/experiment/table_document.ts";
import { knownScores } from "../src/evaluate/fit_scores.ts";
import type { MethodName } from "../src/methods/mod.ts";
import { chosenScores, scores } from "../src/scores/mod.ts";
import { verify } from "../src/experiment/verify.ts";
import { task } from "./program.ts";
import { folderOf } from "./run_folder.ts";
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
    assert.ok(fitted.leftOut.every(({ why }) => !why.includes("--scores")));
    assert.match(fitted.leftOut.find(({ name }) => name === "vim")?.why ?? "", /here by 60$/);
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
    assert.deepEqual([attacks.images, attacks.on], [{ in: 0, out: 60 }, "out"]);
    const { out: matrix, ...otherSides } = attacks.matrix;
    assert.ok(matrix);
    assert.deepEqual(otherSides, { in: null, both: null });
    assert.deepEqual(Object.keys(matrix), Object.keys(made.detection?.scores ?? {}));
    const names = Object.keys(attacks.results);
    assert.deepEqual(names, ["maxProbability", "energy", "gaussian", "knn", "ddu"]);
    const told = ({ auroc, fprAt95Tpr }: mirage.SeparationResult): mirage.ToldResult => ({
      auroc,
      fprAt95Tpr,
    });
    // The sample is all there is, so that the matrix has the detectors' figures, intervals included.
    for (const [name, row] of Object.entries(matrix)) {
      const detector = made.detection?.scores[name] ?? assert.fail();
      assert.deepEqual(Object.keys(row), ["clean", "transfer", ...names]);
      assert.deepEqual(row["clean"], told(detector.clean), name);
      assert.deepEqual(row["transfer"], told(detector.attacked), name);
    }
    for (const [name, { clean, adaptive }] of Object.entries(attacks.results)) {
      assert.deepEqual(told(clean), matrix[name]?.["clean"], name);
      assert.deepEqual(told(adaptive), matrix[name]?.[name], name);
      assert.ok((adaptive.auroc.value ?? NaN) < (clean.auroc.value ?? NaN), name);
    }
    for (const name of ["gaussian", "knn", "ddu"]) {
      const transfer = made.detection?.scores[name]?.attacked.auroc.value ?? NaN;
      assert.ok((attacks.results[name]?.adaptive.auroc.value ?? NaN) < transfer, name);
    }
  }));

Deno.test("scores are attacked on the images that the run attacks, in its direction, and on both sides", () =>
  inFolder(async (savePath) => {
    await trained(savePath, { ...small, epochs: 4 });
    const made = async (options: Partial<RunOptions>) => {
      const config = { ...small, epochs: 4, savePath, attack: "pgd", steps: 3, scores: "gaussian" };
      const result = await attackOnly(runConfig({ ...config, ...options } as RunOptions), silent);
      const { attacks } = result.scores ?? assert.fail();
      return { attacks, result };
    };
    const area = (of: Cells | null | undefined, attack: string): number =>
      of?.["gaussian"]?.[attack]?.auroc.value ?? NaN;
    const { attacks, result } = await made({ on: "both" });
    const { out, in: own, both } = attacks.matrix;
    assert.deepEqual([attacks.on, attacks.images], ["both", { in: 60, out: 60 }]);
    const inDomain = result.inDomainAttack?.scores["gaussian"] ?? assert.fail();
    const wanted = [
      result.detection?.scores["gaussian"]?.attacked,
      inDomain.clean,
      inDomain.attacked,
    ];
    [out, own, both].forEach((matrix, i) => {
      const { auroc, fprAt95Tpr } = wanted[i] ?? assert.fail();
      assert.deepEqual(matrix?.["gaussian"]?.["transfer"], { auroc, fprAt95Tpr });
      assert.ok(area(matrix, "gaussian") < area(matrix, "clean"));
    });
    assert.ok(area(both, "gaussian") < Math.min(area(out, "gaussian"), area(own, "gaussian")));
    assert.deepEqual(
      attacks.results["gaussian"]?.adaptive.auroc,
      both?.["gaussian"]?.["gaussian"]?.auroc,
    );
    // Either side alone is what it is beside the other.
    const alone = await made({ on: "in" });
    assert.deepEqual(alone.attacks.matrix, { out: null, in: own, both: null });
    const under = await made({ direction: "under" });
    assert.ok(area(under.attacks.matrix.out, "gaussian") > area(out, "clean"));
  }));

type Cells = mirage.ScoreMatrix;

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

Deno.test("runs with scores are verified, fits and attacks included, and what was done to a fit is found", () =>
  inFolder(async (savePath) => {
    await trained(savePath, small);
    const options = { ...small, savePath, scores: "gaussian,maxLogit" } as const;
    const folders = [
      await folderOf(evaluate, options),
      await folderOf(attack, options),
      await folderOf(battery, { ...options, battery: "fast", on: "out" }),
    ];
    for (const folder of folders) {
      const { verified, figures, differences } = await verify(folder);
      assert.ok(verified && figures > 100, JSON.stringify(differences));
      const path = join(folder, "scores.safetensors");
      const { tensors, metadata } = await readSafetensors(path);
      const { data } = tensors.get("gaussian.centre") ?? assert.fail(`${[...tensors.keys()]}`);
      data[0] = (data[0] ?? 0) + 1;
      await writeSafetensors(path, { tensors, metadata });
      await assert.rejects(
        verify(folder),
        /^UserError: Cannot use ".*scores\.safetensors": it is not the file that the run left/,
      );
    }
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
    // The method's own score, which was not asked for, is attacked beside those that were.
    assert.deepEqual(Object.keys(row.clean.scores ?? {}), ["energy", "gaussian", "variance"]);
    for (const { auroc, scores = {} } of row.attacked) {
      assert.equal(auroc.values.length, 1);
      for (const { transfer, adaptive } of Object.values(scores)) {
        assert.deepEqual([transfer.values.length, adaptive.values.length], [1, 1]);
      }
    }
    // The last radius: a score that is attacked itself falls below what is left of it by transfer.
    const { gaussian, variance } = row.attacked.at(-1)?.scores ?? {};
    assert.ok((gaussian?.adaptive.mean ?? NaN) < (gaussian?.transfer.mean ?? NaN));
    assert.ok((variance?.adaptive.mean ?? NaN) < (variance?.transfer.mean ?? NaN));
    // They are those of an attack with the same seed, on the model that the table trained.
    const savePath = join(cwd, "trained_models");
    const { epsilon, scores: told = {} } = row.attacked.at(-1) ?? assert.fail();
    const same = { mode: "sngp", limit: 60, epochs: 1, savePath, epsilonAttack: epsilon } as const;
    const one = await attackOnly(runConfig({ ...same, scores: "energy,gaussian" }), silent);
    for (const [name, { transfer, adaptive }] of Object.entries(told)) {
      const { clean, attacked } = one.detection?.scores[name] ?? assert.fail();
      const own = one.scores?.attacks.results[name] ?? assert.fail();
      assert.deepEqual(row.clean.scores?.[name]?.values, [clean.auroc.value]);
      assert.deepEqual(transfer.values, [attacked.auroc.value]);
      assert.deepEqual(adaptive.values, [own.adaptive.auroc.value]);
    }
    // That on the method's own score is what `--objective native` attacks.
    const native = await attackOnly(
      runConfig({ ...same, attack: "pgd", objective: "native", scores: "energy" }),
      silent,
    );
    const { variance: cells } = native.scores?.attacks.matrix.out ?? {};
    assert.ok(cells?.["transfer"]);
    assert.deepEqual(cells["variance"], cells["transfer"]);
    const folder = await onlyRun(savePath, "table");
    const text = await task("table", [...asked, "--scores", "energy,gaussian"], { cwd });
    assert.match(text.stdout, /## Scores: AUROC\n/);
    assert.match(text.stdout, /single Gaussian|gaussian/i);
    const page = await Deno.readTextFile(join(folder, "report.html"));
    assert.match(page, /an attack on the score itself/);
  }));
