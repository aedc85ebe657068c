/** The command line by subprocess: what a user types, reads and gets back as an exit code. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { dataResultSchema } from "../src/cli/data.ts";
import { doctorResultSchema } from "../src/cli/doctor.ts";
import { nameOf } from "../src/cli/flags.ts";
import { protocolOptions } from "../src/methods/protocol.ts";
import {
  attackResultSchema,
  evalResultSchema,
  trainResultSchema,
} from "../src/experiment/documents.ts";
import { writeArchive } from "./data_support.ts";
import { type Outcome, task } from "./program.ts";
import { inFolder } from "./support.ts";

const tiny = decodeURIComponent(new URL("golden/tiny.checkpoint", import.meta.url).pathname);

/** Files of src/shaders, each of them a kernel. */
const kernelFiles = [...Deno.readDirSync(new URL("../src/shaders", import.meta.url))]
  .filter(({ name }) => name.endsWith(".wgsl")).length;

/** Where commands run that name no folder of their own: runs leave theirs there. */
const scratch = Deno.makeTempDirSync();
globalThis.addEventListener("unload", () => Deno.removeSync(scratch, { recursive: true }));

/** A command as its task is typed; what is no task of its own goes by `mirage`. */
async function mirage(args: readonly string[], cwd: string = scratch): Promise<Outcome> {
  const [first = "", ...rest] = args;
  return commands.includes(first)
    ? await task(first, rest, { cwd })
    : await task("mirage", args, { cwd });
}

const commands = "attack eval train table sweep runs verify report data doctor tune".split(" ");

/** The best checkpoint of a training of one model. */
function bestOf({ stdout, stderr }: Outcome): { readonly path: string } {
  assert.notEqual(stdout, "", stderr);
  const [member] = trainResultSchema.parse(JSON.parse(stdout)).members;
  assert.ok(member);
  return member.best;
}

const quick = ["--limit", "64", "--epochs", "1"];

Deno.test("`mirage` alone and `--help` list the commands; each command's help its flags", async () => {
  for (const args of [[], ["--help"]]) {
    const { code, stdout } = await mirage(args);
    assert.equal(code, 0);
    for (const name of commands) assert.match(stdout, new RegExp(`\\b${name}\\b`));
  }
  const { code, stdout } = await mirage(["attack", "--help-all"]);
  assert.equal(code, 0);
  const flags =
    "mode model seed epochs batch-size lr momentum weight-decay epsilon epsilon-attack " +
    "in-domain out-domain num-ensembles lambda-reg n-inducing-points kernel steps targeted data-path save-path " +
    "checkpoint limit protocol json out explain time micro-batch no-augmentation config save-images";
  const differences = Object.keys(protocolOptions).map(nameOf);
  for (const flag of [...flags.split(" "), ...differences]) {
    assert.ok(stdout.includes(`--${flag}`), `no --${flag}`);
  }
});

