/**
 * Where a published file can be had, and how to tell that a copy is the published one.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { explain } from "../src/base/files.ts";
import { sizeOf } from "./files.ts";

/** One file to download. */
export interface SourceFile {
  /** The file's own name. */
  readonly name: string;
  /** Where it belongs, relative to the data path. */
  readonly path: string;
  /** Its length in bytes. */
  readonly size: number;
  /** Its published checksum, in hex. */
  readonly checksum: { readonly algorithm: "sha256" | "md5"; readonly hex: string };
  /** The same file at several hosts, in the order they are tried. */
  readonly urls: readonly string[];
}

/** Holds a file against its published size and checksum; undefined where there is no file. */
export async function verify(
  path: string,
  source: SourceFile,
): Promise<{ right: boolean; sha256: string } | undefined> {
  const size = await sizeOf(path);
  if (size === undefined) return undefined;
  const [sha256, md5] = [createHash("sha256"), createHash("md5")];
  try {
    for await (const chunk of (await Deno.open(path)).readable) {
      sha256.update(chunk);
      md5.update(chunk);
    }
  } catch (error) {
    throw explain(error, "read", path);
  }
  const found = { sha256: sha256.digest("hex"), md5: md5.digest("hex") };
  const right = size === source.size && found[source.checksum.algorithm] === source.checksum.hex;
  return { right, sha256: found.sha256 };
}
