/** Remedies are commands that there are where the user stands. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { commandOf, inOneFile, type Start } from "../src/base/invocation.ts";
import { task } from "./program.ts";
import { inFolder } from "./support.ts";

const root = new URL("../", import.meta.url);

Deno.test("commandOf() names the task of a clone, and the binary where that was started", () => {
  const clone: Start = {
    standalone: false,
    module: new URL("src/base/invocation.ts", root).href,
    os: "linux",
  };
  const cases: [start: Start, command: string][] = [
    [clone, "./denow task data mnist"],
    [{ ...clone, os: "windows" }, ".\\denow task data mnist"],
    [{ ...clone, standalone: true }, "mirage data mnist"],
    [{ ...clone, module: "file:///home/x/.cache/mirage/0123/mirage.js" }, "mirage data mnist"],
  ];
  for (const [start, command] of cases) {
    assert.equal(commandOf("data mnist", start), command);
    assert.equal(inOneFile(start), command.startsWith("mirage "));
  }
  assert.equal(Deno.build.standalone, false);
});

Deno.test("`data` says how to have what is missing by a command that the project has", () =>
  inFolder(async (cwd) => {
    const { code, stdout } = await task("data", ["--data-path", "none"], { cwd });
    assert.equal(code, 0);
    const [, program = "", command = ""] =
      /^Run (\S+) task (\S+) mnist notmnist, or \S+ task data cifar10 svhn/m.exec(stdout) ?? [];
    assert.ok((await Deno.stat(new URL(program, root))).isFile);
    const config = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
    assert.ok(command in config.tasks);
  }));

Deno.test("no sentence, header or document starts Deno by a name that a fresh machine has not", async () => {
  const walk = async (folder: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
      const path = join(folder, name);
      if (isDirectory) await walk(`${path}/`);
      if (!/\.(ts|md)$/.test(name)) continue;
      const text = await Deno.readTextFile(new URL(path, root));
      assert.doesNotMatch(text, /(^|["` ])deno (task [a-z]|run -)/m, `${dirname(path)}: ${name}`);
    }
  };
  for (const folder of ["src/", "data/", "docs/", "examples/", "scripts/"]) await walk(folder);
  const readme = await Deno.readTextFile(new URL("README.md", root));
  assert.doesNotMatch(readme, /(^|["` ])deno (task|run) /m);
});
