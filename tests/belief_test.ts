/** What checkpoints of Mirage say of themselves: checked wherever one is read, and believed. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { loadEmbedded } from "../data/mod.ts";
import { loadCheckpoint, stateDigest } from "../src/checkpoint/checkpoint.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  readSafetensors,
  writeSafetensors,
} from "../src/checkpoint/safetensors.ts";
import { decodeTorchCheckpoint } from "../src/checkpoint/torch.ts";
import { runConfig, type RunOptions } from "../src/experiment/config.ts";
import { shortened, UserError } from "../src/base/errors.ts";
import { methods } from "../src/methods/mod.ts";
import { Random } from "../src/nn/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";
import { attack } from "../src/experiment/attack.ts";
import { evaluate } from "../src/experiment/evaluate.ts";
import { report } from "../src/report/mod.ts";
import { digestOf } from "../src/base/digest.ts";
import { readRun } from "../src/runs/folder.ts";
import { verify } from "../src/experiment/verify.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { inFolder } from "./support.ts";
import { trained } from "./trained.ts";
import { checkpoint, legacy, tensor } from "./torch_writer.ts";

function baseline(): ReturnType<typeof methods.baseline.create> {
  return methods.baseline.create("LeNet", {
    random: new Random(1),
    procedure: procedureOf("paper"),
  });
}

Deno.test("no flipped bit of a checkpoint of ours loads", () =>
  inFolder(async (folder) => {
    const path = await trained(folder);
    const whole = await Deno.readFile(path);
    const header = 8 + Number(new DataView(whole.buffer).getBigUint64(0, true));
    const draws = new Random(7).uniform(1000);
    const damaged = join(folder, "damaged.safetensors");
    const model = baseline();
    for (const [i, draw] of draws.entries()) {
      // Every other bit in the header, which is short.
      const at = Math.floor(draw * 8 * (i % 2 === 0 ? header : whole.length));
      const bytes = Uint8Array.from(whole);
      bytes[at >> 3] = (bytes[at >> 3] ?? 0) ^ (1 << (at & 7));
      await Deno.writeFile(damaged, bytes);
      await assert.rejects(loadCheckpoint(model, damaged), UserError, `bit ${at}`);
    }
    await loadCheckpoint(model, path);
  }));

Deno.test("`eval` and `attack` refuse a rotten model, and it is copied nowhere", () =>
  inFolder(async (savePath) => {
    const path = await trained(savePath);
    const bytes = await Deno.readFile(path);
    bytes[bytes.length - 3] = (bytes[bytes.length - 3] ?? 0) ^ 4;
    await Deno.writeFile(path, bytes);
    const config = runConfig({ mode: "baseline", limit: 20, epochs: 1, savePath });
    for (const run of [attack, evaluate]) await assert.rejects(run(config), /SHA-256 differs/);
    for (const { name } of Deno.readDirSync(join(savePath, "runs"))) {
      assert.match(name, /^train-/);
    }
  }));

Deno.test("a file of others loads with any metadata, and one whose arrays were changed does not pass as ours", () =>
  inFolder(async (folder) => {
    const path = await trained(folder);
    const { tensors, metadata } = decodeSafetensors(await Deno.readFile(path), path);
    const foreign = join(folder, "foreign.safetensors");
    const model = baseline();
    await Deno.writeFile(
      foreign,
      encodeSafetensors({ tensors, metadata: { sha256: "no digest" } }),
    );
    const loaded = await loadCheckpoint(model, foreign);
    assert.deepEqual(loaded.metadata, { sha256: "no digest" });
    assert.equal(loaded.statement, undefined);
    const digest = stateDigest(model);
    await Deno.writeFile(foreign, encodeSafetensors({ tensors, metadata }));
    await assert.rejects(loadCheckpoint(model, foreign), /SHA-256 differs/);
    const later = { ...metadata, format: "mirage/checkpoint@3" };
    await Deno.writeFile(foreign, encodeSafetensors({ tensors, metadata: later }));
    await assert.rejects(
      loadCheckpoint(model, foreign),
      /it was written by another version of Mirage \(mirage\/checkpoint@3\); train it again$/,
    );
    await loadCheckpoint(model, path);
    assert.equal(stateDigest(model), digest);
  }));

Deno.test("a transposed weight is refused by name and shapes, in both formats", () =>
  inFolder(async (folder) => {
    const path = await trained(folder);
    const { tensors } = decodeSafetensors(await Deno.readFile(path), path);
    const weight = [...tensors.values()].find((t) => t.shape.length === 2) ?? assert.fail();
    const [name = ""] = [...tensors].find(([, t]) => t === weight) ?? [];
    const turned = new Map(tensors).set(name, { ...weight, shape: weight.shape.toReversed() });
    const wrong = join(folder, "turned.safetensors");
    await Deno.writeFile(wrong, encodeSafetensors({ tensors: turned, metadata: {} }));
    await assert.rejects(
      loadCheckpoint(baseline(), wrong),
      new RegExp(`parameter "${name}" is \\[84, 400\\], the file has \\[400, 84\\]`),
    );
  }));

/** A safetensors file of such a type for each array, whose elements are 0. */
function filled(
  arrays: readonly (readonly [name: string, dtype: string, shape: readonly number[]])[],
): Uint8Array<ArrayBuffer> {
  const sizes: Readonly<Record<string, number>> = {
    I64: 8,
    U64: 8,
    F64: 8,
    I32: 4,
    U32: 4,
    F32: 4,
  };
  let end = 0;
  const entries = arrays.map(([name, dtype, shape]) => {
    const bytes = (sizes[dtype] ?? (/16$/.test(dtype) ? 2 : 1)) * shape.reduce((a, b) => a * b, 1);
    return [name, { dtype, shape, data_offsets: [end, end += bytes] }];
  });
  const head = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const file = new Uint8Array(8 + head.length + end);
  new DataView(file.buffer).setBigUint64(0, BigInt(head.length), true);
  file.set(head, 8);
  return file;
}

