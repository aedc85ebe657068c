/** Every public name says what it is: `deno doc --lint` finds nothing. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

Deno.test("every public name has a doc comment, and refers to public types alone", async () => {
  assert.deepEqual(await findings("mod.ts", "src/nn/mod.ts"), []);
});

Deno.test("a public name without a comment is found", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = join(folder, "bare.ts");
    await Deno.writeTextFile(path, "export const bare: number = 1;\n");
    const [finding, ...others] = await findings(path);
    assert.match(finding ?? "", /missing-jsdoc/);
    assert.deepEqual(others, []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** What `deno doc --lint` says of modules, one finding each. */
async function findings(...modules: string[]): Promise<string[]> {
  const { stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--lint", ...modules],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  return new TextDecoder().decode(stderr).match(/^error\[[^]*?^ *\d+ \|[^\n]*/gm) ?? [];
}
