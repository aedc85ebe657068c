/** Radii as people type them. */
import assert from "node:assert/strict";
import { parse } from "@optique/core/parser";
import { attacking } from "../src/cli/flags.ts";

function radius(text: string): number | undefined {
  const parsed = parse(attacking, ["--epsilon-attack", text]);
  return parsed.success ? parsed.value.epsilonAttack : undefined;
}

Deno.test("`--epsilon-attack` takes numbers and fractions from 0 to 1, and nothing else", () => {
  const taken: Record<string, number> = {
    "8/255": 8 / 255,
    "0.1": 0.1,
    ".1": 0.1,
    "0": 0,
    "1": 1,
    "1e-3": 0.001,
    "2.5/255": 2.5 / 255,
    " 8 / 255 ": 8 / 255,
  };
  for (const [text, value] of Object.entries(taken)) assert.equal(radius(text), value, text);
  for (const text of ["300/255", "8/0", "0/0", "8/", "/255", "8/2/2", "x", "-1", "NaN", "1e999"]) {
    assert.equal(radius(text), undefined, text);
  }
});
