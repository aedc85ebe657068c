/**
 * Writing files whole or not at all.
 *
 * @module
 */
import { basename, dirname, join } from "node:path";
import { shortened, UserError } from "./errors.ts";
import { display, explain } from "./files.ts";
import { ifStopped } from "./stopping.ts";

/**
 * Writes a file under a temporary name in the same folder, flushes it to the disk, and renames it.
 *
 * @throws UserError when the disk is full, the folder is missing or may not be written; the old file
 * stays as it was and nothing half-written remains
 */
export async function writeAtomic(path: string, content: Uint8Array | string): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const temporary = join(dirname(path), `.${basename(path)}.${crypto.randomUUID()}.part`);
  using _ = ifStopped(() => Deno.removeSync(temporary));
  try {
    {
      using file = await Deno.open(temporary, { write: true, createNew: true });
      for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
      await file.sync();
    }
    await Deno.rename(temporary, path);
  } catch (error) {
    await Deno.remove(temporary).catch(() => {});
    throw explained(error, path);
  }
}

/** Removes what writes that were cut off have left in a folder; only where nobody else writes there. */
export async function sweep(folder: string): Promise<void> {
  try {
    for await (const { name, isFile } of Deno.readDir(folder)) {
      if (isFile && /^\..*\.part$/.test(name)) await Deno.remove(join(folder, name));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/**
 * Removes a file, where there is one.
 *
 * @throws UserError when it may not be removed
 */
export async function removeFile(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw explained(error, path);
  }
}

/**
 * Makes a folder and those above it, where they are missing.
 *
 * @throws UserError when it may not be made, or a file is in the way
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true });
  } catch (error) {
    throw explained(error, path);
  }
}

/**
 * Refuses what is in the place of a file that is written bit by bit, and is none: a link leads to what is not
 * ours, and a pipe would wait for ever.
 *
 * @throws UserError
 */
export async function checkRegular(path: string): Promise<void> {
  try {
    if ((await Deno.lstat(path)).isFile) return;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw explained(error, path);
  }
  throw new UserError(`Cannot write "${display(path)}": it is no regular file; remove it`);
}

/** Whatever a write ends with is told of the path that it was to. */
function explained(error: unknown, path: string): unknown {
  const told = explain(error, "write", path);
  if (told !== error || !(error instanceof Error) || error instanceof UserError) return told;
  const state = shortened(error.message);
  return new UserError(`Cannot write "${display(path)}": ${state}; name another place`, {
    cause: error,
  });
}
