/** Runs that are killed, or find the disk full or read-only: nothing is lost, nothing half-written. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { attackResultSchema } from "../src/experiment/documents.ts";
import { Random } from "../src/nn/graph/random.ts";
import { ended, type Outcome, startTask, task } from "./program.ts";
import { inFolder } from "./support.ts";

/** Files that say when and where, not what. */
const circumstances = ["log.jsonl", "run.json", "report.html"];

/** Every other file below a folder, with its bytes. */
async function filesOf(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) (await filesOf(path)).forEach((v, k) => found.set(join(name, k), v));
    else if (!circumstances.includes(name)) {
      found.set(name, (await Deno.readFile(path)).toBase64());
    }
  }
  return found;
}

/** Kills a training when it has touched its checkpoints so often; how it ended. */
async function killedAfter(
  events: number,
  folder: string,
  args: readonly string[],
): Promise<Outcome> {
  using watcher = Deno.watchFs(folder);
  const child = startTask("train", args, { cwd: folder });
  // The end is an event too: a training that ends by itself is no longer waited for.
  const outcome = ended(child).then(async (outcome) => {
    await Deno.writeTextFile(join(folder, "over"), "");
    return outcome;
  });
  let seen = 0;
  let over = false;
  for await (const { kind, paths } of watcher) {
    over = paths.some((path) => path.endsWith("over"));
    const writes = kind !== "access" && paths.some((path) => path.includes("safetensors"));
    if (over || (writes && ++seen === events)) break;
  }
  if (!over) child.kill("SIGKILL");
  return await outcome;
}

Deno.test("a training that is killed at 20 moments of its writing ends as one that was left alone", () =>
  inFolder(async (folder) => {
    const [alone, killed] = ["alone", "killed"].map((name) => join(folder, name));
    assert.ok(alone && killed);
    const args = "--mode baseline --limit 32 --epochs 600 --save-path models --json".split(" ");
    for (const path of [alone, killed]) await Deno.mkdir(path);
    const undisturbed = await task("train", args, { cwd: alone });
    assert.equal(undisturbed.code, 0, undisturbed.stderr);
    for (const moment of new Random(20).uniform(20)) {
      const { signal, stderr } = await killedAfter(1 + Math.floor(24 * moment), killed, args);
      assert.equal(signal, "SIGKILL", stderr);
      assert.ok(!stderr.includes("Cannot"), stderr);
      await Deno.remove(join(killed, "over"));
    }
    const last = await task("train", args, { cwd: killed });
    assert.equal(last.code, 0, last.stderr);
    assert.match(last.stderr, /^Taking over /m);
    const [want, got] = [await filesOf(alone), await filesOf(killed)];
    assert.deepEqual([...got.keys()].sort(), [...want.keys()].sort());
    for (const [name, bytes] of want) assert.ok(got.get(name) === bytes, name);
  }));

/** Mounts a small file system, where that is allowed. */
async function withSmallDisk(
  test: (folder: string, remount: (options: string) => Promise<void>) => Promise<void>,
): Promise<boolean> {
  const folder = await Deno.makeTempDir();
  const run = async (command: string, args: string[]): Promise<boolean> => {
    const ran = await new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output()
      .catch(() => undefined);
    return ran?.success ?? false;
  };
  const mounted = Deno.build.os === "linux" &&
    await run("mount", ["-t", "tmpfs", "-o", "size=1500k", "tmpfs", folder]);
  try {
    if (mounted) {
      await test(folder, async (options) => {
        assert.ok(await run("mount", ["-o", `remount,${options}`, folder]));
      });
    }
  } finally {
    if (mounted) await run("umount", [folder]);
    await Deno.remove(folder);
  }
  return mounted;
}

/** Fills a disk but for so many bytes. */
async function fill(folder: string, room: number): Promise<void> {
  using file = await Deno.open(join(folder, "ballast"), { write: true, create: true });
  const block = new Uint8Array(4096);
  let size = 0;
  try {
    for (;; size += block.length) await file.write(block);
  } catch {
    await file.truncate(size - room);
  }
}

Deno.test("a full disk ends a run with a sentence, costs no figures, and the run goes on when there is room", async (t) => {
  const tried = await withSmallDisk(async (folder, remount) => {
    const args = ["--mode", "baseline", "--limit", "64", "--epochs", "2", "--save-path", folder];
    const surroundings = { cwd: folder };
    const ballast = join(folder, "ballast");
    await fill(folder, 150_000);
    const full = await task("train", args, surroundings);
    assert.equal(full.code, 1, full.stderr);
    assert.match(full.stderr, /Cannot write ".*": the disk is full; free some space/);
    assert.ok([...(await filesOf(folder)).keys()].every((name) => !name.endsWith(".part")));
    await Deno.remove(ballast);
    const again = await task("train", args, surroundings);
    assert.equal(again.code, 0, again.stderr);

    await fill(folder, 60_000);
    const attack = await task("attack", [...args, "--json"], surroundings);
    assert.equal(attack.code, 1, attack.stderr);
    assert.match(attack.stderr, /Cannot write ".*": the disk is full; free some space/);
    const printed = attackResultSchema.parse(JSON.parse(attack.stdout));
    await Deno.remove(ballast);
    const whole = await task("attack", [...args, "--json"], surroundings);
    assert.equal(whole.code, 0, whole.stderr);
    const { adversarial } = attackResultSchema.parse(JSON.parse(whole.stdout));
    assert.deepEqual(printed.adversarial, adversarial);

    await remount("ro");
    const readOnly = await task("attack", args, surroundings);
    assert.equal(readOnly.code, 1);
    assert.match(readOnly.stderr, /Cannot write ".*": .*read-only/i);
  });
  if (!tried) {
    await t.step({ name: "needs the right to mount a file system", ignore: true, fn: () => {} });
  }
});

Deno.test("two processes that make the same run at once: one makes it, the other says why not", () =>
  inFolder(async (folder) => {
    const args = ["--limit", "800", "--epochs", "10", "--json"];
    const both = [0, 1].map(() => task("train", args, { cwd: folder }));
    const [good, refused] = (await Promise.all(both)).sort((a, b) => a.code - b.code);
    assert.equal(good?.code, 0, good?.stderr);
    assert.equal(refused?.code, 1, refused?.stderr);
    assert.match(refused?.stderr ?? "", /process \d+ has been working there for \d+ s/);
  }));
