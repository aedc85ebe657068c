/**
 * One process at a time in a folder: by a lock of the operating system's on a file there (`flock`,
 * `LockFileEx`), which ends with the process however that ends, and by a claim beside it. The file says who has it.
 *
 * On one machine the lock is certain. Between machines it is as good as the file system: NFS from version 4 on
 * and Linux's client since 2.6.12 hand such locks on to the server; NFS 3 without its lock daemon, or mounted with
 * `nolock` or `local_lock=flock`, keeps them on each machine to itself. There the claim holds (`claim.ts`).
 *
 * @module
 */
import { dirname, join } from "node:path";
import { makeFolder, sweep } from "./atomic.ts";
import { Claim, isClaimed, type Owner, ownerIn, self, whoOf } from "./claim.ts";
import { UserError } from "./errors.ts";
import { display, explain } from "./files.ts";
import { ifStopped } from "./stopping.ts";

/**
 * The name of a folder's lock. Empty when nobody has it; removed only with its folder, by who holds it, and whoever has
 * locked it sees afterwards that it is still there: else it could be locked twice.
 */
export const lockName = ".lock";

/** How often a lock is tried for, and what is waited in between (milliseconds): somebody may just look. */
const tries = 5;
const pause = 20;

/** A folder that is held until it is disposed of. */
export interface Held extends AsyncDisposable {
  /**
   * Sees that it is still held: after this process was held up for minutes, another machine may have taken over.
   *
   * @throws UserError when it is not
   */
  check(): void;
  /** Gives the folder back and removes it, where nothing else is in it and the lock was surely had. */
  removeEmpty(): void;
}

/**
 * Takes a folder, which is made where it is missing, and clears away what broken writes have left there.
 *
 * @param note told when the folder is taken over from a process that has ended without giving it back
 * @throws UserError when another process works in it, or it may not be written
 */
export async function hold(folder: string, note: (message: string) => void): Promise<Held> {
  await makeFolder(folder);
  const path = join(folder, lockName);
  const file = await openLock(path);
  let claim: Claim;
  let got: Locking;
  try {
    got = await locked(file);
    if (got === "busy") throw inUse(folder, await ownerOf(path));
    await checkLock(path, file);
    const before = await ownerOf(path);
    const made = await Claim.make(folder, got === "locked", note);
    if (!(made instanceof Claim)) throw inUse(folder, made);
    claim = made;
    if (before) tellTakeover(folder, before, note);
    await sweep(folder);
    write(file, JSON.stringify(self()));
  } catch (error) {
    file.close();
    throw explain(error, "write", path);
  }
  let isHere = true;
  const release = (alsoRemove = false): void => {
    if (!isHere) return;
    isHere = false;
    try {
      claim.release();
      write(file, "");
      if (alsoRemove && got === "locked") removeWithLock(folder);
    } finally {
      // Not by closing alone: a process that starts at this moment has the file, too, until it is loaded.
      if (got === "locked") file.unlockSync();
      file.close();
    }
  };
  const stopping = ifStopped(() => release());
  return {
    check: () => claim.check(),
    removeEmpty: () => release(true),
    [Symbol.asyncDispose](): Promise<void> {
      stopping[Symbol.dispose]();
      release();
      return Promise.resolve();
    },
  };
}

/** Removes a folder that is held and has nothing else in it; somebody who has come meanwhile keeps it. */
function removeWithLock(folder: string): void {
  if ([...Deno.readDirSync(folder)].some(({ name }) => name !== lockName)) return;
  try {
    Deno.removeSync(join(folder, lockName));
    Deno.removeSync(folder);
  } catch {
    // It is in use by another, or may not be removed: then it stays.
  }
}

/**
 * Whether a process works in a folder now.
 *
 * @throws UserError when its lock is a link, a pipe, or anything else that is no file
 */
export async function isHeld(folder: string): Promise<boolean> {
  const path = join(folder, lockName);
  let file: Deno.FsFile;
  try {
    await checkLock(path);
    file = await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
  try {
    await checkLock(path, file);
    const got = await tryToLock(file, false);
    if (got === "busy") return true;
    if (got === "locked") await file.unlock();
  } finally {
    file.close();
  }
  return await isClaimed(folder);
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

async function openLock(path: string): Promise<Deno.FsFile> {
  let file: Deno.FsFile | undefined;
  try {
    await checkLock(path);
    file = await Deno.open(path, { read: true, write: true, create: true });
    await checkLock(path, file);
    return file;
  } catch (error) {
    file?.close();
    throw explain(error, "write", path);
  }
}

/**
 * Refuses a lock that is no regular file, before it is opened: opening a pipe would wait for ever, and what
 * a link leads to is not ours to empty.
 *
 * @param opened what the path was opened as: it must still be that file
 */
async function checkLock(path: string, opened?: Deno.FsFile): Promise<void> {
  const cannot = (state: string): UserError =>
    new UserError(`Cannot work in "${display(dirname(path))}": its ${lockName} ${state}`);
  let found: Deno.FileInfo;
  try {
    found = await Deno.lstat(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    if (!opened) return;
    throw cannot("was removed just now; run the command again");
  }
  if (!found.isFile) throw cannot("is no regular file; remove it");
  const { dev, ino } = await opened?.stat() ?? found;
  if (dev !== found.dev || ino !== found.ino) {
    throw cannot("was put in place of another just now; run the command again");
  }
}

/** Whether the lock was had, another has it, or the file system knows none: Lustre, where mounted without. */
async function locked(file: Deno.FsFile): Promise<Locking> {
  for (let i = 0; i < tries; i++) {
    const got = await tryToLock(file, true);
    if (got !== "busy") return got;
    await new Promise((wake) => setTimeout(wake, pause));
  }
  return "busy";
}

/** Whether a file was locked; unknown where its file system has no locks. */
type Locking = "locked" | "busy" | "unknown";

async function tryToLock(file: Deno.FsFile, exclusive: boolean): Promise<Locking> {
  try {
    return await file.tryLock(exclusive) ? "locked" : "busy";
  } catch (error) {
    // ENOLCK, ENOSYS, EOPNOTSUPP.
    if (/os error (37|38|95)\b/.test(String(error))) return "unknown";
    throw error;
  }
}

function tellTakeover(folder: string, before: Owner, note: (message: string) => void): void {
  note(
    `Taking over "${folder}" from ${whoOf({ owner: before })}, which began ${
      age(before)
    } ago and ` +
      "has ended without giving it back",
  );
}

function inUse(folder: string, owner: Owner | undefined): UserError {
  const who = owner
    ? `${whoOf({ owner })} has been working there for ${age(owner)}`
    : "another process works there";
  return new UserError(`Cannot work in "${folder}": ${who}; wait until it has ended`);
}

function age({ since }: Owner): string {
  return duration(Date.now() - Date.parse(since));
}

async function ownerOf(path: string): Promise<Owner | undefined> {
  return ownerIn(await Deno.readTextFile(path).catch(() => ""));
}

function write(file: Deno.FsFile, text: string): void {
  file.truncateSync();
  file.seekSync(0, Deno.SeekMode.Start);
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
}
