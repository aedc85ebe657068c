/** A sweep on a Slurm cluster of one node, with jobs that are requeued and killed, beside the same runs one by one. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { readPlan, type Row } from "../src/sweep/plan.ts";
import { rowFolder } from "../src/sweep/state.ts";
import { task } from "./program.ts";
import { type Cluster, testWithSlurm } from "./slurm.ts";

const grid = [{
  command: "attack",
  grid: { mode: ["baseline", "deep_ensemble"], epsilonAttack: [0.02, 0.05, 0.1, 0.2, 0.3] },
  options: { limit: 200, epochs: 40, seed: 0, numEnsembles: 2 },
}];

/** Waits until something is there. */
async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (let i = 0; i < 3000; i++) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((wake) => setTimeout(wake, 200));
  }
  throw new Error(`${what} did not come`);
}

async function sweep(cwd: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await task("sweep", args, { cwd });
  assert.equal(code, 0, stderr);
  return stdout;
}

/** The process that holds a row. */
async function holder(path: string, row: Row): Promise<number | undefined> {
  const text = await Deno.readTextFile(join(rowFolder(path, row), ".lock")).catch(() => "");
  return text === "" ? undefined : JSON.parse(text).pid;
}

/** Files of a name below a folder, whose paths hold a text. */
async function filesIn(folder: string, name: string, part: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) found.push(...await filesIn(path, name, part));
    else if (entry.name === name && path.includes(part)) found.push(path);
  }
  return found;
}

/** Submits a plan's script; returns the numbers of the jobs. */
async function submit({ bash }: Cluster, cwd: string, ...args: string[]): Promise<number[]> {
  await Deno.writeTextFile(
    join(cwd, "sweep.sh"),
    await sweep(cwd, "sbatch", "sweep.jsonl", ...args),
  );
  const said = await bash("bash sweep.sh", cwd);
  return [...said.matchAll(/as job (\d+)/g)].map(([, id]) => Number(id));
}

/** Waits until the queue is empty. */
async function idle({ bash }: Cluster, cwd: string): Promise<void> {
  await until(
    "the end of the queue",
    async () => await bash("squeue --noheader", cwd) === "" ? true : undefined,
  );
}

testWithSlurm(
  "12 rows by sbatch, two requeued and one killed, are figure by figure the runs made one by one",
  async (cluster, folder) => {
    const [array, serial] = [join(folder, "array"), join(folder, "serial")];
    for (const place of [array, serial]) {
      await Deno.mkdir(place);
      await Deno.writeTextFile(join(place, "grid.json"), JSON.stringify(grid));
      await sweep(place, "plan", "grid.json");
    }
    const path = join(array, "sweep.jsonl");
    const { rows, trainings } = await readPlan(path);
    assert.deepEqual([rows.length, trainings], [12, 2]);

    const [first = 0] = await submit(cluster, array, "--time", "10", "--parallel", "2");
    const models = join(array, "trained_models");
    const begun = (seed: number): Promise<true | undefined> =>
      filesIn(models, "last.safetensors", `seed_${seed}`).then(
        (found) => found.length > 0 ? true : undefined,
        () => undefined,
      );
    // One is requeued by whoever may, the other told that its time is almost over.
    await until("a checkpoint of seed 0", () => begun(0));
    await cluster.bash(`scontrol requeue ${first}_0`, array);
    await until("a checkpoint of seed 1", () => begun(1));
    await cluster.bash(`scancel --signal=USR1 --batch ${first}_1`, array);
    const victim = await until("a row that attacks", async () => {
      for (const row of rows.slice(trainings)) {
        const pid = await holder(path, row);
        if (pid !== undefined) return { row, pid };
      }
      return undefined;
    });
    await cluster.bash(`kill -9 ${victim.pid}`, array);
    await idle(cluster, array);

    const logs = async (index: number): Promise<string> =>
      await Deno.readTextFile(join(array, "sweep.state", "slurm", `${first}_${index}.out`));
    for (const index of [0, 1]) {
      assert.match(await logs(index), /Stopped; the same command goes on/, `row ${index}`);
      assert.match(await logs(index), /Resuming after epoch \d+ of 40/, `row ${index}`);
    }
    const status = JSON.parse(await sweep(array, "status", "sweep.jsonl", "--json"));
    assert.deepEqual([status.finished, status.missing, status.failed], [11, 1, 0]);
    assert.equal(status.rows[victim.row.index].state, "missing");
    await submit(cluster, array, "--missing");
    await idle(cluster, array);
    await sweep(array, "collect", "sweep.jsonl");

    for (const row of (await readPlan(join(serial, "sweep.jsonl"))).rows) {
      await sweep(serial, "run", "sweep.jsonl", "--index", String(row.index));
    }
    await sweep(serial, "collect", "sweep.jsonl");
    const [here, there] = await Promise.all(
      [array, serial].map((place) => Deno.readTextFile(join(place, "sweep.csv"))),
    );
    assert.equal(here, there);
    assert.ok(here && here.split("\r\n").length > 11);
  },
);
