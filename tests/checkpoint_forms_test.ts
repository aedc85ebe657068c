/** What writers of today and of yesterday leave: the same tensors, whatever stands around them. */
import assert from "node:assert/strict";
import { encodeSafetensors } from "../src/checkpoint/safetensors.ts";
import {
  decodeCheckpoint,
  decodeTorchCheckpoint,
  readCheckpointArrays,
  readTorchCheckpoint,
} from "../src/checkpoint/torch.ts";
import { readZip } from "../src/base/zip.ts";
import { UserError } from "../src/base/errors.ts";
import { task } from "./program.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { inFolder } from "./support.ts";
import { checkpoint, type Entry, inner, legacy, pickled, tensor, zip } from "./torch_writer.ts";

const { byte, bytes, dictionary, list, name, stackName, text, tuple } = pickled;
const matrix = tensor(0, [2, 2], [1, 2]);

/** Names and values of a checkpoint whose pickle is `{"state_dict": {"w": ..}, ...more}`. */
function read(more: Readonly<Record<string, string>>, protocol = "\x02"): unknown {
  const pickle = `\x80${protocol}${dictionary({ state_dict: inner(matrix), ...more })}.`;
  const { stateDict, epoch } = decodeTorchCheckpoint(checkpoint(pickle), "c");
  assert.deepEqual([...stateDict.keys()], ["w"]);
  assert.deepEqual([...stateDict.get("w")?.data ?? []], [1, 3, 2, 4]);
  return epoch;
}

/** A scalar of NumPy as it is pickled: its type, then the state of that, then its bytes. */
function scalar(type: string, order: string, content: number[], module: string): string {
  const state = tuple(byte(3), text(order), "NNN", byte(0), byte(0), byte(0));
  const made = `${name("numpy", "dtype")}${tuple(text(type), "\x89", "\x88")}R${state}b`;
  return `${name(module, "scalar")}${tuple(made, bytes(...content))}R`;
}

Deno.test("scalars of NumPy, before and since version 2, have the value of their type and byte order", () => {
  const of = (data: ArrayBufferView): number[] => [...new Uint8Array(data.buffer)];
  const cases: [type: string, content: number[], value: number][] = [
    ["f8", of(Float64Array.of(0.1)), 0.1],
    ["f4", of(Float32Array.of(0.5)), 0.5],
    ["f2", of(Uint16Array.of(0xc000)), -2],
    ["i8", of(BigInt64Array.of(-(2n ** 40n))), -(2 ** 40)],
    ["i4", of(Int32Array.of(-70000)), -70000],
    ["i2", of(Int16Array.of(-700)), -700],
    ["i1", [0x80], -128],
    ["u8", of(BigUint64Array.of(2n ** 63n)), 2 ** 63],
    ["u4", of(Uint32Array.of(2 ** 32 - 1)), 2 ** 32 - 1],
    ["u2", of(Uint16Array.of(65535)), 65535],
    ["u1", [255], 255],
    ["b1", [1], 1],
  ];
  for (const module of ["numpy.core.multiarray", "numpy._core.multiarray"]) {
    for (const [type, content, value] of cases) {
      const little = content.length === 1 ? "|" : "<";
      assert.equal(read({ epoch: scalar(type, little, content, module) }), value, type);
      const turned = content.toReversed();
      assert.equal(read({ epoch: scalar(type, ">", turned, module) }), value, `>${type}`);
    }
  }
  const module = "numpy._core.multiarray";
  const passedOver: [string, number[]][] = [
    ["c16", Array(16).fill(0)],
    ["U1", [65, 0, 0, 0]],
    ["f8", [1, 2, 3]],
    ["i8", of(BigInt64Array.of(2n ** 53n + 1n))],
  ];
  for (const [type, content] of passedOver) {
    assert.equal(read({ epoch: scalar(type, "<", content, module) }), undefined, type);
  }
});

Deno.test("what trainers keep beside the arrays is passed over, at each protocol", () => {
  const counter = `${name("collections", "Counter")}${tuple(dictionary({ a: byte(1) }))}R`;
  const factory = `${name("collections", "defaultdict")}${tuple(name("builtins", "list"))}R`;
  const array = `${name("numpy._core.multiarray", "_reconstruct")}` +
    `${tuple(name("numpy", "ndarray"), tuple(byte(0)), bytes(98))}R${tuple(byte(1))}b`;
  const set = `\x8f(${byte(1)}${byte(2)}\x90`;
  const frozen = `(${byte(1)}\x91`;
  const made = `${name("builtins", "set")}${tuple(list(byte(1)))}\x81`;
  const device = `${name("torch", "device")}${tuple(text("cpu"))}R`;
  const others = {
    counter,
    factory,
    array,
    set,
    frozen,
    made,
    device,
    type: name("torch", "float32"),
  };
  for (const protocol of ["\x02", "\x03", "\x04", "\x05"]) {
    for (const [key, value] of Object.entries(others)) {
      assert.equal(read({ [key]: value, epoch: byte(7) }, protocol), 7, key);
    }
  }
});

