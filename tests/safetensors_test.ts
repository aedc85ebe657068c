/** The safetensors format and atomic writing. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { fc } from "./property.ts";
import { writeAtomic } from "../src/base/atomic.ts";
import { UserError } from "../src/base/errors.ts";
import {
  type Archive,
  decodeSafetensors,
  encodeSafetensors,
  readSafetensors,
  writeSafetensors,
} from "../src/checkpoint/safetensors.ts";
import { inFolder } from "./support.ts";

const archives = fc.record({
  tensors: fc.array(
    fc.tuple(
      fc.oneof(
        fc.string({ minLength: 1, maxLength: 12 }).filter((name) => name !== "__metadata__"),
        fc.constantFrom("0", "10", "2", "__proto__", "constructor", 'a"b\\', "{[", "x:"),
      ),
      fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
      fc.constantFrom("f32", "u32", "i64"),
    ),
    { maxLength: 5 },
  ),
  metadata: fc.dictionary(
    fc.string({ maxLength: 8 }).filter((k) => k !== "__proto__"),
    fc.string(),
  ),
}).map(({ tensors, metadata }): Archive => ({
  metadata: { ...metadata },
  tensors: new Map(tensors.map(([name, shape, type]) => {
    const n = shape.reduce((a, b) => a * b, 1);
    const data = type === "i64"
      ? Float64Array.from({ length: n }, (_, i) => 2 ** 24 + 1 + i)
      : type === "u32"
      ? Uint32Array.from({ length: n }, (_, i) => 0xffffffff - i)
      : Float32Array.from({ length: n }, (_, i) => Math.sin(i) * 1e10);
    return [name, { shape, data }];
  })),
}));

const sample: Archive = {
  tensors: new Map([
    ["a", { shape: [2, 2], data: Float32Array.of(1, -0, NaN, Infinity) }],
    ["b", { shape: [], data: Uint32Array.of(7) }],
  ]),
  metadata: { note: "ä" },
};

Deno.test("what is encoded is decoded again, bit for bit, in order", () => {
  fc.assert(fc.property(archives, (archive) => {
    const back = decodeSafetensors(encodeSafetensors(archive), "x");
    const exact = [...archive.tensors].map(([name, { shape, data }]) => {
      const empty = data instanceof Float64Array && data.length === 0;
      const integer = data instanceof Float64Array ? "I64" : "U32";
      const kind = data instanceof Float32Array ? {} : { integer };
      return [name, { shape, data: empty ? new Float32Array() : data, ...kind }];
    });
    assert.deepEqual([...back.tensors], exact);
    assert.deepEqual({ ...back.metadata }, { ...archive.metadata });
  }));
  const back = decodeSafetensors(encodeSafetensors(sample), "x");
  assert.deepEqual([...back.tensors.keys()], ["a", "b"]);
  assert.ok(Object.is(back.tensors.get("a")?.data[1], -0));
});

Deno.test("the header is the format's: its length, JSON, arrays from a multiple of 8 on", () => {
  const bytes = encodeSafetensors(sample);
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  assert.equal(length % 8, 0);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  assert.deepEqual(header.a, { dtype: "F32", shape: [2, 2], data_offsets: [0, 16] });
  assert.deepEqual(header.__metadata__, { note: "ä" });
  assert.equal(bytes.length, 8 + length + 20);
});

Deno.test("a file cut off anywhere is a clear error", () => {
  const bytes = encodeSafetensors(sample);
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decodeSafetensors(bytes.subarray(0, length), "cut"), UserError);
  }
});

Deno.test("a flipped byte in the header is an error or an archive, never a crash", () => {
  const bytes = encodeSafetensors(sample);
  for (let at = 0; at < 120; at++) {
    const flipped = bytes.slice();
    flipped[at] = (flipped[at] ?? 0) ^ 0x11;
    try {
      decodeSafetensors(flipped, "flipped");
    } catch (error) {
      assert.ok(error instanceof UserError, `byte ${at}: ${error}`);
    }
  }
});

Deno.test("overlapping arrays and wrong sizes are refused", () => {
  const make = (a: number[], b: number[]): Uint8Array => {
    const entry = (o: number[]): unknown => ({ dtype: "F32", shape: [2], data_offsets: o });
    const json = new TextEncoder().encode(JSON.stringify({ a: entry(a), b: entry(b) }));
    const bytes = new Uint8Array(8 + json.length + 16);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
    bytes.set(json, 8);
    return bytes;
  };
  assert.throws(() => decodeSafetensors(make([0, 8], [4, 12]), "x"), /two of its arrays overlap/);
  assert.throws(() => decodeSafetensors(make([0, 8], [8, 12]), "x"), /"b" has the wrong size/);
  assert.throws(() => decodeSafetensors(make([0, 8], [16, 24]), "x"), /"b" was cut off/);
  assert.equal(decodeSafetensors(make([0, 8], [8, 16]), "x").tensors.size, 2);
});

function file(header: string, body: Uint8Array): Uint8Array {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + body.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(body, 8 + json.length);
  return bytes;
}

Deno.test("a name that occurs twice is refused, however it is written", () => {
  const entry = (at: number): string =>
    `{"dtype": "F32", "shape": [1], "data_offsets": [${at}, ${at + 4}]}`;
  const body = new Uint8Array(8);
  for (const second of ['"a"', '"\\u0061"', '"a" ']) {
    const header = `{"a": ${entry(0)}, ${second}: ${entry(4)}}`;
    assert.throws(
      () => decodeSafetensors(file(header, body), "x"),
      (error) => error instanceof UserError && /its header holds "a" twice/.test(error.message),
    );
  }
  const apart = `{"__metadata__": {"a": "}\\":{"}, "a": ${entry(0)}, "b": ${entry(4)}}`;
  assert.deepEqual([...decodeSafetensors(file(apart, body), "x").tensors.keys()], ["a", "b"]);
});

Deno.test("integers keep every digit, in f64 where f32 would round, and are refused beyond 2^53", () => {
  const read = (value: bigint): unknown => {
    const body = new Uint8Array(BigInt64Array.of(value).buffer);
    const header = '{"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}';
    return decodeSafetensors(file(header, body), "x").tensors.get("n")?.data;
  };
  assert.deepEqual(read(2n ** 24n), Float32Array.of(2 ** 24));
  assert.deepEqual(read(-(2n ** 24n) - 1n), Float64Array.of(-(2 ** 24) - 1));
  assert.deepEqual(read(-(2n ** 63n)), Float32Array.of(-(2 ** 63)));
  assert.throws(() => read(2n ** 53n + 1n), /"n" holds an integer beyond 2\^53/);
});

Deno.test("`encodeSafetensors()` refuses what could not be read again", () => {
  const encode = (name: string, shape: number[]): unknown =>
    encodeSafetensors({
      tensors: new Map([[name, { shape, data: Float32Array.of(1) }]]),
      metadata: {},
    });
  assert.throws(() => encode("__metadata__", [1]), /Cannot encode "__metadata__"/);
  assert.throws(() => encode("a", [3]), /Cannot encode "a": \[3\] with 1 values/);
});

async function names(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name } of Deno.readDir(folder)) found.push(name);
  return found.toSorted();
}

Deno.test("`writeSafetensors()` replaces a file whole and leaves nothing else", () =>
  inFolder(async (folder) => {
    const path = join(folder, "model.safetensors");
    await writeSafetensors(path, sample);
    await writeSafetensors(path, { ...sample, metadata: { note: "again" } });
    assert.equal((await readSafetensors(path)).metadata["note"], "again");
    assert.deepEqual(await names(folder), ["model.safetensors"]);
  }));

Deno.test("`writeAtomic()` that fails leaves the old file and nothing half-written", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(join(folder, "taken"));
    await Deno.writeTextFile(join(folder, "taken", "old"), "old");
    // A folder of that name cannot be replaced by a file, which fails at the very last step.
    await assert.rejects(() => writeAtomic(join(folder, "taken"), "new"), UserError);
    assert.deepEqual(await names(folder), ["taken"]);
    assert.equal(await Deno.readTextFile(join(folder, "taken", "old")), "old");
    await assert.rejects(
      () => writeAtomic(join(folder, "missing", "x"), "new"),
      /Cannot write ".*x": its folder does not exist; make it, or name another/,
    );
    await assert.rejects(() => readSafetensors(join(folder, "no")), /there is no such file/);
  }));

Deno.test("`writeAtomic()` on a full disk says so, and leaves the old file alone", () =>
  inFolder(async (folder) => {
    const path = join(folder, "model");
    await writeAtomic(path, "old");
    const { write } = Deno.FsFile.prototype;
    let parts = 0;
    // The first bytes still fit, as on a disk that runs full in the middle.
    Deno.FsFile.prototype.write = function (bytes): Promise<number> {
      if (parts++ === 0) return write.call(this, bytes.subarray(0, 1));
      return Promise.reject(new Error("No space left on device (os error 28)"));
    };
    try {
      await assert.rejects(
        () => writeAtomic(path, "new"),
        (error) => error instanceof UserError && /model": the disk is full;/.test(error.message),
      );
    } finally {
      Deno.FsFile.prototype.write = write;
    }
    assert.equal(parts, 2);
    assert.equal(await Deno.readTextFile(path), "old");
    assert.deepEqual(await names(folder), ["model"]);
  }));

Deno.test("an archive of very many arrays is hashed like any other", () =>
  inFolder(async (folder) => {
    const path = join(folder, "many.safetensors");
    const tensors = new Map(
      Array.from({ length: 50_000 }, (_, i) => [`a${i}`, { shape: [1], data: Float32Array.of(i) }]),
    );
    await writeSafetensors(path, { tensors, metadata: {} });
    const read = await readSafetensors(path);
    assert.equal(read.tensors.size, 50_000);
    assert.deepEqual(read.metadata, {});
  }));

/** Folders hold nobody off who is root, and have no such mode on Windows. */
const unheld = Deno.build.os === "windows" || Deno.uid() === 0;
Deno.test({
  name: "`writeAtomic()` into a read-only folder is a clear error" +
    (unheld ? " (skipped: no folder is read-only for root or on Windows)" : ""),
  ignore: unheld,
  fn: () =>
    inFolder(async (folder) => {
      const path = join(folder, "model");
      await writeAtomic(path, "old");
      await Deno.chmod(folder, 0o555);
      try {
        await assert.rejects(() => writeAtomic(path, "new"), /writing there is not allowed/);
        assert.equal(await Deno.readTextFile(path), "old");
        assert.deepEqual(await names(folder), ["model"]);
      } finally {
        await Deno.chmod(folder, 0o755);
      }
    }),
});
