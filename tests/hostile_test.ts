/** Files that would fill the memory or take for ever, and odd ones: refused in a sentence, or read. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { loadCifar10, loadNotMnist, loadSvhn } from "../data/mod.ts";
import { encode } from "fast-png";
import { readUnzipped } from "../data/files.ts";
import { readMat } from "../data/mat.ts";
import { decodePng } from "../data/png.ts";
import { readTar } from "../data/tar.ts";
import { decodeSafetensors } from "../src/checkpoint/safetensors.ts";
import { decodeTorchCheckpoint, readCheckpointArrays } from "../src/checkpoint/torch.ts";
import { readZip } from "../src/base/zip.ts";
import { UserError } from "../src/base/errors.ts";
import { readFile } from "../src/base/files.ts";
import { png } from "./data_support.ts";
import { mat, svhn } from "./mat_writer.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { inFolder } from "./support.ts";
import { checkpoint, type Entry, le, tensor, zip } from "./torch_writer.ts";

/** A sentence of ours, on one line and of bounded length. */
function refuses(state: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof UserError, String(error));
    assert.match(error.message, state);
    assert.ok(error.message.length <= 300 && !error.message.includes("\n"), error.message);
    return true;
  };
}

const bytesOf = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

Deno.test("what is no regular file is refused by what it is, and not waited for", () =>
  inFolder(async (folder) => {
    await assert.rejects(readFile(folder), refuses(/it is a folder; name a file$/));
    await assert.rejects(readFile(join(folder, "no")), refuses(/there is no such file/));
    await Deno.symlink(join(folder, "no"), join(folder, "dangling"));
    await assert.rejects(readFile(join(folder, "dangling")), refuses(/there is no such file/));
    await Deno.symlink(join(folder, "loop"), join(folder, "loop"));
    await assert.rejects(readFile(join(folder, "loop")), refuses(/its links lead in a circle/));
    await assert.rejects(readFile(join(folder, "x".repeat(300))), refuses(/its name is too long/));
    await Deno.writeTextFile(join(folder, "file"), "12345");
    await assert.rejects(readFile(join(folder, "file", "in")), refuses(/is a file, not a folder/));
    await assert.rejects(
      readFile(join(folder, "file"), { limit: 4 }),
      refuses(/it has 5 bytes, more than 4/),
    );
    if (Deno.build.os !== "linux") return;
    await assert.rejects(readFile("/dev/zero"), refuses(/it is a device or a pipe/));
    await assert.rejects(
      readFile("/proc/cpuinfo"),
      refuses(/Deno keeps the system's own files back; copy it to a folder of yours/),
    );
  }));

Deno.test("gzip that unpacks to more than any data set is refused", () =>
  inFolder(async (folder) => {
    const path = join(folder, "bomb.gz");
    await Deno.writeFile(path, gzipSync(new Uint8Array(2 ** 22 + 1)));
    await assert.rejects(
      readUnzipped(path, 2 ** 22),
      refuses(/unpacks to more than 4194304 bytes/),
    );
  }));

Deno.test("a zip archive that names one entry often, or otherwise where it is stored, is refused", () => {
  const whole = zip([["a/b", bytesOf("12345")]]);
  const renamed = whole.slice();
  renamed.set(bytesOf("a/c"), 30);
  assert.throws(() => readZip(renamed, "z"), refuses(/"a\/b" is called otherwise/));
  assert.throws(
    () => readZip(zip([["a", bytesOf("1")], ["a", bytesOf("2")]]), "z"),
    refuses(/it holds "a" twice/),
  );
  // The second entry's bytes begin within those of the first.
  const inner = zip([["b", bytesOf("2")]]);
  const outer = zip([["a", inner], ["b", bytesOf("2")]]);
  const at = outer.length - 22 - (46 + 1) + 42;
  outer.set(le(31, 4), at);
  assert.throws(() => readZip(outer, "z"), refuses(/two of its entries overlap/));
});

Deno.test("a zip archive that unpacks to far more than it holds is refused before it is unpacked", () => {
  const bomb = zip([["a", bytesOf("1234")]]);
  const central = bomb.length - 22 - 47;
  bomb.set(le(2 ** 30, 4), central + 24);
  assert.throws(() => readZip(bomb, "z"), refuses(/it unpacks to far more than it holds/));
});

Deno.test("a zip entry without a checksum is read, one with a wrong one is not", () => {
  const archive = zip([["a", bytesOf("12345")]]);
  const central = archive.length - 22 - 47;
  const without = archive.slice();
  for (const at of [14, central + 16]) without.set([0, 0, 0, 0], at);
  assert.deepEqual(readZip(without, "z").get("a"), bytesOf("12345"));
  without.set([1, 0, 0, 0], central + 16);
  assert.throws(() => readZip(without, "z"), refuses(/"a" inside it is damaged/));
});

Deno.test("tensors whose offset, shape or stride is no count are refused", () => {
  const number = (value: number): string => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setFloat64(0, value);
    return `G${String.fromCharCode(...bytes)}`;
  };
  for (const value of [NaN, 0.5, -1, Infinity, 1e300]) {
    // The offset is the first number behind the storage, K\x00.
    const broken = tensor(0, [2, 2], [2, 1]).replace("tQK\0", `tQ${number(value)}`);
    assert.throws(
      () => decodeTorchCheckpoint(checkpoint(broken), "c"),
      refuses(/one of its tensors is damaged/),
      String(value),
    );
  }
});

