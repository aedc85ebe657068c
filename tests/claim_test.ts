/** One process at a time in a folder, between machines: others are played by the files that they would leave. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { Claim, claimPrefix, hostName } from "../src/base/claim.ts";
import { UserError } from "../src/base/errors.ts";
import { hold, isHeld, lockName } from "../src/base/lock.ts";
import { inFolder } from "./support.ts";

const silent = (): void => {};

/** A claim as another process leaves it, not renewed for some seconds. */
async function claimOf(
  host: string | undefined,
  folder: string,
  seconds: number,
): Promise<string> {
  const path = join(folder, `${claimPrefix}${host ?? "unnamed"}`);
  const since = new Date(Date.now() - 1000 * seconds - 60_000).toISOString();
  await Deno.writeTextFile(path, JSON.stringify({ pid: 7, since, host }));
  const time = new Date(Date.now() - 1000 * seconds);
  await Deno.utime(path, time, time);
  return path;
}

function claimsIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => name.startsWith(claimPrefix)).sort();
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(() => undefined, (error) => error);
  assert.ok(error instanceof UserError, String(error));
  return error.message;
}

Deno.test("a folder that another machine claims is refused, with its name, until it is given back", () =>
  inFolder(async (folder) => {
    const other = await claimOf("node9", folder, 20);
    // The system's lock, which that machine keeps to itself.
    await Deno.writeTextFile(join(folder, lockName), "");
    assert.equal(await isHeld(folder), true);
    assert.match(
      await refusal(hold(folder, silent)),
      /^Cannot work in ".*": process 7 on node9 has been working there for 80 s; wait until/,
    );
    assert.deepEqual(claimsIn(folder), [`${claimPrefix}node9`]);
    await Deno.remove(other);
    await using _ = await hold(folder, silent);
    assert.equal(claimsIn(folder).length, 1);
  }));

Deno.test("a claim of another machine that was not renewed for five minutes is taken over", () =>
  inFolder(async (folder) => {
    await claimOf("node9", folder, 400);
    assert.equal(await isHeld(folder), false);
    await using _ = await hold(folder, silent);
    assert.ok(!claimsIn(folder).includes(`${claimPrefix}node9`));
  }));

Deno.test("a claim of this machine whose process has ended is taken over at once", () =>
  inFolder(async (folder) => {
    await claimOf(Deno.hostname(), folder, 0);
    await using _ = await hold(folder, silent);
    assert.equal(claimsIn(folder).length, 1);
  }));

for (const who of ["neither names its machine", "only the other does not"]) {
  const sys = who.startsWith("only");
  const permissions = { sys, read: true, write: true, env: true };
  Deno.test(
    { name: `a claim is only taken over by its age where ${who}`, permissions },
    () =>
      inFolder(async (folder) => {
        assert.equal(hostName() !== undefined, sys);
        await claimOf(undefined, folder, 20);
        await Deno.writeTextFile(join(folder, lockName), "");
        assert.equal(await isHeld(folder), true);
        assert.match(await refusal(hold(folder, silent)), /process 7 has been working there/);
        await claimOf(undefined, folder, 400);
        assert.equal(await isHeld(folder), false);
        await using _ = await hold(folder, silent);
        assert.ok(!claimsIn(folder).includes(`${claimPrefix}unnamed`));
      }),
  );
}

Deno.test("a claim that is silent is waited for, and refused when it is renewed after all", () =>
  inFolder(async (folder) => {
    await claimOf("node9", folder, 200);
    const told: string[] = [];
    const taking = hold(folder, (message) => {
      told.push(message);
      claimOf("node9", folder, 0);
    });
    assert.match(await refusal(taking), /process 7 on node9/);
    assert.equal(told.length, 1);
    assert.match(told[0] ?? "", /^Waiting in ".*": process 7 on node9 has not been heard of$/);
  }));

Deno.test("of many without a lock in common at most one claims a folder, and then one can", () =>
  inFolder(async (folder) => {
    await claimOf("node9", folder, 400);
    const made = await Promise.all(
      Array.from({ length: 8 }, () => Claim.make(folder, false, silent)),
    );
    const claims = made.filter((of) => of instanceof Claim);
    assert.ok(claims.length <= 1, `${claims.length}`);
    for (const claim of claims) claim.release();
    assert.deepEqual(claimsIn(folder).filter((name) => !name.endsWith("node9")), []);
    const alone = await Claim.make(folder, false, silent);
    assert.ok(alone instanceof Claim);
    alone.check();
    alone.release();
  }));

Deno.test("who was taken over while it was held up learns it before it writes", () =>
  inFolder(async (folder) => {
    await using held = await hold(folder, silent);
    held.check();
    for (const name of claimsIn(folder)) await Deno.remove(join(folder, name));
    assert.throws(
      () => held.check(),
      /^UserError: Cannot go on in ".*": this process was held up for more than 5 min, and another/,
    );
  }));
