/** Tiles: every profile gives the same bits; what was measured is kept and used. */
import assert from "node:assert/strict";
import { join } from "node:path";
import * as nn from "../src/nn/mod.ts";
import { silent } from "../src/base/reporter.ts";
import { tune, tuneResultSchema, useTuning } from "../src/nn/device/tuning.ts";
import { inFolder, withDevice } from "./support.ts";
import { cutKey } from "../src/nn/graph/tiles.ts";
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
      const result = tuneResultSchema.parse(
        await tune(device, silent, path, (layer) => /conv1|layer4.0 shortcut/.test(layer)),
      );
      assert.equal(result.layers.length, 6);
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

Deno.test("a shape is cut as the profile does that was faster of it, and no bit changes", () =>
  inFolder((folder) =>
    withDevice(async (device) => {
      const x = nn.constant(new nn.Random(2).uniform(2 * 784), [2, 1, 28, 28]);
      const w = nn.constant(new nn.Random(3).uniform(150), [6, 1, 5, 5]);
      const y = nn.conv2d(x, w, { padding: 2 });
      const g = nn.conv2dInput(y, w, [28, 28], { padding: 2 });
      const outputs = [y, g, nn.conv2dWeight(x, y, [5, 5], { padding: 2 })];
      const run = async (): Promise<{ text: string[]; values: Float32Array[] }> => {
        using program = await nn.compile(device, { outputs });
        program.run();
        const values = await Promise.all(outputs.map((t) => program.read(t)));
        return { text: program.toString().split("\n").slice(1), values };
      };
      const path = join(folder, "tiles.json");
      const { adapter } = await tune(device, silent, path, (layer) => layer === "LeNet conv1");
      const table = JSON.parse(await Deno.readTextFile(path));
      const image = { CI: 1, H: 28, W: 28, CO: 6, KH: 5, KW: 5, OH: 28, OW: 28, STRIDE: 1, PAD: 2 };
      const gradient = { ...image, CI: 6, CO: 1, KH: 8 };
      const keys = [
        cutKey("conv2d", image),
        cutKey("conv2d", gradient, { fold: 4 }),
        cutKey("conv2d_weight", image),
      ];
      const cutBy = async (cuts: Record<string, string>): ReturnType<typeof run> => {
        table.adapters[adapter] = { ...table.adapters[adapter], profile: "software", cuts };
        await Deno.writeTextFile(path, JSON.stringify(table));
        await useTuning(device, path);
        return await run();
      };
      const own = await cutBy({});
      device.tiles = nn.tileProfiles.portable;
      const other = await run();
      const differ = own.text.filter((line, i) => line !== other.text[i]);
      assert.equal(differ.length, keys.length);
      for (const [i, key] of keys.entries()) {
        const mixed = await cutBy({ [key]: "portable" });
        assert.deepEqual(mixed.values, own.values);
        const changed = mixed.text.filter((line, j) => line !== own.text[j]);
        assert.equal(changed.length, 1, key);
        assert.ok(other.text.includes(changed[0] ?? ""), `${i}`);
      }
    })
  ));

Deno.test("a run is named by what its convolutions read, for sums of the one are not bit for bit those of the other", () => {
  const read = Object.values(nn.tileProfiles).map((tiles) => nn.convolutionsOf({ tiles }));
  assert.deepEqual(read, ["buffers", "buffers", "textures", "winograd"]);
});

Deno.test("a kernel that reads textures is known by its file: `tune` compares it with others", () =>
  withDevice(async (device) => {
    const x = nn.constant(new nn.Random(1).uniform(8 * 8 * 64), [8, 8, 8, 8]);
    const w = nn.constant(new nn.Random(2).uniform(8 * 8), [8, 8, 1, 1]);
    const tiles = { ...nn.tileProfiles.winograd, textured: 1 };
    using program = await nn.compile(device, { outputs: [nn.conv2d(x, w)], tiles });
    const times = await program.time(1);
    assert.ok(times.some(({ file, kernel }) => file === "conv2d" && kernel !== file));
  }));
