/** Limits of the readers of models: small files that ask for much, and what says two things of itself. */
import assert from "node:assert/strict";
import { gunzipSync } from "node:zlib";
import { readNumpyDictionary } from "../data/numpy.ts";
import { PickleError, readPickle } from "../src/base/pickle.ts";
import { decodeSafetensors } from "../src/checkpoint/safetensors.ts";
import { decodeCheckpoint, decodeTorchCheckpoint } from "../src/checkpoint/torch.ts";
import { readZip } from "../src/base/zip.ts";
import { UserError } from "../src/base/errors.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { checkpoint, type Entry, inner, le, pickled, tensor, zip } from "./torch_writer.ts";

const { byte, dictionary, list, name, text, tuple } = pickled;
const latin1 = (value: string): Uint8Array => Uint8Array.from(value, (c) => c.charCodeAt(0));
const utf8 = (value: string): Uint8Array => new TextEncoder().encode(value);

/** One sentence, soon: on one line, of at most 300 characters. */
function refuses(
  act: () => unknown,
  state: RegExp,
  kind: typeof UserError | typeof PickleError = UserError,
): void {
  const started = performance.now();
  assert.throws(act, (error) => {
    assert.ok(error instanceof kind, String(error));
    assert.match(error.message, state);
    assert.ok(error.message.length <= 300 && !error.message.includes("\n"), error.message);
    return true;
  });
  // Far above what it takes, far below what it would take without the limit.
  assert.ok(performance.now() - started < 30_000, `${state} took too long`);
}

const plain = { allowed: new Set<string>(), reduce: () => null };
const pickle = (body: string): unknown => readPickle(latin1(`\x80\x04${body}`), plain);

Deno.test("a pickle of more instructions than any model needs is refused", () => {
  const many = new Uint8Array(2 ** 21 + 10).fill("}".charCodeAt(0));
  refuses(() => readPickle(many, plain), /more than 2097152 instructions/, PickleError);
  many.fill("(".charCodeAt(0));
  refuses(() => readPickle(many, plain), /more than 2097152 instructions/, PickleError);
});

Deno.test("lists doubled a hundred times, and lists in lists, are read in their own size", () => {
  const doubled = Array.from({ length: 100 }, (_, i) => `](h${String.fromCharCode(i)}2e\x94`);
  const top = pickle(`]\x94${doubled.join("")}.`);
  assert.ok(Array.isArray(top) && top.length === 2 && top[0] === top[1]);
  const depth = 200_000;
  assert.ok(Array.isArray(pickle(`${"]".repeat(depth)}${"a".repeat(depth - 1)}.`)));
});

Deno.test("a pickle's numbers and texts are of bounded length, and reach no further than the file", () => {
  const number = `\x8b${String.fromCharCode(...le(256, 4))}${"\0".repeat(256)}.`;
  refuses(() => pickle(number), /a number of 256 bytes/, PickleError);
  const size = 2 ** 27 + 1;
  for (const code of ["X", "B"]) {
    const bytes = new Uint8Array(5 + size + 1);
    bytes.set([code.charCodeAt(0), ...le(size, 4)]);
    refuses(() => readPickle(bytes, plain), /holds a text of 134217729 bytes/, PickleError);
  }
  for (const code of ["\x8d", "\x8e", "\x96"]) {
    for (const length of [10, 2 ** 40, 2 ** 63]) {
      const claimed = String.fromCharCode(...le(length, 8));
      refuses(() => pickle(`${code}${claimed}abc.`), /was cut off/, PickleError);
    }
  }
});

Deno.test("what no pickler writes is damage: values that were never kept, keys without values", () => {
  for (
    const body of ["h\x07.", "\x94.", "}(K\x01u.", "(.", "0.", "a.", "K\x01K\x02s.", "e.", ")R."]
  ) {
    refuses(() => pickle(body), /is damaged|calls something/, PickleError);
  }
});