Deno.test("weights stored as integers or truth values are refused by name and type, counters are not", () =>
  inFolder(async (folder) => {
    const path = join(folder, "m.safetensors");
    const model = baseline();
    const shapes = [...model.state].map(([name, { shape }]) => [name, shape] as const);
    const [[first] = [""]] = shapes;
    const load = async (type: string, of: string = first): Promise<unknown> => {
      const arrays = shapes.map(([name, shape]) =>
        [name, name === of ? type : "F32", shape] as const
      );
      const counter = ["conv.num_batches_tracked", "I64", []] as const;
      await Deno.writeFile(path, filled([...arrays, counter]));
      return await loadCheckpoint(model, path);
    };
    for (const type of ["I8", "U8", "BOOL", "I16", "U16", "I32", "U32", "I64", "U64"]) {
      await assert.rejects(
        load(type),
        (error) =>
          error instanceof UserError &&
          error.message.includes(`"${first}" is stored as ${type}, not as floating-point numbers;`),
        type,
      );
    }
    for (const type of ["F16", "BF16", "F32", "F64"]) await load(type);
    const stored = {
      FloatStorage: undefined,
      IntStorage: "I32",
      ByteStorage: "U8",
      BoolStorage: "BOOL",
    };
    for (const [storage, type] of Object.entries(stored)) {
      const pickle = tensor(0, [1], [1]).replace("torch\nFloatStorage", `torch\n${storage}`);
      for (const bytes of [checkpoint(pickle), legacy(pickle)]) {
        assert.equal(decodeTorchCheckpoint(bytes, "c").stateDict.get("w")?.integer, type, storage);
      }
    }
  }));

testWithShared(
  "a transposed weight in PyTorch's format is refused too",
  ["cases/transposed_linear.checkpoint"],
  async () => {
    await assert.rejects(
      loadCheckpoint(baseline(), sharedPath("cases/transposed_linear.checkpoint")),
      /parameter ".*" is \[\d+, \d+\], the file has \[\d+, \d+\]/,
    );
  },
);

