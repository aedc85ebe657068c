/** Runs that are told to stop, or lose their readers: the folder is free at once, and the work goes on. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { startTask, task } from "./program.ts";
import { inFolder } from "./support.ts";

const endless = "--mode baseline --limit 32 --epochs 100000 --save-path models".split(" ");

/** Starts a command, sends it a signal when it has said something or left a file, and returns how it ended. */
async function stopped(
  folder: string,
  when: RegExp | { readonly file: RegExp },
  signal: Deno.Signal,
  [name, ...args]: readonly [string, ...string[]] = ["train", ...endless],
): Promise<{ readonly code: number; readonly stderr: string }> {
  using watcher = Deno.watchFs(folder);
  const child = startTask(name, args, { cwd: folder });
  let stderr = "";
  const listening = (async () => {
    for await (const piece of child.stderr.pipeThrough(new TextDecoderStream())) {
      stderr += piece;
      if (when instanceof RegExp && when.test(stderr)) {
        when = /^$/;
        child.kill(signal);
      }
    }
  })();
  if (!(when instanceof RegExp)) {
    const { file } = when;
    for await (const { paths } of watcher) {
      if (paths.some((path) => file.test(path))) break;
    }
    child.kill(signal);
  }
  await Promise.all([listening, child.stdout.cancel()]);
  return { code: (await child.status).code, stderr };
}

async function* filesIn(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* filesIn(join(folder, name));
    else yield join(folder, name);
  }
}

for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const) {
  Deno.test({
    name:
      `${signal} ends a training with exit code ${code} and a sentence, and the same command goes on`,
    ignore: Deno.build.os === "windows",
    fn: () =>
      inFolder(async (folder) => {
        const first = await stopped(folder, { file: /last\.safetensors$/ }, signal);
        assert.equal(first.code, code, first.stderr);
        assert.match(
          first.stderr,
          /\nStopped; the same command goes on from the last finished epoch\n$/,
        );
        for await (const path of filesIn(folder)) {
          assert.ok(!path.endsWith(".part"), path);
          if (path.endsWith(".lock")) assert.equal(await Deno.readTextFile(path), "");
          if (!path.endsWith("log.jsonl")) continue;
          assert.match(await Deno.readTextFile(path), /\{"event":"stop",[^\n]*\}\n$/);
        }
        const second = await stopped(folder, /Resuming after epoch \d+ of 100000/, "SIGTERM");
        assert.equal(second.code, 143, second.stderr);
        assert.doesNotMatch(second.stderr, /Taking over/);
      }),
  });
}

Deno.test({
  name:
    "a run that is stopped says what there is to go on from: nothing, what it trained, or attacks",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (folder) => {
      const attack: readonly [string, ...string[]] = [
        "attack",
        ..."--mode baseline --attack pgd --steps 40 --batch-size 40 --save-path models".split(" "),
      ];
      const attacking = /attack [^\n]*\d% \| /;
      const early = await stopped(folder, /There is no/, "SIGINT", [...attack, "--epochs", "99"]);
      const nothing =
        /\nStopped; there is nothing to go on from yet: the same command begins anew\n$/;
      assert.match(early.stderr, nothing);
      const trained = await stopped(folder, attacking, "SIGINT", [...attack, "--epochs", "1"]);
      assert.match(
        trained.stderr,
        /\nStopped; what was trained is kept: the same command goes on with it\n$/,
      );
      let best = "";
      for await (const path of filesIn(folder)) {
        if (path.endsWith("best.safetensors")) best = path;
      }
      const given = await stopped(folder, attacking, "SIGINT", [...attack, "--checkpoint", best]);
      assert.equal(given.code, 130);
      assert.match(given.stderr, nothing);
      // What stands there is the log of a run that is told to be unfinished, and no more.
      const { stdout } = await task("runs", ["--save-path", "models", "--json"], { cwd: folder });
      const runs: { readonly folder: string; readonly state: string }[] = JSON.parse(stdout).runs;
      assert.deepEqual(runs.map(({ state }) => state), ["unfinished", "unfinished"]);
      for (const { folder: run } of runs) {
        const names = [...Deno.readDirSync(join(folder, run))].map(({ name }) => name).sort();
        assert.deepEqual(names, [".lock", "log.jsonl", "run.json"]);
      }
      const member = { file: /members\/[^/]*-0\.safetensors$/ };
      const battery = "--mode baseline --battery fast --batch-size 40 --save-path models";
      const some = await stopped(folder, member, "SIGINT", [
        "attack",
        ...battery.split(" "),
        "--checkpoint",
        best,
      ]);
      assert.match(
        some.stderr,
        /\nStopped; the finished attacks are kept: the same command goes on with the next\n$/,
      );
    }),
});

Deno.test({
  name: "a reader that goes away, on stdout or stderr, costs a training nothing",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (folder) => {
      const config = decodeURIComponent(new URL("../deno.json", import.meta.url).pathname);
      const args = "train --mode baseline --limit 32 --epochs 40 --save-path models";
      const { code } = await new Deno.Command("bash", {
        args: [
          "-c",
          `'${Deno.execPath()}' task --quiet --config '${config}' ${args} 2>&1 | head -1; ` +
          "exit ${PIPESTATUS[0]}",
        ],
        stdin: "null",
        stdout: "null",
        env: { INIT_CWD: folder, NO_COLOR: "1" },
        cwd: folder,
      }).output();
      assert.equal(code, 0);
      const runs = await task("runs", ["--save-path", "models", "--json"], { cwd: folder });
      assert.match(runs.stdout, /"state": "finished"/);
    }),
});