const mistakes: readonly [what: string, args: string[], message: RegExp][] = [
  ["a misspelt mode", ["attack", "--mode", "sngpp"], /got "sngpp"[^]*Did you mean "sngp"/],
  ["a misspelt flag", ["attack", "--epochz", "3"], /"--epochz"[^]*Did you mean `--epochs`/],
  ["a misspelt command", ["atack"], /`atack`[^]*Did you mean `attack`/],
  [
    "a model of another mode",
    ["eval", "--mode", "sngp", "--model", "ResNet-18"],
    /^Cannot run mode "sngp" with the model "ResNet-18": choose LeNet_SNGP or ResNet-18_SNGP/,
  ],
  [
    "an attack as training",
    ["train", "--mode", "attack_sngp"],
    /^Cannot train the mode "attack_sngp"/,
  ],
  ["a seed below 0", ["attack", "--seed", "-1"], /`--seed`/],
  [
    "a seed that no number holds",
    ["attack", "--seed", "9007199254740993"],
    /^Error: `--seed`: Expected a whole number from 0 to 2\^53 - 1, but got "9007199254740993"\.\n$/,
  ],
  [
    "a batch that no number holds",
    ["train", "--batch-size", "9".repeat(30)],
    /`--batch-size`: Expected a whole number from 1 to 65536, but got "9+"\.\n$/,
  ],
  ["no epochs", ["train", "--epochs", "0"], /`--epochs`: .*"0"/],
  ["epochs that are no number", ["train", "--epochs", "ten"], /`--epochs`: .*"ten"/],
  ["a batch of 0", ["attack", "--batch-size", "0"], /`--batch-size`/],
  ["a negative rate", ["train", "--lr", "-1"], /`--lr`/],
  [
    "a rate of 0",
    ["train", "--lr", "0"],
    /^Cannot run with --lr 0: .*; see \.\/denow task train --help/,
  ],
  ["a momentum over 1", ["train", "--momentum", "2"], /`--momentum`/],
  ["a negative decay", ["train", "--weight-decay", "-1"], /`--weight-decay`/],
  [
    "a radius over 1",
    ["attack", "--epsilon-attack", "1.5"],
    /^Cannot attack with a radius of 1.5 in L-infinity: .*; name another by --epsilon-attack/,
  ],
  ["a training radius over 1", ["train", "--epsilon", "1.5"], /`--epsilon`/],
  ["no members", ["train", "--num-ensembles", "0"], /`--num-ensembles`/],
  ["a negative penalty", ["train", "--lambda-reg", "-1"], /`--lambda-reg`/],
  ["no inducing points", ["train", "--n-inducing-points", "0"], /`--n-inducing-points`/],
  ["an unknown kernel", ["train", "--kernel", "RBG"], /Did you mean "RBF"/],
  ["a class that is none", ["attack", "--targeted", "-1"], /`--targeted`/],
  ["a misspelt set", ["attack", "--in-domain", "minst"], /`--in-domain`[^]*Did you mean "mnist"/],
  ["a misspelt other set", ["eval", "--out-domain", "svnh"], /Did you mean "svhn"/],
  ["an out-domain set to train", ["train", "--out-domain", "svhn"], /"--out-domain"/],
  ["an unknown protocol", ["attack", "--protocol", "papr"], /Did you mean "paper"/],
  ["no steps", ["attack", "--steps", "0"], /`--steps`/],
  ["a misspelt attack", ["attack", "--attack", "fgsn"], /Did you mean "fgsm"/],
  ["a misspelt start", ["attack", "--start", "fre"], /Did you mean "free"/],
  ["a misspelt iterate", ["attack", "--keep", "bestt"], /Did you mean "best"/],
  ["a step of 0", ["attack", "--step-factor", "0"], /`--step-factor`/],
  ["a misspelt joint", ["attack", "--ensemble-attack", "jiont"], /Did you mean "joint"/],
  ["a misspelt mean", ["attack", "--ensemble-mean", "logit"], /Did you mean "logits"/],
  ["a misspelt kind of mean", ["attack", "--mean", "sample"], /Did you mean "samples"/],
  ["a misspelt selection", ["train", "--selection", "tets"], /Did you mean "test"/],
  ["a misspelt order", ["train", "--epoch-order", "fixd"], /Did you mean "fixed"/],
  ["a misspelt arithmetic", ["train", "--kernel-arithmetic", "logs"], /Did you mean "log"/],
  [
    "misspelt statistics",
    ["train", "--batch-statistics", "every-stp"],
    /Did you mean "every-step"/,
  ],
  ["a micro-batch of 0", ["train", "--micro-batch", "0"], /`--micro-batch`/],
  ["a misspelt precision", ["train", "--precision", "claen"], /Did you mean "clean"/],
  ["no samples", ["attack", "--due-samples", "0"], /`--due-samples`/],
  ["half a sample", ["attack", "--due-attack-samples", "0.5"], /`--due-attack-samples`/],
  ["misspelt noise", ["attack", "--due-noise", "comon"], /Did you mean "common"/],
  ["an unknown table", ["table", "mnits"], /Did you mean "mnist"/],
  ["no seeds", ["table", "mnist", "--seeds", "0"], /`--seeds`/],
  ["no ensembles", ["table", "mnist", "--ensembles", "0"], /`--ensembles`/],
  [
    "a table of a mode without a row",
    ["table", "mnist", "--mode", "baseline"],
    /`--mode`|"baseline"/,
  ],
  ["an unknown ablation", ["table", "mnist", "--ablate-only", "keeep"], /Did you mean "keep"/],
  [
    "two checkpoints for one model",
    ["attack", "--checkpoint", "a", "--checkpoint", "b"],
    /^Cannot run mode "sngp" with 2 checkpoints: it takes 1/,
  ],
  [
    "two checkpoints for three members",
    [
      "attack",
      "--mode",
      "deep_ensemble",
      "--num-ensembles",
      "3",
      "--checkpoint",
      "a",
      "--checkpoint",
      "b",
    ],
    /^Cannot run mode "deep_ensemble" with 2 checkpoints: it takes 3; give one --checkpoint a member/,
  ],
  [
    "a member's checkpoint that is missing",
    [
      "attack",
      "--mode",
      "deep_ensemble",
      "--num-ensembles",
      "2",
      "--checkpoint",
      "no_{seed}.safetensors",
    ],
    /^Cannot read "no_0.safetensors": there is no such file/,
  ],
  [
    "a member's checkpoint of another model",
    ["attack", "--mode", "deep_ensemble", "--checkpoint", tiny],
    /^Cannot load ".*tiny.checkpoint" as LeNet: it has no "conv1.0.weight" but ".*"; give the/,
  ],
  [
    "a checkpoint template that leads nowhere",
    ["eval", "--mode", "deep_ensemble_at", "--seed", "3", "--checkpoint", "no/{seed}.checkpoint"],
    /^Cannot read "no\/3.checkpoint": there is no such file/,
  ],
  ["a limit of 0", ["attack", "--limit", "0"], /`--limit`/],
  [
    "a missing checkpoint",
    ["attack", "--checkpoint", "no.safetensors"],
    /^Cannot read "no.safetensors": there is no such file/,
  ],
  [
    "a data path without data",
    ["attack", "--data-path", "no"],
    /^Cannot use the data in "no": .* is missing; run \.\/denow task data/,
  ],
  [
    "a document into a folder that is missing",
    ["attack", "--out", "no/such/result.json"],
    /^Cannot write "no\/such\/result.json": its folder does not exist/,
  ],
  ["a document that is a folder", ["eval", "--out", "."], /^Cannot write "\.": it is a folder/],
  ["an unknown data set", ["data", "mnits"], /Did you mean "mnist"/],
];