Deno.test("one model is not two members of an ensemble, whatever its files are called", () =>
  inFolder(async (savePath) => {
    const first = await trained(savePath);
    const copies = [0, 1].map((seed) => join(savePath, `copy${seed}.safetensors`));
    const foreign = join(savePath, "foreign.safetensors");
    const { tensors } = decodeSafetensors(await Deno.readFile(first), first);
    for (const copy of [foreign, ...copies]) {
      await Deno.writeFile(copy, encodeSafetensors({ tensors, metadata: {} }));
    }
    const of = (...checkpoint: string[]): Promise<unknown> => {
      const numEnsembles = checkpoint[1] === undefined ? { numEnsembles: 2 } : {};
      return evaluate(
        runConfig({ mode: "deep_ensemble", limit: 20, savePath, checkpoint, ...numEnsembles }),
      );
    };
    const refused = (a: string, b: string): (error: Error) => boolean => (error) =>
      error instanceof UserError && error.message.length <= 300 &&
      error.message.startsWith(
        `Cannot make an ensemble of "${a}" and "${b}": they hold the same model; `,
      );
    const short = (path: string): string => shortened(path, 80);
    await assert.rejects(of(first, first), refused(short(first), short(first)));
    await assert.rejects(of(first, foreign), refused(short(first), short(foreign)));
    const [a = "", b = ""] = copies.map(short);
    await assert.rejects(of(join(savePath, "copy{seed}.safetensors")), refused(a, b));
    await of(first, await trained(savePath, { seed: 1 }));
  }));

Deno.test("hyper-parameters come from the checkpoint, or contradict it in an error", () =>
  inFolder(async (savePath) => {
    const due = { mode: "due", kernel: "Matern12", nInducingPoints: 5 } as const;
    const checkpoint = await trained(savePath, due);
    const use = { mode: "due", limit: 20, checkpoint, savePath } as const;
    const { hyperparameters, inDomain } = await evaluate(runConfig(use));
    assert.deepEqual(hyperparameters, { nInducingPoints: 5, kernel: "Matern12" });
    const own = await evaluate(runConfig({ ...due, limit: 20, epochs: 1, savePath }));
    assert.deepEqual(own.inDomain, inDomain);
    await assert.rejects(
      evaluate(runConfig({ ...use, kernel: "RBF" })),
      /trained with kernel Matern12, the option says RBF; leave the option out/,
    );
    await assert.rejects(
      evaluate(runConfig({ ...use, mode: "baseline" })),
      /it says that it is a model of DUE; use --mode due/,
    );
  }));

Deno.test("the seed of a run is not that of a model that was named, which its file says or nobody", () =>
  inFolder(async (savePath) => {
    const checkpoint = await trained(savePath);
    const seedsOf = async (options: Partial<RunOptions>): Promise<unknown> => {
      const { seed, seeds } = await evaluate(
        runConfig({ mode: "baseline", limit: 20, savePath, ...options }),
      );
      return [seed, seeds];
    };
    assert.deepEqual(await seedsOf({ checkpoint, seed: 7 }), [7, [0]]);
    assert.deepEqual(await seedsOf({ seed: 3, epochs: 1 }), [3, [3]]);
    const runs = join(savePath, "runs");
    const named = await Promise.all(
      [...Deno.readDirSync(runs)].filter(({ name }) => name.startsWith("eval"))
        .map(async ({ name }) => (await readRun(join(runs, name))).identity["seeds"]),
    );
    assert.deepEqual(named.sort(), [[0], [3]]);
    const foreign = join(savePath, "foreign.safetensors");
    const { tensors } = decodeSafetensors(await Deno.readFile(checkpoint), checkpoint);
    await Deno.writeFile(foreign, encodeSafetensors({ tensors, metadata: {} }));
    assert.deepEqual(await seedsOf({ checkpoint: foreign }), [0, [null]]);

    for (const seed of [0, 1]) await Deno.copyFile(checkpoint, join(savePath, `of${seed}`));
    const template = { checkpoint: join(savePath, "of{seed}") };
    assert.deepEqual(await seedsOf(template), [0, [0]]);
    await assert.rejects(
      seedsOf({ ...template, seed: 1 }),
      /^UserError: Cannot use ".*of1" as the model of seed 1: it was trained with seed 0; name it/,
    );
  }));