Deno.test("protocol 4 names, memoises and frames otherwise", () => {
  const id = tuple(
    text("storage"),
    stackName("torch", "FloatStorage") + "\x94",
    text("0"),
    text("cpu"),
    byte(4),
  );
  const args = tuple(`${id}Q`, byte(0), tuple(byte(4)), tuple(byte(1)), "\x89", "}");
  const value = `${stackName("torch._utils", "_rebuild_tensor_v2")}${args}R`;
  const body = `${dictionary({ w: value })}.`;
  const frame = `\x95${String.fromCharCode(body.length, 0, 0, 0, 0, 0, 0, 0)}`;
  for (const pickle of [`\x80\x04${frame}${body}`, `\x80\x05${body}`]) {
    const { stateDict } = decodeTorchCheckpoint(checkpoint(pickle), "c");
    assert.deepEqual([...stateDict.get("w")?.data ?? []], [1, 2, 3, 4]);
  }
});

Deno.test("an ordered dictionary has its pairs from a list where Python 2 wrote it", () => {
  const value = inner(matrix).slice(1 + text("w").length, -1);
  const pairs = list(`${list(text("w"), value)}`);
  const pickle = `\x80\x02${name("collections", "OrderedDict")}${tuple(pairs)}R.`;
  const { stateDict } = decodeTorchCheckpoint(checkpoint(pickle), "c");
  assert.deepEqual([...stateDict.get("w")?.data ?? []], [1, 3, 2, 4]);
});

Deno.test("the older form holds the same tensors as the archive", () => {
  const { stateDict } = decodeTorchCheckpoint(checkpoint(matrix), "c");
  assert.deepEqual(decodeTorchCheckpoint(legacy(matrix), "c").stateDict, stateDict);
  const { tensors, format } = decodeCheckpoint(legacy(matrix), "c");
  assert.deepEqual([tensors, format], [stateDict, "torch"]);
});

Deno.test("what is wrong in the older form is said", () => {
  const cases: [bytes: Uint8Array, state: RegExp][] = [
    [legacy(matrix, { version: 1002 }), /an unknown version of the format/],
    [legacy(matrix, { little: false }), /big-endian; load it in PyTorch on this machine/],
    [legacy(matrix, { keys: [] }), /storage "0" is missing or was cut off; copy it again/],
    [legacy(matrix, { keys: ["0", "0"] }), /list of storages is damaged/],
    [legacy(matrix, { keys: ["1"] }), /list of storages is damaged/],
    [legacy(matrix, { length: 3 }), /storage "0" is missing or was cut off/],
    [legacy(matrix, { values: [1, 2, 3] }), /storage "0" is missing or was cut off/],
    [
      Uint8Array.from("\x80\x03N.", (c) => c.charCodeAt(0)),
      /a pickle that torch.save did not write/,
    ],
  ];
  for (const [bytes, state] of cases) {
    assert.throws(
      () => decodeCheckpoint(bytes, "c"),
      (error) => error instanceof UserError && state.test(error.message),
      String(state),
    );
  }
  const whole = legacy(matrix);
  for (let length = 2; length < whole.length; length++) {
    assert.throws(() => decodeCheckpoint(whole.subarray(0, length), "cut"), UserError);
  }
});

