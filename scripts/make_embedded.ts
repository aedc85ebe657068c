/**
 * Makes the files of data/embedded from npm packages at fixed versions: 10,000 MNIST digits from
 * `mnist`, and letters A to J set in open fonts from `@fontsource/*`. Two runs write the same bytes.
 *
 * ```sh
 * ./denow run --no-lock --allow-read --allow-write --allow-run --allow-env scripts/make_embedded.ts
 * ```
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { Random } from "../src/nn/graph/random.ts";
import { fontCuts } from "./fonts.ts";
import { type Letters, makeLetters } from "./letters.ts";

/** Labelled images, each [28, 28] bytes. */
interface Labelled {
  readonly images: readonly Uint8Array[];
  readonly labels: readonly number[];
}

const mnistVersion = "1.1.0";
const seed = 20220723;
const testPerDigit = 200;

/** Writes every file into data/embedded. */
async function makeEmbedded(): Promise<void> {
  const packages: Record<string, string> = { mnist: mnistVersion };
  for (const cut of fontCuts()) packages[cut.package] = cut.version;
  const modules = await install(packages);
  const target = fileURLToPath(new URL("../data/embedded", import.meta.url));
  try {
    const { train, test } = await splitDigits(join(modules, "mnist"));
    const letters = await makeLetters(modules, fontCuts());
    await Deno.mkdir(target, { recursive: true });
    await writePair(join(target, "digits-train"), train);
    await writePair(join(target, "digits-test"), test);
    await writePair(join(target, "letters"), letters);
    await writeFonts(join(target, "fonts.json"), letters);
    console.log(
      `Wrote ${train.labels.length} + ${test.labels.length} digits and ${letters.labels.length} ` +
        `letters in ${letters.fonts.length} fonts`,
    );
  } finally {
    await Deno.remove(join(modules, ".."), { recursive: true });
  }
}

/** Installs packages into a folder of their own; returns the path of its node_modules. */
async function install(packages: Record<string, string>): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "mirage-embedded-" });
  await Deno.writeTextFile(
    join(folder, "package.json"),
    JSON.stringify({ dependencies: packages }),
  );
  await Deno.writeTextFile(join(folder, "deno.json"), JSON.stringify({ nodeModulesDir: "auto" }));
  const command = new Deno.Command(Deno.execPath(), { args: ["install", "--quiet"], cwd: folder });
  const { success, stderr } = await command.output();
  if (!success) {
    await Deno.remove(folder, { recursive: true });
    throw new Error(`Cannot install the fonts: ${new TextDecoder().decode(stderr)}`);
  }
  return join(folder, "node_modules");
}

/**
 * 200 digits of each class to test on, all others to train on. Each class is put in a random order
 * and its first 200 taken, digit 0 to 9 in turn, then each of the two parts is put in a random
 * order; all ten class orders and then the two part orders are drawn from `Random(20220723)`.
 */
async function splitDigits(folder: string): Promise<{ train: Labelled; test: Labelled }> {
  const random = new Random(seed);
  const train: [Uint8Array, number][] = [];
  const test: [Uint8Array, number][] = [];
  for (let digit = 0; digit < 10; digit++) {
    const images = shuffled(random, await readDigit(folder, digit));
    images.forEach((image, index) => (index < testPerDigit ? test : train).push([image, digit]));
  }
  return { train: unzip(shuffled(random, train)), test: unzip(shuffled(random, test)) };
}

/** All images of one digit; the package holds levels 0..1 rounded to a few decimals. */
async function readDigit(folder: string, digit: number): Promise<Uint8Array[]> {
  const text = await Deno.readTextFile(join(folder, "src", "digits", `${digit}.json`));
  const { data }: { data: number[] } = JSON.parse(text);
  const bytes = Uint8Array.from(data, (level) => Math.round(255 * level));
  return Array.from(
    { length: bytes.length / 784 },
    (_, index) => bytes.subarray(784 * index, 784 * (index + 1)),
  );
}

function shuffled<T>(random: Random, items: readonly T[]): T[] {
  return Array.from(random.permutation(items.length), (index) => items[index] as T);
}

function unzip(pairs: readonly (readonly [Uint8Array, number])[]): Labelled {
  return { images: pairs.map(([image]) => image), labels: pairs.map(([, label]) => label) };
}

async function writePair(stem: string, { images, labels }: Labelled): Promise<void> {
  await writeIdx(`${stem}-images-idx3-ubyte.gz`, [images.length, 28, 28], images);
  await writeIdx(`${stem}-labels-idx1-ubyte.gz`, [labels.length], [Uint8Array.from(labels)]);
}

/** Writes gzipped IDX: 00 00 08, the rank, each dimension as a big-endian u32, the bytes. */
async function writeIdx(
  path: string,
  shape: readonly number[],
  parts: readonly Uint8Array[],
): Promise<void> {
  const header = new DataView(new ArrayBuffer(4 + 4 * shape.length));
  header.setUint32(0, 0x800 + shape.length);
  shape.forEach((size, axis) => header.setUint32(4 + 4 * axis, size));
  const idx = new Uint8Array(await new Blob([header, ...parts.map(copy)]).arrayBuffer());
  const zipped = new Uint8Array(gzipSync(idx, { level: 9 }));
  zipped.fill(0, 4, 8); // no modification time
  zipped[9] = 255; // no word on the system it was made on
  await Deno.writeFile(path, zipped);
}

function copy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}

async function writeFonts(path: string, { fonts }: Letters): Promise<void> {
  const lines = fonts.map((font) => `  ${JSON.stringify(font)}`);
  await Deno.writeTextFile(path, `[\n${lines.join(",\n")}\n]\n`);
}

if (import.meta.main) await makeEmbedded();
