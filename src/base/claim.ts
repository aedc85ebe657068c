/**
 * Who works in a folder, between machines: every taker writes a claim, a file of its own, and then looks at the others.
 * Of two takers at least one sees the other's, which was written before, and withdraws; so none has to be removed
 * to be taken over, but by who holds the folder already.
 *
 * What that needs of a file system: that a file which was created is seen by whoever lists the folder afterwards, and
 * that creating one by its name (`O_EXCL`) is done once. NFS has both from version 3 on: creation goes to the server,
 * and the lister's own change of the folder has its copy of it looked up anew. A claim is renewed by writing it, which
 * gives it the server's time; how old another is, is told by the time of one's own that was written just now. Clocks of
 * machines are compared with nothing.
 *
 * @module
 */
import { join } from "node:path";
import { z } from "zod";
import { UserError } from "./errors.ts";
import { display, explain } from "./files.ts";

/** What names of claims begin with. */
export const claimPrefix = ".lock.";

/** Milliseconds between two renewals of a claim. */
export const beat = 30_000;

/** Milliseconds without a renewal after which a claim of another machine is one of a process that has ended. */
export const staleAfter = 300_000;

/** Milliseconds without a renewal from which on it is waited for what becomes of a claim. */
export const silentAfter = 100_000;

/** Milliseconds between two looks at a claim that is waited for. */
const pause = 5_000;

/** How often a claim is made anew beside another that was made at the same time. */
const tries = 4;

const ownerSchema = z.object({
  pid: z.int(),
  since: z.iso.datetime(),
  host: z.string().optional(),
});

/** Who holds a folder. */
export type Owner = z.infer<typeof ownerSchema>;

/** This process, as it claims a folder. */
export function self(): Owner {
  const host = hostName();
  return { pid: Deno.pid, since: new Date().toISOString(), ...host === undefined ? {} : { host } };
}

/** The machine's name; undefined where it may not be asked for. */
export function hostName(): string | undefined {
  const { state } = Deno.permissions.querySync({ name: "sys", kind: "hostname" });
  return state === "granted" ? Deno.hostname() : undefined;
}

/** What a claim or a lock says; undefined where it says nothing, or was cut off. */
export function ownerIn(text: string): Owner | undefined {
  try {
    return ownerSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Another's claim. */
interface Other {
  readonly path: string;
  readonly owner: Owner | undefined;
  /** When it was written, by the clock of the file system, in milliseconds. */
  readonly time: number;
}

/** A claim that stands. */
export class Claim {
  readonly #path: string;
  readonly #text: string;
  readonly #timer: ReturnType<typeof setInterval>;

  private constructor(path: string, text: string) {
    this.#path = path;
    this.#text = text;
    this.#timer = setInterval(() => this.#renew(), beat);
    Deno.unrefTimer(this.#timer);
  }

  /**
   * Claims a folder whose lock of the operating system this process has.
   *
   * @param sure whether that lock holds on this machine, so that whoever is known to have claimed the folder here
   *   has ended
   * @param note told when it is waited for what becomes of another machine's
   * @returns the claim, or the owner of another that stands
   */
  static async make(
    folder: string,
    sure: boolean,
    note: (message: string) => void,
  ): Promise<Claim | Owner> {
    const owner = self();
    const path = join(folder, `${claimPrefix}${crypto.randomUUID()}`);
    const text = JSON.stringify(owner);
    let [waits, withdrawn] = [false, 0];
    while (true) {
      const now = await written(path, text);
      const ended = (other: Other): boolean =>
        now - other.time > staleAfter || sure && isOfHere(other);
      const others = await othersIn(folder, path);
      const standing = others.filter((other) => !ended(other));
      const [first] = standing;
      if (!first) {
        for (const other of others) await removeStale(other);
        return new Claim(path, text);
      }
      const silent = standing.every(({ time }) => now - time > silentAfter);
      if (!silent) {
        await Deno.remove(path);
        // Two that came at once have both withdrawn: who comes back first has it.
        const isNew = now - first.time < pause;
        if (!isNew || ++withdrawn > tries) return first.owner ?? owner;
        await new Promise((wake) => setTimeout(wake, 50 + 250 * Math.random()));
        continue;
      }
      if (!waits) note(`Waiting in "${display(folder)}": ${whoOf(first)} has not been heard of`);
      waits = true;
      await new Promise((wake) => setTimeout(wake, pause));
    }
  }

  /**
   * Sees that the claim still stands: it does not where this process was held up for so long that another took over.
   *
   * @throws UserError when it does not
   */
  check(): void {
    try {
      Deno.lstatSync(this.#path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw explain(error, "read", this.#path);
      throw new UserError(
        `Cannot go on in "${display(join(this.#path, ".."))}": this process was held up for more ` +
          `than ${staleAfter / 60_000} min, and another has taken over; run the command again`,
      );
    }
  }

  /** Takes it back, at once. */
  release(): void {
    clearInterval(this.#timer);
    try {
      Deno.removeSync(this.#path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw explain(error, "write", this.#path);
    }
  }

  /** Writes it again, where it still stands: never anew, for the folder may be another's by now. */
  #renew(): void {
    try {
      using file = Deno.openSync(this.#path, { write: true });
      const bytes = new TextEncoder().encode(this.#text);
      for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
      file.syncSync();
    } catch {
      // What comes of it is told by `check()`.
    }
  }
}

/** Whether a process claims a folder that may be another machine's, by this machine's clock: good enough to show. */
export async function isClaimed(folder: string): Promise<boolean> {
  const others = await othersIn(folder);
  return others.some((other) => !isOfHere(other) && Date.now() - other.time < staleAfter);
}

/** Whether a claim is known to be of this machine: where either's name may not be asked for, only its age tells. */
function isOfHere({ owner }: Pick<Other, "owner">): boolean {
  return owner?.host !== undefined && owner.host === hostName();
}

/** `process 12 on node7`. */
export function whoOf({ owner }: Pick<Other, "owner">): string {
  if (!owner) return "another process";
  const where = owner.host === undefined || owner.host === hostName() ? "" : ` on ${owner.host}`;
  return `process ${owner.pid}${where}`;
}

/** Writes one's own claim, and says when that was, by the clock of the file system. */
async function written(path: string, text: string): Promise<number> {
  using file = await Deno.open(path, { write: true, create: true });
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
  await file.sync();
  return timeOf(await file.stat());
}

async function othersIn(folder: string, own?: string): Promise<Other[]> {
  const others: Other[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (!isFile || !name.startsWith(claimPrefix) || path === own) continue;
    try {
      // Opening it has NFS ask the server when it was written.
      using file = await Deno.open(path);
      const { size, ...info } = await file.stat();
      const bytes = new Uint8Array(Math.min(size, 4096));
      await file.read(bytes);
      others.push({ path, owner: ownerIn(new TextDecoder().decode(bytes)), time: timeOf(info) });
    } catch (error) {
      // Given back just now.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return others;
}

async function removeStale({ path }: Other): Promise<void> {
  await Deno.remove(path).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
}

function timeOf({ mtime }: Pick<Deno.FileInfo, "mtime">): number {
  return mtime?.getTime() ?? 0;
}
