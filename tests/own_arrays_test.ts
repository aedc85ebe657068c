/** Images of the user's own in arrays: every layout and type, and what is said of those that are not read. */
import assert from "node:assert/strict";
import { join } from "node:path";
import {
  type DataSet,
  limit,
  loadOwnImages,
  type OwnOptions,
  ownSet,
  preparedCounts,
} from "../data/mod.ts";
import { says } from "./data_support.ts";
import { bytesOf, goldenImages } from "./golden_images.ts";
import { npy } from "./npy_writer.ts";
import { inFolder } from "./support.ts";
import { zip } from "./torch_writer.ts";

async function write(folder: string, files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  for (const [name, bytes] of Object.entries(files)) {
    await Deno.writeFile(join(folder, name), bytes);
  }
}

/** Two images of 3x2 in three channels, [N, C, H, W]. */
const pixels = Array.from({ length: 2 * 3 * 3 * 2 }, (_, i) => i * 7 % 256);
const byPlanes = { shape: [2, 3, 3, 2], values: pixels };
/** The same with the channels last. */
const byPixels = {
  shape: [2, 3, 2, 3],
  values: Array.from({ length: 36 }, (_, i) => {
    const [n, place, c] = [Math.floor(i / 18), Math.floor(i % 18 / 3), i % 3];
    return pixels[n * 18 + c * 6 + place] ?? 0;
  }),
};
const photos: OwnOptions = { imageShape: [3, 3, 2], resize: false };

Deno.test("arrays are read in every layout and type, from .npy, .npz and .safetensors", () =>
  inFolder(async (folder) => {
    const labels = npy("<i8", [2], [4, 0]);
    const f32 = { ...byPixels, values: byPixels.values.map((v) => v / 255) };
    const files = {
      "a.npy": npy("|u1", byPlanes.shape, byPlanes.values),
      "b.npy": npy("|u1", byPixels.shape, byPixels.values),
      "c.npy": npy("<f4", f32.shape, f32.values),
      "d.npy": npy("<f8", f32.shape, f32.values, true),
      "e.npz": zip([["images.npy", npy("|u1", byPlanes.shape, byPlanes.values, true)], [
        "labels.npy",
        labels,
      ]], { deflate: true }),
      "f.npz": zip([["x.npy", npy("<f4", f32.shape, f32.values)], [
        "y.npy",
        npy("|u1", [2, 1], [4, 0]),
      ], ["other.npy", labels]]),
    };
    await write(folder, files);
    const safetensors = new TextEncoder().encode(
      JSON.stringify({
        images: { dtype: "U8", shape: byPixels.shape, data_offsets: [0, 36] },
        labels: { dtype: "U16", shape: [2], data_offsets: [36, 40] },
      }),
    );
    await write(folder, {
      "g.safetensors": Uint8Array.of(
        safetensors.length,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        ...safetensors,
        ...byPixels.values,
        4,
        0,
        0,
        0,
      ),
    });
    for (const name of [...Object.keys(files), "g.safetensors"]) {
      const path = join(folder, name);
      const set = await loadOwnImages(path, photos);
      assert.deepEqual(await (await ownSet(path, photos)).load("", "test", 1), limit(set, 1));
      assert.deepEqual([...set.images], pixels, name);
      const isLabelled = /^[e-g]/.test(name);
      assert.deepEqual([set.labelled ?? true, [...set.labels]], [
        isLabelled,
        isLabelled ? [4, 0] : [65535, 65535],
      ]);
      assert.deepEqual(preparedCounts(set), {}, name);
    }
    assert.deepEqual((await ownSet(join(folder, "e.npz"), photos)).classes.length, 5);
    // Without channels they are grey; numbers between the levels are rounded, and it is told.
    await write(folder, { "h.npy": npy("<f4", [1, 2, 2], [0, 0.5, 1, 128 / 255]) });
    const grey = await loadOwnImages(join(folder, "h.npy"), {
      imageShape: [3, 2, 2],
      resize: false,
    });
    assert.deepEqual([...grey.images], [...[0, 128, 255, 128], ...[0, 128, 255, 128], ...[
      0,
      128,
      255,
      128,
    ]]);
    assert.deepEqual(preparedCounts(grey), { rounded: 1, madeColour: 1 });
  }));

