/** Every public name says what it is: `deno doc --lint` finds nothing but types that follow from schemas. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

Deno.test("every public name has a doc comment, and refers to public types alone", async () => {
  const { stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--lint", "mod.ts", "src/nn/mod.ts"],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  const findings = new TextDecoder().decode(stderr).match(/^error\[[^]*?^ *\d+ \|[^\n]*/gm) ?? [];
  // A schema's type is inferred from it, and what it describes from that.
  const inferred =
    /^error\[private-type-ref\].* private type '(output|input|\w+Schema)'|^error\[missing-explicit-type\][^]*export const \w+Schema = /;
  assert.deepEqual(findings.filter((finding) => !inferred.test(finding)), []);
  assert.ok(findings.length > 0, "the schemas are found, so that other findings would be");
});
