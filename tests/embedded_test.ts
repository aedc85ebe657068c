/** The files in data/embedded, read without the project's own reader. */
import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";

interface Pair {
  /** N images of [28, 28]. */
  readonly images: readonly Uint8Array[];
  readonly labels: Uint8Array;
}

interface Font {
  readonly family: string;
  readonly package: string;
  readonly version: string;
  readonly weight: number;
  readonly style: string;
  readonly licence: string;
  readonly licenceUrl: string;
  readonly copyright: string;
  readonly letters: string;
}

const folder = new URL("../data/embedded/", import.meta.url);
const alphabet = "ABCDEFGHIJ";
const largestFile = 1_500_000;

async function readIdx(name: string): Promise<{ shape: number[]; data: Uint8Array }> {
  const bytes = new Uint8Array(gunzipSync(await Deno.readFile(new URL(name, folder))));
  const view = new DataView(bytes.buffer);
  assert.equal(view.getUint16(0), 0);
  assert.equal(bytes[2], 8);
  const shape = Array.from({ length: bytes[3] ?? 0 }, (_, axis) => view.getUint32(4 + 4 * axis));
  const data = bytes.subarray(4 + 4 * shape.length);
  assert.equal(data.length, shape.reduce((product, size) => product * size, 1));
  return { shape, data };
}

async function readPair(stem: string): Promise<Pair> {
  const { shape, data } = await readIdx(`${stem}-images-idx3-ubyte.gz`);
  const labels = await readIdx(`${stem}-labels-idx1-ubyte.gz`);
  assert.deepEqual(shape, [labels.data.length, 28, 28]);
  assert.deepEqual(labels.shape, [labels.data.length]);
  const images = Array.from(labels.data, (_, n) => data.subarray(784 * n, 784 * (n + 1)));
  return { images, labels: labels.data };
}

async function readFonts(): Promise<Font[]> {
  return JSON.parse(await Deno.readTextFile(new URL("fonts.json", folder)));
}

function counts(labels: Uint8Array): number[] {
  const sizes = new Array<number>(10).fill(0);
  for (const label of labels) sizes[label] = (sizes[label] ?? NaN) + 1;
  return sizes;
}

/** Mean image of each class, ten of [784]. */
function classMeans({ images, labels }: Pair): Float64Array[] {
  const sizes = counts(labels);
  const means = sizes.map(() => new Float64Array(784));
  images.forEach((image, n) => {
    const label = labels[n] ?? 0;
    const mean = means[label];
    image.forEach((level, pixel) => {
      if (mean) mean[pixel] = (mean[pixel] ?? 0) + level / (sizes[label] ?? 1);
    });
  });
  return means;
}

function nearest(means: readonly Float64Array[], image: Uint8Array): number {
  const distances = means.map((mean) =>
    mean.reduce((sum, level, pixel) => sum + (level - (image[pixel] ?? 0)) ** 2, 0)
  );
  return distances.indexOf(Math.min(...distances));
}

Deno.test("`digits` has 8,000 to train on and 2,000 to test on, of every class", async () => {
  const [train, test] = [await readPair("digits-train"), await readPair("digits-test")];
  assert.equal(train.images.length, 8000);
  assert.equal(counts(train.labels).length, 10);
  assert.ok(Math.min(...counts(train.labels)) >= 600, `${counts(train.labels)}`);
  assert.deepEqual(counts(test.labels), new Array(10).fill(200));
});

Deno.test("`digits` has no image twice, nor one in both parts", async () => {
  const [train, test] = [await readPair("digits-train"), await readPair("digits-test")];
  assert.equal(new Set([...train.images, ...test.images].map(String)).size, 10_000);
});

Deno.test("`digits` mixes the classes, so that each 500 in a row hold all ten", async () => {
  for (const stem of ["digits-train", "digits-test"]) {
    const { labels } = await readPair(stem);
    for (let start = 0; start < labels.length; start += 500) {
      const sizes = counts(labels.subarray(start, start + 500));
      assert.ok(Math.min(...sizes) >= 20, `${stem} from ${start}: ${sizes}`);
    }
  }
});

Deno.test("`digits` can be told apart by the nearest class mean", async () => {
  const means = classMeans(await readPair("digits-train"));
  const { images, labels } = await readPair("digits-test");
  const right = images.filter((image, n) => nearest(means, image) === labels[n]).length;
  assert.ok(right / images.length > 0.75, `${right} of ${images.length}`);
});

Deno.test("`letters` has A to J in order, equally many of each", async () => {
  const { images, labels } = await readPair("letters");
  assert.ok(images.length >= 2000);
  assert.deepEqual(labels, labels.toSorted());
  assert.deepEqual(counts(labels), new Array(10).fill(images.length / 10));
});

Deno.test("`letters` has no blank image and none twice", async () => {
  const { images } = await readPair("letters");
  assert.equal(new Set(images.map(String)).size, images.length);
  for (const [n, image] of images.entries()) {
    assert.ok(image.some((level) => level >= 128), `image ${n} is blank`);
  }
});

Deno.test("`letters` fill their images and have the levels of notMNIST", async () => {
  const { images } = await readPair("letters");
  for (const [n, image] of images.entries()) {
    const on = [...image.keys()].filter((pixel) => image[pixel]);
    const [xs, ys] = [on.map((pixel) => pixel % 28), on.map((pixel) => Math.floor(pixel / 28))];
    for (const [low, high] of [xs, ys].map((at) => [Math.min(...at), Math.max(...at)])) {
      assert.ok((low ?? 28) <= 1 && (high ?? 0) >= 26, `image ${n} spans ${low} to ${high}`);
    }
  }
  const levels = images.flatMap((image) => [...image]);
  const mean = levels.reduce((sum, level) => sum + level, 0) / levels.length;
  const grey = levels.filter((level) => level >= 64 && level < 192).length / levels.length;
  assert.ok(Math.abs(mean - 107.2) < 10, `mean level ${mean}`);
  assert.ok(Math.abs(grey - 0.091) < 0.03, `share of mid-grey pixels ${grey}`);
});

Deno.test("`fonts.json` names an open licence and a copyright for each font", async () => {
  const fonts = await readFonts();
  assert.ok(fonts.length >= 100);
  for (const font of fonts) {
    assert.ok(["OFL-1.1", "Apache-2.0"].includes(font.licence), font.package);
    assert.match(font.package, /^@fontsource\/[a-z0-9-]+$/);
    assert.match(font.version, /^\d+\.\d+\.\d+$/);
    assert.match(font.licenceUrl, /^https?:/);
    assert.ok(font.family.length > 0 && font.copyright.length > 0, font.package);
  }
  const cuts = fonts.map((font) => `${font.package} ${font.weight} ${font.style}`);
  assert.equal(new Set(cuts).size, fonts.length);
});

Deno.test("`fonts.json` says for each image of a letter which font it is in", async () => {
  const [fonts, { labels }] = [await readFonts(), await readPair("letters")];
  const uses = [...alphabet].map((letter) =>
    fonts.filter((font) => font.letters.includes(letter)).length
  );
  assert.deepEqual(uses, counts(labels));
});

Deno.test("`data/embedded` holds no file over 1.5 MB", async () => {
  for await (const { name } of Deno.readDir(folder)) {
    const { size } = await Deno.stat(new URL(name, folder));
    assert.ok(size <= largestFile, `${name}: ${size} bytes`);
  }
});
