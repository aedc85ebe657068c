/**
 * Files read (gzip undone) and written, with errors that name the file and say what to do.
 *
 * @module
 */
import { gunzipSync } from "node:zlib";
import { UserError } from "../src/errors.ts";
import { display, explain, readFile } from "../src/files.ts";

/** Bytes that a file may unpack to: more than twice the largest archive of the data sets, CIFAR-10's. */
const mostUnpacked = 512 * 2 ** 20;

/** The file's bytes, unpacked when they begin as gzip does, whatever the file is called. */
export async function readUnzipped(path: string | URL): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await readFile(path);
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    return new Uint8Array(gunzipSync(bytes, { chunkSize: 2 ** 20, maxOutputLength: mostUnpacked }));
  } catch (error) {
    if (error instanceof RangeError) {
      throw new UserError(
        `Cannot read "${
          display(path)
        }": it unpacks to more than ${mostUnpacked} bytes, as no data ` +
          "set does; fetch it again",
      );
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(
      `Cannot read "${display(path)}": its gzip data is damaged (${reason}); fetch it again`,
    );
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
