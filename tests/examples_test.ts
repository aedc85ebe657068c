/** The examples run as they stand, and are short; those that are modules run in `own_modules_test.ts`. */
import assert from "node:assert/strict";
import { taskLine } from "./program.ts";
import { inFolder } from "./support.ts";

/** What an experiment may do: as its task. */
const permissions = taskLine("attack").split(" ").filter((word) => word.startsWith("--"));

const folder = new URL("../examples/", import.meta.url);

for await (const { name } of Deno.readDir(folder)) {
  Deno.test(`examples/${name} runs, in under 60 lines`, async () => {
    const path = decodeURIComponent(new URL(name, folder).pathname);
    const text = await Deno.readTextFile(path);
    assert.ok(text.split("\n").length < 60);
    if (/^export default /m.test(text)) return assert.match(text, /denow task attack .*examples/);
    await inFolder(async (cwd) => {
      const config = decodeURIComponent(new URL("../deno.json", import.meta.url).pathname);
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--config", config, ...permissions, path, "--quick"],
        cwd,
        stdin: "null",
      }).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      assert.match(new TextDecoder().decode(stdout), /\d\.\d\d/);
    });
  });
}
