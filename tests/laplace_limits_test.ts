/** Laplace where f32 or a device cannot hold it, and how what was fitted is compared. */
import assert from "node:assert/strict";
import { UserError } from "../src/base/errors.ts";
import { Laplace } from "../src/methods/laplace.ts";
import * as nn from "../src/nn/mod.ts";
import { differences } from "../src/runs/figures.ts";
import { withDevice } from "./support.ts";

Deno.test("digests of what was fitted are compared where not a bit may differ", () => {
  const [a, b] = ["a", "b"].map((digest) => ({ posterior: { digest }, entropy: 1 }));
  assert.equal(differences(a, b, 0).length, 1);
  assert.deepEqual(differences(a, b, 0.01), []);
});

Deno.test("a precision that a GPU's binding does not hold is refused before it is made", () => {
  const wide = (columns: number) => (images: nn.Tensor): nn.Tensor =>
    nn.constant(new Float32Array((images.shape[0] ?? 0) * columns), [
      images.shape[0] ?? 0,
      columns,
    ]);
  const around = (features: number): Laplace =>
    new Laplace(
      { name: "wide", imageShape: [1, 2, 2], logits: wide(8), features: wide(features) },
      { priorPrecision: 1, laplacePrediction: "probit", laplaceSamples: 1 },
    );
  assert.throws(
    () => around(2048).precision,
    /^UserError: Cannot put a Laplace approximation around "wide": the precision of 8 classes and 2048 features has 33587208 numbers, more than the 33554432/,
  );
  assert.deepEqual(around(20).precision.shape, [8, 21, 21]);
});

Deno.test("a prior that f32 loses beside the features is refused, and so are features that are no numbers", () =>
  withDevice(async (device) => {
    const twice = (image: nn.Tensor): nn.Tensor => nn.concat([image, image], 1);
    const flat = (images: nn.Tensor): nn.Tensor => nn.reshape(images, [-1, 1]);
    /** Two features that are one, of which images have seen `seen`. */
    const finished = async (seen: number, priorPrecision: number): Promise<nn.Parameter> => {
      const model = new Laplace(
        {
          name: "twins",
          imageShape: [1, 1, 1],
          logits: (images) => twice(flat(images)),
          features: (images) => twice(flat(images)),
        },
        { priorPrecision, laplacePrediction: "probit", laplaceSamples: 1 },
      );
      const { precision } = model;
      const own = [seen + priorPrecision, seen, 0, seen, seen + priorPrecision, 0, 0, 0, 1];
      precision.data.set([...own, ...own]);
      nn.push(device, [precision]);
      await model.finish(device);
      return precision;
    };
    await finished(1e6, 1000);
    const larger = /(is|prior's 1 is) lost beside the features[;,] give a larger prior precision$/;
    await assert.rejects(finished(1e6, 1), (error) => {
      assert.ok(error instanceof UserError);
      // 2^-24 times 1 / (1 - r^2), r the correlation of the two.
      assert.match(error.message, /^Cannot put .* around "twins": .* by 3\.0 % or more, as the /);
      assert.match(error.message, larger);
      return true;
    });
    await assert.rejects(finished(1e8, 1), larger);
    await assert.rejects(finished(NaN, 1), /"twins": its logits or features .* are no numbers, or/);
  }));
