/** Folders of runs: what is in them, that they verify and repeat, and that nothing breaks them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readSafetensors } from "../src/checkpoint/safetensors.ts";
import { showRuns, showVerify } from "../src/cli/show_runs.ts";
import { runConfig } from "../src/experiment/config.ts";
import { UserError } from "../src/base/errors.ts";
import { silent } from "../src/base/reporter.ts";
import { recorded } from "../src/experiment/recorded.ts";
import { openWorkbench } from "../src/experiment/workbench.ts";
import { attack, attackOnly } from "../src/experiment/attack.ts";
import { train } from "../src/experiment/train.ts";
import { differences, figuresOf } from "../src/runs/figures.ts";
import { readFigures, readRun } from "../src/runs/folder.ts";
import { listRuns } from "../src/runs/list.ts";
import { sha256 } from "../src/base/digest.ts";
import { verify, type VerifyResult } from "../src/experiment/verify.ts";
import { inFolder, onlyRun } from "./support.ts";

const quick = { mode: "sngp", epochs: 1, limit: 64 } as const;

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
    assert.equal(Math.fround(most), Math.fround(result.adversarial.distance));
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

Deno.test("a run that is refused before anything came of it leaves no folder, one that failed later its log", () =>
  inFolder(async (savePath) => {
    const config = runConfig({ mode: "baseline", limit: 20, epochs: 1, savePath });
    await train(config);
    using setup = await openWorkbench(config, "use", silent);
    const refused = new UserError("Cannot do it");
    const failing = (told: "nothing" | "figures"): Promise<unknown> =>
      recorded("eval", setup, silent, {
        models: () => Promise.resolve([]),
        work: (reporter) => {
          reporter.note("begun");
          if (told === "figures") reporter.record?.({ event: "evaluated", images: 1 });
          return Promise.reject(refused);
        },
      });
    const left = (): string[] => [...Deno.readDirSync(join(savePath, "runs"))].map((of) => of.name);
    const before = left();
    await assert.rejects(failing("nothing"), refused);
    assert.deepEqual(left(), before);
    await assert.rejects(failing("figures"), refused);
    assert.equal(left().length, before.length + 1);
    // What was there before stays.
    await assert.rejects(failing("nothing"), refused);
    assert.equal(left().length, before.length + 1);
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

Deno.test("`verify` counts what it compares", () => {
  const verified: VerifyResult = {
    schema: "mirage/verify@1",
    folder: "runs/a",
    command: "train",
    sameMachine: true,
    elsewhere: [],
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
  const elsewhere = { sameMachine: false, elsewhere: ["adapter A, not B", "deno 3, not 2"] };
  assert.match(
    showVerify({ ...verified, ...elsewhere, tolerance: 0.01, verified: false, differences }),
    /is not the same within 0.01 of their size, on another machine: adapter A, not B; deno 3, not 2\.$/,
  );
});

Deno.test("`runs` and `verify` print nothing that moves the cursor, whatever stands in a run", () => {
  const hostile = "A\n\x1b[31m\x1b]0;x\x07B".concat("x".repeat(500));
  const row = {
    folder: join("runs", `attack-${hostile}`),
    command: "attack",
    mode: hostile,
    model: hostile,
    hyperparameters: { [hostile]: hostile },
    seed: 0,
    members: 2,
    protocol: hostile,
    attack: hostile,
    battery: null,
    epsilon: 0.1,
    targeted: 3,
    limit: null,
    options: { [hostile]: hostile, outDomain: hostile },
    images: 5,
    entropy: 1,
    entropyAttacked: 1,
    rejected: 1,
    rejectedAttacked: 1,
    accuracy: 1,
    started: "2026-01-01T00:00:00Z",
    state: "finished",
  } as const;
  const differences = [{ figure: hostile, before: hostile, now: { [hostile]: 1 }, by: null }];
  const verified = {
    schema: "mirage/verify@1",
    folder: hostile,
    command: "attack",
    sameMachine: false,
    elsewhere: [`adapter ${hostile}, not ${hostile}`],
    tolerance: 0.01,
    figures: 1,
    verified: false,
  } as const;
  const shown = [
    showRuns({ schema: "mirage/runs@5", folder: hostile, runs: [row] }),
    showRuns({ schema: "mirage/runs@5", folder: hostile, runs: [] }),
    showVerify({ ...verified, differences }),
    showVerify({ ...verified, differences: [], verified: true }),
  ];
  for (const text of shown) {
    // deno-lint-ignore no-control-regex -- that is what is to be kept from the terminal
    assert.doesNotMatch(text.replaceAll("\n", ""), /[\u0000-\u001f\u007f-\u009f]/);
    assert.doesNotMatch(text, /^B?x|^.?\[31m/m);
    assert.ok(text.length < 4000);
  }
});

/** Changes one bit of a file's second half. */
async function flipByte(path: string): Promise<void> {
  const bytes = await Deno.readFile(path);
  const at = Math.floor(bytes.length * 0.7);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await Deno.writeFile(path, bytes);
}

Deno.test("a log that is a link or a pipe is refused, and what it leads to stays", () =>
  inFolder(async (savePath) => {
    const config = runConfig({ mode: "baseline", limit: 20, epochs: 1, savePath });
    await train(config);
    const log = join(await onlyRun(savePath, "train"), "log.jsonl");
    const precious = join(savePath, "precious");
    await Deno.writeTextFile(precious, "not ours");
    const kinds = [
      () => Deno.symlink(precious, log),
      () => new Deno.Command("sh", { args: ["-c", `mkfifo "${log}"`] }).output(),
    ];
    for (const make of kinds) {
      await Deno.remove(log);
      await make();
      await assert.rejects(train(config), /log\.jsonl": it is no regular file; remove it$/);
    }
    assert.equal(await Deno.readTextFile(precious), "not ours");
  }));
