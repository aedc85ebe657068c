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

/**
 * The rooms that figures come from. `src/base`, `src/runs`, `src/report`, `src/sweep` and `src/cli` are left
 * out: they name, keep, order and show what was computed, and another wording makes no other run; what they
 * read has digests of its own.
 */
export const computingRooms: readonly string[] = [
  "data",
  "src/attack",
  "src/checkpoint",
  "src/evaluate",
  "src/experiment",
  "src/measure",
  "src/methods",
  "src/networks",
  "src/nn",
  "src/onnx",
  "src/scores",
  "src/train",
];

let digests: Promise<SourceDigests> | undefined;

/** Digests of the kernels, and of all TypeScript of {@linkcode computingRooms} with what lies below them. */
export function sourceDigests(): Promise<SourceDigests> {
  return digests ??= makeDigests();
}

async function makeDigests(): Promise<SourceDigests> {
  const shaders = [...kernels.values()].map(({ name, source }) => `${name}\n${source}`).sort();
  const root = new URL("../../", import.meta.url);
  return { shaders: sha256(shaders.join("\n")), typescript: await typescriptDigest(root) };
}

async function typescriptDigest(root: URL): Promise<string | null> {
  try {
    const files = (await Promise.all(computingRooms.map((room) => sourcesOf(`${room}/`, root))))
      .flat().sort();
    const texts = await Promise.all(
      files.map(async (file) => `${file}\n${await Deno.readTextFile(new URL(file, root))}`),
    );
    return sha256(texts.join("\n"));
  } catch {
    return null;
  }
}

/** Paths from the root of all TypeScript in a folder. */
async function sourcesOf(folder: string, root: URL): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, root))) {
    if (isDirectory) found.push(...await sourcesOf(`${folder}${name}/`, root));
    else if (name.endsWith(".ts")) found.push(`${folder}${name}`);
  }
  return found;
}
