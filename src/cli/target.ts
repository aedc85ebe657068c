/**
 * Where a document or a page may be written: not over what is somebody's, a run's or the command's own input.
 *
 * @module
 */
import { basename, dirname, join, resolve } from "node:path";
import { UserError } from "../base/errors.ts";
import { display, explain, isFile, readFile } from "../base/files.ts";
import { lockName } from "../base/lock.ts";

/** What is written: a run's JSON document, or a page about runs. */
export type TargetKind = "document" | "page";

/** Names that a run's folder gives to files of its own; a page may take the place of its page. */
const taken: Readonly<Record<TargetKind, RegExp>> = {
  document: /^(run\.json|metrics\.json|log\.jsonl|report\.html|checkpoints|.*\.safetensors)$/i,
  page: /^(run\.json|metrics\.json|log\.jsonl|checkpoints|.*\.safetensors)$/i,
};

/** Bytes that an earlier document or page may have to be looked at; no such file comes near. */
const mostBytes = 2 ** 28;

/**
 * Looks, before a long run and again when it has ended, whether its document can be written where it is to
 * go, and whether that costs nothing else.
 *
 * @param inputs paths of files that the command reads; `{seed}` stands for any number
 * @throws UserError when the place cannot be written, is an input, is a run's own, or holds what is
 * neither empty nor an earlier document or page
 */
export async function checkTarget(
  path: string,
  kind: TargetKind,
  inputs: readonly string[] = [],
): Promise<void> {
  const cannot = (state: string, remedy = "name another file"): UserError =>
    new UserError(`Cannot write "${display(path)}": ${state}; ${remedy}`);
  try {
    const there = await look(path);
    if (there?.isDirectory) throw cannot("it is a folder", "name a file in it");
    if (!(await look(dirname(path)))?.isDirectory) {
      throw cannot("its folder does not exist", "make it, or name another");
    }
    if (there && !there.isFile) {
      throw cannot("what stands there is a device or a pipe", "name a regular file");
    }
    if (basename(path) === lockName) throw cannot("it is its folder's lock");
    // Where the name is, which is what a write replaces, and where it leads.
    const places = [join(await Deno.realPath(dirname(path)), basename(path))];
    if (there) places.push(await Deno.realPath(path));
    for (const place of places) {
      if (await isInput(place, inputs)) throw cannot("the command reads it");
      const run = await runOf(place, kind);
      if (run !== undefined) throw cannot(`it is a file of the run in "${display(run)}"`);
    }
    if (there && there.size > 0 && !await isEarlier(path, kind)) {
      throw cannot(`what stands there is no ${kind} of Mirage`, "name another file, or remove it");
    }
  } catch (error) {
    throw explain(error, "write", path);
  }
}

async function look(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof Deno.errors.NotADirectory) return undefined;
    throw error;
  }
}

/** Whether a place is one of the inputs, through links. */
async function isInput(place: string, inputs: readonly string[]): Promise<boolean> {
  for (const input of inputs) {
    const pattern = resolve(input).split("{seed}").map((part) => RegExp.escape(part)).join("\\d+");
    if (new RegExp(`^${pattern}$`).test(place)) return true;
    // One that is missing is told of by the command itself.
    if (await Deno.realPath(input).catch(() => undefined) === place) return true;
  }
  return false;
}

/** The folder of a run that names a place itself, if there is one. */
async function runOf(place: string, kind: TargetKind): Promise<string | undefined> {
  let [folder, name] = [dirname(place), basename(place)];
  // Whatever lies in a folder of the run's belongs to it as that folder does.
  for (let above = dirname(folder); above !== folder; above = dirname(above)) {
    if (taken[kind].test(name) && await isFile(join(folder, "run.json"))) return folder;
    [folder, name] = [above, basename(folder)];
  }
  return undefined;
}

/** Whether a file is what the command, or one like it, has written before. */
async function isEarlier(path: string, kind: TargetKind): Promise<boolean> {
  const { size } = await Deno.stat(path);
  if (size > mostBytes) return false;
  const text = new TextDecoder().decode(await readFile(path));
  if (kind === "page") return /^<!DOCTYPE html>\n[^]{0,10000} - Mirage<\/title>/.test(text);
  try {
    const { schema } = JSON.parse(text);
    return /^mirage\/(attack|battery|eval|train|table)@\d+$/.test(schema);
  } catch {
    return false;
  }
}
