/** Limits of the reader of ONNX files: bytes that ask for much, and arrays that lie in other files. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { UserError } from "../src/base/errors.ts";
import { sha256 } from "../src/base/digest.ts";
import { evaluateOnHost } from "../src/onnx/fold.ts";
import type { HostTensor } from "../src/onnx/model.ts";
import { readOnnx } from "../src/onnx/read.ts";
import {
  externalTensor,
  node,
  type Part,
  rawBytes,
  refuses,
  smallNetwork,
  tensor,
  writeGraph,
} from "./onnx_writer.ts";

/** A message's bytes as a field of another. */
function field(number: number, bytes: Uint8Array): Uint8Array {
  return new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(bytes).finish();
}

/** Numbers of fields in the schema. */
const [graphOfModel, nodeOfGraph, attributeOfNode, intsOfAttribute] = [7, 1, 5, 8];

/** Bytes as the graph of a model. */
const asGraph = (bytes: Uint8Array): Uint8Array => field(graphOfModel, bytes);

Deno.test("a file that ends early is refused, wherever it ends", async () => {
  const whole = smallNetwork();
  let refused = 0;
  for (let end = 0; end < whole.length; end++) {
    try {
      await readOnnx(whole.subarray(0, end));
    } catch (error) {
      assert.ok(error instanceof UserError, String(error));
      refused++;
    }
  }
  // All but where a field of the model ends behind its graph: without the metadata it is whole as well.
  assert.ok(refused >= whole.length - 3, `${whole.length - refused} parts were read`);
});

Deno.test("millions of empty nodes, attributes or numbers in a few bytes are refused before any is made", async () => {
  const empty = new Uint8Array(2 * (2 ** 21 + 1));
  for (let i = 0; i < empty.length; i += 2) empty[i] = nodeOfGraph << 3 | WireType.LengthDelimited;
  const state = /it has more than 2097152 fields and numbers outside its arrays/;
  await refuses(asGraph(empty), state);
  const packed = field(intsOfAttribute, new Uint8Array(2 ** 21));
  await refuses(asGraph(field(nodeOfGraph, field(attributeOfNode, packed))), state);
});

Deno.test("a graph of more nodes than a network has is refused", async () => {
  const relu = node("Relu", ["a"], [""]);
  await refuses(
    writeGraph({ node: Array<Part<"Node">>(100_001).fill(relu) }),
    /it has 100001 nodes, more than 100000/,
  );
});

Deno.test("a node of very many inputs is read, and computed where it can be", async () => {
  const names = Array<string>(300_000).fill("a");
  const model = await readOnnx(writeGraph({
    node: [
      node("Concat", names, ["y"], { axis: 0 }),
      node("Relu", ["b"], ["a"]),
      node("Constant", [], ["b"], { value: tensor("", "int64", [0], []) }),
    ],
  }));
  assert.deepEqual(model.nodes.map(({ op }) => op), ["Constant", "Relu", "Concat"]);
  const concat = model.nodes.at(-1);
  assert.ok(concat);
  const row = (columns: number): HostTensor => ({
    type: "int8",
    shape: [2 ** 10, columns],
    data: new Int8Array(2 ** 10 * columns),
  });
  const inputs = [row(1), ...names.slice(1).map(() => row(0))];
  const along = { ...concat, attributes: new Map([["axis", 1]]) };
  assert.deepEqual(evaluateOnHost(along, inputs, 17)?.[0]?.shape, [2 ** 10, 1]);
  const largest = { ...concat, op: "Max" };
  assert.deepEqual(evaluateOnHost(largest, names.map(() => row(0)), 17)?.[0]?.shape, [2 ** 10, 0]);
  const split = { ...concat, op: "Split", outputs: names, attributes: new Map([["axis", 1]]) };
  const parts = evaluateOnHost(split, [{ ...row(0), shape: [0, 300_000] }], 17);
  assert.equal(parts?.length, names.length);
});

