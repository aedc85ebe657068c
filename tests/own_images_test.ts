/** Images of the user's own: folders of every make, arrays of every layout, and what is said of those that are not read. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { encode } from "fast-png";
import {
  type ImageSet,
  limit,
  loadEmbedded,
  loadOwnImages,
  openSets,
  ownNote,
  ownSet,
  preparedCounts,
  readClassNames,
} from "../data/mod.ts";
import { isDataPath } from "../data/own.ts";
import type { OwnOptions } from "../data/mod.ts";
import { glyph, png, says } from "./data_support.ts";
import { bytesOf, goldenImages } from "./golden_images.ts";
import { writePng } from "./png_writer.ts";
import { inFolder } from "./support.ts";

const digits: OwnOptions = { imageShape: [1, 28, 28], resize: false };

async function write(folder: string, files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  for (const [path, bytes] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
    await Deno.writeFile(join(folder, path), bytes);
  }
}

const image = (set: ImageSet, i: number): number[] => {
  const size = set.images.length / set.count;
  return [...set.images.subarray(i * size, (i + 1) * size)];
};

Deno.test("a folder a class has labels by the sorted names of the folders, and is limited as a set is", () =>
  inFolder(async (folder) => {
    const path = join(folder, "zoo");
    await write(path, {
      "cat/b.png": png(1),
      "cat/a.png": png(2),
      "Bee/z.png": png(3),
      "ant/1.png": png(4),
      "ant/.hidden.png": png(9),
      ".git/x.png": png(9),
      "notes.txt": Uint8Array.of(1),
    });
    const set = await ownSet(path, digits);
    assert.deepEqual([set.title, set.name, set.classes], ['"zoo"', "own-zoo", [
      "Bee",
      "ant",
      "cat",
    ]]);
    assert.deepEqual(set.own, { named: true, labelled: true, trainable: false });
    const images = await set.load("", "test");
    assert.equal(images.name, "zoo (own images)");
    assert.deepEqual(images.files, ["Bee/z.png", "ant/1.png", "cat/a.png", "cat/b.png"]);
    assert.deepEqual([...images.labels], [0, 1, 2, 2]);
    assert.deepEqual(images.groups, [1, 1, 2]);
    assert.deepEqual(image(images, 2), [...glyph(2)]);
    assert.deepEqual([...limit(images, 3).labels], [0, 1, 2]);
    assert.equal(ownNote(images), undefined);
    // Whoever names the classes chooses their order, and may have more of them.
    const classes = ["cat", "dog", "ant", "Bee"];
    assert.deepEqual([...(await loadOwnImages(path, { ...digits, classes })).labels], [3, 2, 0, 0]);
  }));

Deno.test("images that lie side by side have no labels; the digest follows pixels and names", () =>
  inFolder(async (folder) => {
    await write(folder, { "b.png": png(1), "a.PNG": png(2) });
    const set = await loadOwnImages(folder, digits);
    assert.deepEqual(set.files, ["a.PNG", "b.png"]);
    assert.deepEqual([set.labelled, ...set.labels], [false, 65535, 65535]);
    assert.equal(limit(set, 1).labelled, false);
    const again = await loadOwnImages(folder, digits);
    assert.deepEqual([again.sha256, again.listSha256], [set.sha256, set.listSha256]);
    await Deno.rename(join(folder, "b.png"), join(folder, "c.png"));
    const renamed = await loadOwnImages(folder, digits);
    assert.equal(renamed.sha256, set.sha256);
    assert.notEqual(renamed.listSha256, set.listSha256);
    await write(folder, { "c.png": png(3) });
    assert.notEqual((await loadOwnImages(folder, digits)).sha256, set.sha256);
  }));

Deno.test("an exported set is the set itself, to the last byte", () =>
  inFolder(async (folder) => {
    const letters = limit(await loadEmbedded("letters"), 60);
    for (let i = 0; i < letters.count; i++) {
      const data = letters.images.slice(784 * i, 784 * (i + 1));
      const name = `${letters.classes?.[letters.labels[i] ?? 0]}/${String(i).padStart(3, "0")}.png`;
      await write(folder, { [name]: encode({ width: 28, height: 28, channels: 1, data }) });
    }
    const own = await loadOwnImages(folder, digits);
    assert.deepEqual([own.sha256, own.groups, own.classes], [
      letters.sha256,
      letters.groups,
      letters.classes,
    ]);
  }));

Deno.test("images of every kind are made what the network takes, and it is told how", () =>
  inFolder(async (folder) => {
    const [width, height] = [21, 17];
    const samples = (channels: number, most: number): number[] =>
      Array.from({ length: width * height * channels }, (_, i) => i * 31 % (most + 1));
    const grey = { width, height, colour: 0 };
    await write(folder, {
      "grey.png": writePng({ ...grey, depth: 4, samples: samples(1, 15), interlaced: true }),
      "deep.png": writePng({ ...grey, depth: 16, samples: samples(1, 65535) }),
      "clear.png": writePng({ ...grey, colour: 6, depth: 8, samples: samples(4, 255) }),
      "palette.png": writePng({
        ...grey,
        colour: 3,
        depth: 1,
        samples: samples(1, 1),
        palette: [255, 0, 0, 0, 0, 255],
      }),
      "photo.jpg": bytesOf(goldenImages.jpeg["colour"]?.file ?? ""),
      "photo.png": bytesOf(goldenImages.jpeg["colour"]?.file ?? ""),
    });
    const colour = await loadOwnImages(folder, { imageShape: [3, height, width], resize: false });
    assert.deepEqual(preparedCounts(colour), {
      misnamed: 1,
      overBlack: 1,
      rounded: 1,
      madeColour: 2,
    });
    assert.equal(
      ownNote(colour)?.replace(/^Of \S+/, "Of X"),
      "Of X (own images) 6 images are used; 1 named as another kind and read as what they are, " +
        "1 laid over black where they are clear, 1 rounded to 8 bits, 2 in grey made colour by repeating it",
    );
    const files = colour.files ?? [];
    const plane = width * height;
    const palette = image(colour, files.indexOf("palette.png"));
    assert.deepEqual(palette.slice(0, 2), [255, 0]);
    assert.deepEqual(palette.slice(2 * plane, 2 * plane + 2), [0, 255]);
    assert.deepEqual(
      image(colour, files.indexOf("photo.jpg")),
      image(colour, files.indexOf("photo.png")),
    );
    const small = await loadOwnImages(folder, { imageShape: [1, 5, 7], resize: true });
    assert.deepEqual(preparedCounts(small), {
      misnamed: 1,
      overBlack: 1,
      rounded: 1,
      madeGrey: 4,
      resized: 6,
    });
    assert.deepEqual(preparedCounts(limit(small, 1)), { overBlack: 1, madeGrey: 1, resized: 1 });
  }));

Deno.test("files that are broken are left out, counted and named; those of other kinds are counted", () =>
  inFolder(async (folder) => {
    await write(folder, {
      "a.png": png(1),
      "b.png": png(1).subarray(0, 60),
      "c.jpg": new TextEncoder().encode("<html>"),
      "d.jpeg": new Uint8Array(),
      "e.png": png(2).with(60, 1),
      "f.gif": Uint8Array.of(1),
      "g.webp": Uint8Array.of(1),
      "h.GIF": Uint8Array.of(1),
      "Thumbs.db": Uint8Array.of(1),
    });
    const set = await loadOwnImages(folder, digits);
    assert.deepEqual([set.files, set.skipped], [["a.png"], ["b.png", "c.jpg", "d.jpeg", "e.png"]]);
    assert.equal(
      ownNote(set)?.replace(/^Of \S+/, "Of X"),
      "Of X (own images) 1 image is used; 4 files left out that cannot be read (b.png, c.jpg, d.jpeg, ...); " +
        "3 files of kinds that are not read (.gif, .webp) passed over",
    );
  }));

Deno.test("no more files are looked at than the images that are asked for take, and these are those of all", () =>
  inFolder(async (folder) => {
    const broken = Uint8Array.of(1);
    const zoo = {
      ...Object.fromEntries([1, 2, 3, 4, 5, 6].map((n) => [`a/${n}.png`, png(n)])),
      ...{ "b/1.png": broken, "b/2.png": png(12), "b/3.png": broken },
      ...{ "c/1.png": png(21), "c/2.png": broken, "c/3.png": png(23), "c/4.png": png(24) },
    };
    const beside = Object.fromEntries(
      Object.entries(zoo).map(([name, bytes]) => [name.replace("/", ""), bytes]),
    );
    const seen: (number | undefined)[][] = [];
    for (const [name, files] of [["zoo", zoo], ["beside", beside]] as const) {
      const path = join(folder, name);
      await write(path, files);
      const set = await ownSet(path, digits);
      const all = await set.load("", "test");
      assert.deepEqual([all.count, all.skipped?.length, all.unread], [10, 3, undefined]);
      for (let n = 1; n <= 14; n++) {
        const { skipped = [], unread = 0, ...found } = await set.load("", "test", n);
        const { skipped: _, ...whole } = limit(all, n);
        assert.deepEqual(found, whole, `${n}`);
        assert.ok(skipped.every((file) => all.skipped?.includes(file)));
        seen.push([found.count, skipped.length, unread]);
      }
    }
    const [zoos, besides] = [seen.slice(0, 14), seen.slice(14)];
    // Three images are one of each class; of seven a class lacks one, so that all others are counted.
    assert.deepEqual([zoos[2], zoos[5], zoos[9], zoos[13]], [
      [3, 1, 9],
      [5, 3, 3],
      [10, 3, 0],
      [10, 3, 0],
    ]);
    assert.deepEqual([besides[0], besides[5], besides[6], besides[9]], [
      [1, 0, 12],
      [6, 0, 7],
      [7, 1, 5],
      [10, 3, 0],
    ]);
    const few = await ownSet(join(folder, "beside"), digits);
    assert.equal(
      ownNote(await few.load("", "test", 7)),
      "Of beside (own images) 7 images are used, and 5 files not looked at; " +
        "1 file left out that cannot be read (b1.png)",
    );
  }));

Deno.test("a limit that leaves no image is refused: the classes that it reaches have none", () =>
  inFolder(async (folder) => {
    const broken = Uint8Array.of(1);
    await write(folder, { "a/1.png": broken, "b/1.png": png(1), "b/2.png": png(2) });
    const set = await ownSet(folder, digits);
    await assert.rejects(
      set.load("", "test", 1),
      says(/the first 1 would be .*; use a larger --l/),
    );
    assert.equal((await set.load("", "test", 2)).count, 2);
  }));

Deno.test("images of another size are refused among those that are asked for, and not looked for behind them", () =>
  inFolder(async (folder) => {
    await write(folder, { "a.png": png(1), "b.png": png(2), "c.png": png(1, 5), "d.png": png(3) });
    const set = await ownSet(folder, digits);
    assert.equal((await set.load("", "test", 2)).count, 2);
    await assert.rejects(set.load("", "test", 3), says(/1 of 3 images have 5x5/));
    await assert.rejects(set.load("", "test"), says(/1 of 4 images have 5x5/));
  }));

/** What is wrong with folders: their files, and what is said. */
const wrongFolders: readonly (readonly [
  files: Record<string, Uint8Array>,
  says: RegExp,
  options?: Partial<OwnOptions>,
])[] = [
  [
    { "x.txt": png(1) },
    /^Cannot use the images in ".*": there are no PNG or JPEG files in it; name another folder$/,
  ],
  [
    { "x.gif": png(1), "y.tif": png(1) },
    /in it, only 2 of other kinds \(\.gif, \.tif\); name another/,
  ],
  [
    { "x.png": png(1), "a/y.png": png(1) },
    /images lie side by side with folders \("x\.png" with "a"\); move one/,
  ],
  [{ "a/b/y.png": png(1) }, /the folder "a" in it has folders itself; keep one folder a class/],
  [
    { "a/y.png": png(1), "b/x.txt": png(1) },
    /no PNG or JPEG files in its folder "b", which would be a class; remove/,
  ],
  [
    { "1/y.png": png(1), "2/y.png": png(1), "10/y.png": png(1) },
    /its folders are numbers, 1, 10, 2 by their letters and 1, 2, 10 by their size; name the classes .* --labels$/,
  ],
  [
    { "a/y.png": png(1), "b/y.png": png(1) },
    /its folder "b" is none of the 2 classes that --labels names; add it there/,
    { classes: ["a", "c"] },
  ],
  [
    { "train/a/y.png": png(1), "test/y.png": png(1) },
    /one of train and test has folders of classes, the other has none/,
  ],
  [
    { "a.png": png(1).subarray(0, 50), "b.png": new Uint8Array() },
    /none of its 2 files can be read \("a\.png": it is cut off\); name others$/,
  ],
  [
    {
      "a.png": png(1),
      "b.png": png(1, 20),
      "c.png": png(1, 20),
      "d.png": png(1, 9),
      "e.png": new Uint8Array(9),
    },
    /takes 28x28 pixels, and 3 of 4 images have 20x20 \(2\), 9x9 \(1\); add --resize, or name images of its size$/,
  ],
  [
    Object.fromEntries([5, 6, 7, 8, 9].map((side) => [`${side}.png`, png(1, side)])),
    /and 5 of 5 images have 5x5 \(1\), 6x6 \(1\), 7x7 \(1\) and 2 sizes more; add --resize/,
  ],
];

