/** Folders of runs: what is in them, that they verify and repeat, and that nothing breaks them. */
import assert from "node:assert/strict";
import { basename, dirname, join } from "node:path";
import { parse } from "@optique/core/parser";
import { readSafetensors } from "../src/checkpoint/safetensors.ts";
import { commandLine } from "../src/cli/commands.ts";
import { fromFile, type Request } from "../src/cli/request.ts";
import { showVerify } from "../src/cli/show_runs.ts";
import { runConfig } from "../src/config.ts";
import { digestOf } from "../src/digest.ts";
import { UserError } from "../src/errors.ts";
import { silent } from "../src/reporter.ts";
import { report } from "../src/report/mod.ts";
import { attack, attackOnly, evaluate, train } from "../src/run.ts";
import { differences, figuresOf } from "../src/runs/figures.ts";
import { readFigures, readRun, type Run, runsFolder } from "../src/runs/folder.ts";
import { listRuns } from "../src/runs/list.ts";
import { sha256 } from "../src/sha256.ts";
import { verify, type VerifyResult } from "../src/verify.ts";
import { inFolder } from "./support.ts";

const baseline = { mode: "baseline", epochs: 1, limit: 20 } as const;
const quick = { mode: "sngp", epochs: 1, limit: 64 } as const;

/** The only run of a command under a save path. */
async function onlyRun(savePath: string, command: string): Promise<string> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir(runsFolder(savePath))) {
    if (name.startsWith(`${command}-`)) found.push(name);
  }
  assert.equal(found.length, 1, `${found}`);
  return join(runsFolder(savePath), found[0] ?? "");
}

