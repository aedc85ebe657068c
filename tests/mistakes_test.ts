/** What a user mistypes or has not got, by subprocess: a sentence, exit code 1, and nothing on stdout. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { mirage } from "./program.ts";
import { inFolder } from "./support.ts";

const tiny = decodeURIComponent(new URL("golden/tiny.checkpoint", import.meta.url).pathname);

const mistakes: readonly [what: string, args: string[], message: RegExp][] = [
  ["a misspelt mode", ["attack", "--mode", "sngpp"], /got "sngpp"[^]*Did you mean "sngp"/],
  ["a misspelt flag", ["attack", "--epochz", "3"], /"--epochz"[^]*Did you mean `--epochs`/],
  ["a misspelt command", ["atack"], /`atack`[^]*Did you mean `attack`/],
  ["a flag cut short", ["attack", "--eps=1"], /Did you mean `--epsilon` or `--epsilon-attack`\?$/m],
  ["a file's flag cut short", ["eval", "--conf", "a"], /"--conf"\. Did you mean `--config`\?$/m],
  ["a mode without its flag", ["attack", "sngp"], /"sngp"\. Did you mean `--mode sngp`\?$/m],
  ["no such flag", ["attack", "--gpu"], /"--gpu"\. See \.\/denow task attack --help-all\.$/m],
  ["a flag without its value", ["eval", "--mode"], /See \.\/denow task eval --help-all\.$/m],
  ["no such command", ["xyzzy"], /`xyzzy`\. See \.\/denow task mirage --help\.$/m],
  ["no run", ["report"], /^Error: Expected the folder of a run\. See \.\/denow task report --help/],
  ["no pair", ["table"], /a `PAIR`, .*\. See \.\/denow task table --help-all\.$/m],
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
    /^Cannot load ".*tiny.checkpoint" as LeNet: it has no "conv1.0.weight", .* but ".*"; give the/,
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
  Deno.test(`${what} is told in a sentence, with exit code 1 and an empty stdout`, () =>
    inFolder(async (cwd) => {
      const { code, stdout, stderr } = await mirage(args, { cwd });
      assert.match(stderr, message);
      assert.equal(code, 1);
      assert.equal(stdout, "");
      assert.ok(!/\n\s+at /.test(stderr), `a stack trace: ${stderr}`);
    }));
}

Deno.test("a folder or a text file is no checkpoint, and says so", () =>
  inFolder(async (cwd) => {
    const text = join(cwd, "notes.txt");
    await Deno.writeTextFile(text, "this is no model");
    for (const path of [text, cwd]) {
      const { code, stderr } = await mirage(["attack", "--checkpoint", path], { cwd });
      assert.equal(code, 1);
      assert.match(stderr, /^Cannot read "/);
    }
  }));
