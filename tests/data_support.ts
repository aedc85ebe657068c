/** Small data sets made for tests, and where the true ones are looked for. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { encode } from "fast-png";
import { createTar } from "nanotar";
import { UserError } from "../src/errors.ts";

/** Where the true data sets are, on machines that have them. */
export const realPath = "../shared/data";
/** Whether they are there. */
export const real = ((): boolean => {
  try {
    return Deno.statSync(join(realPath, "MNIST", "raw")).isDirectory;
  } catch {
    return false;
  }
})();
/** What a skipped test adds to its name. */
export const onReal = real ? "" : ` (skipped: there is no ${realPath})`;

/** A check that an error is a UserError whose message matches. */
export function says(message: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, message);
    return true;
  };
}

/** An IDX file of bytes. */
export function idx(shape: number[], data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + 4 * shape.length + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x0800 + shape.length);
  shape.forEach((size, axis) => view.setUint32(4 + 4 * axis, size));
  bytes.set(data, 4 + 4 * shape.length);
  return bytes;
}

/** 784 bytes that depend on the seed. */
export function glyph(seed: number): Uint8Array {
  return Uint8Array.from({ length: 784 }, (_, i) => (i * 7 + seed * 31) & 255);
}

/** The glyph of a seed, or its first pixels, as a PNG. */
export function png(seed: number, size = 28): Uint8Array {
  const data = glyph(seed).subarray(0, size * size);
  return encode({ width: size, height: size, data, depth: 8, channels: 1 });
}

/** MNIST with three images a part: training files zipped, test files not. */
export async function writeMnist(dataPath: string): Promise<void> {
  const raw = join(dataPath, "MNIST", "raw");
  await Deno.mkdir(raw, { recursive: true });
  const images = idx([3, 28, 28], Uint8Array.from([1, 2, 3].flatMap((seed) => [...glyph(seed)])));
  const labels = idx([3], Uint8Array.of(7, 0, 9));
  await Deno.writeFile(join(raw, "train-images-idx3-ubyte.gz"), gzipSync(images));
  await Deno.writeFile(join(raw, "train-labels-idx1-ubyte.gz"), gzipSync(labels));
  await Deno.writeFile(join(raw, "t10k-images-idx3-ubyte"), images);
  await Deno.writeFile(join(raw, "t10k-labels-idx1-ubyte"), labels);
}

/** Per letter: b, a, B as images of the letter's index, an empty, a broken and a wrong-size one. */
export function notMnistFiles(): { name: string; data: Uint8Array }[] {
  return [..."ABCDEFGHIJ"].flatMap((letter, label) => {
    const broken = png(label);
    broken[60] = (broken[60] ?? 0) ^ 255;
    return [
      { name: `notMNIST_small/${letter}/b.png`, data: png(10 + label) },
      { name: `notMNIST_small/${letter}/a.png`, data: png(label) },
      { name: `notMNIST_small/${letter}/B.png`, data: png(20 + label) },
      { name: `notMNIST_small/${letter}/AA.png`, data: new Uint8Array() },
      { name: `notMNIST_small/${letter}/Z.png`, data: broken },
      { name: `notMNIST_small/${letter}/small.png`, data: png(label, 20) },
      { name: `notMNIST_small/${letter}/note.txt`, data: Uint8Array.of(1) },
    ];
  });
}

/** The files above as notMNIST_small.tar.gz. */
export async function writeArchive(dataPath: string): Promise<void> {
  const tar = createTar(notMnistFiles());
  await Deno.writeFile(join(dataPath, "notMNIST_small.tar.gz"), gzipSync(tar));
}
