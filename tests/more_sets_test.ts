/** Readers of Kuzushiji-MNIST, EMNIST's letters and CIFAR-100, on files made here as theirs are. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { createTar } from "nanotar";
import { type DataSet, describeData, sets } from "../data/mod.ts";
import { colourImage, glyph, idx, says, writeMnist } from "./data_support.ts";
import { inFolder } from "./support.ts";
import { zip } from "./torch_writer.ts";

const { kmnist, "emnist-letters": emnist, cifar100 } = sets;

async function write(folder: string, files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  for (const [path, bytes] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
    await Deno.writeFile(join(folder, path), bytes);
  }
}

Deno.test("the sets have the classes, shapes and images that they are published with", () => {
  const facts = [kmnist, emnist, cifar100].map(({ classes, imageShape, parts }: DataSet) => [
    classes.length,
    imageShape.join("x"),
    parts.train?.count,
    parts.test.count,
  ]);
  assert.deepEqual(facts, [
    [10, "1x28x28", 60_000, 10_000],
    [26, "1x28x28", 124_800, 20_800],
    [100, "3x32x32", 50_000, 10_000],
  ]);
  // By the label: where the alphabet has them.
  assert.deepEqual([0, 13, 25].map((label) => emnist.classes[label]), [
    "letter A",
    "letter N",
    "letter Z",
  ]);
  assert.deepEqual([0, 41, 69, 99].map((label) => cifar100.classes[label]), [
    "apple",
    "lawn mower",
    "rocket",
    "worm",
  ]);
  assert.deepEqual(cifar100.classes, [...cifar100.classes].sort());
  for (const { downloads } of [kmnist, emnist, cifar100]) {
    for (const { size, checksum: { algorithm, hex } } of downloads) {
      assert.equal(algorithm, "sha256");
      assert.match(hex, /^[0-9a-f]{64}$/);
      assert.ok(size > 5000);
    }
  }
});

Deno.test("Kuzushiji-MNIST is read as MNIST is, from its own folder", () =>
  inFolder(async (folder) => {
    await writeMnist(folder);
    await assert.rejects(
      kmnist.load(folder, "test"),
      says(/KMNIST.raw.t10k-images-idx3-ubyte\.gz": there is no such file; run .* data kmnist$/),
    );
    await writeMnist(folder, "KMNIST");
    for (const split of ["train", "test"] as const) {
      const set = await kmnist.load(folder, split);
      assert.equal(set.name, `Kuzushiji-MNIST ${split}`);
      assert.deepEqual([...set.labels], [7, 0, 9]);
      assert.deepEqual([...set.images.subarray(0, 784)], [...glyph(1)]);
      assert.equal(set.classes?.[7], "hiragana ya");
    }
  }));

/** Two glyphs, transposed as EMNIST has them, and their labels. */
const letterFiles = (labels: readonly number[]): [images: Uint8Array, labels: Uint8Array] => {
  const transposed = labels.flatMap((_, seed) => {
    const upright = glyph(seed);
    return Array.from({ length: 784 }, (_, i) => upright[(i % 28) * 28 + Math.floor(i / 28)] ?? 0);
  });
  return [
    idx([labels.length, 28, 28], Uint8Array.from(transposed)),
    idx([labels.length], Uint8Array.from(labels)),
  ];
};

/** What a part's files are called. */
const namesOf = (split: string): string[] =>
  ["images-idx3-ubyte", "labels-idx1-ubyte"].map((of) => `emnist-letters-${split}-${of}`);

/** EMNIST's archive: a folder of files that are packed themselves, among others. */
function emnistArchive(): Uint8Array {
  const files = (["train", "test"] as const).flatMap((split, i) =>
    letterFiles(i === 0 ? [1, 26, 2] : [26, 1]).map((bytes, at): [string, Uint8Array] => [
      `gzip/${namesOf(split)[at]}.gz`,
      gzipSync(bytes),
    ])
  );
  return zip(
    [["gzip/emnist-digits-test-labels-idx1-ubyte.gz", new Uint8Array(3)], ...files],
  );
}