Deno.test("what is wrong with a folder is one sentence with a remedy", async () => {
  for (const [files, message, options] of wrongFolders) {
    await inFolder(async (folder) => {
      await write(folder, files);
      await assert.rejects(loadOwnImages(folder, { ...digits, ...options }), says(message));
    });
  }
  await inFolder(async (folder) => {
    await write(folder, { "x.png": png(1) });
    await assert.rejects(
      loadOwnImages(join(folder, "x.png"), digits),
      says(/it is no folder, and no \.npz, \.npy or \.safetensors file; name the folder/),
    );
    await assert.rejects(
      loadOwnImages(join(folder, "y"), digits),
      says(/there is no such file; check the path$/),
    );
  });
});

Deno.test("folders train and test are the parts of a set that models can be taught", () =>
  inFolder(async (folder) => {
    await write(folder, {
      "train/b/1.png": png(1),
      "train/a/2.png": png(2),
      "test/b/3.png": png(3),
    });
    const set = await ownSet(folder, digits);
    assert.deepEqual([set.classes, set.own?.trainable], [["a", "b"], true]);
    const [train, test] = [await set.load("", "train"), await set.load("", "test")];
    assert.deepEqual([[...train.labels], [...test.labels]], [[0, 1], [1]]);
    assert.match(train.name, / train \(own images\)$/);
    const flat = join(folder, "test", "b");
    const out = await openSets({ inDomain: "mnist", outDomain: flat as `${string}/` }, undefined, {
      own: { imageShape: [3, 1, 1], resize: false },
      defaultPath: folder,
    });
    assert.equal((await out.outDomain?.images("test"))?.count, 1);
    assert.equal((await out.inDomain.images("test")).name, "embedded digits test");
    assert.equal(out.embedded, true);
    await assert.rejects(
      openSets({ inDomain: `${flat}/`, outDomain: `${flat}/../b` }, undefined, { own: digits }),
      says(
        /both in-domain and out-domain: a model knows what it was taught; choose another --out-domain$/,
      ),
    );
  }));