Deno.test("lengths beyond the file, or beyond the part that they are in, are refused", async () => {
  const graph = graphOfModel << 3 | WireType.LengthDelimited;
  const inner = nodeOfGraph << 3 | WireType.LengthDelimited;
  const cut = /it is no ONNX file, or was cut off/;
  await refuses(Uint8Array.of(graph, 0xff, 0xff, 0xff, 0xff, 0x0f), cut);
  await refuses(Uint8Array.of(graph, 5, inner, 0), cut);
  // The node would end behind its graph.
  await refuses(Uint8Array.of(graph, 2, inner, 2, 0x0a, 0), cut);
  // A varint that begins inside a graph and ends behind it.
  await refuses(Uint8Array.of(graph, 2, 0x20, 0x80, 0x01), /a part of it runs into the next/);
});

Deno.test("numbers without an end, groups without an end and groups in groups are refused", async () => {
  const damaged = /it is no ONNX file, or is damaged/;
  const [version, unknown] = [1 << 3 | WireType.Varint, 15 << 3 | WireType.StartGroup];
  await refuses(Uint8Array.from([version, ...Array(11).fill(0xff), 1]), damaged);
  await refuses(new Uint8Array(2 ** 22).fill(0xff), damaged);
  await refuses(Uint8Array.of(unknown), damaged);
  await refuses(new Uint8Array(2 ** 22).fill(unknown), damaged);
  await refuses(Uint8Array.of(0, 0), damaged);
});

Deno.test("a field of another kind than in the schema is refused by its name", async () => {
  const at = (number: number, wire: WireType): number => number << 3 | wire;
  const kind = (name: string): RegExp => new RegExp(`${name} is of another kind than in ONNX`);
  await refuses(Uint8Array.of(at(graphOfModel, WireType.Varint), 1), kind("graph of Model"));
  await refuses(Uint8Array.of(at(1, WireType.Bit32), 1, 2, 3, 4), kind("irVersion of Model"));
  await refuses(Uint8Array.of(at(1, WireType.LengthDelimited), 1, 2), kind("irVersion of Model"));
  const attribute = (bytes: Uint8Array): Uint8Array =>
    asGraph(field(nodeOfGraph, field(attributeOfNode, bytes)));
  const [floats, ints] = [7, 8];
  await refuses(attribute(field(floats, new Uint8Array(3))), kind("floats of Attribute"));
  await refuses(attribute(field(ints, Uint8Array.of(1, 0x80))), kind("ints of Attribute"));
});