Deno.test("EMNIST's letters are read upright from files and from the archive, labels from 0 on", () =>
  inFolder(async (folder) => {
    const raw = join("EMNIST", "raw");
    await assert.rejects(
      emnist.load(folder, "test"),
      says(/EMNIST.raw.gzip\.zip": there is no such file; run .* data emnist-letters$/),
    );
    assert.deepEqual(await emnist.missing(folder, "test"), [join(folder, raw, "gzip.zip")]);
    await write(folder, { [join(raw, "gzip.zip")]: emnistArchive() });
    assert.deepEqual(await emnist.missing(folder, "test"), []);
    const packed = await emnist.load(folder, "train");
    assert.equal(packed.source, join(folder, raw, "gzip.zip"));
    assert.equal(packed.name, "EMNIST letters train");
    assert.deepEqual([...packed.labels], [0, 25, 1]);
    for (const seed of [0, 1, 2]) {
      assert.deepEqual([...packed.images.subarray(784 * seed, 784 * (seed + 1))], [...glyph(seed)]);
    }
    // As torchvision leaves them: unpacked.
    const [images, labels] = letterFiles([1, 26, 2]);
    const [first = "", second = ""] = namesOf("train");
    await write(folder, {
      [join(raw, first)]: images,
      [join(raw, `${second}.gz`)]: gzipSync(labels),
    });
    const unpacked = await emnist.load(folder, "train");
    assert.equal(unpacked.source, join(folder, raw));
    assert.equal(unpacked.sha256, packed.sha256);
    assert.deepEqual([...(await emnist.load(folder, "test")).labels], [25, 0]);

    for (const wrong of [0, 27]) {
      await write(folder, { [join(raw, second)]: letterFiles([1, wrong, 2])[1] });
      await Deno.remove(join(folder, raw, `${second}.gz`)).catch(() => {});
      await assert.rejects(
        emnist.load(folder, "train"),
        says(new RegExp(`label 1 is ${wrong}, labels are 1 to 26$`)),
      );
    }
    await write(folder, { [join(raw, "gzip.zip")]: zip([["gzip/x", new Uint8Array(1)]]) });
    await assert.rejects(
      emnist.load(folder, "test"),
      says(/images-idx3-ubyte\.gz": it is not there; fetch it/),
    );
    await write(folder, { [join(raw, "gzip.zip")]: emnistArchive().subarray(0, 300) });
    await assert.rejects(
      emnist.load(folder, "test"),
      says(/the zip archive was cut off; fetch it again$/),
    );
  }));

/** Records of CIFAR-100: group, class, pixels. */
const records = (labels: readonly number[]): Uint8Array =>
  Uint8Array.from(labels.flatMap((label, i) => [label % 20, label, ...colourImage(i)]));

/** The same as Python 2 pickles it. */
function pickled(labels: readonly number[]): Uint8Array {
  const ascii = (text: string): number[] => Array.from(text, (c) => c.charCodeAt(0));
  const u32 = (n: number): number[] => [n & 255, n >> 8 & 255, n >> 16 & 255, n >>> 24];
  const bytes = labels.flatMap((_, i) => [...colourImage(i)]);
  const list = labels.flatMap((label) => [0x4b, label]);
  return Uint8Array.from([
    ...ascii("\x80\x02}q\x01(U\x0dcoarse_labelsq\x02]q\x03("),
    ...labels.flatMap((label) => [0x4b, label % 20]),
    ...ascii("eU\x0bfine_labelsq\x04]q\x05("),
    ...list,
    ...ascii("eU\x04dataq\x06cnumpy.core.multiarray\n_reconstruct\nq\x07cnumpy\nndarray\n"),
    ...ascii("q\x08K\0\x85q\x09U\x01bq\x0a\x87q\x0bRq\x0c(K\x01J"),
    ...u32(labels.length),
    ...ascii("J"),
    ...u32(3072),
    ...ascii("\x86cnumpy\ndtype\nq\x0dU\x02u1K\0K\x01\x87Rq\x0e(K\x03U\x01|NNNJ"),
    ...ascii("\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T"),
    ...u32(bytes.length),
    ...bytes,
    ...ascii("tbu."),
  ]);
}

Deno.test("CIFAR-100 is read by its classes, from each of its forms", async (t) => {
  const [train, test] = [[99, 0, 41], [7, 7]];
  const binary = { "train.bin": records(train), "test.bin": records(test) };
  const python = { train: pickled(train), test: pickled(test) };
  const inside = (
    folder: string,
    files: Readonly<Record<string, Uint8Array>>,
  ): Record<string, Uint8Array> =>
    Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`${folder}/${name}`, bytes]));
  const archive = (files: Readonly<Record<string, Uint8Array>>): Uint8Array =>
    gzipSync(createTar(Object.entries(files).map(([name, data]) => ({ name, data }))));
  const forms = {
    "cifar-100-binary": inside("cifar-100-binary", binary),
    "cifar-100-python": inside("cifar-100-python", python),
    "cifar-100-binary.tar.gz": {
      "cifar-100-binary.tar.gz": archive(inside("cifar-100-binary", binary)),
    },
    "cifar-100-python.tar.gz": {
      "cifar-100-python.tar.gz": archive(inside("cifar-100-python", python)),
    },
  };
  const hashes = new Set<string>();
  for (const [source, files] of Object.entries(forms)) {
    await t.step(source, () =>
      inFolder(async (folder) => {
        await write(folder, files);
        const set = await cifar100.load(folder, "train");
        assert.deepEqual([set.name, set.source], ["CIFAR-100 train", join(folder, source)]);
        assert.deepEqual([...set.labels], train);
        assert.deepEqual([...set.images], [0, 1, 2].flatMap((i) => [...colourImage(i)]));
        assert.deepEqual([...(await cifar100.load(folder, "test")).labels], test);
        hashes.add(set.sha256);
      }));
  }
  assert.equal(hashes.size, 1);
  await t.step("damaged ones are refused", () =>
    inFolder(async (folder) => {
      const path = "cifar-100-binary/test.bin";
      await write(folder, { [path]: records([3, 100]) });
      await assert.rejects(
        cifar100.load(folder, "test"),
        says(/label 1 is 100, labels are 0 to 99/),
      );
      await write(folder, { [path]: records([3]).subarray(1) });
      await assert.rejects(
        cifar100.load(folder, "test"),
        says(/has 3073 bytes, not a multiple .* 3074/),
      );
      const [row] = (await describeData(folder)).filter(({ name }) => name === "CIFAR-100 train");
      assert.equal(row?.note, "run ./denow task data cifar100");
    }));
});
