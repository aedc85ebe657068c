/**
 * SHA-256 in hexadecimal, and the one of Mirage's own text.
 *
 * @module
 */
import { kernels } from "./nn/self_test.ts";

/** SHA-256 of bytes, or of a text in UTF-8. */
export async function sha256(content: Uint8Array<ArrayBuffer> | string): Promise<string> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** SHA-256 of a value's JSON, whose keys are put in order. */
export async function digestOf(value: unknown): Promise<string> {
  return await sha256(canonical(value));
}

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
  return { shaders: await sha256(shaders.join("\n")), typescript: await typescriptDigest() };
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
    return await sha256(texts.join("\n"));
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

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, of) => {
    if (typeof of !== "object" || of === null || Array.isArray(of)) return of;
    return Object.fromEntries(Object.entries(of).sort(([a], [b]) => a < b ? -1 : 1));
  });
}
