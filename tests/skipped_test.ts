/** The note on skipped tests, in a project of two test files by subprocess. */
import assert from "node:assert/strict";
import { inFolder } from "./support.ts";

/** What `deno test` prints where the named reference files are there; passed, failed and ignored in its last line. */
async function run(folder: string, present: readonly string[]): Promise<string> {
  const tests = `${folder}/project/tests`;
  await Deno.mkdir(`${folder}/shared`, { recursive: true });
  await Deno.mkdir(tests, { recursive: true });
  for (const name of present) await Deno.writeTextFile(`${folder}/shared/${name}`, "");
  for (const name of ["shared.ts", "zz_skipped_test.ts"]) {
    await Deno.copyFile(new URL(name, import.meta.url), `${tests}/${name}`);
  }
  for (const name of ["a", "b"]) {
    await Deno.writeTextFile(
      `${tests}/${name}_test.ts`,
      `import { testWithShared } from "./shared.ts";
       Deno.test("plain ${name}", () => {});
       testWithShared("test ${name}", ["${name}.bin"], () => Promise.resolve());
       testWithShared("other ${name}", ["${name}.bin"], () => Promise.resolve());`,
    );
  }
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "test",
      "--parallel",
      "--no-config",
      "--no-check",
      "--no-prompt",
      `--allow-read=${folder}`,
    ],
    cwd: `${folder}/project`,
    env: { NO_COLOR: "1" },
  }).output();
  assert.equal(code, 0);
  return new TextDecoder().decode(stdout);
}

Deno.test("the last file of a run names every test that was skipped, with the file it needs", () =>
  inFolder(async (folder) => {
    const output = await run(folder, ["b.bin"]);
    assert.match(output, /^ok \| 5 passed \| 0 failed \| 2 ignored/m);
    const reason = "(skipped: ../shared/a.bin is not there)";
    const note = [
      "2 tests are skipped, for what they need is not there:",
      `  test a ${reason}`,
      `  other a ${reason}`,
    ];
    // In one piece, whatever else runs at that moment.
    assert.ok(output.includes(`${note.join("\n")}\n`), output);
    assert.ok(!output.includes("  test b"), output);
  }));

Deno.test("where every reference file is there, a run ends without such a note", () =>
  inFolder(async (folder) => {
    const output = await run(folder, ["a.bin", "b.bin"]);
    assert.match(output, /^ok \| 7 passed \| 0 failed/m);
    assert.doesNotMatch(output, /are skipped, for/);
  }));
