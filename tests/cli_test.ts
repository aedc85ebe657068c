/** The command line by subprocess: what a user types, reads and gets back as an exit code. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { nameOf } from "../src/cli/flags.ts";
import { protocolOptions } from "../src/methods/protocol.ts";
import {
  attackResultSchema,
  evalResultSchema,
  trainResultSchema,
} from "../src/experiment/documents.ts";
import { commands, mirage, type Outcome, task } from "./program.ts";
import { inFolder } from "./support.ts";

/** The best checkpoint of a training of one model. */
function bestOf({ stdout, stderr }: Outcome): { readonly path: string } {
  assert.notEqual(stdout, "", stderr);
  const [member] = trainResultSchema.parse(JSON.parse(stdout)).members;
  assert.ok(member);
  return member.best;
}

const quick = ["--limit", "64", "--epochs", "1"];

Deno.test("`mirage` alone and `--help` list the commands; each command's help its flags", () =>
  inFolder(async (cwd) => {
    for (const args of [[], ["--help"]]) {
      const { code, stdout } = await mirage(args, { cwd });
      assert.equal(code, 0);
      for (const name of commands) assert.match(stdout, new RegExp(`^  ${name} +[A-Z]`, "m"));
      const lines = stdout.split("\n");
      assert.ok(lines.length <= 24 && lines.every((line) => line.length <= 80), stdout);
    }
    const { code, stdout } = await mirage(["attack", "--help-all"], { cwd });
    assert.equal(code, 0);
    const flags =
      "mode model seed epochs batch-size lr momentum weight-decay epsilon epsilon-attack " +
      "in-domain out-domain num-ensembles lambda-reg n-inducing-points kernel steps targeted data-path save-path " +
      "checkpoint limit protocol json out explain time micro-batch no-augmentation config save-images";
    const differences = Object.keys(protocolOptions).map(nameOf);
    for (const flag of [...flags.split(" "), ...differences]) {
      assert.ok(stdout.includes(`--${flag}`), `no --${flag}`);
    }
  }));

Deno.test("train, eval and attack print one valid document, the same again but for the seconds", () =>
  inFolder(async (cwd) => {
    const path = ["--save-path", join(cwd, "models"), "--json"];
    const trained = await mirage(["train", ...quick, ...path], { cwd });
    assert.equal(trained.code, 0, trained.stderr);
    const best = bestOf(trained);
    assert.ok((await Deno.stat(best.path)).isFile);

    const out = join(cwd, "out.json");
    const first = await mirage(["attack", ...quick, ...path, "--out", out], { cwd });
    assert.equal(first.code, 0, first.stderr);
    const result = attackResultSchema.parse(JSON.parse(first.stdout));
    assert.deepEqual(JSON.parse(await Deno.readTextFile(out)), result);
    assert.equal(result.outDomain.count, 64);
    assert.ok(result.adversarial.distance <= 0.1 + 1e-6);

    const again = await mirage(["eval", "--mode", "attack_sngp", ...quick, ...path], { cwd });
    const repeated = attackResultSchema.parse(JSON.parse(again.stdout));
    assert.deepEqual({ ...repeated, seconds: 0 }, { ...result, seconds: 0 });

    const as = ["--limit", "64", "--epochs=1", "--save_path", path[1] ?? "", "--json"];
    const evaluated = await mirage(["eval", ...as], { cwd });
    assert.equal(evaluated.code, 0, evaluated.stderr);
    const { outDomain, inDomain } = evalResultSchema.parse(JSON.parse(evaluated.stdout));
    assert.deepEqual(inDomain, result.inDomain);
    assert.equal(outDomain.entropy, result.clean.entropy);
  }));

Deno.test("`attack --limit` goes on with the training of all images where one was begun", () =>
  inFolder(async (cwd) => {
    const path = ["--save-path", cwd, "--json"];
    const trained = await mirage(["train", "--epochs", "1", ...path], { cwd });
    const best = bestOf(trained);
    const attacked = await mirage(["attack", "--epochs", "2", "--limit", "64", ...path], { cwd });
    assert.match(attacked.stderr, /has 1 of 2 epochs: training goes on/);
    const { checkpoints, inDomain } = attackResultSchema.parse(JSON.parse(attacked.stdout));
    assert.deepEqual(checkpoints, [best.path]);
    assert.equal(inDomain?.count, 64);
    assert.ok((inDomain?.accuracy ?? 0) > 0.6, `accuracy ${inDomain?.accuracy}`);
  }));

