/** Headers of data files that say what would never end, or fill the memory: refused by what they say. */
import assert from "node:assert/strict";
import { crc32, deflateSync } from "node:zlib";
import { parseIdx } from "../data/idx.ts";
import { readMat } from "../data/mat.ts";
import { decodePng } from "../data/png.ts";
import { readTar } from "../data/tar.ts";
import { UserError } from "../src/base/errors.ts";
import { idx, says } from "./data_support.ts";
import { mat, type Variable } from "./mat_writer.ts";

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/** A header of ustar, checksum included, before content filled up to its blocks. */
function entry(type: string, content: Uint8Array, name = "a", size?: string): Uint8Array {
  const bytes = new Uint8Array(512 + Math.ceil(content.length / 512) * 512);
  bytes.set(bytesOf(name));
  bytes.set(bytesOf(size ?? content.length.toString(8).padStart(11, "0")), 124);
  bytes.set(bytesOf(type), 156);
  bytes.fill(32, 148, 156);
  const sum = bytes.subarray(0, 512).reduce((a, b) => a + b, 0);
  bytes.set(bytesOf(`${sum.toString(8).padStart(6, "0")}\0`), 148);
  bytes.set(content, 512);
  return bytes;
}

function archive(...entries: Uint8Array[]): Uint8Array {
  return Uint8Array.from([...entries, new Uint8Array(1024)].flatMap((bytes) => [...bytes]));
}

/** Runs it, and holds the milliseconds against what even a slow machine needs. */
function quickly(work: () => void): void {
  const start = performance.now();
  work();
  assert.ok(performance.now() - start < 20_000);
}

Deno.test("a pax record gives a file's size and path, and those of that file alone", () => {
  const pax = entry("x", bytesOf("13 path=b/cd\n10 size=5\n"));
  const entries = readTar(
    archive(pax, entry("0", bytesOf("12345"), "a", "00000000000"), entry("0", bytesOf("67"))),
    "t",
  );
  const read = entries.map(({ path, data }) => [path, new TextDecoder().decode(data)]);
  assert.deepEqual(read, [["b/cd", "12345"], ["a", "67"]]);
});

Deno.test("pax records without sense end, those without end are refused", () => {
  const file = entry("0", bytesOf("1"));
  for (
    const text of [
      "0 a=b\n",
      "1 a\n",
      "2 \n",
      "-3 a=b\n",
      "x",
      "99999 path=y\n",
      "3 =\n",
      "6 =ab\n",
    ]
  ) {
    const paths = readTar(archive(entry("x", bytesOf(text)), file), "t").map(({ path }) => path);
    assert.equal(paths.length, 1, text);
  }
  // Every zero would be looked at from each of those before it.
  const zeros = new Uint8Array(2 ** 16).fill(48);
  quickly(() => void readTar(archive(entry("x", zeros), file), "t"));
  const more = new Uint8Array(2 ** 16 + 1).fill(48);
  for (const type of ["x", "L", "K", "g"]) {
    assert.throws(
      () => readTar(archive(entry(type, more), file), "t"),
      says(/the header at byte 0 names a path of 65537 bytes; fetch it again$/),
    );
  }
});

Deno.test("a tar archive of very many headers is refused", () => {
  const header = entry("0", new Uint8Array());
  const bytes = new Uint8Array(100_001 * 512);
  for (let at = 0; at < bytes.length; at += 512) bytes.set(header, at);
  quickly(() => assert.throws(() => readTar(bytes, "t"), says(/more than 100000 headers/)));
  assert.equal(readTar(bytes.subarray(512), "t").length, 100_000);
});

