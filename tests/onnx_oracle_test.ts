/**
 * Imported ONNX files beside onnxruntime-web: torchvision's networks as PyTorch exports them, where there is a python3
 * with it, and attention that is written for a fixed number of images.
 */
import assert from "node:assert/strict";
import * as ort from "onnxruntime-web";
import { findPython } from "../scripts/python.ts";
import { compareFile, exportNetworks, forms, networkNames } from "../scripts/torchvision.ts";
import { evaluate, grad, input, Random, size, sum, type Tensor } from "../src/nn/mod.ts";
import { importOnnx } from "../src/onnx/mod.ts";
import { node, type Part, smallNetwork, tensor, value, writeGraph } from "./onnx_writer.ts";
import { inFolder, withDevice } from "./support.ts";

/** Opened before any test: it opens a message port that stays open. */
await ort.InferenceSession.create(smallNetwork()).then((session) => session.release());

const python = await findPython("torch,torchvision,onnx");
const reason = python ? "" : " (skipped: no python3 has torch, torchvision and onnx)";

/** Two of the forms; the task `suite` compares all. */
const some = forms.filter(({ opset, isOpen }) => isOpen === (opset === 17));

/** Those of which there are small ones. */
const names = networkNames.filter((name) => !["resnet18", "squeezenet1_1"].includes(name));

Deno.test({
  name: `torchvision's blocks: logits are onnxruntime-web's, gradients PyTorch's${reason}`,
  ignore: !python,
  fn: () =>
    inFolder(async (folder) => {
      await exportNetworks({
        python: python ?? "",
        folder,
        names,
        small: true,
        size: 32,
        forms: some,
      });
      for (const name of names) {
        for (const form of some) {
          const { fault } = await compareFile(undefined, folder, name, form);
          assert.equal(fault, undefined, `${name}, opset ${form.opset}, open: ${form.isOpen}`);
        }
      }
      await withDevice(async (device) => {
        for (const form of some) {
          const { fault } = await compareFile(device, folder, "mobilenet_v2", form);
          assert.equal(fault, undefined, `on the device, opset ${form.opset}`);
        }
      });
    }),
});

/** A convolution, ReLU6, and means; where told, the convolution's results are read once more. */
function clippedNetwork(isReadAgain: boolean): Uint8Array<ArrayBuffer> {
  const weights = [...new Random(3).uniform(27)].map((u) => 12 * (2 * u - 1));
  return writeGraph({
    input: [value("image", ["batch", 1, 5, 5])],
    output: [value("logits", ["batch", 3])],
    initializer: [
      tensor("filters", "float32", [3, 1, 3, 3], weights),
      tensor("bias", "float32", [3], [1, 2, 3]),
      tensor("low", "float32", [], [0]),
      tensor("high", "float32", [], [6]),
    ],
    node: [
      node("Conv", ["image", "filters", "bias"], ["maps"]),
      node("Clip", ["maps", "low", "high"], ["clipped"]),
      node("Add", ["clipped", isReadAgain ? "maps" : "clipped"], ["sum"]),
      node("GlobalAveragePool", ["sum"], ["means"]),
      node("Flatten", ["means"], ["logits"]),
    ],
  });
}

Deno.test("a convolution and its ReLU6: onnxruntime-web's logits, gradients by differences", async () => {
  const shape = [2, 1, 5, 5];
  const images = new Random(4).uniform(size(shape));
  for (const isReadAgain of [false, true]) {
    const file = clippedNetwork(isReadAgain);
    const { logits } = await importOnnx(file);
    const x = input(shape);
    const y = logits(x);
    const [dx] = grad(sum(y), [x]);
    assert.ok(dx);
    const at = (pixels: ArrayLike<number>): number[] => [
      ...evaluate([y], new Map([[x, pixels]]))[0] ?? [],
    ];
    const session = await ort.InferenceSession.create(file);
    const { logits: right } = await session.run({
      image: new ort.Tensor("float32", images, shape),
    });
    await session.release();
    const found = at(images);
    [...right?.data as Float32Array].forEach((n, i) => near(found[i], n, 1e-5));
    const gradient = evaluate([dx], new Map([[x, images]]))[0];
    for (const pixel of [0, 7, 12, 24, 31, 44]) {
      const moved = (by: number): number =>
        at(Array.from(images, (u, i) => i === pixel ? u + by : u)).reduce((a, b) => a + b);
      near(gradient?.[pixel], (moved(1e-5) - moved(-1e-5)) / 2e-5, 1e-6);
    }
  }
});

function near(found: number | undefined, wanted: number, by: number): void {
  assert.ok(Math.abs((found ?? NaN) - wanted) <= by, `${found}, not ${wanted}`);
}

/** Tokens, channels, and heads of the attention below. */
const [tokens, width, heads] = [3, 4, 2];

/**
 * A transformer's attention as PyTorch's exporter writes it for so many images: tokens first, images and heads
 * merged, then tokens and images; with sizes that are left open where they can be.
 */
