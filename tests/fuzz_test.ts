/** A short run of the fuzzing: damaged files are read or refused in a sentence. */
import assert from "node:assert/strict";
import { UserError } from "../src/base/errors.ts";
import { Random } from "../src/nn/graph/random.ts";
import { fuzz, FuzzFailure, inputOf } from "./fuzz/fuzz.ts";
import { mutate } from "./fuzz/mutate.ts";
import { onnxReader, type Reader, readers } from "./fuzz/readers.ts";
import { sharedPath, testWithShared } from "./shared.ts";

for (const reader of readers) {
  Deno.test(`300 damaged files of the kind ${reader.name} are read, or refused in a sentence`, async () => {
    const { read, refused } = await fuzz(reader, { inputs: 300, seed: 1 });
    assert.equal(read + refused, 300);
    assert.ok(refused > 0, "nothing was damaged");
  });
}

const exported = ["unsupported_lstm", "unsupported_nonzero", "odd", "mobile"]
  .map((name) => `reference/onnx/${name}.onnx`);
testWithShared(
  "300 damaged ONNX files of exporters are read, or refused in a sentence",
  exported,
  async () => {
    const files = await Promise.all(exported.map((path) => Deno.readFile(sharedPath(path))));
    const { read, refused } = await fuzz(onnxReader(() => files), { inputs: 300, seed: 1 });
    assert.equal(read + refused, 300);
    assert.ok(read > 0 && refused > 0, `${read} read, ${refused} refused`);
  },
);

Deno.test("an input depends on the seed and its index alone, and differs from its file", () => {
  const [reader] = readers;
  assert.ok(reader);
  const files = reader.files();
  const input = (seed: number, index: number): string =>
    inputOf(files, reader, seed, index).toString();
  assert.equal(input(3, 7), input(3, 7));
  assert.notEqual(input(3, 7), input(3, 8));
  assert.notEqual(input(3, 7), input(4, 7));
  const whole = new Uint8Array(1000).fill(1);
  const same = Array.from({ length: 100 }, (_, i) => mutate(whole, new Random(1, i), whole))
    .filter((bytes) => bytes.toString() === whole.toString());
  assert.ok(same.length < 20);
});

Deno.test("a reader that throws something else, talks too long or on two lines is found out", async () => {
  const outcomes: [Error, RegExp][] = [
    [new TypeError("oops"), /threw what is no refusal \(TypeError: oops/],
    [new UserError("x".repeat(501)), /said 501 characters/],
    [new UserError("a\nb"), /said more than a line/],
  ];
  for (const [error, fault] of outcomes) {
    const whole = Uint8Array.of(1, 2, 3);
    const reader: Reader = {
      name: "bad",
      files: () => [whole],
      read: (bytes) => {
        if (bytes.toString() !== whole.toString()) throw error;
      },
    };
    await assert.rejects(fuzz(reader, { inputs: 50, seed: 1 }), (thrown) => {
      assert.ok(thrown instanceof FuzzFailure);
      assert.match(thrown.message, fault);
      assert.match(thrown.message, /--reader bad --seed 1 --from \d+ --inputs 1$/);
      return true;
    });
  }
});
