/** Small data sets made for tests, and where the true ones are looked for. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { encode } from "fast-png";
import { createTar } from "nanotar";
import { UserError } from "../src/base/errors.ts";

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

/** MNIST, or a set like it, with three images a part: training files zipped, test files not. */
export async function writeMnist(dataPath: string, folder = "MNIST"): Promise<void> {
  const raw = join(dataPath, folder, "raw");
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

/** 3072 bytes that depend on the seed: a colour image of 32x32. */
export function colourImage(seed: number): Uint8Array {
  return Uint8Array.from({ length: 3072 }, (_, i) => (i * 11 + (i >> 8) + seed * 53) & 255);
}

/** Images of each class. */
export function perClass(labels: ArrayLike<number>): number[] {
  return Array.from(
    { length: 10 },
    (_, label) => Array.from(labels).filter((other) => other === label).length,
  );
}

/** A batch of CIFAR-10 in records: colour image i and label i. */
export function batchRecords(labels: readonly number[]): Uint8Array {
  return Uint8Array.from(labels.flatMap((label, i) => [label, ...colourImage(i)]));
}

/** The same as the pickle that Python 2 writes of a dictionary with an array. */
export function batchPickle(
  labels: readonly number[],
  count = labels.length,
  shape: readonly number[] = [count, 3072],
): Uint8Array {
  const int = (n: number): number[] => [0x4a, ...u32(n)];
  const images = Array.from({ length: count }, (_, i) => [...colourImage(i)]).flat();
  return Uint8Array.from([
    ...ascii("\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x05a parU\x06labelsq\x03]q\x04("),
    ...labels.flatMap((label) => [0x4b, label]),
    ...ascii("eU\x04dataq\x05cnumpy.core.multiarray\n_reconstruct\nq\x06cnumpy\nndarray\n"),
    ...ascii("q\x07K\0\x85q\x08U\x01bq\x09\x87q\x0aRq\x0b(K\x01"),
    ...shape.flatMap(int),
    ...ascii("\x86cnumpy\ndtype\nq\x0cU\x02u1K\0K\x01\x87Rq\x0d(K\x03U\x01|NNNJ"),
    ...ascii("\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89"),
    ...byteString(images),
    ...ascii("tbu."),
  ]);
}

/** The pickle that Python 2 writes of a byte string alone. */
export function pickledText(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from([0x80, 2, ...byteString([...bytes]), 0x2e]);
}

function byteString(bytes: readonly number[]): number[] {
  const head = bytes.length < 256 ? [0x55, bytes.length] : [0x54, ...u32(bytes.length)];
  return head.concat(bytes);
}

function u32(n: number): number[] {
  return [n & 255, (n >> 8) & 255, (n >> 16) & 255, n >>> 24];
}

function ascii(text: string): number[] {
  return Array.from(text, (c) => c.charCodeAt(0));
}

/** Runs a test beside a server of this process that answers every request with these bytes. */
export async function served(
  bytes: Uint8Array,
  test: (url: string) => Promise<void>,
): Promise<void> {
  const options = { hostname: "127.0.0.1", port: 0, onListen(): void {} };
  const server = Deno.serve(options, () => new Response(bytes.slice()));
  try {
    await test(`http://127.0.0.1:${server.addr.port}`);
  } finally {
    await server.shutdown();
  }
}
