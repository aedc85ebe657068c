/**
 * Arrays of an ONNX model that lie in other files, in its folder and nowhere else.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { dirname, isAbsolute, join, relative } from "node:path";
import { sha256 } from "../base/digest.ts";
import { refusalOf } from "../base/files.ts";
import { quote } from "../base/refusal.ts";
import type { Fail } from "./model.ts";
import type { Message } from "./schema.ts";

/** A file beside the model. */
interface Beside {
  readonly path: string;
  readonly size: number;
  /** Bytes that may still be read: each belongs to one array. */
  left: number;
  /** SHA-1, once it was asked for. */
  sha1?: string;
}

/** The files beside one model. */
export class ExternalData {
  readonly #model: string | undefined;
  /** By path, without symbolic links. */
  readonly #files = new Map<string, Beside>();
  readonly #digests: string[] = [];
  readonly #paths = new Set<string>();

  /** @param model path of the model; undefined where there are its bytes alone */
  constructor(model: string | undefined) {
    this.#model = model;
  }

  /** SHA-256 of each array that was read, in order. */
  get digests(): readonly string[] {
    return this.#digests;
  }

  /** Paths of the files that hold arrays, as the model has them, from the model's folder on. */
  get paths(): readonly string[] {
    return [...this.#paths];
  }

  /**
   * The bytes of an array.
   *
   * @param entries where they lie, as the file says it
   * @param size how many there are to be
   * @throws UserError where they are not there, or somewhere else than in the model's folder
   */
  async read(
    entries: readonly Message<"Entry">[],
    size: number,
    fail: Fail,
  ): Promise<ArrayBuffer> {
    const of = new Map(entries.map(({ key, value }) => [key, value]));
    const location = of.get("location") ?? "";
    const inside: Fail = (state, remedy = "copy the model's files again") =>
      fail(`lies in ${quote(location)}, ${state}`, remedy);
    const [offset, length] = [number(of, "offset", inside) ?? 0, number(of, "length", inside)];
    if (length !== undefined && length !== size) {
      throw inside(`in ${length} bytes, its shape needs ${size}`);
    }
    try {
      const file = await this.#open(location, inside);
      if (offset + size > file.size) {
        throw inside(`from byte ${offset} to ${offset + size} of ${file.size}`);
      }
      file.left -= size;
      if (file.left < 0) throw inside("where its bytes belong to another array too");
      const checksum = of.get("checksum")?.toLowerCase();
      if (checksum !== undefined && (file.sha1 ??= await sha1(file.path)) !== checksum) {
        throw inside("which is not what was written (its SHA-1 differs)");
      }
      const bytes = await readRange(file.path, offset, size);
      if (!bytes) throw inside("which became shorter meanwhile");
      this.#digests.push(sha256(bytes));
      return bytes.buffer;
    } catch (error) {
      const [state, remedy] = refusalOf(error, "read") ?? [];
      throw state === undefined ? error : inside(`but ${state}`, remedy);
    }
  }

  /** Finds a file in the model's folder. */
  async #open(location: string, fail: Fail): Promise<Beside> {
    if (this.#model === undefined) {
      throw fail("but only the model's own bytes are at hand", "name the model by its path");
    }
    const names = location.split(/[/\\]/);
    if (location === "" || names[0] === "" || /^[a-z]:/i.test(location) || names.includes("..")) {
      throw fail("which is no path inside the model's folder", "keep its data beside it");
    }
    const folder = await Deno.realPath(dirname(this.#model));
    const path = await Deno.realPath(join(folder, location));
    const inner = relative(folder, path);
    if (inner.split(/[/\\]/)[0] === ".." || isAbsolute(inner)) {
      throw fail("a link out of the model's folder", "put the file itself beside the model");
    }
    this.#paths.add(names.join("/"));
    const known = this.#files.get(path);
    if (known) return known;
    const { isFile, size } = await Deno.stat(path);
    // Opening a pipe would wait for somebody to write.
    if (!isFile) throw fail("which is no regular file", "put the file itself beside the model");
    const file = { path, size, left: size };
    this.#files.set(path, file);
    return file;
  }
}

/** A number of bytes that stands there as a text; undefined where it is left out. */
function number(
  entries: ReadonlyMap<string, string>,
  key: "offset" | "length",
  fail: Fail,
): number | undefined {
  const text = entries.get(key);
  if (text === undefined) return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw fail(`where its ${key} is no number of bytes`);
}

/** A part of a file, without the rest of it; undefined where it ends before. */
async function readRange(
  path: string,
  offset: number,
  size: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  using file = await Deno.open(path);
  await file.seek(offset, Deno.SeekMode.Start);
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const read = await file.read(bytes.subarray(at));
    if (read === null) return undefined;
    at += read;
  }
  return bytes;
}

async function sha1(path: string): Promise<string> {
  const hash = createHash("sha1");
  const file = await Deno.open(path);
  for await (const chunk of file.readable) hash.update(chunk);
  return hash.digest("hex");
}
