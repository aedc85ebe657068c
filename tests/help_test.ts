/** Help as a user asks for it: short by default, whole on demand, and nothing that would be refused. */
import assert from "node:assert/strict";
import { modes, optionEntries, runConfig } from "../src/experiment/config.ts";
import { actsIn, checkEffects, flagFor } from "../src/cli/effect.ts";
import { helpAsked } from "../src/cli/help.ts";
import { type Outcome, task } from "./program.ts";
import { inFolder } from "./support.ts";

const runCommands = ["attack", "eval", "train"] as const;

/** Flags that help has an entry of. */
function flagsIn({ stdout }: Outcome): string[] {
  return [...stdout.matchAll(/(?<=^ {2})--[a-z-]+/gm)].map(([flag]) => flag);
}

Deno.test("`--help` of a command shows what people use in 80 columns, and says how to see the rest", () =>
  inFolder(async (cwd) => {
    for (const command of [...runCommands, "table"]) {
      const short = await task(command, ["--help"], { cwd });
      const lines = short.stdout.trimEnd().split("\n");
      assert.deepEqual([short.code, short.stderr], [0, ""]);
      assert.ok(lines.length <= 45, `${command}: ${lines.length} lines`);
      assert.ok(lines.every((line) => line.length <= 80), short.stdout);
      assert.equal(lines.at(-1), `./denow task ${command} --help-all shows the rest`);
      for (const flag of ["--mode", "--protocol", "--epochs", "--limit", "--json"]) {
        assert.ok(flagsIn(short).includes(flag), `${command} ${flag}`);
      }
      for (const flag of ["--weight-decay", "--keep", "--kernel"]) {
        assert.ok(!flagsIn(short).includes(flag), `${command} ${flag}`);
      }
      const whole = await task(command, ["--help-all"], { cwd });
      assert.ok(whole.stdout.split("\n").every((line) => line.length <= 80), whole.stdout);
      assert.doesNotMatch(whole.stdout, /shows the rest/);
      assert.deepEqual(flagsIn(short).filter((flag) => !flagsIn(whole).includes(flag)), []);
    }
    const table = await task("table", ["--help-all"], { cwd });
    // It would be refused: see `withoutModules`.
    assert.doesNotMatch(table.stdout, /file\s+of\s+yours/);
    const { stdout } = await task("attack", ["--help"], { cwd });
    const titles = [...stdout.matchAll(/^([A-Z].*):$/gm)].map(([, title]) => title);
    assert.deepEqual(titles, [
      "Experiment",
      "Data sets",
      "Attack",
      "Protocol",
      "Training",
      "Data and output",
    ]);
    for (const flag of ["--in-domain", "--out-domain", "--model-file", "--checkpoint"]) {
      assert.match(stdout, new RegExp(`^  ${flag} `, "m"));
    }
    const text = stdout.replaceAll(/\s+/g, " ");
    assert.ok(text.includes("--protocol NAME paper: as published, faults included; corrected: "));
    assert.ok(text.includes("--attack NAME The algorithm of the attack"));
  }));

Deno.test("`--help-all` shows every option that can act in the command, each with a text, and no other", () =>
  inFolder(async (cwd) => {
    for (const command of runCommands) {
      const help = await task(command, ["--mode", "duq", "--help-all"], { cwd });
      const shown = flagsIn(help);
      assert.equal(new Set(shown).size, shown.length, "twice");
      for (const name of Object.keys(optionEntries)) {
        // A training uses no model, and has its batch by the one name that there is.
        const acts = actsIn(command, name) && name !== "trainBatchSize" &&
          !(command === "train" && name === "checkpoint");
        assert.equal(shown.includes(flagFor(name)), acts, `${command} ${name}`);
      }
      for (const [line] of help.stdout.matchAll(/^ {2}--.*$/gm)) {
        assert.match(line, /^ {2}--[a-z-]+( [A-Z]+)? +\S/);
      }
    }
  }));

Deno.test("what help leaves out would be refused, whatever the mode", () => {
  let count = 0;
  for (const command of runCommands) {
    for (const name of Object.keys(optionEntries).filter((name) => !actsIn(command, name))) {
      for (const mode of modes) {
        const check = (): void => checkEffects(command, runConfig({ mode }), [flagFor(name)]);
        assert.throws(check, /^UserError: Cannot use --.* here: /, `${command} ${mode} ${name}`);
        count++;
      }
    }
  }
  assert.ok(count > 100, `${count}`);
});

Deno.test("help is asked for by an option of a command, or by `help` and its name", () => {
  assert.deepEqual(helpAsked(["attack", "--help"]), { command: "attack", all: false });
  assert.deepEqual(helpAsked(["eval", "--mode", "due", "--help-all"]), {
    command: "eval",
    all: true,
  });
  assert.deepEqual(helpAsked(["help", "train"]), { command: "train", all: false });
  for (const args of [["--help"], ["help"], ["attack"], ["atack", "--help"], ["--help-all"]]) {
    assert.equal(helpAsked(args), undefined);
  }
});
