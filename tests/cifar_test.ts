/** CIFAR-10 in each of its forms, made here and, where they are, the true ones. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { createTar } from "nanotar";
import { describeData, download, loadCifar10, sets } from "../data/mod.ts";
import { findCifar10, missingCifar10 } from "../data/cifar.ts";
import { readNumpyDictionary } from "../data/numpy.ts";
import { latin1, PickleError, readPickle } from "../src/base/pickle.ts";
import {
  batchPickle,
  batchRecords,
  colourImage,
  perClass,
  pickledText,
  says,
  served,
} from "./data_support.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { inFolder } from "./support.ts";

const pixels = 3072;

/** Files by their path under the data path. */
type Files = Readonly<Record<string, Uint8Array>>;

async function write(folder: string, files: Files): Promise<void> {
  for (const [path, bytes] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
    await Deno.writeFile(join(folder, path), bytes);
  }
}

function archive(files: Files): Uint8Array {
  return gzipSync(createTar(Object.entries(files).map(([name, data]) => ({ name, data }))));
}

const batches = {
  "cifar-10-batches-py": {
    data_batch_1: batchPickle([3, 0]),
    data_batch_2: batchPickle([9]),
    test_batch: batchPickle([5, 5]),
  },
  "cifar-10-batches-bin": {
    "data_batch_1.bin": batchRecords([3, 0]),
    "data_batch_2.bin": batchRecords([9]),
    "test_batch.bin": batchRecords([5, 5]),
  },
} as const;

function inside(folder: keyof typeof batches): Files {
  return Object.fromEntries(
    Object.entries(batches[folder]).map(([name, bytes]) => [join(folder, name), bytes]),
  );
}

/** CIFAR-10 in four forms: three images to train on in two batches of five, two to test on. */
const forms: readonly { source: string; files: Files }[] = [
  { source: "cifar-10-batches-py", files: inside("cifar-10-batches-py") },
  { source: "cifar-10-batches-bin", files: inside("cifar-10-batches-bin") },
  {
    source: "cifar-10-python.tar.gz",
    files: { "cifar-10-python.tar.gz": archive(inside("cifar-10-batches-py")) },
  },
  {
    source: "cifar-10-binary.tar.gz",
    files: { "cifar-10-binary.tar.gz": archive(inside("cifar-10-batches-bin")) },
  },
];

Deno.test("loadCifar10() reads the same images from each form", async (t) => {
  const hashes = new Set<string>();
  for (const { source, files } of forms) {
    await t.step(source, () =>
      inFolder(async (folder) => {
        await write(folder, files);
        const train = await loadCifar10(folder, "train");
        assert.equal(train.name, "CIFAR-10 train");
        assert.equal(train.source, join(folder, source));
        assert.deepEqual(train.shape, [3, 32, 32]);
        assert.deepEqual([...train.labels], [3, 0, 9]);
        const [first, second] = [colourImage(0), colourImage(1)];
        assert.deepEqual([...train.images], [...first, ...second, ...first]);
        const test = await loadCifar10(folder, "test");
        assert.deepEqual([test.name, ...test.labels], ["CIFAR-10 test", 5, 5]);
        hashes.add(train.sha256);
      }));
  }
  assert.equal(hashes.size, 1);
});

Deno.test("findCifar10() takes the first form that has the part", () =>
  inFolder(async (folder) => {
    assert.equal(await findCifar10(folder, "train"), undefined);
    const archive = join(folder, "cifar-10-python.tar.gz");
    assert.deepEqual(await missingCifar10(folder, "train"), [archive]);
    for (const { source, files } of forms.toReversed()) {
      await write(folder, files);
      assert.equal((await findCifar10(folder, "train"))?.path, join(folder, source));
    }
    for (const name of ["data_batch_1", "data_batch_2"]) {
      await Deno.remove(join(folder, "cifar-10-batches-py", name));
    }
    assert.match((await findCifar10(folder, "train"))?.path ?? "", /cifar-10-batches-bin$/);
    assert.match((await findCifar10(folder, "test"))?.path ?? "", /cifar-10-batches-py$/);
    assert.deepEqual(await missingCifar10(folder, "train"), []);
  }));

