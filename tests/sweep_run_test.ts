/** Rows of sweeps as they run: one by one, several at once, failed, told to stop, and put together. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { sweepPage } from "../src/report/mod.ts";
import { bySeed, type Collected, csvOf, seedOf } from "../src/sweep/collect.ts";
import { readPlan, type Row } from "../src/sweep/plan.ts";
import { rowFolder, writeOutcome } from "../src/sweep/state.ts";
import { ended, type Outcome, startTask, task } from "./program.ts";
import { secondDriver, testWithSecondDriver } from "./second_driver.ts";
import { inFolder } from "./support.ts";

function sweep(
  cwd: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  return task("sweep", args, { cwd, env });
}

async function planned(folder: string, grid: unknown): Promise<void> {
  await Deno.writeTextFile(join(folder, "grid.json"), JSON.stringify(grid));
  const { code, stderr } = await sweep(folder, ["plan", "grid.json"]);
  assert.equal(code, 0, stderr);
}

async function status(folder: string): Promise<
  Record<string, unknown> & {
    rows: { index: number; state: string; run: string | null; sentence: string | null }[];
  }
> {
  return JSON.parse((await sweep(folder, ["status", "sweep.jsonl", "--json"])).stdout);
}

const small = { mode: "baseline", limit: 32, epochs: 1 } as const;

Deno.test("two at once: what fails keeps its sentence and costs the others nothing; a run made by hand is found", () =>
  inFolder(async (folder) => {
    const byHand = [
      "--mode",
      "baseline",
      "--limit",
      "32",
      "--epochs",
      "1",
      "--epsilon-attack",
      "0.3",
    ];
    const made = await task("attack", byHand, { cwd: folder });
    assert.equal(made.code, 0, made.stderr);
    await planned(folder, [
      { command: "attack", grid: { epsilonAttack: [0.1, 0.3] }, options: small },
      // No number comes out of such steps.
      { command: "eval", options: { ...small, lr: 1e30 } },
    ]);
    const { code, stdout, stderr } = await sweep(folder, ["run", "sweep.jsonl", "--jobs", "2"]);
    assert.equal(code, 1, stderr);
    assert.equal(stdout, "2 finished, 1 finished before, 1 failed\n");
    const sentence = /Cannot continue training: (the loss|after epoch 1)[^\n]*/;
    assert.match(stderr, new RegExp(`/4 row 3 failed: ${sentence.source}`));
    assert.match(stderr, /\/4 train baseline epochs 1 seed 0 limit 32 \(\d+ s\)\n/);
    const { finished, failed, rows } = await status(folder);
    assert.deepEqual([finished, failed], [3, 1]);
    assert.match(rows[3]?.sentence ?? "", sentence);
    const log = join(rowFolder(join(folder, "sweep.jsonl"), await rowAt(folder, 3)), "log.txt");
    assert.match(await Deno.readTextFile(log), sentence);

    const again = await sweep(folder, ["run", "sweep.jsonl"]);
    assert.deepEqual([again.code, again.stdout], [
      1,
      "0 finished, 3 finished before, 1 failed before: sweep retry has them run again\n",
    ]);
    const retried = await sweep(folder, ["retry", "sweep.jsonl"]);
    assert.equal(retried.stdout, "1 row runs again when the plan does\n");
    assert.equal((await status(folder))["missing"], 1);

    const collected = await sweep(folder, ["collect", "sweep.jsonl"]);
    assert.match(collected.stdout, /^sweep.csv, sweep.html: 2 runs; 1 is not finished\n$/);
    const [head = [], ...lines] = (await Deno.readTextFile(join(folder, "sweep.csv")))
      .trimEnd().split("\r\n").map((line) => line.split(","));
    assert.deepEqual(lines.map(([kind]) => kind), ["run", "run"]);
    for (const line of lines) {
      const of = (name: string): string => line[head.indexOf(name)] ?? "";
      const kept = JSON.parse(await Deno.readTextFile(join(folder, of("run"), "metrics.json")));
      assert.equal(Number(of("adversarial.entropy")), kept.adversarial.entropy);
      assert.equal(Number(of("epsilonAttack")), kept.epsilonAttack);
    }
    assert.match(
      await Deno.readTextFile(join(folder, "sweep.html")),
      /1 evaluations or attacks are/,
    );
  }));

