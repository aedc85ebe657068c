/** PyTorch's checkpoints: read right, and never run. */
import assert from "node:assert/strict";
import { UserError } from "../src/base/errors.ts";
import { readSafetensors } from "../src/checkpoint/safetensors.ts";
import {
  decodeTorchCheckpoint,
  readCheckpointArrays,
  readTorchCheckpoint,
} from "../src/checkpoint/torch.ts";
import { readZip } from "../src/base/zip.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { checkpoint, type Entry, tensor, zip } from "./torch_writer.ts";

const golden = (name: string): string =>
  decodeURIComponent(new URL(`golden/${name}`, import.meta.url).pathname);

const tiny = await Deno.readFile(golden("tiny.checkpoint"));

Deno.test("`readCheckpointArrays()` reads every type, stride and shape that PyTorch saved", async () => {
  const { tensors, format } = await readCheckpointArrays(golden("tiny.checkpoint"));
  assert.equal(format, "torch");
  const array = (name: string): { shape: number[]; data: number[] } => {
    const { shape, data } = tensors.get(name) ?? { shape: [], data: [] };
    return { shape: [...shape], data: [...data] };
  };
  const range = Array.from({ length: 24 }, (_, i) => i);
  assert.deepEqual(array("contiguous"), { shape: [4, 6], data: range });
  const turned = range.map((i) => (i % 4) * 6 + Math.floor(i / 4));
  assert.deepEqual(array("transposed"), { shape: [6, 4], data: turned });
  assert.deepEqual(array("strided"), { shape: [2, 2], data: [6, 9, 18, 21] });
  assert.deepEqual(array("row_of_shared"), { shape: [6], data: [12, 13, 14, 15, 16, 17] });
  const half = [0.5, -2, 65504, Math.fround(2 ** -24)];
  assert.deepEqual(array("half"), { shape: [4], data: half });
  assert.deepEqual(array("bfloat"), { shape: [2], data: [1, -3.140625] });
  assert.deepEqual(array("double"), { shape: [1], data: [Math.fround(1 / 3)] });
  assert.deepEqual(array("long"), { shape: [2], data: [-7, 2 ** 40] });
  assert.deepEqual(array("int"), { shape: [2], data: [-1, 2] });
  assert.deepEqual(array("byte"), { shape: [2], data: [0, 255] });
  assert.deepEqual(array("bool"), { shape: [2], data: [1, 0] });
  assert.deepEqual(array("scalar"), { shape: [], data: [42] });
  assert.deepEqual(array("empty"), { shape: [0, 3], data: [] });
  assert.deepEqual(array("parameter"), { shape: [1], data: [1.5] });
});

Deno.test("a pickle that names a function is refused, and the function named", async () => {
  await assert.rejects(
    () => readCheckpointArrays(golden("evil.checkpoint")),
    (error) =>
      error instanceof UserError &&
      /evil.checkpoint": its pickle names "posix.system", which could run code and is refused/
        .test(error.message),
  );
});

Deno.test("every callable but those of tensors is refused by its name", () => {
  for (const name of ["builtins.eval", "__builtin__.eval", "os.system", "torch.load"]) {
    const [module, callable] = name.split(".");
    const pickle = `\x80\x02c${module}\n${callable}\nX\x03\0\0\x001+1\x85R.`;
    assert.throws(
      () => decodeTorchCheckpoint(checkpoint(pickle), "x"),
      (error) => error instanceof UserError && error.message.includes(`names "${name}"`),
    );
  }
});

Deno.test("a bare state_dict is read; a tensor beyond its storage is refused", () => {
  const read = (...of: Parameters<typeof tensor>): number[] => [
    ...decodeTorchCheckpoint(checkpoint(tensor(...of)), "x").stateDict.get("w")?.data ?? [],
  ];
  assert.deepEqual(read(0, [2, 2], [1, 2]), [1, 3, 2, 4]);
  assert.deepEqual(read(3, [1], [1]), [4]);
  assert.deepEqual(read(1, [3], [0]), [2, 2, 2]);
  assert.deepEqual(read(0, [], []), [1]);
  const beyond = /reaches beyond its storage/;
  assert.throws(() => read(0, [5], [1]), beyond);
  assert.throws(() => read(3, [2], [1]), beyond);
  assert.throws(() => read(0, [2, 2], [1, 3]), beyond);
  assert.throws(() => read(4, [], []), beyond);
  assert.throws(() => read(0, [2, 2], [1]), beyond);
});

