/** Folders of runs held against themselves and against what is there: files, models, and other runs. */
import assert from "node:assert/strict";
import { basename, dirname, join } from "node:path";
import { parse } from "@optique/core/parser";
import { commandLine } from "../src/cli/commands.ts";
import { fromFile, type Request } from "../src/cli/request.ts";
import { runConfig } from "../src/experiment/config.ts";
import { digestOf } from "../src/base/digest.ts";
import { UserError } from "../src/base/errors.ts";
import { silent } from "../src/base/reporter.ts";
import { report } from "../src/report/mod.ts";
import { attack, attackOnly } from "../src/experiment/attack.ts";
import { evaluate } from "../src/experiment/evaluate.ts";
import { train } from "../src/experiment/train.ts";
import { figuresOf } from "../src/runs/figures.ts";
import { readRun } from "../src/runs/folder.ts";
import { type Run } from "../src/runs/schema.ts";
import { listRuns } from "../src/runs/list.ts";
import { table } from "../src/experiment/table.ts";
import { sha256 } from "../src/base/digest.ts";
import { verify } from "../src/experiment/verify.ts";
import { transplant } from "./trained.ts";
import { inFolder, onlyRun } from "./support.ts";

const baseline = { mode: "baseline", epochs: 1, limit: 20 } as const;

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

    // One that was broken off knows its models by their digests alone.
    const finished = await readRun(dirname(attacked));
    await Deno.writeTextFile(attacked, JSON.stringify({ ...finished, checkpoints: [] }));
    await repeated(attacked);
    await Deno.writeTextFile(attacked, JSON.stringify(finished));

    // Another model in its place.
    const { members: [other] } = await train(runConfig({ ...baseline, savePath, lr: 0.02 }));
    const bytes = await Deno.readFile(best);
    await transplant(other?.best.path ?? "", best);
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
      /a model trained with trainingLimit 20, here it would be one with trainingLimit none;/,
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
    await transplant(other?.best.path ?? "", best);
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

Deno.test("what is no run, keeps no model or is of another command is told with what to do", () =>
  inFolder(async (savePath) => {
    const runs = /is no folder of a run; \S+ task runs lists those there are$/;
    await assert.rejects(verify(savePath), runs);
    await assert.rejects(report([savePath]), runs);
    await assert.rejects(report([join(savePath, "no")]), runs);

    const { mode: _, ...run } = { ...baseline, savePath };
    await table({ pair: "mnist", run, seeds: 1, ensembles: 1, modes: ["sngp"], ablate: [] });
    const made = join(await onlyRun(savePath, "table"), "run.json");
    await assert.rejects(
      repeatedBy("attack", made),
      /it is of table; type \S+ task table with the options that it names, as table takes no/,
    );
    const [attacked = ""] = (await listRuns(savePath, { sort: "epsilon", command: "attack" })).runs
      .map(({ folder }) => folder);
    await assert.rejects(
      repeatedBy("eval", join(attacked, "run.json")),
      /it is of attack; use \S+ task attack --config \S+run\.json$/,
    );
    const whole = await readRun(attacked);
    const without = JSON.stringify({ ...whole, checkpoints: [] });
    await Deno.writeTextFile(join(attacked, "run.json"), without);
    await assert.rejects(verify(attacked), /its run.json names no model that it keeps; make the/);
  }));

/** What `--config` makes of a file, by the command that it is of, and what is typed beside it. */
async function repeated(config: string, ...beside: string[]): Promise<Request> {
  const [name = ""] = basename(dirname(config)).split("-");
  return await repeatedBy(name, config, ...beside);
}

async function repeatedBy(name: string, config: string, ...beside: string[]): Promise<Request> {
  const args = [name, "--config", config, ...beside];
  const typed = parse(commandLine, args);
  assert.ok(typed.success);
  const { value } = typed;
  assert.ok(value.command === "attack" || value.command === "eval" || value.command === "train");
  return await fromFile(value, args);
}