Deno.test("one byte string of an array cannot be copied many times", () => {
  const content = "x".repeat(100_000);
  const encoded = `${name("_codecs", "encode")}(h\0${text("latin1")}tR`;
  const body = `${text(content)}\x94${list(...Array(1000).fill(encoded))}.`;
  refuses(
    () => readNumpyDictionary(latin1(`\x80\x02${body}`)),
    /arrays are far larger than the bytes/,
    PickleError,
  );
  const type = `${name("numpy", "dtype")}${tuple(text("u1"))}R`;
  const made = `${name("numpy._core.multiarray", "_reconstruct")})R`;
  const state = (axes: number): string =>
    tuple(byte(1), tuple(...Array(axes).fill(byte(1))), type, "\x89", "C\x01x");
  const array = (axes: number): Uint8Array =>
    latin1(`\x80\x04${dictionary({ data: `${made}${state(axes)}b` })}.`);
  assert.equal(readNumpyDictionary(array(64)).size, 1);
  refuses(() => readNumpyDictionary(array(65)), /one of its arrays is damaged/, PickleError);
});

Deno.test("an array of bytes is read from the buffer that protocol 5 keeps it in", () => {
  const type = `${name("numpy", "dtype")}${tuple(text("u1"))}R`;
  const content = `\x96${String.fromCharCode(...le(6, 8))}\x01\x02\x03\x04\x05\x06`;
  for (const [order, data] of [["C", [1, 2, 3, 4, 5, 6]], ["F", [1, 3, 5, 2, 4, 6]]] as const) {
    const long = content.replace("\x06\0\0\0\0\0\0\0", String.fromCharCode(...le(606, 8))) +
      "\0".repeat(600);
    const shape = (n: number): string => tuple(`M${String.fromCharCode(...le(n, 2))}`, byte(3));
    const array = (of: string, rows: number): string =>
      `${name("numpy._core.numeric", "_frombuffer")}${tuple(of, type, shape(rows), text(order))}R`;
    const read = readNumpyDictionary(
      latin1(`\x80\x05${dictionary({ a: array(content, 2), b: array(long, 202) })}.`),
    );
    const [a, b] = [read.get("a"), read.get("b")];
    assert.ok(a && b && typeof a === "object" && "data" in a);
    assert.deepEqual([...(a.data as Uint8Array)], data);
  }
});

Deno.test("one storage, one shape, one list of pairs make no more than the file can hold", () => {
  const byName = (value: string): Uint8Array => checkpoint(`\x80\x02${value}.`);
  const axes = (n: number): string => tuple(...Array(n).fill(byte(1)));
  const of = (shape: string): string =>
    matrixOf.replace(shapeOf, () => `${shape}${shape.replaceAll(byte(1), byte(0))}`);
  const shapeOf = `${tuple(byte(1))}${tuple(byte(1))}`;
  const matrixOf = inner(tensor(0, [1], [1]));
  assert.equal(decodeTorchCheckpoint(byName(of(axes(64))), "c").stateDict.size, 1);
  refuses(() => decodeTorchCheckpoint(byName(of(axes(65))), "c"), /one of its tensors is damaged/);
  const pairs = list(...Array(50_000).fill(list(byte(1), byte(2))));
  const made = `${name("collections", "OrderedDict")}(h\0tR0`;
  refuses(
    () => decodeTorchCheckpoint(byName(`${pairs}\x94${made.repeat(400)}`), "c"),
    /far larger than the numbers it holds; make them contiguous/,
  );
  const huge = (n: bigint): string =>
    `\x8a\x08${String.fromCharCode(...new Uint8Array(BigInt64Array.of(n).buffer))}`;
  for (const size of [2n ** 53n, 2n ** 62n, -1n]) {
    const shape = tuple(huge(size), huge(size), byte(0));
    refuses(() => decodeTorchCheckpoint(byName(of(shape)), "c"), /one of its tensors is damaged/);
  }
});

/** An archive of one entry of five bytes, and where its two headers begin. */
function one(options: Parameters<typeof zip>[1] = {}): { archive: Uint8Array; central: number } {
  const archive = zip([["a", utf8("12345")]], options);
  return { archive, central: archive.length - 22 - 47 };
}

/** A copy with bytes at other places. */
function changed(archive: Uint8Array, ...edits: [at: number, bytes: number[]][]): Uint8Array {
  const copy = archive.slice();
  for (const [at, bytes] of edits) copy.set(bytes, at);
  return copy;
}

