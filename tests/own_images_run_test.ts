/** Runs on images of the user's own: evaluated, attacked, trained on, verified, and refused, as a user meets it. */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { encode } from "fast-png";
import { type ImageSet, imageSet, limit, loadEmbedded } from "../data/mod.ts";
import { attackModel } from "../src/experiment/own_model.ts";
import {
  attackResultSchema,
  evalResultSchema,
  trainResultSchema,
} from "../src/experiment/documents.ts";
import type { AttackResult, EvalResult } from "../src/experiment/documents.ts";
import { modes } from "../src/experiment/config.ts";
import { classesShown } from "../src/experiment/taken.ts";
import {
  type Method,
  methods,
  type Model,
  networkOf,
  settledHyperparameters,
} from "../src/methods/mod.ts";
import { procedureOf } from "../src/methods/protocol.ts";
import { constant, dim, matmul, Random, reshape, type Tensor } from "../src/nn/mod.ts";
import { runConfig } from "../src/experiment/config.ts";
import { leftToTrain } from "../src/experiment/pending.ts";
import { openSetup } from "../src/experiment/setup.ts";
import { runsFolder } from "../src/runs/folder.ts";
import { png } from "./data_support.ts";
import { npy } from "./npy_writer.ts";
import { type Outcome, task } from "./program.ts";
import { inFolder, onlyRun, withDevice } from "./support.ts";
import { zip } from "./torch_writer.ts";

const quick = ["--mode", "baseline", "--limit", "20"];