Deno.test("how a training was done comes from the checkpoint: DUQ's arithmetic", () =>
  inFolder(async (savePath) => {
    const checkpoint = await trained(savePath, { mode: "duq", kernelArithmetic: "log" });
    const { procedure } = await evaluate(
      runConfig({ mode: "duq", limit: 20, checkpoint, savePath }),
    );
    assert.equal(procedure["kernelArithmetic"], "log");
    await assert.rejects(
      evaluate(
        runConfig({ mode: "duq", limit: 20, checkpoint, savePath, kernelArithmetic: "direct" }),
      ),
      /trained with kernelArithmetic log, the option says direct/,
    );
  }));

Deno.test("the same training leaves the same bytes in another folder, and the same run of an attack", () =>
  inFolder(async (folder) => {
    const paths = ["one", "two"].map((name) => join(folder, name));
    const names: string[] = [];
    const pages: string[][] = [];
    for (const savePath of paths) {
      await trained(savePath, { epochs: 2 });
      await attack(runConfig({ mode: "baseline", limit: 20, epochs: 2, savePath }));
      const runs = [...Deno.readDirSync(join(savePath, "runs"))].map(({ name }) => name).sort();
      names.push(runs.join());
      pages.push(await Promise.all(runs.map((run) => report([join(savePath, "runs", run)]))));
      // A page holds no time at all: not even another day would show.
      assert.doesNotMatch(pages.flat().join(), /20\d\d-[01]\d-[0-3]\d/);
    }
    assert.deepEqual(pages[0]?.map((page) => page.length), pages[1]?.map((page) => page.length));
    assert.ok(pages[0]?.join() === pages[1]?.join());
    assert.equal(names[0], names[1]);
    for (const run of names[0]?.split(",") ?? []) {
      for (
        const file of ["checkpoints/0.safetensors", "metrics.json"].concat(
          run.startsWith("attack") ? ["predictions.safetensors", "examples.safetensors"] : [],
        )
      ) {
        const [a, b] = await Promise.all(
          paths.map((path) => Deno.readFile(join(path, "runs", run, file))),
        );
        assert.ok(a && b && a.toBase64() === b.toBase64(), `${run}/${file}`);
      }
    }
  }));

Deno.test("another model makes another run, although the options are the same", () =>
  inFolder(async (savePath) => {
    const config = runConfig({ mode: "baseline", limit: 20, epochs: 1, savePath });
    const best = await trained(savePath);
    await attack(config);
    // As a training on another GPU would: the same statement, a model of its own.
    const { tensors, metadata } = await readSafetensors(best);
    const changed = [...tensors].map(([name, { shape, data }]) =>
      [name, { shape, data: data.map((v) => 1.01 * v) }] as const
    );
    await writeSafetensors(best, { tensors: new Map(changed), metadata });
    await attack(config);
    const runs = [...Deno.readDirSync(join(savePath, "runs"))].filter(({ name }) =>
      name.startsWith("attack-")
    );
    assert.equal(runs.length, 2);
  }));

Deno.test("a run is repeated and verified on its own data, or not at all", () =>
  inFolder(async (folder) => {
    const dataPath = join(folder, "Data");
    const raw = join(dataPath, "MNIST", "raw");
    await Deno.mkdir(raw, { recursive: true });
    const savePath = join(folder, "models");
    const config = runConfig({ mode: "baseline", limit: 20, epochs: 1, savePath });
    await attack(config);
    const [run] = [...Deno.readDirSync(join(savePath, "runs"))].filter(({ name }) =>
      name.startsWith("attack-")
    );
    const path = join(savePath, "runs", run?.name ?? "");
    assert.equal((await verify(path)).verified, true);
    // As if the run had been made on other images.
    const recorded = await readRun(path);
    const { sha256 } = await loadEmbedded("letters");
    const data = recorded.identity["data"] as Record<string, Record<string, unknown>>;
    const identity = {
      ...recorded.identity,
      data: { ...data, outDomain: { ...data["outDomain"], sha256 } },
    };
    const digest = digestOf({ command: recorded.command, ...identity });
    const other = { ...recorded, identity, digest };
    await Deno.writeTextFile(join(path, "run.json"), JSON.stringify(other));
    await assert.rejects(
      verify(path),
      /its data are not those in "embedded": it used 20 images of embedded letters, there are 20 images of embedded letters with other pixels or labels/,
    );
  }));