function attention(images: number, open: boolean): Uint8Array<ArrayBuffer> {
  const each = width / heads;
  const random = new Random(5);
  const weights = (name: string, shape: readonly number[]): Part<"Tensor"> =>
    tensor(name, "float32", shape, [...random.uniform(size(shape))].map((u) => 2 * u - 1));
  const shape = (name: string, sizes: readonly number[]): Part<"Tensor"> =>
    tensor(name, "int64", [sizes.length], sizes);
  const some = (n: number): number => open ? -1 : n;
  return writeGraph({
    input: [value("image", [images, width, 1, tokens])],
    output: [value("logits", [images, 3])],
    initializer: [
      ...["q", "k", "v", "o"].map((name) => weights(`w_${name}`, [width, width])),
      weights("w_head", [tokens * width, 3]),
      shape("rows", [images, width, tokens]),
      shape("split", [tokens, images * heads, some(each)]),
      shape("flat", [some(tokens * images), width]),
      shape("apart", [tokens, images, some(width)]),
      shape("last", [images, some(tokens * width)]),
    ],
    node: [
      node("Reshape", ["image", "rows"], ["maps"]),
      node("Transpose", ["maps"], ["x"], { perm: [2, 0, 1] }),
      ...["q", "k", "v"].flatMap((name) => [
        node("MatMul", ["x", `w_${name}`], [`${name}_all`]),
        node("Reshape", [`${name}_all`, "split"], [`${name}_heads`]),
        node("Transpose", [`${name}_heads`], [name], {
          perm: name === "k" ? [1, 2, 0] : [1, 0, 2],
        }),
      ]),
      node("MatMul", ["q", "k"], ["scores"]),
      node("Softmax", ["scores"], ["shares"], { axis: -1 }),
      node("MatMul", ["shares", "v"], ["mixed"]),
      node("Transpose", ["mixed"], ["tokens_first"], { perm: [1, 0, 2] }),
      node("Reshape", ["tokens_first", "flat"], ["lines"]),
      node("Gemm", ["lines", "w_o"], ["projected"]),
      node("Reshape", ["projected", "apart"], ["y"]),
      node("Add", ["x", "y"], ["sum"]),
      node("Transpose", ["sum"], ["images_first"], { perm: [1, 0, 2] }),
      node("Reshape", ["images_first", "last"], ["features"]),
      node("Gemm", ["features", "w_head"], ["logits"]),
    ],
  });
}

/** Logits in f64. */
function logitsOf(of: (x: Tensor) => Tensor, images: Float32Array, count: number): number[] {
  const x = input([count, width, 1, tokens]);
  return [...evaluate([of(x)], new Map([[x, images]]))[0] ?? []];
}

/** Holds a file that is written for so many images, with others, to onnxruntime-web's logits of so many at once. */
async function takesAny(file: Uint8Array<ArrayBuffer>, written: number): Promise<void> {
  const session = await ort.InferenceSession.create(file);
  const { logits } = await importOnnx(file);
  // As many as there are tokens, channels, heads, and other numbers.
  for (const count of [1, 2, 3, 4, 6]) {
    const images = new Random(count).uniform(count * tokens * width);
    const found = logitsOf(logits, images, count);
    for (let at = 0; at + written <= count; at += written) {
      const part = images.slice(at * tokens * width, (at + written) * tokens * width);
      const image = new ort.Tensor("float32", part, [written, width, 1, tokens]);
      const { logits: right } = await session.run({ image });
      [...right?.data as Float32Array].forEach((n, i) => {
        near(found[3 * at + i], n, 1e-5);
      });
    }
  }
  await session.release();
}

Deno.test("attention that is written for a fixed number of images takes any: onnxruntime-web's logits", async () => {
  for (const [written, open] of [[1, false], [1, true], [2, false], [2, true]] as const) {
    await takesAny(attention(written, open), written);
  }
});

/** PyTorch's GroupNorm of two groups, as it is exported: a reshape copies the images' axis by 0. */
function groupNorm(images: number): Uint8Array<ArrayBuffer> {
  const head = [...new Random(6).uniform(width * tokens * 3)];
  return writeGraph({
    input: [value("image", [images, width, 1, tokens])],
    output: [value("logits", [images, 3])],
    initializer: [
      tensor("groups", "int64", [3], [0, 2, -1]),
      tensor("one", "float32", [2], [1, 1]),
      tensor("zero", "float32", [2], [0, 0]),
      tensor("w_head", "float32", [width * tokens, 3], head),
    ],
    node: [
      node("Reshape", ["image", "groups"], ["x"]),
      node("InstanceNormalization", ["x", "one", "zero"], ["normed"]),
      node("Flatten", ["normed"], ["features"]),
      node("Gemm", ["features", "w_head"], ["logits"]),
    ],
  });
}

Deno.test("GroupNorm that is written for a fixed number of images takes any", async () => {
  for (const written of [1, 2, 3]) await takesAny(groupNorm(written), written);
});