Deno.test("prefixes that all names share are taken off, whatever the arrays stand under", () => {
  const inner = tensor(0, [2, 2], [2, 1]);
  const text = (value: string): string => `X${String.fromCharCode(value.length)}\0\0\0${value}`;
  const named = inner.replace(text("w"), text("module._orig_mod.w"));
  const under = (name: string): string => `\x80\x02}${text(name)}${named.slice(2, -1)}s.`;
  for (const pickle of [named, ...["state_dict", "model_state_dict", "model"].map(under)]) {
    const { stateDict } = decodeTorchCheckpoint(checkpoint(pickle), "c");
    assert.deepEqual([...stateDict.keys()], ["w"]);
    assert.deepEqual([...stateDict.get("w")?.data ?? []], [1, 2, 3, 4]);
  }
});

Deno.test("a safetensors file whose arrays overlap is refused before any is made", () => {
  const size = 2 ** 24;
  const entry = { dtype: "F32", shape: [size / 4], data_offsets: [0, size] };
  const names = Array.from({ length: 2000 }, (_, i) => [`t${i}`, entry]);
  const json = bytesOf(JSON.stringify(Object.fromEntries(names)));
  const bytes = new Uint8Array(8 + json.length + size);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  assert.throws(() => decodeSafetensors(bytes, "s"), refuses(/two of its arrays overlap/));
});

Deno.test("a PNG of another size is refused by its header", () => {
  const big = encode({ width: 64, height: 64, channels: 1, data: new Uint8Array(4096) });
  assert.throws(
    () => decodePng(big, { width: 28, height: 28 }),
    refuses(/64 x 64, not 28 x 28/),
  );
  assert.equal(decodePng(png(1), { width: 28, height: 28 }).width, 28);
});

/** A tar archive of one file, whose header gives this size. */
function tarOf(field: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(2048);
  bytes.set(bytesOf("a.png"));
  bytes.set(field, 124);
  bytes.set(bytesOf("0"), 156);
  bytes.set(bytesOf("        "), 148);
  const sum = bytes.subarray(0, 512).reduce((a, b) => a + b, 0);
  bytes.set(bytesOf(sum.toString(8).padStart(6, "0") + "\0 "), 148);
  bytes.set(bytesOf("12345"), 512);
  return bytes;
}

Deno.test("a tar header's size is octal or of base 256; one that is negative or no number is refused", () => {
  const base256 = Uint8Array.from([0x80, ...Array(10).fill(0), 5]);
  for (const field of [bytesOf("00000000005\0"), base256]) {
    assert.deepEqual(readTar(tarOf(field), "t").map(({ data }) => data.length), [5]);
  }
  const negative = Uint8Array.from(Array(12).fill(0xff));
  const huge = Uint8Array.from([0x80, ...Array(11).fill(0xff)]);
  for (const field of [bytesOf("-0000001000"), bytesOf("0000009000\0"), negative, huge]) {
    assert.throws(() => readTar(tarOf(field), "t"), refuses(/gives a size that is none/));
  }
});