for (const [what, args, message] of mistakes) {
  Deno.test(`${what} is told in a sentence, with exit code 1 and an empty stdout`, async () => {
    const { code, stdout, stderr } = await mirage(args);
    assert.match(stderr, message);
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.ok(!/\n\s+at /.test(stderr), `a stack trace: ${stderr}`);
  });
}

Deno.test("a folder or a text file is no checkpoint, and says so", () =>
  inFolder(async (folder) => {
    const text = join(folder, "notes.txt");
    await Deno.writeTextFile(text, "this is no model");
    for (const path of [text, folder]) {
      const { code, stderr } = await mirage(["attack", "--checkpoint", path]);
      assert.equal(code, 1);
      assert.match(stderr, /^Cannot read "/);
    }
  }));

Deno.test("train, eval and attack print one valid document, the same again but for the seconds", () =>
  inFolder(async (folder) => {
    const path = ["--save-path", join(folder, "models"), "--json"];
    const trained = await mirage(["train", ...quick, ...path]);
    assert.equal(trained.code, 0, trained.stderr);
    const best = bestOf(trained);
    assert.ok((await Deno.stat(best.path)).isFile);

    const out = join(folder, "out.json");
    const first = await mirage(["attack", ...quick, ...path, "--out", out]);
    assert.equal(first.code, 0, first.stderr);
    const result = attackResultSchema.parse(JSON.parse(first.stdout));
    assert.deepEqual(JSON.parse(await Deno.readTextFile(out)), result);
    assert.equal(result.outDomain.count, 64);
    assert.ok(result.adversarial.distance <= 0.1 + 1e-6);

    const again = await mirage(["eval", "--mode", "attack_sngp", ...quick, ...path]);
    const repeated = attackResultSchema.parse(JSON.parse(again.stdout));
    assert.deepEqual({ ...repeated, seconds: 0 }, { ...result, seconds: 0 });

    const as = ["--limit", "64", "--epochs=1", "--save_path", path[1] ?? "", "--json"];
    const evaluated = await mirage(["eval", ...as]);
    assert.equal(evaluated.code, 0, evaluated.stderr);
    const { outDomain, inDomain } = evalResultSchema.parse(JSON.parse(evaluated.stdout));
    assert.deepEqual(inDomain, result.inDomain);
    assert.equal(outDomain.entropy, result.clean.entropy);
  }));

Deno.test("`attack --limit` goes on with the training of all images where one was begun", () =>
  inFolder(async (folder) => {
    const path = ["--save-path", folder, "--json"];
    const trained = await mirage(["train", "--epochs", "1", ...path]);
    const best = bestOf(trained);
    const attacked = await mirage(["attack", "--epochs", "2", "--limit", "64", ...path]);
    assert.match(attacked.stderr, /has 1 of 2 epochs: training goes on/);
    const { checkpoints, inDomain } = attackResultSchema.parse(JSON.parse(attacked.stdout));
    assert.deepEqual(checkpoints, [best.path]);
    assert.equal(inDomain.count, 64);
    assert.ok((inDomain.accuracy ?? 0) > 0.6, `accuracy ${inDomain.accuracy}`);
  }));

Deno.test("without --json a table and a verdict are printed, with --explain the programs too", () =>
  inFolder(async (folder) => {
    const { code, stdout, stderr } = await mirage([
      "attack",
      ...quick,
      "--explain",
      "--time",
      "--targeted",
      "3",
      "--protocol",
      "corrected",
    ], folder);
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
      (await Deno.stat(join(folder, "trained_models"))).isDirectory,
      "paths are the user's",
    );
  }));

