/** A state_dict of PyTorch's as trainers leave it: found under any name, its arrays by the model's own names. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { UserError } from "../src/base/errors.ts";
import { loadCheckpoint, stateDigest } from "../src/checkpoint/checkpoint.ts";
import { encodeSafetensors } from "../src/checkpoint/safetensors.ts";
import { plainNames, readAs } from "../src/checkpoint/state_dict.ts";
import { classesShown } from "../src/experiment/taken.ts";
import { attackResultSchema } from "../src/experiment/documents.ts";
import {
  type Method,
  methods,
  type Model,
  networkOf,
  settledHyperparameters,
} from "../src/methods/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";
import { Classifier } from "../src/methods/classifier.ts";
import { constant, evaluate, Random } from "../src/nn/mod.ts";
import { task } from "./program.ts";
import { inFolder } from "./support.ts";
import { type Saved, saved, type SavedArray } from "./torch_writer.ts";

const golden = (name: string): string =>
  decodeURIComponent(new URL(`golden/${name}`, import.meta.url).pathname);

/** A ResNet-18 of one channel, for digits: 102 arrays of some 3,000 numbers. */
function small(seed: number, classes = 10): Model {
  const shape = { imageShape: [1, 28, 28], classes } as const;
  return new Classifier("ResNet-18", { random: new Random(seed), width: 1, ...shape });
}

/** What is saved of one: its arrays by name, with something before each of them. */
function arraysOf({ state }: Pick<Model, "state">, prefix = ""): Map<string, SavedArray> {
  return new Map(
    Array.from(state, ([name, { shape, data }]) => {
      assert.ok(data instanceof Float32Array);
      return [prefix + name, { shape, data }];
    }),
  );
}

const one = small(1);
const arrays = arraysOf(one);
const map = (entries: Readonly<Record<string, Saved>>): Saved => new Map(Object.entries(entries));

/** The digest of what a file fills another model with, and the notes on it. */
function loaded(bytes: Uint8Array): Promise<{ digest: string; notes: readonly string[] }> {
  let result = { digest: "", notes: [] as readonly string[] };
  return inFolder(async (folder) => {
    const path = join(folder, "c");
    await Deno.writeFile(path, bytes);
    const other = small(2);
    const { notes } = await loadCheckpoint(other, path);
    result = { digest: stateDigest(other), notes };
  }).then(() => result);
}

async function refuses(bytes: Uint8Array, message: RegExp): Promise<void> {
  await assert.rejects(
    () => loaded(bytes),
    (error) => {
      assert.ok(error instanceof UserError, String(error));
      assert.match(error.message, message);
      assert.ok(error.message.length < 450 && !error.message.includes("\n"), error.message);
      return true;
    },
  );
}

Deno.test("files of two trainers give the logits of PyTorch, in every type and stride", async () => {
  const expected = JSON.parse(await Deno.readTextFile(golden("state_dicts.json")));
  const image = Float64Array.from(
    { length: 784 },
    (_, i) => (3 * Math.floor(i / 28) + 5 * (i % 28)) % 17 / 16,
  );
  const digests = new Set<string>();
  const words = /with "downsample" as "shortcut" and "fc" as "linear"; .* no max-pool/;
  for (
    const [file, off] of [
      ["lightning.ckpt", /taken without "model\._orig_mod\."$/],
      ["averaged.pth", /taken without "module\."$/],
    ] as const
  ) {
    const model = small(2);
    const { notes } = await loadCheckpoint(model, golden(file));
    assert.equal(notes.length, 2);
    assert.match(notes[0] ?? "", off);
    assert.match(notes[1] ?? "", words);
    digests.add(stateDigest(model));
    assert.ok(model instanceof Classifier);
    const [logits = []] = evaluate([model.logits(constant([...image], [1, 1, 28, 28]))]);
    const wanted: number[] = expected.logits;
    const off64 = wanted.map((z, i) => Math.abs(z - (logits[i] ?? NaN)));
    assert.ok(Math.max(...off64) < 1e-5 * Math.max(...wanted), `${[...logits]}`);
  }
  assert.equal(digests.size, 1);
});

