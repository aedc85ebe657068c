/** The tasks' permissions: none more than is written down, hosts and variables by name. */
import assert from "node:assert/strict";
import { hosts, permissions, schedulers } from "../scripts/binary.ts";

const root = new URL("../", import.meta.url);
const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root))) as {
  tasks: Record<string, string>;
};

const granted = (line: string): string[] =>
  line.split(" ").filter((word) => word.startsWith("--allow-"));

Deno.test("no task has every permission, or asks while it runs", () => {
  for (const [name, line] of Object.entries(tasks)) {
    assert.doesNotMatch(line, /--allow-all|(^| )-A( |$)|--allow-run( |$)|--allow-net( |$)/, name);
    if (name !== "ok") assert.match(line, /--no-prompt/, name);
  }
});

Deno.test("tasks that may load a module of the user's own import nothing from the network", () => {
  for (const name of ["attack", "verify", "sweep", "mirage"]) {
    assert.match(tasks[name] ?? "", / --no-remote /, name);
    assert.doesNotMatch(tasks[name] ?? "", /--allow-import/, name);
  }
});

Deno.test("commands have the permissions of the binaries, and `data` its hosts besides", () => {
  for (const name of ["attack", "train", "eval", "table"]) {
    assert.deepEqual(granted(tasks[name] ?? ""), [...permissions], name);
  }
  // Who holds no folder against other machines need not know what this one is called.
  const alone = permissions.filter((of) => !of.startsWith("--allow-sys"));
  for (const name of ["verify", "tune"]) {
    assert.deepEqual(granted(tasks[name] ?? ""), alone, name);
  }
  for (const name of ["runs", "doctor"]) {
    const readOnly = alone.filter((of) => of !== "--allow-write");
    assert.deepEqual(granted(tasks[name] ?? ""), readOnly, name);
  }
  for (const [name, base] of [["data", alone], ["mirage", permissions]] as const) {
    assert.deepEqual(granted(tasks[name] ?? ""), [...base, `--allow-net=${hosts.join(",")}`]);
  }
});

Deno.test("`sweep` may start itself, and its rows read a scheduler's numbers; both are told apart", () => {
  const numbered = permissions.map((of) =>
    of.startsWith("--allow-env") ? [of, ...schedulers].join(",") : of
  );
  assert.deepEqual(granted(tasks["sweep"] ?? ""), [...numbered, "--allow-run=deno"]);
});

Deno.test("every task stands in the table of permissions", async () => {
  const page = await Deno.readTextFile(new URL("docs/permissions.md", root));
  const rows = page.split("\n").filter((line) => line.startsWith("| "));
  const named = rows.flatMap((row) => (row.split("|")[1] ?? "").split(",").map((n) => n.trim()));
  for (const name of Object.keys(tasks)) {
    if (name !== "ok") assert.ok(named.includes(name), name);
  }
});