Deno.test("a storage that is missing or short, and big-endian numbers, are refused", () => {
  const whole = tensor(0, [4], [1]);
  const pickle = Uint8Array.from(whole, (c) => c.charCodeAt(0));
  const cut = zip([["x/data.pkl", pickle], ["x/data/0", new Uint8Array(15)]]);
  assert.throws(() => decodeTorchCheckpoint(cut, "x"), /storage "0" is missing or was cut off/);
  const none = zip([["x/data.pkl", pickle]]);
  assert.throws(() => decodeTorchCheckpoint(none, "x"), /storage "0" is missing or was cut off/);
  const order = (text: string): Entry => ["x/byteorder", new TextEncoder().encode(text)];
  assert.equal(decodeTorchCheckpoint(checkpoint(whole, order("little")), "x").stateDict.size, 1);
  assert.throws(
    () => decodeTorchCheckpoint(checkpoint(whole, order("big")), "x"),
    (error) => error instanceof UserError && /big-endian/.test(error.message),
  );
});

Deno.test("`readTorchCheckpoint()` reads archives deflated and in 64 bits, and how far it was", async () => {
  const { stateDict, epoch, bestAccuracy } = await readTorchCheckpoint(golden("tiny.checkpoint"));
  assert.deepEqual([epoch, bestAccuracy], [3, 98.5]);
  const entries: Entry[] = [...readZip(tiny, "tiny")];
  assert.ok(entries.some(([, content]) => content.length === 0));
  for (const options of [{ deflate: true }, { wide: true }, { deflate: true, wide: true }]) {
    assert.deepEqual(decodeTorchCheckpoint(zip(entries, options), "x").stateDict, stateDict);
  }
  const wide = zip(entries, { wide: true });
  for (let at = wide.length - 98; at < wide.length; at++) {
    const flipped = wide.slice();
    flipped[at] = (flipped[at] ?? 0) ^ 0x55;
    try {
      decodeTorchCheckpoint(flipped, "x");
    } catch (error) {
      assert.ok(error instanceof UserError, `byte ${at}: ${error}`);
    }
  }
});

Deno.test("integers keep every digit, in f64 where f32 would round, and are refused beyond 2^53", () => {
  const read = (...values: bigint[]): Float32Array | Float64Array | Uint32Array | undefined => {
    const pickle = tensor(0, [2], [1]).replace("FloatStorage", "LongStorage");
    const bytes = Uint8Array.from(pickle.replace("K\x04t", "K\x02t"), (c) => c.charCodeAt(0));
    const storage = new Uint8Array(BigInt64Array.from(values).buffer);
    const archive = zip([["x/data.pkl", bytes], ["x/data/0", storage]]);
    return decodeTorchCheckpoint(archive, "x").stateDict.get("w")?.data;
  };
  assert.deepEqual(read(-3n, 2n ** 40n), Float32Array.of(-3, 2 ** 40));
  assert.deepEqual(read(1n, 2n ** 24n + 1n), Float64Array.of(1, 2 ** 24 + 1));
  assert.throws(
    () => read(0n, 2n ** 53n + 1n),
    (error) => error instanceof UserError && /an integer beyond 2\^53/.test(error.message),
  );
});

Deno.test("a small file cannot ask for an enormous tensor", () => {
  const many = tensor(0, [255, 255, 255, 2], [0, 0, 0, 0]);
  assert.throws(
    () => decodeTorchCheckpoint(checkpoint(many), "x"),
    (error) => error instanceof UserError && /far larger than the numbers/.test(error.message),
  );
});

Deno.test("a list in a storage's place is refused", () => {
  const pickle = "\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(]K\x07a" +
    "K\0K\x01\x85K\x01\x85\x89}tRs.";
  assert.throws(() => decodeTorchCheckpoint(checkpoint(pickle), "x"), /tensors is damaged/);
});