/** What is wrong with arrays, each an .npy unless it is named. */
const wrongArrays: readonly (readonly [bytes: Uint8Array, says: RegExp, name?: string])[] = [
  [
    npy("<f4", [1, 3, 2], [0, 1, 255, 3, 4, 5]),
    /its pixels are from 0 to 255, floating-point pixels from 0 to 1; divide them by 255, or save/,
  ],
  [
    npy("<f8", [1, 3, 2], [-1, 0, 1, 0, 0, 0]),
    /its pixels are from -1 to 1, .*; bring them there, as they were before they were normalised/,
  ],
  [npy("<f4", [1, 3, 2], [NaN, 0, 0, 0, 0, 0]), /one of its pixels is no number/],
  [
    npy("<i8", [1, 3, 2], [1, 2, 3, 4, 5, 6]),
    /its pixels are of type I64; save them as uint8, or as float32 from 0 to 1$/,
  ],
  [npy("|u1", [3, 2], [1, 2, 3, 4, 5, 6]), /its images are \[3, 2\]; save them as \[N, H, W\]/],
  [npy("|u1", [0, 3, 2], []), /its images are \[0, 3, 2\], which is none/],
  [npy("|u1", [3, 2, 1], [1, 2, 3, 4, 5, 6]), /its images are \[3, 2, 1\], which may be one/],
  [npy("|u1", [1, 2, 3, 2], new Array(12).fill(0)), /where no axis is of 1 or 3 colours/],
  [
    npy("|u1", [1, 3, 5, 3], new Array(45).fill(0)),
    /its images are \[1, 3, 5, 3\], and either axis may be that of the colours/,
  ],
  [
    npy("|u1", [2, 5, 6], new Array(60).fill(0)),
    /takes 2x3 pixels, and 2 of 2 images have 6x5 \(2\); add --resize/,
  ],
  [
    npy(">f4", [1, 3, 2], new Array(6).fill(0)),
    /its numbers are big-endian \(">f4"\); save it again$/,
  ],
  [npy("|O", [1, 3, 2], new Array(6).fill(0)), /its elements are of the type "\|O", not numbers/],
  [npy("|u1", [1, 3, 2], [1, 2]), /it holds 2 bytes of data, its header says 6/],
  [npy("|u1", [1, 3, 2], []).subarray(0, 9), /its header is cut off/],
  [Uint8Array.of(1, 2, 3), /it is no \.npy file/],
  [
    zip([["a.npy", npy("|u1", [1], [1])], ["b.npy", npy("|u1", [1], [1])]]),
    /none of its arrays is called images or x or .*; it has "a", "b"; save the images as images/,
    "x.npz",
  ],
  [
    zip([["x.npy", npy("|u1", [1, 3, 2], [1, 2, 3, 4, 5, 6])], [
      "images.npy",
      npy("|u1", [1], [1]),
    ]]),
    /it has both images and x; leave one of them out$/,
    "x.npz",
  ],
  ...([
    [
      npy("<i8", [3], [1, 2, 3]),
      /its labels are \[3\], those of 1 images \[1\]; save one whole number/,
    ],
    [npy("<i8", [1], [-1]), /label 0 is -1/],
    [npy("<f4", [1], [1]), /its labels are of type F32, not integers/],
  ] as const).map(([labels, message]) =>
    [
      zip([["x.npy", npy("|u1", [1, 3, 2], [1, 2, 3, 4, 5, 6])], ["y.npy", labels]]),
      message,
      "x.npz",
    ] as const
  ),
  [
    zip([["x.npy", npy("|u1", [1, 3, 2], [1, 2, 3, 4, 5, 6])]]).subarray(0, 90),
    /archive was cut off; save it again by numpy/,
    "x.npz",
  ],
  [Uint8Array.of(1, 2, 3), /too few for a header; save it again$/, "x.safetensors"],
];

Deno.test("what is wrong with arrays is one sentence with a remedy", () =>
  inFolder(async (folder) => {
    for (const [bytes, message, name = "x.npy"] of wrongArrays) {
      await Deno.writeFile(join(folder, name), bytes);
      await assert.rejects(loadOwnImages(join(folder, name), photos), says(message));
    }
  }));

Deno.test("classes that are named are as many as the labels reach, or more", () =>
  inFolder(async (folder) => {
    const path = join(folder, "x.npz");
    const pixels = npy("|u1", [2, 2, 2], new Array(8).fill(9));
    await Deno.writeFile(path, zip([["x.npy", pixels], ["y.npy", npy("<i8", [2], [2, 0])]]));
    const named = (...classes: string[]): Promise<DataSet> =>
      ownSet(path, { imageShape: [1, 2, 2], resize: false, classes });
    assert.deepEqual((await named("a", "b", "c", "d")).classes, ["a", "b", "c", "d"]);
    await assert.rejects(
      named("a", "b"),
      says(/its labels reach 2, --labels names 2 classes, from 0 on; name all of them$/),
    );
  }));

Deno.test("what NumPy saves is read", () =>
  inFolder(async (folder) => {
    const { pixels, npz, npy } = goldenImages.arrays;
    await write(folder, { "a.npz": bytesOf(npz), "b.npy": bytesOf(npy) });
    const options: OwnOptions = { imageShape: [3, 3, 4], resize: false };
    const [labelled, unlabelled] = [
      await loadOwnImages(join(folder, "a.npz"), options),
      await loadOwnImages(join(folder, "b.npy"), options),
    ];
    for (const set of [labelled, unlabelled]) assert.deepEqual([...set.images], pixels);
    assert.deepEqual([[...labelled.labels], unlabelled.labelled], [[1, 0], false]);
  }));

Deno.test("an .npz of Keras or MedMNIST has a part to train on", () =>
  inFolder(async (folder) => {
    const image = npy("|u1", [1, 2, 2], [1, 2, 3, 4]);
    const label = npy("<i8", [1, 1], [6]);
    for (
      const names of [["x_train", "y_train", "x_test", "y_test"], [
        "train_images",
        "train_labels",
        "test_images",
        "test_labels",
      ]]
    ) {
      const path = join(folder, "x.npz");
      await Deno.writeFile(
        path,
        zip(names.map((name, i) => [`${name}.npy`, i % 2 === 0 ? image : label])),
      );
      const set = await ownSet(path, { imageShape: [1, 2, 2], resize: false });
      assert.deepEqual([set.own, set.classes.length], [{
        named: false,
        labelled: true,
        trainable: true,
      }, 7]);
      assert.deepEqual([...(await set.load("", "train")).labels], [6]);
    }
    await Deno.writeFile(join(folder, "y.npy"), image);
    const alone = await ownSet(join(folder, "y.npy"), { imageShape: [1, 2, 2], resize: false });
    await assert.rejects(
      alone.load("", "train"),
      says(/there are no images to train on; name a file of arrays that has "x_train" as well$/),
    );
  }));