Deno.test("without --json a table and a verdict are printed, with --explain the programs too", () =>
  inFolder(async (cwd) => {
    const { code, stdout, stderr } = await mirage([
      "attack",
      ...quick,
      "--explain",
      "--time",
      "--targeted",
      "3",
      "--protocol",
      "corrected",
    ], { cwd });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /rejected at 0.9/);
    assert.match(
      stdout,
      /The attack, steered to digit 3, (gives|works|backfires|moves next to nothing)/,
    );
    assert.match(stdout, /, steered to digit 3$/m);
    assert.match(
      stderr,
      /program "attack step": \d+ dispatches, \d+ pipelines, \d+ buffers, [\d.]+ MiB/,
    );
    assert.match(
      stderr,
      /program "attack step": \d+ dispatches, [\d.]+ ms of device time, copies not counted\n +[\d.]+ % +[\d.]+ ms +[\d.]+ G/,
    );
    assert.ok(stdout.split("\n").slice(4, 14).every((line) => line.length <= 80));
    assert.ok(
      (await Deno.stat(join(cwd, "trained_models"))).isDirectory,
      "paths are the user's",
    );
  }));

Deno.test("a training that cannot be saved says why and leaves nothing half-written", () =>
  inFolder(async (cwd) => {
    const file = join(cwd, "models");
    await Deno.writeTextFile(file, "a file, where a folder should be");
    const { code, stderr } = await mirage(["train", ...quick, "--save-path", file], { cwd });
    assert.equal(code, 1);
    assert.match(stderr, /Cannot (write|make) "/);
    assert.equal(await Deno.readTextFile(file), "a file, where a folder should be");
  }));

Deno.test("without any adapter `doctor` and `attack` say what to install", () =>
  inFolder(async (cwd) => {
    const none = { VK_ICD_FILENAMES: "/nowhere.json", VK_DRIVER_FILES: "/nowhere.json" };
    for (const args of ["doctor", "attack"]) {
      const env = { ...none, DENO_WEBGPU_BACKEND: "vulkan" };
      const { code, stdout, stderr } = await task(args, [], { cwd, env });
      const text = stdout + stderr;
      assert.equal(code, 1);
      assert.match(text, /Cannot open a GPU/);
      assert.match(text.replaceAll(/\s+/g, " "), /mesa-vulkan-drivers/);
    }
  }));

Deno.test("a folder that is gone and a permission that is missing are told in a sentence", () =>
  inFolder(async (cwd) => {
    const gone = await task("data", [], { cwd, env: { INIT_CWD: "/no/such/folder" } });
    assert.equal(gone.code, 1);
    assert.match(gone.stderr, /^Cannot go on: it is not there \(chdir .*\); check the path\n$/);

    const main = decodeURIComponent(new URL("../main.ts", import.meta.url).pathname);
    const config = decodeURIComponent(new URL("../deno.json", import.meta.url).pathname);
    for (const allowed of [["--allow-env"], ["--allow-read"], []]) {
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--config", config, "--no-prompt", ...allowed, main, "data"],
        stdin: "null",
        env: { NO_COLOR: "1" },
      }).output();
      const text = new TextDecoder().decode(stderr);
      assert.equal(code, 1, text);
      assert.equal(stdout.length, 0);
      assert.match(text, /^Cannot [^]*Deno was not allowed to/m);
      assert.ok(!/\n\s+at /.test(text), `a stack trace: ${text}`);
    }
  }));

Deno.test("shell completions for bash, zsh and fish are scripts, and complete flags", () =>
  inFolder(async (cwd) => {
    for (const shell of ["bash", "zsh", "fish"]) {
      const { code, stdout } = await mirage(["completion", shell], { cwd });
      assert.equal(code, 0);
      assert.match(stdout, /mirage/);
    }
    const { code, stdout } = await mirage(["completion", "bash", "attack", "--epsilon-a"], { cwd });
    assert.equal(code, 0);
    assert.match(stdout, /^--epsilon-attack/m);
  }));
