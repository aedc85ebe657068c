/** Radii as people type them. */
import assert from "node:assert/strict";
import { parse } from "@optique/core/parser";
import { commands } from "../src/cli/commands.ts";
import { attacking } from "../src/cli/flags.ts";
import { toRun } from "../src/cli/request.ts";
import { shownRadius } from "../src/measure/shown.ts";
import { task } from "./program.ts";
import { inFolder } from "./support.ts";

function radius(text: string): number | undefined {
  const parsed = parse(attacking, ["--epsilon-attack", text]);
  return parsed.success ? parsed.value.epsilonAttack : undefined;
}

Deno.test("`--epsilon-attack` takes numbers and fractions, and nothing else", () => {
  const taken: Record<string, number> = {
    "8/255": 8 / 255,
    "0.1": 0.1,
    ".1": 0.1,
    "0": 0,
    "1": 1,
    "1.": 1,
    "1.5": 1.5,
    "1e-2/2": 0.005,
    "1e-3": 0.001,
    "2.5/255": 2.5 / 255,
    " 8 / 255 ": 8 / 255,
  };
  for (const [text, value] of Object.entries(taken)) assert.equal(radius(text), value, text);
  for (
    const text of ["300000/255", "8/0", "0/0", "8/", "/255", "8/2/2", "x", "-1", "NaN", "1e999"]
  ) {
    assert.equal(radius(text), undefined, text);
  }
});

Deno.test("the configuration, and so run.json, keeps the number of either radius", async () => {
  const args = [
    "attack",
    "--mode",
    "deep_ensemble_at",
    "--epsilon=4/255",
    "--epsilon-attack=8/255",
  ];
  const parsed = parse(commands.attack, args);
  assert.ok(parsed.success);
  const { config } = await toRun(parsed.value, args);
  assert.deepEqual([config.epsilon, config.epsilonAttack], [4 / 255, 8 / 255]);
});

Deno.test("what is no radius is told with what was typed, and help shows how to type one", () =>
  inFolder(async (cwd) => {
    const wrong: readonly (readonly [flag: string, text: string, why: string])[] = [
      ["--epsilon-attack", "8/0", ""],
      ["--epsilon-attack", "8/", ""],
      ["--epsilon", "300/255", ", which is 1.18"],
      ["--epsilon", "x".repeat(5000), ""],
    ];
    for (const [flag, text, why] of wrong) {
      const { code, stdout, stderr } = await task("attack", [flag, text], { cwd });
      assert.deepEqual([code, stdout], [1, ""]);
      const got = text.length > 100 ? `${text.slice(0, 28)}...${text.slice(0, 28)}` : text;
      const largest = flag === "--epsilon" ? 1 : 1000;
      const expected = `Expected a number from 0 to ${largest}, such as 0.1 or 8/255, but got`;
      const line = `Error: \`${flag}\`: ${expected} "${got}"${why}.`;
      assert.equal(stderr.replaceAll(/\s+/g, " ").trim(), line);
    }
    for (
      const [args, says] of [
        [["--epsilon-attack", "300/255"], "a radius of 1.18 in L-infinity: pixels are in 0 to 1,"],
        [["--norm", "l2"], "in L2 without a radius: there is no default;"],
        [["--norm", "l1"], "name one by --epsilon-attack, such as 12 for digits of 28x28"],
      ] as const
    ) {
      const { code, stderr } = await task("attack", args, { cwd });
      assert.equal(code, 1);
      assert.ok(stderr.replaceAll(/\s+/g, " ").includes(says), stderr);
    }
    const { stdout } = await task("attack", ["--help-all"], { cwd });
    assert.equal([...stdout.replaceAll(/\s+/g, " ").matchAll(/as 0\.1 or 8\/255;/g)].length, 2);
  }));

Deno.test("a radius in 255ths is shown as it was written, and any other by six digits at most", () => {
  const radii = [8 / 255, 1 / 255, 0.016, 0.1, 0.2, 0.3, 0, 1, 0.0123456789, Math.fround(0.1)];
  assert.deepEqual(
    radii.map(shownRadius),
    ["8/255", "1/255", "0.016", "0.1", "0.2", "0.3", "0", "1", "0.0123457", "0.1"],
  );
});
