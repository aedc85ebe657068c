/** A project of a user's own imports Mirage by its path, as docs/extending.md says. */
import assert from "node:assert/strict";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { inFolder } from "./support.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

Deno.test("a project elsewhere imports Mirage by its path, with a deno.json of two lines", () =>
  inFolder(async (cwd) => {
    const page = await Deno.readTextFile(new URL("../docs/extending.md", import.meta.url));
    const [, config = ""] = /```json\n([^]*?)```/.exec(page) ?? [];
    const programs = Array.from(
      page.matchAll(/```ts ignore\n([^]*?)```/g),
      ([, text = ""]) => text,
    );
    const program = programs.find((text) => text.includes("../mirage/")) ?? assert.fail();
    const there = (text: string): string =>
      text.replaceAll("../mirage/", `${relative(cwd, root)}/`);
    await Deno.writeTextFile(`${cwd}/deno.json`, there(config));
    await Deno.writeTextFile(`${cwd}/attack.ts`, there(program));
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--allow-read", "--allow-write", "attack.ts"],
      cwd,
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    assert.match(new TextDecoder().decode(stdout), /mean entropy \d\.\d+ -> \d\.\d+ nats/);
  }));

Deno.test("the programs of docs/import.md that import what they use are of the right types", () =>
  inFolder(async (cwd) => {
    const page = await Deno.readTextFile(new URL("../docs/import.md", import.meta.url));
    const blocks = Array.from(
      page.matchAll(/^```ts ignore\n([^]*?)^```$/gm),
      ([, text = ""]) => text,
    );
    const whole = blocks.filter((text) => !/\blogits\b/.test(text) || text.includes("{ logits"));
    assert.ok(whole.length >= 2);
    const paths = whole.map((_, i) => `${cwd}/${i}.ts`);
    for (const [i, path] of paths.entries()) {
      const text = whole[i] ?? assert.fail();
      await Deno.writeTextFile(
        path,
        text.replace('"./mod.ts"', JSON.stringify(`${relative(cwd, root)}/mod.ts`)),
      );
    }
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--config", `${root}/deno.json`, ...paths],
      cwd,
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
  }));
