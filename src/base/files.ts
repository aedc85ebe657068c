/**
 * Reading files that a user names: regular ones only, none larger than what it may be, and a sentence for
 * whatever the file system says against it.
 *
 * @module
 */
import { shortened, UserError } from "./errors.ts";

/** Bytes that a file may have where nobody says less: what still fits into memory several times. */
const most = 4 * 2 ** 30;

/** What a reader says of the file it is about to read. */
export interface ReadOptions {
  /** Bytes that it may have; 4 GiB when not given. */
  readonly limit?: number;
}

/**
 * A file's bytes.
 *
 * @throws UserError when there is none, it may not be read, is larger than the limit, or is a folder, a
 * device or a pipe, which may have no end
 */
export async function readFile(
  path: string | URL,
  { limit = most }: ReadOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    // Looked at before it is opened: opening a pipe would wait for somebody to write.
    const { isFile, isDirectory, size } = await Deno.stat(path);
    if (isDirectory) throw cannotRead(path, "it is a folder", "name a file");
    if (!isFile) throw cannotRead(path, "it is a device or a pipe", "name a regular file");
    if (size > limit) {
      throw cannotRead(path, `it has ${size} bytes, more than ${limit}`, "name a smaller file");
    }
    return await Deno.readFile(path);
  } catch (error) {
    throw explain(error, "read", path);
  }
}

/** Whether there is a regular file. */
export async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    const absent = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    if (absent) return false;
    throw explain(error, "read", path);
  }
}

/** A path as given, shortened; of a URL (a file of Mirage's own) the last part alone. */
export function display(path: string | URL): string {
  if (typeof path === "string") return shortened(path);
  return path.pathname.slice(path.pathname.lastIndexOf("/") + 1);
}

/** Puts the file system's refusals into a sentence; returns an error that is none of them as it is. */
export function explain(error: unknown, verb: "read" | "write", path: string | URL): unknown {
  const refusal = refusalOf(error, verb);
  if (!refusal) return error;
  const [state, remedy] = refusal;
  return new UserError(`Cannot ${verb} "${display(path)}": ${state}; ${remedy}`, { cause: error });
}

/** What the file system or Deno has against an access, and the remedy; undefined of any other error. */
export function refusalOf(
  error: unknown,
  verb: "read" | "write",
): readonly [state: string, remedy: string] | undefined {
  if (!(error instanceof Error) || error instanceof UserError) return undefined;
  const [, ...words] = refusals.find(([is]) => is(error)) ?? [];
  const [reading, writing = reading] = words;
  return verb === "read" ? reading : writing;
}

type Words = readonly [state: string, remedy: string];

/** In reading and, where it is another, in writing. */
type Refusal = readonly [is: (error: Error) => boolean, reading: Words, writing?: Words];

/** What file systems and Deno say against an access. */
const refusals: readonly Refusal[] = [
  [
    (e) => e instanceof Deno.errors.NotFound,
    ["there is no such file", "check the path"],
    ["its folder does not exist", "make it, or name another"],
  ],
  [
    (e) => e instanceof Deno.errors.NotADirectory || /ENOTDIR|not a directory/i.test(e.message),
    ["a part of its path is a file, not a folder", "check the path"],
    ["a file is where a folder should be", "name another folder"],
  ],
  [
    (e) => e instanceof Deno.errors.AlreadyExists,
    ["it is there already", "name another"],
    ["a file is where a folder should be", "name another folder"],
  ],
  [
    // Said of /dev, /proc and /sys, whatever --allow-read and --allow-write say.
    (e) => e instanceof Deno.errors.NotCapable && /all access/i.test(e.message),
    ["Deno keeps the system's own files back", "copy it to a folder of yours and name the copy"],
    ["Deno keeps the system's own files back", "name a file or folder of your own"],
  ],
  [
    (e) => e instanceof Deno.errors.NotCapable,
    ["Deno was not allowed to", "start Mirage by its task, which is"],
  ],
  [
    (e) => e instanceof Deno.errors.PermissionDenied,
    ["permission denied", "check its rights, or name a copy of your own"],
    ["writing there is not allowed", "name a folder of your own"],
  ],
  [
    (e) => e instanceof Deno.errors.IsADirectory,
    ["it is a folder, a file is needed there", "name a file"],
  ],
  [
    (e) => e instanceof Deno.errors.FilesystemLoop || /ELOOP|levels of symbolic/i.test(e.message),
    ["its links lead in a circle", "name the file or folder itself"],
  ],
  [(e) => /ENAMETOOLONG|name too long/i.test(e.message), ["its name is too long", "shorten it"]],
  [(e) => /NUL byte/i.test(e.message), ["its name holds a NUL character", "name another"]],
  [
    (e) => /EROFS|read-only/i.test(e.message),
    ["the file system is read-only", "name another place"],
  ],
  [
    (e) => /ENOSPC|no space/i.test(e.message),
    ["the disk is full", "free some space and run the command again"],
  ],
  [(e) => /EIO|input\/output/i.test(e.message), ["the disk does not answer", "check it"]],
];

function cannotRead(path: string | URL, state: string, remedy: string): UserError {
  return new UserError(`Cannot read "${display(path)}": ${state}; ${remedy}`);
}
