/** Sets, pairs, the embedded data and the overview of what is there. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fc } from "./property.ts";
import {
  allSets,
  describeData,
  type ImageSet,
  limit,
  loadEmbedded,
  type OpenSets,
  openSets,
} from "../data/mod.ts";
import { imageSet } from "../data/image_set.ts";
import {
  batchRecords,
  onReal,
  real,
  realPath,
  says,
  writeArchive,
  writeMnist,
} from "./data_support.ts";
import { svhn } from "./mat_writer.ts";
import { inFolder } from "./support.ts";

/** A set in groups of the given sizes whose pixels and labels number the images. */
function numbered(groups: number[]): ImageSet {
  const count = groups.reduce((sum, size) => sum + size, 0);
  const images = Uint8Array.from({ length: count * 2 }, (_, i) => i >> 1);
  const labels = Uint8Array.from(groups.flatMap((size, i) => new Array<number>(size).fill(i)));
  const files = Array.from({ length: count }, (_, i) => `${i}.png`);
  return imageSet({ name: "x", images, labels, shape: [1, 1, 2], source: "x", groups, files });
}

Deno.test("limit() takes as many of every group, the rest from the first groups", () => {
  const set = limit(numbered([4, 4, 4]), 8);
  assert.deepEqual(set.groups, [3, 3, 2]);
  assert.deepEqual(set.files, [0, 1, 2, 4, 5, 6, 8, 9].map((i) => `${i}.png`));
  assert.deepEqual([...set.images], [0, 1, 2, 4, 5, 6, 8, 9].flatMap((i) => [i, i]));
  assert.deepEqual([...set.labels], [0, 0, 0, 1, 1, 1, 2, 2]);
});

Deno.test("limit() keeps pixels, labels, files and hashes together", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 6 });
  fc.assert(fc.property(sizes, fc.integer({ min: 1, max: 40 }), (groups, n) => {
    const whole = numbered(groups);
    const part = limit(whole, n);
    assert.ok(part.count <= Math.min(n, whole.count));
    if (n <= groups.length * Math.min(...groups)) {
      assert.equal(part.count, Math.min(n, whole.count));
    }
    assert.equal(part.count, part.labels.length);
    for (const [i, file] of part.files?.entries() ?? []) {
      const index = parseInt(file);
      assert.deepEqual([...part.images.subarray(2 * i, 2 * i + 2)], [index, index]);
      assert.equal(part.labels[i], whole.labels[index]);
    }
    assert.equal(part.sha256 === whole.sha256, part.count === whole.count);
    assert.equal(part.listSha256 === whole.listSha256, part.count === whole.count);
  }));
});

Deno.test("limit() takes the first images of a set without groups, and refuses 0", () => {
  const { name, images, labels, shape, source } = numbered([5]);
  const set = imageSet({ name, images, labels, shape, source });
  assert.deepEqual([...limit(set, 2).images], [0, 0, 1, 1]);
  assert.equal(limit(set, 2).groups, undefined);
  assert.equal(limit(set, 5), set);
  for (const n of [0, -1, 1.5, NaN]) assert.throws(() => limit(set, n), says(/whole number/));
});

const digits = { inDomain: "mnist", outDomain: "notmnist" } as const;

/** Names of what was opened: images to train on, to evaluate on, and out of domain. */
async function namesOf({ inDomain, outDomain }: OpenSets): Promise<(string | undefined)[]> {
  const images = [
    await inDomain.images("train"),
    await inDomain.images("test"),
    await outDomain?.images("test"),
  ];
  return images.map((set) => set?.name);
}

