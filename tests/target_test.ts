/** Documents and pages take the place of nothing but earlier ones: neither inputs nor a run's own files. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { checkTarget, type TargetKind } from "../src/cli/target.ts";
import { UserError } from "../src/base/errors.ts";
import { page } from "../src/report/page.ts";
import { task } from "./program.ts";
import { inFolder } from "./support.ts";

const tiny = new URL("golden/tiny.checkpoint", import.meta.url);

/** A folder as a run leaves it, and things of a user's beside it. */
async function furnish(folder: string): Promise<void> {
  const run = join(folder, "run");
  await Deno.mkdir(join(run, "checkpoints"), { recursive: true });
  const files: Readonly<Record<string, string>> = {
    "run/run.json": '{"schema": "mirage/run@1"}',
    "run/metrics.json": '{"schema": "mirage/attack@4"}',
    "run/report.html": page("A run"),
    "earlier.json": '{"schema": "mirage/attack@3"}',
    "battery.json": '{"schema": "mirage/battery@1"}',
    "earlier.html": page("Runs"),
    "copied.json": '{"schema": "mirage/run@1"}',
    "other.json": '{"schema": "http://json-schema.org/schema#"}',
    "other.html": "<!DOCTYPE html>\n<title>Mine</title>",
    "empty": "",
    "m_3.checkpoint": "a model",
  };
  for (const [name, text] of Object.entries(files)) {
    await Deno.writeTextFile(join(folder, name), text);
  }
  await Deno.symlink(join(run, "run.json"), join(folder, "link.json"));
  await Deno.symlink(run, join(folder, "linked"));
  await Deno.symlink(join(folder, "earlier.json"), join(run, "log.jsonl"));
}

Deno.test("only what is free, empty or an earlier document or page is a target", () =>
  inFolder(async (folder) => {
    await furnish(folder);
    const free: readonly [TargetKind, string][] = [
      ["document", "new.json"],
      ["document", "empty"],
      ["document", "earlier.json"],
      ["document", "battery.json"],
      ["document", "run/mine.json"],
      ["page", "new.html"],
      ["page", "earlier.html"],
      ["page", "run/report.html"],
    ];
    for (const [kind, name] of free) await checkTarget(join(folder, name), kind);
    const taken: readonly [TargetKind, string, RegExp][] = [
      [
        "document",
        "other.json",
        /what stands there is no document of Mirage; name another file, or/,
      ],
      ["document", "copied.json", /no document of Mirage/],
      ["document", "m_3.checkpoint", /no document of Mirage/],
      ["document", "earlier.html", /no document of Mirage/],
      ["page", "other.html", /no page of Mirage/],
      ["page", "earlier.json", /no page of Mirage/],
      ["document", "link.json", /it is a file of the run in ".*run"; name another file$/],
      ["document", "linked/metrics.json", /a file of the run/],
      ...["run.json", "metrics.json", "log.jsonl", "x.safetensors", "report.html"].map((
        name,
      ): [TargetKind, string, RegExp] => ["document", join("run", name), /a file of the run in/]),
      ["document", ".lock", /it is its folder's lock/],
      ["page", "run/.lock", /it is its folder's lock/],
      ["document", "run/checkpoints/9.json", /a file of the run in/],
      ["page", "run/metrics.json", /a file of the run in/],
      ["page", "run/new.safetensors", /a file of the run in/],
    ];
    for (const [kind, name, message] of taken) {
      await assert.rejects(checkTarget(join(folder, name), kind), (error) => {
        assert.ok(error instanceof UserError);
        assert.match(error.message, message, name);
        return true;
      });
    }
  }));

Deno.test("an input is no target, whatever it holds, through links and patterns too", () =>
  inFolder(async (folder) => {
    await furnish(folder);
    const at = (name: string): string => join(folder, name);
    const pairs: readonly [input: string, out: string][] = [
      ["earlier.json", "earlier.json"],
      ["run/log.jsonl", "earlier.json"],
      ["m_{seed}.checkpoint", "m_3.checkpoint"],
      ["m_{seed}.checkpoint", "m_4.checkpoint"],
    ];
    for (const [input, out] of pairs) {
      await assert.rejects(
        checkTarget(at(out), "document", [at(input)]),
        /^UserError: Cannot write ".*": the command reads it; name another file$/,
      );
    }
  }));

Deno.test("the command line refuses such targets before it computes, and leaves them as they are", () =>
  inFolder(async (folder) => {
    await furnish(folder);
    await Deno.copyFile(tiny, join(folder, "m.checkpoint"));
    const before = await Deno.readFile(join(folder, "m.checkpoint"));
    const commands: readonly (readonly string[])[] = [
      ["attack", "--checkpoint", "m.checkpoint", "--out", "m.checkpoint"],
      ["attack", "--config", "copied.json", "--out", "copied.json"],
      ["eval", "--out", "m.checkpoint"],
      ["train", "--out", "run/run.json"],
      ["table", "mnist", "--out", "other.json"],
      ["report", "run", "--out", "run/run.json"],
      ["report", "run", "--out", "other.html"],
    ];
    for (const [name = "", ...args] of commands) {
      const { code, stdout, stderr } = await task(name, args, { cwd: folder });
      assert.deepEqual([code, stdout], [1, ""], stderr);
      assert.match(stderr, /^Cannot write "[^\n]+; name another file(, or remove it)?\n$/);
    }
    // The page that compares several has a place by itself, which may be somebody's.
    await Deno.writeTextFile(join(folder, "report.html"), "mine");
    const { stderr } = await task("report", ["run", "earlier"], { cwd: folder });
    assert.match(stderr, /^Cannot write "report.html": what stands there is no page of Mirage/);
    assert.deepEqual(await Deno.readFile(join(folder, "m.checkpoint")), before);
    assert.equal(await Deno.readTextFile(join(folder, "report.html")), "mine");
    assert.match(await Deno.readTextFile(join(folder, "run/run.json")), /run@1/);
  }));
