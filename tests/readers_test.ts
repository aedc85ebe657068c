/** Readers of MNIST and notMNIST, on files made here and, where they are, on the true ones. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { fc } from "./property.ts";
import { decode } from "fast-png";
import { createTar, parseTar } from "nanotar";
import { loadMnist, loadNotMnist, readIdx } from "../data/mod.ts";
import { readTar } from "../data/tar.ts";
import {
  glyph,
  idx,
  notMnistFiles,
  onReal,
  perClass,
  real,
  realPath,
  says,
  writeArchive,
  writeMnist,
} from "./data_support.ts";
import { inFolder } from "./support.ts";

Deno.test("readIdx() reads any shape, zipped or not", async () => {
  await inFolder(async (folder) => {
    const path = join(folder, "x");
    const shapes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(shapes, fc.boolean(), async (shape, zip) => {
        const data = glyph(shape.length).subarray(0, shape.reduce((a, b) => a * b));
        const bytes = idx(shape, data);
        await Deno.writeFile(path, zip ? gzipSync(bytes) : bytes);
        const read = await readIdx(path);
        assert.deepEqual(read.shape, shape);
        assert.deepEqual([...read.data], [...data]);
      }),
      { numRuns: 30 },
    );
  });
});

Deno.test("readIdx() refuses what is broken and says why", async (t) => {
  const whole = idx([2, 3], Uint8Array.of(1, 2, 3, 4, 5, 6));
  const zipped = gzipSync(whole);
  const damaged = zipped.slice();
  damaged[12] = (damaged[12] ?? 0) ^ 255;
  const cases: [what: string, bytes: Uint8Array, message: RegExp][] = [
    ["nothing", new Uint8Array(), /it is empty/],
    ["text", new TextEncoder().encode("<html>"), /it starts with 3c 68 74 6d, not with 00 00 08/],
    ["floats", Uint8Array.of(0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0), /it starts with 00 00 0d 01/],
    ["a cut header", whole.subarray(0, 9), /its header is cut off/],
    ["cut data", whole.subarray(0, -1), /it holds 5 bytes of data, its header says 6/],
    ["data too long", Uint8Array.of(...whole, 0), /it holds 7 bytes of data, its header says 6/],
    ["no elements", idx([0, 3], new Uint8Array()), /its shape is \[0,3\], it holds nothing/],
    ["cut gzip", zipped.subarray(0, -9), /its gzip data is damaged/],
    ["garbage gzip", Uint8Array.of(0x1f, 0x8b, 1, 2, 3, 4), /its gzip data is damaged/],
    ["damaged gzip", damaged, /its gzip data is damaged/],
  ];
  await inFolder(async (folder) => {
    for (const [what, bytes, message] of cases) {
      await t.step(what, async () => {
        await Deno.writeFile(join(folder, "x"), bytes);
        await assert.rejects(readIdx(join(folder, "x")), says(message));
      });
    }
    await t.step("a missing file", async () => {
      await assert.rejects(readIdx(join(folder, "y")), says(/y": there is no such file/));
    });
    await t.step("a folder", async () => {
      await assert.rejects(readIdx(folder), says(/it is a folder/));
    });
  });
});

Deno.test("loadMnist() reads both parts, zipped and not", async () => {
  await inFolder(async (folder) => {
    await writeMnist(folder);
    for (const split of ["train", "test"] as const) {
      const set = await loadMnist(folder, split);
      assert.equal(set.name, `MNIST ${split}`);
      assert.equal(set.count, 3);
      assert.deepEqual(set.shape, [1, 28, 28]);
      assert.deepEqual([...set.labels], [7, 0, 9]);
      assert.deepEqual([...set.images.subarray(784, 1568)], [...glyph(2)]);
      const bytes = Uint8Array.of(...set.images, ...set.labels);
      assert.equal(set.sha256, createHash("sha256").update(bytes).digest("hex"));
    }
  });
});

Deno.test("loadMnist() refuses files that do not fit", async (t) => {
  const images = "t10k-images-idx3-ubyte";
  const labels = "t10k-labels-idx1-ubyte";
  const cases: [what: string, name: string, bytes: Uint8Array, message: RegExp][] = [
    ["labels too few", labels, idx([2], Uint8Array.of(1, 2)), /3 images and 2 labels/],
    ["a label 10", labels, idx([3], Uint8Array.of(1, 10, 2)), /label 1 is 10, labels are 0 to 9/],
    ["labels in a matrix", labels, idx([3, 1], Uint8Array.of(1, 2, 3)), /its shape is \[3,1\]/],
    ["images of 2x2", images, idx([1, 2, 2], Uint8Array.of(1, 2, 3, 4)), /its shape is \[1,2,2\]/],
    ["flat images", images, idx([784], glyph(0)), /its shape is \[784\]/],
  ];
  for (const [what, name, bytes, message] of cases) {
    await t.step(what, () =>
      inFolder(async (folder) => {
        await writeMnist(folder);
        await Deno.writeFile(join(folder, "MNIST", "raw", name), bytes);
        await assert.rejects(loadMnist(folder, "test"), says(message));
      }));
  }
  await t.step("labels missing", () =>
    inFolder(async (folder) => {
      await writeMnist(folder);
      await Deno.remove(join(folder, "MNIST", "raw", labels));
      const message =
        /t10k-labels-idx1-ubyte\.gz": there is no such file; run \.\/denow task data mnist$/;
      await assert.rejects(loadMnist(folder, "test"), says(message));
    }));
});

Deno.test("loadNotMnist() takes the readable files in code-unit order, from archive or folder", async () => {
  await inFolder(async (folder) => {
    await writeArchive(folder);
    const archive = await loadNotMnist(folder);
    for (const { name, data } of notMnistFiles()) {
      await Deno.mkdir(join(folder, name, ".."), { recursive: true });
      await Deno.writeFile(join(folder, name), data);
    }
    const unpacked = await loadNotMnist(folder);
    assert.equal(unpacked.source, join(folder, "notMNIST_small"));
    for (const set of [archive, unpacked]) {
      assert.equal(set.count, 30);
      assert.deepEqual(set.groups, new Array(10).fill(3));
      assert.deepEqual(set.files?.slice(0, 4), ["A/B.png", "A/a.png", "A/b.png", "B/B.png"]);
      assert.deepEqual(set.skipped?.slice(0, 3), ["A/AA.png", "A/Z.png", "A/small.png"]);
      assert.equal(set.skipped?.length, 30);
      assert.deepEqual([...set.labels.subarray(0, 7)], [0, 0, 0, 1, 1, 1, 2]);
      assert.deepEqual([...set.images.subarray(784, 1568)], [...glyph(0)]);
    }
    assert.equal(unpacked.sha256, archive.sha256);
    assert.equal(unpacked.listSha256, archive.listSha256);
    const list = createHash("sha256").update(archive.files?.join("\n") ?? "").digest("hex");
    assert.equal(archive.listSha256, list);
  });
});

Deno.test("loadNotMnist() stops at the number asked for, broken files not counted", async () => {
  await inFolder(async (folder) => {
    await writeArchive(folder);
    const { groups, files, skipped } = await loadNotMnist(folder, { perLetter: 2 });
    assert.deepEqual(groups, new Array(10).fill(2));
    assert.deepEqual(files?.slice(0, 2), ["A/B.png", "A/a.png"]);
    assert.deepEqual(skipped?.slice(0, 3), ["A/AA.png", "A/Z.png", "B/AA.png"]);
  });
});

Deno.test("loadNotMnist() refuses a broken or missing archive", async (t) => {
  const tar = createTar(notMnistFiles());
  const damaged = tar.slice();
  damaged[3] = (damaged[3] ?? 0) ^ 1;
  const cases: [what: string, bytes: Uint8Array, message: RegExp][] = [
    ["cut gzip", gzipSync(tar).subarray(0, 1000), /its gzip data is damaged/],
    ["cut tar", gzipSync(tar.subarray(0, 700)), /as a tar archive: its last file is cut off/],
    ["damaged header", gzipSync(damaged), /as a tar archive: the header at byte 0 is damaged/],
    ["text", new TextEncoder().encode("<html>".repeat(100)), /the header at byte 0 is damaged/],
    ["a letter missing", gzipSync(createTar(notMnistFiles().slice(7))), /PNG of the letter A/],
  ];
  await inFolder(async (folder) => {
    await t.step("no archive", async () => {
      await assert.rejects(
        loadNotMnist(folder),
        says(/no such file; run \.\/denow task data notmnist$/),
      );
    });
    for (const [what, bytes, message] of cases) {
      await t.step(what, async () => {
        await Deno.writeFile(join(folder, "notMNIST_small.tar.gz"), bytes);
        await assert.rejects(loadNotMnist(folder), says(message));
      });
    }
  });
});

Deno.test("readTar() reads ustar prefixes, GNU long names and pax paths", async () => {
  const long = `notMNIST_small/A/${"q".repeat(120)} x==.png`;
  await inFolder(async (folder) => {
    await Deno.mkdir(join(folder, "notMNIST_small", "A"), { recursive: true });
    await Deno.writeFile(join(folder, long), Uint8Array.of(1, 2, 3));
    for (const format of ["ustar", "gnu", "pax"]) {
      const path = format === "ustar" ? long.replace("q".repeat(120), "q".repeat(80)) : long;
      if (path !== long) await Deno.rename(join(folder, long), join(folder, path));
      const command = new Deno.Command("tar", {
        args: ["-C", folder, `--format=${format}`, "-cf", "-", "notMNIST_small"],
      });
      const entries = readTar((await command.output()).stdout, "x.tar");
      assert.deepEqual(entries.map(({ path, data }) => [path, [...data]]), [[path, [1, 2, 3]]]);
      if (path !== long) await Deno.rename(join(folder, path), join(folder, long));
    }
  });
});

Deno.test({
  name: `loadMnist() reads the true MNIST${onReal}`,
  ignore: !real,
  fn: async () => {
    const train = await loadMnist(realPath, "train");
    const test = await loadMnist(realPath, "test");
    const trained = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
    assert.deepEqual(perClass(train.labels), trained);
    assert.deepEqual(perClass(test.labels), [
      980,
      1135,
      1032,
      1010,
      982,
      892,
      958,
      1028,
      974,
      1009,
    ]);
    assert.deepEqual([...test.labels.subarray(0, 5)], [7, 2, 1, 0, 4]);
  },
});

Deno.test({
  name: `loadNotMnist() reads the true notMNIST, pixel for pixel as another decoder${onReal}`,
  ignore: !real,
  fn: async () => {
    const set = await loadNotMnist(realPath);
    assert.equal(set.count, 5375);
    assert.deepEqual(set.groups, [556, 547, 528, 525, 530, 528, 520, 534, 565, 542]);
    assert.deepEqual(perClass(set.labels), set.groups);
    assert.deepEqual(set.skipped, []);
    const bytes = gunzipSync(await Deno.readFile(join(realPath, "notMNIST_small.tar.gz")));
    const files = new Map(parseTar(new Uint8Array(bytes)).map(({ name, data }) => [name, data]));
    for (let i = 0; i < set.count; i += 25) {
      const file = files.get(`notMNIST_small/${set.files?.[i]}`);
      assert.ok(file);
      assert.deepEqual([...set.images.subarray(784 * i, 784 * (i + 1))], [...decode(file).data]);
    }
  },
});
