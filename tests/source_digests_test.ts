/** What a run is told by: the text of what computes its figures, not that of what shows them. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { computingRooms, type SourceDigests } from "../src/experiment/source_digests.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Rooms whose TypeScript no figure comes from, and the kernels, which are WGSL. */
const others = ["src/base", "src/cli", "src/report", "src/runs", "src/shaders", "src/sweep"];

async function filesOf(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(join(root, folder))) {
    if (isDirectory) found.push(...await filesOf(`${folder}/${name}`));
    else found.push(`${folder}/${name}`);
  }
  return found;
}

/** The digests that a copy of the program makes, in which some files end with a line more. */
async function digestsOf(...changed: string[]): Promise<SourceDigests> {
  const folder = await Deno.makeTempDir();
  try {
    for (const path of ["deno.json", ...await filesOf("src"), ...await filesOf("data")]) {
      if (path.startsWith("data/embedded/")) continue;
      const to = join(folder, path);
      await Deno.mkdir(dirname(to), { recursive: true });
      await Deno.copyFile(join(root, path), to);
      if (changed.includes(path)) {
        await Deno.writeTextFile(to, "\n// A line more.\n", { append: true });
      }
    }
    const url = pathToFileURL(join(folder, "src/experiment/source_digests.ts"));
    const copy: typeof import("../src/experiment/source_digests.ts") = await import(url.href);
    return await copy.sourceDigests();
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("every room is known to compute figures, or not to", async () => {
  const rooms = ["data"];
  for await (const { name } of Deno.readDir(join(root, "src"))) rooms.push(`src/${name}`);
  assert.deepEqual(rooms.sort(), [...computingRooms, ...others].sort());
});

Deno.test("another wording is the same source, another computation is not", async () => {
  const plain = await digestsOf();
  assert.match(plain.typescript ?? "", /^[0-9a-f]{64}$/);
  assert.deepEqual(await digestsOf("src/report/words.ts", "src/cli/show.ts"), plain);
  const kernel = await digestsOf("src/shaders/binary.wgsl");
  assert.equal(kernel.typescript, plain.typescript);
  assert.notEqual(kernel.shaders, plain.shaders);
  for (const path of ["src/methods/sngp.ts", "src/nn/ops/linalg.ts", "data/png.ts"]) {
    const { shaders, typescript } = await digestsOf(path);
    assert.equal(shaders, plain.shaders);
    assert.notEqual(typescript, plain.typescript, path);
  }
});