async function rowAt(folder: string, index: number): Promise<Row> {
  const row = (await readPlan(join(folder, "sweep.jsonl"))).rows[index];
  assert.ok(row);
  return row;
}

Deno.test("rows whose training failed have failed with it, until it is tried again", () =>
  inFolder(async (folder) => {
    await planned(folder, {
      command: "attack",
      grid: { epsilonAttack: [0.1, 0.3] },
      options: small,
    });
    const path = join(folder, "sweep.jsonl");
    const sentence = "Cannot continue training: it broke";
    await writeOutcome(path, await rowAt(folder, 0), { state: "failed", sentence, seconds: 1 });
    const { rows, failed, missing } = await status(folder);
    assert.deepEqual([failed, missing], [3, 0]);
    const needed = `It needs row 0, a training, which failed: ${sentence}`;
    assert.deepEqual(rows.map((row) => row.sentence), [sentence, needed, needed]);
    const run = await sweep(folder, ["run", "sweep.jsonl"]);
    assert.match(run.stdout, /^0 finished, 3 failed before: sweep retry has them run again$/m);
    await sweep(folder, ["retry", "sweep.jsonl"]);
    assert.equal((await status(folder))["missing"], 3);
  }));

Deno.test("two at once leave what the commands leave one after the other, to the last bit", () =>
  inFolder(async (folder) => {
    const [together, apart] = [join(folder, "together"), join(folder, "apart")];
    const grid = { command: "attack", grid: { epsilonAttack: [0.1, 0.2] }, options: small };
    for (const place of [together, apart]) await Deno.mkdir(place);
    await planned(together, grid);
    const { code, stderr } = await sweep(together, ["run", "sweep.jsonl", "--jobs", "2"]);
    assert.equal(code, 0, stderr);
    for (const epsilon of ["0.1", "0.2"]) {
      const typed = `--mode baseline --limit 32 --epochs 1 --epsilon-attack ${epsilon}`.split(" ");
      const { code, stderr } = await task("attack", typed, { cwd: apart });
      assert.equal(code, 0, stderr);
    }
    await planned(apart, grid);
    const tables: string[] = [];
    for (const place of [together, apart]) {
      assert.equal((await sweep(place, ["collect", "sweep.jsonl"])).code, 0);
      tables.push(await Deno.readTextFile(join(place, "sweep.csv")));
    }
    assert.equal(tables[0], tables[1]);
    assert.equal(tables[0]?.split("\r\n").length, 4);
  }));

testWithSecondDriver(
  "`--gpu` has rows run on other devices, in turn",
  () =>
    inFolder(async (folder) => {
      await planned(folder, { command: "eval", grid: { seed: [0, 1] }, options: small });
      const second = `VK_ICD_FILENAMES=${secondDriver["VK_ICD_FILENAMES"]}`;
      const args = ["run", "sweep.jsonl", "--jobs", "2", "--gpu", "A=", "--gpu", second];
      const { code, stderr } = await sweep(folder, args);
      assert.equal(code, 0, stderr);
      const adapters = await Promise.all(
        (await status(folder)).rows.map(async ({ run }) => {
          const text = await Deno.readTextFile(join(folder, run ?? "", "run.json"));
          return JSON.parse(text).adapter.description;
        }),
      );
      assert.equal(new Set(adapters).size, 2, `${adapters}`);
    }),
);

Deno.test("a row by a scheduler's index makes the training that it needs, and is not run twice", () =>
  inFolder(async (folder) => {
    await planned(folder, {
      command: "attack",
      grid: { epsilonAttack: [0.1, 0.2] },
      options: small,
    });
    const args = ["run", "sweep.jsonl", "--offset", "1"];
    const first = await sweep(folder, args, { SLURM_ARRAY_TASK_ID: "1" });
    assert.equal(first.code, 0, first.stderr);
    assert.match(first.stderr, /Row 2 needs row 0 first: train baseline/);
    assert.match(first.stdout, /^Row 2 is finished: trained_models\/runs\/attack-baseline-/);
    const states = (await status(folder)).rows.map(({ state }) => state);
    assert.deepEqual(states, ["finished", "missing", "finished"]);
    const second = await sweep(folder, args, { JOB_COMPLETION_INDEX: "1" });
    assert.match(second.stdout, /^Row 2 was finished before/);
    const odd = await sweep(folder, args, { SLURM_ARRAY_TASK_ID: "x" });
    assert.equal(odd.code, 1);
    assert.match(odd.stderr, /^Cannot run a row: SLURM_ARRAY_TASK_ID is no number from 0 on/m);
  }));