/** A folder with a model whose array lies in other files, which are given with their bytes. */
async function beside(
  entries: Readonly<Record<string, string>> | readonly Readonly<Record<string, string>>[],
  files: Readonly<Record<string, Uint8Array>>,
  check: (model: string, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const inner = join(folder, "model");
    await Deno.mkdir(join(inner, "sub"), { recursive: true });
    for (const [name, bytes] of Object.entries(files)) {
      await Deno.writeFile(join(inner, name), bytes);
    }
    const all = Array.isArray(entries) ? entries : [entries];
    const initializer = all.map((of, i) => externalTensor(`w${i}`, [2], of));
    const model = join(inner, "model.onnx");
    await Deno.writeFile(model, writeGraph({ initializer }));
    await check(model, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const four = rawBytes("float32", [1, 2, 3, 4]);

Deno.test("arrays in another file are read by their range, and belong to what the model is", async () => {
  const entries = [
    { location: "sub/data.bin", offset: "8", length: "8" },
    { location: "./sub/data.bin" },
  ];
  await beside(entries, { "sub/data.bin": four }, async (path, folder) => {
    const { initializers, sha256: digest, name } = await readOnnx(path);
    assert.equal(name, "model.onnx");
    assert.deepEqual(initializers.get("w0")?.data, Float32Array.of(3, 4));
    assert.deepEqual(initializers.get("w1")?.data, Float32Array.of(1, 2));
    const parts = [four.subarray(8), four.subarray(0, 8)].map((part) => sha256(part));
    assert.equal(digest, sha256(await Deno.readFile(path), ...parts));
    // The folder of the model is meant, whatever that of the program is, and however it is named.
    await Deno.symlink(join(folder, "model"), join(folder, "link"));
    const linked = await readOnnx(join(folder, "link", "model.onnx"));
    assert.equal(linked.sha256, digest);
  });
});

Deno.test("another file's SHA-1 is checked where the model has it", async () => {
  const digest = await crypto.subtle.digest("SHA-1", four);
  const right = new Uint8Array(digest).toHex().toUpperCase();
  await beside({ location: "a", checksum: right }, { a: four }, async (path) => {
    assert.deepEqual((await readOnnx(path)).initializers.get("w0")?.data, Float32Array.of(1, 2));
  });
  await beside(
    { location: "a", checksum: "0".repeat(40) },
    { a: four },
    (path) =>
      refuses(
        path,
        /"a", which is not what was written \(its SHA-1 differs\); copy the model's files/,
      ),
  );
});

const outside =
  /"w0" lies in ".*", which is no path inside the model's folder; keep its data beside/;
const external: readonly [wrong: string, Readonly<Record<string, string>>, RegExp][] = [
  ["is missing", { location: "no.bin" }, /"w0" lies in "no.bin", but there is no such file; check/],
  ["has no name", {}, outside],
  ["lies above", { location: "../data.bin" }, outside],
  ["lies above, by a way round", { location: "sub/../../data.bin" }, outside],
  ["lies above, as Windows writes it", { location: "sub\\..\\..\\data.bin" }, outside],
  ["lies at the root", { location: "/etc/passwd" }, outside],
  ["lies on a drive", { location: "C:\\data.bin" }, outside],
  ["lies on a share", { location: "\\\\host\\data.bin" }, outside],
  ["is a folder", { location: "sub" }, /"sub", which is no regular file/],
  ["is the folder itself", { location: "." }, /".", which is no regular file/],
  ["has a NUL in its name", { location: "a\0b" }, /lies in "a b", but its name holds a NUL/],
  ["is too short", { location: "a", offset: "12" }, /from byte 12 to 20 of 16; copy the model's/],
  ["has another length", { location: "a", length: "4" }, /in 4 bytes, its shape needs 8/],
  ["begins before it", { location: "a", offset: "-1" }, /where its offset is no number of bytes/],
  ["begins nowhere", { location: "a", offset: "9".repeat(30) }, /its offset is no number of bytes/],
  ["is no number long", { location: "a", length: "1e9" }, /its length is no number of bytes/],
];

for (const [wrong, entries, state] of external) {
  Deno.test(`an array is refused whose file ${wrong}`, () =>
    beside(entries, { a: four }, (path) => refuses(path, state)));
}

Deno.test("links out of the model's folder are refused, links in it are followed", async () => {
  await beside({ location: "link" }, { "sub/data.bin": four }, async (path, folder) => {
    const link = join(folder, "model", "link");
    await Deno.symlink("sub/data.bin", link);
    assert.deepEqual((await readOnnx(path)).initializers.get("w0")?.data, Float32Array.of(1, 2));
    await Deno.writeFile(join(folder, "secret"), four);
    const out = /"link", a link out of the model's folder; put the file itself beside the model/;
    for (const to of ["../secret", join(folder, "secret")]) {
      await Deno.remove(link);
      await Deno.symlink(to, link);
      await refuses(path, out);
    }
    await Deno.remove(link);
    await Deno.symlink("link", link);
    await refuses(path, /"link", but its links lead in a circle/);
  });
  await beside({ location: "sub/secret" }, {}, async (path, folder) => {
    await Deno.remove(join(folder, "model", "sub"));
    await Deno.writeFile(join(folder, "secret"), four);
    await Deno.symlink("..", join(folder, "model", "sub"));
    await refuses(path, /a link out of the model's folder/);
  });
});

Deno.test("the same bytes for many arrays, or a model without its folder, are refused", async () => {
  const same = Array.from({ length: 3 }, () => ({ location: "a" }));
  await beside(
    same,
    { a: four },
    (path) => refuses(path, /"w2" lies in "a", where its bytes belong to another array too/),
  );
  // The path written in another way is no other file.
  const spelt = [{ location: "a" }, { location: "./a" }, { location: ".//a" }];
  await beside(
    spelt,
    { a: four },
    (path) => refuses(path, /"w2" lies in ".\/\/a", where its bytes/),
  );
  const initializer = [externalTensor("w", [2], { location: "a" })];
  await refuses(
    writeGraph({ initializer }),
    /"w" lies in "a", but only the model's own bytes are at hand; name the model by its path/,
  );
});
