/**
 * Whether two trees of Mirage compute the same bits: a fixed list of commands on each, then every figure of
 * their documents and every tensor that their runs keep, side by side.
 *
 *     ./denow run --allow-read --allow-write --allow-run scripts/compare_trees.ts OLD NEW
 *
 * Folders' names, times and versions may differ; a figure or a bit may not.
 *
 * @module
 */
import { join } from "node:path";
import { readSafetensors } from "../src/checkpoint/safetensors.ts";
import { differences, figuresOf } from "../src/runs/figures.ts";

/** What every mode trains on: few images, so that all modes take minutes. */
const small = ["--limit", "60", "--epochs", "1"] as const;

/** The commands, each with what comes before it left in the same save path. */
const commands: readonly (readonly string[])[] = [
  ...["baseline", "deep_ensemble_at", "duq", "due", "sngp"].map((mode) => [
    "train",
    ...["--mode", mode, ...small, ...(mode === "deep_ensemble_at" ? ["--num-ensembles", "2"] : [])],
  ]),
  ["attack", "--mode", "baseline", ...small, "--save-images"],
  ["attack", "--mode", "deep_ensemble", ...small, "--num-ensembles", "2"],
  ["attack", "--mode", "deep_ensemble_at", ...small, "--num-ensembles", "2"],
  ["attack", "--mode", "duq", ...small],
  ["attack", "--mode", "due", ...small],
  ["attack", "--mode", "sngp", ...small, "--targeted", "3"],
  ["attack", "--mode", "sngp", ...small, "--protocol", "corrected", "--epsilon-attack", "0.2"],
  ["eval", "--mode", "due", ...small],
];

/** Runs every command in a tree; gives their documents. */
async function documentsOf(tree: string, savePath: string): Promise<unknown[]> {
  const documents: unknown[] = [];
  for (const [command = "", ...args] of commands) {
    const { code, stdout, stderr } = await new Deno.Command(join(tree, "denow"), {
      args: ["task", "-q", command, ...args, "--save-path", savePath, "--json"],
      cwd: tree,
      stdout: "piped",
      stderr: "piped",
    }).output();
    if (code !== 0) {
      throw new Error(`${tree}: ${command} ${args.join(" ")}\n${new TextDecoder().decode(stderr)}`);
    }
    documents.push(JSON.parse(new TextDecoder().decode(stdout)));
  }
  return documents;
}

/** Every archive below a folder by its path, with folders' digests left out. */
async function archivesOf(folder: string, under = ""): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  // Where two runs differ in their digests alone, the later one's number tells them apart.
  const add = (key: string, at: string): void => {
    let unique = key;
    for (let i = 2; found.has(unique); i++) unique = `${key} (${i})`;
    found.set(unique, at);
  };
  for await (const { name, isDirectory } of Deno.readDir(join(folder, under))) {
    const path = join(under, name);
    if (isDirectory) (await archivesOf(folder, path)).forEach((at, key) => add(key, at));
    else if (name.endsWith(".safetensors")) {
      add(path.replaceAll(/-[0-9a-f]{8,12}(?=\/|$)/g, ""), join(folder, path));
    }
  }
  return found;
}

/** The tensors of an archive, each as its own bytes. */
async function tensorsOf(path: string): Promise<Map<string, string>> {
  const { tensors } = await readSafetensors(path);
  return new Map(
    [...tensors].map(([name, { shape, data }]) => [
      name,
      `${shape.join()} ${new Uint8Array(data.buffer, data.byteOffset, data.byteLength).toHex()}`,
    ]),
  );
}

/** All archives' tensors as one sorted list, for runs whose folders are called otherwise. */
async function bitsOf(folder: string): Promise<string[]> {
  const lines: string[] = [];
  for (const [key, path] of await archivesOf(folder)) {
    const place = key.replace(/ \(\d+\)$/, "");
    for (const [name, bits] of await tensorsOf(path)) lines.push(`${place} ${name} ${bits}`);
  }
  return lines.sort();
}

if (import.meta.main) {
  const [before, after] = Deno.args;
  if (!before || !after) {
    console.error("Cannot compare: name the old tree and the new one");
    Deno.exit(1);
  }
  const folders = [await Deno.makeTempDir(), await Deno.makeTempDir()] as const;
  const [old, now] = [
    await documentsOf(before, folders[0]),
    await documentsOf(after, folders[1]),
  ];
  let different = 0;
  for (const [i, command] of commands.entries()) {
    const found = differences(figuresOf(old[i]), figuresOf(now[i]), 0);
    different += found.length;
    console.log(`${found.length === 0 ? "same" : "DIFFERENT"}: ${command.join(" ")}`);
    for (const { figure, before, now } of found) console.log(`  ${figure}: ${before} -> ${now}`);
  }
  const [a, b] = [await bitsOf(folders[0]), await bitsOf(folders[1])];
  const [hadBefore, hasNow] = [new Set(a), new Set(b)];
  const missing = a.filter((line) => !hasNow.has(line));
  const added = b.filter((line) => !hadBefore.has(line));
  for (const line of [...missing, ...added]) console.log(`DIFFERENT: ${line.slice(0, 100)}`);
  console.log(
    `${commands.length} documents with ${different} differences, ${a.length} tensors with ` +
      `${missing.length + added.length}`,
  );
  for (const folder of folders) await Deno.remove(folder, { recursive: true });
  Deno.exit(different + missing.length + added.length === 0 ? 0 : 1);
}
