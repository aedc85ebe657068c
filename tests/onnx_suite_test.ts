/** Cases of ONNX's own suite, of every operator that there is a rule for, where the suite is installed. */
import assert from "node:assert/strict";
import { rules } from "../src/onnx/rules.ts";
import { runCase, suiteFolder, suiteParts } from "../scripts/onnx_cases.ts";

const isThere = await Deno.stat(suiteFolder).then(() => true, () => false);

/** Casts to and from bfloat16, whose arrays the suite keeps as whole numbers. */
const mislabelled = /BFLOAT16/;

Deno.test({
  name: `ONNX's own cases are right or refused in a sentence${
    isThere ? "" : " (skipped: Debian's libonnx-testdata is not installed)"
  }`,
  ignore: !isThere,
  async fn(): Promise<void> {
    const found = { right: 0, wrong: 0, unknown: 0, refused: 0 };
    const wrong: string[] = [];
    for (const part of suiteParts) {
      const folder = `${suiteFolder}/${part}`;
      const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
      // Every third: the task `suite` runs them all.
      for (const name of names.filter((name, i) => i % 3 === 0 && !mislabelled.test(name))) {
        const { state, why } = await runCase(folder, name);
        found[state]++;
        if (state === "wrong") wrong.push(`${name}: ${why}`);
        if (state === "refused") assert.match(why, /^Cannot [^\n]{10,400}$/);
      }
    }
    assert.deepEqual(wrong, []);
    assert.ok(found.right > 120, `${found.right} are right`);
  },
});

Deno.test("docs/import.md lists the operators that there is a rule for", async () => {
  const page = await Deno.readTextFile(new URL("../docs/import.md", import.meta.url));
  const [, listed = ""] = /<!-- operators -->\n(.*?)\n<!-- \/operators -->/s.exec(page) ?? [];
  assert.deepEqual(listed.split(/,\s+/), Object.keys(rules).sort());
});
