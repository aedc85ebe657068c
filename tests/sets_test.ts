/** Data sets by themselves: the registry, which two go together, and models that are taught others. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { allSets, type DataSet, loadMnist, setOfImages, sets } from "../data/mod.ts";
import { checkImages } from "../data/open.ts";
import { partsOf } from "../data/sets.ts";
import { readSafetensors, writeSafetensors } from "../src/checkpoint/safetensors.ts";
import { runConfig } from "../src/experiment/config.ts";
import { attackResultSchema, trainResultSchema } from "../src/experiment/documents.ts";
import { paperTables } from "../src/experiment/paper.ts";
import { openSetup } from "../src/experiment/setup.ts";
import { type Network, networks } from "../src/networks/mod.ts";
import { batchRecords, says, writeArchive, writeMnist } from "./data_support.ts";
import { svhn } from "./mat_writer.ts";
import { type Outcome, task } from "./program.ts";
import { sharedPath, testWithShared } from "./shared.ts";
import { inFolder, onlyRun } from "./support.ts";

/** Small enough for any test. */
const quick = ["--mode", "baseline", "--limit", "20", "--epochs", "1", "--json"];

/** What a command printed. */
function printed({ code, stdout, stderr }: Outcome): unknown {
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

for (const [key, set] of Object.entries<DataSet>(sets)) {
  Deno.test(`${key} says what its images are, and is found by their names`, () => {
    assert.equal(set.name, key);
    assert.ok(set.classes.length >= 2);
    assert.equal(new Set(set.classes).size, set.classes.length);
    assert.ok(set.imageShape.every((size) => Number.isInteger(size) && size > 0));
    for (const { name, standIn = name } of partsOf(set)) {
      assert.equal(setOfImages(name), set);
      assert.equal(setOfImages(standIn), set);
    }
  });
}

Deno.test("images are found by name whether the embedded data stands in or not, and others are not", () => {
  assert.equal(setOfImages("embedded digits train"), sets.mnist);
  assert.equal(setOfImages("embedded letters"), sets.notmnist);
  assert.equal(setOfImages("MNIST"), undefined);
  const names = allSets.flatMap(partsOf).map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
});

Deno.test("networks and tables were published with sets of their shape and classes", () => {
  for (const of of Object.values<Network>(networks)) {
    const [inside, outside] = [sets[of.inDomain], sets[of.outDomain]];
    assert.deepEqual(inside.imageShape, of.imageShape);
    assert.deepEqual(outside.imageShape, of.imageShape);
    assert.equal(inside.classes.length, of.classes);
    assert.ok(
      Object.values(paperTables).some(({ inDomain, outDomain }) =>
        inDomain === of.inDomain && outDomain === of.outDomain
      ),
    );
  }
});

Deno.test("images that contradict their set are refused, with where to mend it", () =>
  inFolder(async (folder) => {
    await writeMnist(folder);
    const images = await loadMnist(folder, "test");
    for (const isTaught of [true, false]) checkImages(sets.mnist, images, isTaught);
    const colour: DataSet = { ...sets.mnist, imageShape: [3, 32, 32] };
    assert.throws(
      () => checkImages(colour, images, false),
      says(/^Cannot use MNIST test: its images are 1x28x28, those of MNIST are 3x32x32; make /),
    );
    const few: DataSet = { ...sets.mnist, classes: sets.mnist.classes.slice(0, 9) };
    checkImages(few, images, false);
    assert.throws(
      () => checkImages(few, images, true),
      says(/^Cannot use MNIST test: image 2 is of class 9, MNIST has 9 classes, from 0 on; make /),
    );
  }));

const refused: readonly (readonly [what: string, args: string[], message: RegExp])[] = [
  [
    "a set that nothing is trained on",
    ["train", "--in-domain", "notmnist"],
    /^Cannot use notMNIST in-domain: it has one part only, to evaluate on, and no images to train on; choose --in-domain mnist, cifar10[a-z0-9, -]* or [a-z0-9-]+\n$/,
  ],
  [
    "one set in both places",
    ["attack", "--out-domain", "mnist"],
    /^Cannot use MNIST both in-domain and out-domain: a model knows what it was taught; choose --out-domain notmnist[a-z0-9, -]* or [a-z0-9-]+\n$/,
  ],
  [
    "an out-domain set of another shape",
    ["eval", "--out-domain", "svhn"],
    /^Cannot attack a model of MNIST with SVHN: its images are 3x32x32, those of MNIST are 1x28x28; choose --out-domain notmnist[a-z0-9, -]* or [a-z0-9-]+\n$/,
  ],
  [
    "the network's own out-domain set beside another shape",
    ["attack", "--model", "LeNet_SNGP", "--in-domain", "cifar10"],
    /^Cannot attack a model of CIFAR-10 with notMNIST: its images are 1x28x28, those of CIFAR-10 are 3x32x32; choose --out-domain svhn/,
  ],
  [
    "a set that is not there",
    ["attack", "--out-domain", "fashion-mnist", "--data-path", "."],
    /^Cannot use the data in "\.": "MNIST.raw.train-images-idx3-ubyte\.gz" \(and 5 more\) is missing; run \.\/denow task data mnist fashion-mnist --data-path \.\n$/,
  ],
  [
    "a class that the in-domain set has not",
    ["attack", "--targeted", "10", "--limit", "20"],
    /^Cannot steer to class 10: the model has 10 classes, from 0 on; name one of them by --targeted\n$/,
  ],
];

Deno.test("sets that do not go together are told in a sentence, and nothing is made", () =>
  inFolder(async (cwd) => {
    for (const [what, [command = "", ...args], message] of refused) {
      const { code, stdout, stderr } = await task(command, args, { cwd });
      assert.match(stderr, message, what);
      assert.deepEqual([code, stdout], [1, ""], what);
    }
    assert.deepEqual([...Deno.readDirSync(cwd)], []);
  }));

Deno.test("a model is taught another set, attacked with a third, and known by what its file says", () =>
  inFolder(async (cwd) => {
    const data = join(cwd, "data");
    await writeMnist(data);
    await writeMnist(data, "FashionMNIST");
    await writeArchive(data);
    const clothes = ["--in-domain", "fashion-mnist", "--data-path", data, ...quick];
    const { data: learned, members: [member] } = trainResultSchema.parse(
      printed(await task("train", clothes, { cwd })),
    );
    assert.equal(learned.name, "Fashion-MNIST train");
    const path = member?.best.path ?? assert.fail();
    assert.match(path, /LeNet.seed_0.fashion-mnist-[0-9a-f]{8}.best\.safetensors$/);

    const made = attackResultSchema.parse(
      printed(await task("attack", [...clothes, "--out-domain", "mnist"], { cwd })),
    );
    assert.deepEqual(made.checkpoints, [path]);
    assert.deepEqual(made.inDomain?.classNames, sets["fashion-mnist"].classes);
    assert.deepEqual([made.inDomain?.name, made.outDomain.name], [
      "Fashion-MNIST test",
      "MNIST test",
    ]);
    const run = await onlyRun(join(cwd, "trained_models"), "attack");
    const again = ["--config", join(run, "run.json"), "--json"];
    const repeated = attackResultSchema.parse(printed(await task("attack", again, { cwd })));
    assert.deepEqual({ ...repeated, seconds: 0 }, { ...made, seconds: 0 });

    const named = ["--mode", "baseline", "--data-path", data, "--checkpoint", path, "--limit", "3"];
    const { code, stderr } = await task("attack", named, { cwd });
    assert.deepEqual([code, stderr], [
      1,
      `Cannot use "${path}" with MNIST in-domain: it says that it was trained on Fashion-MNIST ` +
      "train; add --in-domain fashion-mnist\n",
    ]);
    const believed = [...named, "--in-domain", "fashion-mnist", "--json"];
    const { trained } = attackResultSchema.parse(printed(await task("attack", believed, { cwd })));
    assert.deepEqual(trained, [{ epochs: 1, data: { name: learned.name, count: 3 } }]);

    // What somebody else wrote says nothing of its set, and is taken for a model of the one chosen.
    const foreign = join(cwd, "foreign.safetensors");
    const { tensors } = await readSafetensors(join(cwd, path));
    await writeSafetensors(foreign, { tensors, metadata: {} });
    const other = named.map((word) => word === path ? foreign : word);
    const { trained: unknown } = attackResultSchema.parse(
      printed(await task("attack", [...other, "--json"], { cwd })),
    );
    assert.deepEqual(unknown, [null]);
    const batches = join(data, "cifar-10-batches-bin");
    await Deno.mkdir(batches);
    for (const name of ["data_batch_1.bin", "test_batch.bin"]) {
      await Deno.writeFile(join(batches, name), batchRecords([1, 2, 3]));
    }
    await Deno.writeFile(join(data, "test_32x32.mat"), svhn([7, 8]));
    const colour = ["--in-domain", "cifar10", "--out-domain", "svhn"];
    assert.match(
      (await task("attack", [...other, ...colour], { cwd })).stderr,
      /"conv1\.0\.weight" is \[6, 3, 5, 5\], the file has \[6, 1, 5, 5\] \(1 other differs too\); give .* by --in-domain\n$/,
    );
  }));

Deno.test("a run names no set that its network was published with, typed or not", () =>
  inFolder(async (cwd) => {
    const plain = attackResultSchema.parse(printed(await task("attack", quick, { cwd })));
    const sets = ["--in-domain", "mnist", "--out-domain", "notmnist"];
    const named = printed(await task("attack", [...quick, ...sets], { cwd }));
    assert.deepEqual(
      { ...attackResultSchema.parse(named), seconds: 0 },
      { ...plain, seconds: 0 },
    );
    await onlyRun(join(cwd, "trained_models"), "attack");
    const config = runConfig({ mode: "sngp", inDomain: "mnist", outDomain: "fashion-mnist" });
    assert.deepEqual([config.inDomain, config.outDomain], [undefined, "fashion-mnist"]);
    assert.throws(
      () => runConfig({ mode: "sngp", inDomain: "emnist" as "mnist" }),
      says(/^Cannot run with inDomain = emnist: Invalid option: expected one of "mnist"/),
    );
  }));

Deno.test("a place reads what is learned from once, and resolves each seed's folder from it", () =>
  inFolder(async (savePath) => {
    const place = await openSetup(runConfig({ mode: "baseline", limit: 20, savePath }), "train");
    const [first, second] = [await place.trainingSet(), await place.trainingSet()];
    assert.equal(first, second);
    assert.equal(first.count, 20);
    const folders = [await place.trainingFolder(0), await place.trainingFolder(1)];
    assert.match(folders[0] ?? "", /baseline.LeNet.seed_0.embedded-[0-9a-f]{8}$/);
    assert.match(folders[1] ?? "", /baseline.LeNet.seed_1.embedded-[0-9a-f]{8}$/);
    const { sets: { inDomain, outDomain } } = place;
    assert.deepEqual([inDomain.set.name, outDomain?.set.name], ["mnist", "notmnist"]);
  }));

testWithShared(
  "LeNet is taught CIFAR-10 and attacked with SVHN, ResNet-18 is taught digits",
  ["data/cifar-10-batches-bin/test_batch.bin", "data/SVHN/svhn_color_subset_32x32.mat"],
  () =>
    inFolder(async (cwd) => {
      const colour = ["--in-domain", "cifar10", "--out-domain", "svhn"];
      const where = ["--data-path", sharedPath("data")];
      const { inDomain, outDomain, checkpoints, clean } = attackResultSchema.parse(
        printed(
          await task("attack", ["--model", "LeNet", ...colour, ...where, ...quick], { cwd }),
        ),
      );
      assert.deepEqual([inDomain?.name, inDomain?.count, inDomain?.classes], [
        "CIFAR-10 test",
        20,
        10,
      ]);
      assert.deepEqual([outDomain.name, outDomain.count], ["SVHN (subset)", 20]);
      assert.deepEqual(inDomain?.classNames, sets.cifar10.classes);
      assert.match(checkpoints[0] ?? "", /LeNet.seed_0.cifar10-[0-9a-f]{8}/);
      assert.ok((clean.entropy ?? NaN) > 0);
      const { tensors } = await readSafetensors(join(cwd, checkpoints[0] ?? ""));
      assert.deepEqual(tensors.get("conv1.0.weight")?.shape, [6, 3, 5, 5]);

      const grey = ["--model", "ResNet-18", "--in-domain", "mnist", ...quick.with(3, "4")];
      const { data, members: [member] } = trainResultSchema.parse(
        printed(await task("train", grey, { cwd })),
      );
      assert.equal(data.name, "embedded digits train");
      const { tensors: weights } = await readSafetensors(join(cwd, member?.best.path ?? ""));
      assert.deepEqual(weights.get("conv1.weight")?.shape, [64, 1, 3, 3]);
    }),
);