Deno.test("loadCifar10() refuses what is damaged or missing and says why", async (t) => {
  const python = "cifar-10-batches-py/test_batch";
  const records = "cifar-10-batches-bin/test_batch.bin";
  const zipped = "cifar-10-python.tar.gz";
  const whole = batchPickle([1, 2]);
  const cases: [what: string, path: string, bytes: Uint8Array, message: RegExp][] = [
    ["nothing", python, new Uint8Array(), /test_batch": its pickle was cut off; fetch it again$/],
    ["a cut pickle", python, whole.subarray(0, 4000), /its pickle was cut off/],
    ["text", python, new TextEncoder().encode("<html>"), /holds the instruction 0x3c/],
    ["a later protocol", python, Uint8Array.of(0x80, 6, 0x4e, 0x2e), /of a later protocol than 5/],
    ["no dictionary", python, pickle("N."), /its pickle is no dictionary/],
    ["an empty dictionary", python, pickle("}."), /its pickle has no "data" and "labels"/],
    ["a label 10", python, batchPickle([1, 10]), /label 1 is 10, labels are 0 to 9/],
    ["a label too few", python, batchPickle([1], 2), /it has 2 images and 1 labels/],
    ["no images", python, batchPickle([], 0), /its data is of shape \[0,3072\]/],
    ["another shape", python, batchPickle([1, 2], 2, [1, 2 * pixels]), /shape \[1,6144\]/],
    ["another size", python, batchPickle([1, 2], 2, [3, pixels]), /another size than it says/],
    ["floats", python, replaced(whole, "u1", "f4"), /one of its arrays is of type "f4"/],
    [
      "a function",
      python,
      replaced(whole, "numpy\nndarray", "posix\nsystems"),
      /its pickle names "posix\.systems", which could run code and is refused/,
    ],
    ["no records", records, new Uint8Array(), /has 0 bytes, not a multiple of .* 3073/],
    ["a cut record", records, batchRecords([1, 2]).subarray(1), /has 6145 bytes, not a multiple/],
    ["a record labelled 10", records, batchRecords([1, 10]), /label 1 is 10, labels are 0 to 9/],
    ["cut gzip", zipped, archive({ [python]: whole }).subarray(0, 99), /gzip data is damaged/],
    ["no tar", zipped, gzipSync(new Uint8Array(600).fill(1)), /as a tar archive/],
    ["an archive without it", zipped, archive({ x: whole }), /tar\.gz": it has no "test_batch"/],
    [
      "a damaged batch in an archive",
      zipped,
      archive({ [python]: whole.subarray(0, 9) }),
      /python\.tar\.gz.cifar-10-batches-py.test_batch": its pickle was cut off/,
    ],
  ];
  for (const [what, path, bytes, message] of cases) {
    await t.step(what, () =>
      inFolder(async (folder) => {
        await write(folder, { [path]: bytes });
        await assert.rejects(loadCifar10(folder, "test"), says(message));
      }));
  }
  await t.step("nothing at all", async () => {
    const message =
      /cifar-10-python\.tar\.gz": there is no such file; run \.\/denow task data cifar10$/;
    await assert.rejects(loadCifar10("nowhere", "train"), says(message));
  });
});

Deno.test("readNumpyDictionary() reads what NumPy wrote, by rows and by columns", async () => {
  for (const name of ["cifar_batch", "cifar_batch_by_column"]) {
    const file = new URL(`golden/${name}.pickle`, import.meta.url);
    const batch = readNumpyDictionary(await Deno.readFile(file));
    assert.deepEqual(batch.get("labels"), [3, 9]);
    const rows = [0, 7].flatMap((start) =>
      Array.from({ length: pixels }, (_, j) => (start + j) % 256)
    );
    const { shape, data } = Object(batch.get("data"));
    assert.deepEqual([shape, [...data]], [[2, pixels], rows]);
  }
});

Deno.test("a damaged batch is an error or a batch, never a crash", async () => {
  const whole = await Deno.readFile(new URL("golden/cifar_batch.pickle", import.meta.url));
  for (let at = 0; at < whole.length; at += at < 400 ? 1 : 97) {
    const flipped = whole.slice();
    flipped[at] = (flipped[at] ?? 0) ^ (1 + at * 0x55 % 255);
    for (const bytes of [flipped, whole.subarray(0, at)]) {
      try {
        assert.ok(readNumpyDictionary(bytes) instanceof Map);
      } catch (error) {
        assert.ok(error instanceof PickleError, `byte ${at}: ${error}`);
      }
    }
  }
});

Deno.test("readPickle() keeps every byte of a byte string, short or long", () => {
  const every = Uint8Array.from({ length: 256 }, (_, i) => i);
  const options = { allowed: new Set<string>(), reduce: (): unknown => null };
  for (const bytes of [every.subarray(0, 255), every, new Uint8Array(300_000).fill(0x80)]) {
    const pickled = pickledText(bytes);
    assert.equal(readPickle(pickled, options), latin1(bytes));
    const byteString = (view: Uint8Array): Uint8Array => view;
    assert.deepEqual(readPickle(pickled, { ...options, byteString }), bytes);
  }
});

Deno.test("readPickle() hands states to the caller and refuses persistent ids that nobody knows", () => {
  const seen: unknown[] = [];
  const options = {
    allowed: new Set(["a.b"]),
    reduce: (): unknown => "made",
    build: (...pair: unknown[]): void => void seen.push(pair),
  };
  assert.equal(readPickle(pickle("ca\nb\n)RK\x07b."), options), "made");
  assert.deepEqual(seen, [["made", 7]]);
  assert.throws(() => readPickle(pickle("NQ."), options), /refers to something outside itself/);
});

Deno.test("describeData() tells that CIFAR-10 is there in part, and what is missing", () =>
  inFolder(async (folder) => {
    const rows = async (): ReturnType<typeof describeData> =>
      (await describeData(folder)).filter(({ name }) => name.startsWith("CIFAR-10 "));
    for (const row of await rows()) {
      assert.equal(row.present, false);
      assert.equal(row.note, "run ./denow task data cifar10");
      assert.equal(row.path, join(folder, "cifar-10-python.tar.gz"));
    }
    await write(folder, inside("cifar-10-batches-bin"));
    const [train, test] = await rows();
    assert.deepEqual([train?.count, train?.bytes, train?.checksum], [3, 3 * 3073, "none"]);
    assert.equal(
      train?.note,
      "a usable part, 3 of the 50000 images: run ./denow task data cifar10 for all",
    );
    assert.equal(
      test?.note,
      "a usable part, 2 of the 10000 images: run ./denow task data cifar10 for all",
    );
    await Deno.remove(join(folder, "cifar-10-batches-bin"), { recursive: true });
    await write(folder, forms[2]?.files ?? {});
    assert.deepEqual((await rows()).map(({ checksum }) => checksum), ["differs", "differs"]);
  }));

Deno.test("a download of CIFAR-10 lies where it is read", () =>
  inFolder(async (destination) => {
    const bytes = forms[2]?.files["cifar-10-python.tar.gz"] ?? new Uint8Array();
    const hex = createHash("md5").update(bytes).digest("hex");
    await served(bytes, async (url) => {
      const [source] = sets.cifar10.downloads;
      const made = { ...source, size: bytes.length, checksum: { algorithm: "md5", hex } } as const;
      const { path } = await download(made, { destination, urls: [`${url}/${source.name}`] });
      assert.equal((await loadCifar10(destination, "train")).source, path);
    });
  }));

testWithShared(
  "loadCifar10() reads the batches that are there",
  ["data/cifar-10-batches-bin/data_batch_2.bin"],
  async () => {
    const train = await loadCifar10(sharedPath("data"), "train");
    const test = await loadCifar10(sharedPath("data"), "test");
    assert.deepEqual([train.count, test.count], [20_000, 10_000]);
    const first = [1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981];
    const second = [984, 1007, 1010, 995, 1010, 988, 1008, 1026, 987, 985];
    assert.deepEqual(perClass(train.labels.subarray(0, 10_000)), first);
    assert.deepEqual(perClass(train.labels.subarray(10_000)), second);
    assert.deepEqual(perClass(test.labels), new Array(10).fill(1000));
    // The set's first five images: a frog, two trucks, a deer, an automobile.
    assert.deepEqual([...train.labels.subarray(0, 5)], [6, 9, 9, 4, 1]);
    assert.deepEqual([...test.labels.subarray(0, 5)], [3, 8, 8, 0, 6]);
    const hash = createHash("sha256").update(test.images.subarray(0, 10 * pixels)).digest("hex");
    assert.equal(hash, "31360461ce3d29ff1d26f055f694e60dd437b2bc23d60fae1246842ac654ea30");
    const rows = await describeData(sharedPath("data"));
    const notes = rows.filter(({ name }) => name.startsWith("CIFAR-10 ")).map(({ note }) => note);
    assert.deepEqual(notes, [
      "a usable part, 20000 of the 50000 images: run ./denow task data cifar10 for all",
      "",
    ]);
  },
);

function pickle(text: string): Uint8Array {
  return Uint8Array.from(`\x80\x02${text}`, (c) => c.charCodeAt(0));
}

/** The bytes with the first occurrence of some text replaced by other text of the same length. */
function replaced(bytes: Uint8Array, text: string, other: string): Uint8Array {
  assert.equal(text.length, other.length);
  const at = latin1(bytes).indexOf(text);
  assert.ok(at >= 0);
  const result = bytes.slice();
  result.set(new TextEncoder().encode(other), at);
  return result;
}
