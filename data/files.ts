/**
 * Files read (gzip undone) and written, with errors that name the file and say what to do.
 *
 * @module
 */
import { gunzipSync } from "node:zlib";
import { shortened, UserError } from "../src/base/errors.ts";
import { display, explain, readFile } from "../src/base/files.ts";

/**
 * The file's bytes, unpacked when they begin as gzip does, whatever the file is called.
 *
 * @param limit bytes that it may have, packed and unpacked: what the set needs
 */
export async function readUnzipped(
  path: string | URL,
  limit: number,
): Promise<Uint8Array<ArrayBuffer>> {
  return unzip(await readFile(path, { limit }), display(path), limit);
}

/** Bytes that were read, unpacked when they begin as gzip does; `name` stands in the errors. */
export function unzip(
  bytes: Uint8Array<ArrayBuffer>,
  name: string,
  limit: number,
): Uint8Array<ArrayBuffer> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    const chunkSize = chunkFor(bytes);
    return new Uint8Array(gunzipSync(bytes, { chunkSize, maxOutputLength: limit }));
  } catch (error) {
    if (error instanceof RangeError) {
      throw new UserError(
        `Cannot read "${name}": it unpacks to more than ${limit} bytes, which no such file of ` +
          "the data set has; fetch it again",
      );
    }
    const reason = shortened(error instanceof Error ? error.message : String(error));
    throw new UserError(
      `Cannot read "${name}": its gzip data is damaged (${reason}); fetch it again`,
    );
  }
}

/** Bytes that zlib makes at a time: few calls for large files, no megabyte for small ones. */
export function chunkFor(packed: Uint8Array): number {
  return Math.max(2 ** 10, Math.min(2 ** 20, 4 * packed.length));
}

/** Size in bytes of a regular file; undefined where there is none: a folder or a pipe is no file. */
export async function sizeOf(path: string | URL): Promise<number | undefined> {
  const found = await look(path);
  return found?.isFile ? found.size : undefined;
}

/** A file's bytes; undefined where there is no regular file of at most so many bytes to read. */
export async function readIfFile(
  path: string,
  limit: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    const size = await sizeOf(path);
    return size !== undefined && size <= limit ? await readFile(path) : undefined;
  } catch (error) {
    // A circle of links, or one to a device, which Deno keeps back; the folder itself could be read.
    const cause = error instanceof UserError ? error.cause : undefined;
    const isNoFile = cause instanceof Deno.errors.FilesystemLoop ||
      cause instanceof Deno.errors.NotCapable ||
      (cause instanceof Error && /ELOOP|levels of symbolic/i.test(cause.message));
    if (isNoFile) return undefined;
    throw error;
  }
}

/** The order of names by their code units, which is the same everywhere. */
export function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Whether there is a folder. */
export async function isFolder(path: string): Promise<boolean> {
  return (await look(path))?.isDirectory ?? false;
}

/**
 * Refuses a data path that leads to something other than a folder; one that leads nowhere may be made.
 *
 * @throws UserError when it is a file, a pipe, a device or a circle of links
 */
export async function checkDataPath(path: string): Promise<void> {
  const found = await look(path);
  if (found === undefined || found.isDirectory) return;
  throw new UserError(
    `Cannot use the data in "${display(path)}": it is no folder; name one with --data-path`,
  );
}

async function look(path: string | URL): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return undefined;
    }
    throw explain(error, "read", path);
  }
}

/** Runs a write; whatever the file system says against it becomes a sentence. */
export async function writing<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    const explained = explain(error, "write", path);
    if (explained instanceof UserError) throw explained;
    const reason = shortened(error instanceof Error ? error.message : String(error));
    throw new UserError(
      `Cannot write "${display(path)}": ${reason}; make room or choose another --data-path`,
    );
  }
}

/**
 * Refuses a place where something stands that a file cannot take: opening a pipe would wait for ever.
 *
 * @throws UserError when it is a folder, a pipe or a device
 */
export async function checkPlace(path: string): Promise<void> {
  if ((await look(path))?.isFile ?? true) return;
  throw new UserError(
    `Cannot write "${display(path)}": what stands there is no file; remove it`,
  );
}

/** Removes a file, if there is one. */
export async function discard(path: string): Promise<void> {
  if (await sizeOf(path) !== undefined) await writing(path, () => Deno.remove(path));
}

/** One array of all the bytes, in order. */
export function concatenate(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
