/**
 * Digests of Mirage's own text: what computed a result.
 *
 * @module
 */
import { sha256 } from "../base/digest.ts";
import { kernels } from "../nn/mod.ts";

/** What computed a result: its WGSL, and its TypeScript where that can be read. */
export interface SourceDigests {
  readonly shaders: string;
  /** Null where it runs from a bundle or a binary. */
  readonly typescript: string | null;
}

let digests: Promise<SourceDigests> | undefined;

/** Digests of the kernels and of everything in src and data that is TypeScript. */
export function sourceDigests(): Promise<SourceDigests> {
  return digests ??= makeDigests();
}

async function makeDigests(): Promise<SourceDigests> {
  const shaders = [...kernels.values()].map(({ name, source }) => `${name}\n${source}`).sort();
  return { shaders: sha256(shaders.join("\n")), typescript: await typescriptDigest() };
}

async function typescriptDigest(): Promise<string | null> {
  try {
    const files: string[] = [];
    for (const folder of ["./", "../data/"]) {
      await listSources(new URL(folder, import.meta.url), files);
    }
    if (files.length === 0) return null;
    const texts = await Promise.all(
      files.sort().map(async (file) =>
        `${file.split("/").at(-1)}\n${await Deno.readTextFile(new URL(file))}`
      ),
    );
    return sha256(texts.join("\n"));
  } catch {
    return null;
  }
}

async function listSources(folder: URL, found: string[]): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) await listSources(new URL(`${name}/`, folder), found);
    else if (name.endsWith(".ts")) found.push(new URL(name, folder).href);
  }
}