Deno.test("a training that cannot be saved says why and leaves nothing half-written", () =>
  inFolder(async (folder) => {
    const file = join(folder, "models");
    await Deno.writeTextFile(file, "a file, where a folder should be");
    const { code, stderr } = await mirage(["train", ...quick, "--save-path", file]);
    assert.equal(code, 1);
    assert.match(stderr, /Cannot (write|make) "/);
    assert.equal(await Deno.readTextFile(file), "a file, where a folder should be");
  }));

Deno.test("`data` and `doctor` print valid documents", async () => {
  const data = await mirage(["data", "--json"]);
  assert.equal(data.code, 0, data.stderr);
  const { sets } = dataResultSchema.parse(JSON.parse(data.stdout));
  assert.ok(sets.some(({ name, count }) => name.startsWith("embedded") && count > 0));

  const doctor = await mirage(["doctor", "--json"]);
  const { healthy, kernels, checks } = doctorResultSchema.parse(JSON.parse(doctor.stdout));
  assert.ok(healthy, JSON.stringify(checks));
  assert.equal(doctor.code, 0);
  assert.equal(kernels.length, kernelFiles);
});

Deno.test("`data` and `doctor` say one thing of a part that can be used: what it is, and how to have all", () =>
  inFolder(async (folder) => {
    await writeArchive(folder);
    const note = "a usable part, 30 of the 10000 images that the paper uses: run " +
      "./denow task data notmnist for all";
    const args = ["--json", "--data-path", folder];
    const { sets } = dataResultSchema.parse(JSON.parse((await mirage(["data", ...args])).stdout));
    const set = sets.find(({ name }) => name === "notMNIST");
    assert.deepEqual([set?.checksum, set?.note.startsWith(note)], ["differs", true], set?.note);
    const doctor = await mirage(["doctor", ...args]);
    const { checks } = doctorResultSchema.parse(JSON.parse(doctor.stdout));
    const { state, found = "", remedy } = checks.find(({ what }) => what === "notMNIST") ?? {};
    assert.deepEqual([state, remedy], ["ok", ""]);
    assert.ok(found.startsWith(`30 images; ${note}`), found);
  }));

Deno.test("`data` and `doctor` print tables of 80 columns at most; doctor counts its kernels", async () => {
  const long = ["--data-path", "a/path/that/is/rather/long/for/a/table/of/eighty/columns"];
  for (const command of ["data", "doctor"]) {
    const { code, stdout, stderr } = await mirage([command, ...long]);
    assert.equal(code, 0, stderr);
    const table = stdout.split("\n").filter((line) => /^[│┌├└]/.test(line));
    assert.ok(table.length > 5 && table.every((line) => line.length <= 80), stdout);
    if (command === "doctor") {
      assert.ok(stderr.includes(`100% | ${kernelFiles}/${kernelFiles} kernels`));
    }
  }
});

Deno.test("without any adapter `doctor` and `attack` say what to install", async () => {
  const none = { VK_ICD_FILENAMES: "/nowhere.json", VK_DRIVER_FILES: "/nowhere.json" };
  for (const args of ["doctor", "attack"]) {
    const env = { ...none, DENO_WEBGPU_BACKEND: "vulkan" };
    const { code, stdout, stderr } = await task(args, [], { cwd: scratch, env });
    const text = stdout + stderr;
    assert.equal(code, 1);
    assert.match(text, /Cannot open a GPU/);
    assert.match(text.replaceAll(/\s+/g, " "), /mesa-vulkan-drivers/);
  }
});

Deno.test("a folder that is gone and a permission that is missing are told in a sentence", async () => {
  const gone = await task("data", [], { cwd: scratch, env: { INIT_CWD: "/no/such/folder" } });
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
});

Deno.test("shell completions for bash, zsh and fish are scripts, and complete flags", async () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    const { code, stdout } = await mirage(["completion", shell]);
    assert.equal(code, 0);
    assert.match(stdout, /mirage/);
  }
  const { code, stdout } = await mirage(["completion", "bash", "attack", "--epsilon-a"]);
  assert.equal(code, 0);
  assert.match(stdout, /^--epsilon-attack/m);
});