Deno.test("openSets() opens the sets that are there", async () => {
  await inFolder(async (folder) => {
    await writeMnist(folder);
    await writeArchive(folder);
    for (
      const [dataPath, options] of [[folder, {}], [undefined, { defaultPath: folder }]] as const
    ) {
      const open = await openSets(digits, dataPath, options);
      assert.equal(open.embedded, false);
      assert.deepEqual(await namesOf(open), ["MNIST train", "MNIST test", "notMNIST"]);
    }
    // Each is read once.
    const { inDomain } = await openSets(digits, folder);
    const [first, second] = [await inDomain.images("test"), await inDomain.images("test")];
    assert.equal(first, second);
  });
});

Deno.test("openSets() falls back on the embedded data by default, but not where a path is named", async () => {
  await inFolder(async (folder) => {
    const fallback = await openSets(digits, undefined, { defaultPath: folder });
    assert.equal(fallback.embedded, true);
    assert.equal(fallback.missing.length, 5);
    assert.deepEqual(await namesOf(fallback), [
      "embedded digits train",
      "embedded digits test",
      "embedded letters",
    ]);
    await assert.rejects(openSets(digits, folder), says(/train-images.*and 4 more.* is missing/));
    await writeMnist(folder);
    const half = says(
      /"[^"]*notMNIST_small.tar.gz" is missing; run \.\/denow task data mnist notmnist/,
    );
    await assert.rejects(openSets(digits, folder), half);
    const partial = await openSets(digits, undefined, { defaultPath: folder });
    assert.deepEqual(partial.missing, [join(folder, "notMNIST_small.tar.gz")]);
    assert.equal((await partial.inDomain.images("test")).name, "embedded digits test");
    // To train, the in-domain set is enough; beside a set without a stand-in nothing is embedded.
    const alone = await openSets({ inDomain: "mnist" }, undefined, { defaultPath: folder });
    assert.deepEqual(await namesOf(alone), ["MNIST train", "MNIST test", undefined]);
    const other = { inDomain: "mnist", outDomain: "fashion-mnist" } as const;
    const none = says(/FashionMNIST.raw.t10k-images[^"]*" \(and 1 more\) is missing/);
    await assert.rejects(openSets(other, undefined, { defaultPath: folder }), none);
    await writeMnist(folder, "FashionMNIST");
    assert.deepEqual(
      await namesOf(await openSets(other, undefined, { defaultPath: folder })),
      ["MNIST train", "MNIST test", "Fashion-MNIST test"],
    );
  });
});