/** What a command printed that ended well. */
function printed({ code, stdout, stderr }: Outcome): unknown {
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

async function write(folder: string, files: Readonly<Record<string, Uint8Array>>): Promise<void> {
  for (const [path, bytes] of Object.entries(files)) {
    await Deno.mkdir(dirname(join(folder, path)), { recursive: true });
    await Deno.writeFile(join(folder, path), bytes);
  }
}

/** The images of a set as PNGs, named by their number, in a folder a class where that is asked for. */
function exported(set: ImageSet, where: string, byClass: boolean): Record<string, Uint8Array> {
  return Object.fromEntries(
    Array.from({ length: set.count }, (_, i) => {
      const data = set.images.slice(784 * i, 784 * (i + 1));
      const name = `${String(i).padStart(4, "0")}.png`;
      const folder = byClass ? `${where}/${set.classes?.[set.labels[i] ?? 0]}` : where;
      return [`${folder}/${name}`, encode({ width: 28, height: 28, channels: 1, data })];
    }),
  );
}

/** An attack's or an evaluation's figures, without what a set is called and what depends on its files. */
function figures({ inDomain, outDomain, ...rest }: AttackResult | EvalResult): unknown {
  const anonymous = { name: "", listSha256: null };
  return {
    ...rest,
    seconds: null,
    inDomain: { ...inDomain, ...anonymous },
    outDomain: { ...outDomain, ...anonymous },
  };
}

Deno.test("an exported set gives the set's own figures to the last digit, as a folder and as an array", () =>
  inFolder(async (cwd) => {
    const letters = limit(await loadEmbedded("letters"), 20);
    const digits = limit(await loadEmbedded("test"), 20);
    await write(cwd, {
      ...exported(letters, "letters", true),
      ...exported(digits, "digits", false),
    });
    const pixels = npy("|u1", [20, 28, 28], [...digits.images]);
    await Deno.writeFile(
      join(cwd, "digits.npz"),
      zip([["images.npy", pixels], ["labels.npy", npy("<i8", [20], [...digits.labels])]]),
    );
    const registered = attackResultSchema.parse(
      printed(await task("attack", [...quick, "--epochs", "1", "--json"], { cwd })),
    );
    const [checkpoint = ""] = registered.checkpoints;
    const attacked = async (...args: string[]): Promise<AttackResult> =>
      attackResultSchema.parse(
        printed(
          await task("attack", [...quick, "--checkpoint", checkpoint, ...args, "--json"], { cwd }),
        ),
      );
    const own = await attacked("--out-domain", "letters", "--in-domain", "digits.npz");
    assert.deepEqual(figures(own), figures(registered));
    assert.deepEqual([own.inDomain?.name, own.outDomain.name], [
      "digits.npz (own images)",
      "letters (own images)",
    ]);
    assert.equal(own.outDomain.sha256, registered.outDomain.sha256);

    // Without labels: null where they are asked for, the same elsewhere.
    const { calibration, inDomain, checks, warnings, ...blind } = await attacked(
      ...["--out-domain", "letters", "--in-domain", "digits", "--on", "both"],
    );
    const unknown = { accuracy: null, right: null, brier: null, nll: null, nllInfinite: null };
    assert.deepEqual({ ...inDomain, name: "" }, { ...registered.inDomain, ...unknown, name: "" });
    assert.equal(calibration, null);
    assert.deepEqual([blind.inDomainAttack?.accuracy, blind.inDomainAttack?.right], [null, null]);
    for (const part of ["clean", "adversarial", "detection", "confident"] as const) {
      assert.deepEqual(blind[part], registered[part], part);
    }
    const { accuracy, ...others } = registered.checks.results;
    assert.ok(accuracy);
    assert.deepEqual(checks.results, others);
    assert.ok(!warnings.some((warning) => warning.includes("guessing")));
    const evaluated = (digits: string, letters: string): Promise<Outcome> => {
      const sets = ["--in-domain", digits, "--out-domain", letters];
      return task("eval", [...quick, "--checkpoint", checkpoint, ...sets], { cwd });
    };
    const { stdout } = await evaluated("./digits", "letters/");
    // The same run by other words, which `onlyRun()` and `runs` see to below.
    assert.equal((await evaluated("digits", "./letters")).code, 0);
    assert.match(stdout, /of digits \(own images\), accuracy –, Brier –, NLL – \(no labels\)\n/);
    assert.match(stdout, /^Of 20 images of no class that it knows /m);
    assert.match(stdout, /ECE –; /);
    const page = await Deno.readTextFile(
      join(await onlyRun(join(cwd, "trained_models"), "eval"), "report.html"),
    );
    assert.ok(page.includes(">accuracy in-domain</th><td>–</td>"));
    const { stdout: runs } = await task("runs", ["--of", "eval"], { cwd });
    assert.match(runs, /–/);
  }));

Deno.test("images to train on behind --limit are not read where there is no training on them", () =>
  inFolder(async (folder) => {
    const files = ["train", "test"].flatMap((split) =>
      ["ant", "bee"].flatMap((name) =>
        [28, 20].map((size) => [`zoo/${split}/${name}/${size === 28 ? 0 : 1}.png`, png(1, size)])
      )
    );
    await write(folder, Object.fromEntries(files));
    const options = {
      mode: "baseline",
      inDomain: `${folder}/zoo`,
      savePath: join(folder, "models"),
    } as const;
    const setup = await openSetup(runConfig({ ...options, limit: 2 }), "use");
    const { count, unread } = await setup.trainingSet();
    assert.deepEqual([count, unread], [2, 2]);
    assert.match(
      (await leftToTrain(setup)).begins.join(),
      /training one for \d+ epochs on the first 2 images \(--limit\)$/,
    );
    await assert.rejects(openSetup(runConfig(options), "use"), /2 of 4 images have 20x20/);
  }));

Deno.test("a model is taught a folder's classes, its run verified, and refused when an image has changed", () =>
  inFolder(async (cwd) => {
    const files: Record<string, Uint8Array> = {};
    for (const [split, from] of [["train", 0], ["test", 30]] as const) {
      for (const [at, name] of ["ant", "bee", "cat"].entries()) {
        for (let i = 0; i < 4; i++) {
          files[`zoo/${split}/${name}/${i}.png`] = png(from + 4 * at + i, 20);
        }
      }
    }
    files["zoo/test/cat/0-broken.jpg"] = Uint8Array.of(0xff, 0xd8, 0xff, 0xe0);
    await write(cwd, files);
    const zoo = [
      "--mode",
      "baseline",
      "--in-domain",
      "zoo",
      "--resize",
      "--epochs",
      "1",
      "--limit",
      "12",
    ];
    const { stderr, ...learned } = await task("train", [...zoo, "--json"], { cwd });
    const { data, members: [member] } = trainResultSchema.parse(printed({ ...learned, stderr }));
    assert.deepEqual([data.name, data.count, data.prepared], ["zoo train (own images)", 12, {
      resized: 12,
    }]);
    assert.match(stderr, /^Of zoo train \(own images\) 12 images are used; 12 resized$/m);
    assert.match(
      stderr,
      /^Of zoo \(own images\) 12 images are used; 1 file left out .*\(cat\/0-broken\.jpg\)/m,
    );
    const path = member?.best.path ?? "";
    assert.match(path, /LeNet.seed_0.own-zoo-[0-9a-f]{8}.best\.safetensors$/);

    const made = evalResultSchema.parse(printed(await task("eval", [...zoo, "--json"], { cwd })));
    assert.deepEqual(made.checkpoints, [path]);
    assert.deepEqual([made.inDomain.classNames, made.inDomain.classes], [["ant", "bee", "cat"], 3]);
    assert.deepEqual([made.inDomain.skipped, made.inDomain.prepared], [1, { resized: 12 }]);
    assert.equal(made.outDomain.name, "embedded letters");
    // The training on all of them is found where fewer are asked for.
    const behind = await task("eval", [...zoo.slice(0, -1), "3", "--json"], { cwd });
    assert.deepEqual(evalResultSchema.parse(printed(behind)).checkpoints, [path]);

    // The same model, named: its classes are told by its arrays.
    const named = [
      "--mode",
      "baseline",
      "--checkpoint",
      path,
      "--limit",
      "3",
      "--resize",
      "--in-domain",
    ];
    const again = evalResultSchema.parse(
      printed(await task("eval", [...named, join("zoo", "test"), "--json"], { cwd })),
    );
    assert.deepEqual([again.inDomain.classes, again.inDomain.count], [3, 3]);
    const few = await task("eval", [...named, join("zoo", "test", "cat")], { cwd });
    assert.equal(few.code, 0, few.stderr);
    await Deno.writeTextFile(join(cwd, "two.txt"), "ant\nbee\n");
    await Deno.rename(join(cwd, "zoo", "test", "cat"), join(cwd, "cat"));
    for (
      const [args, message] of [
        [
          [],
          /^Cannot use the images in "test" in-domain: they have 2 classes, the model has 3; name all classes /,
        ],
        [["--labels", "two.txt"], /they have 2 classes, the model has 3; /],
      ] as const
    ) {
      const { code, stderr } = await task("eval", [...named, join("zoo", "test"), ...args], {
        cwd,
      });
      assert.equal(code, 1);
      assert.match(stderr, message);
    }
    await Deno.rename(join(cwd, "cat"), join(cwd, "zoo", "test", "cat"));

    const savePath = join(cwd, "trained_models");
    const train = await onlyRun(savePath, "train");
    const verified = await task("verify", [train, "--json"], { cwd });
    assert.equal(JSON.parse(verified.stdout).verified, true, verified.stderr);
    await write(cwd, { "zoo/test/ant/0.png": png(99, 20) });
    const { code, stderr: refusal } = await task("train", ["--config", join(train, "run.json")], {
      cwd,
    });
    assert.equal(code, 1);
    assert.match(
      refusal,
      /12 images of zoo \(own images\) with other pixels or labels; put the images back that it used, or/,
    );
    // Other content is another run.
    await task(
      "eval",
      [...zoo, "--checkpoint", path].filter((of) => of !== "--epochs" && of !== "1"),
      { cwd },
    );
    const runs = [...Deno.readDirSync(runsFolder(savePath))].filter(({ name }) =>
      name.startsWith("eval-")
    );
    assert.equal(runs.length, 5);
  }));

const refused: readonly (readonly [args: string[], says: RegExp])[] = [
  [
    ["--out-domain", "photos"],
    /^Cannot use the images in "photos": the network takes 28x28 pixels, and 2 of 2 images have 20x20 \(2\); add --resize/,
  ],
  [["--out-domain", "phtos"], /Expected one of "mnist", .*"cifar100".* but got "phtos"/],
  [["--in-domain", "emnist-leters"], /but got "emnist-leters"\. Did you mean "emnist-letters"\?/],
  [
    ["--out-domain", "./phtos"],
    /^Cannot read "\.\/phtos": there is no such file; check the path\n$/,
  ],
  [
    ["--in-domain", "photos"],
    /^Cannot train on the images in "photos": it takes images to train on and others to test on/,
  ],
  [
    ["--resize"],
    /^Cannot use --resize here: it is for images of your own; name their folder or file by --in-domain or --out-domain\n$/,
  ],
  [
    ["--labels", "x", "--out-domain", "photos"],
    /^Cannot use --labels here: it is for images of your own; name their .* by --in-domain\n$/,
  ],
  [
    ["--in-domain", "mnist", "--out-domain", "notmnist", "--data-path", "photos"],
    /is missing; run /,
  ],
];

Deno.test("what cannot be is one sentence, and nothing is made", () =>
  inFolder(async (cwd) => {
    await write(cwd, {
      "photos/a.png": png(1, 20),
      "photos/b.png": png(2, 20),
      "mnist/x.png": png(1),
    });
    for (const [args, message] of refused) {
      const { code, stdout, stderr } = await task("eval", [...quick, ...args], { cwd });
      assert.match(stderr.replaceAll(/\s+(?=\S)/g, " "), message);
      assert.deepEqual([code, stdout], [1, ""], stderr);
      assert.ok(stderr.length < 620);
    }
    await assert.rejects(Deno.stat(join(cwd, "trained_models")), Deno.errors.NotFound);
  }));

Deno.test("a model of one's own is attacked against images without labels", () =>
  inFolder((savePath) =>
    withDevice(async (device) => {
      const letters = limit(await loadEmbedded("letters"), 4);
      const { images, shape, source } = letters;
      const inDomain = imageSet({ name: "unknown", images, shape, source });
      const values = Float32Array.from({ length: 784 * 3 }, (_, i) => (i % 13 - 6) / 100);
      const weight = constant(values, [784, 3]);
      const logits = (x: Tensor): Tensor => matmul(reshape(x, [dim(x, 0), 784]), weight);
      const { result } = await attackModel({
        ...{ device, logits, inDomain, outDomain: letters, savePath },
        ...{ epsilon: 0.1, steps: 1 },
      });
      assert.deepEqual([result.inDomain?.accuracy, result.calibration], [null, null]);
      assert.deepEqual(result.inDomain?.classes, 3);
    })
  ));

Deno.test("how many classes a model has is told by its arrays, whatever its method", () => {
  for (const mode of modes) {
    const { models, create }: Method = methods[mode];
    const build = (classes: number): Model =>
      create(models[0] ?? "", {
        ...settledHyperparameters({}, networkOf(models[0] ?? ""), "use"),
        procedure: procedureOf("paper"),
        random: new Random(0),
        imageShape: [1, 28, 28],
        classes,
      });
    for (const classes of [2, 3, 7]) {
      assert.equal(classesShown(build(classes).state, build), classes, mode);
    }
    assert.equal(classesShown(new Map(), build), undefined);
  }
});
