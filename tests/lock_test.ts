/** One process at a time in a folder. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { UserError } from "../src/base/errors.ts";
import { duration, hold, isHeld, lockName } from "../src/base/lock.ts";
import { inFolder } from "./support.ts";

Deno.test("a folder that is held is refused to others, with owner and age, until it is given back", () =>
  inFolder(async (folder) => {
    const notes: string[] = [];
    const note = (text: string): void => void notes.push(text);
    assert.equal(await isHeld(folder), false);
    {
      await using _ = await hold(folder, note);
      assert.equal(await isHeld(folder), true);
      await assert.rejects(hold(folder, note), (error) => {
        assert.ok(error instanceof UserError);
        const owner = new RegExp(`process ${Deno.pid} has been working there for \\d+ s; wait`);
        assert.match(error.message, owner);
        return true;
      });
    }
    assert.equal(await isHeld(folder), false);
    await using _ = await hold(folder, note);
    assert.deepEqual(notes, []);
  }));

Deno.test("a lock whose process was killed is taken over, with its owner and age", () =>
  inFolder(async (folder) => {
    const lock = new URL("../src/base/lock.ts", import.meta.url).href;
    const holder = new Deno.Command(Deno.execPath(), {
      args: [
        "eval",
        `import { hold } from "${lock}";
        await hold(${JSON.stringify(folder)}, () => {});
        console.log("held");
        setInterval(() => {}, 1000);`,
      ],
      stdout: "piped",
    }).spawn();
    const reader = holder.stdout.getReader();
    await reader.read();
    assert.equal(await isHeld(folder), true);
    await assert.rejects(
      hold(folder, () => {}),
      new RegExp(`process ${holder.pid} has been working`),
    );
    holder.kill("SIGKILL");
    await holder.status;
    await reader.cancel();
    const notes: string[] = [];
    await using _ = await hold(folder, (text) => void notes.push(text));
    assert.equal(notes.length, 1);
    assert.match(
      notes[0] ?? "",
      new RegExp(
        `^Taking over ".*" from process ${holder.pid}, which began \\d+ s ago and has ended`,
      ),
    );
  }));

Deno.test("of many that take a folder at once just one has it, cut-off owners included", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, lockName), '{"pid": 1');
    const taken = await Promise.allSettled(
      Array.from({ length: 12 }, () => hold(folder, () => {})),
    );
    const held = taken.filter((result) => result.status === "fulfilled");
    assert.equal(held.length, 1);
    for (const { value } of held) await value[Symbol.asyncDispose]();
  }));

Deno.test("who takes a folder finds nothing half-written in it", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, ".model.safetensors.1234.part"), "half a mod");
    await Deno.writeTextFile(join(folder, "model.safetensors"), "a model");
    {
      await using _ = await hold(folder, () => {});
    }
    const left = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assert.deepEqual(left, [lockName, "model.safetensors"]);
  }));

Deno.test("`duration()` speaks of seconds, minutes, hours and days", () => {
  assert.deepEqual(
    [0, 119_000, 600_000, 7_200_000, 864_000_000].map(duration),
    ["0 s", "119 s", "10 min", "2 h", "10 days"],
  );
});

Deno.test("a lock that is a link, a pipe or a folder is refused, and what it leads to stays", () =>
  inFolder(async (folder) => {
    const precious = join(folder, "precious");
    await Deno.writeTextFile(precious, "not ours");
    const lock = join(folder, "run", lockName);
    const kinds: Readonly<Record<string, () => Promise<unknown>>> = {
      link: () => Deno.symlink(precious, lock),
      dangling: () => Deno.symlink(join(folder, "nothing"), lock),
      pipe: () => new Deno.Command("sh", { args: ["-c", `mkfifo "${lock}"`] }).output(),
      folder: () => Deno.mkdir(lock),
    };
    await Deno.mkdir(join(folder, "run"));
    for (const [kind, make] of Object.entries(kinds)) {
      await make();
      const run = join(folder, "run");
      for (const attempt of [() => hold(run, () => {}), () => isHeld(run)]) {
        await assert.rejects(attempt(), (error) => {
          assert.ok(error instanceof UserError, kind);
          assert.match(
            error.message,
            /^Cannot work in ".*run": its \.lock is no regular file; remove it$/,
          );
          return true;
        });
      }
      await Deno.remove(lock);
    }
    assert.equal(await Deno.readTextFile(precious), "not ours");
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), [
      "precious",
      "run",
    ]);
  }));
