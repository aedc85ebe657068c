/** One process at a time in a folder. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { UserError } from "../src/errors.ts";
import { duration, hold, holderOf, lockName } from "../src/lock.ts";
import { inFolder } from "./support.ts";

Deno.test("a folder that is held is refused to others, with owner and age, until it is given back", () =>
  inFolder(async (folder) => {
    const notes: string[] = [];
    const note = (text: string): void => void notes.push(text);
    {
      await using _ = await hold(folder, note);
      const holder = await holderOf(folder);
      assert.equal(holder?.pid, Deno.pid);
      assert.equal(holder.gone, false);
      await assert.rejects(hold(folder, note), (error) => {
        assert.ok(error instanceof UserError);
        assert.match(
          error.message,
          new RegExp(`process ${Deno.pid} has been working there for \\d+ s`),
        );
        return true;
      });
    }
    assert.equal(await holderOf(folder), undefined);
    await using _ = await hold(folder, note);
    assert.deepEqual(notes, []);
  }));

Deno.test("a lock whose process has ended, is long silent or was cut off is taken over, with a message", () =>
  inFolder(async (folder) => {
    const path = join(folder, lockName);
    const child = new Deno.Command(Deno.execPath(), { args: ["--version"], stdout: "null" })
      .spawn();
    await child.status;
    const system = (await Deno.readTextFile("/proc/sys/kernel/random/boot_id").catch(() => ""))
      .trim();
    const owner = { token: "t", pid: child.pid, system, since: "2026-01-01T00:00:00.000Z" };
    const old = new Date(Date.now() - 3_600_000);
    const left: [string, Date | undefined][] = [
      [JSON.stringify({ ...owner, system: "another machine" }), old],
      ['{"pid": 1', old],
    ];
    if (system !== "") left.push([JSON.stringify(owner), undefined]);
    for (const [content, time] of left) {
      await Deno.writeTextFile(path, content);
      if (time) await Deno.utime(path, time, time);
      const notes: string[] = [];
      await using _ = await hold(folder, (text) => void notes.push(text));
      assert.match(notes.join(), /^Taking over .*last seen /);
    }
    // Of another machine nothing is known but that it was heard of just now.
    await Deno.writeTextFile(path, JSON.stringify({ ...owner, system: "another machine" }));
    await assert.rejects(hold(folder, () => {}), /has been working there for \d+ days/);
  }));

Deno.test("who takes a folder finds nothing half-written in it", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(join(folder, ".model.safetensors.1234.part"), "half a mod");
    await Deno.writeTextFile(join(folder, "model.safetensors"), "a model");
    {
      await using _ = await hold(folder, () => {});
    }
    assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["model.safetensors"]);
  }));

Deno.test("`duration()` speaks of seconds, minutes, hours and days", () => {
  assert.deepEqual(
    [0, 119_000, 600_000, 7_200_000, 864_000_000].map(duration),
    ["0 s", "119 s", "10 min", "2 h", "10 days"],
  );
});
