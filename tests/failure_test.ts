/** What reaches the top becomes one sentence of bounded length, with the exit code of whose fault it is. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { failure } from "../src/cli/failure.ts";
import { attackResultSchema } from "../src/results.ts";
import { task } from "./program.ts";
import { inFolder } from "./support.ts";

Deno.test("a schema's complaint, or a text of any length, is one line of bounded length", () => {
  const complaint = attackResultSchema.safeParse({}).error ?? assert.fail();
  for (const error of [complaint, new Error("x\ny ".repeat(10_000)), "\u001b[31m".repeat(1000)]) {
    const { message, code } = failure(error);
    assert.equal(code, 70);
    assert.ok(
      message.length < 600 && !message.includes("\n") && !message.includes("\u001b"),
      message,
    );
  }
});

Deno.test("places that cannot be are told with exit code 1, before anything is computed", () =>
  inFolder(async (cwd) => {
    await Deno.symlink(join(cwd, "loop"), join(cwd, "loop"));
    const long = "x".repeat(300);
    const mistakes: readonly (readonly string[])[] = [
      ["attack", "--checkpoint", long],
      ["attack", "--checkpoint", "loop"],
      ["attack", "--checkpoint", "/dev/zero"],
      ["attack", "--checkpoint", "/proc/cpuinfo"],
      ["attack", "--config", long],
      ["attack", "--config", "loop"],
      ["attack", "--out", long],
      ["attack", "--out", "/proc/x"],
      ["train", "--epochs", "1", "--limit", "20", "--save-path", long],
      ["train", "--epochs", "1", "--limit", "20", "--save-path", "loop"],
      ["train", "--epochs", "1", "--limit", "20", "--save-path", "/proc/x"],
      ["verify", long],
      ["verify", "loop"],
      ["report", long],
    ];
    for (const [name = "", ...args] of mistakes) {
      const { code, stdout, stderr } = await task(name, args, { cwd });
      const shown = `${name} ${args.join(" ").slice(0, 60)}: ${stderr}`;
      assert.equal(code, 1, shown);
      assert.equal(stdout, "", shown);
      const last = stderr.trimEnd().split("\n").at(-1) ?? "";
      assert.match(last, /^Cannot /, shown);
      assert.ok(last.length < 1000, shown);
    }
  }));
