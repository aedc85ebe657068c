/**
 * Files read (gzip undone) and written, with errors that name the file and say what to do.
 *
 * @module
 */
import { gunzipSync } from "node:zlib";
import { UserError } from "../src/errors.ts";

/** The file's bytes, unpacked when they begin as gzip does, whatever the file is called. */
export async function readUnzipped(path: string | URL): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readBytes(path);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return new Uint8Array(gunzipSync(bytes, { chunkSize: 2 ** 20 }));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `Cannot read "${display(path)}": its gzip data is damaged (${reason}); fetch it again`,
    );
  }
}

/** The file's bytes; a {@link UserError} where it is missing or may not be read. */
export async function readBytes(path: string | URL): Promise<Uint8Array<ArrayBuffer>> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw explain(error, "read", path);
  }
}

/** Size in bytes of a file or folder; undefined where there is none. */
export async function sizeOf(path: string | URL): Promise<number | undefined> {
  try {
    return (await Deno.stat(path)).size;
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
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `Cannot write "${path}": ${reason}; make room or choose another --data-path`,
    );
  }
}

/** Removes a file, if there is one. */
export async function discard(path: string): Promise<void> {
  if (await sizeOf(path) !== undefined) await writing(path, () => Deno.remove(path));
}

/** Puts the file system's common refusals into a sentence; returns any other error as it is. */
export function explain(error: unknown, verb: "read" | "write", path: string | URL): unknown {
  const name = display(path);
  if (error instanceof Deno.errors.NotFound) {
    return new UserError(`Cannot ${verb} "${name}": there is no such file; check the path`);
  }
  if (error instanceof Deno.errors.NotCapable) {
    return new UserError(`Cannot ${verb} "${name}": Deno was not allowed to; add --allow-${verb}`);
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new UserError(`Cannot ${verb} "${name}": permission denied; check the file's rights`);
  }
  if (error instanceof Deno.errors.IsADirectory) {
    return new UserError(`Cannot ${verb} "${name}": it is a folder, a file is needed there`);
  }
  return error;
}

/** A path as given; of a URL (a file of Mirage's own) the last part alone. */
export function display(path: string | URL): string {
  return typeof path === "string" ? path : path.pathname.slice(path.pathname.lastIndexOf("/") + 1);
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