Deno.test("a damaged pickle behind a right checksum is an error or an archive, soon", () => {
  const entries = [...readZip(tiny, "tiny")];
  const at = entries.findIndex(([name]) => name.endsWith("/data.pkl"));
  const pickle = entries[at]?.[1] ?? new Uint8Array();
  let refused = 0;
  for (let i = 0; i < pickle.length; i++) {
    const flipped = pickle.slice();
    flipped[i] = (flipped[i] ?? 0) ^ (1 + i * 0x55 % 255);
    const started = performance.now();
    try {
      decodeTorchCheckpoint(zip(entries.map((e, j) => j === at ? [e[0], flipped] : e)), "x");
    } catch (error) {
      assert.ok(error instanceof UserError, `byte ${i}: ${error}`);
      refused++;
    }
    assert.ok(performance.now() - started < 5000, `byte ${i} took too long`);
  }
  assert.ok(refused > pickle.length / 4, `only ${refused} of ${pickle.length} were refused`);
});

Deno.test("a checkpoint cut off anywhere is a clear error, never a crash", () => {
  for (let length = 0; length < tiny.length; length += 7) {
    assert.throws(() => decodeTorchCheckpoint(tiny.subarray(0, length), "cut"), UserError);
  }
});

Deno.test("a flipped byte gives an error or an archive, never a crash or a hang", () => {
  for (let at = 0; at < tiny.length; at += 3) {
    const bytes = tiny.slice();
    bytes[at] = (bytes[at] ?? 0) ^ 0x55;
    try {
      assert.ok(decodeTorchCheckpoint(bytes, "flipped").stateDict.size > 0);
    } catch (error) {
      assert.ok(error instanceof UserError, `byte ${at}: ${error}`);
    }
  }
});

const sngp = "reference/checkpoints/sngp_seed0.checkpoint";
testWithShared(
  "the original's checkpoint holds the same bits as the golden state",
  [sngp, "reference/golden/sngp.safetensors"],
  async () => {
    const { tensors } = await readCheckpointArrays(sharedPath(sngp));
    const golden = await readSafetensors(sharedPath("reference/golden/sngp.safetensors"));
    const scalars: string[] = [];
    let compared = 0;
    for (const [name, { shape, data }] of golden.tensors) {
      if (!name.startsWith("state.")) continue;
      const read = tensors.get(name.slice(6))?.shape;
      // The golden file keeps a single number as an array of one.
      if (read?.length === 0) scalars.push(name.slice(6));
      assert.deepEqual(read?.length === 0 ? [1] : read, shape, name);
      assert.deepEqual(tensors.get(name.slice(6))?.data, data, name);
      compared++;
    }
    assert.equal(compared, 25);
    assert.equal(tensors.size, 25);
    assert.deepEqual(scalars.toSorted(), ["rff.lengthscale", "seen_data"]);
  },
);

const due = "reference/checkpoints/due_seed0.checkpoint";
testWithShared("the original's accuracy, a scalar of NumPy, is read", [sngp], async () => {
  const { epoch, bestAccuracy } = await readTorchCheckpoint(sharedPath(sngp));
  assert.deepEqual([epoch, bestAccuracy], [1.988671875, 0.988671875]);
});

testWithShared("the names and shapes of a sparse Gaussian process are read", [due], async () => {
  const { tensors } = await readCheckpointArrays(sharedPath(due));
  assert.equal(tensors.size, 27);
  const variational = "gp.variational_strategy.base_variational_strategy";
  const expected: Readonly<Record<string, number[]>> = {
    "feature_extractor.conv1.0.weight_orig": [6, 1, 5, 5],
    "feature_extractor.fc_1.0.weight_orig": [84, 256],
    [`${variational}.inducing_points`]: [10, 84],
    [`${variational}.updated_strategy`]: [],
    [`${variational}._variational_distribution.variational_mean`]: [10, 10],
    [`${variational}._variational_distribution.chol_variational_covar`]: [10, 10, 10],
    "gp.mean_module.constant": [10, 1],
    "gp.covar_module.raw_outputscale": [10],
    "gp.covar_module.base_kernel.raw_lengthscale": [10, 1, 1],
  };
  for (const [name, shape] of Object.entries(expected)) {
    assert.deepEqual(tensors.get(name)?.shape, shape, name);
  }
});
