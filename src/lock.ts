/**
 * One process at a time in a folder.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import { makeFolder, sweep } from "./atomic.ts";
import { UserError } from "./errors.ts";

/** How often an owner shows that it is alive, and after what silence it counts as gone (milliseconds). */
const beat = 5_000;
const silence = 60_000;

/** The name of a folder's lock. */
export const lockName = ".lock";

const ownerSchema = z.object({
  /** Of this taking of the lock, and no other. */
  token: z.string(),
  pid: z.int(),
  /** Of the running system, where it has one; processes of another cannot be asked after. */
  system: z.string().nullable(),
  /** When it was taken. */
  since: z.iso.datetime(),
});

/** Who holds a folder, and whether still. */
export interface Holder {
  readonly pid: number;
  readonly since: Date;
  /** Milliseconds since it last showed that it is alive. */
  readonly silent: number;
  readonly gone: boolean;
}

/** A folder that is held until it is disposed of. */
export type Held = AsyncDisposable;

/**
 * Takes a folder, which is made where it is missing, and clears away what broken writes have left there.
 *
 * @param note told when a lock is taken over from a process that is gone
 * @throws UserError when another process works in it, or it may not be written
 */
export async function hold(folder: string, note: (message: string) => void): Promise<Held> {
  await makeFolder(folder);
  const path = join(folder, lockName);
  const token = crypto.randomUUID();
  const since = new Date().toISOString();
  const content = JSON.stringify({ token, pid: Deno.pid, system: await systemId(), since });
  while (!await create(path, content)) {
    const holder = await holderOf(folder);
    if (!holder) continue;
    if (!holder.gone) {
      throw new UserError(
        `Cannot work in "${folder}": process ${holder.pid} has been working there for ` +
          `${duration(Date.now() - holder.since.getTime())} and showed so ${
            duration(holder.silent)
          } ago; wait until it has ended`,
      );
    }
    note(
      `Taking over "${folder}" from process ${holder.pid}, which has ended without giving it back ` +
        `(last seen ${duration(holder.silent)} ago)`,
    );
    await remove(path);
  }
  await sweep(folder);
  const alive = setInterval(() => Deno.utime(path, new Date(), new Date()).catch(() => {}), beat);
  Deno.unrefTimer(alive);
  return {
    async [Symbol.asyncDispose](): Promise<void> {
      clearInterval(alive);
      if (ownerOf(await read(path))?.token === token) await remove(path);
    },
  };
}

/** Who holds a folder; undefined when nobody does. */
export async function holderOf(folder: string): Promise<Holder | undefined> {
  const path = join(folder, lockName);
  const [owner, status] = [ownerOf(await read(path)), await Deno.stat(path).catch(() => undefined)];
  if (!status) return undefined;
  const silent = Math.max(0, Date.now() - (status.mtime?.getTime() ?? 0));
  // A lock that cannot be read is one that is being written, or was cut off.
  if (!owner) return { pid: 0, since: status.mtime ?? new Date(0), silent, gone: silent > beat };
  const { pid, system } = owner;
  const ended = system !== null && system === await systemId() && !await exists(`/proc/${pid}`);
  return { pid, since: new Date(owner.since), silent, gone: ended || silent > silence };
}

/** Milliseconds for people. */
export function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800
    ? `${Math.round(seconds / 3600)} h`
    : `${Math.round(seconds / 86_400)} days`;
}

async function create(path: string, content: string): Promise<boolean> {
  try {
    await Deno.writeTextFile(path, content, { createNew: true });
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    const state = error instanceof Error ? error.message : String(error);
    throw new UserError(`Cannot write "${path}": ${state}; name a folder of your own`, {
      cause: error,
    });
  }
}

async function read(path: string): Promise<string | undefined> {
  return await Deno.readTextFile(path).catch(() => undefined);
}

function ownerOf(text: string | undefined): z.infer<typeof ownerSchema> | undefined {
  if (text === undefined) return undefined;
  try {
    return ownerSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

async function remove(path: string): Promise<void> {
  await Deno.remove(path).catch(() => {});
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** What Linux calls this start of the system; null where there is no such thing. */
async function systemId(): Promise<string | null> {
  const id = await read("/proc/sys/kernel/random/boot_id");
  return id?.trim() ?? null;
}