Deno.test("what a zip archive says twice has to agree, where it says it", () => {
  const { archive, central } = one();
  const otherwise = /"a" is described otherwise where it is stored/;
  for (const [at, bytes] of [[8, [8, 0]], [14, [1]], [18, [4]], [22, [4]]] as const) {
    refuses(() => readZip(changed(archive, [at, [...bytes]]), "z"), otherwise);
  }
  const blank: [number, number[]] = [14, Array(12).fill(0)];
  refuses(() => readZip(changed(archive, blank), "z"), otherwise);
  // Bit 3: sizes and checksum follow the content, and the local header has zeros.
  const described = changed(archive, blank, [6, [8]], [central + 8, [8]]);
  assert.deepEqual(readZip(described, "z").get("a"), utf8("12345"));
  refuses(() => readZip(changed(described, [22, [4]]), "z"), otherwise);
});

Deno.test("a checksum that stands in one place alone is checked all the same", () => {
  const { archive, central } = one();
  const none = Array(4).fill(0);
  for (const [left, kept] of [[14, central + 16], [central + 16, 14]] as const) {
    const half = changed(archive, [left, none]);
    assert.deepEqual(readZip(half, "z").get("a"), utf8("12345"));
    refuses(() => readZip(changed(half, [kept, [1, 2, 3, 4]]), "z"), /"a" inside it is damaged/);
  }
  const both = changed(archive, [14, none], [central + 16, none]);
  assert.deepEqual(readZip(both, "z").get("a"), utf8("12345"));
});

Deno.test("an encrypted entry, or one packed in another way, is refused by its cause", () => {
  const { archive, central } = one();
  for (const at of [6, central + 8]) {
    refuses(() => readZip(changed(archive, [at, [1]]), "z"), /"a" inside it is encrypted/);
  }
  const method = changed(archive, [8, [93]], [central + 10, [93]]);
  refuses(() => readZip(method, "z"), /"a" is packed by method 93, which is not read/);
});

Deno.test("a zip archive has a bounded number of entries, apart from one another and the directory", () => {
  const wide = zip([["a", utf8("1")]], { wide: true });
  const record = wide.length - 22 - 20 - 56;
  const many = changed(wide, [record + 32, le(65537, 8)]);
  refuses(() => readZip(many, "z"), /holds more than 65536 files/);
  refuses(
    () => readZip(changed(wide, [record + 32, le(2 ** 60, 8)]), "z"),
    /holds more than 65536 files/,
  );
  const { archive, central } = one();
  const into = changed(
    archive,
    ...[18, 22, central + 20, central + 24].map(
      (at): [number, number[]] => [at, le(6, 4)],
    ),
  );
  refuses(() => readZip(into, "z"), /"a" inside it was cut off/);
  const same = zip([["a", utf8("1")], ["b", utf8("1")]]);
  const second = same.length - 22 - 47;
  refuses(
    () => readZip(changed(same, [second + 42, le(0, 4)], [second + 46, [97]]), "z"),
    /it holds "a" twice/,
  );
});

Deno.test("an entry that unpacks to more than it says, or says more than there is room for, is refused", () => {
  const zeros = new Uint8Array(2 ** 24);
  const packed = zip([["a", zeros]], { deflate: true });
  const central = packed.length - 22 - 47;
  assert.equal(readZip(packed, "z").get("a")?.length, zeros.length);
  const claims = (size: number): Uint8Array =>
    changed(packed, [22, le(size, 4)], [central + 24, le(size, 4)]);
  refuses(() => readZip(claims(1000), "z"), /"a" inside it is damaged/);
  refuses(() => readZip(claims(2 ** 24 + 1), "z"), /"a" inside it is damaged/);
  refuses(() => readZip(claims(2 ** 31), "z"), /unpacks to far more than it holds/);
});

/** A safetensors file of this header and so many bytes. */
function safetensors(header: string, size: number): Uint8Array {
  const json = utf8(header);
  const bytes = new Uint8Array(8 + json.length + size);
  bytes.set(le(json.length, 8));
  bytes.set(json, 8);
  return bytes;
}

const entry = (shape: number[], from: number, to: number): unknown => (
  { dtype: "F32", shape, data_offsets: [from, to] }
);
const decode = (header: unknown, size: number): unknown =>
  decodeSafetensors(safetensors(JSON.stringify(header), size), "s");

Deno.test("twenty thousand arrays over the same bytes are refused before any is made", () => {
  const size = 2 ** 22;
  const names = Array.from({ length: 20_000 }, (_, i) => [`t${i}`, entry([size / 4], 0, size)]);
  refuses(() => decode(Object.fromEntries(names), size), /two of its arrays overlap/);
});

