/** What reaches the top becomes one sentence of bounded length, with the exit code of whose fault it is. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { failure } from "../src/cli/failure.ts";
import { digestOf } from "../src/base/digest.ts";
import { UserError } from "../src/base/errors.ts";
import { attackResultSchema } from "../src/experiment/documents.ts";
import { sha256 } from "../src/base/digest.ts";
import { task } from "./program.ts";
import { inFolder } from "./support.ts";

Deno.test("a schema's complaint, or a text of any length, is one line of bounded length", () => {
  const complaint = attackResultSchema.safeParse({}).error ?? assert.fail();
  assert.equal(failure(new UserError("x".repeat(10_000))).message.length, 599);
  for (const error of [complaint, new Error("x\ny ".repeat(10_000)), "\u001b[31m".repeat(1000)]) {
    const { message, code } = failure(error);
    assert.equal(code, 70);
    assert.ok(
      message.length < 600 && !message.includes("\n") && !message.includes("\u001b"),
      message,
    );
  }
});

Deno.test("places that cannot be are told with exit code 1, before anything is computed", () =>
  inFolder(async (cwd) => {
    await Deno.symlink(join(cwd, "loop"), join(cwd, "loop"));
    const long = "x".repeat(300);
    const mistakes: readonly (readonly string[])[] = [
      ["attack", "--checkpoint", long],
      ["attack", "--checkpoint", "loop"],
      ["attack", "--checkpoint", "/dev/zero"],
      ["attack", "--checkpoint", "/proc/cpuinfo"],
      ["attack", "--config", long],
      ["attack", "--config", "loop"],
      ["attack", "--out", long],
      ["attack", "--out", "/proc/x"],
      ["attack", "--out", "/dev/full"],
      ["attack", "--out", "/dev/stdout"],
      ["attack", "--out", "loop"],
      ["attack", "--data-path", long],
      ["attack", "--data-path", "loop"],
      ["attack", "--data-path", "/proc"],
      ["train", "--epochs", "1", "--limit", "20", "--save-path", long],
      ["train", "--epochs", "1", "--limit", "20", "--save-path", "loop"],
      ["train", "--epochs", "1", "--limit", "20", "--save-path", "/proc/x"],
      ["verify", long],
      ["verify", "loop"],
      ["report", long],
      ["report", "loop"],
      ["report", "run", "--out", long],
      ["report", "run", "--out", "loop"],
      ["report", "run", "--out", "/dev/full"],
      ["runs", "--save-path", long],
      ["runs", "--save-path", "loop"],
      ["runs", "--save-path", "/proc"],
      ["runs", "--save-path", "file"],
    ];
    await Deno.writeTextFile(join(cwd, "file"), "a file, where a folder should be");
    for (const [name = "", ...args] of mistakes) {
      const { code, stdout, stderr } = await task(name, args, { cwd });
      const shown = `${name} ${args.join(" ").slice(0, 60)}: ${stderr}`;
      assert.equal(code, 1, shown);
      assert.equal(stdout, "", shown);
      const last = stderr.trimEnd().split("\n").at(-1) ?? "";
      assert.match(last, /^Cannot [^]+: [^]+; [^]+[^.]$/, shown);
      assert.ok(last.length <= 600, shown);
      assert.equal(stderr, `${last}\n`, shown);
      if (/\/(proc|dev\/(full|stdout))/.test(args.join())) {
        assert.match(last, /Deno keeps the system's own files back; (copy it|name a f)/, shown);
      }
    }
  }));

/** A `run.json` with something in it that cannot be, and that does not contradict itself. */
function damaged(
  { command = "attack", config = { mode: "sngp" }, identity = { data: {} }, ...changed }: {
    readonly command?: unknown;
    readonly config?: object;
    readonly identity?: object;
    readonly checkpoints?: string;
    readonly files?: readonly object[];
  },
): string {
  // What JSON can say and `stringify()` does not: more than the largest number.
  const text = (value: unknown): string => JSON.stringify(value).replaceAll('"beyond"', "1e999");
  const options = { trainBatchSize: 256, trainingLimit: null, ...config };
  const whole = { options, versions: {}, ...identity };
  return text({
    schema: "mirage/run@2",
    command,
    config,
    identity: whole,
    digest: digestOf(JSON.parse(text({ command, ...whole }))),
    checkpoints: [],
    files: [],
    started: "2026-01-01T00:00:00.000Z",
    adapter: {},
    versions: {},
    ...changed,
  });
}

const runs: Readonly<Record<string, readonly [text: string, message: RegExp]>> = {
  "no JSON": ["[".repeat(100_000), /it is no JSON; make the run again$/],
  "null": ["null", /make the run again$/],
  "a number beyond": [damaged({ config: { mode: "sngp", lr: "beyond" } }), /lr = Infinity/],
  "a number as mode": [damaged({ config: { mode: 5 } }), /mode = 5/],
  "a long mode": [damaged({ config: { mode: "x".repeat(5000) } }), /mode = x+\.\.\.x+: /],
  "a long key": [damaged({ config: { mode: "sngp", ["x".repeat(5000)]: 1 } }), /x\.\.\.x/],
  "a number as command": [damaged({ command: 7 }), /command: /],
  "a text as checkpoints": [damaged({ checkpoints: "a" }), /checkpoints: /],
  "data of a count beyond": [
    damaged({ identity: { data: { test: { name: "a", count: "beyond", sha256: "a" } } } }),
    /does not say which data the run used; make the run again$/,
  ],
  "a path that none can be": [
    damaged({ config: { mode: "sngp", dataPath: "a\0b" } }),
    /its name holds a NUL character; name another$/,
  ],
};

Deno.test("a damaged run.json or metrics.json is told in one bounded line, with exit code 1", () =>
  inFolder(async (cwd) => {
    const wrong = async (name: string, args: string[], message: RegExp): Promise<void> => {
      const { code, stdout, stderr } = await task(name, args, { cwd });
      assert.deepEqual([code, stdout], [1, ""], stderr);
      assert.match(stderr, /^Cannot [^\n]+[^\n.]\n$/);
      assert.match(stderr.trimEnd(), message);
      assert.ok(stderr.length <= 601, stderr);
    };
    for (const [what, [text, message]] of Object.entries(runs)) {
      await Deno.writeTextFile(join(cwd, what), text);
      await wrong("attack", ["--config", what], message);
    }
    await Deno.mkdir(join(cwd, "run"));
    for (const figures of ['{"mode": 1e999}', "[]", "{", '{"mode": {"a": [1]}}']) {
      const files = [{ name: "metrics.json", sha256: sha256(figures) }];
      await Deno.writeTextFile(join(cwd, "run", "run.json"), damaged({ command: "train", files }));
      await Deno.writeTextFile(join(cwd, "run", "metrics.json"), figures);
      await wrong("report", ["run"], /^Cannot (read|report on) "run/);
    }
  }));