Deno.test("a MAT-file of very many blocks, or of blocks that unpack to gigabytes, is refused", () => {
  const one = mat([{ name: "a", shape: [1, 1], values: [1] }]);
  const block = new Uint8Array(8);
  new DataView(block.buffer).setUint32(0, 1, true);
  const many = new Uint8Array(one.length + 8 * 1001);
  many.set(one);
  for (let i = 0; i < 1001; i++) many.set(block, one.length + 8 * i);
  assert.throws(
    () => readMat(many, "m", 2 ** 20),
    refuses(/it holds more than 1000 blocks/),
  );
  const values = { name: "a", shape: [1, 2 ** 16], values: new Array<number>(2 ** 16).fill(0) };
  const bomb = mat(new Array(20).fill(values), { compressed: true });
  assert.throws(() => readMat(bomb, "m", 2 ** 20), refuses(/unpack to more than 1048576 bytes/));
  // Packed as bytes, but eight bytes each as the numbers that they stand for.
  const wide = mat([{ ...values, kind: "double", stored: "uint8" }], { compressed: true });
  assert.throws(
    () => readMat(wide, "m", 2 ** 18),
    refuses(/its numbers take more than 262144 bytes; save images as uint8/),
  );
  assert.equal(readMat(wide, "m", 2 ** 19).get("a")?.data.length, 2 ** 16);
});

Deno.test("SVHN is read as SciPy writes it: labels as a row, and of 64 bits", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(join(folder, "SVHN"));
    const path = join(folder, "SVHN", "test_32x32.mat");
    const labels = [10, 1, 9];
    for (const y of [{ shape: [1, 3] }, { kind: "int64", stored: "int64" }] as const) {
      await Deno.writeFile(path, svhn(labels, { y }));
      assert.deepEqual([...(await loadSvhn(folder)).labels], [0, 1, 9]);
    }
  }));

const model = "reference/checkpoints/de_seed0.checkpoint";
for (
  const name of [
    "numpy2_scalar",
    "pickle_protocol4",
    "legacy_protocol3",
    "data_parallel",
    "no_crc32",
  ]
) {
  testWithShared(
    `${name}.checkpoint is the reference's model`,
    [`cases/${name}.checkpoint`, model],
    async () => {
      const [read, wanted] = await Promise.all(
        [`cases/${name}.checkpoint`, model].map((path) => readCheckpointArrays(sharedPath(path))),
      );
      assert.ok(read && wanted);
      assert.deepEqual([...read.tensors.keys()], [...wanted.tensors.keys()]);
      for (const [name, { data, shape }] of wanted.tensors) {
        assert.deepEqual(read.tensors.get(name)?.shape, shape);
        assert.ok(read.tensors.get(name)?.data.every((value, i) => value === data[i]), name);
      }
    },
  );
}

const refused: readonly [file: string, read: (path: string) => Promise<unknown>, state: RegExp][] =
  [
    ["zip_overlapping.pt", readCheckpointArrays, /is called otherwise|overlap/],
    ["tar_negative_size", loadNotMnist, /gives a size that is none/],
    ["pickle_amplified", (path) => loadCifar10(path, "test"), /label 0 is a list/],
  ];
for (const [file, read, state] of refused) {
  testWithShared(`${file} is refused in a sentence`, [`cases/${file}`], async () => {
    await assert.rejects(read(sharedPath(`cases/${file}`)), refuses(state));
  });
}

testWithShared(
  "arrays over the same bytes, and very many empty blocks, are refused",
  ["cases/overlapping.safetensors.gz", "cases/many_empty_blocks.mat.gz"],
  async () => {
    const unpacked = async (name: string): Promise<Uint8Array> =>
      gunzipSync(await Deno.readFile(sharedPath(`cases/${name}.gz`)));
    const [arrays, blocks] = [
      await unpacked("overlapping.safetensors"),
      await unpacked("many_empty_blocks.mat"),
    ];
    assert.throws(() => decodeSafetensors(arrays, "s"), refuses(/two of its arrays overlap/));
    assert.throws(() => readMat(blocks, "m", 2 ** 20), refuses(/it holds more than 1000 blocks/));
  },
);

testWithShared(
  "PNGs of other sizes are passed over by their header",
  ["cases/png_bomb_tar"],
  async () => {
    const { count, skipped } = await loadNotMnist(sharedPath("cases/png_bomb_tar"));
    assert.ok(count > 0 && (skipped?.length ?? 0) > 0);
  },
);

const more: Entry = ["x/unused", bytesOf("")];
Deno.test("a name in a pickle that is refused is quoted at a bounded length", () => {
  const name = "y".repeat(5000);
  assert.throws(
    () => decodeTorchCheckpoint(checkpoint(`\x80\x02c${name}\n${name}\n.`, more), "c"),
    refuses(/could run code and is refused/),
  );
});
