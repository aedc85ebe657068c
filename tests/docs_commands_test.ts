/**
 * The commands of README.md and docs, run as they stand. A block that is not run says so beside its language,
 * with the reason: ```` ```sh not run: reason ````; its flags are looked up all the same.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { task, taskLine } from "./program.ts";
import { inFolder } from "./support.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const windows = Deno.build.os === "windows";

interface Block {
  readonly page: string;
  readonly text: string;
  /** Why it is not run. */
  readonly reason: string | undefined;
}

/** Blocks in the order of a reader: what one leaves is there for the next. */
async function blocks(): Promise<Block[]> {
  const pages = ["README.md"];
  for await (const { name } of Deno.readDir(join(root, "docs"))) {
    if (name.endsWith(".md")) pages.push(`docs/${name}`);
  }
  const all = await Promise.all(
    pages.sort().map(async (page) => {
      const found = (await Deno.readTextFile(join(root, page)))
        .matchAll(/^```sh(?: (.*))?\n([^]*?)^```$/gm);
      return Array.from(found, ([, info, text = ""]) => {
        const [, reason] = /^not run: (.{10,})$/.exec(info ?? "") ?? [];
        assert.equal(
          reason === undefined,
          info === undefined,
          `${page}: "sh ${info}" is no reason`,
        );
        return { page, text, reason };
      });
    }),
  );
  return all.flat();
}

/** Commands without their comments. */
function commands(text: string): string[] {
  return text.split("\n").map((line) => line.replace(/(^|\s+)# .*/, "")).filter(Boolean);
}

Deno.test("the blocks of the documents can be pasted: no line has a place to be filled in", async () => {
  const all = await blocks();
  assert.ok(all.filter(({ reason }) => reason === undefined).length >= 4);
  for (const { page, text } of all) {
    for (const command of commands(text)) {
      assert.doesNotMatch(command, /<\w|\.\.\.|\b(?:ID|PATH|DATA|FOLDER|RUN|SEED|NAME)\b/, page);
    }
  }
});

Deno.test("the blocks that are not run name commands and flags that there are", async () => {
  const helps = new Map<string, string>();
  for (const { page, text, reason } of await blocks()) {
    if (reason === undefined) continue;
    for (const line of commands(text)) {
      const [, name, rest = ""] =
        /(?:\.\/denow task|\.\/mirage|mirage mirage) (\w+)(.*)/.exec(line) ?? [];
      if (name === undefined) continue;
      if (["bench", "compile", "pack", "test"].includes(name)) {
        assert.ok(taskLine(name));
        continue;
      }
      const help = helps.get(name) ??
        (await task("mirage", [name, "--help-all"], { cwd: root })).stdout;
      helps.set(name, help);
      for (const [flag] of rest.matchAll(/--[a-z][a-z-]*/g)) {
        assert.ok(help.includes(flag), `${page}: "${name}" has no flag ${flag}`);
      }
    }
  }
  assert.ok(helps.size >= 5, `only ${helps.size} commands were found`);
});

Deno.test({
  name: "the other blocks of the documents run as they stand, one after the other in one folder",
  ignore: windows,
  fn: (t) =>
    inFolder(async (cwd) => {
      await Deno.symlink(join(root, "denow"), join(cwd, "denow"));
      // No browser is opened.
      const bin = join(cwd, "bin");
      await Deno.mkdir(bin);
      for (const opener of ["xdg-open", "open"]) {
        await Deno.writeTextFile(join(bin, opener), "#!/bin/sh\nexit 0\n", { mode: 0o755 });
      }
      const env = { NO_COLOR: "1", PATH: `${bin}:${Deno.env.get("PATH")}` };
      for (const { page, text, reason } of await blocks()) {
        if (reason !== undefined) continue;
        await t.step(`${page}: ${commands(text).join("; ")}`, async () => {
          const { code, stderr } = await new Deno.Command("bash", {
            args: ["-euc", text],
            cwd,
            env,
            stdin: "null",
          }).output();
          assert.equal(code, 0, new TextDecoder().decode(stderr));
        });
      }
    }),
});
