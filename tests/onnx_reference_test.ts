/**
 * Imported ONNX files against golden arrays that PyTorch computed in f64 (../shared/reference/onnx).
 */
import assert from "node:assert/strict";
import {
  compile,
  constant,
  crossEntropy,
  evaluate,
  grad,
  input,
  openDevice,
  release,
  sum,
  type Tensor,
} from "../src/nn/mod.ts";
import { importOnnx } from "../src/onnx/mod.ts";
import { readSafetensors } from "../src/checkpoint/safetensors.ts";
import { UserError } from "../src/base/errors.ts";
import { sharedPath, testWithShared } from "./shared.ts";

const folder = sharedPath("reference/onnx");

/** Files, and the golden arrays they answer to. */
const files = {
  cnn_bn_gap: "cnn_bn_gap",
  cnn_bn_gap_bn: "cnn_bn_gap",
  mlp: "mlp",
  lenet_view: "lenet_view",
  mobile: "mobile",
  two_class: "two_class",
  cifar_resnet8: "cifar_resnet8",
  odd: "odd",
  modern: "modern",
};

/** Distance as a share of the second's length. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const norm = (of: (i: number) => number): number =>
    Math.sqrt(Array.from(b, (_, i) => of(i) ** 2).reduce((x, y) => x + y, 0));
  assert.equal(a.length, b.length);
  return norm((i) => (a[i] ?? NaN) - (b[i] ?? NaN)) / norm((i) => b[i] ?? NaN);
}

for (const [name, golden] of Object.entries(files)) {
  testWithShared(
    `${name}.onnx: logits, features, loss and gradient are PyTorch's, on the device and in f64`,
    [`reference/onnx/${name}.onnx`],
    async () => {
      const { tensors } = await readSafetensors(`${folder}/${golden}.safetensors`);
      const array = (key: string): { shape: readonly number[]; data: ArrayLike<number> } => {
        const found = tensors.get(key);
        assert.ok(found, key);
        return found;
      };
      const network = await importOnnx(`${folder}/${name}.onnx`);
      const { shape, data } = array("x");
      const labels = Float32Array.from(array("label").data);
      const { features } = network;
      assert.ok(features);
      const x = input(shape);
      const logits = network.logits(x);
      const loss = crossEntropy(logits, constant(labels));
      const [dx] = grad(sum(loss), [x]);
      assert.ok(dx);
      const wanted: Record<string, Tensor> = { logits, features: features(x), loss, dx };
      // Of images known with near certainty loss and gradient are rounding noise.
      const sure = Array.from(array("loss").data, (value) => value < 1e-3);
      const image = data.length / sure.length;
      const compared = (key: string, values: ArrayLike<number>): number[] => {
        const each = key === "dx" ? image : 1;
        return key === "dx" || key === "loss"
          ? Array.from(values).map((v, i) => sure[Math.floor(i / each)] ? 0 : v)
          : Array.from(values);
      };
      const inF64 = evaluate(Object.values(wanted), new Map([[x, data]]));
      using device = await openDevice();
      using program = await compile(device, { inputs: [x], outputs: Object.values(wanted) });
      program.run([Float32Array.from(data)]);
      for (const [i, [key, tensor]] of Object.entries(wanted).entries()) {
        const right = compared(key, array(key).data);
        const here = distance(compared(key, await program.read(tensor)), right);
        const exact = distance(compared(key, inF64[i] ?? []), right);
        assert.ok(here < 1e-4, `${key} on the device: ${here}`);
        assert.ok(exact < 1e-5, `${key} in f64: ${exact}`);
      }
      release(device, network.state.values());
    },
  );
}

testWithShared(
  "what cannot be imported is refused with all its operators and their nodes",
  ["reference/onnx/unsupported_lstm.onnx"],
  async () => {
    const lstm = importOnnx(`${folder}/unsupported_lstm.onnx`);
    await assert.rejects(
      lstm,
      (error) => error instanceof UserError && /LSTM \("/.test(error.message),
    );
    const nonzero = importOnnx(`${folder}/unsupported_nonzero.onnx`);
    await assert.rejects(
      nonzero,
      (error) => error instanceof UserError && /NonZero \("/.test(error.message),
    );
  },
);