Deno.test("openSets() opens CIFAR-10 and SVHN, and says what to download where nothing stands in", async () => {
  await inFolder(async (folder) => {
    const open = (dataPath?: string): ReturnType<typeof openSets> =>
      openSets({ inDomain: "cifar10", outDomain: "svhn" }, dataPath, { defaultPath: folder });
    const nothing = new RegExp(
      '^Cannot use the data in "[^"]*": "[^"]*cifar-10-python.tar.gz" \\(and 1 more\\) is missing; ' +
        "run ./denow task data cifar10 svhn, or name the folder that has it with --data-path$",
    );
    await assert.rejects(open(), says(nothing));
    await Deno.mkdir(join(folder, "cifar-10-batches-bin"));
    for (const name of ["data_batch_4", "test_batch"]) {
      const path = join(folder, "cifar-10-batches-bin", `${name}.bin`);
      await Deno.writeFile(path, batchRecords([1, 2]));
    }
    await assert.rejects(
      open(folder),
      says(/test_32x32\.mat" is missing; run \.\/denow task data cifar10 svhn --data-path [^ ]+$/),
    );
    await Deno.writeFile(join(folder, "test_32x32.mat"), svhn([7]));
    for (const sets of [await open(), await open(folder)]) {
      assert.equal(sets.embedded, false);
      assert.deepEqual(await namesOf(sets), ["CIFAR-10 train", "CIFAR-10 test", "SVHN test"]);
    }
  });
});

Deno.test("a set downloads just what it misses in an empty folder", async () => {
  for (const { parts, downloads, missing } of allSets) {
    const found = [
      ...parts.train ? await missing("nowhere", "train") : [],
      ...await missing("nowhere", "test"),
    ];
    assert.deepEqual(
      [...new Set(found)],
      downloads.map(({ path }) => join("nowhere", path)),
    );
  }
});

Deno.test("loadEmbedded() reads digits and ordered letters", async () => {
  for (const [split, count] of [["train", 8000], ["test", 2000]] as const) {
    const set = await loadEmbedded(split);
    assert.equal(set.count, count);
    assert.equal(new Set(set.labels).size, 10);
    assert.equal(set.source, "embedded");
  }
  const letters = await loadEmbedded("letters");
  assert.ok(letters.count >= 2000);
  assert.equal(letters.groups?.length, 10);
  assert.deepEqual(letters.labels, letters.labels.toSorted());
  assert.deepEqual(limit(letters, 20).groups, new Array(10).fill(2));
});

Deno.test("describeData() tells what is there, missing, broken or a part", async () => {
  await inFolder(async (folder) => {
    const before = await describeData(folder);
    assert.deepEqual(before.slice(0, 3).map(({ present }) => present), [false, false, false]);
    assert.match(
      before[0]?.note ?? "",
      /train-images.* and .*train-labels.*run \.\/denow task data mnist/,
    );
    await writeMnist(folder);
    await writeArchive(folder);
    const labels = join(folder, "MNIST", "raw", "t10k-labels-idx1-ubyte");
    await Deno.writeFile(labels, Uint8Array.of(1));
    const rows = await describeData(folder);
    const [train, test, letters] = rows;
    assert.deepEqual([train?.count, train?.checksum], [3, "differs"]);
    assert.match(train?.note ?? "", /^a usable part, 3 of the 60000 images: run .* mnist for all$/);
    assert.deepEqual([test?.present, test?.count, test?.checksum], [true, 0, "none"]);
    assert.match(test?.note ?? "", /it starts with 01/);
    assert.deepEqual([letters?.count, letters?.checksum], [30, "differs"]);
    assert.match(letters?.note ?? "", /30 of the 10000.*30 unreadable/);
    const embedded = rows.filter(({ path }) => path === "embedded");
    assert.deepEqual(embedded.map(({ name, count, note }) => [name, count >= 2000, note]), [
      ["embedded digits train", true, ""],
      ["embedded digits test", true, ""],
      ["embedded letters", true, ""],
    ]);
  });
});

Deno.test({
  name: `describeData() finds the true MNIST's checksums right${onReal}`,
  ignore: !real,
  fn: async () => {
    const [train, test, letters] = await describeData(realPath);
    assert.deepEqual([train?.count, train?.checksum], [60_000, "right"]);
    assert.deepEqual([test?.count, test?.checksum], [10_000, "right"]);
    assert.match(letters?.note ?? "", /5375 of the 10000/);
  },
});

Deno.test("labels beyond a byte are kept, and hashed by both of their bytes", () => {
  const parts = { name: "many classes", shape: [1, 1, 1], source: "made here" } as const;
  const images = Uint8Array.of(1, 2, 3);
  const wide = imageSet({ ...parts, images, labels: [0, 300, 299] });
  assert.deepEqual([...wide.labels], [0, 300, 299]);
  assert.deepEqual([...limit(wide, 2).labels], [0, 300]);
  const folded = imageSet({ ...parts, images, labels: [0, 300 % 256, 299 % 256] });
  assert.notEqual(wide.sha256, folded.sha256);
  for (const label of [-1, 65_536, 1.5, NaN]) {
    assert.throws(
      () => imageSet({ ...parts, images, labels: [0, label, 1] }),
      /^UserError: Cannot make the set "many classes": label 2 is .*; give whole numbers from 0 to 65535$/,
    );
  }
  assert.throws(
    () => imageSet({ ...parts, images, labels: [0, 1, 2], shape: [1, -1, -1] }),
    /^UserError: Cannot make the set "many classes": .* disagree in size/,
  );
});