Deno.test("an attack leaves a folder that says all of it, and verifies to the last bit", () =>
  inFolder(async (savePath) => {
    const config = runConfig({ ...quick, savePath, saveImages: true });
    const result = await attack(config);
    const folder = await onlyRun(savePath, "attack");
    const run = await readRun(folder);
    assert.deepEqual({ ...run.config }, { ...config });
    assert.deepEqual(await readFigures(folder), figuresOf(result));
    const log = (await Deno.readTextFile(join(folder, "log.jsonl"))).trim().split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(log.map(({ event }) => event), ["start", "note", "epoch", "attacked", "end"]);
    assert.ok(log[2].loss > 0 && log[2].imagesPerSecond > 0);

    const images = await readSafetensors(join(folder, "adversarial.safetensors"));
    const [clean, attacked] = ["clean", "adversarial"].map((name) => images.tensors.get(name));
    assert.deepEqual(attacked?.shape, [64, 1, 28, 28]);
    const before = Array.from(clean?.data ?? []);
    const most = before.reduce(
      (worst, value, i) => Math.max(worst, Math.abs(value - (attacked?.data[i] ?? NaN))),
      0,
    );
    assert.equal(Math.fround(most), Math.fround(result.adversarial.linf));
    const answers = await readSafetensors(join(folder, "predictions.safetensors"));
    assert.deepEqual(answers.tensors.get("adversarial")?.shape, [64, 10]);
    const examples = await readSafetensors(join(folder, "examples.safetensors"));
    assert.deepEqual(examples.tensors.get("clean")?.shape, [18, 1, 28, 28]);

    const verified = await verify(folder);
    assert.deepEqual(verified.differences, []);
    assert.ok(verified.sameMachine && verified.verified && verified.figures > 40);

    // The file alone, on a machine that has no model yet.
    const elsewhere = join(savePath, "elsewhere");
    const repeated = await attackOnly(
      runConfig(
        { ...run.config, savePath: elsewhere } as unknown as Parameters<typeof runConfig>[0],
      ),
      { note: () => {}, progress: () => ({ update: () => {}, stop: () => {} }) },
    );
    assert.deepEqual(figuresOf(repeated), figuresOf(result));

    const metrics = join(folder, "metrics.json");
    const text = await Deno.readTextFile(metrics);
    const changed = text.replace(/"accuracy": [\d.]+/, '"accuracy": 0.75');
    await Deno.writeTextFile(metrics, changed);
    await assert.rejects(verify(folder), /metrics.json": it is not the file that the run left/);
    // As a run by arithmetic that has changed since would have left it.
    const files = run.files.map((file) =>
      file.name === "metrics.json" ? { ...file, sha256: sha256(changed) } : file
    );
    await Deno.writeTextFile(join(folder, "run.json"), JSON.stringify({ ...run, files }));
    const again = await verify(folder);
    assert.equal(again.verified, false);
    assert.equal(again.figures, verified.figures);
    assert.deepEqual(again.differences.map(({ figure, before }) => [figure, before]), [
      ["inDomain.accuracy", 0.75],
    ]);
    assert.match(showVerify(again), /: 1 of \d+ figures of \S+ is not the same to the last bit/);
    await Deno.writeTextFile(metrics, text);
    await Deno.writeTextFile(join(folder, "run.json"), JSON.stringify(run));
    await flipByte(join(folder, "checkpoints", "0.safetensors"));
    await assert.rejects(verify(folder), /it is not the file that the run used/);
  }));

Deno.test("`listRuns()` shows states and figures, and chooses and sorts", () =>
  inFolder(async (savePath) => {
    assert.deepEqual((await listRuns(savePath, { sort: "started" })).runs, []);
    await train(runConfig({ ...quick, savePath }));
    for (const epsilonAttack of [0.2, 0.1]) {
      await attack(runConfig({ ...quick, savePath, epsilonAttack }));
    }
    const all = await listRuns(savePath, { sort: "epsilon" });
    assert.deepEqual(all.runs.map(({ command, epsilon, state }) => [command, epsilon, state]), [
      ["attack", 0.1, "finished"],
      ["attack", 0.2, "finished"],
      ["train", null, "finished"],
    ]);
    assert.ok(all.runs.every(({ accuracy, model }) => accuracy !== null && model === "LeNet_SNGP"));
    const newest = await listRuns(savePath, { sort: "started", command: "attack" });
    assert.deepEqual(newest.runs.map(({ epsilon }) => epsilon), [0.1, 0.2]);
    const [first] = newest.runs;
    await Deno.remove(join(first?.folder ?? "", "metrics.json"));
    await Deno.writeTextFile(join(await onlyRun(savePath, "train"), "run.json"), "{");
    const states = await listRuns(savePath, { sort: "started", state: "unfinished" });
    assert.deepEqual(states.runs.map(({ epsilon }) => epsilon), [0.1]);
    assert.equal((await listRuns(savePath, { sort: "mode", state: "damaged" })).runs.length, 1);
    await assert.rejects(verify(first?.folder ?? ""), /the run is not finished/);
  }));

Deno.test("`differences()` finds what is missing, new or apart by more than the tolerance", () => {
  const before = { a: 1, b: { c: 2, d: "x" }, e: null };
  assert.deepEqual(differences(before, structuredClone(before), 0), []);
  assert.deepEqual(differences(before, { ...before, b: { c: 2.01, d: "x" } }, 0.01), []);
  const found = differences(before, { a: 1.5, b: { c: 2 }, e: null, f: 0 }, 0.01);
  assert.deepEqual(found.map(({ figure, by }) => [figure, by]), [["a", 0.5], ["b.d", null], [
    "f",
    null,
  ]]);
});

Deno.test("a training is not resumed from a checkpoint that was cut off, or has one byte changed", () =>
  inFolder(async (savePath) => {
    const config = runConfig({ ...quick, savePath });
    const { members: [member] } = await train(config);
    const path = member?.last.path ?? "";
    const whole = await Deno.readFile(path);
    await Deno.writeFile(path, whole.subarray(0, whole.length - 100));
    const longer = runConfig({ ...quick, epochs: 2, savePath });
    await assert.rejects(
      train(longer),
      (e) => e instanceof UserError && /was cut off/.test(e.message),
    );
    await Deno.writeFile(path, whole);
    await flipByte(path);
    await assert.rejects(train(longer), (e) => e instanceof UserError && /SHA-256/.test(e.message));
    await Deno.writeFile(path, whole);
    assert.equal((await train(longer)).members[0]?.last.epoch, 1);
  }));

Deno.test("a run that contradicts itself is neither verified, repeated nor reported on", () =>
  inFolder(async (savePath) => {
    await attack(runConfig({ ...baseline, savePath }));
    const folder = await onlyRun(savePath, "attack");
    const path = join(folder, "run.json");
    const run = await readRun(folder);
    const { identity, config } = run;
    const options = Object(identity["options"]);
    const signed = (identity: Run["identity"]): Partial<Run> => ({
      identity,
      digest: digestOf({ command: run.command, ...identity }),
    });
    const { epsilonAttack: _, ...without } = config;
    const contradictions: [changed: Partial<Run>, message: RegExp][] = [
      [{ digest: "0".repeat(64) }, /its identity is not the one that its digest is of/],
      [{ identity: { ...identity, data: {} } }, /its identity is not the one that/],
      [
        { identity: { ...identity, options: { ...options, epsilonAttack: 0.5 } } },
        /its identity is not the one that/,
      ],
      [
        { config: { ...config, epsilonAttack: 0.5 } },
        /its config says epsilonAttack 0.5, its identity epsilonAttack 0.1;/,
      ],
      [{ config: without }, /its config says no epsilonAttack, its identity epsilonAttack 0.1;/],
      [{ config: { ...config, steps: 3 } }, /its config says steps 3, /],
      [{ versions: {} }, /its versions are not those of its identity/],
      [{ adapter: {} }, /its adapter is not that of its identity/],
      [signed({}), /its config says mode baseline, its identity no mode/],
    ];
    for (const [changed, message] of contradictions) {
      await Deno.writeTextFile(path, JSON.stringify({ ...run, ...changed }));
      for (const read of [verify, (folder: string) => report([folder]), () => repeated(path)]) {
        await assert.rejects(
          read(folder),
          (e) => e instanceof UserError && message.test(e.message),
        );
      }
    }
    await Deno.writeTextFile(
      path,
      JSON.stringify({ ...run, ...signed({ ...identity, data: {} }) }),
    );
    await assert.rejects(verify(folder), /it does not say which \w+ data the run used/);
    await Deno.writeTextFile(path, JSON.stringify({ ...run, schema: "mirage/run@1" }));
    await assert.rejects(verify(folder), /of an older Mirage and does not say which files/);
    await Deno.writeTextFile(path, JSON.stringify(run));
    assert.equal((await verify(folder)).verified, true);
  }));

Deno.test("files of another run, or none of a run, are refused wherever they are read", () =>
  inFolder(async (savePath) => {
    const folders: string[] = [];
    for (const epsilonAttack of [0.1, 0.2]) {
      await attack(runConfig({ ...baseline, savePath, epsilonAttack }), {
        ...silent,
        kept: (path) => folders.push(path),
      });
    }
    const [one = "", other = ""] = folders;
    const stateOf = async (folder: string): Promise<string | undefined> =>
      (await listRuns(savePath, { sort: "started" })).runs.find((run) => run.folder === folder)
        ?.state;
    for (const name of ["metrics.json", "predictions.safetensors", "examples.safetensors"]) {
      const bytes = await Deno.readFile(join(one, name));
      await Deno.copyFile(join(other, name), join(one, name));
      const refused = (e: unknown): boolean =>
        e instanceof UserError &&
        e.message.startsWith(`Cannot use "${join(one, name)}": it is not`);
      await assert.rejects(verify(one), refused);
      await assert.rejects(report([one]), refused);
      assert.equal(await stateOf(one), name === "metrics.json" ? "damaged" : "finished");
      await Deno.writeFile(join(one, name), bytes);
    }
    await Deno.writeTextFile(join(one, "metrics.json"), "{");
    assert.equal(await stateOf(one), "damaged");

    await train(runConfig({ ...baseline, savePath }));
    const trained = await onlyRun(savePath, "train");
    await Deno.writeTextFile(join(trained, "metrics.json"), "{}\n");
    await assert.rejects(verify(trained), /it is not the file that the run left/);
    const run = await readRun(trained);
    const files = [{ name: "metrics.json", sha256: sha256("{}\n") }];
    await Deno.writeTextFile(join(trained, "run.json"), JSON.stringify({ ...run, files }));
    await assert.rejects(
      verify(trained),
      (e) => e instanceof UserError && /holds no accuracies of a training/.test(e.message),
    );
  }));

Deno.test("`verify` counts what it compares", () => {
  const verified: VerifyResult = {
    schema: "mirage/verify@1",
    folder: "runs/a",
    command: "train",
    sameMachine: true,
    tolerance: 0,
    figures: 1,
    differences: [],
    verified: true,
  };
  assert.match(showVerify(verified), /^Verified: the one figure of runs\/a is the same/);
  assert.match(showVerify({ ...verified, figures: 2 }), /all 2 figures of runs\/a are the same/);
  const differences = [{ figure: "0", before: null, now: 1, by: null }];
  assert.match(
    showVerify({ ...verified, verified: false, differences }),
    /Not verified: 1 of 1 figure of runs\/a is not/,
  );
});

Deno.test("a run is repeated with the models that it used, or not at all", () =>
  inFolder(async (savePath) => {
    const config = runConfig({ ...baseline, savePath });
    const { members: [member] } = await train(config);
    const best = member?.best.path ?? "";
    const result = await attack(config);
    const attacked = join(await onlyRun(savePath, "attack"), "run.json");
    const trained = join(await onlyRun(savePath, "train"), "run.json");
    const copy = join(dirname(attacked), "checkpoints", "0.safetensors");
    assert.deepEqual((await repeated(attacked)).config, config);
    const refused = async (message: RegExp, ...args: [string, ...string[]]): Promise<void> => {
      const isMeant = (e: unknown): boolean => e instanceof UserError && message.test(e.message);
      await assert.rejects(repeated(...args), isMeant);
    };

    // Another model in its place.
    const { members: [other] } = await train(runConfig({ ...baseline, savePath, lr: 0.02 }));
    const bytes = await Deno.readFile(best);
    await Deno.copyFile(other?.best.path ?? "", best);
    const notThat = new RegExp(
      `"${best}" is not the model that it used; add --checkpoint ${copy},`,
    );
    await refused(notThat, attacked);
    await refused(/is not the model that it used; name another --save-path/, trained);
    await refused(/is not the model that it used/, attacked, "--checkpoint", best);
    await Deno.writeFile(best, bytes);
    await repeated(trained);

    // Its training has gone on.
    await train(runConfig({ ...baseline, savePath, epochs: 2 }));
    await refused(/it used a training of 1 epoch, that in "[^"]+" has 2; add --check/, attacked);
    await refused(/a training of 1 epoch, that in "[^"]+" has 2; name another --save-/, trained);
    await repeated(trained, "--save-path", join(savePath, "elsewhere"));
    const { config: again } = await repeated(attacked, "--checkpoint", copy);
    assert.deepEqual(figuresOf(await attackOnly(again, silent)), figuresOf(result));
    assert.equal((await verify(dirname(attacked))).verified, true);

    // One of all images has come, which goes before it.
    await train(runConfig({ mode: "baseline", savePath, epochs: 1 }));
    await refused(
      /a model trained with trainingLimit 20, here is one with trainingLimit none;/,
      attacked,
    );

    // A file that was named.
    const named = join(savePath, "named.safetensors");
    await Deno.copyFile(copy, named);
    const kept: string[] = [];
    const evaluated = runConfig({ ...baseline, savePath, checkpoint: named });
    await evaluate(evaluated, { ...silent, kept: (path) => kept.push(join(path, "run.json")) });
    await repeated(kept[0] ?? "");
    await Deno.copyFile(other?.best.path ?? "", named);
    await refused(/named.safetensors" is not the model that it used; add --ch/, kept[0] ?? "");
    await Deno.remove(join(dirname(kept[0] ?? ""), "checkpoints"), { recursive: true });
    await refused(/is not the model that it used; name the file that it used by/, kept[0] ?? "");
  }));

Deno.test("a finished training's run is not overwritten by another outcome", () =>
  inFolder(async (savePath) => {
    const config = runConfig({ ...baseline, savePath });
    const { members: [member] } = await train(config);
    const best = member?.best.path ?? "";
    const folder = await onlyRun(savePath, "train");
    const run = await readRun(folder);
    await train(config);
    assert.deepEqual((await readRun(folder)).files, run.files);

    const bytes = await Deno.readFile(best);
    const { members: [other] } = await train(
      runConfig({ ...baseline, savePath: join(savePath, "other"), lr: 0.02 }),
    );
    await Deno.copyFile(other?.best.path ?? "", best);
    const lost: string[] = [];
    await train(config, { ...silent, lost: ({ message }) => lost.push(message) });
    assert.equal(lost.length, 1);
    assert.match(lost[0] ?? "", /^Cannot keep the run: "[^"]+" holds the same run with another/);
    assert.equal((await verify(folder)).verified, true);

    // One that has gone on is another run, although as few epochs are asked for.
    await Deno.writeFile(best, bytes);
    await train(runConfig({ ...config, epochs: 2 }));
    await train(config);
    const { runs } = await listRuns(savePath, { sort: "started" });
    assert.deepEqual(runs.map(({ state }) => state), ["finished", "finished", "finished"]);
    assert.deepEqual((await readRun(folder)).files, run.files);
  }));

/** What `--config` makes of a file, by the command that it is of, and what is typed beside it. */
async function repeated(config: string, ...beside: string[]): Promise<Request> {
  const [name = ""] = basename(dirname(config)).split("-");
  const args = [name, "--config", config, ...beside];
  const typed = parse(commandLine, args);
  assert.ok(typed.success);
  const { value } = typed;
  assert.ok(value.command === "attack" || value.command === "eval" || value.command === "train");
  return await fromFile(value, args);
}

/** Changes one bit of a file's second half. */
async function flipByte(path: string): Promise<void> {
  const bytes = await Deno.readFile(path);
  const at = Math.floor(bytes.length * 0.7);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await Deno.writeFile(path, bytes);
}
