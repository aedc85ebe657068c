/** Training: micro-batches, the best epoch, the precision, numbers that go wrong. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { limit, loadEmbedded } from "../data/mod.ts";
import { checkpointPaths, loadCheckpoint } from "../src/checkpoint/checkpoint.ts";
import { decodeSafetensors, writeSafetensors } from "../src/checkpoint/safetensors.ts";
import { ResidentSet } from "../src/evaluate/resident_set.ts";
import { UserError } from "../src/base/errors.ts";
import * as nn from "../src/nn/mod.ts";
import { silent } from "../src/base/reporter.ts";
import type { Trained } from "../src/train/fit.ts";
import { trainBriefly } from "./brief_training.ts";
import { inFolder, withDevice } from "./support.ts";

Deno.test("`fit()` in micro-batches takes the steps that whole batches take", () =>
  inFolder(async (folder) => {
    const run = (microBatch: number): Promise<{ weights: Float32Array; trained: Trained }> => {
      let kept: { weights: Float32Array; trained: Trained } | undefined;
      return withDevice(async (device) => {
        const at = join(folder, String(microBatch));
        const options = { mode: "baseline", epochs: 2, folder: at, microBatch } as const;
        const { model, trained } = await trainBriefly(device, options);
        const weights = [...model.state.values()].flatMap((p) => [...p.data]);
        kept = { weights: Float32Array.from(weights), trained };
      }).then(() => kept ?? assert.fail());
    };
    // Steps of 32, 32 and 26 images: micro-batches that divide them, and some that do not.
    const whole = await run(32);
    for (const micro of [8, 12]) {
      const split = await run(micro);
      const far = split.weights.map((w, i) => Math.abs(w - (whole.weights[i] ?? NaN)));
      assert.ok(Math.max(...far) < 1e-5, `micro-batches of ${micro}: ${Math.max(...far)}`);
      split.trained.epochs.forEach((epoch, i) => {
        const wanted = whole.trained.epochs[i];
        assert.ok(Math.abs(epoch.loss - (wanted?.loss ?? NaN)) < 1e-5);
        assert.equal(epoch.trainAccuracy, wanted?.trainAccuracy);
      });
    }
  }));

Deno.test("`fit()` halves the micro-batch until the GPU can hold it, and says so", () =>
  inFolder((folder) =>
    withDevice(async (device) => {
      // The first layer makes 9,408 bytes of an image, pooled; the parameters take 299,520.
      const limits = { maxStorageBufferBindingSize: 300_000, maxBufferSize: 2 ** 28 };
      const small = new Proxy(device, {
        get: (target, key): unknown => {
          if (key === "limits") {
            return new Proxy(target.limits, {
              get: (all, name): unknown => Reflect.get(limits, name) ?? Reflect.get(all, name, all),
            });
          }
          // Textures need more room than what is computed from them.
          if (key === "tiles") return nn.tileProfiles.portable;
          const value: unknown = Reflect.get(target, key, target);
          return typeof value === "function" ? value.bind(target) : value;
        },
      });
      const notes: string[] = [];
      const reporter = { ...silent, note: (text: string): void => void notes.push(text) };
      const options = { mode: "baseline", epochs: 1, folder, reporter } as const;
      const { trained } = await trainBriefly(small, options);
      assert.equal(trained.epochs.length, 1);
      const [first, ...others] = notes;
      assert.match(
        first ?? "",
        /^Cannot compile "train step.*: going on with 16 images at once, the gradients summed over a/,
      );
      // The selection's 50 images too.
      assert.equal(others.length, 1, `${notes}`);
      assert.match(others[0] ?? "", /"predict".*: going on with 25 images at once$/);
    })
  ));

Deno.test("`fit()` learns, and keeps the best epoch beside the last", () =>
  inFolder((folder) =>
    withDevice(async (device) => {
      const { model, trained } = await trainBriefly(device, { epochs: 6, folder });
      const losses = trained.epochs.map((e) => e.loss);
      assert.ok((losses.at(-1) ?? 9) < (losses[0] ?? 0), `the loss falls: ${losses}`);
      const best = Math.max(...trained.epochs.map((e) => e.accuracy));
      assert.equal(trained.best.accuracy, best);
      const { statement } = await loadCheckpoint(model, checkpointPaths(folder).best);
      const last = statement?.history.at(-1);
      assert.equal(last?.epoch, trained.best.epoch);
      assert.equal(last?.accuracy, best);
    })
  ));

Deno.test("`fit()` under the corrected protocol gathers the precision of the final weights", () =>
  inFolder((folder) =>
    withDevice(async (device) => {
      const { model } = await trainBriefly(device, { epochs: 1, folder, protocol: "corrected" });
      const set = new ResidentSet(limit(await loadEmbedded("train"), 90));
      const precision = model.state.get("precision_matrix");
      assert.ok(precision && model.gather);
      await nn.pull(device, [precision]);
      const trained = precision.data.slice();
      model.beginEpoch?.(device);
      const index = nn.input([90]);
      using again = await nn.compile(device, {
        inputs: [index],
        updates: model.gather(set.images(index)),
      });
      again.run([Float32Array.from({ length: 90 }, (_, i) => i)]);
      await nn.pull(device, [precision]);
      let worst = 0;
      trained.forEach((v, i) => worst = Math.max(worst, Math.abs(v - (precision.data[i] ?? 0))));
      assert.ok(worst < 1e-3, `largest difference ${worst}`);
    })
  ));

Deno.test("`fit()` stops at a loss that is no number, naming epoch and step", () =>
  inFolder((folder) =>
    withDevice(async (device) => {
      await assert.rejects(
        () => trainBriefly(device, { epochs: 20, folder, lr: 1e30 }),
        (error) =>
          error instanceof UserError &&
          /^Cannot continue training: .* (NaN|infinite) in epoch \d+, step \d+; use a smaller --lr/
            .test(error.message),
      );
    })
  ));

Deno.test("`loadCheckpoint()` names what does not fit", () =>
  inFolder((folder) =>
    withDevice(async (device) => {
      const { model } = await trainBriefly(device, { epochs: 1, folder });
      const { last } = checkpointPaths(folder);
      const bytes = await Deno.readFile(last);
      const cut = join(folder, "cut.safetensors");
      await Deno.writeFile(cut, bytes.subarray(0, bytes.length - 100));
      await assert.rejects(
        () => loadCheckpoint(model, cut),
        /cut.safetensors": the array .* cut off/,
      );
      const renamed = join(folder, "renamed.safetensors");
      const { tensors } = decodeSafetensors(bytes, last);
      const others = Array.from(tensors, ([name, array]) =>
        [name === "beta.bias" ? "beta.bxas" : name, array] as const);
      await writeSafetensors(renamed, { tensors: new Map(others), metadata: {} });
      await assert.rejects(() =>
        loadCheckpoint(model, renamed), /no "beta.bias" but "beta.bxas"/);
      await assert.rejects(
        () => loadCheckpoint(model, join(folder, "no")),
        /there is no such file/,
      );
    })
  ));
