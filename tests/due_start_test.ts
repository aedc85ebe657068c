/** How DUE starts where its training images are few, or the same again and again. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { loadEmbedded } from "../data/mod.ts";
import { idx, writeArchive } from "./data_support.ts";
import { task } from "./program.ts";
import { inFolder } from "./support.ts";

/** MNIST whose training set is so many digits, again and again. */
async function writeRepeated(dataPath: string, different: number): Promise<void> {
  const raw = join(dataPath, "MNIST", "raw");
  await Deno.mkdir(raw, { recursive: true });
  const { images, labels } = await loadEmbedded("train");
  for (const [stem, count] of [["train", 300], ["t10k", 20]] as const) {
    const picks = Array.from({ length: count }, (_, i) => i % different);
    const pixels = Uint8Array.from(
      picks.flatMap((i) => [...images.subarray(784 * i, 784 * (i + 1))]),
    );
    const classes = Uint8Array.from(picks, (i) => labels[i] ?? 0);
    const files = { [`${stem}-images-idx3-ubyte.gz`]: idx([count, 28, 28], pixels) };
    files[`${stem}-labels-idx1-ubyte.gz`] = idx([count], classes);
    for (const [name, bytes] of Object.entries(files)) {
      await Deno.writeFile(join(raw, name), gzipSync(bytes));
    }
  }
  await writeArchive(dataPath);
}

Deno.test("DUE trains on ten images that come again and again, and says when they are too few", () =>
  inFolder(async (folder) => {
    const args = "--mode due --epochs 1 --data-path Data --limit 300".split(" ");
    await writeRepeated(join(folder, "Data"), 10);
    const ten = await task("train", args, { cwd: folder });
    assert.equal(ten.code, 0, ten.stderr);
    await writeRepeated(join(folder, "Data"), 4);
    const four = await task("train", args, { cwd: folder });
    assert.equal(four.code, 1);
    assert.match(
      four.stderr,
      /Cannot start DUE with 10 inducing points: .* only 4 different features; use fewer --n-inducing-points/,
    );
    const fewer = await task("train", [...args, "--n-inducing-points", "3"], { cwd: folder });
    assert.equal(fewer.code, 0, fewer.stderr);
  }));

Deno.test("more inducing points than can be factorised, and no image to learn from, are told", () =>
  inFolder(async (folder) => {
    const many = await task("train", ["--mode", "due", "--n-inducing-points", "600"], {
      cwd: folder,
    });
    assert.equal(many.code, 1);
    assert.match(many.stderr, /--n-inducing-points/);
    const few = await task("train", ["--mode", "due", "--limit", "9"], { cwd: folder });
    assert.equal(few.code, 1);
    assert.match(
      few.stderr,
      /^Cannot start DUE with 10 inducing points: of 9 training images it chooses from 0; use 10 images or more$/m,
    );
    const all = ["--mode", "due", "--limit", "30", "--n-inducing-points", "30"];
    const asMany = await task("train", all, { cwd: folder });
    assert.equal(asMany.code, 1);
    assert.match(
      asMany.stderr,
      /it chooses from 30; use fewer --n-inducing-points, or more images$/m,
    );
    const one = await task("train", ["--limit", "1", "--protocol", "corrected"], { cwd: folder });
    assert.equal(one.code, 1);
    assert.match(
      one.stderr,
      /^Cannot hold out images .*; use a larger --limit, or --selection test$/m,
    );
  }));
