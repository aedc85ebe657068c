/** MATLAB's files and SVHN in them, made here and, where it is, the true subset. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fc } from "./property.ts";
import { describeData, download, loadSvhn, sets } from "../data/mod.ts";
import { readMat } from "../data/mat.ts";
import { findSvhn, missingSvhn } from "../data/svhn.ts";
import { UserError } from "../src/base/errors.ts";
import { colourImage, perClass, says, served } from "./data_support.ts";
import { mat, numbers, svhn } from "./mat_writer.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { inFolder } from "./support.ts";

const places = ["SVHN/test_32x32.mat", "test_32x32.mat", "SVHN/svhn_color_subset_32x32.mat"];

async function write(folder: string, path: string, bytes: Uint8Array): Promise<void> {
  await Deno.mkdir(join(folder, "SVHN"), { recursive: true });
  await Deno.writeFile(join(folder, path), bytes);
}

Deno.test("readMat() reads every kind of number, order and form", () => {
  const kind = fc.constantFrom(
    ...[
      "int8",
      "uint8",
      "int16",
      "uint16",
      "int32",
      "uint32",
      "int64",
      "uint64",
      "double",
    ] as const,
  );
  const stored = fc.constantFrom(undefined, "uint8", "int16", "single", "int64");
  const shape = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 2, maxLength: 4 });
  const options = fc.record({ compressed: fc.boolean(), little: fc.boolean() });
  fc.assert(fc.property(kind, stored, shape, options, (kind, stored, shape, options) => {
    const values = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i % 100);
    const variable = { name: "abcdef", shape, values, kind, ...(stored && { stored }) } as const;
    const [first, second, ...others] = readMat(
      mat([variable, { ...variable, name: "z", kind: "single" }], options),
      "x",
      2 ** 20,
    );
    assert.deepEqual(others, []);
    assert.equal(first?.[0], "abcdef");
    assert.deepEqual(first?.[1].shape, shape);
    assert.deepEqual([...first?.[1].data ?? []], values);
    const name = Object.prototype.toString.call(first?.[1].data).slice(8, -1).toLowerCase();
    assert.equal(name, `${kind.replace(/double|u?int64/, "float64")}array`);
    assert.equal(second?.[0], "z");
    assert.ok(second?.[1].data instanceof Float32Array);
  }));
});

Deno.test("readMat() reads signs and fractions, and passes over text and complex numbers", () => {
  for (const little of [true, false]) {
    const arrays = readMat(
      mat([
        { name: "d", shape: [1, 3], values: [-1.5, 2 ** 40, NaN], kind: "double" },
        { name: "i", shape: [2, 1], values: [-7, 70000], kind: "int32" },
        { name: "text", shape: [1, 2], values: [72, 105], kind: "char" },
        { name: "c", shape: [1, 1], values: [1], kind: "double", complex: true },
      ], { little }),
      "x",
      2 ** 20,
    );
    assert.deepEqual([...arrays.keys()], ["d", "i"]);
    assert.deepEqual(arrays.get("d")?.data, Float64Array.of(-1.5, 2 ** 40, NaN));
    assert.deepEqual(arrays.get("i")?.data, Int32Array.of(-7, 70000));
  }
});

Deno.test("readMat() refuses what is no MAT-file of level 5", async (t) => {
  const whole = mat([{ name: "x", shape: [2, 4], values: [1, 2, 3, 4, 5, 6, 7, 8] }]);
  const hdf5 = new Uint8Array(600);
  hdf5.set(new TextEncoder().encode("MATLAB 7.3 MAT-file"));
  hdf5.set([0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a], 512);
  const zipped = mat([{ name: "x", shape: [1, 1], values: [1] }], { compressed: true });
  const torn = zipped.slice();
  torn[140] = (torn[140] ?? 0) ^ 255;
  const long = whole.slice();
  long[128 + 8 + 16 + 8] = 3;
  const cases: [what: string, bytes: Uint8Array, message: RegExp][] = [
    ["nothing", new Uint8Array(), /^Cannot read "x": it is empty; fetch it again$/],
    ["text", new TextEncoder().encode("<html>".repeat(40)), /it is no MAT-file; fetch it again$/],
    ["version 7.3", hdf5, /it is a MAT-file of version 7\.3 \(HDF5\); save it with -v7$/],
    ["bare HDF5", hdf5.subarray(512), /of version 7\.3/],
    [
      "version 4",
      numbers([0, 2, 2, 0, 2], "int32", true),
      /or one of version 4; save it with -v7$/,
    ],
    ["a cut header", whole.subarray(0, 100), /it is no MAT-file; fetch it again$/],
    ["a cut variable", whole.subarray(0, -1), /as a MAT-file: it was cut off; fetch it again$/],
    ["a cut tag", whole.subarray(0, 130), /it was cut off/],
    ["cut compressed data", zipped.subarray(0, -1), /it was cut off/],
    ["damaged compressed data", torn, /its compressed data is damaged/],
    ["another size", long, /one of its arrays has another size than it says/],
  ];
  for (const [what, bytes, message] of cases) {
    await t.step(what, () => {
      assert.throws(() => readMat(bytes, "x", 2 ** 20), says(message));
    });
  }
});

Deno.test("a flipped byte or a cut gives an error or variables, never a crash", () => {
  for (const compressed of [false, true]) {
    const whole = mat([{ name: "x", shape: [3, 3], values: new Array(9).fill(7) }], { compressed });
    for (let at = 0; at < whole.length; at++) {
      const flipped = whole.slice();
      flipped[at] = (flipped[at] ?? 0) ^ (1 + at * 0x55 % 255);
      for (const bytes of [flipped, whole.subarray(0, at)]) {
        try {
          readMat(bytes, "x", 2 ** 20);
        } catch (error) {
          assert.ok(error instanceof UserError, `byte ${at}: ${error}`);
        }
      }
    }
  }
});

Deno.test("loadSvhn() turns columns to rows and 10 to 0, from the first place that has it", () =>
  inFolder(async (folder) => {
    assert.deepEqual(await missingSvhn(folder), [join(folder, "SVHN", "test_32x32.mat")]);
    for (const [i, path] of places.toReversed().entries()) {
      const options = { compressed: i % 2 === 0, little: i !== 1 };
      await write(folder, path, svhn([1, 10, 9], options));
      const set = await loadSvhn(folder);
      assert.equal(set.name, path.includes("subset") ? "SVHN (subset)" : "SVHN test");
      assert.equal(set.source, join(folder, path));
      assert.deepEqual(set.shape, [3, 32, 32]);
      assert.deepEqual([...set.labels], [1, 0, 9]);
      const images = [0, 1, 2].flatMap((seed) => [...colourImage(seed)]);
      assert.deepEqual([...set.images], images);
      assert.equal(await findSvhn(folder), set.source);
      assert.deepEqual(await missingSvhn(folder), []);
    }
    await write(folder, places[0] ?? "", svhn([4]));
    const { count, images } = await loadSvhn(folder);
    assert.deepEqual([count, ...images], [1, ...colourImage(0)]);
  }));

Deno.test("loadSvhn() keeps images without a label in the subset alone", () =>
  inFolder(async (folder) => {
    await write(folder, places[2] ?? "", svhn([10, 255, 3]));
    assert.deepEqual([...(await loadSvhn(folder)).labels], [0, 255, 3]);
    await write(folder, places[0] ?? "", svhn([10, 255, 3]));
    await assert.rejects(loadSvhn(folder), says(/label 1 is 255, labels are 1 to 10/));
  }));

Deno.test("loadSvhn() refuses what is missing or something else and says why", async (t) => {
  const y = { name: "y", shape: [1, 1], values: [1] };
  const x = { name: "X", shape: [32, 32, 3], values: [...colourImage(0)] };
  const cases: [what: string, bytes: Uint8Array, message: RegExp][] = [
    ["no X", mat([y]), /test_32x32\.mat": it has no array of real numbers "X"; fetch it again$/],
    ["no y", mat([x]), /it has no array of real numbers "y"/],
    ["grey images", mat([{ ...x, shape: [32, 96] }, y]), /its X is \[32,96\], images are/],
    [
      "another order",
      mat([{ ...x, shape: [3, 32, 32, 1] }, y]),
      /its X is \[3,32,32,1\], images are/,
    ],
    [
      "a fraction",
      mat([{ ...x, values: x.values.map(() => 0.5), kind: "double" }, y]),
      /its X holds 0\.5/,
    ],
    [
      "a pixel 256",
      mat([{ ...x, values: x.values.map(() => 256), kind: "int16" }, y]),
      /X holds 256/,
    ],
    ["no images", mat([{ ...x, shape: [32, 32, 3, 0], values: [] }, y]), /its X is \[32,32,3,0\]/],
    ["two labels", mat([x, { ...y, shape: [2, 1], values: [1, 2] }]), /its y is \[2,1\]/],
    ["a label 0", svhn([0]), /label 0 is 0, labels are 1 to 10/],
    ["a label 11", svhn([1, 11]), /label 1 is 11/],
    ["a label between", mat([x, { ...y, values: [1.5], kind: "double" }]), /label 0 is 1\.5/],
    ["no MAT-file", new TextEncoder().encode("<html>"), /it is no MAT-file/],
  ];
  await t.step("nothing at all", async () => {
    const message = /SVHN.test_32x32\.mat": there is no such file; run \.\/denow task data svhn$/;
    await assert.rejects(loadSvhn("nowhere"), says(message));
  });
  for (const [what, bytes, message] of cases) {
    await t.step(what, () =>
      inFolder(async (folder) => {
        await write(folder, places[0] ?? "", bytes);
        await assert.rejects(loadSvhn(folder), says(message));
      }));
  }
});

Deno.test("describeData() tells which SVHN is there", () =>
  inFolder(async (folder) => {
    const row = async (): Promise<unknown[]> => {
      const rows = await describeData(folder);
      const { name, count, checksum, note } = rows.find(({ name }) => name.startsWith("SVHN")) ??
        assert.fail();
      return [name, count, checksum, note];
    };
    assert.deepEqual(await row(), ["SVHN test", 0, "none", "run ./denow task data svhn"]);
    await write(folder, places[2] ?? "", svhn([255, 1]));
    const standIn = "a stand-in for the test set, 2 images; run ./denow task data svhn";
    assert.deepEqual(await row(), ["SVHN (subset)", 2, "none", standIn]);
    await write(folder, places[0] ?? "", svhn([3]));
    assert.deepEqual(await row(), [
      "SVHN test",
      1,
      "differs",
      "a usable part, 1 of the 26032 images: run ./denow task data svhn for all",
    ]);
  }));

Deno.test("a download of SVHN lies where it is read", () =>
  inFolder(async (destination) => {
    const bytes = svhn([3]);
    const hex = createHash("md5").update(bytes).digest("hex");
    await served(bytes, async (url) => {
      const [source] = sets.svhn.downloads;
      const made = { ...source, size: bytes.length, checksum: { algorithm: "md5", hex } } as const;
      const { path } = await download(made, { destination, urls: [`${url}/${source.name}`] });
      assert.equal((await loadSvhn(destination)).source, path);
    });
  }));

testWithShared(
  "loadSvhn() reads the subset that is there",
  ["data/SVHN/svhn_color_subset_32x32.mat"],
  async () => {
    const set = await loadSvhn(sharedPath("data"));
    assert.deepEqual([set.name, set.count], ["SVHN (subset)", 688]);
    // Label 10, of which there are 14, is the digit 0.
    assert.deepEqual(perClass(set.labels), [14, 2, 1, 2, 0, 0, 0, 0, 1, 0]);
    assert.ok(set.labels.subarray(20).every((label) => label === 255));
    const hash = createHash("sha256").update(set.images).digest("hex");
    assert.equal(hash, "0e65b6d39d187b5359d699caaf30c6acad550dba57bce80e51ee6eb6a68eb0d8");
  },
);
