/**
 * Copies of models that a run keeps.
 *
 * @module
 */
import { dirname, join } from "node:path";
import { makeFolder, sweep, writeAtomic } from "../base/atomic.ts";
import { readFile } from "../base/files.ts";

/** What a copy's name ends with, so that it is read as its source is. */
export function extension(path: string): string {
  const known = [".safetensors", ".onnx"].find((ending) => path.toLowerCase().endsWith(ending));
  return known ?? ".checkpoint";
}

/**
 * Copies what lies beside a model, under the names that the model knows it by.
 *
 * @throws UserError when one cannot be read or written
 */
export async function keepBeside(
  paths: readonly string[],
  from: string,
  to: string,
): Promise<void> {
  for (const path of paths) {
    await makeFolder(dirname(join(to, path)));
    await sweep(dirname(join(to, path)));
    await writeAtomic(join(to, path), await readFile(join(from, path)));
  }
}
