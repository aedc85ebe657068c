/** Options that would change nothing are refused with what does; every other is taken. */
import assert from "node:assert/strict";
import { checkEffects } from "../src/cli/effect.ts";
import { flagOf } from "../src/cli/flags.ts";
import { modes, runConfig, type RunOptions } from "../src/config.ts";
import { UserError } from "../src/errors.ts";
import { type Method, methods } from "../src/methods/mod.ts";
import { concerning, procedureOf, protocolOptionNames } from "../src/protocol.ts";
import { task } from "./program.ts";
import { inFolder } from "./support.ts";

type Command = "train" | "eval" | "attack";

/** What is said against a flag; undefined where it is taken. */
function against(command: Command, flag: string, options: RunOptions): string | undefined {
  try {
    checkEffects(command, runConfig(options), [command, flag]);
    return undefined;
  } catch (error) {
    assert.ok(error instanceof UserError);
    assert.ok(error.message.startsWith(`Cannot use ${flag} here: `), error.message);
    return error.message;
  }
}

Deno.test("options of methods and protocols are taken where they concern the mode, and nowhere else", () => {
  for (const mode of modes) {
    const method: Method = methods[mode];
    for (const name of ["epsilon", "lambdaReg", "nInducingPoints", "kernel"] as const) {
      const refused = against("attack", flagOf(name), { mode }) !== undefined;
      assert.equal(refused, !method.hyperparameters.includes(name), `${mode} ${name}`);
    }
    assert.equal(against("attack", "--num-ensembles", { mode }) === undefined, method.ensemble);
    for (const model of method.models) {
      const family = model.startsWith("LeNet") ? "LeNet" : "ResNet-18";
      const own = concerning(procedureOf("paper"), { mode, family });
      for (const name of protocolOptionNames) {
        const refused = against("attack", flagOf(name), { mode, model }) !== undefined;
        assert.equal(refused, !(name in own), `${mode} ${model} ${name}`);
      }
      const crops = against("train", "--no-augmentation", { mode, model }) === undefined;
      assert.equal(crops, family === "ResNet-18");
    }
  }
});

Deno.test("options of the attack are refused elsewhere, those of the training beside a checkpoint", () => {
  const mode = "sngp";
  for (const flag of ["--epsilon-attack", "--targeted", "--steps", "--save-images"]) {
    assert.equal(against("attack", flag, { mode }), undefined);
    assert.match(against("eval", flag, { mode }) ?? "", /eval does not attack; use attack$/);
  }
  for (const flag of ["--epochs", "--lr", "--momentum", "--weight-decay", "--micro-batch"]) {
    assert.equal(against("attack", flag, { mode }), undefined);
    assert.match(
      against("attack", flag, { mode, checkpoint: "a" }) ?? "",
      /the checkpoint is trained already/,
    );
  }
  assert.match(against("attack", "--steps", { mode: "deep_ensemble" }) ?? "", /add --attack pgd$/);
  assert.equal(against("attack", "--steps", { mode: "deep_ensemble", attack: "pgd" }), undefined);
});

Deno.test("`--epsilon` where `--epsilon-attack` is meant ends with exit code 1 and says so", () =>
  inFolder(async (cwd) => {
    const { code, stdout, stderr } = await task("attack", ["--epsilon", "0.3"], { cwd });
    assert.equal(code, 1);
    assert.equal(stdout, "");
    assert.equal(
      stderr,
      "Cannot use --epsilon here: sngp does not use it, deep_ensemble_at does; " +
        "the attack's radius is --epsilon-attack\n",
    );
  }));
