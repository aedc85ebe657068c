/** PyTorch's checkpoints: read right, and never run. */
import assert from "node:assert/strict";
import { UserError } from "../src/errors.ts";
import { readSafetensors } from "../src/checkpoint/safetensors.ts";
import { decodeTorchCheckpoint, readCheckpointArrays } from "../src/checkpoint/torch.ts";
import { sharedPath, testWithShared } from "./shared.ts";

const golden = (name: string): string =>
  decodeURIComponent(new URL(`golden/${name}`, import.meta.url).pathname);

/** Offsets of the zip's end record that a test damages. */
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
      assert.ok(decodeTorchCheckpoint(bytes, "flipped").size > 0);
    } catch (error) {
      assert.ok(error instanceof UserError, `byte ${at}: ${error}`);
    }
  }
});

Deno.test("the format from before zip is told apart", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, Uint8Array.of(0x80, 2, 0x8a, 10));
    await assert.rejects(() => readCheckpointArrays(path), /PyTorch's format from before 1.6/);
  } finally {
    await Deno.remove(path);
  }
});

const sngp = "reference/checkpoints/sngp_seed0.checkpoint";
testWithShared(
  "the original's checkpoint holds the same bits as the golden state",
  [sngp, "reference/golden/sngp.safetensors"],
  async () => {
    const { tensors } = await readCheckpointArrays(sharedPath(sngp));
    const golden = await readSafetensors(sharedPath("reference/golden/sngp.safetensors"));
    let compared = 0;
    for (const [name, { data }] of golden.tensors) {
      if (!name.startsWith("state.")) continue;
      assert.deepEqual(tensors.get(name.slice(6))?.data, data, name);
      compared++;
    }
    assert.equal(compared, 25);
  },
);

const due = "reference/checkpoints/due_seed0.checkpoint";
testWithShared("the names of a sparse Gaussian process are read", [due], async () => {
  const { tensors } = await readCheckpointArrays(sharedPath(due));
  const points = [...tensors].find(([name]) => name.endsWith("inducing_points"));
  assert.deepEqual(points?.[1].shape, [10, 84]);
});