Deno.test("an IDX header is held against the file before anything is made", () => {
  for (const dimensions of [1, 3, 255]) {
    const huge = idx(new Array(dimensions).fill(0xffffffff), Uint8Array.of(1));
    assert.throws(() => parseIdx(new Uint8Array(huge), "i"), says(/it holds 1 bytes of data/));
    const empty = idx([...new Array(dimensions - 1).fill(0xffffffff), 0], new Uint8Array());
    assert.throws(() => parseIdx(new Uint8Array(empty), "i"), (error) => {
      assert.ok(error instanceof UserError && error.message.length <= 300);
      return /it holds nothing/.test(error.message);
    });
  }
});

Deno.test("64-bit integers of a MAT-file are exact or refused, whatever class they are of", () => {
  const read = (variable: Partial<Variable>): Iterable<number> | undefined =>
    readMat(
      mat([{ name: "a", shape: [1, 2], values: [1, 2], ...variable }]),
      "m",
      2 ** 20,
    ).get("a")?.data;
  for (const kind of ["int64", "uint64"] as const) {
    const exact = [7, 2 ** 53 - 1];
    assert.deepEqual([...read({ kind, values: exact }) ?? []], exact);
    assert.deepEqual([...read({ kind: "double", stored: kind, values: exact }) ?? []], exact);
    for (const variable of [{ kind }, { kind: "double", stored: kind }] as const) {
      assert.throws(
        () => read({ ...variable, values: [1, 2 ** 60] }),
        says(/it holds an integer beyond 2\^53; save it as int32 or double$/),
      );
    }
  }
  assert.deepEqual([...read({ kind: "int64", values: [-1, -(2 ** 53 - 1)] }) ?? []][0], -1);
});

Deno.test("an array of very many dimensions is refused", () => {
  const shape = new Array<number>(33).fill(1);
  const variable = { name: "a", shape, values: [1] };
  assert.throws(() => readMat(mat([variable]), "m", 2 ** 20), says(/more than 32 dimensions/));
  const allowed = readMat(mat([{ ...variable, shape: shape.slice(1) }]), "m", 2 ** 20);
  assert.equal(allowed.get("a")?.shape.length, 32);
});

/** A chunk of a PNG, its checksum wrong where that is asked for. */
function chunk(type: string, body: Uint8Array, wrong = 0): Uint8Array {
  const bytes = new Uint8Array(12 + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length);
  bytes.set(bytesOf(type), 4);
  bytes.set(body, 8);
  view.setUint32(8 + body.length, crc32(bytes.subarray(4, 8 + body.length)) ^ wrong);
  return bytes;
}

function pngOf(side: number, ...chunks: Uint8Array[]): Uint8Array {
  const header = new Uint8Array(13);
  new DataView(header.buffer).setUint32(0, side);
  new DataView(header.buffer).setUint32(4, side);
  header[8] = 8;
  const parts = [
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk("IHDR", header),
    ...chunks,
    chunk("IEND", new Uint8Array()),
  ];
  return Uint8Array.from(parts.flatMap((bytes) => [...bytes]));
}

Deno.test("a PNG of another size is refused before its other chunks are looked at", () => {
  const bomb = pngOf(8192, chunk("IDAT", deflateSync(new Uint8Array(2 ** 20)), 1));
  assert.throws(
    () => decodePng(bomb, { width: 28, height: 28 }),
    says(/it is 8192 x 8192, not 28 x 28$/),
  );
  assert.throws(() => decodePng(bomb), says(/the checksum of its IDAT chunk is wrong/));
});

Deno.test("a PNG's data unpacks to what its header says and no further", () => {
  const right = pngOf(28, chunk("IDAT", deflateSync(new Uint8Array(28 * 29))));
  assert.equal(decodePng(right, { width: 28, height: 28 }).pixels.length, 784);
  const bomb = pngOf(28, chunk("IDAT", deflateSync(new Uint8Array(2 ** 24))));
  assert.throws(() => decodePng(bomb, { width: 28, height: 28 }), says(/does not inflate/));
});

Deno.test("a chunk's name is quoted on one line", () => {
  assert.throws(() => decodePng(pngOf(28, chunk("A\n\nB", bytesOf("")))), says(/chunk A B is/));
});
