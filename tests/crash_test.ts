/** Runs that are killed, or find the disk full or read-only: nothing is lost, nothing half-written. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { trainResultSchema } from "../src/results.ts";
import { Random } from "../src/nn/random.ts";
import { inFolder } from "./support.ts";

const main = decodeURIComponent(new URL("../main.ts", import.meta.url).pathname);
const config = decodeURIComponent(new URL("../deno.json", import.meta.url).pathname);

function spawn(args: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "--config", config, "-A", main, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
}

async function mirage(
  args: readonly string[],
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await spawn(args).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

/** Files that say when, not what. */
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

Deno.test("a training that is killed at 20 random moments ends as one that was left alone", () =>
  inFolder(async (folder) => {
    const [alone, killed] = ["alone", "killed"].map((name) => join(folder, name));
    const args = (
      savePath = "",
    ): string[] => ["train", "--limit", "800", "--epochs", "12", "--save-path", savePath, "--json"];
    const undisturbed = await mirage(args(alone));
    assert.equal(undisturbed.code, 0, undisturbed.stderr);
    const [moments, seconds] = [
      new Random(20).uniform(20),
      Object.values(
        trainResultSchema.parse(JSON.parse(undisturbed.stdout)).seconds,
      ).reduce((a, b) => a + b, 0.4),
    ];
    let stopped = 0;
    for (const moment of moments) {
      const child = spawn(args(killed));
      const timer = setTimeout(() => child.kill("SIGKILL"), 300 + 1000 * seconds * 0.6 * moment);
      const { signal, stderr } = await child.output();
      clearTimeout(timer);
      if (signal === "SIGKILL") stopped++;
      else assert.equal(new TextDecoder().decode(stderr).includes("Cannot"), false);
    }
    assert.ok(stopped >= 10, `only ${stopped} were stopped`);
    const last = await mirage(args(killed));
    assert.equal(last.code, 0, last.stderr);
    const [want, got] = [await filesOf(alone ?? ""), await filesOf(killed ?? "")];
    const names = (files: Map<string, string>): string[] => [...files.keys()].sort();
    assert.deepEqual(names(got), names(want));
    for (const [name, bytes] of want) {
      // Checkpoints hold how fast the epochs were; their arrays are compared by the figures and the digest.
      if (!name.endsWith("safetensors")) assert.ok(got.get(name) === bytes, name);
    }
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

Deno.test("a full disk ends a run with a sentence, and the run goes on when there is room", async (t) => {
  const tried = await withSmallDisk(async (folder, remount) => {
    const args = ["--mode", "baseline", "--limit", "64", "--epochs", "2", "--save-path", folder];
    await Deno.writeFile(join(folder, "ballast"), new Uint8Array(1_200_000));
    const full = await mirage(["train", ...args]);
    assert.equal(full.code, 1, full.stderr);
    assert.match(full.stderr, /Cannot write ".*": the disk is full; free some space/);
    assert.ok([...(await filesOf(folder)).keys()].every((name) => !name.endsWith(".part")));
    await Deno.remove(join(folder, "ballast"));
    const again = await mirage(["train", ...args]);
    assert.equal(again.code, 0, again.stderr);

    await remount("ro");
    const readOnly = await mirage(["attack", ...args]);
    assert.equal(readOnly.code, 1);
    assert.match(readOnly.stderr, /Cannot write ".*": .*read-only/i);
  });
  if (!tried) {
    await t.step({ name: "needs the right to mount a file system", ignore: true, fn: () => {} });
  }
});

Deno.test("two processes that make the same run at once: one makes it, the other says why not", () =>
  inFolder(async (folder) => {
    const args = ["train", "--limit", "800", "--epochs", "10", "--save-path", folder, "--json"];
    const ended = await Promise.all([mirage(args), mirage(args)]);
    const [good, refused] = ended.sort((a, b) => a.code - b.code);
    assert.equal(good?.code, 0, good?.stderr);
    assert.equal(refused?.code, 1, refused?.stderr);
    assert.match(refused?.stderr ?? "", /process \d+ has been working there for \d+ s/);
  }));