Deno.test("what stood before all names is said, in both formats, and stays where two names became one", () => {
  const under = (prefix: string): string => matrix.replace(text("w"), text(`${prefix}w`));
  for (const prefix of ["module.", "_orig_mod.", "model.", "model.module._orig_mod."]) {
    const torch = decodeCheckpoint(checkpoint(under(prefix)), "c");
    assert.deepEqual([[...torch.tensors.keys()], torch.prefix], [["w"], prefix]);
  }
  assert.equal("prefix" in decodeCheckpoint(checkpoint(matrix), "c"), false);
  const array = { shape: [1], data: Float32Array.of(1) };
  const archive = (metadata: Readonly<Record<string, string>>, ...names: string[]): Uint8Array =>
    encodeSafetensors({ tensors: new Map(names.map((name) => [name, array])), metadata });
  const both = decodeCheckpoint(archive({}, "module.a", "module.b"), "s");
  assert.deepEqual([[...both.tensors.keys()], both.prefix], [["a", "b"], "module."]);
  const some = decodeCheckpoint(archive({}, "module.a", "b._orig_mod.c"), "s");
  const within = ["module.", "_orig_mod."];
  assert.deepEqual([[...some.tensors.keys()], some.within], [["a", "b.c"], within]);
  assert.equal("prefix" in some, false);
  const clash = decodeCheckpoint(archive({}, "module.a", "a"), "s");
  assert.deepEqual([[...clash.tensors.keys()], clash.within], [["module.a", "a"], undefined]);
});

Deno.test("the arrays are found beside a wrapper's name that stands for something else", () => {
  const pickle = `\x80\x02${dictionary({ model: dictionary({ depth: byte(18) }) })}` +
    `${inner(matrix).slice(1)}.`;
  assert.deepEqual([...decodeTorchCheckpoint(checkpoint(pickle), "c").stateDict.keys()], ["w"]);
});

Deno.test("what stays refused has its true cause and a remedy", () => {
  const storage = (type: string): string => matrix.replace("torch\nFloatStorage", `torch\n${type}`);
  const alone = "; save the model's state_dict alone, by torch.save";
  const program: Entry = ["x/constants.pkl", new Uint8Array()];
  const module = `\x80\x02${tuple(text("module"), "NNN")}Q.`;
  const cases: [bytes: Uint8Array, message: string][] = [
    [
      checkpoint(storage("ComplexFloatStorage")),
      'it holds a tensor of a kind that is not read ("torch.ComplexFloatStorage")' + alone,
    ],
    [checkpoint(module), "it holds a whole module, not its arrays alone" + alone],
    [checkpoint(matrix, program), "it is a program of TorchScript, not arrays alone" + alone],
    [checkpoint("\x80\x02}."), "it holds no state_dict" + alone],
    [
      checkpoint(`\x80\x02${name("__main__", "Net")}.`),
      'its pickle names "__main__.Net", which could run code and is refused' + alone,
    ],
  ];
  for (const [bytes, message] of cases) {
    assert.throws(
      () => decodeCheckpoint(bytes, "c"),
      (error) => error instanceof UserError && error.message === `Cannot read "c": ${message}`,
      message,
    );
  }
  for (const [type, value] of [["ShortStorage", 258], ["CharStorage", 2]] as const) {
    const entries = [...readZip(checkpoint(storage(type)), "z")];
    const [pickle] = entries;
    assert.ok(pickle);
    const data: Entry = ["x/data/0", Uint8Array.of(2, 1, 2, 1, 2, 1, 2, 1)];
    const { stateDict } = decodeTorchCheckpoint(zip([pickle, data]), "c");
    assert.equal(stateDict.get("w")?.data[0], value);
  }
});

const given = (file: string): string => `cases/${file}.checkpoint`;
testWithShared(
  "the prefix of a data-parallel model, and a scalar of NumPy 2, are read from real files",
  [given("data_parallel"), given("numpy2_scalar"), given("legacy_protocol3")],
  async () => {
    const parallel = await readCheckpointArrays(sharedPath(given("data_parallel")));
    assert.equal(parallel.prefix, "module.");
    const accuracies = await Promise.all(
      ["numpy2_scalar", "legacy_protocol3"].map(async (file) =>
        (await readTorchCheckpoint(sharedPath(given(file)))).bestAccuracy
      ),
    );
    const [wanted] = [
      await readTorchCheckpoint(sharedPath("reference/checkpoints/de_seed0.checkpoint")),
    ];
    assert.deepEqual(accuracies, [wanted.bestAccuracy, wanted.bestAccuracy]);
  },
);

testWithShared(
  "a prefix that is taken off is said",
  ["cases/data_parallel.checkpoint"],
  () =>
    inFolder(async (cwd) => {
      const checkpoint = sharedPath("cases/data_parallel.checkpoint");
      const args = ["--mode", "baseline", "--limit", "20", "--checkpoint", checkpoint];
      const { code, stderr } = await task("eval", args, { cwd });
      assert.equal(code, 0, stderr);
      assert.match(
        stderr,
        /^The names in ".*data_parallel.checkpoint" are taken without "module\."$/m,
      );
    }),
);