Deno.test("a path is told from a name by a slash, an ending, or by being there", () => {
  for (const path of ["a/b", "./a", "a\\b", "x.npz", "x.NPY", "x.safetensors"]) {
    assert.ok(isDataPath(path));
  }
  for (const name of ["mnist", "photos", "x.png", "", 3, undefined]) assert.ok(!isDataPath(name));
  // Where the tests stand.
  assert.ok(isDataPath("tests"));
});

Deno.test("class names are read from lines or from JSON", () =>
  inFolder(async (folder) => {
    const path = join(folder, "names");
    const given = async (text: string): Promise<readonly string[]> => {
      await Deno.writeTextFile(path, text);
      return await readClassNames(path);
    };
    assert.deepEqual(await given("cat\r\n a dog \nbee\n\n"), ["cat", "a dog", "bee"]);
    assert.deepEqual(await given('["cat", "a\\ndog"]'), ["cat", "a\ndog"]);
    const wrong: readonly (readonly [string, RegExp])[] = [
      [
        "",
        /it has no names; write one name a line, or a list of texts in JSON, in the order of the labels$/,
      ],
      ["cat", /it has one name;/],
      ["cat\n\ndog", /name 2 is empty/],
      ["cat\ndog\ncat", /it has "cat" twice/],
      ["[1, 2]", /it is no list of texts in JSON/],
      ["[", /it is no list of texts in JSON/],
    ];
    for (const [text, message] of wrong) await assert.rejects(given(text), says(message));
  }));