Deno.test("arrays are found under any name that only one dictionary of arrays has", async () => {
  const beside = { epoch: 3, optimizer: map({ lr: 1, state: map({}) }) };
  const figures = map({ loss: { shape: [], data: Float32Array.of(0.5) } });
  const files: Saved[] = [
    arrays,
    map({ ...beside, state_dict: arrays }),
    map({ ...beside, net: arrays, figures }),
    map({ model: map({ state_dict: arrays, epoch: 1 }) }),
    map({ ...beside, model: arrays, rng: { shape: [3], data: new Float32Array(3) } }),
    map({ model: arrays, discriminator: map({ w: { shape: [1], data: Float32Array.of(1) } }) }),
  ];
  for (const file of files) {
    assert.deepEqual(await loaded(saved(file)), { digest: stateDigest(one), notes: [] });
  }
});

Deno.test("two models in one file are refused by both their names", async () => {
  const other = arraysOf(small(3), "module.");
  const under = (a: string, b: string): RegExp =>
    new RegExp(`holds two models, under "${a}" and "${b}"; save the one that is meant alone`);
  await refuses(saved(map({ model: arrays, ema: other })), under("model", "ema"));
  await refuses(
    saved(map({ state_dict_ema: other, state_dict: arrays })),
    under("state_dict", "state_dict_ema"),
  );
  await refuses(saved(map({ first: arrays, second: other })), under("first", "second"));
  const flat = /two models, from "model.conv1.weight" and from "ema.model.conv1.weight" on/;
  const both = [...arraysOf(one, "model."), ...arraysOf(small(3), "ema.model.")];
  await refuses(saved(new Map(both)), flat);
  await refuses(
    saved(new Map([...arrays, ...other])),
    /two models, from "conv1.weight" and from "module.conv1.weight" on/,
  );
});

Deno.test("what wrappers add is taken off and said, alone, nested, and within names", async () => {
  for (
    const prefix of ["module.", "_orig_mod.", "model.", "net.", "module._orig_mod.", "a.b.module."]
  ) {
    const { digest, notes } = await loaded(saved(arraysOf(one, prefix)));
    assert.equal(digest, stateDigest(one));
    assert.equal(notes.length, 1);
    assert.ok(notes[0]?.endsWith(`are taken without "${prefix}"`), notes[0]);
  }
  const compiled = new Map(Array.from(arrays, ([name, array]) => [
    name.replace(/^layer(\d)\.0/, "layer$1._orig_mod.0").replace(/^linear/, "module.linear"),
    array,
  ]));
  const { digest, notes } = await loaded(saved(compiled));
  assert.equal(digest, stateDigest(one));
  assert.match(notes.join("\n"), /without "module\."\n.*without "_orig_mod\."$/);
});

Deno.test("no name of a model's own is taken for what a wrapper adds", () => {
  for (const [mode, method] of Object.entries<Method>(methods)) {
    for (const name of method.models) {
      const network = networkOf(name);
      const own = { ...settledHyperparameters({}, network, "use"), width: 1 };
      const procedure = procedureOf("paper");
      const { state } = method.create(name, { random: new Random(0), procedure, ...own });
      const found = arraysOf({ state });
      const { named, prefix, within } = plainNames(found);
      assert.deepEqual([prefix, within], ["", []], `${mode} ${name}`);
      const { named: read, words } = readAs(named, state, network.synonyms ?? []);
      assert.deepEqual([[...read.keys()], words], [[...state.keys()], []], `${mode} ${name}`);
    }
  }
});

Deno.test("arrays that are missing, too many, or of other shapes are named, some of many", async () => {
  const without = new Map([...arrays].filter(([name]) => !/bias$/.test(name)));
  await refuses(
    saved(without),
    /has no "bn1.bias", "layer1.0.bn1.bias" and 19 more; give the checkpoint of a ResNet-18/,
  );
  const extra = { shape: [1], data: Float32Array.of(1) };
  const more = new Map([...arrays, ["head.weight", extra], ["normalize.mean", extra]]);
  await refuses(saved(more), /it holds "head.weight", "normalize.mean", which ResNet-18 has not/);
  await refuses(
    saved(new Map([...arraysOf(one, "model."), ["normalize.mean", extra]])),
    /it holds "normalize.mean" beside the model, from "model.conv1.weight" on; save the state_dict/,
  );
  const turned = new Map(arrays).set("linear.weight", {
    shape: [8, 10],
    data: new Float32Array(80),
  }).set("linear.bias", extra);
  await refuses(
    saved(turned),
    /parameter "linear.weight" is \[10, 8\], the file has \[8, 10\] \(1 other differs too\)/,
  );
  const long = new Map([...arrays].map(([name, array]) => [name + "x".repeat(5000), array]));
  await refuses(
    saved(long),
    /has no "conv1.weight", "bn1.weight" and 100 more but "conv1\.weightx+\.{3}x+"; give/,
  );
});

