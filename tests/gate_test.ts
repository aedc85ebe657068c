/** The gate `.ci/run`, run by subprocess with a stub in place of the wrapper. */
import assert from "node:assert/strict";

interface Case {
  /** The last line of `deno task test`. */
  readonly line: string;
  /** The exit status of `deno task test`. */
  readonly status: number;
  /** Another stage that fails. */
  readonly broken?: "fmt" | "lint" | "check";
  /** The gate's closing line; it must exit with 0 only if nothing failed. */
  readonly closing: string;
}

const cases: readonly Case[] = [
  {
    line: "ok | 12 passed (3 steps) | 0 failed | 1 ignored (4s)",
    status: 0,
    closing: "12 passed, 0 failed",
  },
  { line: "FAILED | 3 passed | 2 failed (1s)", status: 1, closing: "3 passed, 2 failed" },
  {
    line: "\x1b[31mFAILED\x1b[0m | 3 passed | 2 failed (1s)",
    status: 1,
    closing: "3 passed, 2 failed",
  },
  {
    line: "ok | 12 passed | 0 failed (4s)",
    status: 0,
    broken: "lint",
    closing: "12 passed, 1 failed",
  },
  { line: "ok | 12 passed | 0 failed (4s)", status: 1, closing: "12 passed, 1 failed" },
  {
    line: "error: Type checking failed.",
    status: 1,
    broken: "check",
    closing: "0 passed, 2 failed",
  },
  { line: "ok | 0 passed | 0 failed (0ms)", status: 0, closing: "0 passed, 1 failed" },
];

async function checkGate({ line, status, broken, closing }: Case): Promise<void> {
  const root = await Deno.makeTempDir({ prefix: "my project " });
  try {
    await Deno.mkdir(`${root}/.ci`);
    await Deno.copyFile(new URL("../.ci/run", import.meta.url), `${root}/.ci/run`);
    await Deno.writeTextFile(
      `${root}/denow`,
      `echo "$*" >>calls
       case "$1" in "${broken ?? "none"}") exit 1 ;; task) echo "${line}"; exit ${status} ;; esac`,
    );
    const { code, stdout } = await new Deno.Command("bash", {
      args: [`${root}/.ci/run`],
      env: { CI: "true" },
    }).output();
    const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
    assert.equal(lines.at(-1), closing);
    assert.equal(code, closing.endsWith(" 0 failed") ? 0 : 1);
    const calls = await Deno.readTextFile(`${root}/calls`);
    assert.equal(calls, "fmt --check\nlint\ncheck\ntask test\n");
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

for (const entry of cases) {
  const { line, broken, status, closing } = entry;
  const stages = broken === undefined ? "" : `, with a failing ${broken}`;
  Deno.test({
    name: `\`.ci/run\` ends in "${closing}" after ${
      JSON.stringify(line)
    } and status ${status}${stages}`,
    ignore: Deno.build.os === "windows",
    fn: () => checkGate(entry),
  });
}
