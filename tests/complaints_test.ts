/** What the parser of options says: bounded, whatever was typed. */
import assert from "node:assert/strict";
import { task } from "./program.ts";

Deno.test("whatever was typed, a complaint is one short line that keeps its suggestion", async () => {
  const long = "x".repeat(5000);
  const typed: readonly (readonly string[])[] = [
    ["eval", "--mode", long],
    ["eval", `--${long}`],
    ["eval", long],
    [long],
    ["eval", "--seed", "9".repeat(5000)],
    ["eval", "--epochs", long],
    ["eval", "--lr", long],
    ["eval", "--epsilon", long],
    ["eval", `--seed=${long}`],
    ["eval", "--json", `--json=${long}`],
    ["table", "mnist", "--ablate-only", long],
    ["completion", long],
    ["eval", "--mode", "\u001b[31mred\n\u0007"],
    ["eval", "--\u001b[31mred\nnew"],
    ["\u001b[31mred\nnew"],
  ];
  for (const args of typed) {
    const { code, stdout, stderr } = await task("mirage", args, { cwd: Deno.cwd() });
    assert.deepEqual([code, stdout], [1, ""], stderr);
    // deno-lint-ignore no-control-regex -- that is what is to be kept from the terminal
    assert.match(stderr, /^Error: [^\u0000-\u001f]{10,400}\n$/);
  }
  const { stderr } = await task("table", ["mnist", "--ablate-only", "keeep"], {
    cwd: Deno.cwd(),
  });
  assert.match(stderr, /^Error: `--ablate-only`: .*, but got "keeep"\. Did you mean "keep"\?\n$/);
});