Deno.test("numbers of 64 bits are rounded, and refused by their value beyond what 32 bits hold", async () => {
  const doubles = new Map(
    Array.from(arrays, ([name, array]) => {
      return [name, { ...array, data: Float64Array.from(array.data, (v) => v * (1 + 1e-12)) }];
    }),
  );
  assert.equal((await loaded(saved(doubles))).digest, stateDigest(one));
  const at = (value: number, data = Float64Array.of(0, value)): Saved => {
    const padded = Float64Array.from({ length: 10 }, (_, i) => data[i] ?? 0);
    return new Map(arrays).set("linear.bias", { shape: [10], data: padded });
  };
  await refuses(
    saved(at(-1e300)),
    /"linear.bias" holds -1e\+300 at 1, which is more than 32 bits hold; train the model again/,
  );
  await refuses(saved(at(Infinity)), /"linear.bias" holds Infinity at 1; train the model again/);
});

/** A file of safetensors in one type, written by hand. */
function safetensors(type: "F16" | "BF16" | "F64", prefix: string): Uint8Array {
  const entries: Record<string, unknown> = { __metadata__: { format: "pt" } };
  const parts: number[] = [];
  for (const [name, { shape, data }] of one.state) {
    const from = parts.length;
    const view = new DataView(new ArrayBuffer(8));
    for (const value of data) {
      if (type === "F64") view.setFloat64(0, value, true);
      else if (type === "BF16") {
        view.setFloat32(0, value, true);
        view.setUint16(0, view.getUint16(2, true), true);
      } else view.setFloat16(0, value, true);
      for (let i = 0; i < (type === "F64" ? 8 : 2); i++) parts.push(view.getUint8(i));
    }
    entries[prefix + name] = { dtype: type, shape, data_offsets: [from, parts.length] };
  }
  const json = new TextEncoder().encode(JSON.stringify(entries));
  const length = new Uint8Array(BigUint64Array.of(BigInt(json.length)).buffer);
  return Uint8Array.of(...length, ...json, ...parts);
}

Deno.test("safetensors of every width of number, with metadata of others and a prefix", async () => {
  const widest = { F16: 2 ** -11, BF16: 2 ** -7, F64: 0 };
  for (const type of ["F16", "BF16", "F64"] as const) {
    await inFolder(async (folder) => {
      const path = join(folder, "c.safetensors");
      await Deno.writeFile(path, safetensors(type, "model."));
      const other = small(2);
      const { notes } = await loadCheckpoint(other, path);
      assert.equal(notes.length, 1);
      for (const [name, { data }] of other.state) {
        const wanted = one.state.get(name)?.data ?? [];
        for (const [i, value] of data.entries()) {
          const error = Math.abs(value - (wanted[i] ?? NaN));
          assert.ok(
            error <= widest[type] * Math.abs(wanted[i] ?? NaN) + 2 ** -25,
            `${type} ${name}`,
          );
        }
      }
    });
  }
  const kept = encodeSafetensors({ tensors: arraysOf(one, "net."), metadata: {} });
  assert.equal((await loaded(kept)).digest, stateDigest(one));
});

Deno.test("the classes of a model are seen by either word for its last layer", () => {
  const build = (classes: number): Model => small(1, classes);
  const named = new Map(Array.from(arraysOf(small(1, 7)), ([name, array]) => {
    return [name.replace("linear", "fc"), array];
  }));
  assert.equal(classesShown(named, build), 7);
});

Deno.test("the command line attacks what PyTorch saved", () =>
  inFolder(async (cwd) => {
    const sets = ["--in-domain", "mnist", "--out-domain", "notmnist", "--limit", "10"];
    const of = ["--mode", "baseline", "--model", "ResNet-18"];
    const file = ["--checkpoint", golden("lightning.ckpt"), "--json"];
    const { code, stdout, stderr } = await task("attack", [...of, ...sets, ...file], { cwd });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /lightning\.ckpt" are taken without "model\._orig_mod\."$/m);
    assert.match(stderr, /lightning\.ckpt" are taken with "downsample" as "shortcut" and/);
    const { trained, inDomain } = attackResultSchema.parse(JSON.parse(stdout));
    assert.deepEqual(trained, [null]);
    assert.equal(typeof inDomain?.accuracy, "number");
  }));
