/** Tiles: every profile gives the same bits; what was measured is kept and used. */
import assert from "node:assert/strict";
import { join } from "node:path";
import * as nn from "../src/nn/mod.ts";
import { silent } from "../src/base/reporter.ts";
import { tune, tuneResultSchema, useTuning } from "../src/nn/device/tuning.ts";
import { inFolder, withDevice } from "./support.ts";
import { LeNet } from "../src/networks/lenet.ts";

Deno.test("profiles that read buffers give the same bits, textures as good ones: a LeNet's loss and gradients", () =>
  withDevice(async (device) => {
    const net = new LeNet(new nn.Random(1));
    const weights = [...net.state.values()].map((p) => p.tensor);
    const x = nn.constant(new nn.Random(2).uniform(9 * 784), [9, 1, 28, 28]);
    const labels = nn.constant([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const loss = nn.sum(nn.crossEntropy(net.forward(x, new nn.Pass(true)), labels));
    const outputs = [loss, ...nn.grad(loss, weights)];
    const results: number[][] = [];
    const cuts = new Set<string>();
    for (const tiles of Object.values(nn.tileProfiles)) {
      using program = await nn.compile(device, { outputs, tiles });
      program.run();
      const values = await Promise.all(outputs.map((t) => program.read(t)));
      results.push(values.flatMap((v) => [...v]));
      cuts.add(program.toString());
    }
    const [first = [], ...others] = results;
    assert.ok(first.length > 37_000);
    Object.values(nn.tileProfiles).slice(1).forEach(({ texels }, k) => {
      const other = others[k] ?? [];
      const near = (value: number, i: number): boolean =>
        texels === 0
          ? Object.is(value, other[i])
          : Math.abs(value - (other[i] ?? NaN)) <= 1e-5 * Math.max(1, Math.abs(value));
      assert.ok(first.every(near));
    });
    // LeNet has no filters of 3 x 3, which one of them applies to tiles.
    assert.equal(cuts.size, results.length - 1, "the profiles cut the work differently");
  }));

Deno.test("`tune()` keeps what it measured, and `useTuning()` uses it; a damaged table is none", () =>
  inFolder((folder) =>
    withDevice(async (device) => {
      const path = join(folder, "cache", "tiles.json");
      const standard = device.tiles;
      await useTuning(device, path);
      assert.equal(device.tiles, standard);
      const result = tuneResultSchema.parse(await tune(device, silent, path));
      assert.ok(result.layers.every(({ milliseconds }) =>
        Object.keys(nn.tileProfiles).every((name) => (milliseconds[name] ?? 0) > 0)
      ));
      for (const profile of Object.keys(nn.tileProfiles) as (keyof typeof nn.tileProfiles)[]) {
        const text = await Deno.readTextFile(path);
        const table = JSON.parse(text);
        table.adapters[result.adapter].profile = profile;
        await Deno.writeTextFile(path, JSON.stringify(table));
        await useTuning(device, path);
        assert.equal(device.tiles.name, profile);
      }
      device.tiles = standard;
      const text = await Deno.readTextFile(path);
      const beyond = text.replace(/(?<="milliseconds":\s*\{\s*"[^"]+":\s*)[\d.]+/, "1e999");
      assert.notEqual(beyond, text);
      for (const damaged of ["{ damaged", beyond]) {
        await Deno.writeTextFile(path, damaged);
        await useTuning(device, path);
        assert.equal(device.tiles, standard);
      }
    })
  ));

Deno.test("a run is named by what its convolutions read, for sums of the one are not bit for bit those of the other", () => {
  const read = Object.values(nn.tileProfiles).map((tiles) => nn.convolutionsOf({ tiles }));
  assert.deepEqual(read, ["buffers", "buffers", "textures", "winograd"]);
});