for (const signal of ["SIGUSR1", "SIGTERM"] as const) {
  Deno.test({
    name: `${signal} ends a row at its next checkpoint with 75, and started again it goes on`,
    ignore: Deno.build.os === "windows",
    fn: () =>
      inFolder(async (folder) => {
        await planned(folder, { command: "train", options: { ...small, epochs: 100_000 } });
        const args = ["run", "sweep.jsonl", "--index", "0"];
        const run = async (): Promise<Outcome> => {
          using watcher = Deno.watchFs(folder);
          const child = startTask("sweep", args, { cwd: folder });
          for await (const { paths } of watcher) {
            if (paths.some((path) => path.endsWith("last.safetensors"))) break;
          }
          child.kill(signal);
          return await ended(child);
        };
        const first = await run();
        assert.equal(first.code, 75, first.stderr);
        assert.match(first.stderr, /\nStopped; the same command goes on from the last finished/);
        assert.deepEqual((await status(folder)).rows.map(({ state }) => state), ["missing"]);
        const second = await run();
        assert.equal(second.code, 75, second.stderr);
        assert.match(second.stderr, /Resuming after epoch \d+ of 100000/);
      }),
  });
}

Deno.test({
  name:
    "rows that run at once are told to stop with who started them, who waits for them and ends with 75",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (folder) => {
      const options = { ...small, epochs: 100_000 };
      await planned(folder, { command: "train", grid: { seed: [0, 1, 2] }, options });
      const begun = new Set<string>();
      using watcher = Deno.watchFs(folder);
      const child = startTask("sweep", ["run", "sweep.jsonl", "--jobs", "2"], { cwd: folder });
      for await (const { paths } of watcher) {
        for (const path of paths.filter((path) => path.endsWith("last.safetensors"))) {
          begun.add(path);
        }
        if (begun.size === 2) break;
      }
      child.kill("SIGTERM");
      const { code, stdout, stderr } = await ended(child);
      assert.equal(code, 75, stderr);
      assert.equal(stdout, "0 finished, 3 stopped: the same command goes on\n");
      const states = (await status(folder)).rows.map(({ state }) => state);
      assert.deepEqual(states, ["missing", "missing", "missing"]);
    }),
});

Deno.test("models that were there, trained otherwise, are told apart and not averaged", async () => {
  const run = (seed: number, trained: string): Collected => ({
    row: {
      ...{ index: seed, digest: String(seed), command: "attack", needs: [] },
      options: { mode: "sngp", seed, epochs: 1 },
    },
    run: `run-${seed}`,
    trained,
    figures: new Map([["clean.entropy", seed]]),
  });
  const [few, many] = ["40 images of digits", "8000 images of digits; 20 epochs instead of 1"];
  const groups = bySeed([run(0, many), run(1, few), run(2, few)]);
  assert.deepEqual(
    groups.map(({ trained, runs, means }) => [
      trained,
      runs.length,
      means.get("clean.entropy")?.mean,
    ]),
    [[many, 1, 0], [few, 2, 1.5]],
  );
  const [head = "", first = ""] = csvOf(groups).split("\r\n");
  assert.match(head, /^kind,row,seed,run,command,trained,/);
  assert.match(first, /^run,0,0,run-0,attack,8000 images of digits; 20 epochs instead of 1,/);
  const shown = groups.map((group) => ({
    ...group,
    runs: group.runs.map(({ row, run, figures }) => ({ seed: String(seedOf(row)), run, figures })),
  }));
  const page = await sweepPage(shown.map((group) => ({ ...group, command: "eval" })), 0);
  assert.match(page, /the models were there already, trained otherwise/);
  assert.match(page, /trained on 40 images of digits/);
});
