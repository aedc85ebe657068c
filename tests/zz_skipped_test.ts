/** The file that a run starts last, by its name: says which tests were skipped for want of files or drivers. */
import { skipped } from "./shared.ts";

Deno.test("tests that are skipped for want of files or drivers are named at the end", async () => {
  const here = new URL(".", import.meta.url);
  const { test } = Deno;
  // Each file runs in an isolate of its own. Loaded here again, it names its tests and registers none.
  Object.assign(Deno, { test: () => {} });
  try {
    const names = Array.from(Deno.readDirSync(here), ({ name }) => name).toSorted();
    for (const name of names.filter((n) => n.endsWith("_test.ts"))) {
      const file = new URL(name, here);
      if (/^ *testWith(Shared|SecondDriver|Slurm)\(/m.test(await Deno.readTextFile(file))) {
        await import(file.href);
      }
    }
  } finally {
    Object.assign(Deno, { test });
  }
  if (skipped.length === 0) return;
  console.log(
    [`${skipped.length} tests are skipped, for what they need is not there:`, ...skipped]
      .join("\n  "),
  );
});