Deno.test("a shape of more elements than can be counted is refused, also when it ends in zero", () => {
  const wrong = /"a" has the wrong size/;
  refuses(() => decode({ a: entry([2 ** 40, 2 ** 40], 0, 8) }, 8), wrong);
  refuses(() => decode({ a: entry([2 ** 40, 2 ** 40, 0], 0, 0) }, 0), wrong);
  refuses(() => decode({ a: entry(Array(65).fill(1), 0, 4) }, 4), /"a" has more than 64 axes/);
  decode({ a: entry(Array(64).fill(1), 0, 4) }, 4);
  for (const bad of [0.5, -1, 2 ** 53, 1e300]) {
    refuses(() => decode({ a: entry([bad], 0, 4) }, 4), /"a" is damaged or of an unknown type/);
  }
});

Deno.test("bytes that belong to no array are refused, as the format has it", () => {
  const none = (from: number, to: number): RegExp =>
    new RegExp(`its bytes from ${from} to ${to} belong to no array`);
  refuses(() => decode({ a: entry([1], 4, 8) }, 8), none(0, 4));
  refuses(() => decode({ a: entry([1], 0, 4) }, 8), none(4, 8));
  refuses(() => decode({ b: entry([1], 8, 12), a: entry([1], 0, 4) }, 12), none(4, 8));
  // Arrays without elements lie anywhere between the others.
  decode({ b: entry([1], 4, 8), none: entry([0], 4, 4), a: entry([1], 0, 4) }, 8);
});

Deno.test("a header of more than a model's is refused before it is parsed", () => {
  const lists = `{"a":[${"[],".repeat(2 ** 21)}[]]}`;
  refuses(() => decodeSafetensors(safetensors(lists, 0), "s"), /more than 1048576 texts, brackets/);
  const long = new Uint8Array(8 + 100_000_001);
  long.set(le(100_000_001, 8));
  refuses(() => decodeSafetensors(long, "s"), /header has 100000001 bytes, more than 100000000/);
  for (const length of [2 ** 40, 2 ** 63]) {
    refuses(() => decodeSafetensors(Uint8Array.from([...le(length, 8), 1]), "s"), /was cut off/);
  }
  // Commas and brackets within texts are none.
  const marks = ',[]{}\\\\\\"'.repeat(2 ** 20);
  const quoted = `{"__metadata__":{"note":"${marks}"}}`;
  assert.equal(decodeSafetensors(safetensors(quoted, 0), "s").tensors.size, 0);
});

Deno.test("the longest names and paths leave one sentence of 300 characters", () => {
  const [path, long] = ["p/".repeat(2000), "n\n".repeat(2000)];
  const content: Entry = [long, utf8("12345")];
  const archive = zip([content]);
  const central = archive.length - 22 - 46 - long.length;
  const cases: Uint8Array[] = [
    archive,
    zip([content, content]),
    changed(archive, [8, [93]], [central + 10, [93]]),
    changed(archive, [30, [65]]),
    checkpoint(`\x80\x02${name("n".repeat(5000), "m")}.`),
    checkpoint(`\x80\x02${name("torch", `${"n".repeat(5000)}Storage`)}.`),
    checkpoint(tensor(0, [1], [1]).replace(text("0"), text("k".repeat(5000)))),
    safetensors(JSON.stringify({ [long]: 1 }), 0),
    safetensors(JSON.stringify({ [long]: entry(Array(65).fill(1), 0, 4) }), 4),
    safetensors(`{${JSON.stringify(long)}:1,${JSON.stringify(long)}:2}`, 0),
  ];
  for (const bytes of cases) refuses(() => decodeCheckpoint(bytes, path), /^Cannot read/);
});

const shared = [
  "cases/zip_overlapping.pt",
  "cases/overlapping.safetensors.gz",
  "cases/pickle_amplified/cifar-10-batches-py/test_batch",
] as const;
testWithShared("real files that ask for much are refused soon, in a sentence", shared, async () => {
  const [archive, arrays, amplified] = await Promise.all(
    shared.map((path) => Deno.readFile(sharedPath(path))),
  );
  assert.ok(archive && arrays && amplified);
  refuses(() => decodeCheckpoint(archive, "z"), /is called otherwise|overlap/);
  refuses(() => decodeCheckpoint(gunzipSync(arrays), "s"), /two of its arrays overlap/);
  // The pickle itself is small once it is read; what it stands for is never written out.
  assert.ok(readNumpyDictionary(amplified).size > 0);
});
