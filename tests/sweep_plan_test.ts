/** Plans of sweeps: what a grid comes to, and what is wrong with it, in one sentence. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { UserError } from "../src/base/errors.ts";
import { idleOptions } from "../src/cli/effect.ts";
import { readGrid } from "../src/sweep/grid.ts";
import { makePlan } from "../src/sweep/make_plan.ts";
import { readPlan } from "../src/sweep/plan.ts";
import { stateFolder } from "../src/sweep/state.ts";
import { type Outcome, task } from "./program.ts";
import { inFolder } from "./support.ts";

function sweep(cwd: string, ...args: string[]): Promise<Outcome> {
  return task("sweep", args, { cwd });
}

async function planOf(folder: string, grid: unknown, ...args: string[]): Promise<Outcome> {
  await Deno.writeTextFile(
    join(folder, "grid.json"),
    typeof grid === "string" ? grid : JSON.stringify(grid),
  );
  return await sweep(folder, "plan", "grid.json", ...args);
}

const grid = {
  command: "attack",
  grid: {
    mode: ["baseline", "deep_ensemble"],
    seed: [0, 1],
    epsilonAttack: [0.1, 0.2],
    objective: [null, "entropy"],
  },
  options: { limit: 64, epochs: 1, numEnsembles: 2 },
};

const small = { mode: "baseline", limit: 64, epochs: 1 } as const;

Deno.test("a grid becomes rows: trainings that several use come first, equal rows are one", () =>
  inFolder(async (folder) => {
    const { code, stdout, stderr } = await planOf(folder, [grid, {
      command: "attack",
      options: { mode: "baseline", limit: 64, epochs: 1, epsilonAttack: 0.1 },
    }, { command: "eval", options: { mode: "sngp", limit: 64, epochs: 1 } }]);
    assert.equal(code, 0, stderr);
    assert.equal(
      stdout,
      "sweep.jsonl: 20 rows, 3 of them trainings, which come first, 3 of these shared by several " +
        "rows, 1 merged with equal ones\n",
    );
    assert.match(stderr, /numEnsembles does nothing in 8 rows \(baseline\): left out there/);
    const { rows, trainings } = await readPlan(join(folder, "sweep.jsonl"));
    assert.equal(trainings, 3);
    assert.deepEqual(rows.slice(0, 3).map(({ options: { seed } }) => seed), [0, 1, 2]);
    // Members of ensembles and single models of one seed are one training.
    const [zero, one, two] = rows.map(({ digest }) => digest);
    const needs = (mode: string, seed: number): unknown[] =>
      rows.filter(({ command, options }) =>
        command === "attack" && options["mode"] === mode && options["seed"] === seed
      ).map((row) => row.needs);
    assert.deepEqual(needs("baseline", 0), Array(4).fill([zero]));
    assert.deepEqual(needs("deep_ensemble", 1), Array(4).fill([one, two]));
    // What one row alone trains is no row.
    assert.deepEqual(rows.at(-1)?.needs, []);
    assert.ok(rows.every(({ options }) => !Object.values(options).includes(null)));
    assert.equal(new Set(rows.map(({ digest }) => digest)).size, rows.length);
  }));

Deno.test("a plan is the same whenever it is made, and nothing is written by --dry-run", () =>
  inFolder(async (folder) => {
    await planOf(folder, grid);
    const before = await Deno.readTextFile(join(folder, "sweep.jsonl"));
    await planOf(folder, grid, "--out", "again.jsonl");
    assert.equal(await Deno.readTextFile(join(folder, "again.jsonl")), before);
    await Deno.remove(join(folder, "again.jsonl"));
    const few = { ...grid, grid: { seed: [0, 1] }, options: { ...small, epochs: 50 } };
    const dry = await planOf(folder, few, "--dry-run", "--out", "other.jsonl", "--json");
    assert.equal(dry.code, 0, dry.stderr);
    const { rows, plan, hours, trainingHours } = JSON.parse(dry.stdout);
    assert.equal(rows.length, 2);
    assert.ok(0 < trainingHours && trainingHours < hours, dry.stdout);
    // Rows that differ in their seed alone take as long.
    assert.equal(dry.stderr.match(/^Measuring: /gm)?.length, 1);
    assert.equal(plan, null);
    assert.deepEqual(
      [...Deno.readDirSync(folder)].map(({ name }) => name).sort(),
      ["grid.json", "sweep.jsonl"],
    );
  }));

Deno.test("what is wrong with a grid is told in one sentence, before anything is written", () =>
  inFolder(async (folder) => {
    const one = (options: Record<string, unknown>, command = "attack"): unknown => ({
      command,
      options,
    });
    const cases: readonly (readonly [grid: unknown, told: RegExp])[] = [
      ["{", /^Cannot plan "grid.json": it is no JSON/],
      [{ command: "table" }, /^Cannot plan "grid.json": command: Invalid option.*"train"/],
      [{ command: "eval", seeds: [] }, /Unrecognized key: "seeds"/],
      [one({ epsilonattack: 1 }), /there is no option "epsilonattack"; names are those of a run/],
      [one({ epsilonAttack: -1 }), /epsilonAttack = -1: Too small: expected number to be >=0/],
      [one({ epsilonAttack: 2 }), /row 1 of "grid.json": cannot attack with a radius of 2/],
      [one({ mode: "sngpp" }), /mode = sngpp: Invalid option/],
      [one({ mode: "sngp", model: "LeNet" }), /cannot run mode "sngp" with the model "LeNet"/],
      [one({ targeted: 12, attack: "pgd" }), /row 1 of "grid.json": cannot .*12/],
      [one({ modelFile: "no.onnx", inDomain: "mnist" }), /cannot read "no.onnx": there is no such/],
      [one({ mode: "sngp", checkpoint: "no.safetensors" }), /"no.safetensors": there is no such/],
      [one({ dataPath: "nowhere" }), /"nowhere"/],
      [one({ attack: "./mine.ts" }), /mine.ts/],
      [one({ epsilonAttack: 0.1 }, "eval"), /epsilonAttack changes nothing in block 1/],
      [{ command: "eval", grid: { seed: [0] }, options: { seed: 1 } }, /seed stands in its grid/],
      [one({ toString: 1 }), /there is no option "toString"/],
      [{ command: "eval", grid: { toString: [1] } }, /there is no option "toString"/],
      [
        '{"command": "eval", "grid": {"__proto__": [1]}}',
        /there is no option "__proto__"; names are/,
      ],
      [
        '{"command": "eval", "options": {"__proto__": {}}}',
        /there is no option "__proto__"; names are/,
      ],
      ['[{"command": "eval", "__proto__": []}]', /there is no option "__proto__"; names are/],
      [{ command: "eval", grid: { seed: [] } }, /grid.seed: Too small/],
      [
        {
          command: "eval",
          grid: { seed: Array.from({ length: 1000 }, (_, i) => i), lr: Array(200).fill(1) },
        },
        /it has more than 100000 rows; divide it/,
      ],
      [
        { command: "attack", grid: { epochs: [1, 2] }, options: { mode: "baseline", limit: 64 } },
        /^Cannot plan one training of 1 and of 2 epochs .*savePath of its own$/m,
      ],
    ];
    const path = join(folder, "grid.json");
    for (const [grid, told] of cases) {
      await Deno.writeTextFile(path, typeof grid === "string" ? grid : JSON.stringify(grid));
      const error = await readGrid(path).then((points) => makePlan(path, points, idleOptions))
        .then(() => undefined, (error) => error);
      assert.ok(error instanceof UserError, String(error));
      const sentence = error.message.replace(path, "grid.json");
      assert.match(sentence, told);
      assert.ok(sentence.length < 700 && !sentence.includes("\n"), sentence);
    }
    const { code, stdout, stderr } = await planOf(folder, "[]");
    assert.deepEqual([code, stdout], [1, ""], stderr);
    assert.match(stderr, /^Cannot plan "grid.json": it: Too small[^\n]*$/m);
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["grid.json"]);
  }));

Deno.test("a plan that is damaged, has no such row, or is not the one begun there is refused", () =>
  inFolder(async (folder) => {
    const told = async (...args: string[]): Promise<string> => {
      const { code, stderr } = await sweep(folder, ...args);
      assert.equal(code, 1, stderr);
      return stderr.trim().split("\n").at(-1) ?? "";
    };
    await planOf(folder, grid);
    const path = join(folder, "sweep.jsonl");
    const text = await Deno.readTextFile(path);
    assert.match(
      await told("run", "sweep.jsonl", "--index", "99"),
      /^Cannot run row 99 of "sweep.jsonl": it has 19 rows, 0 to 18; name one of these$/,
    );
    assert.match(
      await told("run", "sweep.jsonl", "--index", "1", "--jobs", "2"),
      /leave out --jobs/,
    );
    assert.match(await told("run", "sweep.jsonl", "--offset", "5"), /^Cannot add --offset to no/);
    assert.match(
      await told("collect", "sweep.jsonl", "--page", "./sweep.csv"),
      /^Cannot write table and page to "sweep.csv": give --csv and --page a file each$/,
    );
    assert.match(await told("status", "grid.json"), /^Cannot read "grid.json": it is no plan/);
    await Deno.writeTextFile(path, text.replace('"limit":64', '"limit":65'));
    assert.match(await told("status", "sweep.jsonl"), /it was changed, or cut off, after it was/);
    await Deno.writeTextFile(path, text);
    // Begun as another plan was.
    await Deno.mkdir(stateFolder(path));
    await Deno.writeTextFile(join(stateFolder(path), "plan.json"), '{"digest": "other"}');
    for (const args of [["run", "sweep.jsonl"], ["status", "sweep.jsonl"], ["plan", "grid.json"]]) {
      assert.match(
        await told(...args),
        /^Cannot use "sweep.jsonl": "sweep.state" is of another plan, begun under this name; write/,
      );
    }
    assert.equal(await Deno.readTextFile(path), text);
  }));

Deno.test("ten thousand rows are looked at once for each model, not once a row", () =>
  inFolder(async (folder) => {
    const { code, stdout, stderr } = await planOf(folder, {
      command: "attack",
      grid: {
        mode: ["baseline", "sngp"],
        seed: Array.from({ length: 50 }, (_, i) => i),
        epsilonAttack: Array.from({ length: 50 }, (_, i) => (i + 1) / 100),
        objective: ["entropy", "logProbability"],
      },
      options: { limit: 64, epochs: 1 },
    });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^sweep.jsonl: 10100 rows, 100 of them trainings/);
    const status = await sweep(folder, "status", "sweep.jsonl");
    assert.equal(status.stdout, "0 finished, 0 running, 0 failed, 10100 missing\n");
  }));
